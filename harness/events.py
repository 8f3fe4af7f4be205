"""What the runner tells whoever watches: plain values, sent as they happen, on the parent's clock."""

from typing import Literal

import msgspec

from harness.result import CurvePoint, Record

Phase = Literal["start", "setup", "train", "save", "load", "score", "twin", "sample", "downstream"]


class _Event(msgspec.Struct, frozen=True, tag_field="type"):
    """Something that happened."""


class PhaseBegan(_Event, frozen=True, tag="phase"):
    """A phase begins; it may take `limit_s` seconds (None: no limit of its own)."""

    phase: Phase
    limit_s: float | None


class Ticked(_Event, frozen=True, tag="tick"):
    """Now and then in every phase: what the parent measures. None: there is no accelerator, or nobody knows."""

    phase: Phase
    elapsed_s: float  # since the phase began
    memory_gib: float  # of the sandbox
    done: int | None = None  # score and twin: targets answered
    total: int | None = None
    clock_mhz: int | None = None  # of the slowest accelerator that was granted
    device_memory_gib: float | None = None  # of the fullest one
    device_busy: float | None = None  # mean share of the time just past, 0 to 1
    throttled: tuple[str, ...] = ()  # why clocks are lower than they could be


class Logged(_Event, frozen=True, tag="log"):
    """The entry logged a point of its training."""

    point: CurvePoint
    metrics: dict[str, float]


class Noted(_Event, frozen=True, tag="note"):
    """One line for the reader, e.g. why a weaker sandbox level is used."""

    text: str


class Ended(_Event, frozen=True, tag="end"):
    """The run is over; the record is whole."""

    record: Record


Event = PhaseBegan | Ticked | Logged | Noted | Ended
