"""Whether the harness could have written a record: by itself, and against today's track and data. Pure rules."""

import hashlib
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, NamedTuple

import msgspec

from harness.result import (
    BELOW_FLOOR_NATS,
    Device,
    Level,
    Record,
    Score,
    SourceFile,
    Tier,
    Times,
    TwinReport,
    source_sha256,
)
from leaderboard.store import Held

# The lowest score below its curve's last quarter among the first records is 0.005 nats; weights that are averaged, and
# what only training has (dropout, smoothed labels), are worth some hundredths more.
BELOW_CURVE_NATS: Final = 0.1
CLOCK_SLACK: Final = timedelta(minutes=10)  # between the clocks of two machines
TIMES_SLACK_S: Final = 0.01  # for rounding

# The twin's limits; harness/twin.py says what they mean, and a test holds these to them.
TWIN_SAMPLE_LEAST: Final = 512
TWIN_ROWS_A_TARGET: Final = 20
TWIN_MEAN_NATS: Final = 0.001
TWIN_MEAN_ALPHA: Final = 0.001
TWIN_SINGLE_NATS: Final = 0.5
TWIN_BLIND_NATS: Final = 0.01

_VOUCHED_LEVELS = (Level.NAMESPACES, Level.UID)
_STAMP = "%Y%m%d-%H%M%S"  # of a run's beginning, in its id
_SAFE_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")


class Check(StrEnum):
    """What was looked at; in the order in which findings are told."""

    FILE = "files"
    SIGNATURE = "signatures"
    RUN = "run"
    TRACK = "track"
    DATA = "data set"
    SOURCE = "source"
    SEED = "handed in twice"
    LIKENESS = "the same source"
    SCORE = "score"
    CURVE = "curve"
    TWIN = "twin"
    TIMES = "times"
    RANKED = "ranked"
    DUEL = "duels"
    RULING = "rulings"


class Say(NamedTuple):
    """Something that does not fit."""

    check: Check
    grave: bool
    words: str


class Terms(NamedTuple):
    """What the audit must know of a track as it is today."""

    version: int
    sha256: str
    objective: Literal["lowest-loss", "fastest-to-loss"]
    limit_s: float
    target_nats: float | None
    dataset: str
    targets: int | None  # None: all of the split
    max_context: int
    threads: int  # of all ranks together
    accelerators: int  # 0: it runs on the processor
    accelerator: str  # which one, in words
    meets: Callable[[Device], bool]  # whether a card is such a one: the rule by which runs get theirs
    artifact_bytes: int
    parameters: tuple[int, float]  # at least, at most
    declared_tokens: int  # at least
    floors: Mapping[int, float]  # scored targets → the generator's own loss on them


class Data(NamedTuple):
    """What it must know of a pinned data set as it is today."""

    sha256: str
    vocab_size: int


class Facts(NamedTuple):
    """What the records are held against."""

    tracks: Mapping[str, Terms]
    datasets: Mapping[str, Data]  # only those with pinned hashes
    now: datetime


def doubts(held: Held, facts: Facts) -> Iterator[Say]:
    """Everything that does not fit in one record."""
    record, terms = held.record, facts.tracks.get(held.record.track.id)
    yield from _file(held)
    yield from _signature(held)
    yield from _run(record, facts.now)
    yield from _track(record, terms)
    yield from _data(record, facts)
    yield from _source(record)
    yield from _score(record, terms)
    yield from _curve(record)
    yield from _twin(record)
    yield from _times(record.times, record)
    yield from _ranked(record, terms)


def purpose(record: Record) -> str:
    """What a run was made for together with others; empty: it stands alone."""
    return "" if record.series is None else record.series.purpose


def _file(held: Held) -> Iterator[Say]:
    """Decoding forgives more than the harness writes: a key twice, of which readers may take either, or padding.

    A field that the file lacks is none of this: an older harness did not know it.
    """
    fields = _as_written(msgspec.to_builtins(held.record), msgspec.json.decode(held.data))
    if held.data != msgspec.json.format(msgspec.json.encode(fields), indent=1) + b"\n":  # harness.result.encode's form
        yield Say(Check.FILE, True, "its bytes are not those that the harness writes for such a record")


