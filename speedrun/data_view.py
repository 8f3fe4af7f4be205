"""Watching a data set being made ready: a bar on a terminal, a line now and then elsewhere, or nothing."""

import contextlib
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from data.shards import TOKEN
from data.watching import Silent as SilentWatcher
from data.watching import Watcher, size
from leaderboard.table import count
from leaderboard.text import plain
from speedrun.live import bar

FRAMES_A_SECOND = 4
LINE_INTERVAL_S = 10.0  # between two plain lines
RATE_WINDOW_S = 10.0  # bytes a second are counted over this long


class View(Watcher, Protocol):
    """Whoever watches, for as long as it is entered."""

    def __enter__(self) -> "View": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Silent(SilentWatcher):
    """Watches nothing."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


class Rate:
    """How far it is, and how fast it went lately."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._recent: list[tuple[float, int]] = []  # (seconds, tokens) of the last RATE_WINDOW_S
        self.done = self.total = 0

    def take(self, done: int, total: int) -> None:
        now_s = self._now()
        if done < self.done:  # something else has begun
            self._recent.clear()
        self.done, self.total = done, total
        self._recent = [seen for seen in self._recent if now_s - seen[0] <= RATE_WINDOW_S]
        self._recent.append((now_s, done))

    @property
    def bytes_a_second(self) -> float | None:
        """None: not known yet."""
        if not self._recent:
            return None
        (first_s, first), (last_s, last) = self._recent[0], self._recent[-1]
        return TOKEN.itemsize * (last - first) / (last_s - first_s) if last_s > first_s else None

    def words(self) -> str:
        """How far it is, in one phrase."""
        told = f"{count(self.done)} of {count(self.total)} tokens"
        rate = self.bytes_a_second
        return told if rate is None else f"{told}, {size(rate)}/s"


class PlainLines(Silent):
    """Every few seconds a line that says how far it is."""

    def __init__(self, out: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._out, self._now = out, now
        self._rate = Rate(now)
        self._last_s = -math.inf

    def note(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._out.write(plain(line, 500) + "\n")
            self._out.flush()

    def progress(self, done: int, total: int) -> None:
        self._rate.take(done, total)
        if self._now() - self._last_s >= LINE_INTERVAL_S:
            self._last_s = self._now()
            self.note(self._rate.words())


class Bar(Silent):
    """One line that is drawn anew; it goes away at the end."""

    def __init__(self, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._rate = Rate(now)
        self._live = Live(
            console=console, get_renderable=self._frame, refresh_per_second=FRAMES_A_SECOND, transient=True
        )

    def __enter__(self) -> "Bar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()

    def note(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._console.print(Text(plain(line, 500)))

    def progress(self, done: int, total: int) -> None:
        self._rate.take(done, total)
        with contextlib.suppress(OSError):
            self._live.start()  # once; a terminal where nothing takes long stays as it is

    def _frame(self) -> RenderableType:
        if not self._rate.total:
            return Text("")
        words = self._rate.words()
        width = max(0, self._console.width - len(words) - 2)
        line = bar(min(1.0, self._rate.done / self._rate.total), width, "green")
        line.append(f"  {words}", style="default")
        return line


def choose(console: Console, out: TextIO, *, quiet: bool) -> View:
    """The bar where `out` is a terminal that can redraw, plain lines elsewhere, nothing when `quiet`."""
    if quiet:
        return Silent()
    redraws = out.isatty() and console.is_terminal and not console.is_dumb_terminal
    return Bar(console) if redraws else PlainLines(out)
