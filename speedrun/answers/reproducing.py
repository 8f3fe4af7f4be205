"""About a record that was run again."""

from typing import Literal

from harness.result import Record
from speedrun.answers.base import Answer, Part

ReproductionOutcome = Literal["borne out", "not borne out", "worse", "undecided"]


class Noise(Part, frozen=True, kw_only=True):
    """Where the loss of one more run of an entry lies."""

    mean_nats: float
    low_nats: float
    high_nats: float
    confidence: float
    runs: int  # behind it


class Reproduced(Answer, frozen=True, kw_only=True, tag="reproduce"):
    """A record, and what its source gave when it was run again."""

    original: Record
    runs: tuple[Record, ...]  # the first with the record's seed, the others with fresh ones
    files: tuple[str, ...]  # where the record of each lies
    outcome: ReproductionOutcome
    because: str
    noise: Noise | None  # None: too few runs to know it, or none that may be compared
    same_seed_nats: float | None  # loss of the first run less the record's
    interrupted: bool

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if self.outcome in ("borne out", "worse") else 1
