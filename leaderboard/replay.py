"""Who held the record, since when, and why: replayed from runs, duels and rulings whenever it is read.

A history belongs to what a section of the board belongs to: one track (as its file was), one data set, one kind of
hardware. Only verified, ranked, unretracted runs make records, and only runs with one version of torch are taken
together or tested against each other. Runs are looked at in the order of time, those of one series at once when it
ends, so that luck half-way through a verification does not count. A variant with as many runs as the track asks for,
whose mean loss is shown to lie below the target where there is one, becomes the record when

- there is none yet; or
- `lowest-loss`: Welch's one-sided test against the standing record's runs gives p below the track's alpha, and its mean
  is lower by the track's least gain or more; or
- `fastest-to-loss`: a verified duel with the standing record's variant on that hardware is settled for it, by the least
  gain or more, and none is settled against it. Means of times from different days prove nothing.

Everything fails closed. A variant becomes the record once; its numbers are the means over all its runs until it was
beaten. Old versions of a track keep their histories, judged by today's alpha and least gain.

What would stand but for a retraction stays visible, and the history goes on as if it had not been. A variant that would
beat the record were it verified, or is the best where there is none, is a claim, and so is a verified one that lacks
its duel. Re-timings stand beside the record that they re-time and change nothing.

Not covered: whoever verifies an entry again and again until a test is passed by luck. Every run of it is on disk.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from harness.result import Tier, TrackRef
from leaderboard.alike import Place, Variant, in_order, place, set_apart, torch, variant
from leaderboard.duels import Duel, Outcome, Side, judge
from leaderboard.history import Evidence, History, Step
from leaderboard.ranking import Standing, TrackRules, finite, marks, place_order, target_standing, waived_variants
from leaderboard.rulings import NO_RULINGS, Rulings
from leaderboard.schema import Summary
from leaderboard.stats import Interval, mean, p_below, p_less, sample_sd


def histories(
    runs: Iterable[Summary],
    duels: Iterable[Duel],
    rules: Mapping[str, TrackRules],
    rulings: Rulings = NO_RULINGS,
) -> tuple[History, ...]:
    """The histories of all sections that have a record, a claim or a retracted record.

    Args:
        runs: in any order, each once; the tier of one without a valid signature is self-reported already.
        duels: likewise.
        rules: track id → rules, in the order in which the tracks are to be shown; other tracks have no history.
        rulings: what maintainers ruled.
    """
    ordered = in_order(runs)
    waivers = waived_variants(ordered, rulings)
    places: dict[Place, list[Summary]] = {}
    for run in ordered:
        if run.track.id in rules:
            places.setdefault(place(run), []).append(run)
    bouts: dict[Place, list[_Bout]] = {}
    for bout in _bouts(ordered, duels, rulings):
        bouts.setdefault(bout.place, []).append(bout)
    found: dict[Place, History] = {}
    for here, of_place in places.items():
        today = rules[here.track.id]
        waived = {of: reason for (track, of), reason in waivers.items() if track == here.track}
        replay = _Replay(here.track, today, waived, rulings.retracted, bouts.get(here, ()))
        steps, claims = replay.steps(of_place), replay.claims(of_place)
        if steps or claims:
            found[here] = History(
                track=here.track,
                dataset=here.dataset,
                hardware=here.hardware,
                current_version=here.track.version == today.version,
                marks=(),
                steps=steps,
                claims=claims,
            )
    return tuple(
        msgspec.structs.replace(found[here], marks=marks(here, rules, found))
        for here in sorted(found, key=lambda here: place_order(here, rules, found))
    )


class _Moment(NamedTuple):
    """When something was complete; the id makes it one order."""

    second: str
    run_id: str


class _Group(NamedTuple):
    """Runs that are taken together."""

    variant: Variant
    torch: str


class _Bout(NamedTuple):
    """A duel, judged; its sides, and where and when its runs were made."""

    duel: Duel
    a: Variant
    b: Variant
    place: Place
    torch: str
    at: _Moment  # of its last run
    runs: Mapping[str, Summary]  # that count
    outcome: Outcome  # without retracted runs
    unretracted: Outcome  # as if nothing had been retracted


class _Event(NamedTuple):
    """A series of verified runs ended, or a duel was over."""

    at: _Moment
    order: int  # a duel comes after its own runs, which end in the same moment
    runs: Sequence[Summary]
    bout: _Bout | None


class _Draft(NamedTuple):
    """A step whose numbers may still change."""

    kind: Literal["record", "retracted"]
    number: int | None
    group: _Group
    since: str
    evidence: Evidence
    runs: Sequence[Summary]


class _Replay:
    """The history of one section as it came about: `steps` first, then `claims`."""

    def __init__(
        self,
        track: TrackRef,
        rules: TrackRules,
        waived: Mapping[Variant, str],
        retracted: Mapping[str, str],
        bouts: Sequence[_Bout],
    ) -> None:
        self._track = track
        self._rules = rules
        self._waived = waived
        self._retracted = retracted
        self._bouts = bouts
        self._timed = track.objective == "fastest-to-loss"
        self._pool: dict[_Group, list[Summary]] = {}  # verified runs until now, retracted ones too
        self._fought: list[_Bout] = []  # duels until now
        self._drafts: list[_Draft] = []

    def steps(self, runs: Sequence[Summary]) -> tuple[Step, ...]:
        """The section's steps, given all of its runs in order."""
        for event in self._events(runs):
            for run in event.runs:
                self._pool.setdefault(_group(run), []).append(run)
            if event.bout is not None:
                self._fought.append(event.bout)
            self._look(event.at.second[:10])
        return tuple(step for draft in self._drafts for step in (self._finished(draft), *self._retimings(draft)))

    def claims(self, runs: Sequence[Summary]) -> tuple[Step, ...]:
        """What would be a record but for something that is still to come; each entry's best, the best first."""
        waiting: dict[_Group, list[Summary]] = {}
        judged = {group.variant for group in self._pool if len(self._clean(group)) >= self._rules.runs}
        for run in runs:
            if _counts(run, Tier.SELF_REPORTED) and run.run_id not in self._retracted and variant(run) not in judged:
                waiting.setdefault(_group(run), []).append(run)
        waiting |= {group: self._clean(group) for group in self._pool if group.variant in judged}
        found = [
            self._step("claim", None, of, of[-1].started_at[:10], evidence)
            for group, of in waiting.items()
            if (evidence := self._claim(group, of)) is not None
        ]
        best: dict[str, Step] = {}
        for step in sorted(found, key=lambda step: (step.measure, step.run_ids)):
            best.setdefault(step.entry, step)
        return tuple(best.values())[: None if self._record else 1]

    def _events(self, runs: Iterable[Summary]) -> list[_Event]:
        series: dict[tuple[str, str], list[Summary]] = {}
        for run in runs:
            if _counts(run, Tier.VERIFIED):
                key = ("", run.run_id) if run.series is None else (run.series.purpose, run.series.id)
                series.setdefault(key, []).append(run)
        ended = [_Event(_moment(of[-1]), 0, of, None) for of in series.values()]
        fought = [_Event(bout.at, 1, (), bout) for bout in self._bouts if bout.duel.purpose == "duel"]
        return sorted(ended + fought, key=lambda event: event[:2])

    def _look(self, today: str) -> None:
        """Makes a record of whatever is one by now, and notes what would be one but for a retraction."""
        if (record := self._record) is not None:
            self._drafts[self._drafts.index(record)] = record._replace(runs=self._clean(record.group))
        while (found := self._best_of([(group, self._clean(group)) for group in self._pool])) is not None:
            group, runs, evidence = found
            number = sum(draft.kind == "record" for draft in self._drafts) + 1
            self._drafts.append(_Draft("record", number, group, today, evidence, runs))
        spoilt = [(group, list(runs)) for group, runs in self._pool.items() if len(self._clean(group)) < len(runs)]
        while (found := self._best_of(spoilt, unretracted=True)) is not None:
            group, runs, evidence = found
            self._drafts.append(_Draft("retracted", None, group, today, evidence, runs))

    def _best_of(
        self, groups: Iterable[tuple[_Group, Sequence[Summary]]], *, unretracted: bool = False
    ) -> tuple[_Group, Sequence[Summary], Evidence] | None:
        """The best of the groups that beats the standing record, among variants that had no step of this kind yet."""
        kinds = ("record", "retracted") if unretracted else ("record",)
        had = {draft.group.variant for draft in self._drafts if draft.kind in kinds}
        fresh = [(group, runs) for group, runs in groups if group.variant not in had]
        for group, runs in sorted(fresh, key=lambda found: (self._order(found[1]), found[0])):
            if (evidence := self._evidence(group, runs, unretracted)) is not None:
                return group, runs, evidence
        return None

    def _evidence(self, group: _Group, runs: Sequence[Summary], unretracted: bool) -> Evidence | None:
        """Why these runs make a record; None: they do not."""
        passed = self._passed(group, runs)
        if passed is None:
            return None
        record = self._record
        if record is None:
            return msgspec.structs.replace(passed, words=_joined("the first that qualifies", passed.words))
        beaten = (
            self._duelled(group, record, unretracted)
            if self._timed
            else self._tested(runs, self._clean(_Group(record.group.variant, group.torch)), record)
        )
        if beaten is None:
            return None
        return msgspec.structs.replace(beaten, words=_joined(beaten.words, passed.words), target_p=passed.target_p)

    def _passed(self, group: _Group, runs: Sequence[Summary]) -> Evidence | None:
        """What is asked of every record whatever stood before it: enough runs, numbers, the target."""
        if not group.torch or not len(runs) >= self._rules.runs or not math.isfinite(self._order(runs)):
            return None
        losses, target = _losses(runs), self._track.target_nats
        standing, note = target_standing(losses, target, self._rules.alpha, self._waived.get(group.variant))
        if standing is not Standing.RANKED or target is None:
            return Evidence(words="") if standing is Standing.RANKED else None
        p = finite(p_below(losses, target))
        return Evidence(words=note or f"mean loss {mean(losses):.4f} below {target:g} (p = {p:.2g})", target_p=p)

    def _tested(self, runs: Sequence[Summary], theirs: Sequence[Summary], record: _Draft) -> Evidence | None:
        """Lowest loss: Welch's test, and the least gain."""
        gain = mean(_losses(theirs)) - mean(_losses(runs))
        if not gain >= self._rules.least_gain:
            return None
        p = p_less(_losses(runs), _losses(theirs))
        if not p < self._rules.alpha:
            return None
        return Evidence(words=f"{gain:.4f} nats below record {record.number} (p = {p:.2g})", gain=gain, p_value=p)

    def _duelled(self, group: _Group, record: _Draft, unretracted: bool) -> Evidence | None:
        """Fastest to a loss: the last duel that was settled, and none settled against it."""
        found = None
        for bout in self._fought:
            if bout.torch != group.torch or {bout.a, bout.b} != {group.variant, record.group.variant}:
                continue
            outcome = bout.unretracted if unretracted else bout.outcome
            if not outcome.counts or outcome.gain is None or outcome.interval is None:
                continue
            if not bout.duel.alpha <= self._rules.alpha:
                continue
            ours = bout.a == group.variant
            if outcome.settled != ("a" if ours else "b"):
                return None
            gain, interval = (outcome.gain, outcome.interval) if ours else (-outcome.gain, _inverse(outcome.interval))
            if gain >= self._rules.least_gain and interval.high < 1:
                words = f"{gain:.2f} s faster than record {record.number} in a duel of {len(outcome.pairs)} pairs, "
                words += f"{_ratio(interval)} of its time"
                found = Evidence(words=words, gain=gain, duel_id=bout.duel.duel_id, interval=interval)
        return found

    def _claim(self, group: _Group, runs: Sequence[Summary]) -> Evidence | None:
        """What these runs would be, and what they wait for; None: nothing."""
        record, passed = self._record, self._passed(group, runs)
        if passed is None or any(draft.group.variant == group.variant for draft in self._drafts if draft.number):
            return None
        verified = runs[-1].tier is Tier.VERIFIED
        waits = "" if verified else "waits for verification"
        if record is None:
            return msgspec.structs.replace(passed, words=_joined("the best so far", passed.words, waits))
        same_torch = self._clean(_Group(record.group.variant, group.torch))
        if self._timed:
            gain = mean(_times(record.runs)) - mean(_times(runs))
            beaten = Evidence(words=f"{gain:.2f} s faster than record {record.number} by the means", gain=gain)
            waits = _joined(waits, f"waits for a verified duel with record {record.number}")
        elif len(same_torch) < 2:
            gain = mean(_losses(record.runs)) - mean(_losses(runs))
            beaten = Evidence(words=f"{gain:.4f} nats below record {record.number}", gain=gain)
            waits = _joined(waits, f"waits for verified runs of record {record.number} with torch {group.torch}")
        else:
            tested = None if verified else self._tested(runs, same_torch, record)
            if tested is None or tested.gain is None:
                return None
            beaten, gain = tested, tested.gain
        if not gain >= self._rules.least_gain:
            return None
        words = _joined(beaten.words, passed.words, waits)
        return msgspec.structs.replace(beaten, words=words, target_p=passed.target_p)

    def _retimings(self, draft: _Draft) -> list[Step]:
        """The duels that measured this record again, against the one before it."""
        numbers = {each.group.variant: each.number for each in self._drafts if each.kind == "record"}
        steps = []
        for bout in self._bouts:
            if bout.duel.purpose != "retime" or draft.kind != "record" or bout.a != draft.group.variant:
                continue
            outcome = bout.outcome
            pairs = [bout.duel.pairs[pair.number - 1] for pair in outcome.pairs]
            if not pairs:
                continue
            before = numbers.get(bout.b)
            words = f"measured again, in turns with {f'record {before}' if before else bout.b.entry}"
            words += f", {len(pairs)} {'pair' if len(pairs) == 1 else 'pairs'}"
            if outcome.interval is not None:
                told = f"{_ratio(outcome.interval)} of its time" if self._timed else _difference(outcome.interval)
                words += f": {told}"
            evidence = Evidence(words=words, gain=outcome.gain, duel_id=bout.duel.duel_id, interval=outcome.interval)
            again = [bout.runs[pair.a] for pair in pairs]
            step = self._step("re-timing", draft.number, again, bout.at.second[:10], evidence)
            steps.append(msgspec.structs.replace(step, tier=outcome.tier))
        return steps

    def _finished(self, draft: _Draft) -> Step:
        step = self._step(draft.kind, draft.number, draft.runs, draft.since, draft.evidence)
        if draft.kind == "record":
            return step
        reasons = dict.fromkeys(self._retracted[run] for run in step.run_ids if run in self._retracted)
        words = _joined(f"retracted: {'; '.join(reasons)}", draft.evidence.words)
        return msgspec.structs.replace(step, evidence=msgspec.structs.replace(draft.evidence, words=words))

    def _step(
        self,
        kind: Literal["record", "re-timing", "retracted", "claim"],
        number: int | None,
        runs: Sequence[Summary],
        since: str,
        evidence: Evidence,
    ) -> Step:
        last, losses, times = runs[-1], _losses(runs), _times(runs)
        measured = times if self._timed else losses
        return Step(
            kind=kind,
            number=number,
            entry=last.entry.name,
            title=last.entry.title,
            authors=last.entry.authors,
            technique=last.entry.technique,
            source_sha256=last.source.sha256,
            overrides=variant(last).overrides,
            torch=torch(last),
            tier=last.tier,
            measure=mean(measured),
            measure_sd=sample_sd(measured),
            loss_nats=finite(mean(losses)),
            train_s=finite(mean(times)),
            run_ids=tuple(run.run_id for run in runs),
            losses_nats=losses,
            times_s=times,
            since=since,
            last_run=last.started_at[:10],
            evidence=evidence,
        )

    @property
    def _record(self) -> _Draft | None:
        """What stands."""
        return next((draft for draft in reversed(self._drafts) if draft.kind == "record"), None)

    def _clean(self, group: _Group) -> list[Summary]:
        return [run for run in self._pool.get(group, ()) if run.run_id not in self._retracted]

    def _order(self, runs: Sequence[Summary]) -> float:
        """The measure of these runs; infinite where there is none."""
        measure = mean(_times(runs) if self._timed else _losses(runs))
        return measure if math.isfinite(measure) and math.isfinite(mean(_losses(runs))) else math.inf


