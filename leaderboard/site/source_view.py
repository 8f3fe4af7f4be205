"""An entry's files, and how they differ from those of the entry that it is based on."""

import difflib
from collections import Counter
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

# difflib compares every line with every equal one, again and again: lines that all look alike would take it minutes.
MOST_LINES: Final = 3_000  # of a file that is compared
MOST_PAIRS: Final = 150_000  # of equal lines


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


def files(source: Source) -> tuple[FileView, ...]:
    """The files as they ran."""
    found = []
    for file in source.files:
        language = _LANGUAGES.get(PurePosixPath(file.path).suffix, "text")
        text = block(file.text, _FILE_CAP)
        found.append(FileView(plain(file.path, _PATH_CAP), language, text, many(line_count(text), "line")))
    return tuple(found)


def differences(base: Source, ours: Source) -> tuple[FileDiff, ...]:
    """Every file that differs, by path."""
    before = {file.path: file.text for file in base.files}
    after = {file.path: file.text for file in ours.files}
    return tuple(
        _difference(plain(path, _PATH_CAP), before.get(path), after.get(path))
        for path in sorted(before.keys() | after.keys())
        if before.get(path) != after.get(path)
    )


def summary(found: Sequence[FileDiff], base: str) -> str:
    """The differences in a sentence."""
    if not found:
        return f"Nothing differs: it is the source of {base}."
    names = listed(each.path for each in found[:6]) if len(found) <= 6 else many(len(found), "file")
    added, removed = sum(each.added for each in found), sum(each.removed for each in found)
    return f"Beside {base}, {names} {'differs' if len(found) == 1 else 'differ'}: +{added:,} −{removed:,} lines."


def _difference(path: str, before: str | None, after: str | None) -> FileDiff:
    old, new = (block(text or "", _FILE_CAP).removesuffix("\n").split("\n") for text in (before, after))
    if before is None:
        return FileDiff(path, f"new, {many(len(new), 'line')}", len(new), 0, ())
    if after is None:
        return FileDiff(path, f"not there any more, {many(len(old), 'line')}", 0, len(old), ())
    if not _comparable(old, new):
        return FileDiff(path, "differs, and is too long or too repetitive to be compared line by line", 0, 0, ())
    lines = tuple(_lines(old, new))
    added = sum(line.kind == "added" for line in lines)
    removed = sum(line.kind == "removed" for line in lines)
    if not lines:
        return FileDiff(path, "differs in characters that can't be seen", 0, 0, ())
    return FileDiff(path, f"+{added:,} −{removed:,} lines", added, removed, lines)


def _comparable(old: Sequence[str], new: Sequence[str]) -> bool:
    if max(len(old), len(new)) > MOST_LINES:
        return False
    theirs = Counter(new)
    return sum(number * theirs[line] for line, number in Counter(old).items()) <= MOST_PAIRS


def _lines(old: Sequence[str], new: Sequence[str]) -> Iterator[DiffLine]:
    for line in list(difflib.unified_diff(old, new, lineterm=""))[2:]:  # without the two lines that name the files
        if line.startswith("@@"):
            yield DiffLine("place", line)
        elif line.startswith("+"):
            yield DiffLine("added", line)
        elif line.startswith("-"):
            yield DiffLine("removed", line)
        else:
            yield DiffLine("same", line)
