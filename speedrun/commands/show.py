"""speedrun show: one run, whole."""

from harness.errors import UserError, nearest
from harness.result import Record
from leaderboard.store import Store
from leaderboard.text import plain
from speedrun.answers import ShownRun, ShownSource
from speedrun.recovery import recover
from speedrun.workspace import Workspace

LAST = "last"


def show(workspace: Workspace, run: str) -> ShownRun:
    """The record of a run. Raises UserError when there is none, or it is broken."""
    return ShownRun(record=_record(workspace, run))


def source(workspace: Workspace, run: str, path: str) -> ShownSource:
    """One file of a run's source. Raises UserError as `show`, or for an unknown file."""
    record = _record(workspace, run)
    files = {file.path: file for file in record.source.files}
    if path not in files:
        raise UserError(f"run {record.run_id} has no file {plain(path, 100)!r}: {nearest(path, files)}")
    file = files[path]
    return ShownSource(run_id=record.run_id, path=file.path, sha256=file.sha256, text=file.text)


def _record(workspace: Workspace, run: str) -> Record:
    recover(workspace)
    store = Store(workspace.results)
    if run != LAST:
        return store.get(run)
    records = store.load().records
    if not records:
        raise UserError("there are no runs yet; speedrun run baseline --track cpu-smoke makes one")
    return store.get(max(records, key=lambda record: (record.started_at, record.run_id)).run_id)
