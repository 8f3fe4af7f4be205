"""What the record files of a track held when they were last read, so that a board of thousands starts at once.

One file a track in the cache folder: for each record file its name, its stat facts, the sha256 of its bytes, and its
summary or the reason why it is broken. What many summaries say alike is written down once, and is in memory once where
it comes from here. Contents are named by their hash; stat facts only say whether a file must be read again, in the way
that git's own index has it:

- A file is read again unless size, times of change, inode and device are what they were.
- A file that had changed less than RACY_NS before it was read, or that says it will in future, is not written down: it
  could change once more within one tick of the file system's clock, with every fact the same.
- Whatever was written by other code, by another user, for another track, or is not whole, is as good as nothing. So is
  an index that can't be written. Deleting it costs time and nothing else.

Nobody can slip in an index that is believed: it lies in a folder that git ignores and that no pull request may touch,
and even there a line counts only for a file with that very inode and time of change, which are made by the checkout
itself and known to nobody before. Who can write to the cache folder afterwards can write the code as well.

Not covered: a file that is changed at the same nanosecond of a clock that was set back on purpose.
"""

import contextlib
import hashlib
import os
import stat
import time
from collections.abc import Iterable
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

import msgspec

from harness import errors, result
from harness.errors import UserError
from harness.result import DatasetRef, Entry, TrackRef
from leaderboard import atomic, reading, schema, text
from leaderboard.reading import read_regular
from leaderboard.schema import (
    RECORD_CAP_BYTES,
    TRACK_ID,
    Machine,
    OwnFacts,
    RecordError,
    SourceHash,
    Summary,
    check_place,
    decode_summary,
)

RACY_NS: Final = 2 * 10**9  # no file system in use has a coarser clock
INDEX_CAP_BYTES: Final = 2**30
# A rewrite takes as long as reading about one record in a hundred: fewer new ones are read again the next time.
WORTH_A_REWRITE: Final = 100

_SEAL_BYTES: Final = 32


class Content(NamedTuple):
    """What a record file holds."""

    digest: str  # sha256 of its bytes, in hexadecimal; "": they can't be read
    summary: Summary | None  # None: it is broken
    reason: str  # why it is, in one line
    data: bytes | None  # None: it was not read now


def unread(reason: str) -> Content:
    """What there is of a file that can't be read."""
    return Content("", None, reason, None)