def _as_written(value: object, written: object) -> object:
    """`value` without the fields of objects that `written` lacks. Both: plain JSON values."""
    if isinstance(value, dict) and isinstance(written, dict):
        return {name: _as_written(part, written[name]) for name, part in value.items() if name in written}
    if isinstance(value, list | tuple) and isinstance(written, list) and len(value) == len(written):
        return [_as_written(*parts) for parts in zip(value, written, strict=True)]
    return value


def _signature(held: Held) -> Iterator[Say]:
    verified = held.record.tier is Tier.VERIFIED
    if verified and held.signature is None:
        yield Say(Check.SIGNATURE, True, "says verified, and has no signature: it counts as self-reported")
    elif verified and held.signer is None:
        words = "is not signed by a maintainer, or not over these bytes, or with a key that was not valid then"
        yield Say(Check.SIGNATURE, True, f"says verified, and {words}: it counts as self-reported")
    elif held.signature is not None and held.signer is None:
        yield Say(Check.SIGNATURE, False, "is self-reported, and has a signature beside it that is not valid")
    if not verified:
        return
    record = held.record
    if record.environment.sandbox.level not in _VOUCHED_LEVELS and record.ran:
        level = record.environment.sandbox.level
        yield Say(Check.SIGNATURE, True, f"says verified, and ran at the sandbox level {level}")
    tasks = record.downstream.tasks if record.downstream is not None else ()
    for level in sorted({task.level for task in tasks} - set(_VOUCHED_LEVELS)):
        yield Say(Check.SIGNATURE, True, f"says verified, and was asked for tasks at the sandbox level {level}")
    if record.source.git_commit is None or record.source.git_clean is not True:
        yield Say(Check.SIGNATURE, True, "says verified, and its source was not known to have been committed")


def _run(record: Record, now: datetime) -> Iterator[Say]:
    started = datetime.fromisoformat(record.started_at)
    if not record.run_id.startswith(f"{started.strftime(_STAMP)}-"):
        yield Say(Check.RUN, True, f"its id names another time than its beginning, {record.started_at}")
    if not started <= now + CLOCK_SLACK:
        yield Say(Check.RUN, True, f"it began in the future, at {record.started_at}")


def _track(record: Record, today: Terms | None) -> Iterator[Say]:
    ran = record.track
    if today is None:
        yield Say(Check.TRACK, False, f"there is no track {ran.id} any more")
    elif ran.version > today.version:
        yield Say(Check.TRACK, True, f"ran on version {ran.version} of {ran.id}; today's is {today.version}")
    elif ran.version == today.version and (
        (ran.sha256, ran.objective, ran.limit_s, ran.target_nats)
        != (today.sha256, today.objective, today.limit_s, today.target_nats)
    ):
        yield Say(Check.TRACK, True, f"its terms of {ran.id}, version {ran.version}, are not those of the track's file")


def _data(record: Record, facts: Facts) -> Iterator[Say]:
    """Against the manifest of today, where the track is today's too; an older one may have had other data."""
    terms, ran = facts.tracks.get(record.track.id), record.dataset
    if terms is None or record.track.version != terms.version or not ran.official:
        return
    today = facts.datasets.get(ran.id)
    if ran.id != terms.dataset or today is None:
        yield Say(Check.DATA, True, f"calls {ran.id} official, which is not the track's data set with pinned hashes")
    elif (ran.sha256, ran.vocab_size) != (today.sha256, today.vocab_size):
        yield Say(Check.DATA, True, f"its {ran.id} is not the data of today's manifest")
    elif record.score is not None and ran.floor_nats != terms.floors.get(record.score.targets):
        yield Say(Check.DATA, True, f"tells another floor of {ran.id} than its manifest")


