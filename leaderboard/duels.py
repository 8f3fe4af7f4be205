"""Two entries run in turns on one machine: what such a duel wrote down, and what it shows, computed when it is read.

A duel's file holds who ran against whom and which runs make its pairs, but no time and no loss: those come from the
runs' own records. A pair is worth something only because its runs were made side by side, so one that the records do
not bear out in every point is left out, and named.

After k pairs the interval has the confidence 1 − look_alpha(k, most_pairs, alpha). A duel that ends at the first look
that settles it settles it wrongly with probability `alpha` at most (leaderboard/stats.py says why, a simulation among
the tests shows it).

Not covered: who starts one duel after the other until one is settled as he likes. All of them are on disk.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

import msgspec

from harness.result import DatasetRef, Device, Level, Tier, TrackRef
from leaderboard.conduct import MOST_FAILURES, cheated, failed
from leaderboard.digits import LEAST, decimals
from leaderboard.schema import ENTRY_NAME, RUN_ID, TRACK_ID, RecordError, Summary
from leaderboard.stats import Interval, difference_interval, look_alpha, mean, pairs_to_settle, ratio_interval
from leaderboard.text import plain

# 1: the first.
SCHEMA_VERSION: Final = 1
DUEL_CAP_BYTES: Final = 2**18
MOST_PAIRS: Final = 500
MOST_UNLISTED: Final = 1  # scored runs of a side that are in no pair: the one that a stopped duel was about to pair

DUEL_ID: Final = re.compile(rf"[0-9]{{8}}-[0-9]{{6}}-(?P<purpose>duel|retime)-(?P<entry>{ENTRY_NAME})-[0-9a-f]{{4,32}}")
RETIMING: Final = "it re-times a record"  # why a run of a re-timing is not ranked

_SHA256 = re.compile(r"[0-9a-f]{64}")
_LEAST_S, _MOST = 1e-9, 1e9  # of a value that is worth computing with, in seconds or nats
_TIME = "%Y-%m-%dT%H:%M:%SZ"

Name = Literal["a", "b"]


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of a duel: immutable, by keyword only, and no unknown field passes."""


class Side(_Part, frozen=True, kw_only=True):
    """One of the two: what is the same in all of its runs."""

    entry: str
    source_sha256: str
    overrides: dict[str, str] = {}

    def __post_init__(self) -> None:
        if not re.fullmatch(ENTRY_NAME, self.entry):
            raise ValueError("entry must be an entry's name")
        if not _SHA256.fullmatch(self.source_sha256):
            raise ValueError("source_sha256 must be 64 hexadecimal digits")


class Pair(_Part, frozen=True, kw_only=True):
    """Two runs, one straight after the other."""

    a: str  # run ids
    b: str
    first: Name  # which of them ran first


class Duel(_Part, frozen=True, kw_only=True):
    """A duel as it is written down. `leaderboard/duels/<track>/<duel_id>.json` holds one of these.

    Raises:
        ValueError: when the parts make no sense together (msgspec turns it into a ValidationError on decoding).
    """

    schema: int = SCHEMA_VERSION
    duel_id: str  # e.g. 20261121-141530-duel-mine-3f9a
    purpose: Literal["duel", "retime"]
    track: TrackRef
    started_at: str  # UTC, ISO 8601, whole seconds, e.g. 2026-11-21T14:15:30Z
    a: Side  # who challenges; of a re-timing, the later record
    b: Side
    pairs: tuple[Pair, ...] = ()
    most_pairs: int  # that were allowed when it began
    alpha: float  # probability of settling anything if both sides are equal, over all looks
    tier: Tier = Tier.SELF_REPORTED

    def __post_init__(self) -> None:
        if self.schema != SCHEMA_VERSION:
            raise ValueError(f"schema {self.schema} is not known (this version reads {SCHEMA_VERSION})")
        named = DUEL_ID.fullmatch(self.duel_id)
        if named is None or named["purpose"] != self.purpose or named["entry"] != self.a.entry:
            raise ValueError("duel_id must be like 20261121-141530-duel-mine-3f9a and name the purpose and side a")
        if TRACK_ID.fullmatch(self.track.id) is None:
            raise ValueError("track.id must be a track's id")
        if datetime.strptime(self.started_at, _TIME).strftime(_TIME) != self.started_at:
            raise ValueError("started_at must be a time in UTC, such as 2026-11-21T14:15:30Z")
        if (self.a.source_sha256, self.a.overrides) == (self.b.source_sha256, self.b.overrides):
            raise ValueError("both sides are the same source with the same settings")
        if not 2 <= self.most_pairs <= MOST_PAIRS or len(self.pairs) > self.most_pairs:
            raise ValueError(f"most_pairs must be from 2 to {MOST_PAIRS} and not below the number of pairs")
        if not 0 < self.alpha < 0.5:
            raise ValueError("alpha must lie between 0 and 0.5")
        for pair in self.pairs:
            for run_id, side in ((pair.a, self.a), (pair.b, self.b)):
                run = RUN_ID.fullmatch(run_id)
                if run is None or run["entry"] != side.entry:
                    raise ValueError("a pair must name a run of each side's entry")


