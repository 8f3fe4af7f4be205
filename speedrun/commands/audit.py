"""speedrun leaderboard --audit: what does not fit in the records, held against this checkout's tracks and data."""

from harness.errors import UserError
from harness.track import find_track, list_tracks
from leaderboard import published, rulings
from leaderboard.audit import audit as audit_records
from leaderboard.audit import beside, files, in_order
from leaderboard.duel_store import DuelStore
from leaderboard.signatures import line_faults
from leaderboard.store import MAINTAINERS_NAME, Store
from speedrun.answers import Audited
from speedrun.known_facts import known_facts
from speedrun.recovery import recover
from speedrun.workspace import Workspace


def audit(workspace: Workspace, track_id: str | None) -> Audited:
    """Checks every record, or one track's, whole and with its signature; whatever was remembered of them is not asked.

    Raises:
        UserError: an unknown track, a broken manifest, signatures that can't be checked.
    """
    if track_id is not None:
        find_track(track_id, workspace.tracks)
    recover(workspace)
    everything = Store(workspace.results).read_all(track_id)
    duels = DuelStore(workspace.duels).load(track_id)
    ruled = rulings.load(workspace.rulings)
    # The rulings and the duels of one track may be about any run.
    known = {held.record.run_id for held in everything.records}
    if track_id is not None:
        known |= {run.run_id for run in Store(workspace.results, workspace.cache).load().records}
    return Audited(
        records=len(everything.records),
        signed=sum(held.signer is not None for held in everything.records),
        findings=in_order(
            [
                *audit_records(
                    everything.records, known_facts(list_tracks(workspace.tracks), workspace.datasets, workspace.cache)
                ),
                *files(everything.broken, duels, ruled, known),
                *beside(line_faults(workspace.results.parent / MAINTAINERS_NAME), _unreadable(workspace)),
            ]
        ),
    )


def _unreadable(workspace: Workspace) -> str | None:
    """Why the published results can't be read, the first reason; None: they can."""
    try:
        published.load(workspace.published)
    except UserError as error:
        return str(error)
    return None
