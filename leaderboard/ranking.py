"""Who stands where: from the summaries of runs to a board, computed anew whenever it is read.

Only like is compared with like. A section of the board holds the runs of one track (as its file was), one data set and
one kind of hardware; runs from different hardware are never averaged or ranked together.

Inside a section, runs belong together when they are of the same entry, the same source and the same overrides (a
*variant*) and of the same tier: a maintainer's runs are never averaged with self-reported ones. Such a group counts
when it has as many ranked runs as the track asks for and, where there is a target, when a one-sided test shows that
their mean loss lies below it, or a maintainer waived the test. It is measured by the mean over all its ranked runs:

- `lowest-loss`: the mean loss, lower first;
- `fastest-to-loss`: the mean training time, lower first.

An entry gets one place: that of its best verified variant, or else that of its best self-reported one. Whatever else
there is stands below the line with the reason beside it; nothing is left out silently. Equal means share a place, and
whoever was there first stands first. A row that no test tells from the one above it says so, and how many more runs
would. Whatever is not a finite number does not count.

Failed runs do not enter the mean, they are counted beside it; INTERNAL_ERROR is the platform's fault and is not. A
variant against which its runs speak (leaderboard/conduct.py) has no place, whatever the others are worth. Runs
that re-time a record or reproduce a run are made under other conditions: they count as practice, and speak against a
variant only where they cheated. Retracted runs stand apart, with the reason.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from harness.result import Author, DatasetRef, Tier, TrackRef, Verdict
from leaderboard.alike import Place, Variant, by_place, in_order, set_apart, torch, variant
from leaderboard.collector import paused
from leaderboard.conduct import cheated, disproof
from leaderboard.downstream import TaskMean, means
from leaderboard.rulings import NO_RULINGS, Rulings
from leaderboard.schema import Summary
from leaderboard.stats import mean, more_to_show_below, more_to_tell_apart, p_below, p_less, sample_sd


class TrackRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the board must know of a track as it is today."""

    version: int
    runs: int  # ranked runs that a place on the board takes
    alpha: float  # of every test of significance
    least_gain: float  # of a new record over the one before: nats (lowest-loss) or seconds (fastest-to-loss)


class Standing(StrEnum):
    """Why a row stands where it does; in the order of the board."""

    RANKED = "ranked"
    TOO_FEW_RUNS = "too few runs"
    TARGET_NOT_SHOWN = "target not shown"
    TARGET_MISSED = "target missed"
    DISPROVED = "its own runs speak against it"
    OTHER_VARIANT = "another variant has the place"
    UNKNOWN_TRACK = "unknown track"
    NO_NUMBER = "no finite mean"
    PRACTICE = "practice"
    NO_SCORE = "no scored run"
    RETRACTED = "retracted"


_POSITIONS: Final = {standing: position for position, standing in enumerate(Standing)}


