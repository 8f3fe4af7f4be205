"""A track: what is trained, within which limits, and how it is scored and ranked. Data, not code: one TOML file each.

Loading checks everything, so that a value of type Track makes sense as a whole. Unknown keys are refused.
"""

import hashlib
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import UserError, nearest
from harness.strict_toml import TomlError, decode

TRACKS = Path(__file__).parent / "tracks"

TASK_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # of lm-eval's that can be asked for: a name, no path

_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
_MOST_TASKS = 32
_MAX_FILE = 64 * 1024  # bytes
_MOST = 1e12  # of any number: nothing here is larger, and the harness reckons with products of them


def _require(holds: bool, otherwise: str) -> None:
    """Written so that a comparison with NaN is refused."""
    if not holds:
        raise ValueError(otherwise)


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of a track's file."""


class Limits(_Part, frozen=True, kw_only=True):
    """Beyond any of these the run ends with a verdict."""

    train_s: float  # GO to DONE
    setup_s: float
    load_s: float  # scorer and twin, each: imports, setup() and load(); tight, for nothing may be learned there
    evaluation_s: float  # scorer and twin, each: all rows
    artifact_mib: float  # what is saved and scored
    save_s: float = 2.0  # saving that is free of charge, before what its size allows

    def __post_init__(self) -> None:
        for name in ("train_s", "setup_s", "load_s", "evaluation_s", "artifact_mib"):
            _require(0 < getattr(self, name) < math.inf, f"{name} must be above zero")
        _require(0 <= self.save_s < math.inf, "save_s must be zero or more")


class Resources(_Part, frozen=True, kw_only=True):
    """What a run gets; a ranked run gets exactly this."""

    accelerator: str  # "cpu", or the device's name, e.g. "Tesla T4"; speedrun/fitness.py says what meets it
    accelerator_gib: float | None = None  # its memory, ± 10 %: cards of one name come with other memories; None: any
    count: int = 1  # processes that train together (ranks), with an accelerator each where the track has them
    threads: int  # CPU threads of a rank
    memory_gib: float  # of the host, for all ranks together
    processes: int  # processes and threads of the whole tree
    scratch_mib: int

    def __post_init__(self) -> None:
        _require(self.accelerator == self.accelerator.strip() != "", 'accelerator must be "cpu" or a device\'s name')
        gib = self.accelerator_gib
        _require(gib is None or 0 < gib < math.inf, "accelerator_gib must be above zero")
        _require(gib is None or self.accelerator != "cpu", "accelerator_gib belongs to a track with an accelerator")
        for name in ("count", "threads", "processes", "scratch_mib"):
            _require(getattr(self, name) >= 1, f"{name} must be at least 1")
        _require(self.processes >= self.threads * self.count, "processes must be at least threads × count")
        _require(0 < self.memory_gib < math.inf, "memory_gib must be above zero")


class ScoreRules(_Part, frozen=True, kw_only=True):
    """What is scored."""

    split: str  # of the data set
    targets: int | None = None  # tokens predicted, from the split's beginning; None: all of them
    max_context: int  # tokens a window
    target_nats: float | None = None  # the mean loss to reach: fastest-to-loss only

    def __post_init__(self) -> None:
        _require(self.split == self.split.strip() != "", "split must name a split of the data set")
        _require(self.split not in ("train", "spare"), "split must be one that is not trained on and not spare")
        _require(
            self.targets is None or self.targets >= 1, "targets must be at least 1, or absent for all of the split"
        )
        _require(self.max_context >= 2, "max_context must be at least 2")
        _require(self.target_nats is None or 0 < self.target_nats < math.inf, "target_nats must be above zero")


class Gates(_Part, frozen=True, kw_only=True):
    """What a model must be to be ranked at all."""

    parameters_min: int | None = None  # counted by the worker, shared ones once
    parameters_max: int | None = None
    declared_tokens_min: int | None = None  # that the entry says it has trained on (nobody can count them for it)

    def __post_init__(self) -> None:
        least, most, declared = self.parameters_min, self.parameters_max, self.declared_tokens_min
        _require(least is None or least >= 1, "parameters_min must be at least 1")
        _require(most is None or most >= (least or 1), "parameters_max must be at least 1 and not below parameters_min")
        _require(declared is None or declared >= 1, "declared_tokens_min must be at least 1")


class DownstreamRules(_Part, frozen=True, kw_only=True):
    """Tasks of lm-eval that a run goes on to once its verdict stands. Their scores never count for the ranking."""

    tasks: tuple[str, ...]
    limit: int | None = None  # documents of each task, the first ones; None: all
    cap_s: float  # scorer and twin, each: all rows of all tasks

    def __post_init__(self) -> None:
        _require(1 <= len(self.tasks) <= _MOST_TASKS, f"tasks must name 1 to {_MOST_TASKS} tasks of lm-eval")
        _require(all(TASK_NAME.fullmatch(name) for name in self.tasks), "tasks must be names of tasks of lm-eval")
        _require(len(set(self.tasks)) == len(self.tasks), "tasks must name every task once")
        _require(self.limit is None or self.limit >= 1, "limit must be at least 1, or absent for all documents")
        _require(0 < self.cap_s < math.inf, "cap_s must be above zero")


