"""Runs as rows of a table: of an entry, of a track, the latest ones."""

from collections.abc import Sequence
from typing import Literal

from harness.result import Verdict
from leaderboard.alike import hardware
from leaderboard.schema import Summary
from leaderboard.site.contents import Contents
from leaderboard.site.tables import (
    Cell,
    Heading,
    Piece,
    Table,
    TableRow,
    entry_page,
    run_page,
    sortable,
    track_page,
)
from leaderboard.table import NOTHING, number
from leaderboard.text import plain

_HEADINGS = {
    "began": Heading("Began (UTC)", "text", False),
    "entry": Heading("Entry", "text", False),
    "track": Heading("Track", "text", False),
    "verdict": Heading("Verdict", "text", False),
    "loss": Heading("Loss (nats/token)", "number", True),
    "train": Heading("Training (s)", "number", True),
    "tier": Heading("Tier", "text", False),
    "hardware": Heading("Hardware", "text", False),
    "counts": Heading("Counts", "text", False),
}


def run_table(
    table_id: str,
    caption: str,
    runs: Sequence[Summary],
    contents: Contents,
    *,
    root: str,
    without: Literal["entry", "track"] | None = None,
    filtered: bool = True,
) -> Table:
    """The youngest first.

    Args:
        runs: oldest first.
        root: the way to the top of the site.
        without: the column that would say the same in every row.
    """
    shown = [key for key in _HEADINGS if key != without]
    rows = tuple(_row(run, contents, root, shown) for run in reversed(runs))
    return Table(table_id, caption, tuple(_HEADINGS[key] for key in shown), rows, filtered=filtered)


def counts(run: Summary, contents: Contents) -> str:
    """Whether a run counts on the board, in a word or with the reason."""
    if run.run_id in contents.retracted:
        return f"retracted: {plain(contents.retracted[run.run_id], 300)}"
    if not run.ranked:
        return plain("; ".join(run.unranked_because), 300)
    if run.run_id in contents.below:
        return f"below the line: {plain(contents.below[run.run_id], 300)}"
    return "ranked"


def _row(run: Summary, contents: Contents, root: str, shown: Sequence[str]) -> TableRow:
    loss_nats = run.score.loss_nats if run.scored and run.score is not None else None
    train_s = run.times.train_s
    machine = plain(hardware(run.environment), 120)
    began = run.started_at[:16].replace("T", " ")
    cells = {
        "began": Cell((Piece(began, run_page(root, run.run_id)),), value=run.started_at[:19]),
        "entry": Cell((Piece(run.entry.name, entry_page(root, run.entry.name)),)),
        "track": Cell((Piece(run.track.id, track_page(root, run.track.id)),)),
        "verdict": Cell((Piece(run.verdict.value),)),
        "loss": Cell((Piece(NOTHING if loss_nats is None else number(loss_nats, 4)),), True, sortable(loss_nats)),
        "train": Cell((Piece(NOTHING if train_s is None else number(train_s, 2)),), True, sortable(train_s)),
        "tier": Cell((Piece(run.tier.value),)),
        "hardware": Cell((Piece(machine),)),
        "counts": Cell((Piece(counts(run, contents)),)),
    }
    return TableRow(
        cells=tuple(cells[key] for key in shown),
        kind="failed" if run.verdict is not Verdict.OK else "retracted" if run.run_id in contents.retracted else "",
        tier=run.tier.value,
        hardware=machine,
    )
