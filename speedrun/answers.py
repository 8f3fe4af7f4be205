"""What the commands answer: frozen values, printed as text by speedrun.pages or as JSON by speedrun.console.

In JSON every answer is one object with its kind and the version of the format first. Version history:

1: the first.
"""

from typing import Literal

import msgspec

from harness.result import Calibration, Device, Level, Record, Verdict
from harness.track import Track
from leaderboard.ranking import Board

VERSION = 1


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every answer."""

    version: int = VERSION

    @property
    def exit_code(self) -> int:
        """0: good; 1: the command did its work, and what it looked at is not in order."""
        return 0


class Created(Answer, frozen=True, kw_only=True, tag="new"):
    """A new entry."""

    name: str
    folder: str


class Fault(_Value, frozen=True, kw_only=True):
    """A static rule that an entry breaks."""

    path: str  # inside the entry's folder; empty: the folder itself
    line: int | None
    message: str


class Checked(Answer, frozen=True, kw_only=True, tag="check"):
    """The static rules, applied to an entry."""

    name: str
    problems: tuple[Fault, ...]

    @property
    def exit_code(self) -> int:
        return 1 if self.problems else 0


class Ran(Answer, frozen=True, kw_only=True, tag="run"):
    """The runs of one `speedrun run`, oldest first."""

    records: tuple[Record, ...]
    files: tuple[str, ...]  # where each record lies
    runs_asked: int  # by the track, for a place on the board
    interrupted: bool

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if all(record.verdict is Verdict.OK for record in self.records) else 1


class BrokenRecord(_Value, frozen=True, kw_only=True):
    """A file among the results that holds no valid record."""

    path: str
    reason: str


class Shown(Answer, frozen=True, kw_only=True, tag="leaderboard"):
    """The board, and what was written."""

    board: Board | None  # None: it was not asked for
    broken: tuple[BrokenRecord, ...]
    written: tuple[str, ...]  # files
    rows_shown: int | None = None  # of each section, where text is printed; None: all
    practice: bool = False  # practice runs are listed too

    @property
    def exit_code(self) -> int:
        return 1 if self.broken else 0


class ShownRun(Answer, frozen=True, kw_only=True, tag="record"):
    """One record, whole."""

    record: Record


class ShownSource(Answer, frozen=True, kw_only=True, tag="source"):
    """One file of a record's source."""

    run_id: str
    path: str
    sha256: str
    text: str


class Tracks(Answer, frozen=True, kw_only=True, tag="tracks"):
    """Every track."""

    tracks: tuple[Track, ...]
    written: tuple[str, ...] = ()  # files


class ShownTrack(Answer, frozen=True, kw_only=True, tag="track"):
    """One track."""

    track: Track


class DatasetState(_Value, frozen=True, kw_only=True):
    """A data set, and whether it lies ready in the cache."""

    id: str
    prepared: bool
    imported: bool  # made by `data import` on this machine
    pinned: bool  # every shard has a hash that everybody's must have
    train_tokens: int  # in all; planned where it is not known yet
    prepared_tokens: int  # of the first training tokens, here
    val_tokens: int
    vocab_size: int
    disk_bytes: int  # here
    needed_bytes: int  # for all of it
    left_out: int  # training documents that share a run of tokens with held-out text
    floor_nats: float | None


class Datasets(Answer, frozen=True, kw_only=True, tag="datasets"):
    """Every data set."""

    datasets: tuple[DatasetState, ...]
    broken: tuple[str, ...] = ()  # a line for each whose manifest can't be read

    @property
    def exit_code(self) -> int:
        return 1 if self.broken else 0


class DatasetReady(Answer, frozen=True, kw_only=True, tag="dataset"):
    """A data set, and what was done."""

    done: Literal["prepared", "pinned", "verified", "imported"]
    dataset: DatasetState


class LevelTrial(_Value, frozen=True, kw_only=True):
    """A sandbox level, tried on this machine."""

    level: Level
    works: bool
    why: str


class TrackFit(_Value, frozen=True, kw_only=True):
    """Whether a run on this machine may be ranked on a track."""

    track: str
    obstacles: tuple[str, ...]  # none: it may
    dataset: str
    prepared: bool


class DeviceState(_Value, frozen=True, kw_only=True):
    """An accelerator as it is now."""

    minor: int  # its node is /dev/nvidia<minor>
    device: Device
    processes: int  # that compute on it


class Diagnosis(Answer, frozen=True, kw_only=True, tag="doctor"):
    """What this machine can do."""

    system: str
    python: str
    cpu: str
    cores: int  # logical cores of the machine
    usable_cores: float  # that a run may use
    memory_gib: float
    devices: tuple[DeviceState, ...]
    calibration: tuple[Calibration, ...]  # of what could be measured; the processor with the usable cores
    torch: str | None  # None: not installed
    levels: tuple[LevelTrial, ...]
    chosen: Level | None  # None: no level works but `none`
    hints: tuple[str, ...]
    tracks: tuple[TrackFit, ...]


def as_json(answer: Answer) -> bytes:
    """The answer as indented JSON, UTF-8, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(answer), indent=1) + b"\n"
