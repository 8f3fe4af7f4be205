"""The folder of a run in progress, and the record that lies in it from before the start.

The record is written as INTERRUPTED before any sandbox starts and replaced when the run ends, so that a crash of the
parent, a full disk or a power cut leaves a record that says so. It stays until the caller has stored it (`settle`).

Room for the last record is taken before the start, so that an entry, or anybody, who fills the disk meanwhile costs no
verdict. Not covered: a disk where somebody else is faster to take that room when it is given back.
"""

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

from harness.result import Record, encode

RECORD = "record.json"
LOCK = "lock"
RESERVE = "reserve"
RESERVE_BYTES = 4 << 20  # a record has at most 2 MiB, and there are two of it while it is replaced

_held: dict[Path, FileLock] = {}  # folder → lock, of the runs of this process that are not settled yet


def runs_folder(cache: Path) -> Path:
    return cache / "runs"


@contextmanager
def open_run(cache: Path, record: Record) -> Iterator[Path]:
    """Make the run's folder with its record, and hold its lock. The folder stays behind.

    So does the lock, until the run is settled or this process ends: what the caller still does with the record (a
    signature may ask for a passphrase) is no other process's business. Raises OSError when the disk is full.
    """
    folder = runs_folder(cache) / record.run_id
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _making_or_recovering(cache):
        folder.mkdir()
        lock = _held[folder] = FileLock(folder / LOCK)
        try:
            lock.acquire()
            write(folder, record)
            _write_through(folder / RESERVE, os.urandom(RESERVE_BYTES))  # zeros need no room on some file systems
        except BaseException:  # nothing has started
            settle(cache, record.run_id)
            raise
    yield folder


def _making_or_recovering(cache: Path) -> FileLock:
    """So that nobody recovers a folder that is just being made."""
    return FileLock(cache / "runs.lock")


def write(folder: Path, record: Record) -> None:
    """Replace the run's record, whole or not at all; on a full disk in the room kept for it. Raises OSError."""
    temporary, data = folder / (RECORD + ".new"), encode(record)
    try:
        _write_through(temporary, data)
    except OSError as error:
        reserve = folder / RESERVE
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not reserve.exists():
            raise
        reserve.unlink()
        _write_through(temporary, data)
    temporary.replace(folder / RECORD)
    place = os.open(folder, os.O_RDONLY)  # a rename outlasts a power cut only when the folder is written, too
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())


def settle(cache: Path, run_id: str) -> None:
    """Forget a run's folder: its record is stored."""
    folder = runs_folder(cache) / run_id
    with contextlib.suppress(OSError):  # first, so that nobody finds a record whose lock is gone
        (folder / RECORD).unlink()
    shutil.rmtree(folder, ignore_errors=True)
    _let_go(folder)


def _let_go(folder: Path) -> None:
    lock = _held.pop(folder, None)
    if lock is not None:
        lock.release()


def put_aside(cache: Path, run_id: str) -> Path:
    """Move a run's folder to cache/broken, out of everybody's way; where it lies now."""
    place = cache / "broken" / run_id
    place.parent.mkdir(exist_ok=True)
    return (runs_folder(cache) / run_id).rename(place)


def recover(cache: Path) -> tuple[Record, ...]:
    """The records of runs whose harness is gone, in order of time. The caller stores and settles them.

    A folder without a record (the disk was full before the run began) is removed: nothing had started. One whose record
    can't be read today, for want of permission or because another version wrote it, is left for whoever can.
    """
    folders = sorted(path for path in runs_folder(cache).glob("*") if path.is_dir())
    if not folders:
        return ()
    found = []
    with _making_or_recovering(cache):
        for folder in folders:
            _let_go(folder)
            try:
                with FileLock(folder / LOCK, blocking=False):
                    found.append(msgspec.json.decode((folder / RECORD).read_bytes(), type=Record))
            except Timeout:
                continue  # that run is still going on, or its record is just being stored
            except (FileNotFoundError, msgspec.DecodeError, UnicodeDecodeError) as error:
                if not isinstance(error, msgspec.ValidationError):
                    shutil.rmtree(folder, ignore_errors=True)
            except OSError:
                continue
    return tuple(found)
