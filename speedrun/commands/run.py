"""speedrun run: an entry on a track, once or several times, recorded whatever happens."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import submission
from harness.errors import UserError
from harness.result import Verdict
from harness.track import Track, find_track, list_tracks
from speedrun import console
from speedrun.answers import Ran
from speedrun.extra_options import as_pairs
from speedrun.recovery import recover
from speedrun.session import Conditions, Session, Stored, open_session, outside
from speedrun.standings import on_board
from speedrun.workspace import Workspace

if TYPE_CHECKING:
    from speedrun.cluster.crew import Call


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    entry: str  # a name, or the path of a folder
    track: str | None
    runs: int
    pairs: Sequence[str]  # field=value, from --set
    extra: Sequence[str]  # what no option knows: --d-model 512
    options: Sequence[str]  # the command's own, to tell slips from fields
    conditions: Conditions
    call: "Call | None" = None  # the cluster that makes the runs; None: this machine does
    resume: bool = False  # with a cluster: go on with the latest series of such runs
    json: bool = False  # with a cluster: tell events as JSON


def run(workspace: Workspace, wish: Wish) -> Ran:
    """Runs the entry and stores every record.

    Raises:
        UserError: a mistake that keeps the run from starting; it leaves no record.
        KeyboardInterrupt: told to stop before the first run had begun.
    """
    if wish.call is None:  # else it is said to whoever watches
        recover(workspace)
    folder = submission.find(wish.entry, workspace.submissions)
    entry = submission.load(folder, folder.name)
    fields = None if entry.fields is None else [field.name for field in entry.fields]
    pairs = [*wish.pairs, *as_pairs(wish.extra, fields, wish.options)]
    overrides = submission.parse_overrides(pairs, entry.fields)
    track = _track(wish.track, workspace)
    if wish.call is not None:
        from speedrun.cluster.batch import run_batch

        return run_batch(
            workspace,
            entry,
            track,
            wish.conditions,
            wish.call,
            runs=wish.runs,
            overrides=overrides,
            practice=outside(folder, workspace),
            resume=wish.resume,
            json=wish.json,
        )
    with open_session(workspace, track, wish.conditions, entry.name) as session:
        request = session.request(entry, overrides=overrides, practice=outside(folder, workspace))
        stored: list[Stored] = []
        for number in range(1, wish.runs + 1):
            try:
                stored.append(session.run(request, _number(wish, number)))
            except KeyboardInterrupt:
                if not stored:
                    raise
                break
            _tell(wish, number, stored[-1])
            if session.interrupted or stored[-1].record.verdict is Verdict.INTERRUPTED:
                break
        return _answer(session, stored, wish.runs)


def _answer(session: Session, stored: Sequence[Stored], wanted: int) -> Ran:
    return Ran(
        records=tuple(record for record, _ in stored),
        files=tuple(file for _, file in stored),
        runs_wanted=wanted,
        on_board=on_board(session.workspace, stored[-1].record),
        interrupted=session.interrupted,
    )


def _number(wish: Wish, number: int) -> str:
    return f"run {number} of {wish.runs}" if wish.runs > 1 else ""


def _tell(wish: Wish, number: int, stored: Stored) -> None:
    """One line between two runs."""
    record = stored.record
    if wish.runs > 1 and not wish.conditions.quiet:
        loss = f", loss {record.score.loss_nats:.4f}" if record.score is not None else ""
        console.note(f"run {number} of {wish.runs}: {record.verdict}{loss}")


def _track(wanted: str | None, workspace: Workspace) -> Track:
    if wanted is None:
        known = ", ".join(track.id for track in list_tracks(workspace.tracks))
        raise UserError(f"say on which track: --track TRACK, one of {known}")
    return find_track(wanted, workspace.tracks)
