"""speedrun retime: every record of a track again, in turns with the one before it, on this machine."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from harness.errors import UserError
from harness.track import find_track
from leaderboard.alike import place
from leaderboard.history import History
from leaderboard.text import plain
from speedrun import console
from speedrun.answers import Fought, Retimed
from speedrun.bout import Contender, Terms, fight, restored
from speedrun.cluster.manning import manned
from speedrun.recovery import recover
from speedrun.session import Conditions, open_session
from speedrun.standings import find, histories
from speedrun.vouching import Voucher
from speedrun.workspace import Workspace


def retime(workspace: Workspace, track_id: str, *, pairs: int, key: Path | None, conditions: Conditions) -> Retimed:
    """Runs a duel for each record but the first, oldest first, from the sources that the records hold.

    The runs count in no mean, and no record changes. The answer's exit code is 0 when every record is better than the
    one before it here, too, and 1 when a duel is not settled, settled the other way, or can't be run.

    Raises:
        UserError: fewer than two records of the track as it is today on this hardware, or a mistake that keeps a duel
            from starting.
        KeyboardInterrupt: told to stop before the first pair was complete.
    """
    recover(workspace, conditions.say)
    track = find_track(track_id, workspace.tracks)
    lines = [_line(history, workspace) for history in histories(workspace, track.id)]
    today = [line for line in lines if line.history.track.sha256 == track.sha256]
    lines = [line for line in today if line.bouts]
    if not lines:
        raise _nothing(track.id, today)
    voucher = None if key is None else Voucher(workspace, key, conditions.say)
    if voucher is not None:
        voucher.demand(*(record.entry for line in lines for bout in line.bouts for record in bout))
        conditions = voucher.conditions(conditions)
    with (
        manned(workspace, track, conditions) as manned_conditions,
        open_session(workspace, track, manned_conditions, f"the records of {track.id}") as session,
    ):
        here = place(session.would_be(lines[0].bouts[0].new.entry))
        history = find([line.history for line in lines], here)
        line = next((line for line in lines if line.history is history), None)
        if line is None:
            raise _nothing(track.id, today)
        for words in line.left_out:
            conditions.say(words)
        conditions.expect(2 * pairs * len(line.bouts))
        fought: list[Fought] = []
        broken_off = ""
        for number, bout in enumerate(line.bouts, 1):
            if not conditions.quiet:
                console.note(f"duel {number} of {len(line.bouts)}: {bout.new.entry.name} against {bout.old.entry.name}")
            try:
                fought.append(fight(session, bout.new, bout.old, Terms("retime", pairs, voucher, conditions.quiet)))
            except KeyboardInterrupt:
                if not fought:
                    raise
                break
            except UserError as error:
                if not fought:
                    raise
                broken_off = f"duel {number} of {len(line.bouts)} could not begin: {error}"
                break
            if broken_off := fought[-1].broken_off:
                break
            runs = len(fought[-1].files) - 1  # beside the duel itself
            conditions.expect(runs - 2 * pairs)  # it was settled early, or some failed
        return Retimed(
            fought=tuple(fought), left_out=line.left_out, interrupted=session.interrupted, broken_off=broken_off
        )


class _Bout(NamedTuple):
    """A record and the one before it."""

    new: Contender
    old: Contender


class _Line(NamedTuple):
    """The records of a history that can be run one against the other, oldest first."""

    history: History
    bouts: tuple[_Bout, ...]
    left_out: tuple[str, ...]  # records that can't be run any more, and why


def _line(history: History, workspace: Workspace) -> _Line:
    records: list[Contender | None] = []
    left_out: list[str] = []
    for step in history.steps:
        if step.kind != "record":
            continue
        try:
            records.append(restored(step, workspace))
        except UserError as error:
            records.append(None)
            left_out.append(f"record {step.number} is left out: {error}")
    bouts = [_Bout(new, old) for old, new in pairwise(records) if old is not None and new is not None]
    return _Line(history, tuple(bouts), tuple(left_out))


def _nothing(track: str, lines: Iterable[_Line]) -> UserError:
    left_out = "; ".join(f"{line.history.hardware}: {words}" for line in lines for words in line.left_out)
    return UserError(
        f"{track} has no two verified records in a row that can be run on this hardware, so that there is nothing to "
        f"compare; {f'{plain(left_out, 500)}; ' if left_out else ''}speedrun leaderboard --history --track {track} "
        "shows what there is"
    )