class JudgedPair(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that counts, in the track's measure: seconds of training, or nats a token."""

    number: int  # of the duel's pairs, from 1
    a: float
    b: float
    effect: float  # a / b of times, a − b of losses


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    """A pair that does not count."""

    number: int
    why: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a duel shows."""

    measure: Literal["ratio", "difference"]  # of training times, a / b; of losses in nats a token, a − b
    pairs: tuple[JudgedPair, ...]
    left_out: tuple[LeftOut, ...]
    failed_a: int  # runs of this side that ended by its own fault
    failed_b: int
    estimate: float | None  # mean effect, geometric of ratios; None: no pair counts
    interval: Interval | None  # of it; None: too few pairs, no scatter, or wider than numbers go
    gain: float | None  # mean of b − mean of a, in seconds or nats a token: above zero, a is better
    settled: Name | None  # who is better: faster, or lower in loss; None: nobody knows
    practice: bool  # some of its runs could not be ranked
    tier: Tier  # verified: the duel, and every run of its pairs
    pairs_needed: int | None  # that a new duel would have to allow if all stays as it seems; None: nobody knows
    words: str  # one line

    @property
    def counts(self) -> bool:
        """Whether it settles something for the board, too: it is verified, and all of its runs could be ranked."""
        return self.settled is not None and not self.practice and self.tier is Tier.VERIFIED


def encode(duel: Duel) -> bytes:
    """The duel as indented JSON, UTF-8, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(duel), indent=1) + b"\n"


def decode(data: bytes) -> Duel:
    """The duel in `data`.

    Raises:
        RecordError: one line that names the place inside the JSON.
    """
    if len(data) > DUEL_CAP_BYTES:
        raise RecordError(f"it has {len(data):,} bytes; a duel has at most {DUEL_CAP_BYTES:,}")
    try:
        return _duel.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RecordError(plain(str(error), 300)) from None


def names(duel: Duel) -> tuple[str, str]:
    """What to call the two sides: by their entries, and by what else it takes to tell them apart."""
    a, b = duel.a, duel.b
    if a.entry != b.entry:
        return a.entry, b.entry
    if a.source_sha256 != b.source_sha256:
        return f"{a.entry} {a.source_sha256[:8]}", f"{b.entry} {b.source_sha256[:8]}"
    return _with_settings(a), _with_settings(b)


