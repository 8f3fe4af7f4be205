"""What the driver asks of a node, and what the node says: plain values, one JSON line each.

A node does nothing that a person at its keyboard could not do with `speedrun run`: it judges its own machine, holds its
own devices, and chooses its own sandbox. What comes back is a record, which the driver alone stores.
"""

import msgspec

from harness.result import Level, Series, Source


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """A run to be made; or, where only `look` is asked, what is known of it before it begins."""

    job: str  # the driver's name for it, for people
    look: bool = False
    entry: str  # its name
    source: Source  # every file of it
    track: str
    dataset: str | None  # None: the track's
    level: Level | None  # of the sandbox; None: the strongest that works there
    practice: bool  # wherever it runs, and never ranked
    wait: bool = True  # for the node's devices, where something else uses them
    against: tuple[str, ...] = ()  # why the run won't be ranked, known to the driver
    overrides: dict[str, str] = {}
    seed: int | None = None
    series: Series | None = None


class Began(msgspec.Struct, frozen=True, tag="began"):
    """A phase of the run began."""

    phase: str
    limit_s: float | None


class Noted(msgspec.Struct, frozen=True, tag="noted"):
    """A line for whoever watches."""

    words: str


class Made(msgspec.Struct, frozen=True, tag="made", kw_only=True):
    """The run has ended, or the look is taken."""

    record: msgspec.Raw
    level: Level
    against: tuple[str, ...]  # why a run there won't be ranked
    told_to_stop: bool = False  # the process that made it takes no other order


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """This node can't make the run: its machine, its data, its sandbox. The words are one line."""

    words: str


class Mistaken(msgspec.Struct, frozen=True, tag="mistaken"):
    """No node could make the run: what was asked for is wrong, a field of Config say. The words are one line."""

    words: str


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """The process that made the run was killed, by the kernel where memory runs out, say: the run can be made again."""

    words: str


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """A fault of ours on the node, a package that is missing there say."""

    words: str


Answer = Made | Refused | Mistaken | Lost | Failed
Said = Began | Noted | Answer

_decoder: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


def encode(value: Order | Said) -> bytes:
    """One line, without its end."""
    return msgspec.json.encode(value)


def decode(line: bytes) -> Said:
    """What a node said. Raises msgspec.DecodeError for anything else."""
    return _decoder.decode(line)
