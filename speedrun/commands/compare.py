"""speedrun compare: two runs side by side."""

from harness.errors import UserError
from harness.result import Record
from speedrun.answers import Compared, ComparedRun
from speedrun.commands.show import find
from speedrun.comparison import compare as side_by_side
from speedrun.recovery import recover
from speedrun.workspace import Workspace


def compare(workspace: Workspace, a: str, b: str) -> Compared:
    """What two runs say beside each other. Raises UserError when there is no such run, or both are the same one."""
    recover(workspace)
    first, second = find(workspace, a).counted, find(workspace, b).counted
    if first.run_id == second.run_id:
        raise UserError(f"both are run {first.run_id}; name two runs (speedrun leaderboard --all shows what there is)")
    return as_answer(first, second)


def as_answer(a: Record, b: Record) -> Compared:
    """The answer, from the records as they count."""
    return Compared(a=_run(a), b=_run(b), comparison=side_by_side(a, b))


def _run(record: Record) -> ComparedRun:
    return ComparedRun(
        run_id=record.run_id,
        entry=record.entry.name,
        track=record.track.id,
        verdict=record.verdict,
        tier=record.tier,
        started_at=record.started_at,
        curve=record.curve,
    )
