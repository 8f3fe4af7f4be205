"""speedrun retract and speedrun waive: what maintainers rule on runs. Nothing is deleted, no record is changed."""

from datetime import UTC, datetime

from harness.errors import UserError
from harness.result import Record
from leaderboard import rulings
from leaderboard.rulings import REASON_CAP, Kind, Ruling
from leaderboard.store import Store
from leaderboard.text import plain
from speedrun.answers import Ruled
from speedrun.recovery import recover
from speedrun.workspace import Workspace


def retract(workspace: Workspace, run: str, reason: str) -> Ruled:
    """Takes a run out of every ranking.

    Raises:
        UserError: no such run, no fit reason, it is retracted already, no space or permission.
    """
    return _rule(workspace, _record(workspace, run), "retraction", reason)


def waive(workspace: Workspace, run: str, reason: str) -> Ruled:
    """Lets the run's variant stand on that version of its track with a mean loss at the target, without the test.

    Raises:
        UserError: as `retract`; the run has no score or is retracted, or its track has no target.
    """
    record = _record(workspace, run)
    if record.track.objective != "fastest-to-loss" or record.track.target_nats is None:
        raise UserError(f"{record.track.id} sets no target, so there is no test to waive")
    if not record.scored:
        raise UserError(f"run {record.run_id} ended as {record.verdict}; name a scored run of the entry")
    if record.run_id in rulings.load(workspace.rulings).retracted:
        raise UserError(f"run {record.run_id} is retracted, and what it waives counts for nothing; name another run")
    return _rule(workspace, record, "waiver", reason)


def _record(workspace: Workspace, run: str) -> Record:
    recover(workspace)
    return Store(workspace.results, workspace.cache).get(run)


def _rule(workspace: Workspace, record: Record, kind: Kind, reason: str) -> Ruled:
    reason = reason.strip()
    if not reason or plain(reason, REASON_CAP) != reason:
        raise UserError(f"the reason must be one line of at most {REASON_CAP} visible characters; write it anew")
    ruling = Ruling(
        run_id=record.run_id,
        kind=kind,
        reason=reason,
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    path = rulings.add(workspace.rulings, ruling)
    return Ruled(
        run_id=record.run_id,
        entry=record.entry.name,
        track=record.track.id,
        ruling=kind,
        reason=reason,
        file=path.relative_to(workspace.root).as_posix(),
    )
