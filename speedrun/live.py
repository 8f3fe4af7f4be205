"""Watching a run: a live view on a terminal, plain lines elsewhere, or nothing.

A viewer never stops or delays a run: the terminal is drawn from a thread of its own, at a pace that costs next to
nothing, and a terminal that goes away is no reason to lose a result.
"""

import contextlib
import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Protocol, TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from harness.events import Event, Logged, Noted, PhaseBegan, Ticked
from harness.protocol import printable
from leaderboard.table import count
from leaderboard.text import plain
from speedrun.chart import chart
from speedrun.progress import PHASE_NAMES, Progress

FRAMES_A_SECOND = 1  # each costs a few milliseconds of a processor that the entry may be training on
LINE_INTERVAL_S = 5.0  # between two plain lines of the same phase
CHART_LINES = 9
LATE_SHARE, LAST_SHARE = 0.75, 0.9  # of a limit: where the clock turns yellow, and red
BAR = ("━", "─")


class View(Protocol):
    """Whoever watches a run."""

    def __enter__(self) -> "View": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def observe(self, event: Event) -> None: ...


class Silent:
    """Watches nothing."""

    def __enter__(self) -> "Silent":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def observe(self, event: Event) -> None:
        pass


class PlainLines(Silent):
    """A line when a phase begins, and every few seconds one that says how far it is."""

    def __init__(self, title: str, out: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._now = now
        self._progress = Progress(now)
        self._last_s = -math.inf
        self._say(title)

    def observe(self, event: Event) -> None:
        self._progress.take(event)
        match event:
            case PhaseBegan(phase, limit_s):
                most = f", at most {limit_s:,.0f} s" if limit_s is not None else ""
                self._say(f"{PHASE_NAMES[phase]}{most}")
                self._last_s = self._now()
            case Noted(text):
                self._say(plain(text, 300))
            case Logged() | Ticked() if self._now() - self._last_s >= LINE_INTERVAL_S:
                self._last_s = self._now()
                self._say(f"  {' · '.join(facts(self._progress))}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._out.write(line + "\n")
            self._out.flush()


class LiveView:
    """The whole state of the run, redrawn in place; gone when the run is over."""

    def __init__(self, title: str, console: Console, now: Callable[[], float] = time.monotonic) -> None:
        self._title = title
        self._console = console
        self._progress = Progress(now)
        self._live = Live(
            console=console, get_renderable=self._frame, refresh_per_second=FRAMES_A_SECOND, transient=True
        )

    def __enter__(self) -> "LiveView":
        with contextlib.suppress(OSError):
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()

    def observe(self, event: Event) -> None:
        self._progress.take(event)

    def _frame(self) -> RenderableType:
        return frame(self._title, self._progress, self._console.width)


def choose(title: str, console: Console, out: TextIO, *, quiet: bool) -> View:
    """The live view where `out` is a terminal that can redraw, plain lines elsewhere, nothing when `quiet`."""
    if quiet:
        return Silent()
    return LiveView(title, console) if console.is_terminal and not console.is_dumb_terminal else PlainLines(title, out)


def bar(share: float, width: int, style: str) -> Text:
    """A line of `width` cells of which a share, 0 to 1, is full."""
    full = round(share * width)
    line = Text(BAR[0] * full, style=style, no_wrap=True, overflow="ellipsis")
    line.append(BAR[1] * (width - full), style="dim")
    return line


def frame(title: str, progress: Progress, width: int) -> Group:
    """One picture of the run; no line is wider than `width`."""
    lines = [Text(plain(title, width), style="bold")]
    clock = Text(no_wrap=True, overflow="ellipsis")
    clock.append(f"{PHASE_NAMES[progress.phase]}  ", style="cyan")
    clock.append(_clock(progress), style=_urgency(progress))
    lines.append(clock)
    share = progress.share
    if share is not None:
        lines.append(bar(share, width, _urgency(progress)))
    lines += _filled(facts(progress)[1:], width)
    lines += [Text(line, style="green", no_wrap=True) for line in chart(list(progress.curve), width, CHART_LINES)]
    lines += [Text(plain(note, width), style="yellow") for note in progress.notes[-3:]]
    return Group(*lines)


def facts(progress: Progress) -> list[str]:
    """What is known now, in short phrases; the first is the clock."""
    told = [_clock(progress)]
    if progress.phase in ("score", "twin"):
        if progress.done is not None and progress.total:
            told.append(f"{progress.done:,} of {progress.total:,} targets")
    elif progress.phase == "train":
        if progress.loss_nats is not None:
            told.append(f"loss {progress.loss_nats:.4f}")
        if progress.step is not None:
            told.append(f"step {progress.step:,}")
        if progress.tokens is not None:
            told.append(f"{count(progress.tokens)} tokens")
        if progress.tokens_a_second is not None:
            told.append(f"{count(round(progress.tokens_a_second))} tokens/s")
    if progress.memory_gib is not None:
        told.append(f"{progress.memory_gib:.2f} GiB")
    return [printable(phrase, 60) for phrase in told]


def _clock(progress: Progress) -> str:
    limit = f" of {progress.limit_s:,.0f} s" if progress.limit_s is not None else " s"
    return f"{progress.elapsed_s:,.1f}{limit}"


def _urgency(progress: Progress) -> str:
    """The colour of the clock: only training races against its limit, the other phases just have one."""
    used = progress.elapsed_s / progress.limit_s if progress.limit_s else 0.0
    return "bold red" if used >= LAST_SHARE else "yellow" if used >= LATE_SHARE else "green"


def _filled(phrases: list[str], width: int) -> list[Text]:
    """The phrases joined into as many lines as they need."""
    lines: list[str] = []
    for phrase in phrases:
        if lines and len(lines[-1]) + 3 + len(phrase) <= width:
            lines[-1] += f" · {phrase}"
        else:
            lines.append(phrase)
    return [Text(line, no_wrap=True, overflow="ellipsis") for line in lines]
