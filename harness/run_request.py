"""What a run needs to know beforehand."""

from dataclasses import dataclass, field
from pathlib import Path

from data.prepare import Prepared
from harness.accelerators import Accelerator
from harness.result import Level
from harness.submission import Submission
from harness.track import Track


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
    keep: int = 5  # artifacts kept in the cache, the latest ones

    @property
    def threads_a_rank(self) -> int:
        return self.track.resources.threads if self.threads is None else self.threads
