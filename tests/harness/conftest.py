"""A whole run in a test: a small data set of real prose, a track of two seconds, and a clock that can jump."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from filelock import FileLock

from data.importing import import_dataset
from data.manifest import Source, find
from data.prepare import Prepared, prepare
from harness import submission
from harness.accelerators import Accelerator
from harness.events import Event, PhaseBegan
from harness.result import Level, Record
from harness.run_request import RunRequest
from harness.runner import run_entry
from harness.sandbox import choose
from harness.track import Track, load_track

ROOT = Path(__file__).resolve().parents[2]
TRACK = """
id = "tiny"
version = 1
title = "Two seconds"
rules = "For tests."
objective = "lowest-loss"
dataset = "prose"

[limits]
train_s = 60.0
setup_s = 60.0
load_s = 60.0
evaluation_s = 60.0
artifact_mib = 4.0

[resources]
accelerator = "cpu"
threads = 1
memory_gib = 2.0
processes = 128
scratch_mib = 64

[score]
split = "val"
targets = 8_192
max_context = 256

[ranking]
runs = 1
alpha = 0.01
least_gain_nats = 0.01
"""


@pytest.fixture(scope="session")
def prose(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Real prose that every Python has, imported once for all test processes."""
    import pydoc_data.topics

    shared = tmp_path_factory.getbasetemp().parent / "prose"
    shared.mkdir(exist_ok=True)
    with FileLock(shared / "lock"):
        source = shared / "topics.jsonl"
        if not source.exists():
            lines = [msgspec.json.encode({"text": text}) for text in pydoc_data.topics.topics.values()]
            source.write_bytes(b"\n".join(lines) + b"\n")
            import_dataset("prose", [source], shared)
        ready = prepare(find("prose", shared / "none", shared), shared)
    # As if it were a track's own: imported text is never ranked.
    official = msgspec.structs.replace(ready.manifest, source=Source(kind="generator", seed=0))
    return Prepared(official, ready.folder)


@pytest.fixture(scope="session")
def tales(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The embedded data set, generated once for all test processes."""
    shared = tmp_path_factory.getbasetemp().parent / "tales"
    shared.mkdir(exist_ok=True)
    with FileLock(shared / "lock"):
        return prepare(find("tales", ROOT / "data" / "datasets", shared), shared)


@pytest.fixture
def make_track(tmp_path: Path) -> Callable[..., Track]:
    """`make_track({"limits": {"train_s": 3.0}, "train_tokens": 5})`: the tiny track with parts of it changed."""
    path = tmp_path / "tiny.toml"
    path.write_text(TRACK)
    track = load_track(path)

    def make(changes: dict[str, Any] | None = None) -> Track:
        plain = msgspec.to_builtins(track)
        for name, values in (changes or {}).items():
            plain[name] = plain[name] | values if isinstance(values, dict) else values
        return msgspec.convert(plain, Track)

    return make


class JumpingClock:
    """The machine's clock, and a jump past every limit a moment after a phase has begun.

    So a run that would last for ever ends at its limit without anybody waiting for it.
    """

    AFTER_S = 2.0  # a sandbox on a busy machine takes as long to start

    def __init__(self, phase: str | None) -> None:
        self._phase = phase
        self._began_s: float | None = None

    def now(self) -> float:
        now = time.monotonic()
        jump = self._began_s is not None and now - self._began_s > self.AFTER_S
        return now + 10_000 * jump

    def watch(self, event: Event) -> None:
        if isinstance(event, PhaseBegan):
            self._began_s = time.monotonic() if event.phase == self._phase else None


@pytest.fixture
def run_folder(
    tmp_path: Path, prose: Prepared, make_track: Callable[..., Track]
) -> Callable[..., tuple[Record, list[Event]]]:
    """`run_folder(folder, track={…}, skip="train", level=…)`: one real run, its record and events."""

    def run(
        folder: Path,
        *,
        track: dict[str, Any] | None = None,
        skip: str | None = None,
        level: Level | None = None,
        overrides: dict[str, str] | None = None,
        observe: Callable[[Event], None] = lambda event: None,
        accelerators: tuple[Accelerator, ...] = (),
        ranks: int = 1,
        data: Prepared | None = None,
        **options: Any,
    ) -> tuple[Record, list[Event]]:
        clock = JumpingClock(skip)
        events: list[Event] = []

        def watch(event: Event) -> None:
            clock.watch(event)
            events.append(event)
            observe(event)

        request = RunRequest(
            submission=submission.load(folder, folder.name),
            track=make_track(track),
            data=data or prose,
            cache=tmp_path / "cache",
            level=level or choose(None),
            overrides=overrides or {},
            accelerators=accelerators,
            ranks=ranks,
        )
        options.setdefault("calibrate", lambda accelerators, threads: ())  # a second of every run
        options.setdefault("forget", lambda trees: None)  # other tests read the disk, too, and it takes seconds
        return run_entry(request, watch, clock=clock, **options), events

    return run