class Near(msgspec.Struct, frozen=True, kw_only=True):
    """A row and the one above it can't be told apart by their losses."""

    because: str
    p_value: float | None  # of Welch's two-sided test; None: there could be none
    more_runs: int | None  # of each, after which a test would probably tell; None: unknown, or too many


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of an entry in a section. Texts are as the contestant wrote them: not fit to print as they are."""

    rank: int | None  # None: below the line
    standing: Standing
    note: str  # why it is below the line, and what else a reader should know
    entry: str
    title: str
    authors: tuple[Author, ...]
    technique: str
    loss_nats: float | None  # mean over `runs`
    loss_sd_nats: float | None
    floor_gap_nats: float | None  # mean loss above the data set's floor
    train_s: float | None  # mean over `runs`
    train_sd_s: float | None
    runs: int
    failed: int
    declared_tokens: int | None  # mean of what the runs declared
    parameters: int | None  # of the last run
    tier: Tier
    unsigned: int  # runs that say verified without a valid signature, and count as self-reported
    near: Near | None  # to the row above; None: apart from it, the first one, or below the line
    last_run: str  # date of the last run, UTC
    source_sha256: str
    overrides: tuple[tuple[str, str], ...]
    torch: tuple[str, ...]  # versions of torch among the runs
    run_ids: tuple[str, ...]  # the runs behind the means, oldest first; without any, the failed ones
    losses_nats: tuple[float, ...]  # of the scored ones among them
    times_s: tuple[float, ...]  # likewise
    downstream: tuple[TaskMean, ...] = ()  # means over the runs that have such scores: to be seen, never ranked by


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that may be compared with each other, best first."""

    track: TrackRef
    dataset: DatasetRef
    hardware: str
    current: bool  # the track's version is today's
    marks: tuple[str, ...]  # what sets it apart from other sections of the track, e.g. "old version"
    runs_asked: int | None  # None: the track is not known here
    alpha: float | None  # of the tests; likewise
    rows: tuple[Row, ...]


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to show."""

    sections: tuple[Section, ...]
    tracks_without_runs: tuple[str, ...]


@paused()
def rank(
    runs: Iterable[Summary],
    rules: Mapping[str, TrackRules],
    rulings: Rulings = NO_RULINGS,
    unsigned: Collection[str] = (),
    *,
    include_unranked: bool = False,
) -> Board:
    """The board of `runs`.

    Args:
        runs: in any order; each run once. The tier of one without a valid signature is self-reported already.
        rules: track id → rules, in the order in which the tracks are to be shown.
        rulings: what maintainers ruled.
        unsigned: ids of runs that say verified without a valid signature.
        include_unranked: also list practice runs and entries that only failed, below the line.
    """
    ordered = in_order(runs)
    waivers = waived_variants(ordered, rulings)
    places = by_place(ordered)
    shown: dict[Place, tuple[Row, ...]] = {}
    for here, of_place in places.items():
        judge = _Judge(here.track, rules.get(here.track.id), waivers, rulings.retracted, frozenset(unsigned))
        if rows := judge.rows(of_place, include_unranked):
            shown[here] = rows
    sections = [
        Section(
            track=here.track,
            dataset=here.dataset,
            hardware=here.hardware,
            current=_is_current(here, rules),
            marks=marks(here, rules, shown),
            runs_asked=rules[here.track.id].runs if here.track.id in rules else None,
            alpha=rules[here.track.id].alpha if here.track.id in rules else None,
            rows=shown[here],
        )
        for here in sorted(shown, key=lambda here: place_order(here, rules, shown))
    ]
    with_runs = {section.track.id for section in sections}
    return Board(
        sections=tuple(sections),
        tracks_without_runs=tuple(track for track in rules if track not in with_runs),
    )


def top(board: Board, rows: int) -> Board:
    """The first `rows` rows of every section."""
    return msgspec.structs.replace(
        board,
        sections=tuple(msgspec.structs.replace(section, rows=section.rows[:rows]) for section in board.sections),
    )


def waived_variants(runs: Iterable[Summary], rulings: Rulings) -> dict[tuple[TrackRef, Variant], str]:
    """Which variants need no test of their target, and why: those of the runs that a waiver names."""
    found: dict[tuple[TrackRef, Variant], str] = {}
    for run in in_order(run for run in runs if run.run_id in rulings.waived):
        if run.run_id not in rulings.retracted:
            found.setdefault((run.track, variant(run)), rulings.waived[run.run_id])
    return found


def marks(here: Place, rules: Mapping[str, TrackRules], others: Iterable[Place]) -> tuple[str, ...]:
    """What sets a place apart from the other places of its track."""
    today = rules.get(here.track.id)
    found = []
    if today is None:
        found.append("unknown track")
    elif here.track.version != today.version:
        found.append("old version" if here.track.version < today.version else "newer version")
    alike = [other for other in others if other.track.id == here.track.id]
    if any(other.track != here.track and other.track.version == here.track.version for other in alike):
        found.append(f"track file {here.track.sha256[:8]}")
    official = {other.dataset.id for other in alike if other.dataset.official}
    if not here.dataset.official or official - {here.dataset.id}:
        found.append(f"data set {here.dataset.id}")
    if any(other.dataset != here.dataset and other.dataset.id == here.dataset.id for other in alike):
        found.append(f"data {here.dataset.sha256[:8]}")
    return tuple(found)


def place_order(
    here: Place, rules: Mapping[str, TrackRules], others: Iterable[Place]
) -> tuple[int, str, int, bool, str, tuple[str, ...]]:
    """Where a place is shown: in the order of the tracks, today's version first, the track's own data first."""
    positions = {track: position for position, track in enumerate(rules)}
    track = here.track
    return (
        positions.get(track.id, len(positions)),
        track.id,
        -track.version,
        not here.dataset.official,
        here.hardware,
        marks(here, rules, others),
    )


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _is_current(here: Place, rules: Mapping[str, TrackRules]) -> bool:
    return here.track.id in rules and here.track.version == rules[here.track.id].version


class _Judge(NamedTuple):
    """What the rows of one section are judged by."""

    track: TrackRef
    rules: TrackRules | None  # None: the track is not known here
    waivers: Mapping[tuple[TrackRef, Variant], str]
    retracted: Mapping[str, str]
    unsigned: frozenset[str]

    def rows(self, runs: Sequence[Summary], include_unranked: bool) -> tuple[Row, ...]:
        groups: dict[tuple[Variant, Tier], list[Summary]] = {}
        for run in runs:
            groups.setdefault((variant(run), run.tier), []).append(run)
        rows: list[Row] = []
        for (of, tier), group in groups.items():
            counting: list[Summary] = []
            practice: list[Summary] = []
            failed: list[Summary] = []
            aside: list[Summary] = []  # failed, and made for something else
            retracted: list[Summary] = []
            for run in group:
                if run.run_id in self.retracted:
                    retracted.append(run)
                elif run.scored:
                    (counting if run.ranked and not set_apart(run) else practice).append(run)
                elif _failed(run):
                    (aside if set_apart(run) else failed).append(run)
            if counting:
                rows.append(self._counted(of, counting, len(failed), self._disproof(groups, of, tier)))
            else:
                aside += failed
            if practice and include_unranked:
                rows.append(self._practice(of, practice, len(aside)))
            elif aside and include_unranked:
                note = ", ".join(dict.fromkeys(run.verdict.value for run in aside))
                rows.append(self._row(of, aside, len(aside), Standing.NO_SCORE, note))
            if retracted:
                reasons = dict.fromkeys(self.retracted[run.run_id] for run in retracted)
                note = f"{Standing.RETRACTED}: {'; '.join(reasons)}"
                failures = sum(map(_failed, retracted))
                rows.append(self._row(of, retracted, failures, Standing.RETRACTED, note))
        return self._placed(rows)

    def _practice(self, of: Variant, runs: Sequence[Summary], failed: int) -> Row:
        reasons = dict.fromkeys(reason for run in runs for reason in run.unranked_because or (set_apart(run),))
        return self._row(of, runs, failed, Standing.PRACTICE, f"{Standing.PRACTICE}: {'; '.join(reasons)}")

    def _disproof(self, groups: Mapping[tuple[Variant, Tier], Sequence[Summary]], of: Variant, tier: Tier) -> str:
        """A maintainer's runs speak against every row of a variant; of its own runs a contestant's cheats do."""
        verified, reported = (
            [run for run in groups.get((of, made), ()) if run.run_id not in self.retracted]
            for made in (Tier.VERIFIED, Tier.SELF_REPORTED)
        )
        return disproof(verified) or (cheated(reported) if tier is Tier.SELF_REPORTED else "")

    def _counted(self, of: Variant, runs: Sequence[Summary], failed: int, against: str) -> Row:
        """A row of ranked runs, judged by itself: RANKED here means that it may take a place."""
        row = self._row(of, runs, failed, Standing.RANKED, "")
        if self.rules is None:
            standing, note = Standing.UNKNOWN_TRACK, "the track is not known here"
        elif against:
            standing, note = Standing.DISPROVED, against
        elif not row.runs >= self.rules.runs:
            missing = self.rules.runs - row.runs
            standing, note = Standing.TOO_FEW_RUNS, f"needs {missing} more {'run' if missing == 1 else 'runs'}"
        elif row.loss_nats is None or row.train_s is None:
            standing, note = Standing.NO_NUMBER, Standing.NO_NUMBER.value
        else:
            standing, note = target_standing(
                row.losses_nats, self.track.target_nats, self.rules.alpha, self.waivers.get((self.track, of))
            )
        return msgspec.structs.replace(row, standing=standing, note=_joined(note, row.note))

    def _placed(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """The rows in the order of the board: each entry's one place, with its rank, then the rest."""
        champions: dict[str, Row] = {}
        for row in sorted(rows, key=lambda row: (row.tier is not Tier.VERIFIED, self._order(row))):
            if row.standing is Standing.RANKED:
                champions.setdefault(row.entry, row)
        best = sorted(champions.values(), key=self._order)
        rest = [
            self._second(row, champions[row.entry]) if row.standing is Standing.RANKED else row
            for row in rows
            if row is not champions.get(row.entry)
        ]
        placed: list[Row] = []
        for index, row in enumerate(best):
            above = placed[-1] if placed else None
            tied = above is not None and self._measure(row) == self._measure(above)
            near = None if above is None else self._near(above, row)
            placed.append(
                msgspec.structs.replace(
                    row,
                    rank=above.rank if above is not None and tied else index + 1,
                    near=near,
                    note=_joined(near.because if near else "", row.note),
                )
            )
        return (*placed, *sorted(rest, key=self._order))

    def _second(self, row: Row, champion: Row) -> Row:
        """A row that could have the place of its entry, had not another one taken it."""
        if self._order(row) > self._order(champion):
            why = "another variant stands higher"
        elif (row.source_sha256, row.overrides) == (champion.source_sha256, champion.overrides):
            why = "the verified runs of this variant have the place"
        else:
            why = "a verified variant has the place until this one is verified"
        note = _joined(f"{why} (this one: {_variant_name(row)})", row.note)
        return msgspec.structs.replace(row, standing=Standing.OTHER_VARIANT, note=note)

    def _near(self, above: Row, row: Row) -> Near | None:
        """Whether a test tells a row from the one above it; without a test it does not."""
        assert self.rules is not None  # without rules nothing is ranked
        if self.track.objective == "fastest-to-loss":
            return None  # times of different days and hosts are not tested: that takes a duel
        what = "not told apart from the row above"
        if above.torch != row.torch or len(row.torch) != 1 or not row.torch[0]:
            words = f"{what}: runs of another version of torch are not tested against each other"
            return Near(because=words, p_value=None, more_runs=None)
        ours, theirs = above.losses_nats, row.losses_nats
        if min(len(ours), len(theirs)) < 2:
            return Near(because=f"{what}: a test takes two runs of each", p_value=None, more_runs=None)
        p = 2 * p_less(ours, theirs)  # which of the two is the better one was not known beforehand
        if p < self.rules.alpha:
            return None
        more = more_to_tell_apart(ours, theirs, self.rules.alpha / 2)
        words = f"{what} (p = {p:.2g})" if math.isfinite(p) else f"{what}: their runs show no scatter"
        if more is not None:
            words += f"; about {more} more {'run' if more == 1 else 'runs'} of each would tell"
        return Near(because=words, p_value=finite(p), more_runs=more)

    def _order(self, row: Row) -> tuple[int, float, str, str, str, tuple[tuple[str, str], ...], str]:
        """Standing, then the measure; among equals whoever completed its runs first, then a fixed order."""
        return (
            _POSITIONS[row.standing],
            self._measure(row),
            row.run_ids[-1],
            row.entry,
            row.source_sha256,
            row.overrides,
            row.tier,
        )

    def _measure(self, row: Row) -> float:
        measure = row.loss_nats if self.track.objective == "lowest-loss" else row.train_s
        return math.inf if measure is None else measure

    def _row(self, of: Variant, runs: Sequence[Summary], failed: int, standing: Standing, note: str) -> Row:
        """The means of `runs`, oldest first; runs that were not scored have none."""
        last = runs[-1]
        losses = tuple(run.score.loss_nats for run in runs if run.scored and run.score is not None)
        times = tuple(run.times.train_s for run in runs if run.scored and run.times.train_s is not None)
        tokens = [run.declared.tokens for run in runs if run.declared.tokens is not None]
        loss_nats, train_s = finite(mean(losses)), finite(mean(times))
        floor_nats = last.dataset.floor_nats
        unsigned = sum(run.run_id in self.unsigned for run in runs)
        return Row(
            rank=None,
            standing=standing,
            note=_joined(note, "signature not valid: counts as self-reported" if unsigned else ""),
            entry=of.entry,
            title=last.entry.title,
            authors=last.entry.authors,
            technique=last.entry.technique,
            loss_nats=loss_nats,
            loss_sd_nats=sample_sd(losses),
            floor_gap_nats=None if loss_nats is None or floor_nats is None else loss_nats - floor_nats,
            train_s=train_s,
            train_sd_s=sample_sd(times),
            runs=len(losses),
            failed=failed,
            declared_tokens=round(mean(tokens)) if tokens else None,
            parameters=last.parameters,
            tier=last.tier,
            unsigned=unsigned,
            near=None,
            last_run=last.started_at[:10],
            source_sha256=of.source_sha256,
            overrides=of.overrides,
            torch=tuple(sorted({torch(run) for run in runs})),
            run_ids=tuple(run.run_id for run in runs),
            losses_nats=losses,
            times_s=times,
            downstream=means(run.downstream for run in runs),
        )


