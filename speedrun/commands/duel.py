"""speedrun duel: two entries in turns on this machine; which of them is better?"""

import shlex
from pathlib import Path

from harness.errors import UserError
from harness.track import find_track
from leaderboard.alike import place
from leaderboard.history import Step, current
from speedrun.answers import Dueled
from speedrun.bout import Contender, Terms, demand_two, fight, named, restored
from speedrun.cluster.manning import manned
from speedrun.recovery import recover
from speedrun.session import Conditions, Session, open_session
from speedrun.standings import find, histories
from speedrun.vouching import Voucher
from speedrun.workspace import Workspace

RECORD = "record"  # instead of an entry's name: whoever holds the track's record on this hardware


def duel(
    workspace: Workspace,
    name: str,
    against: str,
    track_id: str,
    *,
    pairs: int,
    key: Path | None,
    conditions: Conditions,
) -> Dueled:
    """Runs the entry against another one, or against the current record from the source that its record holds.

    The answer's exit code is 0 when the duel is settled, whoever is better, and 1 when it is not: too much scatter for
    so many pairs, or a side that failed.

    Raises:
        UserError: a mistake that keeps it from starting: no such entry, track or record, both sides the same, a machine
            that the track does not ask for, a key that vouches for nothing.
        KeyboardInterrupt: told to stop before the first pair was complete.
    """
    recover(workspace, conditions.say)
    a = named(name, workspace)
    b = None if against == RECORD else named(against, workspace)
    track = find_track(track_id, workspace.tracks)
    if b is not None:
        demand_two(a, b)
    voucher = None if key is None else Voucher(workspace, key, conditions.say)
    if voucher is not None:
        voucher.demand(*(one.entry for one in (a, b) if one is not None))
        conditions = voucher.conditions(conditions)
    with (
        manned(workspace, track, conditions) as manned_conditions,
        open_session(workspace, track, manned_conditions, f"{a.entry.name} against {against}") as session,
    ):
        if b is None:
            b = _record(session, a)
            if voucher is not None:
                voucher.demand(b.entry)
        conditions.expect(2 * pairs)
        fought = fight(session, a, b, Terms("duel", pairs, voucher, conditions.quiet))
        command = shlex.join(["speedrun", "duel", name, "--against", against, "--track", track.id])
        return Dueled(command=command, fought=fought, interrupted=session.interrupted)


def _record(session: Session, challenger: Contender) -> Contender:
    """Who holds the record; where nothing is verified yet, the best claim."""
    track = session.track.id
    history = find(histories(session.workspace, track), place(session.would_be(challenger.entry)))
    step: Step | None = None
    if history is not None:
        step = current(history)
        if step is None and history.claims:
            step = history.claims[0]
            session.conditions.say(
                f"no record of {track} is verified on this hardware yet; against the best claim, {step.entry}"
            )
    if step is None:
        raise UserError(
            f"there is no record of {track} on this hardware yet, nor a claim to one; name an entry instead of 'record'"
        )
    holder = restored(step, session.workspace)
    demand_two(challenger, holder)
    return holder