def _bouts(runs: Sequence[Summary], duels: Iterable[Duel], rulings: Rulings) -> list[_Bout]:
    """Every duel of which a pair counts, in the order of time."""
    known = {run.run_id: run for run in runs}
    standing = {run_id: run for run_id, run in known.items() if run_id not in rulings.retracted}
    found = []
    for duel in duels:
        unretracted = judge(duel, known)
        pairs = [duel.pairs[pair.number - 1] for pair in unretracted.pairs]
        if not pairs:
            continue
        counting = {run_id: known[run_id] for pair in pairs for run_id in (pair.a, pair.b)}
        one = known[pairs[0].a]
        last = max(map(_moment, counting.values()))
        sides = _variant_of(duel.a), _variant_of(duel.b)
        outcome = judge(duel, standing)
        found.append(_Bout(duel, *sides, place(one), torch(one), last, counting, outcome, unretracted))
    return sorted(found, key=lambda bout: (bout.at, bout.duel.duel_id))


def _variant_of(side: Side) -> Variant:
    return Variant(side.entry, side.source_sha256, tuple(sorted(side.overrides.items())))


def _counts(run: Summary, tier: Tier) -> bool:
    return run.ranked and run.tier is tier and not set_apart(run)


def _group(run: Summary) -> _Group:
    return _Group(variant(run), torch(run))


def _moment(run: Summary) -> _Moment:
    return _Moment(run.started_at[:19], run.run_id)


def _losses(runs: Iterable[Summary]) -> tuple[float, ...]:
    return tuple(run.score.loss_nats for run in runs if run.score is not None)


def _times(runs: Iterable[Summary]) -> tuple[float, ...]:
    return tuple(run.times.train_s for run in runs if run.times.train_s is not None)


def _inverse(ratio: Interval) -> Interval:
    return Interval(1 / ratio.estimate, 1 / ratio.high, 1 / ratio.low, ratio.confidence)


def _ratio(interval: Interval) -> str:
    return f"{interval.estimate:.3f} ({interval.low:.3f} to {interval.high:.3f} at {100 * interval.confidence:.3g} %)"


def _difference(interval: Interval) -> str:
    low, high = f"{interval.low:+.4f}", f"{interval.high:+.4f}"
    return f"{interval.estimate:+.4f} nats ({low} to {high} at {100 * interval.confidence:.3g} %)"


def _joined(*words: str) -> str:
    return "; ".join(filter(None, words))
