"""What the runner tells whoever watches: plain values, sent as they happen, on the parent's clock."""

from dataclasses import dataclass
from typing import Literal

from harness.result import CurvePoint, Record

Phase = Literal["start", "setup", "train", "save", "load", "score", "twin"]


@dataclass(frozen=True)
class PhaseBegan:
    """A phase begins; it may take `limit_s` seconds (None: no limit of its own)."""

    phase: Phase
    limit_s: float | None


@dataclass(frozen=True)
class Ticked:
    """Now and then in every phase: what the parent measures."""

    phase: Phase
    elapsed_s: float  # since the phase began
    memory_gib: float  # of the sandbox
    done: int | None = None  # score and twin: targets answered
    total: int | None = None


@dataclass(frozen=True)
class Logged:
    """The entry logged a point of its training."""

    point: CurvePoint
    metrics: dict[str, float]


@dataclass(frozen=True)
class Noted:
    """One line for the reader, e.g. why a weaker sandbox level is used."""

    text: str


@dataclass(frozen=True)
class Ended:
    """The run is over; the record is whole."""

    record: Record


Event = PhaseBegan | Ticked | Logged | Noted | Ended
