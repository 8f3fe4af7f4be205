"""The tracks on a terminal: a table of all, or one with its rules and everything that it fixes."""

import textwrap
from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.track import Track
from speedrun.answers import ShownTrack, Tracks
from speedrun.track_words import COLUMNS, Column, facts, paragraphs, title

LABEL = 12  # columns that a label takes
PROSE = 100  # columns of a line, at most: longer ones are hard to read
_SPARED = ("Parameters", "Runs", "Data set")  # columns that a narrow terminal does without, the first one first
_GAP = 2  # blanks between columns: one of padding, one of the box


def show_tracks(value: Tracks, console: Console) -> None:
    """The file that was written, or the table."""
    for path in value.written:
        _say(f"wrote {path}", console)
    if value.written:
        return
    shown, left_out = _fitting(value.tracks, console.width)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, _GAP - 1, 0, 0), pad_edge=False, show_edge=False)
    for column in shown:
        table.add_column(Text(column.heading), justify=column.align, overflow="fold")
    for track in value.tracks:
        table.add_row(*(Text(column.show(track)) for column in shown))
    console.print(table)
    if left_out:
        names = ", ".join(column.heading.lower() for column in left_out)
        console.print(Text(f"not shown for want of width: {names}", style="dim"))
    _say("speedrun tracks TRACK shows one with its rules", console)


def show_track(value: ShownTrack, console: Console) -> None:
    """Title, rules and facts, wrapped to the terminal."""
    track = value.track
    width = min(console.width, PROSE)
    heading = f"{track.id}, version {track.version}: {title(track)}"
    console.print(Text("\n".join(_wrap(heading, width)), style="bold"), soft_wrap=True)
    for paragraph in paragraphs(track):
        console.print()
        _say("\n".join(_wrap(paragraph, width)), console)
    console.print()
    for label, words in (*facts(track), ("file", f"sha256 {track.sha256[:12]}")):
        for number, part in enumerate(_wrap(words, width - LABEL)):
            line = Text(f"{label if number == 0 else '':<{LABEL}}", style="cyan")
            line.append(part, style="default")
            console.print(line, soft_wrap=True)


def _fitting(tracks: Sequence[Track], width: int) -> tuple[list[Column], list[Column]]:
    """The columns that fit, and those that do not."""
    kept = list(COLUMNS)
    for heading in _SPARED:
        natural = [max(map(cell_len, (column.heading, *map(column.show, tracks)))) for column in kept]
        if sum(natural) + _GAP * (len(kept) - 1) <= width:
            break
        kept = [column for column in kept if column.heading != heading]
    return kept, [column for column in COLUMNS if column not in kept]


def _wrap(words: str, width: int) -> list[str]:
    return textwrap.wrap(words, max(20, width), break_long_words=False, break_on_hyphens=False)


def _say(words: str, console: Console) -> None:
    console.print(Text(words), soft_wrap=True)