def judge(duel: Duel, runs: Mapping[str, Summary]) -> Outcome:
    """What the duel shows, by the records of its runs. Pure.

    A pair counts when both of its runs are there, name this duel as their series, are of its sides and its track, were
    scored, were made on the same data in the same environment as those of the pairs before it and in the order that it
    says, and are in no other pair. Nobody wins who cheated in one run or failed in two, whose mean loss misses the
    target, or who has more runs of this duel outside its pairs than stopping it explains.

    Args:
        duel: as leaderboard.duel_store gives it: its tier is lowered where its signature is not valid.
        runs: run id → summary, of all runs that may be relied on (without those retracted, say), with tiers lowered
            likewise. Runs of other duels don't matter.
    """
    counting, left_out = _sorted_out(duel, runs)
    pairs = tuple(pair.judged for pair in counting)
    ratio = duel.track.objective == "fastest-to-loss"
    confidence = 1 - look_alpha(len(pairs), duel.most_pairs, duel.alpha)
    values = [(pair.a, pair.b) for pair in pairs]
    interval = ratio_interval(values, confidence) if ratio else difference_interval(values, confidence)
    # Whoever likes can write a record that names a signed duel: beside that only signed runs count.
    members = [
        run
        for run in runs.values()
        if run.series is not None
        and run.series.id == duel.duel_id
        and (run.tier is Tier.VERIFIED or duel.tier is not Tier.VERIFIED)
    ]
    standing_a = _standing(duel.a, [pair.a for pair in counting], members, duel)
    standing_b = _standing(duel.b, [pair.b for pair in counting], members, duel)
    better = _better(interval, 1.0 if ratio else 0.0)
    against = (standing_a if better == "a" else standing_b).against if better else ""
    settled = None if against else better
    effects = [math.log(pair.effect) if ratio else pair.effect for pair in pairs]
    known = [run for pair in duel.pairs for run in (runs.get(pair.a), runs.get(pair.b)) if run is not None]
    verified = duel.tier is Tier.VERIFIED and all(run.tier is Tier.VERIFIED for run in known)
    outcome = Outcome(
        measure="ratio" if ratio else "difference",
        pairs=pairs,
        left_out=left_out,
        failed_a=standing_a.failed,
        failed_b=standing_b.failed,
        estimate=(math.exp(mean(effects)) if ratio else mean(effects)) if effects else None,
        interval=interval,
        gain=mean([pair.b for pair in pairs]) - mean([pair.a for pair in pairs]) if pairs else None,
        settled=settled,
        practice=any(not _rankable(run, duel) for pair in counting for run in (pair.a, pair.b)),
        tier=Tier.VERIFIED if verified else Tier.SELF_REPORTED,
        pairs_needed=None if better else pairs_to_settle(effects, duel.alpha, most=MOST_PAIRS),
        words="",
    )
    return msgspec.structs.replace(outcome, words=_words(duel, outcome, better, against))


class _Conditions(NamedTuple):
    """What must be the same in all runs of a duel."""

    dataset: DatasetRef
    cpu: str
    threads: int
    devices: tuple[Device, ...]  # with their drivers
    packages: Mapping[str, str]
    level: Level


class _Counting(NamedTuple):
    """A pair that counts, and its runs."""

    judged: JudgedPair
    a: Summary
    b: Summary


class _Standing(NamedTuple):
    """How a side got through the duel."""

    failed: int
    against: str  # why it can't win; empty: nothing


def _sorted_out(duel: Duel, runs: Mapping[str, Summary]) -> tuple[list[_Counting], tuple[LeftOut, ...]]:
    times_named = Counter(run_id for pair in duel.pairs for run_id in (pair.a, pair.b))
    counting: list[_Counting] = []
    left_out: list[LeftOut] = []
    conditions: _Conditions | None = None
    for number, pair in enumerate(duel.pairs, 1):
        a, b = runs.get(pair.a), runs.get(pair.b)
        why = _problem(pair.a, a, duel.a, duel, times_named) or _problem(pair.b, b, duel.b, duel, times_named)
        if why or a is None or b is None:
            left_out.append(LeftOut(number=number, why=why))
            continue
        first, second = (a, b) if pair.first == "a" else (b, a)
        conditions = conditions or _conditions(first)
        if not first.started_at[:19] <= second.started_at[:19]:
            left_out.append(LeftOut(number=number, why="its runs were made in the other order"))
        elif not _conditions(first) == _conditions(second) == conditions:
            why = "its runs were not all made on the data, the machine and the software of the others"
            left_out.append(LeftOut(number=number, why=why))
        else:
            value_a, value_b = _value(a, duel), _value(b, duel)
            effect = value_a / value_b if duel.track.objective == "fastest-to-loss" else value_a - value_b
            counting.append(_Counting(JudgedPair(number=number, a=value_a, b=value_b, effect=effect), a, b))
    return counting, tuple(left_out)


def _problem(run_id: str, run: Summary | None, side: Side, duel: Duel, times_named: Mapping[str, int]) -> str:
    """Why a run, and with it its pair, does not count; empty: it does."""
    if run is None:
        return f"run {run_id} is not there"
    if times_named[run_id] > 1:
        return f"run {run_id} is named more than once"
    if run.series is None or (run.series.id, run.series.purpose) != (duel.duel_id, duel.purpose):
        return f"run {run_id} was not made for this duel"
    if not _is_of(run, side):
        return f"run {run_id} is not of {side.entry}'s source and settings"
    if run.track != duel.track:
        return f"run {run_id} is not of the duel's track"
    if not run.scored:
        return f"run {run_id} ended as {run.verdict}"
    least = _LEAST_S if duel.track.objective == "fastest-to-loss" else -_MOST
    if not least <= _value(run, duel) <= _MOST:
        return f"run {run_id} has no number to compare"
    return ""