class Ranking(_Part, frozen=True, kw_only=True):
    """When a submission is ranked, and when it beats another."""

    runs: int  # at least so many
    alpha: float  # of every test of significance
    least_gain_nats: float | None = None  # lowest-loss: a new record is better by this and beyond noise
    least_gain_s: float | None = None  # fastest-to-loss: likewise

    def __post_init__(self) -> None:
        _require(self.runs >= 1, "runs must be at least 1")
        _require(0 < self.alpha < 0.5, "alpha must lie between 0 and 0.5")
        for name in ("least_gain_nats", "least_gain_s"):
            value = getattr(self, name)
            _require(value is None or 0 <= value < math.inf, f"{name} must be zero or more")


class TrackFile(_Part, frozen=True, kw_only=True):
    """harness/tracks/<id>.toml, as it is written."""

    id: str
    version: int  # raised with every change that makes results incomparable
    title: str
    rules: str  # words, in paragraphs
    objective: Literal["lowest-loss", "fastest-to-loss"]
    dataset: str
    train_tokens: int | None = None  # the first so many training tokens are all that a run sees; None: all of them
    limits: Limits
    resources: Resources
    score: ScoreRules
    gates: Gates = Gates()
    ranking: Ranking
    downstream: DownstreamRules | None = None  # None: no tasks besides

    def __post_init__(self) -> None:
        _require(bool(_ID.fullmatch(self.id)), "id must be at most 40 of a-z, 0-9, '.' and '-'")
        _require(self.version >= 1, "version must be at least 1")
        _require(bool(_ID.fullmatch(self.dataset)), "dataset must be the id of a data set")
        _require(self.title == self.title.strip() != "" and "\n" not in self.title, "title must be one line")
        _require(bool(self.rules.strip()), "rules must say what the track is about")
        _require(self.train_tokens is None or self.train_tokens >= 1, "train_tokens must be at least 1, or absent")
        timed = self.objective == "fastest-to-loss"
        _require(
            timed == (self.score.target_nats is not None), "fastest-to-loss, and no other, needs score.target_nats"
        )
        _require(not timed or self.ranking.runs >= 2, "runs must be at least 2 where a mean loss is tested on a target")
        gain, other = ("least_gain_s", "least_gain_nats") if timed else ("least_gain_nats", "least_gain_s")
        _require(
            getattr(self.ranking, gain) is not None and getattr(self.ranking, other) is None,
            f"{self.objective} needs ranking.{gain} and takes no {other}",
        )
        for name, value in _numbers(self):
            _require(value <= _MOST, f"{name} must be at most {_MOST:g}")


def _numbers(part: _Part) -> Iterator[tuple[str, float]]:
    """Every number of a table and of those in it, with its key."""
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, _Part):
            yield from _numbers(value)
        elif isinstance(value, int | float):
            yield name, value


class Track(TrackFile, frozen=True, kw_only=True):
    """A track and the hash of its file, by which records name it."""

    sha256: str


def load_track(path: Path) -> Track:
    """The track in a file.

    Raises:
        UserError: the file cannot be read, an unknown or missing key, a value that makes no sense.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"the track file {path.name} cannot be read: {error.strerror}") from None
    try:
        if len(data) > _MAX_FILE:
            raise TomlError("larger than any track")
        written = decode(data.decode(), TrackFile)
        if path.name != f"{written.id}.toml":
            raise TomlError(f"id is {written.id!r}; the file must be called {written.id}.toml")
    except UnicodeDecodeError:
        raise UserError(f"track file {path.name}: not UTF-8 text") from None
    except TomlError as error:
        place = path.name if error.line is None else f"{path.name}, line {error.line}"
        raise UserError(f"track file {place}: {error.message}") from None
    values = {name: getattr(written, name) for name in TrackFile.__struct_fields__}
    return Track(**values, sha256=hashlib.sha256(data).hexdigest())


def find_track(track_id: str, tracks: Path = TRACKS) -> Track:
    """The track of this id. Raises UserError with the nearest ids, or as `load_track`."""
    known = _ids(tracks)
    if track_id not in known:
        raise UserError(f"there is no track {track_id[:60]!r}: {nearest(track_id[:60], known)}")
    return load_track(tracks / f"{track_id}.toml")


def list_tracks(tracks: Path = TRACKS) -> tuple[Track, ...]:
    """Every track, by id. Raises UserError as `load_track`, for the first file that is broken."""
    return tuple(load_track(tracks / f"{track_id}.toml") for track_id in _ids(tracks))


def _ids(tracks: Path) -> list[str]:
    return sorted(path.stem for path in tracks.glob("*.toml"))
