"""The folder of a run in progress, and the record that lies in it from before the start.

The record is written as INTERRUPTED before any sandbox starts and replaced when the run ends, so that a crash of the
parent, a full disk or a power cut leaves a record that says so. It stays until the caller has stored it (`settle`).
"""

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


def runs_folder(cache: Path) -> Path:
    return cache / "runs"


@contextmanager
def open_run(cache: Path, record: Record) -> Iterator[Path]:
    """Make the run's folder with its record, and hold its lock. The folder stays behind."""
    folder = runs_folder(cache) / record.run_id
    folder.mkdir(parents=True)
    with FileLock(folder / LOCK):
        write(folder, record)
        yield folder


def write(folder: Path, record: Record) -> None:
    """Replace the run's record, whole or not at all."""
    temporary = folder / (RECORD + ".new")
    with temporary.open("wb") as out:
        out.write(encode(record))
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(folder / RECORD)


def settle(cache: Path, run_id: str) -> None:
    """Forget a run's folder: its record is stored."""
    shutil.rmtree(runs_folder(cache) / run_id, ignore_errors=True)


def recover(cache: Path) -> tuple[Record, ...]:
    """The records of runs whose harness is gone, in order of time. The caller stores and settles them.

    A folder without a readable record (the disk was full before the run began) is removed: nothing had started.
    """
    found = []
    for folder in sorted(runs_folder(cache).glob("*")):
        lock = FileLock(folder / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            continue  # that run is still going on
        except OSError:
            continue  # somebody else's folder
        try:
            found.append(msgspec.json.decode((folder / RECORD).read_bytes(), type=Record))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            lock.release()
    return tuple(found)
