"""The tracks as a markdown page, with whatever a track's file says made harmless as on the board."""

import re
from collections.abc import Iterable, Sequence

from harness.track import Track
from leaderboard.render import escape
from speedrun.track_words import COLUMNS, facts, paragraphs, title

_OPENING = """\
# Tracks

Written by `speedrun tracks --render` from the files in [harness/tracks](../harness/tracks): mend those, not this page.
[RULES.md](../RULES.md) holds for every track; what stands here is what each adds to it.
"""

# What makes a list, a rule or a heading at the beginning of a line, and nothing anywhere else.
_BLOCK = re.compile(r"(?P<number>[0-9]{0,9})(?P<mark>[-+=.)])")


def render(tracks: Sequence[Track]) -> str:
    """A table of all tracks, then a section for each; ends with a newline."""
    table = [
        _row(column.heading for column in COLUMNS),
        _row("---:" if column.align == "right" else ":---" for column in COLUMNS),
        *(_row([_link(track), *(escape(column.show(track)) for column in COLUMNS[1:])]) for track in tracks),
    ]
    return "\n".join([_OPENING, *table, "", *(_section(track) for track in tracks)])


def _section(track: Track) -> str:
    parts = [
        f"## {escape(track.id)}",
        f"**{escape(title(track))}**",
        *(_paragraph(paragraph) for paragraph in paragraphs(track)),
        "\n".join(f"- {escape(label)}: {escape(words)}" for label, words in facts(track)),
    ]
    return "\n\n".join(parts) + "\n"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _link(track: Track) -> str:
    """To the track's section: its id is its heading, whose anchor is made without the dots."""
    return f"[{escape(track.id)}](#{track.id.replace('.', '')})"


def _paragraph(text: str) -> str:
    """One paragraph, whatever it begins with."""
    begins = _BLOCK.match(text)
    if begins is None:
        return escape(text)
    return f"{begins['number']}&#{ord(begins['mark'])};{escape(text[begins.end() :])}"
