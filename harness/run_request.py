"""What a run needs to know beforehand."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data.prepare import Prepared
from harness.accelerators import Accelerator
from harness.result import Level, Series
from harness.submission import Submission
from harness.track import Track

Part = Literal["train", "score", "twin"]  # of a run, each in a sandbox of its own


@dataclass(frozen=True)
class RunRequest:
    """One run, whole: who, on which track, with which data, on which devices, how confined."""

    submission: Submission
    track: Track
    data: Prepared
    cache: Path
    level: Level
    overrides: dict[str, str] = field(default_factory=dict)
    accelerators: tuple[Accelerator, ...] = ()  # granted, one a rank; none: the run is on the processor
    ranks: int = 1  # processes that train together
    threads: int | None = None  # of the processor, for each rank; None: as many as the track grants
    practice: tuple[str, ...] = ()  # why this run won't be ranked, known before it starts
    seed: int | None = None  # of a run that is repeated, which is never ranked; None: a fresh one is drawn
    series: Series | None = None  # that this run is part of
    keep: int = 5  # artifacts kept in the cache, the latest ones

    @property
    def threads_a_rank(self) -> int:
        return self.track.resources.threads if self.threads is None else self.threads


def accelerators_of(part: Part, granted: tuple[Accelerator, ...]) -> tuple[Accelerator, ...]:
    """All of them train; scorer and twin have one process, on a device each where there are two."""
    if part == "train":
        return granted
    return granted[1:2] if part == "twin" and len(granted) > 1 else granted[:1]
