"""The records on disk: `<results>/<track>/<run id>.json`, added one at a time, read by whoever likes, never changed.

A record is there whole or not at all, whatever kills the writer, and two writers never lose each other's. Readers need
no lock, since a rename is all they can see. Not covered: file systems without `flock` across machines (some NFS).
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.errors import UserError, nearest
from harness.result import Record, encode
from leaderboard import atomic
from leaderboard.schema import RecordError, Summary, check_size, check_writable, decode, decode_summary
from leaderboard.text import plain

LOCK_NAME = ".lock"
LOCK_WAIT_S = 60.0  # an add takes milliseconds; whoever holds the lock for a minute is stuck


class Broken(NamedTuple):
    """A file that should hold a record and does not."""

    path: str  # relative to the results folder
    reason: str  # one line


class Loaded(NamedTuple):
    """What a folder of results holds, in order of track and run id."""

    records: tuple[Summary, ...]
    broken: tuple[Broken, ...]


class Store:
    """Every record of a results folder, which need not exist before the first one is added."""

    def __init__(self, results: Path) -> None:
        self._results = results

    def add(self, record: Record) -> Path:
        """Writes the record and returns its file. The same record twice is no error and changes nothing.

        Raises:
            UserError: the record is not valid, another one has its id, there is no space or no permission.
        """
        try:
            check_writable(record)
            data = encode(record)
            decode(data)
        except (RecordError, UnicodeEncodeError) as error:
            raise UserError(f"run {plain(record.run_id, 80)} cannot be recorded: {error}") from None
        folder = self._results / record.track.id
        path = folder / f"{record.run_id}.json"
        with self._locked():
            try:
                if not folder.is_dir():
                    folder.mkdir()
                    atomic.sync_folder(self._results)
                # Under the lock nobody is writing: what lies there was left by a writer that was killed.
                for leftover in folder.glob(f".*{atomic.TEMPORARY_SUFFIX}"):
                    leftover.unlink()
            except OSError as error:
                raise atomic.cannot_write(path, error) from None
            for other in self._results.glob(f"*/{path.name}"):
                if other == path and _same(other, data):
                    return path
                raise UserError(f"a different record named {record.run_id} is in {other.parent}; nothing was written")
            atomic.replace(path, data)
        return path

    def load(self, track: str | None = None) -> Loaded:
        """The summaries of all records, or of one track's; broken ones are named and skipped."""
        records: list[Summary] = []
        broken: list[Broken] = []
        for path, problem in self._files(track):
            try:
                if problem:
                    raise RecordError(problem)
                summary = decode_summary(_read(path))
                _check_place(path, summary)
            except RecordError as error:
                broken.append(Broken(self._relative(path), str(error)))
            else:
                records.append(summary)
        return Loaded(tuple(records), tuple(broken))

    def get(self, run: str) -> Record:
        """The whole record with this id, or with the only id that begins so.

        Raises:
            UserError: none, several, or a broken one.
        """
        paths = [path for path, _ in self._files(None) if path.name.endswith(".json")]
        found = [path for path in paths if path.stem == run] or [
            path for path in paths if run and path.stem.startswith(run)
        ]
        shown = plain(run, 80)
        if not found:
            raise UserError(f"no run {shown!r}; {nearest(shown, {plain(path.stem, 80) for path in paths})}")
        if len(found) > 1:
            some = ", ".join(plain(path.stem, 80) for path in found[:4])
            more = f" and {len(found) - 4} more" if len(found) > 4 else ""
            raise UserError(f"{len(found)} runs begin with {shown!r}: {some}{more}; give more of the id")
        try:
            record = decode(_read(found[0]))
            _check_place(found[0], record)
        except RecordError as error:
            raise UserError(f"the record {self._relative(found[0])} is broken: {error}") from None
        return record

    def _files(self, track: str | None) -> Iterator[tuple[Path, str]]:
        """Every file that should hold a record, in order, and beside it what is wrong with its place, if anything."""
        try:
            entries = _scan(self._results)
        except OSError as error:
            raise UserError(f"cannot read the records in {self._results}: {error.strerror}") from None
        for name, entry in entries:
            path = self._results / name
            if entry.is_dir(follow_symlinks=False):
                if track is not None and name != track:
                    continue
                try:
                    yield from ((path / file, "") for file, _ in _scan(path) if file.endswith(".json"))
                except OSError as error:
                    yield path, f"cannot be read: {error.strerror}"
            elif entry.is_symlink() or name.endswith(".json"):
                yield path, "not a track's folder; records lie in <track>/<run id>.json"

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        import filelock  # not needed to read, and showing a board should start fast

        lock = filelock.FileLock(self._results / LOCK_NAME, timeout=LOCK_WAIT_S, poll_interval=0.01)
        try:
            self._results.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except filelock.Timeout:
            raise UserError(
                f"{self._results} has been locked by another process for {LOCK_WAIT_S:.0f} s; end it and try again"
            ) from None
        except OSError as error:
            raise atomic.cannot_write(self._results / LOCK_NAME, error) from None
        try:
            yield
        finally:
            lock.release()

    def _relative(self, path: Path) -> str:
        return plain(path.relative_to(self._results).as_posix(), 200)


def _scan(folder: Path) -> list[tuple[str, os.DirEntry[str]]]:
    """The visible entries of a folder by name; none when there is no such folder. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry) for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:
        return []


def _same(path: Path, data: bytes) -> bool:
    try:
        return _read(path) == data
    except RecordError:
        return False


def _read(path: Path) -> bytes:
    """The bytes of a regular file of a record's size. Links, pipes and devices are refused before anything is read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise RecordError(f"cannot be read: {reason}") from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise RecordError("cannot be read: not a regular file")
        check_size(facts.st_size)
        return os.read(descriptor, facts.st_size)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)


def _check_place(path: Path, run: Record | Summary) -> None:
    if path.stem != run.run_id:
        raise RecordError("the file's name is not the run id - at `$.run_id`")
    if path.parent.name != run.track.id:
        raise RecordError("the folder's name is not the track - at `$.track.id`")