def target_standing(
    losses_nats: Sequence[float], target_nats: float | None, alpha: float, waived: str | None
) -> tuple[Standing, str]:
    """Whether the mean loss is shown to lie below the target: RANKED, TARGET_NOT_SHOWN or TARGET_MISSED, and why.

    waived: why a maintainer waived the test; the mean must still be at the target or below it. None: nobody did.
    """
    if target_nats is None:
        return Standing.RANKED, ""
    loss_nats = mean(losses_nats)
    if waived is not None and loss_nats <= target_nats:
        return Standing.RANKED, f"target test waived: {waived}"
    if not loss_nats < target_nats:
        return Standing.TARGET_MISSED, f"mean loss {loss_nats:.4f} is not below the target of {target_nats:g}"
    p = p_below(losses_nats, target_nats)
    if p < alpha:
        return Standing.RANKED, ""
    told = f"mean loss {loss_nats:.4f} is not shown to be below the target of {target_nats:g}"
    if not math.isfinite(p):
        return Standing.TARGET_NOT_SHOWN, f"{told}: a test takes two runs, and losses that differ"
    more = more_to_show_below(losses_nats, target_nats, alpha)
    told += f" (p = {p:.2g}, asked is p < {alpha:g})"
    if more is not None:
        told += f"; about {more} more {'run' if more == 1 else 'runs'} would show it"
    return Standing.TARGET_NOT_SHOWN, told


def _failed(run: Summary) -> bool:
    return run.verdict not in (Verdict.OK, Verdict.INTERNAL_ERROR)


def _joined(*notes: str) -> str:
    return "; ".join(filter(None, notes))


def _variant_name(row: Row) -> str:
    return " ".join([f"source {row.source_sha256[:8]}", *(f"{field}={value}" for field, value in row.overrides)])
