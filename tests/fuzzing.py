"""Fuzzing: how many examples there are, and how what is good is spoilt.

A fuzz test runs twice: with a few examples in the ordinary suite, with 10,000 among the red team's. Both are the same
on every machine and every day, so that a change is never blamed for somebody else's bad luck. To look for what is
new, say how many examples to draw by chance:

    SPEEDRUN_FUZZ_EXAMPLES=1000000 pytest -m redteam tests -k fuzz

hypothesis then prints the blob that repeats a failure. An example is a short tape of bytes, for hypothesis draws one in
half a millisecond and shortens it well: every four bytes of it are one edit of something valid.
"""

import os
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

EVERYDAY = 200
BY_CHANCE = int(os.environ.get("SPEEDRUN_FUZZ_EXAMPLES", "0"))
THOROUGH = BY_CHANCE or 10_000

amounts = pytest.mark.parametrize(
    "examples",
    [
        pytest.param(EVERYDAY, id="everyday"),
        pytest.param(THOROUGH, id="thorough", marks=pytest.mark.redteam),
    ],
)

# Drawn at one odd length and cut: among bytes of any length, hypothesis would mix the byte strings of whatever modules
# happen to be imported, and the examples would depend on which tests ran before in the same process.
tapes = st.builds(
    lambda whole, size: whole[:size],
    st.binary(min_size=31, max_size=31),
    st.sampled_from((4, 4, 5, 6, 7, 8, 9, 12, 16, 20)),
)

# Words that a stranger may write: what drives a terminal, hides, turns round, or is markup to somebody.
ESCAPES = (
    "\x1b[2J",
    "\x1b[31m",
    "\x1b]0;title\x07",
    "\x1b]8;;https://e.example\x1b\\",
    "\x1b]52;c;ZWNobw==\x07",
    "\x1bP$q\x1b\\",
    "\x9b2J",
    "\x9d0;t\x9c",
    "\x00",
    "\x07",
    "\x08\x08",
    "\x7f",
)
BREAKS = ("\n", "\r", "\r\n", "\v", "\f", "\x1c", "\x1e", "\x85", "\u2028", "\u2029", "\t", "\n\n    ", "\n\n# h\n\n")
UNSEEN = (
    *("\u202e", "\u202a", "\u2066", "\u2069", "\u200e", "\u061c", "\u200b", "\u200d", "\ufeff", "\u00ad", "\u180e"),
    *("\u2060", "\u206a", "\ufff9", "\U000e0001", "\U000e0041", "\U0001d173", "\ue000", "\U0010ffff", "\ufdd0"),
)
WIDE = ("日本語", "ﷺ", "🧑\u200d🚀", "🏴\U000e0067\U000e007f", "e" + "\u0301" * 200, "שלום", "Ⅷ", "ﬁ", "İ")
MARKUP = (
    *(
        "|",
        "\\",
        "`",
        "```\n",
        "~~~",
        "<b>",
        "<script>alert(1)</script>",
        "<!--",
        "-->",
        "<details>",
        "&amp;",
        "&#124;",
    ),
    *("*", "**", "_", "__", "~~", "[^1]", "[x]", "[x](javascript:alert(1))", "![i](http://e.example/x.png)", "](x)"),
    *(
        "https://e.example",
        "www.e.example",
        "a@e.example",
        "<https://e.example>",
        "<a@e.example>",
        "@team",
        "#1",
        "GH-1",
    ),
    *("$x$", ":rocket:", "{{x}}", "{% raw %}", "${x}", "%s", "{0}", "# h", "- l", "1. l", "> q", "---", "===", "+ l"),
    *("<!-- board:begin -->", "<!-- board:end -->", "[bold]", "[/]", "[link=https://e.example]x[/link]"),
)
COMMANDS = (
    "::error::x",
    "::set-output name=a::b",
    "##[error]x",
    "##[add-mask]a",
    "::stop-commands::t",
    "::add-mask::a",
)
FORMULAS = ('=HYPERLINK("http://e.example")', "+1", "-1", "@SUM(A1)", "\t=1", "＝1", ";=1", '";=1')
SURROGATES = ("\ud800", "\udfff", "\udc80")
PIECES = (*ESCAPES, *BREAKS, *UNSEEN, *WIDE, *MARKUP, *COMMANDS, *FORMULAS, " ", "a", "Ada", "x" * 300)

