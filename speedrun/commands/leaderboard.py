"""speedrun leaderboard: show the board or its history, write them into pages or a site, export the runs."""

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UserError
from leaderboard import atomic
from leaderboard.collector import paused
from leaderboard.ranking import Board, top
from speedrun import standings
from speedrun.answers import BrokenRecord, Shown, Site
from speedrun.recovery import recover
from speedrun.standings import Standings
from speedrun.workspace import Workspace

if TYPE_CHECKING:
    from speedrun.answers import Histories

ROWS_SHOWN = 25  # of each section on a terminal, unless asked otherwise


@paused()
def leaderboard(
    workspace: Workspace,
    *,
    show: bool,
    track: str | None,
    rows: int | None,
    practice: bool,
    render: bool,
    export: Path | None,
    html: Path | None,
) -> Shown:
    """The board of the stored runs; shown when nothing else is asked.

    Args:
        show: show the board even when something is written.
        track: only this one, for showing and for the export.
        rows: so many of each section.
        practice: also list what is not ranked.
        render: write the ranked board into leaderboard/README.md and README.md.
        export: write one row a run to this file; its ending chooses the format.
        html: make this folder hold the board as a site.

    Raises:
        UserError: an unknown track, a page without markers, a file that cannot be written, a folder of somebody else's.
    """
    recover(workspace)
    known = standings.read(workspace, track)
    # The pages always show every track, whatever else was asked.
    everything = known if track is None or not (render or html) else standings.read(workspace)
    broken = _broken(known)
    written: list[str] = []
    site: Site | None = None
    if render:
        for page, text in pages(workspace, everything):
            atomic.replace(page, text.encode())
            written.append(page.relative_to(workspace.root).as_posix())
    if export is not None:
        from leaderboard.export import export_runs

        export_runs(known.runs, export, known.rulings.retracted, known.unsigned)
        written.append(str(export))
    if html is not None:
        site, unreadable = _site(workspace, everything, html)
        broken += unreadable
    board: Board | None = None
    if show or not (written or site):
        board = known.board(practice=practice)
        if rows is not None:
            board = top(board, rows)
    return Shown(
        board=board,
        broken=broken,
        written=tuple(written),
        site=site,
        rows_shown=None if rows is not None else ROWS_SHOWN,
        practice=practice,
    )


@paused()
def histories(workspace: Workspace, track: str | None) -> "Histories":
    """The record histories, and what was published elsewhere for the same tracks.

    Raises:
        UserError: an unknown track, published results that make no sense.
    """
    from leaderboard import published
    from speedrun.answers import Histories

    recover(workspace)
    known = standings.read(workspace, track)
    elsewhere = published.load(workspace.published)
    return Histories(
        tracks=tuple(known.rules),
        histories=known.histories(),
        published=tuple(each for each in elsewhere if each.track in known.rules),
        broken=_broken(known),
    )


def pages(workspace: Workspace, known: Standings) -> list[tuple[Path, str]]:
    """The pages that show the board, and what they should hold.

    Raises:
        UserError: a page without its markers, or that can't be read; published results that make no sense.
    """
    from leaderboard import published
    from leaderboard.render import render_readme

    board, track_histories = known.board(), known.histories()
    elsewhere = published.load(workspace.published)
    return [
        (workspace.board, render_readme(_text(workspace.board), board, "../", track_histories, elsewhere)),
        (workspace.readme, render_readme(_text(workspace.readme), board, "")),
    ]


def _site(workspace: Workspace, known: Standings, folder: Path) -> tuple[Site, tuple[BrokenRecord, ...]]:
    """What was built, and the records that could be read for the board and not for their own page. Raises UserError."""
    from leaderboard.site.build import build, find_tools
    from speedrun.site_contents import contents

    built = build(folder, contents(workspace, known), find_tools())
    site = Site(folder=str(folder), written=built.written, unchanged=built.unchanged, removed=built.removed)
    return site, tuple(BrokenRecord(path=path, reason=reason) for path, reason in built.broken)


def _text(page: Path) -> str:
    from leaderboard.render import BEGIN, END

    try:
        return page.read_text(encoding="utf-8")
    except FileNotFoundError:
        return f"# Leaderboard\n\n{BEGIN}\n{END}\n"
    except (OSError, UnicodeDecodeError):
        raise UserError(f"{page.name} is no page that can be read; mend it, or take it away") from None


def _broken(known: Standings) -> tuple[BrokenRecord, ...]:
    return tuple(BrokenRecord(path=path, reason=reason) for path, reason in known.broken)
