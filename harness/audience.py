"""Who watches a run: the caller, and whoever reads its event log from another process. Watching never changes a run."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from harness.event_log import EventLog
from harness.events import Event


class Audience:
    """A viewer that fails is dropped, and so is a log that the disk has no room for."""

    def __init__(self, observe: Callable[[Event], None]) -> None:
        self._observe: Callable[[Event], None] | None = observe
        self._log: EventLog | None = None

    def open_log(self, folder: Path) -> None:
        """From here on events are written there, where they can be."""
        with contextlib.suppress(OSError):
            self._log = EventLog(folder)

    def tell(self, event: Event) -> None:
        if self._log is not None:
            try:
                self._log.write(event)
            except OSError:
                self.close_log()
        if self._observe is None:
            return
        try:
            self._observe(event)
        except Exception:
            self._observe = None

    def close_log(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None
