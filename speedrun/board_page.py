"""The board on a terminal: a table for each section, with as many columns as the width has room for."""

from rich.console import Console
from rich.text import Text

from leaderboard.ranking import Section
from leaderboard.table import TASK_KEY, columns, heading, legend, terms
from speedrun import tables
from speedrun.answers import Shown


def show(value: Shown, console: Console) -> None:
    """What was written, then every section with its heading and terms."""
    for path in value.written:
        console.print(Text(f"wrote {path}"), soft_wrap=True)
    if (site := value.site) is not None:
        removed = f", {site.removed:,} removed" if site.removed else ""
        told = f"built {site.folder}: {site.written:,} files written, {site.unchanged:,} unchanged{removed}"
        console.print(Text(told), soft_wrap=True)
    board = value.board
    if board is None:
        return
    for section in board.sections:
        console.print(Text(heading(section), style="bold"), soft_wrap=True)
        console.print(Text(terms(section), style="dim"))
        rows = section.rows[: value.rows_shown]
        tables.show(columns(section), rows, console, spared=_spared(section), dim=lambda row: row.rank is None)
        if words := legend(section):
            console.print(Text(words, style="dim"))
        if len(rows) < len(section.rows):
            more = len(section.rows) - len(rows)
            console.print(Text(f"… and {more} more; --top {len(section.rows)} shows them", style="dim"))
        console.print()
    if board.tracks_without_runs:
        what = "runs" if value.practice else "ranked runs"
        console.print(Text(f"No {what} yet on {', '.join(board.tracks_without_runs)}."))
    if not board.sections and not board.tracks_without_runs:
        console.print(Text("No runs yet."))


def _spared(section: Section) -> tuple[str, ...]:
    """Columns that a narrow terminal does without; never what the section is ranked by."""
    tasks = (column.key for column in columns(section) if column.key.startswith(TASK_KEY))
    other = "loss" if section.track.objective == "fastest-to-loss" else "train"
    return (*tasks, "last_run", "tier", "declared_tokens", "failed", "authors", "technique", other, "floor_gap", "runs")
