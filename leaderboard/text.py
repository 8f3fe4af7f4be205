"""Words of strangers, made harmless for a line of text: a terminal, a table's cell, an error message."""

import unicodedata


def plain(text: str, limit: int) -> str:
    """`text` as one line of at most `limit` characters.

    Control, bidi, zero-width, private and unassigned characters (all of Unicode's category C) are dropped, every run of
    white space becomes one blank. Not covered: look-alike letters, and what markdown, HTML or rich read as markup.
    """
    text = text[: 16 * limit]  # bounds the work on a megabyte of blanks
    if not (text.isascii() and text.isprintable()):
        text = "".join(
            " " if character.isspace() else character
            for character in text
            if character.isspace() or not unicodedata.category(character).startswith("C")
        )
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"