def _is_of(run: Summary, side: Side) -> bool:
    return (run.entry.name, run.source.sha256, run.overrides) == (side.entry, side.source_sha256, side.overrides)


def _value(run: Summary, duel: Duel) -> float:
    """Of a run in the track's measure; NaN: there is none."""
    if duel.track.objective == "fastest-to-loss":
        return math.nan if run.times.train_s is None else run.times.train_s
    return math.nan if run.score is None else run.score.loss_nats


def _conditions(run: Summary) -> _Conditions:
    machine = run.environment
    return _Conditions(
        run.dataset, machine.cpu, machine.threads, machine.devices, machine.packages, machine.sandbox.level
    )


def _rankable(run: Summary, duel: Duel) -> bool:
    """Whether nothing speaks against it but that it was made for a re-timing."""
    return run.ranked or (duel.purpose == "retime" and run.unranked_because == (RETIMING,))


def _standing(side: Side, counting: Sequence[Summary], members: Sequence[Summary], duel: Duel) -> _Standing:
    """counting: its runs that count; members: all runs of both sides that name this duel, also those in no pair."""
    own = [run for run in members if _is_of(run, side)]
    failures = sum(map(failed, own))
    listed = {run_id for pair in duel.pairs for run_id in (pair.a, pair.b)}
    unlisted = sum(run.scored and run.run_id not in listed for run in own)
    loss_nats = mean([run.score.loss_nats for run in counting if run.score is not None])
    target_nats = duel.track.target_nats
    against = ""
    if words := cheated(own):
        against = words
    elif failures > MOST_FAILURES:  # its slow runs may be among those that failed
        against = f"it failed {failures} times"
    elif unlisted > MOST_UNLISTED:
        against = f"{unlisted} of its runs of this duel are in no pair"
    elif target_nats is not None and not loss_nats <= target_nats:
        against = f"its mean loss of {loss_nats:.4f} misses the target of {target_nats:g}"
    return _Standing(failures, against)


def _better(interval: Interval | None, neutral: float) -> Name | None:
    """Whose times or losses are lower, by an interval that leaves out where both are equal."""
    if interval is None:
        return None
    return "a" if interval.high < neutral else "b" if interval.low > neutral else None


def _words(duel: Duel, outcome: Outcome, better: Name | None, against: str) -> str:
    name_a, name_b = names(duel)
    counted = f"{len(outcome.pairs)} {'pair' if len(outcome.pairs) == 1 else 'pairs'}"
    if better is None:
        if not outcome.pairs:
            return "not settled: no pair counts"
        if len(outcome.pairs) < 2:
            return f"not settled: {counted} counts, it takes two at least"
        if outcome.interval is None and len({pair.effect for pair in outcome.pairs}) == 1:
            return f"not settled: all {counted} differ by exactly the same; nothing can be tested without scatter"
        return f"not settled after {counted}: {_effect(outcome)}"
    winner, loser = (name_a, name_b) if better == "a" else (name_b, name_a)
    lead = "is faster than" if outcome.measure == "ratio" else "has a lower loss than"
    if against:
        return f"not settled: {winner} {lead} {loser} by {counted}, but {against}"
    return f"{winner} {lead} {loser}: {_effect(outcome)}, {counted}"


def _effect(outcome: Outcome) -> str:
    """The effect and its interval."""
    what = "ratio of times" if outcome.measure == "ratio" else "difference of losses"
    return f"{what} {spread(outcome)}"


def spread(outcome: Outcome) -> str:
    """The effect and its interval in numbers: 0.9700 (0.9500 to 0.9900 at 99.963 %)."""
    ratio, interval = outcome.measure == "ratio", outcome.interval
    if outcome.estimate is None:
        return "–"
    digits = LEAST if interval is None else decimals(interval.low, interval.high, 1.0 if ratio else 0.0)
    form = f"{{:{'' if ratio else '+'}.{digits}f}}"
    told = form.format(outcome.estimate)
    if interval is None:
        return f"{told} (no interval yet)"
    low, high = form.format(interval.low), form.format(interval.high)
    percent = math.floor(interval.confidence * 1e6) / 1e4  # never rounded up: there is no certainty
    return f"{told} ({low} to {high} at {percent:g} %)"


def _with_settings(side: Side) -> str:
    settings = ", ".join(f"{name}={value}" for name, value in sorted(side.overrides.items()))
    return plain(f"{side.entry} ({settings or 'as it is'})", 100)


_duel = msgspec.json.Decoder(Duel)
