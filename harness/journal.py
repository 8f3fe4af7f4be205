"""The folder of a run in progress, and the record that lies in it from before the start.

The record is written as INTERRUPTED before any sandbox starts and replaced when the run ends, so that a crash of the
parent, a full disk or a power cut leaves a record that says so. It stays until the caller has stored it (`settle`).
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
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
    folder.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        with _making_or_recovering(cache):
            folder.mkdir()
            held.enter_context(FileLock(folder / LOCK))
            write(folder, record)
        yield folder


def _making_or_recovering(cache: Path) -> FileLock:
    """So that nobody recovers a folder that is just being made."""
    return FileLock(cache / "runs.lock")


def write(folder: Path, record: Record) -> None:
    """Replace the run's record, whole or not at all."""
    temporary = folder / (RECORD + ".new")
    with temporary.open("wb") as out:
        out.write(encode(record))
        out.flush()
        os.fsync(out.fileno())
    temporary.replace(folder / RECORD)
    place = os.open(folder, os.O_RDONLY)  # a rename outlasts a power cut only when the folder is written, too
    try:
        os.fsync(place)
    finally:
        os.close(place)


def settle(cache: Path, run_id: str) -> None:
    """Forget a run's folder: its record is stored."""
    shutil.rmtree(runs_folder(cache) / run_id, ignore_errors=True)


def put_aside(cache: Path, run_id: str) -> Path:
    """Move a run's folder to cache/broken, out of everybody's way; where it lies now."""
    place = cache / "broken" / run_id
    place.parent.mkdir(exist_ok=True)
    return (runs_folder(cache) / run_id).rename(place)


def recover(cache: Path) -> tuple[Record, ...]:
    """The records of runs whose harness is gone, in order of time. The caller stores and settles them.

    A folder without a readable record (the disk was full before the run began) is removed: nothing had started.
    """
    folders = sorted(path for path in runs_folder(cache).glob("*") if path.is_dir())
    if not folders:
        return ()
    found = []
    with _making_or_recovering(cache):
        for folder in folders:
            try:
                with FileLock(folder / LOCK, blocking=False):
                    found.append(msgspec.json.decode((folder / RECORD).read_bytes(), type=Record))
            except Timeout:
                continue  # that run is still going on
            except (OSError, msgspec.DecodeError, UnicodeDecodeError):
                shutil.rmtree(folder, ignore_errors=True)
    return tuple(found)
