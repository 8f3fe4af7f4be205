"""Reads an untrusted folder: text files only, no link followed, nothing opened that could block or act.

Every name is opened relative to the descriptor of the folder that lists it and with O_NOFOLLOW, and what was opened is
looked at again, so that a file that is swapped for a link after it was listed is refused and never read.
"""

import os
import re
import stat
from itertools import islice
from pathlib import Path
from typing import NamedTuple

MAX_BYTES = 256 * 1024
MAX_FILES = 50
MAX_DEPTH = 4  # folders below folders
MAX_LISTED = 1000  # names looked at in all, ignored ones included
MAX_NAME = 100  # characters

# What Python, git and editors leave behind. It takes no part: not read, not recorded, not there when the entry runs.
IGNORED_NAMES = frozenset(
    {
        "__pycache__",
        ".DS_Store",
        ".git",
        ".idea",
        ".ipynb_checkpoints",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".vscode",
    }
)
IGNORED_SUFFIXES = (".pyc", ".pyo")

_NAME = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]*")
# Control, bidirectional, tag and other characters that a reviewer cannot see. Tab, newline, form feed and carriage
# return stay, and so do the joiners that Persian and emoji need.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0e-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e0fff]"
)
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC  # NONBLOCK: a FIFO would hang


class Problem(NamedTuple):
    """Something that keeps a folder from being an entry."""

    path: str  # inside the folder, posix; empty: the folder itself
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.path if self.line is None else f"{self.path}:{self.line}"
        return f"{place}: {self.message}" if place else self.message


class Folder(NamedTuple):
    """What was read."""

    texts: dict[str, str]  # path → text, sorted by path
    problems: tuple[Problem, ...]
    complete: bool  # False: a limit was reached, or a file was refused, so that a missing file proves nothing


def read_folder(folder: Path) -> Folder:
    """Every text file below `folder`; never raises for what is in it."""
    try:
        top = os.open(folder, _DIRECTORY)
    except (OSError, ValueError) as error:
        if folder.is_symlink():
            return Folder({}, (Problem("", None, "the folder is a link; copy what it points to"),), False)
        return Folder({}, (Problem("", None, f"the folder cannot be opened: {_reason(error)}"),), False)
    reading = _Reading()
    try:
        reading.folder(top, "", 0)
    except _LimitReached as limit:
        reading.problems.append(limit.problem)
    finally:
        os.close(top)
    return Folder(dict(sorted(reading.texts.items())), tuple(reading.problems), not reading.problems)


def safe_path(path: str) -> bool:
    """Whether `path` is a relative posix path of names that an entry may have."""
    parts = path.split("/")
    return len(parts) <= MAX_DEPTH + 1 and all(_safe_name(part) for part in parts)


def _safe_name(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and name not in (".", "..") and len(name) <= MAX_NAME


class _LimitReached(Exception):  # noqa: N818 - ends the reading, is no error
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


class _Reading:
    """One pass over a folder, and what it has used of its limits."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.problems: list[Problem] = []
        self._spellings: set[str] = set()
        self._listed = 0
        self._bytes = 0

    def folder(self, descriptor: int, prefix: str, depth: int) -> None:
        try:
            with os.scandir(descriptor) as entries:
                names = sorted(entry.name for entry in islice(entries, MAX_LISTED + 1))
        except OSError as error:
            self._refuse(prefix.rstrip("/"), f"cannot be listed: {_reason(error)}")
            return
        self._listed += len(names)
        if self._listed > MAX_LISTED:
            raise _LimitReached(Problem("", None, f"more than {MAX_LISTED} names in the folder; an entry is small"))
        for name in names:
            if name in IGNORED_NAMES or name.endswith(IGNORED_SUFFIXES):
                continue
            if not _safe_name(name):
                shown = prefix + ascii(name)[1:-1][:MAX_NAME]
                self._refuse(shown, f"names have letters, digits, '.', '_' and '-' only, at most {MAX_NAME}; rename it")
                continue
            self._one(descriptor, name, prefix + name, depth)

    def _one(self, parent: int, name: str, path: str, depth: int) -> None:
        if path.lower() in self._spellings:
            self._refuse(path, "two names differ by capitals only; rename one")
            return
        self._spellings.add(path.lower())
        try:
            listed = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if (kind := _foreign_kind(listed)) is not None:
                self._refuse(path, f"is {kind}; an entry holds plain text files only")
                return
            descriptor = os.open(name, _DIRECTORY if stat.S_ISDIR(listed.st_mode) else _FILE, dir_fd=parent)
        except OSError as error:
            self._refuse(path, f"cannot be opened: {_reason(error)}")
            return
        try:
            if not stat.S_ISDIR(listed.st_mode):
                self._file(descriptor, path)
            elif depth == MAX_DEPTH:
                self._refuse(path, f"folders are nested more than {MAX_DEPTH} deep")
            else:
                self.folder(descriptor, path + "/", depth + 1)
        finally:
            os.close(descriptor)

    def _file(self, descriptor: int, path: str) -> None:
        opened = os.fstat(descriptor)
        if not stat.S_ISREG(opened.st_mode):
            self._refuse(path, "changed while it was read")
            return
        # A second name may be a stranger's secret, and a record publishes every text.
        if opened.st_nlink > 1:
            self._refuse(path, "is a hard link to a file that has other names; replace it by a copy")
            return
        if len(self.texts) == MAX_FILES:
            raise _LimitReached(Problem("", None, f"more than {MAX_FILES} files; an entry has at most {MAX_FILES}"))
        left = MAX_BYTES - self._bytes
        try:
            data = _read_at_most(descriptor, left + 1) if opened.st_size <= left else None
        except OSError as error:
            self._refuse(path, f"cannot be read: {_reason(error)}")
            return
        if data is None or len(data) > left:
            message = f"with this file the folder is larger than {MAX_BYTES // 1024} KiB; an entry holds source only"
            raise _LimitReached(Problem(path, None, message))
        self._bytes += len(data)
        self.texts[path] = self._text(data, path)

    def _text(self, data: bytes, path: str) -> str:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            self.problems.append(Problem(path, line, "is not UTF-8 text; an entry holds plain text files only"))
            return ""
        if (unseen := _UNSEEN.search(text)) is not None:
            line = text.count("\n", 0, unseen.start()) + 1
            what = "a NUL byte" if unseen.group() == "\0" else f"the unseen character U+{ord(unseen.group()):04X}"
            self.problems.append(Problem(path, line, f"holds {what}; delete it, or write it as an escape"))
        return text

    def _refuse(self, path: str, message: str) -> None:
        self.problems.append(Problem(path, None, message))


def _foreign_kind(listed: os.stat_result) -> str | None:
    """What a name is when it is neither a folder nor a plain file."""
    mode = listed.st_mode
    if stat.S_ISDIR(mode) or stat.S_ISREG(mode):
        return None
    if stat.S_ISLNK(mode):
        return "a link"
    return "a FIFO" if stat.S_ISFIFO(mode) else "a socket" if stat.S_ISSOCK(mode) else "a device"


def _read_at_most(descriptor: int, size: int) -> bytes:
    pieces: list[bytes] = []
    while size > 0 and (piece := os.read(descriptor, size)):
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or "unknown error").lower() if isinstance(error, OSError) else "not a path"
