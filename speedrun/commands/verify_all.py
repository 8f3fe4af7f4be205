"""speedrun verify --all: the queue of a track worked off, one entry after the other here, or several on a cluster."""

from pathlib import Path

from harness import submission
from harness.track import Track, find_track
from speedrun import console, queue_reading, queue_words
from speedrun.answers import Verified, VerifiedAll, VerifiedEntry
from speedrun.cluster.manning import manned
from speedrun.commands.verify import runs_due, verify
from speedrun.queue_work import plan, work_off, work_off_together
from speedrun.recovery import recover
from speedrun.session import Conditions, open_session
from speedrun.signals import Interrupts
from speedrun.vouching import Voucher
from speedrun.workspace import Workspace


def verify_all(
    workspace: Workspace, track_id: str, *, key: Path, runs: int | None, limit: int | None, conditions: Conditions
) -> VerifiedAll:
    """Verifies whoever waits on the track, in the order of the queue; what ends one verification does not end the rest.

    Asked again it goes on where it ended: what is settled waits no more, and verified runs that are there count.

    Args:
        key: the maintainer's, private or public.
        runs: so many verified runs of each entry in all; None: as many as the track asks.
        limit: at most so many verifications; None: all.

    Raises:
        UserError: what takes a person to mend (the key, the checkout, this machine), before anything runs.
        KeyboardInterrupt: told to stop before the first verification had begun.
    """
    recover(workspace, conditions.say)
    track = find_track(track_id, workspace.tracks)
    due = runs_due(track, runs)
    voucher = Voucher(workspace, key, conditions.say)
    voucher.demand()
    queue = queue_reading.read(workspace, track.id, due)
    planned = plan(queue, limit)
    many = len(planned.now)
    turns = {row.entry: f"{number} of {many} in the queue" for number, row in enumerate(planned.now, start=1)}
    to_make = {row.entry: due - row.runs_made for row in planned.now}

    def say(words: str) -> None:
        if not conditions.quiet:
            console.note(words)

    def tell(entry: VerifiedEntry, number: int) -> None:
        conditions.expect(len(entry.run_ids) - to_make[entry.entry])  # settled early, or some were lost
        say(f"{number} of {many}: {queue_words.outcome(entry)}")

    with manned(workspace, track, voucher.conditions(conditions), seats=many) as manned_conditions:

        def verify_one(name: str) -> Verified:
            turn = turns[name]
            return verify(workspace, name, track.id, key=key, runs=runs, conditions=manned_conditions, turn=turn)

        if planned.now:
            _demand_machine(workspace, track, planned.now[0].entry, voucher, manned_conditions)
        say(queue_words.ahead(planned.now, track.id))
        conditions.expect(sum(to_make.values()))
        if manned_conditions.crew is not None:
            worked_off = work_off_together(planned.now, verify_one, tell, manned_conditions.crew)
        else:
            with Interrupts():  # also between two verifications, so that it is said what is done and what is left
                worked_off = work_off(planned.now, verify_one, tell)
    return VerifiedAll(
        track=track.id,
        entries=(*worked_off.entries, *planned.impossible),
        left=tuple(row.entry for row in (*worked_off.left, *planned.later)),
        interrupted=worked_off.interrupted,
        broken_off=worked_off.broken_off,
        broken=queue.broken,
    )


def _demand_machine(workspace: Workspace, track: Track, name: str, voucher: Voucher, conditions: Conditions) -> None:
    """Refuses what no verification could do on this machine; its devices are free again afterwards. Raises UserError.

    name: of an entry that is to be verified.
    """
    entry = submission.load(submission.find(name, workspace.submissions), name)
    with open_session(workspace, track, conditions, "the queue") as session:
        voucher.demand_request(session.request(entry))
