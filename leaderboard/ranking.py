"""Who stands where: from the summaries of runs to a board, computed anew whenever it is read.

Only like is compared with like. A section of the board holds the runs of one track (as its file was), one data set and
one kind of hardware; runs from different hardware are never averaged or ranked together.

Inside a section, runs belong together when they are of the same entry, the same source and the same overrides: a
*variant*. A variant counts when it has as many ranked runs as the track asks for and, where there is a target, when
their mean loss meets it. It is measured by the mean over all its ranked runs:

- `lowest-loss`: the mean loss, lower first;
- `fastest-to-loss`: the mean training time, lower first.

An entry gets one place, that of its best variant. Its other variants, and whatever does not count, stand below the
line with the reason beside them; nothing is left out silently. Equal means share a place, and whoever was there first
stands first. Whatever is not a finite number does not count.

Failed runs do not enter the mean, they are counted beside it; INTERNAL_ERROR is the platform's fault and is not.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

import msgspec

from harness.result import Author, DatasetRef, Tier, TrackRef, Verdict
from leaderboard.schema import Machine, Summary
from leaderboard.stats import mean, sample_sd


class TrackRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the board must know of a track as it is today."""

    version: int
    runs: int  # ranked runs that a place on the board takes


class Standing(StrEnum):
    """Why a row stands where it does; in the order of the board."""

    RANKED = "ranked"
    TOO_FEW_RUNS = "too few runs"
    TARGET_MISSED = "target missed"
    OTHER_VARIANT = "another variant stands higher"
    UNKNOWN_TRACK = "unknown track"
    NO_NUMBER = "no finite mean"
    PRACTICE = "practice"
    NO_SCORE = "no scored run"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A variant of an entry in a section. Texts are as the contestant wrote them: not fit to print as they are."""

    rank: int | None  # None: below the line
    standing: Standing
    note: str  # why it is below the line, empty above
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
    tier: Tier  # verified when every run is
    last_run: str  # date of the last run, UTC
    source_sha256: str
    overrides: tuple[tuple[str, str], ...]
    run_ids: tuple[str, ...]  # the runs behind the means, oldest first; without any, the failed ones


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """Rows that may be compared with each other, best first."""

    track: TrackRef
    dataset: DatasetRef
    hardware: str
    current: bool  # the track's version is today's
    marks: tuple[str, ...]  # what sets it apart from other sections of the track, e.g. "old version"
    runs_asked: int | None  # None: the track is not known here
    rows: tuple[Row, ...]


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """Everything there is to show."""

    sections: tuple[Section, ...]
    tracks_without_runs: tuple[str, ...]


def rank(runs: Iterable[Summary], rules: Mapping[str, TrackRules], *, include_unranked: bool = False) -> Board:
    """The board of `runs`.

    Args:
        runs: in any order; each run once.
        rules: track id → rules, in the order in which the tracks are to be shown.
        include_unranked: also list practice runs and entries that only failed, below the line.
    """
    ordered = sorted(runs, key=lambda run: (run.started_at[:19], run.run_id))
    places: dict[_Place, list[Summary]] = {}
    for run in ordered:
        places.setdefault(_place(run), []).append(run)
    shown = {
        place: rows
        for place, here in places.items()
        if (rows := _rows(here, rules.get(place.track.id), include_unranked))
    }
    positions = {track: position for position, track in enumerate(rules)}
    sections = sorted(
        (_section(place, rows, rules.get(place.track.id), shown) for place, rows in shown.items()),
        key=lambda section: (
            positions.get(section.track.id, len(positions)),
            section.track.id,
            -section.track.version,
            not section.dataset.official,
            section.hardware,
            section.marks,
        ),
    )
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


def hardware(machine: Machine) -> str:
    """What must be the same before two runs are compared: the accelerators, or the processor and its threads."""
    if machine.devices:
        names = sorted(device.name for device in machine.devices)
        return " + ".join(f"{len(list(same))} × {name}" for name, same in groupby(names))
    return f"{machine.cpu}, {machine.threads} {'thread' if machine.threads == 1 else 'threads'}"


class _Place(NamedTuple):
    """What the runs of a section share. The whole references, so that one that was tampered with stands alone."""

    track: TrackRef
    dataset: DatasetRef
    hardware: str


def _place(run: Summary) -> _Place:
    # Older records lack these fields; what they say follows from the track and from the data's hash.
    dataset = msgspec.structs.replace(run.dataset, pinned=None, revision="", train_tokens=None)
    return _Place(run.track, dataset, hardware(run.environment))


class _Variant(NamedTuple):
    entry: str
    source_sha256: str
    overrides: tuple[tuple[str, str], ...]


def _section(place: _Place, rows: tuple[Row, ...], rules: TrackRules | None, others: Iterable[_Place]) -> Section:
    marks = []
    if rules is None:
        marks.append("unknown track")
    elif place.track.version != rules.version:
        marks.append("old version" if place.track.version < rules.version else "newer version")
    alike = [other for other in others if other.track.id == place.track.id]
    if any(other.track != place.track and other.track.version == place.track.version for other in alike):
        marks.append(f"track file {place.track.sha256[:8]}")
    if not place.dataset.official:
        marks.append(f"data set {place.dataset.id}")
    if any(other.dataset != place.dataset and other.dataset.id == place.dataset.id for other in alike):
        marks.append(f"data {place.dataset.sha256[:8]}")
    return Section(
        track=place.track,
        dataset=place.dataset,
        hardware=place.hardware,
        current=rules is not None and place.track.version == rules.version,
        marks=tuple(marks),
        runs_asked=None if rules is None else rules.runs,
        rows=rows,
    )


def _rows(runs: Sequence[Summary], rules: TrackRules | None, include_unranked: bool) -> tuple[Row, ...]:
    variants: dict[_Variant, list[Summary]] = {}
    for run in runs:
        variant = _Variant(run.entry.name, run.source.sha256, tuple(sorted(run.overrides.items())))
        variants.setdefault(variant, []).append(run)
    rows: list[Row] = []
    for variant, of_variant in variants.items():
        counting = [run for run in of_variant if run.ranked]
        practice = [run for run in of_variant if run.scored and not run.ranked]
        failed = [run for run in of_variant if run.verdict not in (Verdict.OK, Verdict.INTERNAL_ERROR)]
        if counting:
            rows.append(_counted(variant, counting, len(failed), rules))
        if practice and include_unranked:
            reasons = dict.fromkeys(reason for run in practice for reason in run.unranked_because)
            note = f"{Standing.PRACTICE}: {'; '.join(reasons)}"
            rows.append(_row(variant, practice, 0 if counting else len(failed), Standing.PRACTICE, note))
        if failed and include_unranked and not counting and not practice:
            note = ", ".join(dict.fromkeys(run.verdict.value for run in failed))
            rows.append(_row(variant, failed, len(failed), Standing.NO_SCORE, note))
    return _placed(rows, runs[0].track)


def _counted(variant: _Variant, runs: Sequence[Summary], failed: int, rules: TrackRules | None) -> Row:
    """A row of ranked runs, judged by itself: RANKED here means that it may take a place."""
    row = _row(variant, runs, failed, Standing.RANKED, "")
    target_nats = runs[0].track.target_nats
    standing, note = Standing.RANKED, ""
    if rules is None:
        standing, note = Standing.UNKNOWN_TRACK, "the track is not known here"
    elif not row.runs >= rules.runs:
        missing = rules.runs - row.runs
        standing, note = Standing.TOO_FEW_RUNS, f"needs {missing} more {'run' if missing == 1 else 'runs'}"
    elif row.loss_nats is None or row.train_s is None:
        standing, note = Standing.NO_NUMBER, Standing.NO_NUMBER.value
    elif target_nats is not None and not row.loss_nats <= target_nats:
        standing, note = Standing.TARGET_MISSED, f"mean loss above the target of {target_nats:g}"
    return msgspec.structs.replace(row, standing=standing, note=note)


def _placed(rows: Sequence[Row], track: TrackRef) -> tuple[Row, ...]:
    """The rows in the order of the board: best variant of each entry first, with its rank, then the rest."""
    best: list[Row] = []
    rest: list[Row] = []
    taken: set[str] = set()
    for row in sorted(rows, key=lambda row: _order(row, track)):
        if row.standing is not Standing.RANKED:
            rest.append(row)
        elif row.entry in taken:
            note = f"another variant stands higher (this one: {_variant_name(row)})"
            rest.append(msgspec.structs.replace(row, standing=Standing.OTHER_VARIANT, note=note))
        else:
            taken.add(row.entry)
            best.append(row)
    ranks: list[int] = []
    for index, row in enumerate(best):
        tied = index > 0 and _measure(row, track) == _measure(best[index - 1], track)
        ranks.append(ranks[-1] if tied else index + 1)
    placed = [msgspec.structs.replace(row, rank=place) for row, place in zip(best, ranks, strict=True)]
    return (*placed, *sorted(rest, key=lambda row: _order(row, track)))


def _order(row: Row, track: TrackRef) -> tuple[int, float, str, str, str, tuple[tuple[str, str], ...]]:
    """Standing, then the measure; among equals whoever completed its runs first, then a fixed order."""
    standing = list(Standing).index(row.standing)
    return standing, _measure(row, track), row.run_ids[-1], row.entry, row.source_sha256, row.overrides


def _measure(row: Row, track: TrackRef) -> float:
    measure = row.loss_nats if track.objective == "lowest-loss" else row.train_s
    return math.inf if measure is None else measure


def _variant_name(row: Row) -> str:
    return " ".join([f"source {row.source_sha256[:8]}", *(f"{field}={value}" for field, value in row.overrides)])


def _row(variant: _Variant, runs: Sequence[Summary], failed: int, standing: Standing, note: str) -> Row:
    """The means of `runs`, oldest first; runs that were not scored have none."""
    last = runs[-1]
    scores = [run.score.loss_nats for run in runs if run.scored and run.score is not None]
    times = [run.times.train_s for run in runs if run.scored and run.times.train_s is not None]
    tokens = [run.declared.tokens for run in runs if run.declared.tokens is not None]
    loss_nats, train_s = _finite(mean(scores)), _finite(mean(times))
    floor_nats = last.dataset.floor_nats
    return Row(
        rank=None,
        standing=standing,
        note=note,
        entry=variant.entry,
        title=last.entry.title,
        authors=last.entry.authors,
        technique=last.entry.technique,
        loss_nats=loss_nats,
        loss_sd_nats=sample_sd(scores),
        floor_gap_nats=None if loss_nats is None or floor_nats is None else loss_nats - floor_nats,
        train_s=train_s,
        train_sd_s=sample_sd(times),
        runs=len(scores),
        failed=failed,
        declared_tokens=round(mean(tokens)) if tokens else None,
        parameters=last.parameters,
        tier=Tier.VERIFIED if all(run.tier is Tier.VERIFIED for run in runs) else Tier.SELF_REPORTED,
        last_run=last.started_at[:10],
        source_sha256=variant.source_sha256,
        overrides=variant.overrides,
        run_ids=tuple(run.run_id for run in runs),
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
