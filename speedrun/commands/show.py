"""speedrun show: one run, whole."""

from harness.errors import UserError, nearest
from leaderboard import rulings
from leaderboard.store import Held, Store
from leaderboard.text import plain
from speedrun.answers import ShownRun, ShownSource
from speedrun.recovery import recover
from speedrun.workspace import Workspace

LAST = "last"


def show(workspace: Workspace, run: str) -> ShownRun:
    """The record of a run, and what was ruled on it. Raises UserError when there is none, or it is broken."""
    recover(workspace)
    held = find(workspace, run)
    ruled, run_id = rulings.load(workspace.rulings), held.record.run_id
    return ShownRun(
        record=held.counted,
        signed_by=held.signer,
        unsigned=held.unsigned,
        retracted=ruled.retracted.get(run_id),
        waived=ruled.waived.get(run_id),
    )


def source(workspace: Workspace, run: str, path: str) -> ShownSource:
    """One file of a run's source. Raises UserError as `show`, or for an unknown file."""
    recover(workspace)
    record = find(workspace, run).record
    files = {file.path: file for file in record.source.files}
    if path not in files:
        raise UserError(f"run {record.run_id} has no file {plain(path, 100)!r}: {nearest(path, files)}")
    file = files[path]
    return ShownSource(run_id=record.run_id, path=file.path, sha256=file.sha256, text=file.text)


def find(workspace: Workspace, run: str) -> Held:
    """The run with this id, with the only id that begins so, or the last one. Raises UserError when there is none."""
    store = Store(workspace.results, workspace.cache)
    if run != LAST:
        return store.find(run)
    records = store.load().records
    if not records:
        raise UserError("there are no runs yet; speedrun run baseline --track cpu-smoke makes one")
    return store.find(max(records, key=lambda record: (record.started_at, record.run_id)).run_id)
