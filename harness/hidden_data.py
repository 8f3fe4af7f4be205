"""Finds weights and data hidden in source: text that no person wrote, by measures that anyone can compute again.

The idea: take away what reads like words, and see how much information is left. Names, keywords and prose vanish;
numbers, odd abbreviations and encoded bytes stay (the *residue*). What is left of code and prose compresses to little;
what is left of base64, hexadecimal, escapes and number tables does not. Punctuation and white space are not counted, so
splitting a run over many short literals, lines or comments changes nothing.

Not covered: data told in real words out of a code book, and data below the allowances here. The size limit of a folder
bounds both, and RULES.md forbids them.
"""

import ast
import re
import unicodedata
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

WINDOW = 2000  # letters and digits that are looked at together: one or two screens of code

# Compressed residue of one window, bytes (another build of zlib may give a few more or fewer). In 15,900 windows of the
# standard library, torch and licences: median 40, one in a hundred above 183, one in a thousand above 455, and those
# are tables; a table of 60 benchmark results has 450. 2 KiB of random bytes reach 660 (as digits) to 1,490 (as base64).
WINDOW_RESIDUE_BYTES = 512

# Digits in one window. In the same windows: median 8, one in a hundred above 204. A list of random integers below 10
# has 1,000; it compresses too well for the first measure.
WINDOW_DIGITS = 900

# Compressed residue of a whole entry, bytes. 256 KiB of the densest honest code had 3,800.
ENTRY_RESIDUE_BYTES = 6 * 1024

# Constants in one list, tuple, set or dict, nested ones included. Schedules and presets stay below 200.
TABLE_CONSTANTS = 512

# The same over all of an entry's displays that hold SMALL_TABLE constants or more: many small tables are a large one.
ENTRY_TABLE_CONSTANTS = 2048
SMALL_TABLE = 16

# Letters of other scripts that are looked at together, and how many different ones prose has at most: alphabets with
# all their accents stay below 160; Chinese, Japanese and Korean prose repeats about half of its characters.
SCRIPT_WINDOW = 500
ALPHABET_LETTERS = 160
SCRIPT_LETTERS = 375
FIRST_IDEOGRAPH = 0x2E80

_LONGEST_WORD = 24  # letters of one word without a capital
_LONGEST_TOKEN = 64  # a longer run is cut there, so that one run fills windows like many

# Latin letters with accents count as the plain letter.
_FOLD = {
    code: folded
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x1F00))
    if (folded := unicodedata.normalize("NFKD", chr(code)).encode("ascii", "ignore").decode())
}
_TOKEN = re.compile(r"[A-Za-z0-9]+|[^\x00-\x7f\s]+")
_PIECE = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_VOWEL = re.compile(r"[aeiouy]", re.IGNORECASE)
_CONSONANTS = re.compile(r"[^aeiouy]{5}", re.IGNORECASE)
_SHORT_WORDS = frozenset(
    re.findall(r"\w+", "a an am as at be by do go he i if in is it me my no of on or so to up us we id np os nn")
)

_NO_DATA = "an entry holds no weights and no data; compute the values, or learn them in train"

T = TypeVar("T")

_DISPLAYS = (ast.List, ast.Tuple, ast.Set, ast.Dict)


class Finding(NamedTuple):
    """The line that most likely holds data, and why."""

    path: str
    line: int
    message: str


class _Token(NamedTuple):
    line: int
    text: str
    residue: str  # what is left when words are taken away


def findings(texts: Mapping[str, str], trees: Mapping[str, ast.Module]) -> list[Finding]:
    """At most one finding a file and measure, in the order of the files.

    Args:
        texts: path → text, every file of the entry
        trees: path → syntax tree, of those that are Python and parse
    """
    found: list[Finding] = []
    spent: list[tuple[int, str]] = []  # compressed residue of each file
    tables: list[tuple[int, str, int]] = []
    for path, text in texts.items():
        tokens = list(_tokens(text))
        found += (Finding(path, *hit) for hit in (_dense_line(tokens), _strange_letters_line(text)) if hit is not None)
        spent.append((_compressed_bytes(tokens), path))
        if path in trees:
            displays = list(_displays(trees[path]))
            found += (
                Finding(path, line, f"a table of {count:,} constants (at most {TABLE_CONSTANTS}): {_NO_DATA}")
                for count, line in displays
                if count > TABLE_CONSTANTS
            )
            tables += ((count, path, line) for count, line in displays if count >= SMALL_TABLE)
    if not found and (total := sum(size for size, _ in spent)) > ENTRY_RESIDUE_BYTES:
        _, path = max(spent)
        why = f"the entry's numbers and codes come to {total:,} compressed bytes (at most {ENTRY_RESIDUE_BYTES:,})"
        found.append(Finding(path, _heaviest(list(_tokens(texts[path]))), f"{why}, most of them here: {_NO_DATA}"))
    if not found and (constants := sum(count for count, _, _ in tables)) > ENTRY_TABLE_CONSTANTS:
        _, path, line = max(tables)
        why = f"the entry's tables hold {constants:,} constants (at most {ENTRY_TABLE_CONSTANTS:,})"
        found.append(Finding(path, line, f"{why}, the largest here: {_NO_DATA}"))
    return found


