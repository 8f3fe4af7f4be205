"""The progress of a record as a line of a few characters' height: values for an SVG element."""

import math
from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from leaderboard.history import History
from leaderboard.table import number

WIDTH, HEIGHT = 120, 28  # of the drawing's own units
_EDGE = 3.0  # so that the line's ends are not cut


class Sparkline(NamedTuple):
    """A step line, lower is better; `path` holds numbers and SVG's letters only."""

    path: str
    end: tuple[str, str]  # where the standing record lies: x, y
    label: str  # one sentence for whoever can't see it


def sparkline(history: History) -> Sparkline | None:
    """Of a history with two records or more; None: there is no progress to show."""
    records = [
        (date.fromisoformat(step.since).toordinal(), step.measure)
        for step in history.steps
        if step.kind == "record" and math.isfinite(step.measure)
    ]
    if len(records) < 2:
        return None
    if records[0][0] == records[-1][0]:  # all on one day: one after the other
        records = [(place, measure) for place, (_, measure) in enumerate(records)]
    xs = _scaled([day for day, _ in records], WIDTH)
    ys = _scaled([-measure for _, measure in records], HEIGHT)
    path = f"M{xs[0]} {ys[0]}" + "".join(f"H{x}V{y}" for x, y in zip(xs[1:], ys[1:], strict=True))
    digits, unit = (2, "s") if history.track.objective == "fastest-to-loss" else (4, "nats")
    first, last = (number(measure, digits) for _, measure in (records[0], records[-1]))
    label = f"{len(records)} records, from {first} to {last} {unit}"
    return Sparkline(path, (xs[-1], ys[-1]), label)


def _scaled(values: Sequence[float], size: int) -> list[str]:
    """The values between the edges of a drawing, the lowest first; SVG's y runs downward."""
    low, high = min(values), max(values)
    share = (size - 2 * _EDGE) / (high - low) if high > low else 0.0
    return [f"{_EDGE + share * (value - low):.1f}" for value in values]