def _source(record: Record) -> Iterator[Say]:
    source = record.source
    wrong = [file.path for file in source.files if hashlib.sha256(_bytes(file)).hexdigest() != file.sha256]
    if wrong:
        yield Say(Check.SOURCE, True, f"the text of {wrong[0]} is not the one that its hash names")
    if source_sha256(source.files) != source.sha256:
        yield Say(Check.SOURCE, True, "the hash of its source is not the one of its files")
    unsafe = [file.path for file in source.files if not safe_path(file.path)]
    if unsafe:
        yield Say(Check.SOURCE, True, f"{unsafe[0]!a} is no path that an entry may have")
    twice = [path for path, times in Counter(file.path for file in source.files).items() if times > 1]
    if twice or not source.files:
        yield Say(Check.SOURCE, True, f"it holds {twice[0]} twice" if twice else "it holds no source")


def safe_path(path: str) -> bool:
    """Whether `path` is a relative posix path of names that an entry may have (harness/folder.py)."""
    parts = path.split("/")
    return len(parts) <= 5 and all(
        _SAFE_NAME.fullmatch(part) and part not in (".", "..") and len(part) <= 100 for part in parts
    )


def _score(record: Record, terms: Terms | None) -> Iterator[Say]:
    score, target = record.score, record.track.target_nats
    if score is None:
        return
    if score.target_met != (None if target is None else score.loss_nats <= target):
        yield Say(Check.SCORE, True, f"its loss of {score.loss_nats:g} does not go with what it says of the target")
    floor = record.dataset.floor_nats
    if floor is not None and not score.loss_nats >= floor - BELOW_FLOOR_NATS:
        yield Say(
            Check.SCORE, True, f"its loss of {score.loss_nats:g} is below {floor:g}, which no honest model passes"
        )
    if not score.loss_nats > 0:
        yield Say(Check.SCORE, True, "its loss is not above zero")
    if terms is not None and record.track.version == terms.version and record.scored:
        yield from _within(record, score, terms)


def _within(record: Record, score: Score, terms: Terms) -> Iterator[Say]:
    """What the harness would not have let pass on today's track."""
    if record.dataset.official and terms.targets not in (None, score.targets):
        yield Say(Check.SCORE, True, f"it was scored on {score.targets:,} targets, not on {terms.targets:,}")
    if not 1 <= score.stride_tokens <= score.context_tokens <= terms.max_context:
        yield Say(Check.SCORE, True, "its windows are not those that the track allows")
    least, most = terms.parameters
    counted = record.parameters
    if (least > 0 or most < math.inf) and not (counted is not None and least <= counted <= most):
        yield Say(Check.SCORE, True, f"it has {counted} parameters, which the track does not allow")
    if record.artifact is None or not record.artifact.bytes <= terms.artifact_bytes:
        yield Say(Check.SCORE, True, "its artifact is missing, or larger than the track allows")
    if terms.declared_tokens and not (record.declared.tokens or 0) >= terms.declared_tokens:
        yield Say(Check.SCORE, True, "it declared fewer training tokens than the track asks for")


def _curve(record: Record) -> Iterator[Say]:
    """The curve is the entry's own words, its times are ours."""
    times = [point.elapsed_s for point in record.curve]
    train_s = record.times.train_s
    if any(later < sooner for sooner, later in zip([0.0, *times], times, strict=False)):
        yield Say(Check.CURVE, True, "the times of its curve go backwards")
    if times and train_s is not None and not times[-1] <= train_s + TIMES_SLACK_S:
        yield Say(Check.CURVE, True, f"its curve goes on after training had ended, at {train_s:g} s")
    last = [
        point.loss_nats
        for point in record.curve
        if point.loss_nats is not None and 4 * point.elapsed_s >= 3 * times[-1]
    ]
    if record.scored and record.score is not None and last and record.score.loss_nats < min(last) - BELOW_CURVE_NATS:
        below = min(last) - record.score.loss_nats
        yield Say(Check.CURVE, False, f"its score is {below:.3f} nats below everything that its curve ends with")


