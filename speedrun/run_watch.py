"""Looking at a run in progress from another process: which ones there are, whether one lives, what it says.

A run in progress is a folder in the cache with a record and a lock that its harness holds (harness/journal.py).
Watching takes nothing from it: whether the lock is held is asked with a shared lock, which a living harness refuses, so
that it is only ever had, for an instant, on the lock of a dead run. A command that wants to recover that run in the
very instant leaves it to the next one.
"""

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple, Self

import msgspec

from harness import event_log, journal
from harness.events import Event
from harness.result import Record

POLL_S = 0.5  # between two looks: each costs a read of nothing

State = Literal["going on", "settled", "dead"]  # settled: its record is stored; dead: its harness left it behind


class Running(NamedTuple):
    """A run in progress."""

    record: Record  # as it was at the start, or at the end if it is just being stored
    folder: Path


def running(cache: Path) -> tuple[Running, ...]:
    """The runs whose harness is at work, oldest first."""
    found = []
    for folder in sorted(journal.runs_folder(cache).glob("*")):
        try:
            record = msgspec.json.decode((folder / journal.RECORD).read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            continue  # just being made or taken away, or another version's
        if state(folder) == "going on":
            found.append(Running(record, folder))
    return tuple(found)


def state(folder: Path) -> State:
    """What has become of the run in this folder; where nobody can tell, it goes on."""
    try:
        lock = os.open(folder / journal.LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return "settled"
    except OSError:
        return "going on"
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return "going on"
    finally:
        os.close(lock)  # and with it what was locked
    return "dead"


def batches(folder: Path, sleep: Callable[[float], None] = time.sleep) -> Iterator[list[Event]]:
    """What the run has said until now, then what it says, until it does not go on.

    The first batch comes at once, and may be empty; each later one holds something.
    """
    with _Log(folder) as log:
        yield log.news()
        while True:
            over = state(folder) != "going on"  # asked before reading: nothing that was written until then is missed
            batch = log.news()
            if batch:
                yield batch
            if over:
                return
            sleep(POLL_S)


class _Log:
    """The events of a run, opened as soon as they are there: what is open outlasts the folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / event_log.EVENTS
        self._offset = 0
        self._stream: BinaryIO | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream is not None:
            self._stream.close()

    def news(self) -> list[Event]:
        """All that was not told yet."""
        found: list[Event] = []
        try:
            if self._stream is None:
                self._stream = self._path.open("rb", buffering=0)
            while True:
                events, after = event_log.follow(self._stream, self._offset)
                found += events
                if after == self._offset:
                    return found
                self._offset = after
        except OSError:  # not there yet, or not any more
            return found
