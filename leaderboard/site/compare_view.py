"""What the page that compares two runs offers to choose from; its script reads everything else from their pages."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from leaderboard.schema import Summary
from leaderboard.table import number

MOST_OFFERED: Final = 200  # runs; any other is named by its id


class Offer(NamedTuple):
    """A run in the list under a field."""

    run_id: str
    words: str


class ComparePage(NamedTuple):
    offered: tuple[Offer, ...]  # the youngest first


def compare_page(runs: Sequence[Summary]) -> ComparePage:
    """runs: oldest first, practice and failed ones too."""
    return ComparePage(tuple(Offer(run.run_id, _words(run)) for run in reversed(runs[-MOST_OFFERED:])))


def _words(run: Summary) -> str:
    """Entry, track, and the loss or why there is none; all of it fits a pattern."""
    loss_nats = run.score.loss_nats if run.scored and run.score is not None else None
    ended = run.verdict.value if loss_nats is None else f"{number(loss_nats, 4)} nats/token"
    return f"{run.entry.name} on {run.track.id}, {ended}"