class _Facts(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What can't stay the same when a file is changed or another one takes its place."""

    size_bytes: int
    mtime_ns: int
    ctime_ns: int  # set by the kernel alone
    inode: int
    device: int


class _Numbered(OwnFacts, frozen=True, array_like=True, kw_only=True):
    """A summary, with the numbers of those of its parts that other runs share."""

    entry: int
    track: int
    dataset: int
    environment: int
    source: int


class _Parts(msgspec.Struct, frozen=True):
    """Parts of summaries by their numbers, named as in a summary. One that is no longer in use stays."""

    entry: list[Entry] = []
    track: list[TrackRef] = []
    dataset: list[DatasetRef] = []
    environment: list[Machine] = []
    source: list[SourceHash] = []


class _Line(msgspec.Struct, frozen=True, array_like=True):
    """A record file, as it is written down."""

    name: str
    facts: _Facts
    digest: str
    run: _Numbered | None
    reason: str


class _Written(msgspec.Struct, frozen=True):
    """A whole index, but for its seal."""

    parts: _Parts = msgspec.field(default_factory=_Parts)
    lines: list[_Line] = []


_written = msgspec.msgpack.Decoder(_Written)


class TrackIndex:
    """The record files of one track's folder: read where they must be, else known.

    cache: where the index lies; None: everything is read.
    """

    def __init__(self, folder: Path, cache: Path | None) -> None:
        self._folder = folder
        # A folder of any other name holds no valid record.
        self._file = cache / f"records-{folder.name}.index" if cache and TRACK_ID.fullmatch(folder.name) else None
        written = _Written() if self._file is None else _recall(self._file, folder.name)
        self._known = {line.name: line for line in written.lines}
        self._parts: dict[str, list[object]] = msgspec.structs.asdict(written.parts)
        self._learnt = 0  # lines that the file does not have

    def look(self, entry: os.DirEntry[str]) -> Content:
        """What this file of the folder holds, from the index where that may be believed."""
        line = self._known.get(entry.name)
        if line is None or line.facts != _facts(entry):
            return self.read(entry)
        return Content(line.digest, None if line.run is None else self._summary(line.run), line.reason, None)

    def read(self, entry: os.DirEntry[str]) -> Content:
        """What this file of the folder holds, from its bytes."""
        # Taken before it is read: whatever happens from here on changes them.
        began_ns, path = time.time_ns(), self._folder / entry.name
        facts = _path_facts(path)
        content = read(path)
        self._known.pop(entry.name, None)
        if self._file is None:
            return content
        if content.digest and facts is not None and max(facts.mtime_ns, facts.ctime_ns) + RACY_NS < began_ns:
            # Not with integers beyond 64 bits, nor with names that are no text.
            with contextlib.suppress(OverflowError, UnicodeEncodeError):
                run = None if content.summary is None else self._numbered(content.summary)
                line = _Line(entry.name, facts, content.digest, run, content.reason)
                msgspec.msgpack.encode(line)
                self._known[entry.name] = line
                self._learnt += 1
        return content

    def save(self, names: Iterable[str]) -> None:
        """Writes what was learnt, where that is worth it; names: of the files that are there."""
        if self._file is None or not self._learnt or self._learnt * WORTH_A_REWRITE < len(self._known):
            return
        lines = [line for name in names if (line := self._known.get(name)) is not None]
        body = msgspec.msgpack.encode({"parts": self._parts, "lines": lines})
        with contextlib.suppress(UserError, OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            atomic.replace(self._file, _seal(self._folder.name, body) + body, synced=False)

    def _summary(self, run: _Numbered) -> Summary:
        fields = msgspec.structs.asdict(run)
        for name, parts in self._parts.items():
            fields[name] = parts[fields[name]]
        return Summary(**fields)

    def _numbered(self, summary: Summary) -> _Numbered:
        """Raises OverflowError, UnicodeEncodeError: a part that can't be written down."""
        fields = msgspec.structs.asdict(summary)
        for name, parts in self._parts.items():
            numbers, part = self._numbers[name], fields[name]
            fields[name] = numbers.setdefault(msgspec.msgpack.encode(part), len(parts))
            if fields[name] == len(parts):
                parts.append(part)
        return _Numbered(**fields)

    @cached_property
    def _numbers(self) -> dict[str, dict[bytes, int]]:
        """By a part's bytes, which tell apart what Python calls equal, 0.0 and -0.0 say."""
        return {
            name: {msgspec.msgpack.encode(part): number for number, part in enumerate(parts)}
            for name, parts in self._parts.items()
        }


def read(path: Path) -> Content:
    """What a record file holds."""
    digest, data = "", None
    try:
        data = read_regular(path, RECORD_CAP_BYTES, "record")
        digest = hashlib.sha256(data).hexdigest()
        summary = decode_summary(data)
        check_place(path, summary)
    except RecordError as error:
        return Content(digest, None, str(error), data)
    return Content(digest, summary, "", data)


def _facts(entry: os.DirEntry[str]) -> _Facts | None:
    try:
        return _from_stat(entry.stat(follow_symlinks=False))
    except OSError:
        return None


def _path_facts(path: Path) -> _Facts | None:
    """Of a regular file; None: there is none."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return _from_stat(found) if stat.S_ISREG(found.st_mode) else None


def _from_stat(found: os.stat_result) -> _Facts:
    return _Facts(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_dev)


def _recall(file: Path, track: str) -> _Written:
    """What an index says; nothing where it is not to be believed."""
    try:
        data = read_regular(file, INDEX_CAP_BYTES, "index")
        body = memoryview(data)[_SEAL_BYTES:]
        if data[:_SEAL_BYTES] != _seal(track, body):
            return _Written()
        return _written.decode(body)
    except (RecordError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Written()


def _seal(track: str, body: bytes | memoryview) -> bytes:
    """Tells a whole index, made by this code and this user for this track, from anything else."""
    sealed = hashlib.blake2b(f"{_code()} {os.geteuid()} {track}\n".encode(), digest_size=_SEAL_BYTES)
    sealed.update(body)
    return sealed.digest()


@cache
def _code() -> str:
    """A hash of all that decides what is read in a record file: whoever changes it need not think of the index."""
    sources = [_source(module) for module in (errors, result, reading, schema, text)]
    parts = (msgspec.__version__.encode(), *sources, Path(__file__).read_bytes())
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def _source(module: ModuleType) -> bytes:
    return Path(str(module.__file__)).read_bytes()
