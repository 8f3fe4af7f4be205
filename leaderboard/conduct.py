"""Which runs speak against an entry, however well its other runs did. Pure.

One answer for the maintainer who verifies, for the board and for the record history: a run that cheats is not made good
by three that did not, and an entry that crashes on unlucky seeds must not be left with the lucky ones.

A run that re-times a record or reproduces a run is made under other conditions, a newer torch say, and long after the
entry was handed in: that it crashes there is no proof. That it cheats there is one.
"""

from collections.abc import Iterable
from typing import Final

from harness.result import Verdict
from leaderboard.alike import set_apart
from leaderboard.schema import Summary

# One run that ends so is enough: no accident looks like it.
AGAINST: Final = frozenset({Verdict.NOT_PREDICTIVE, Verdict.PRETRAINED, Verdict.RULE_VIOLATION})
# These say nothing of the entry.
NOBODYS_FAULT: Final = frozenset({Verdict.INTERNAL_ERROR, Verdict.INTERRUPTED})
MOST_FAILURES: Final = 1  # of any other kind, and one more for every ten runs that were scored
SCORED_A_FAILURE: Final = 10


def failed(run: Summary) -> bool:
    """Whether it ended by its entry's own fault."""
    return run.verdict is not Verdict.OK and run.verdict not in NOBODYS_FAULT


def cheated(runs: Iterable[Summary]) -> str:
    """The first run that no accident explains, in words; "" where there is none."""
    return next((f"run {run.run_id} ended as {run.verdict}" for run in runs if run.verdict in AGAINST), "")


def disproof(runs: Iterable[Summary]) -> str:
    """Why an entry does not stand by these runs; "" where nothing speaks against it.

    runs: all that one party made of one source in one place, failed ones included, oldest first.
    """
    all_runs = list(runs)
    if words := cheated(all_runs):
        return words
    own = [run for run in all_runs if not set_apart(run)]
    failures = [run for run in own if failed(run)]
    scored = sum(run.scored for run in own)
    if len(failures) > MOST_FAILURES + scored // SCORED_A_FAILURE:
        verdicts = ", ".join(f"{run.verdict} ({run.run_id})" for run in failures[:5])
        more = f" and {len(failures) - 5} more" if len(failures) > 5 else ""
        return f"it failed {len(failures)} times: {verdicts}{more}"
    return ""
