"""From bytes to a checked record. Everything that comes from a file is a stranger's until it has passed here.

Two readings of the same file: `decode` gives the whole record and checks every field; `decode_summary` gives what a
board needs and skips source texts and curves, which are nine tenths of the bytes (1,000 records: 0.06 s against 0.3 s).
Both check the schema's version, the rules that hold a record's parts together, and what no type says.

Not covered here: whether a record tells the truth, and whether its texts name a machine or its owner.
"""

import contextlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import msgspec

from harness.errors import UserError
from harness.result import (
    SCHEMA_VERSION,
    Artifact,
    DatasetRef,
    Declared,
    Device,
    Downstream,
    Entry,
    Level,
    Record,
    Score,
    Series,
    Tier,
    Times,
    TrackRef,
    TwinReport,
    Verdict,
)
from leaderboard.text import plain

# Twice the largest that the harness writes: sources of 256 KiB, which JSON can double, and their log and curve. Twelve
# records of 16 MiB, made of what Python needs most memory for, take 1.6 GB together and a minute to audit.
RECORD_CAP_BYTES: Final = 2 * 2**20

ENTRY_NAME: Final = r"[a-z0-9][a-z0-9_-]{0,39}"
TRACK_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
RUN_ID: Final = re.compile(rf"[0-9]{{8}}-[0-9]{{6}}-(?P<entry>{ENTRY_NAME})-[0-9a-f]{{4,32}}")
_UTC_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|\+00:00)")

Upgrader = Callable[[dict[str, Any]], dict[str, Any]]

# Schema n → a function that turns the plain JSON object of schema n into that of n + 1. None yet: 1 is the first.
UPGRADERS: Final[Mapping[int, Upgrader]] = {}


class RecordError(UserError):
    """These bytes are no valid record; the message is the reason, without the file's name."""


class Sandbox(msgspec.Struct, frozen=True, kw_only=True):
    """What a board needs of harness.result.SandboxReport."""

    level: Level


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What a board needs of harness.result.Environment."""

    cpu: str
    threads: int
    devices: tuple[Device, ...]
    packages: dict[str, str] = {}
    sandbox: Sandbox


class SourceHash(msgspec.Struct, frozen=True, kw_only=True):
    """What a board needs of harness.result.Source."""

    sha256: str
    git_commit: str | None = None


class OwnFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a summary says of its run alone: not its entry, track, data, machine and source, which many runs share."""

    schema: int
    run_id: str
    started_at: str
    seed: int
    verdict: Verdict
    ran: bool
    scored: bool
    ranked: bool
    unranked_because: tuple[str, ...] = ()
    score: Score | None = None
    times: Times
    twin: TwinReport | None = None
    artifact: Artifact | None = None
    parameters: int | None = None
    declared: Declared
    overrides: dict[str, str] = {}
    peak_memory_gib: float | None = None
    downstream: Downstream | None = None
    tier: Tier = Tier.SELF_REPORTED
    series: Series | None = None


class Summary(OwnFacts, frozen=True, kw_only=True):
    """A record without its source texts, its curve and its log; the fields mean what they mean in a Record."""

    entry: Entry
    track: TrackRef
    dataset: DatasetRef
    environment: Machine
    source: SourceHash

    def __post_init__(self) -> None:
        # A summary may not say what the record may not say: the very same rules, which read fields that both have.
        Record.__post_init__(cast("Record", self))


class _Version(msgspec.Struct):
    schema: int


_Run = TypeVar("_Run", Record, Summary)

_BEGINS = re.compile(rb'\s*\{\s*"schema"\s*:')  # as the harness writes a record

_version = msgspec.json.Decoder(_Version)
_record = msgspec.json.Decoder(Record)
_summary = msgspec.json.Decoder(Summary)

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def decode(data: bytes, *, upgraders: Mapping[int, Upgrader] = UPGRADERS) -> Record:
    """The whole record in `data`, brought to this version's schema.

    Raises:
        RecordError: one line that names the place inside the JSON.
    """
    return _checked(data, _record, upgraders)


def decode_summary(data: bytes, *, upgraders: Mapping[int, Upgrader] = UPGRADERS) -> Summary:
    """What a board needs of the record in `data`; see `decode`. Fields that it leaves out are not checked."""
    return _checked(data, _summary, upgraders)


def check_place(path: Path, run: Record | Summary) -> None:
    """Raises RecordError for a record whose file is not named after it, or does not lie in its track's folder."""
    if path.name != f"{run.run_id}.json":
        raise RecordError("the file's name is not the run id - at `$.run_id`")
    if path.parent.name != run.track.id:
        raise RecordError("the folder's name is not the track - at `$.track.id`")


def check_size(size_bytes: int) -> None:
    """Raises RecordError for a file that is too large to be a record."""
    if size_bytes > RECORD_CAP_BYTES:
        raise RecordError(f"it has {size_bytes:,} bytes; a record has at most {RECORD_CAP_BYTES:,}")


def check_writable(record: Record) -> None:
    """Raises RecordError for what JSON cannot hold: NaN and infinity, which would come back as something else."""
    for path, value in _numbers(msgspec.to_builtins(record), "$"):
        if not math.isfinite(value):
            raise RecordError(f"{value} is no number that a record can hold - at `{path}`")


