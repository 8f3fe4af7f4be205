"""speedrun leaderboard: show the board, write it into its page, export the runs."""

from pathlib import Path

from harness.track import find_track, list_tracks
from leaderboard import atomic
from leaderboard.ranking import Board, TrackRules, rank, top
from leaderboard.store import Store
from speedrun.answers import BrokenRecord, Shown
from speedrun.recovery import recover
from speedrun.workspace import Workspace

ROWS_SHOWN = 25  # of each section on a terminal, unless asked otherwise


def leaderboard(
    workspace: Workspace,
    *,
    show: bool,
    track: str | None,
    rows: int | None,
    practice: bool,
    render: bool,
    export: Path | None,
) -> Shown:
    """The board of the stored runs; shown when nothing else is asked.

    Args:
        show: show the board even when something is written.
        track: only this one, for showing and for the export.
        rows: so many of each section.
        practice: also list what is not ranked.
        render: write the ranked board into leaderboard/README.md and README.md.
        export: write one row a run to this file; its ending chooses the format.

    Raises:
        UserError: an unknown track, a page without markers, a file that cannot be written.
    """
    recover(workspace)
    tracks = list_tracks(workspace.tracks)
    if track is not None:
        tracks = (find_track(track, workspace.tracks),)
    rules = {track.id: TrackRules(version=track.version, runs=track.ranking.runs) for track in tracks}
    loaded = Store(workspace.results).load(track)
    written: list[str] = []
    if render:
        _render(workspace, written)
    if export is not None:
        from leaderboard.export import export_runs

        export_runs(loaded.records, export)
        written.append(str(export))
    board: Board | None = None
    if show or not written:
        board = rank(loaded.records, rules, include_unranked=practice)
        if rows is not None:
            board = top(board, rows)
    return Shown(
        board=board,
        broken=tuple(BrokenRecord(path=broken.path, reason=broken.reason) for broken in loaded.broken),
        written=tuple(written),
        rows_shown=None if rows is not None else ROWS_SHOWN,
        practice=practice,
    )


def _render(workspace: Workspace, written: list[str]) -> None:
    """The pages always show every track, whatever else was asked."""
    from leaderboard.render import BEGIN, END, render_readme

    rules = {
        track.id: TrackRules(version=track.version, runs=track.ranking.runs) for track in list_tracks(workspace.tracks)
    }
    board = rank(Store(workspace.results).load().records, rules)
    for page, root in ((workspace.board, "../"), (workspace.readme, "")):
        try:
            text = page.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = f"# Leaderboard\n\n{BEGIN}\n{END}\n"
        atomic.replace(page, render_readme(text, board, root).encode())
        written.append(page.relative_to(workspace.root).as_posix())