def residue_of(run: str) -> str:
    """What is left of one run of ASCII letters and digits when words are taken away: its numbers, or all of it.

    A run is taken for words when its camelCase pieces are few and each can be said aloud.
    """
    if run.lower() in _SHORT_WORDS:
        return ""
    pieces = _PIECE.findall(run)
    if len(run) < 3 or len(pieces) > 1 + len(run) / 3 or not all(map(_is_word_or_number, pieces)):
        return run
    return " ".join(piece for piece in pieces if piece.isdigit())


def _is_word_or_number(piece: str) -> bool:
    if len(piece) < 4 or piece.isdigit():
        return True
    return len(piece) <= _LONGEST_WORD and bool(_VOWEL.search(piece)) and not _CONSONANTS.search(piece)


def _tokens(text: str) -> Iterator[_Token]:
    for number, line in enumerate(text.translate(_FOLD).split("\n"), start=1):
        for match in _TOKEN.finditer(line):
            run = match.group()
            if not run.isascii():
                yield _Token(number, run, "".join(letter for letter in run if not _is_letter(letter)))
            elif len(run) <= _LONGEST_TOKEN:
                yield _Token(number, run, residue_of(run))
            else:
                for start in range(0, len(run), _LONGEST_TOKEN):
                    part = run[start : start + _LONGEST_TOKEN]
                    yield _Token(number, part, part)


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LM"  # marks too: vowels of Indic scripts


def _dense_line(tokens: Sequence[_Token]) -> tuple[int, str] | None:
    """The first window that is too dense: its heaviest line, and why."""
    for window in _windows(tokens, lambda token: len(token.text) + 1, WINDOW):
        size = _compressed_bytes(window)
        if size > WINDOW_RESIDUE_BYTES:
            why = (
                f"about {size:,} bytes of what reads like encoded data or a table within {WINDOW:,} letters and digits"
            )
            return _heaviest(window), f"{why} (at most {WINDOW_RESIDUE_BYTES}): {_NO_DATA}"
        digits = sum(character.isdigit() for token in window for character in token.text)
        if digits > WINDOW_DIGITS:
            why = f"{digits:,} digits within {WINDOW:,} letters and digits (at most {WINDOW_DIGITS})"
            return _heaviest(window), f"{why}: {_NO_DATA}"
    return None


def _strange_letters_line(text: str) -> tuple[int, str] | None:
    """The first stretch of another script with more different letters than prose has: its line, and why."""
    if text.isascii():
        return None
    letters = [
        (number, character)
        for number, line in enumerate(text.split("\n"), start=1)
        for character in line
        if not character.isascii() and _is_letter(character)
    ]
    for window in _windows(letters, lambda _: 1, SCRIPT_WINDOW):
        different = {letter for _, letter in window}
        alphabetic = sum(ord(letter) < FIRST_IDEOGRAPH for letter in different)
        if len(different) > SCRIPT_LETTERS or alphabetic > ALPHABET_LETTERS:
            why = f"{len(different)} different non-ASCII letters within {len(window)}, more than any prose"
            return window[0][0], f"{why}: {_NO_DATA}"
    return None


def _windows(items: Sequence[T], weight: Callable[[T], int], size: int) -> Iterator[Sequence[T]]:
    """Stretches of at least `size` in weight that overlap by half; the last may be lighter."""
    first = last = carried = 0
    while last < len(items):
        while last < len(items) and carried < size:
            carried += weight(items[last])
            last += 1
        yield items[first:last]
        while first < last and carried > size // 2:
            carried -= weight(items[first])
            first += 1


def _compressed_bytes(tokens: Sequence[_Token]) -> int:
    return len(zlib.compress(" ".join(token.residue for token in tokens if token.residue).encode(), level=9))


def _heaviest(tokens: Sequence[_Token]) -> int:
    """The line with the longest residue."""
    weights: dict[int, int] = {}
    for token in tokens:
        weights[token.line] = weights.get(token.line, 0) + len(token.residue)
    return max(weights, key=weights.__getitem__)


def _displays(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """Constants and first line of every list, tuple, set and dict that lies in no other."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, _DISPLAYS):
            yield sum(isinstance(inner, ast.Constant) for inner in ast.walk(node)), node.lineno
        else:
            todo.extend(ast.iter_child_nodes(node))
