"""The phases of a run as parts of a bar."""

import math
from typing import NamedTuple

from harness.result import Times
from leaderboard.table import number


class Phase(NamedTuple):
    key: str  # a class of the style sheet
    name: str
    seconds: str
    share: str  # of the whole run, in words
    width: str  # in percent, for the bar
    processor: str  # seconds that the processor worked; empty: not measured
    device: str  # likewise of the accelerators


def phases(times: Times) -> tuple[Phase, ...]:
    """Those that were reached, and what lies between them: starting sandboxes, checking the artifact."""
    measured = (
        ("setup", "set-up", times.setup_s, times.setup_processor_s, times.setup_device_s),
        ("train", "training", times.train_s, times.train_processor_s, times.train_device_s),
        ("save", "saving", times.save_s, times.save_processor_s, times.save_device_s),
        ("load", "loading", times.load_s, times.load_processor_s, times.load_device_s),
        ("score", "scoring", times.score_s, times.score_processor_s, times.score_device_s),
        ("twin", "the twin", times.twin_s, None, None),
        ("sample", "samples", times.sample_s, None, None),
    )
    known = [
        (key, name, seconds, processor_s, device_s)
        for key, name, seconds, processor_s, device_s in measured
        if seconds is not None and _is_time(seconds)
    ]
    took_s = [seconds for _, _, seconds, _, _ in known]
    between_s = times.total_s - math.fsum(took_s)
    if _is_time(times.total_s) and between_s >= 0.05:
        known.append(("between", "between them", between_s, None, None))
        took_s.append(between_s)
    whole_s = math.fsum(took_s)
    return tuple(
        Phase(key, name, _seconds(seconds), f"{share:.1%}", f"{100 * share:.2f}", _seconds(processor), _seconds(device))
        for key, name, seconds, processor, device in known
        for share in (seconds / whole_s if whole_s > 0 else 0.0,)
    )


def _is_time(seconds: float) -> bool:
    return 0 <= seconds < math.inf


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{number(seconds, 2)} s"
