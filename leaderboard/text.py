"""Words of strangers, made harmless for a line of text: a terminal, a table's cell, an error message."""

import unicodedata
from collections.abc import Iterator

MOST_MARKS = 4  # accents on one letter: no script needs more, and a pile of them covers the lines above and below


def plain(text: str, limit: int) -> str:
    """`text` as one line of at most `limit` characters.

    Control, bidi, zero-width, private and unassigned characters (all of Unicode's category C) are dropped, every run of
    white space becomes one blank, and a letter keeps its first MOST_MARKS accents. Not covered: look-alike letters, and
    what markdown, HTML or rich read as markup.
    """
    text = text[: 16 * limit]  # bounds the work on a megabyte of blanks
    if not (text.isascii() and text.isprintable()):
        text = "".join(_harmless(text))
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _harmless(text: str) -> Iterator[str]:
    """The characters that may stay, every white space as a blank."""
    marks = 0
    for character in text:
        kind = " " if character.isspace() else unicodedata.category(character)[0]
        if kind == "C":
            continue
        marks = marks + 1 if kind == "M" else 0
        if marks <= MOST_MARKS:
            yield " " if kind == " " else character
