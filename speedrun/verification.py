"""Whether an entry stands by a maintainer's own runs, and whether it is the record then. Pure functions of records.

Not covered: a maintainer who asks for more and more runs until a test is passed by luck; every one of them is on disk.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from harness.result import TrackRef
from leaderboard.alike import torch
from leaderboard.beaten import beaten
from leaderboard.conduct import disproof
from leaderboard.history import History, LostDuel, Step, current
from leaderboard.ranking import Standing, TrackRules, target_standing
from leaderboard.schema import Summary
from leaderboard.stats import look_alpha, mean, p_below

Outcome = Literal["stands", "does not stand", "not settled"]


class Judgement(NamedTuple):
    """What the runs so far come to."""

    outcome: Outcome
    because: str
    settled: bool  # more runs of the number that was asked for would change nothing, or are all there


def judge(runs: Sequence[Summary], asked: int, track: TrackRef, alpha: float, waived: str | None) -> Judgement:
    """Whether the entry stands, and whether to go on.

    Where there is a target, every run from the second on is a look at whether the mean loss lies above it. The looks
    share `alpha` (leaderboard.stats.look_alpha), so that an entry whose mean is at the target is given up, too early,
    with probability `alpha` at most.

    Args:
        runs: every verified run of this very source in this place, oldest first, failed ones included.
        asked: so many scored ones are due.
        track: where they ran.
        alpha: of the test that the mean loss lies below the target, and of the looks.
        waived: why a maintainer waived that test; None: nobody did.
    """
    if against := disproof(runs):
        return Judgement("does not stand", against, True)
    losses = scores(runs)
    target = track.target_nats
    if len(losses) < asked:
        if target is not None and waived is None and _hopeless(losses, asked, target, alpha):
            words = f"after {len(losses)} of {asked} runs the mean loss of {mean(losses):.4f} is shown to be above"
            return Judgement("does not stand", f"{words} the target of {target:g}", True)
        return Judgement("not settled", f"{len(losses)} of {asked} runs are made", False)
    standing, why = target_standing(losses, target, alpha, waived)
    if standing is not Standing.RANKED:
        return Judgement("does not stand", why, True)
    told = f"{len(losses)} verified {'run' if len(losses) == 1 else 'runs'}"
    told += ", the mean loss is below the target" if target is not None and not why else ""
    return Judgement("stands", "; ".join(filter(None, (told, why))), True)


def scores(runs: Sequence[Summary]) -> list[float]:
    """Losses of the runs that count, in nats a token."""
    return [run.score.loss_nats for run in runs if run.ranked and run.score is not None]


def _hopeless(losses: Sequence[float], asked: int, target: float, alpha: float) -> bool:
    above = p_below([-loss for loss in losses], -target)
    return above < look_alpha(len(losses), asked, alpha)


class RecordNews(NamedTuple):
    """How an entry stands to the record."""

    is_record: bool
    words: str


def record_news(runs: Sequence[Summary], history: History | None, rules: TrackRules) -> RecordNews:
    """Whether these runs hold the record; if not, what is missing.

    Args:
        runs: verified ones of one source that stand.
        history: of their place, with these runs taken into account; None: there is none.
        rules: of their track.
    """
    record = None if history is None else current(history)
    if history is None or record is None:
        return RecordNews(False, "there is no record, and these runs did not make one")
    track, last = history.track, runs[-1]
    if _is_of(last, record):
        return RecordNews(True, f"record {record.number}: {record.evidence.words}")
    name = last.entry.name
    told = f"record {record.number} is {record.entry}'s"
    held = next((step for step in history.steps if step.kind == "record" and _is_of(last, step)), None)
    if held is not None:
        return RecordNews(False, f"{told}; this was record {held.number}")
    duel = f"speedrun duel {name} --against record --track {track.id} --key FILE"
    if track.objective == "fastest-to-loss":
        lost = next((lost for lost in history.lost if _is_of(last, lost)), None)
        if lost is not None:
            return RecordNews(False, f"{told}; {lost.words}")
        return RecordNews(False, f"{told}, and times are compared side by side: now {duel}")
    theirs = dict(history.record_losses).get(torch(last), ())
    if len(theirs) < 2:
        return RecordNews(False, f"{told}: too few runs of it with this torch; {duel} makes runs of both")
    return RecordNews(False, f"{told} {beaten(scores(runs), theirs, rules).words}")


def _is_of(run: Summary, step: Step | LostDuel) -> bool:
    return (step.entry, step.source_sha256, step.overrides) == (run.entry.name, run.source.sha256, ())
