"""An entry's files, and how they differ from those of the entry that it is based on."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Final, Literal, NamedTuple

from harness.result import Source
from leaderboard.site.words import block, line_count, listed, many
from leaderboard.text import plain

# A source has at most 256 KiB; whoever writes a record by hand can write more.
_FILE_CAP: Final = 300_000  # characters
_LANGUAGES: Final[Mapping[str, str]] = {".py": "python", ".toml": "toml", ".md": "markdown"}
_PATH_CAP: Final = 200

MOST_FILES: Final = 100  # shown of an entry, which has at most 50
MOST_STEPS: Final = 2_000_000  # in comparing the files of an entry: a second or so
_CONTEXT: Final = 3  # lines around a difference


class FileView(NamedTuple):
    """One file as it ran."""

    path: str
    language: str  # python, toml, markdown or text
    text: str
    lines: str  # how many


class DiffLine(NamedTuple):
    kind: Literal["added", "removed", "place", "same"]
    text: str


class FileDiff(NamedTuple):
    """How a file differs from the base's."""

    path: str
    told: str  # in words
    added: int
    removed: int
    lines: tuple[DiffLine, ...]  # none where it is only told


class _TooMuch(Exception):  # noqa: N818 - a limit, not an error
    """Comparing would take too long."""


class _Matcher(difflib.SequenceMatcher[str]):
    """difflib compares every line with every equal one, again and again: lines that look alike could take it minutes.

    This one counts: `left` holds the steps that may still be taken.
    """

    a: Sequence[str]
    b2j: Mapping[str, Sequence[int]]  # a line of the other file → where it stands

    def __init__(self, old: Sequence[str], new: Sequence[str], left: list[int]) -> None:
        self._left = left
        super().__init__(None, old, new)

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        end = len(self.a) if ahi is None else ahi
        for line in self.a[alo:end]:
            self._left[0] -= 1 + len(self.b2j.get(line, ()))
        if self._left[0] < 0:
            raise _TooMuch
        return super().find_longest_match(alo, ahi, blo, bhi)


def files(source: Source) -> tuple[FileView, ...]:
    """The files as they ran."""
    found = []
    for file in source.files[:MOST_FILES]:
        language = _LANGUAGES.get(PurePosixPath(file.path).suffix, "text")
        text = block(file.text, _FILE_CAP)
        found.append(FileView(plain(file.path, _PATH_CAP), language, text, many(line_count(text), "line")))
    return tuple(found)


def differences(base: Source, ours: Source, most_steps: int = MOST_STEPS) -> tuple[FileDiff, ...]:
    """The first MOST_FILES files that differ, by path; what takes more than `most_steps` in all is only told."""
    before = {file.path: file.text for file in base.files}
    after = {file.path: file.text for file in ours.files}
    changed = [path for path in sorted(before.keys() | after.keys()) if before.get(path) != after.get(path)]
    left = [most_steps]
    return tuple(
        _difference(plain(path, _PATH_CAP), before.get(path), after.get(path), left) for path in changed[:MOST_FILES]
    )


def summary(found: Sequence[FileDiff], base: str) -> str:
    """The differences in a sentence."""
    if not found:
        return f"Nothing differs: it is the source of {base}."
    names = listed(each.path for each in found[:6]) if len(found) <= 6 else many(len(found), "file")
    added, removed = sum(each.added for each in found), sum(each.removed for each in found)
    return f"Beside {base}, {names} {'differs' if len(found) == 1 else 'differ'}: +{added:,} −{removed:,} lines."


def _difference(path: str, before: str | None, after: str | None, left: list[int]) -> FileDiff:
    old, new = (block(text or "", _FILE_CAP).removesuffix("\n").split("\n") for text in (before, after))
    if before is None:
        return FileDiff(path, f"new, {many(len(new), 'line')}", len(new), 0, ())
    if after is None:
        return FileDiff(path, f"not there any more, {many(len(old), 'line')}", 0, len(old), ())
    try:
        lines = tuple(_lines(old, new, _Matcher(old, new, left)))
    except _TooMuch:
        return FileDiff(path, "differs, and is too long or too repetitive to be compared line by line", 0, 0, ())
    added = sum(line.kind == "added" for line in lines)
    removed = sum(line.kind == "removed" for line in lines)
    if not lines:
        return FileDiff(path, "differs in characters that can't be seen", 0, 0, ())
    return FileDiff(path, f"+{added:,} −{removed:,} lines", added, removed, lines)


def _lines(old: Sequence[str], new: Sequence[str], matcher: _Matcher) -> Iterator[DiffLine]:
    """As a unified diff has them."""
    for group in matcher.get_grouped_opcodes(_CONTEXT):
        (_, first, _, start, _), (_, _, last, _, end) = group[0], group[-1]
        yield DiffLine("place", f"@@ -{_span(first, last)} +{_span(start, end)} @@")
        for kind, i, j, k, m in group:
            if kind == "equal":
                yield from (DiffLine("same", f" {line}") for line in old[i:j])
            else:
                yield from (DiffLine("removed", f"-{line}") for line in old[i:j])
                yield from (DiffLine("added", f"+{line}") for line in new[k:m])


def _span(start: int, end: int) -> str:
    """Line numbers from 1; one line is only named, and of none the line before."""
    if end - start == 1:
        return f"{start + 1}"
    return f"{start + (end > start)},{end - start}"
