"""speedrun watch: a run in progress, seen from another terminal."""

import sys
from collections.abc import Sequence

import msgspec

from harness.errors import UserError, nearest
from harness.result import Record
from leaderboard.store import Store
from leaderboard.text import plain
from speedrun import console, live
from speedrun.answers import Ran
from speedrun.commands.show import LAST, find
from speedrun.recovery import recover
from speedrun.run_watch import Running, batches, running, state
from speedrun.standings import on_board
from speedrun.workspace import Workspace


def watch(workspace: Workspace, run: str | None, *, json: bool) -> Ran:
    """Shows a run until it ends, then what came of it; of one that has ended already, just that.

    json: every event as a line of JSON on standard output, instead of a view.

    Raises:
        UserError: there is no such run, or several may be meant.
        KeyboardInterrupt: told to stop; the run knows nothing of it.
    """
    recover(workspace)
    meant = _meant(running(workspace.cache), run, workspace)
    if isinstance(meant, Record):
        console.note(f"run {meant.run_id} has ended")
        return _answer(workspace, meant)
    if json:
        for batch in batches(meant.folder):
            for event in batch:
                console.json_line(msgspec.json.encode(event))
    else:
        _view(meant)
    if state(meant.folder) == "dead":
        recover(workspace)
    return _answer(workspace, meant.record)


def _meant(found: Sequence[Running], run: str | None, workspace: Workspace) -> Running | Record:
    """The run in progress, or the record of one that is over. found: oldest first."""
    if run == LAST and found:
        return found[-1]
    if run is not None:
        fitting = [one for one in found if one.record.run_id == run] or [
            one for one in found if run and one.record.run_id.startswith(run)
        ]
        if not fitting:
            return _ended(found, run, workspace)
    else:
        fitting = list(found)
        if not fitting:
            raise UserError(f"no run is in progress; {_last(workspace)}")
    if len(fitting) > 1:
        ids = ", ".join(one.record.run_id for one in fitting)
        raise UserError(f"{len(fitting)} runs are in progress: {ids}; name one: speedrun watch RUN")
    return fitting[0]


def _ended(found: Sequence[Running], run: str, workspace: Workspace) -> Record:
    """The stored record of a run that is not in progress."""
    try:
        return find(workspace, run).record
    except UserError:
        if not found:
            raise
        shown = plain(run, 80)
        raise UserError(
            f"no run {shown!r}; in progress: {nearest(shown, [one.record.run_id for one in found])}"
        ) from None


def _last(workspace: Workspace) -> str:
    records = Store(workspace.results, workspace.cache).load().records
    if not records:
        return "speedrun run baseline --track cpu-smoke starts one"
    last = max(records, key=lambda record: (record.started_at, record.run_id))
    return f"the last one was {last.run_id} (speedrun show last)"


def _view(meant: Running) -> None:
    record = meant.record
    title = f"{record.entry.name} on {record.track.id} · run {record.run_id}"
    with live.choose(title, console.console(sys.stderr), sys.stderr, quiet=False) as view:
        for number, batch in enumerate(batches(meant.folder)):
            if number == 0:
                view.catch_up(batch)
            else:
                for event in batch:
                    view.observe(event)


def _answer(workspace: Workspace, run: Record) -> Ran:
    """What `speedrun run` would answer. Raises UserError: the run left no record, or it is broken."""
    if not (workspace.results / run.track.id / f"{run.run_id}.json").exists():
        raise UserError(f"run {run.run_id} ended and left no record; the terminal where it ran says why")
    held = Store(workspace.results, workspace.cache).find(run.run_id)
    record = held.counted
    path = (workspace.results / held.path).relative_to(workspace.root)
    return Ran(
        records=(record,),
        files=(path.as_posix(),),
        runs_wanted=1,
        on_board=on_board(workspace, record),
        interrupted=False,
    )
