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
its duel. Re-timings stand beside the record that they re-time and change nothing, unless a run of them cheated.

Not covered: whoever verifies an entry again and again until a test is passed by luck. Every run of it is on disk.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from harness.result import Tier, TrackRef
from leaderboard.alike import Place, Variant, in_order, place, set_apart, torch, variant
from leaderboard.beaten import beaten
from leaderboard.conduct import cheated, disproof, failed
from leaderboard.duels import Duel
from leaderboard.history import Evidence, History, LostDuel, Step
from leaderboard.judged_duels import Bout, Moment, judged_duels, moment
from leaderboard.ranking import Standing, TrackRules, finite, marks, place_order, target_standing, waived_variants
from leaderboard.rulings import NO_RULINGS, Rulings
from leaderboard.schema import Summary
from leaderboard.stats import Interval, mean, p_below, sample_sd


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
    rulings = rulings._replace(retracted={**_cheats(places.values(), rulings), **rulings.retracted})
    bouts: dict[Place, list[Bout]] = {}
    for bout in judged_duels(ordered, duels, rulings):
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
                record_losses=replay.record_losses(),
                lost=replay.lost(),
            )
    return tuple(
        msgspec.structs.replace(found[here], marks=marks(here, rules, found))
        for here in sorted(found, key=lambda here: place_order(here, rules, found))
    )


class _Group(NamedTuple):
    """Runs that are taken together."""

    variant: Variant
    torch: str