strangers = st.lists(st.sampled_from(PIECES), max_size=6).map("".join) | st.text(max_size=40)


def fuzz(examples: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], None]) -> None:
    """Calls `check` with so many examples of the strategy; raises what it raises, for the shortest one found."""
    chosen = settings(max_examples=examples, database=None, derandomize=not BY_CHANCE, print_blob=bool(BY_CHANCE))
    chosen(given(strategy)(check))()


def overwrite(path: Path, data: bytes) -> None:
    """A file anew. Cut to nothing first, as usual, it would go to the disk at every example, on ext4 for one."""
    with path.open("r+b" if path.exists() else "xb") as file:
        file.write(data)
        file.truncate()


class Edit(NamedTuple):
    """One change: what kind of change, where, and with what. The numbers are taken modulo whatever there is."""

    kind: int
    where: int
    what: int


def edits(tape: bytes) -> Iterator[Edit]:
    """Every four bytes."""
    for start in range(0, len(tape) - 3, 4):
        kind, high, low, what = tape[start : start + 4]
        yield Edit(kind, high << 8 | low, what)


def spoil_bytes(data: bytes, tape: bytes, words: tuple[bytes, ...]) -> bytes:
    """`data` with bits turned over, pieces left out, doubled and cut off, and foreign words put in."""
    spoilt = bytearray(data)
    for kind, where, what in edits(tape):
        at = where % (len(spoilt) + 1)
        match kind % 6:
            case 0:
                spoilt[at : at + 1] = bytes([spoilt[at] ^ 1 << what % 8]) if at < len(spoilt) else b""
            case 1:
                del spoilt[at : at + 1 + what]
            case 2:
                spoilt[at:at] = spoilt[at : at + 1 + what]
            case 3:
                del spoilt[at:]
            case 4:
                spoilt[at:at] = words[what % len(words)]
            case _:
                spoilt[at : at + 1] = bytes([what])
    return bytes(spoilt)


def spoil_tree(tree: Any, tape: bytes, values: tuple[Any, ...]) -> Any:
    """A JSON value, changed in place: members left out, given foreign values, nested, doubled, renamed, swapped."""
    for kind, where, what in edits(tape):
        places = list(_places(tree))
        if not places:
            return values[what % len(values)]
        holder, key = places[where % len(places)]
        match kind % 8:
            case 0:
                del holder[key]
            case 1:
                holder[key] = [holder[key]]
            case 2:
                holder[key] = {"a": holder[key]}
            case 3:
                other, its = places[what % len(places)]
                holder[key] = _copy(other[its])
            case 4 if isinstance(holder, dict):
                holder[str(values[what % len(values)])] = holder.pop(key)
            case 4:
                holder.insert(key, _copy(holder[key]))
            case _:
                holder[key] = values[what % len(values)]
    return tree


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every member of every object and array: what holds it, and under which key."""
    members = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree)) if isinstance(tree, list) else []
    for key, value in members:
        yield tree, key
        yield from _places(value)


def _copy(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _copy(value) for key, value in tree.items()}
    return [_copy(value) for value in tree] if isinstance(tree, list) else tree


STYLING = re.compile(r"\x1b\[[0-9;]*m")  # colours and weights, which rich writes and nobody else may
_VISIBLE_FORMAT = re.compile("[\u0600-\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd\U00013430-\U0001343f]")


def unsafe(text: str) -> set[str]:
    """The characters of a text that no terminal may get: those that drive it, hide, or turn the reading round."""
    found = set(_VISIBLE_FORMAT.sub("", STYLING.sub("", text))) - {"\n", "\t"}
    return {each for each in found if unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp")}


# What a record does not leave to a stranger: its form is checked when it is read.
_FORMAL = {
    "run_id",
    "started_at",
    "objective",
    "verdict",
    "level",
    "memory_bound",
    "tree_kill",
    "tier",
    "kind",
    "purpose",
}


def written_over(tree: Any, words: Iterator[str]) -> Any:
    """A record as JSON, changed in place: the next words instead of every text that may be anything, names included."""
    for holder, key in list(_places(tree)):
        if isinstance(holder[key], str) and key not in _FORMAL:
            holder[key] = next(words)
    for part in ("metrics", "throttled", "overrides"):
        for holder, key in list(_places(tree)):
            if key == part and isinstance(holder[key], dict):
                holder[key] = {next(words): value for value in holder[key].values()}
    return tree
