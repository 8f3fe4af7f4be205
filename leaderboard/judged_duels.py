"""Duels with what they show, where and when: as the record history takes them up."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from leaderboard.alike import Place, Variant, place, torch
from leaderboard.duels import Duel, Outcome, Side, judge
from leaderboard.rulings import Rulings
from leaderboard.schema import Summary


class Moment(NamedTuple):
    """When something was complete; the id makes it one order."""

    second: str
    run_id: str


class Bout(NamedTuple):
    """A duel, judged; its sides, and where and when its runs were made."""

    duel: Duel
    a: Variant
    b: Variant
    place: Place
    torch: str
    at: Moment  # of its last run
    runs: Mapping[str, Summary]  # that count
    outcome: Outcome  # without retracted runs
    unretracted: Outcome  # as if nothing had been retracted


def judged_duels(runs: Sequence[Summary], duels: Iterable[Duel], rulings: Rulings) -> list[Bout]:
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
        last = max(map(moment, counting.values()))
        sides = _variant_of(duel.a), _variant_of(duel.b)
        outcome = judge(duel, standing)
        found.append(Bout(duel, *sides, place(one), torch(one), last, counting, outcome, unretracted))
    return sorted(found, key=lambda bout: (bout.at, bout.duel.duel_id))


def moment(run: Summary) -> Moment:
    return Moment(run.started_at[:19], run.run_id)


def _variant_of(side: Side) -> Variant:
    return Variant(side.entry, side.source_sha256, tuple(sorted(side.overrides.items())))
