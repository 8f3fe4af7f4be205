"""Ctrl-C, a plain kill and a closed terminal end a run with its record; doing it twice does not lose the record."""

import signal
from types import FrameType, TracebackType
from typing import Any

_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupts:
    """While entered, the first signal that asks to stop raises KeyboardInterrupt, and every later one does nothing.

    `hold()` lets nothing in any more: what is being written is written to its end. Whether one came is in `came`.
    Only for the main thread.
    """

    def __init__(self) -> None:
        self.came = False
        self._held = False
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "Interrupts":
        for number in _STOPPING:
            before = signal.getsignal(number)
            # What the shell told us to ignore (nohup, a job in the background) stays ignored.
            if before is not signal.SIG_IGN:
                self._before[number] = before
                signal.signal(number, self._stop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def hold(self) -> None:
        """From here on, a signal is only noted."""
        self._held = True

    def release(self) -> None:
        """From here on, a signal interrupts again; one that was noted does so now."""
        self._held = False
        if self.came:
            raise KeyboardInterrupt

    def _stop(self, number: int, frame: FrameType | None) -> None:
        already, self.came = self.came, True
        if not already and not self._held:
            raise KeyboardInterrupt