def _twin(record: Record) -> Iterator[Say]:
    twin, score = record.twin, record.score
    if twin is None or score is None or not record.scored:
        return
    if twin.kind != "honest":
        yield Say(Check.TWIN, True, f"it is scored, and its twin found it {twin.kind}")
    elif not _passes(twin):
        yield Say(Check.TWIN, True, "its twin's numbers are not those of an honest run")
    if not _is_consistent(twin):
        yield Say(Check.TWIN, True, "its twin's numbers contradict each other")
    if not twin.sampled >= _sample_size(score):
        yield Say(Check.TWIN, True, f"its twin compared {twin.sampled} targets, {_sample_size(score)} are due")


def _passes(twin: TwinReport) -> bool:
    return (
        twin.p_value >= TWIN_MEAN_ALPHA
        and twin.largest_nats <= TWIN_SINGLE_NATS
        and twin.finds_advantage_nats <= TWIN_BLIND_NATS
    )


def _is_consistent(twin: TwinReport) -> bool:
    """The p-value is of a mean that is not above the limit: at the limit it is a half."""
    likely = twin.p_value >= 0.5 if twin.advantage_nats <= TWIN_MEAN_NATS else twin.p_value <= 0.5
    return (
        likely
        and 0 <= twin.p_value <= 1
        and twin.low_nats <= twin.advantage_nats <= twin.high_nats
        and twin.advantage_nats <= twin.largest_nats
        and twin.repeat_nats >= 0
        and twin.finds_advantage_nats >= TWIN_MEAN_NATS
    )


def _sample_size(score: Score) -> int:
    """How many targets the twin compares, by the number of scored rows."""
    stride, context = max(1, score.stride_tokens), min(score.context_tokens, score.targets)
    rows = 1 + max(0, -((context - score.targets) // stride))
    return min(score.targets, max(TWIN_SAMPLE_LEAST, -(-rows // TWIN_ROWS_A_TARGET)))


def _times(times: Times, record: Record) -> Iterator[Say]:
    seconds = msgspec.structs.asdict(times)
    negative = [name for name, value in seconds.items() if value is not None and not value >= 0]
    if negative:
        yield Say(Check.TIMES, True, f"{negative[0]} is below zero")
    # Saving beyond its allowance is in train_s as well.
    parts = sum(filter(None, (times.setup_s, times.train_s, times.load_s, times.score_s, times.twin_s)))
    if not parts <= times.total_s + TIMES_SLACK_S:
        yield Say(Check.TIMES, True, f"its parts took {parts:.2f} s, and all of it {times.total_s:.2f} s")
    if record.scored and not (times.train_s is not None and times.train_s <= record.track.limit_s):
        yield Say(Check.TIMES, True, f"it is scored, and trained longer than {record.track.limit_s:g} s")


def _ranked(record: Record, terms: Terms | None) -> Iterator[Say]:
    """What the harness never ranks."""
    if not record.ranked:
        return
    environment, dataset = record.environment, record.dataset
    if environment.sandbox.level is Level.NONE:
        yield Say(Check.RANKED, True, "is ranked, and ran without a sandbox")
    if record.overrides:
        yield Say(Check.RANKED, True, "is ranked, and fields of Config were set on the command line")
    if not dataset.official or dataset.pinned is False:
        yield Say(Check.RANKED, True, "is ranked, and its data set is not the track's with pinned hashes")
    if purpose(record) == "reproduce":
        yield Say(Check.RANKED, True, "is ranked, and was made to reproduce another run")
    if terms is None or record.track.version != terms.version:
        return
    if environment.threads != terms.threads:
        words = f"is ranked, and had {environment.threads} threads; the track grants {terms.threads}"
        yield Say(Check.RANKED, True, words)
    if len(environment.devices) != terms.accelerators:
        words = f"is ranked, and had {len(environment.devices)} accelerators; the track asks for {terms.accelerators}"
        yield Say(Check.RANKED, True, words)
    wrong = [card for card in environment.devices if not terms.meets(card)] if terms.accelerators else []
    if wrong:
        words = f"is ranked, and ran on {wrong[0].name}, {wrong[0].memory_gib:g} GiB; the track asks for"
        yield Say(Check.RANKED, True, f"{words} {terms.accelerator}")


def _bytes(file: SourceFile) -> bytes:
    return file.text.encode(errors="surrogatepass")
