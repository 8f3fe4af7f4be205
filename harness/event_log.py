"""The events of a run in progress as lines of JSON, for whoever watches from another process.

They lie beside the run's first record and go away with it: what is to be kept of a run stands in its record. No sandbox
sees the file. Points of training are thinned, at first to one in READ_EVERY_S seconds, and to a quarter of them
whenever half of the room that was left is used: so a run of any length is followed to its end.
"""

import errno
import os
from pathlib import Path
from typing import BinaryIO

import msgspec

from harness.events import Ended, Event, Logged

EVENTS = "events.jsonl"
READ_EVERY_S = 0.1  # between two points of training that are written, at first
MOST_BYTES = 16 << 20  # of points of training; the other events are few
_MOST_AT_ONCE = 4 << 20

_event = msgspec.json.Decoder(Event)


class EventLog:
    """Writes the events of one run. A full disk ends the log and nothing else."""

    def __init__(self, folder: Path) -> None:
        """Raises OSError."""
        self._out = os.open(folder / EVENTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._left = MOST_BYTES
        self._every_s = READ_EVERY_S
        self._slower_at = MOST_BYTES // 2  # bytes left
        self._point_s: float | None = None  # of the last point of training

    def write(self, event: Event) -> None:
        """One line, there at once for whoever reads; the end is told by the record itself.

        Raises OSError, also when only a part of the line could be written.
        """
        if isinstance(event, Ended) or (isinstance(event, Logged) and not self._due(event)):
            return
        line = msgspec.json.encode(event) + b"\n"
        if isinstance(event, Logged):
            self._left -= len(line)
            if self._left < self._slower_at:
                self._every_s, self._slower_at = 4 * self._every_s, self._slower_at // 2
        if os.write(self._out, line) != len(line):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        os.close(self._out)

    def _due(self, event: Logged) -> bool:
        now_s = event.point.elapsed_s
        if self._point_s is not None and 0 <= now_s - self._point_s < self._every_s:
            return False
        self._point_s = now_s
        return True


def follow(stream: BinaryIO, offset: int) -> tuple[list[Event], int]:
    """The events on the whole lines from byte `offset` on, and the byte after them; a line that is no event is skipped.

    Whoever has opened the log reads it to its end, although it is removed when the run's record is stored.
    """
    stream.seek(offset)
    data = stream.read(_MOST_AT_ONCE)
    whole = data[: data.rfind(b"\n") + 1]
    found: list[Event] = []
    for line in whole.splitlines():
        try:
            found.append(_event.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return found, offset + len(whole)
