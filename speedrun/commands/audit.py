"""speedrun leaderboard --audit: what does not fit in the records, held against this checkout's tracks and data."""

from collections.abc import Iterable, Iterator

from harness.errors import UserError
from harness.track import find_track, list_tracks
from leaderboard import published, rulings
from leaderboard.audit import audit as audit_records
from leaderboard.audit import beside, files, in_order
from leaderboard.duel_store import DuelStore
from leaderboard.signatures import line_faults
from leaderboard.store import MAINTAINERS_NAME, Broken, Held, Store
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
    records = _Records(Store(workspace.results).each(track_id))
    facts = known_facts(list_tracks(workspace.tracks), workspace.datasets, workspace.cache)
    found = audit_records(records, facts)
    duels = DuelStore(workspace.duels).load(track_id)
    ruled = rulings.load(workspace.rulings)
    # The rulings and the duels of one track may be about any run.
    known = set(records.run_ids)
    if track_id is not None:
        known |= {run.run_id for run in Store(workspace.results, workspace.cache).load().records}
    return Audited(
        records=len(records.run_ids),
        signed=records.signed,
        findings=in_order(
            [
                *found,
                *files(records.broken, duels, ruled, known),
                *beside(line_faults(workspace.results.parent / MAINTAINERS_NAME), _unreadable(workspace)),
            ]
        ),
    )


class _Records:
    """The records on their way into the audit. They are counted, and none is kept."""

    def __init__(self, files: Iterable[Held | Broken]) -> None:
        self.run_ids: list[str] = []
        self.signed = 0
        self.broken: list[Broken] = []
        self._files = files

    def __iter__(self) -> Iterator[Held]:
        for file in self._files:
            if isinstance(file, Broken):
                self.broken.append(file)
            else:
                self.run_ids.append(file.record.run_id)
                self.signed += file.signer is not None
                yield file


def _unreadable(workspace: Workspace) -> str | None:
    """Why the published results can't be read, the first reason; None: they can."""
    try:
        published.load(workspace.published)
    except UserError as error:
        return str(error)
    return None