def _checked(data: bytes, decoder: msgspec.json.Decoder[_Run], upgraders: Mapping[int, Upgrader]) -> _Run:
    check_size(len(data))
    try:
        run = _decoded(data, decoder, upgraders)
    except _MALFORMED as error:
        raise RecordError(plain(str(error), 300)) from None
    _check(run)
    return run


def _decoded(data: bytes, decoder: msgspec.json.Decoder[_Run], upgraders: Mapping[int, Upgrader]) -> _Run:
    if decoder.type is Summary or _BEGINS.match(data):
        # It can't be without its version, so that a good one, as nearly all are, is gone through only once.
        with contextlib.suppress(*_MALFORMED):
            run = decoder.decode(data)
            if run.schema == SCHEMA_VERSION:
                return run
    version = _version.decode(data).schema
    if version > SCHEMA_VERSION:
        raise RecordError(
            f"made by a newer version (schema {version}, this one reads up to {SCHEMA_VERSION}); update speedrun"
        )
    if version == SCHEMA_VERSION:
        return decoder.decode(data)
    return msgspec.convert(_upgraded(msgspec.json.decode(data), version, upgraders), decoder.type)


def _upgraded(fields: dict[str, Any], version: int, upgraders: Mapping[int, Upgrader]) -> dict[str, Any]:
    for step in range(version, SCHEMA_VERSION):
        upgrade = upgraders.get(step)
        if upgrade is None:
            raise RecordError(f"schema {version} is not known (this version reads {SCHEMA_VERSION})")
        try:
            fields = upgrade(fields) | {"schema": step + 1}
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise RecordError(
                f"cannot be brought from schema {step} to {step + 1}: {plain(repr(error), 200)}"
            ) from None
    return fields


def _check(run: Record | Summary) -> None:
    """What types cannot say. JSON knows no NaN and no infinity, so every number is finite by now."""
    match = RUN_ID.fullmatch(run.run_id)
    if match is None:
        raise RecordError("not a run id, such as 20261121-141530-baseline-3f9a - at `$.run_id`")
    if match["entry"] != run.entry.name:
        raise RecordError("the run id names another entry - at `$.entry.name`")
    if TRACK_ID.fullmatch(run.track.id) is None:
        raise RecordError("not a track's id - at `$.track.id`")
    if not is_utc(run.started_at):
        raise RecordError("not a time in UTC, such as 2026-11-21T14:15:30+00:00 - at `$.started_at`")
    train_s = run.times.train_s
    if train_s is not None and train_s < 0:
        raise RecordError("a training time below zero - at `$.times.train_s`")
    for path, value in _counts(run):
        if _is_beyond(value):
            raise RecordError(f"an integer beyond 64 bits - at `$.{path}`")


def _is_beyond(value: int | None) -> bool:
    return value is not None and not -(2**63) <= value < 2**63


def is_utc(text: str) -> bool:
    """Whether it is a time in UTC to the second, such as 2026-11-21T14:15:30+00:00."""
    if _UTC_TIME.fullmatch(text) is None:
        return False
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


def _counts(run: Record | Summary) -> tuple[tuple[str, int | None], ...]:
    """The integers that boards and exports compute with: JSON's have no end, a column of a table has 64 bits."""
    score, artifact, twin = run.score, run.artifact, run.twin
    return (
        ("seed", run.seed),
        ("parameters", run.parameters),
        ("track.version", run.track.version),
        ("declared.steps", run.declared.steps),
        ("declared.tokens", run.declared.tokens),
        ("environment.threads", run.environment.threads),
        ("score.targets", score.targets if score else None),
        ("score.context_tokens", score.context_tokens if score else None),
        ("score.stride_tokens", score.stride_tokens if score else None),
        ("artifact.bytes", artifact.bytes if artifact else None),
        ("artifact.files", artifact.files if artifact else None),
        ("twin.sampled", twin.sampled if twin else None),
        ("twin.seed", twin.seed if twin else None),
        *_counts_of_tasks(run.downstream),
        *(_counts_of_the_whole(run) if isinstance(run, Record) else ()),
    )


def _counts_of_tasks(downstream: Downstream | None) -> Iterator[tuple[str, int | None]]:
    for index, task in enumerate(downstream.tasks if downstream is not None else ()):
        place = f"downstream.tasks[{index}]"
        yield f"{place}.documents", task.documents
        yield f"{place}.limit", task.limit
        yield f"{place}.shots", task.shots
        if task.twin is not None:
            yield f"{place}.twin.sampled", task.twin.sampled
            yield f"{place}.twin.seed", task.twin.seed


def _counts_of_the_whole(run: Record) -> Iterator[tuple[str, int | None]]:
    yield "ranks", run.ranks
    yield "environment.cores", run.environment.cores
    yield "environment.sandbox.landlock_abi", run.environment.sandbox.landlock_abi
    # Two hundred points: only one that is beyond is worth a name.
    numbers = [number for point in run.curve for number in (point.step, point.tokens) if number is not None]
    if _is_beyond(min(numbers, default=None)) or _is_beyond(max(numbers, default=None)):
        for index, point in enumerate(run.curve):
            yield f"curve[{index}].step", point.step
            yield f"curve[{index}].tokens", point.tokens


def _numbers(value: object, path: str) -> Iterator[tuple[str, float]]:
    if isinstance(value, float):
        yield path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _numbers(item, f"{path}[{index}]")
