"""Everything that says who stands where, read from a checkout: records, duels, rulings, and what they come to."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from harness.errors import UserError
from harness.result import Record, encode
from harness.track import Track, find_track, list_tracks
from leaderboard import rulings
from leaderboard.alike import Place, Variant, place, variant
from leaderboard.duel_store import DuelStore
from leaderboard.duels import Duel
from leaderboard.history import History
from leaderboard.ranking import Board, Row, Section, Standing, TrackRules, rank
from leaderboard.rulings import Rulings
from leaderboard.schema import Summary, decode_summary
from leaderboard.store import Broken, Store
from speedrun.workspace import Workspace

if TYPE_CHECKING:
    from speedrun.answers import OnBoard

Placed = TypeVar("Placed", History, Section)


class Standings(NamedTuple):
    """What lies in a checkout, of all tracks or of one."""

    rules: dict[str, TrackRules]  # by track, in the order of the tracks
    runs: tuple[Summary, ...]
    unsigned: frozenset[str]  # ids of the runs that say verified without a valid signature
    digests: Mapping[str, str]  # run id → sha256 of its file, in hexadecimal
    duels: tuple[Duel, ...]
    rulings: Rulings
    broken: tuple[Broken, ...]  # paths relative to the leaderboard's folder

    def board(self, *, practice: bool = False) -> Board:
        """practice: what is not ranked is listed too."""
        return rank(self.runs, self.rules, self.rulings, self.unsigned, include_unranked=practice)

    def histories(self) -> tuple[History, ...]:
        from leaderboard.replay import histories

        return histories(self.runs, self.duels, self.rules, self.rulings)


def track_rules(track: Track) -> TrackRules:
    """What the board must know of a track."""
    ranking = track.ranking
    gain = ranking.least_gain_nats if track.objective == "lowest-loss" else ranking.least_gain_s
    assert gain is not None  # a track that is loaded has the gain of its objective
    return TrackRules(version=track.version, runs=ranking.runs, alpha=ranking.alpha, least_gain=gain)


def read(workspace: Workspace, track_id: str | None = None) -> Standings:
    """What lies in the checkout; what is broken is named and left out, but for a retraction, which holds all the same.

    track_id: only what is about this track; the rulings are all there.

    Raises:
        UserError: an unknown track, a folder that can't be read, signatures that can't be checked.
    """
    tracks = list_tracks(workspace.tracks) if track_id is None else (find_track(track_id, workspace.tracks),)
    records = Store(workspace.results, workspace.cache).load(track_id)
    duels = DuelStore(workspace.duels, workspace.cache).load(track_id)
    ruled = rulings.load(workspace.rulings)
    broken = [
        Broken(f"{folder.name}/{path}", reason)
        for folder, of_folder in (
            (workspace.results, records.broken),
            (workspace.duels, duels.broken),
            (workspace.rulings, ruled.broken),
        )
        for path, reason in of_folder
    ]
    return Standings(
        rules={track.id: track_rules(track) for track in tracks},
        runs=records.records,
        unsigned=records.unsigned,
        digests=records.digests,
        duels=duels.duels,
        rulings=ruled,
        broken=tuple(broken),
    )


def board(workspace: Workspace, track_id: str | None = None, *, practice: bool = False) -> Board:
    """The board of a checkout. Raises UserError as `read`."""
    return read(workspace, track_id).board(practice=practice)


def histories(workspace: Workspace, track_id: str | None = None) -> tuple[History, ...]:
    """The record histories of a checkout. Raises UserError as `read`."""
    return read(workspace, track_id).histories()


def on_board(workspace: Workspace, record: Record) -> "OnBoard | None":
    """Where all stored runs of this record's variant put it; None: the record is not ranked, or there is no board.

    record: as it counts, and stored.
    """
    from speedrun.answers import OnBoard

    if not record.ranked:
        return None
    run = decode_summary(encode(record))
    try:
        section = find(board(workspace, run.track.id).sections, place(run))
    except UserError:  # whatever keeps the board from being read is told by the next command that shows it
        return None
    ours = (variant(run), run.tier)
    row = next((row for row in section.rows if (_variant_of(row), row.tier) == ours), None) if section else None
    if section is None or row is None:
        return None
    if row.standing is Standing.TOO_FEW_RUNS:
        return OnBoard(rank=None, missing_runs=max(1, (section.runs_asked or 1) - row.runs), against="")
    return OnBoard(rank=row.rank, missing_runs=0, against="" if row.rank is not None else row.note)


def _variant_of(row: Row) -> Variant:
    return Variant(row.entry, row.source_sha256, row.overrides)


def find(those: Iterable[Placed], place: Place) -> Placed | None:
    """Of histories, or of a board's sections, the one that runs of this place belong to; None: there is none yet."""
    return next((one for one in those if (one.track, one.dataset, one.hardware) == place), None)
