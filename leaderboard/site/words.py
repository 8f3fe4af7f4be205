"""Words for pages: strangers' texts of several lines made harmless, and what the pages say of numbers and verdicts.

Nothing here is escaped: that is Jinja2's work, and it forgets nothing.
"""

import re
from collections.abc import Iterable
from unicodedata import category

from harness.result import TwinReport
from leaderboard.text import plain
from leaderboard.twin_outcomes import OUTCOMES

_BLANKS = re.compile(r"([ \t]+)")


def block(text: str, limit: int) -> str:
    """`text` as it stands, line by line, without characters that can't be seen or that turn the writing round.

    Line feeds, tabs and blanks stay; everything else as leaderboard.text.plain has it. At most `limit` characters.
    """
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    if shown.isascii() and _is_harmless(shown.replace("\n", "")):
        return shown
    return "\n".join(
        line if (line.isascii() and line.isprintable()) or _is_harmless(line) else _line(line)
        for line in shown.split("\n")
    )


def _is_harmless(line: str) -> bool:
    """Whether `plain` would leave every word of it as it is: no accents that are characters of their own, either."""
    seen = line.replace("\t", "")
    return seen.isprintable() and (seen.isascii() or all(category(character)[0] != "M" for character in set(seen)))


def _line(line: str) -> str:
    pieces = enumerate(_BLANKS.split(line))
    return "".join(piece if index % 2 else plain(piece, len(piece) + 1) for index, piece in pieces)


def many(number: int, one: str, more: str = "") -> str:
    """1 run, 2 runs, 1,234 runs."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def line_count(text: str) -> int:
    """Of a file, whether or not it ends with a line feed."""
    return text.count("\n") + (not text.endswith("\n") and text != "")


def listed(words: Iterable[str]) -> str:
    """a, b and c"""
    all_words = list(words)
    return " and ".join(filter(None, [", ".join(all_words[:-1]), *all_words[-1:]]))


def size(number_bytes: int) -> str:
    """Bytes as a reader wants them: 1,234 bytes, 35.2 KiB, 1.5 MiB."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB")):
        if abs(number_bytes) >= unit:
            return f"{number_bytes / unit:,.1f} {name}"
    return many(number_bytes, "byte")


def twin_sentences(twin: TwinReport) -> tuple[str, ...]:
    """What the twin said, in words with the numbers that they rest on."""
    outcome = OUTCOMES[twin.kind]
    return (
        f"{outcome[0].upper()}{outcome[1:]}.",
        f"A second copy of the saved model was asked about {twin.sampled:,} of the scored tokens, with foreign text in "
        "place of what follows them. The scorer's answers were worth "
        f"{twin.advantage_nats:+.2e} nats a token more than its own (99.9 % interval {twin.low_nats:+.2e} to "
        f"{twin.high_nats:+.2e}, p = {twin.p_value:.3g}); the largest single difference was {twin.largest_nats:.2e} "
        "nats.",
        f"Rows that both were given differ by {twin.repeat_nats:.2e} nats on average. A sample of this size finds, 99 "
        f"times of 100, {twin.finds_share:.2%} of cheated tokens, or an advantage of {twin.finds_advantage_nats:.4f} "
        "nats everywhere.",
    )