class _Event(NamedTuple):
    """A series of verified runs ended, or a duel was over."""

    at: Moment
    order: int  # a duel comes after its own runs, which end in the same moment
    runs: Sequence[Summary]
    bout: Bout | None


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
        bouts: Sequence[Bout],
    ) -> None:
        self._track = track
        self._rules = rules
        self._waived = waived
        self._retracted = retracted
        self._bouts = bouts
        self._timed = track.objective == "fastest-to-loss"
        self._pool: dict[_Group, list[Summary]] = {}  # verified runs until now, retracted ones too
        self._failures: dict[Variant, list[Summary]] = {}  # verified and unretracted, until now
        self._fought: list[Bout] = []  # duels until now
        self._drafts: list[_Draft] = []

    def steps(self, runs: Sequence[Summary]) -> tuple[Step, ...]:
        """The section's steps, given all of its runs in order."""
        for event in self._events(runs):
            for run in event.runs:
                if run.ranked:
                    self._pool.setdefault(_group(run), []).append(run)
                elif run.run_id not in self._retracted:
                    self._failures.setdefault(variant(run), []).append(run)
            if event.bout is not None:
                self._fought.append(event.bout)
            self._look(event.at.second[:10])
        return tuple(step for draft in self._drafts for step in (self._finished(draft), *self._retimings(draft)))

    def claims(self, runs: Sequence[Summary]) -> tuple[Step, ...]:
        """What would be a record but for something that is still to come; each entry's best, the best first."""
        waiting: dict[_Group, list[Summary]] = {}
        cheats = {variant(run) for run in runs if cheated([run]) and run.run_id not in self._retracted}
        judged = {group.variant for group in self._pool if len(self._clean(group)) >= self._rules.runs}
        for run in runs:
            if variant(run) in judged or variant(run) in cheats or run.run_id in self._retracted:
                continue
            if _counts(run, Tier.SELF_REPORTED):
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
            if _counts(run, Tier.VERIFIED) or (failed(run) and run.tier is Tier.VERIFIED):
                key = ("", run.run_id) if run.series is None else (run.series.purpose, run.series.id)
                series.setdefault(key, []).append(run)
        ended = [_Event(moment(of[-1]), 0, of, None) for of in series.values()]
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
        won = (
            self._duelled(group, record, unretracted)
            if self._timed
            else self._tested(runs, self._same_torch(record, group), record)
        )
        if won is None:
            return None
        return msgspec.structs.replace(won, words=_joined(won.words, passed.words), target_p=passed.target_p)

    def _passed(self, group: _Group, runs: Sequence[Summary]) -> Evidence | None:
        """What is asked of every record whatever stood before it: enough runs, numbers, the target."""
        if not group.torch or not len(runs) >= self._rules.runs or not math.isfinite(self._order(runs)):
            return None
        if disproof([*self._failures.get(group.variant, ()), *runs]):
            return None
        losses, target = _losses(runs), self._track.target_nats
        standing, note = target_standing(losses, target, self._rules.alpha, self._waived.get(group.variant))
        if standing is not Standing.RANKED or target is None:
            return Evidence(words="") if standing is Standing.RANKED else None
        p = finite(p_below(losses, target))
        return Evidence(words=note or f"mean loss {mean(losses):.4f} below {target:g} (p = {p:.2g})", target_p=p)

    def _tested(self, runs: Sequence[Summary], theirs: Sequence[Summary], record: _Draft) -> Evidence | None:
        """Lowest loss: Welch's test, and the least gain."""
        found = beaten(_losses(runs), _losses(theirs), self._rules)
        if not found.by_enough:
            return None
        words = f"{found.gain:.4f} nats below record {record.number} (p = {found.p:.2g})"
        return Evidence(words=words, gain=found.gain, p_value=found.p)

    def _duelled(self, group: _Group, record: _Draft, unretracted: bool) -> Evidence | None:
        """Fastest to a loss: the last duel that was settled, and none settled against it."""
        found = None
        if self._lost(group, record) is not None:
            return None
        for bout in self._between(group, record):
            outcome = bout.unretracted if unretracted else bout.outcome
            if not outcome.counts or outcome.gain is None or outcome.interval is None:
                continue
            ours = bout.a == group.variant
            # What a retraction takes away may weaken a side, not win it the duel: its failed runs count all the same.
            if not outcome.settled == bout.unretracted.settled == ("a" if ours else "b"):
                continue
            found = None  # the last one that was settled decides
            gain, interval = (outcome.gain, outcome.interval) if ours else (-outcome.gain, _inverse(outcome.interval))
            if gain >= self._rules.least_gain and interval.high < 1:
                words = f"{gain:.2f} s faster than record {record.number} in a duel of {len(outcome.pairs)} pairs, "
                words += f"{_ratio(interval)} of its time"
                found = Evidence(words=words, gain=gain, duel_id=bout.duel.duel_id, interval=interval)
        return found

    def _between(self, group: _Group, record: _Draft) -> Iterator[Bout]:
        """The duels of these two until now that ask for no less than the track."""
        for bout in self._fought:
            sides = {bout.a, bout.b} == {group.variant, record.group.variant}
            if sides and bout.torch == group.torch and bout.duel.alpha <= self._rules.alpha:
                yield bout

    def _lost(self, group: _Group, record: _Draft) -> Bout | None:
        """A duel that is settled for the record. It stands until one of its runs is retracted."""
        return next(
            (
                bout
                for bout in self._between(group, record)
                if bout.outcome.counts
                and bout.outcome.settled == bout.unretracted.settled == ("b" if bout.a == group.variant else "a")
            ),
            None,
        )

    def lost(self) -> tuple[LostDuel, ...]:
        """Who lost a duel to the standing record."""
        record, found = self._record, {}
        if record is not None:
            for group in self._pool:
                if (bout := self._lost(group, record)) is not None:
                    found[group.variant] = LostDuel(
                        entry=group.variant.entry,
                        source_sha256=group.variant.source_sha256,
                        overrides=group.variant.overrides,
                        duel_id=bout.duel.duel_id,
                        words=f"it lost duel {bout.duel.duel_id} to that record, which stands unless retracted",
                    )
        return tuple(found[key] for key in sorted(found))

    def record_losses(self) -> tuple[tuple[str, tuple[float, ...]], ...]:
        """What the standing record's variant scored, by version of torch."""
        record = self._record
        own = () if record is None else [group for group in self._pool if group.variant == record.group.variant]
        return tuple((group.torch, _losses(self._clean(group))) for group in sorted(own))

    def _same_torch(self, record: _Draft, group: _Group) -> list[Summary]:
        return self._clean(_Group(record.group.variant, group.torch))

    def _claim(self, group: _Group, runs: Sequence[Summary]) -> Evidence | None:
        """What these runs would be, and what they wait for; None: nothing."""
        record, passed = self._record, self._passed(group, runs)
        if passed is None or any(draft.group.variant == group.variant for draft in self._drafts if draft.number):
            return None
        verified = runs[-1].tier is Tier.VERIFIED
        waits = "" if verified else "waits for verification"
        if record is None:
            return msgspec.structs.replace(passed, words=_joined("the best so far", passed.words, waits))
        same_torch = self._same_torch(record, group)
        if self._timed:
            if self._lost(group, record) is not None:
                return None
            gain = mean(_times(record.runs)) - mean(_times(runs))
            won = Evidence(words=f"{gain:.2f} s faster than record {record.number} by the means", gain=gain)
            waits = _joined(waits, f"waits for a verified duel with record {record.number}")
        elif len(same_torch) < 2:
            gain = mean(_losses(record.runs)) - mean(_losses(runs))
            won = Evidence(words=f"{gain:.4f} nats below record {record.number}", gain=gain)
            waits = _joined(waits, f"waits for verified runs of record {record.number} with torch {group.torch}")
            waits += ", which a signed duel with it makes"
        else:
            tested = None if verified else self._tested(runs, same_torch, record)
            if tested is None or tested.gain is None:
                return None
            won, gain = tested, tested.gain
        if not gain >= self._rules.least_gain:
            return None
        words = _joined(won.words, passed.words, waits)
        return msgspec.structs.replace(won, words=words, target_p=passed.target_p)

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
            words = _joined(draft.evidence.words, self._doubt(draft))
            return msgspec.structs.replace(step, evidence=msgspec.structs.replace(draft.evidence, words=words))
        reasons = dict.fromkeys(self._retracted[run] for run in step.run_ids if run in self._retracted)
        words = _joined(f"retracted: {'; '.join(reasons)}", draft.evidence.words)
        return msgspec.structs.replace(step, evidence=msgspec.structs.replace(draft.evidence, words=words))

    def _doubt(self, draft: _Draft) -> str:
        """What runs that came later say against a record; taking it back is a maintainer's retraction."""
        if self._passed(draft.group, draft.runs) is None:
            return f"by all of its {len(draft.runs)} runs this is no longer shown"
        records = [each for each in self._drafts if each.kind == "record"]
        place = records.index(draft)
        if self._timed or place == 0:
            return ""
        before = records[place - 1]
        gain = mean(_losses(self._same_torch(before, draft.group))) - mean(_losses(draft.runs))
        enough = gain >= self._rules.least_gain
        return (
            ""
            if enough
            else f"by all of its {len(draft.runs)} runs it is {gain:+.4f} nats below record {before.number}"
        )

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


def _cheats(places: Iterable[Sequence[Summary]], rulings: Rulings) -> dict[str, str]:
    """Verified runs of variants of which another verified run cheated: they count like retracted ones."""
    found = {}
    for runs in places:
        verified = [run for run in runs if run.tier is Tier.VERIFIED and run.run_id not in rulings.retracted]
        against = {variant(run): words for run in reversed(verified) if (words := cheated([run]))}
        found.update({run.run_id: against[variant(run)] for run in verified if run.ranked and variant(run) in against})
    return found


def _counts(run: Summary, tier: Tier) -> bool:
    return run.ranked and run.tier is tier and not set_apart(run)


def _group(run: Summary) -> _Group:
    return _Group(variant(run), torch(run))


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
