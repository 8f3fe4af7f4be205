"""Watching a run: a live view on a terminal, plain lines elsewhere, or nothing.

A viewer never stops or delays a run: the terminal is drawn from a thread of its own, at a pace that costs next to
nothing, and a terminal that goes away is no reason to lose a result.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
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
from speedrun.console import no_command
from speedrun.progress import COUNTED, PHASE_NAMES, STAGES, Accelerators, Progress

FRAMES_A_SECOND = 1  # each costs a few milliseconds of a processor that the entry may be training on
LINE_INTERVAL_S = 5.0  # between two plain lines of the same phase, at least
MOST_LINES = 100  # of one phase in a log, where its limit is long
CHART_LINES = 9
NOTES = 3  # the latest ones that are shown
LATE_SHARE, LAST_SHARE = 0.75, 0.9  # of a limit: where the clock turns yellow, and red
BAR = ("━", "─")


class View(Protocol):
    """Whoever watches a run."""

    def __enter__(self) -> "View": ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def observe(self, event: Event) -> None: ...
    def catch_up(self, events: Iterable[Event]) -> None:
        """What happened before anybody watched."""


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

    def catch_up(self, events: Iterable[Event]) -> None:
        for event in events:
            self.observe(event)


class PlainLines(Silent):
    """A line when a phase begins, and now and then one that says how far it is."""

    def __init__(self, title: str, out: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._out = out
        self._now = now
        self._progress = Progress(now)
        self._last_s = -math.inf
        self._say(title)

    def observe(self, event: Event) -> None:
        self._progress.take(event)
        match event:
            case PhaseBegan(phase):
                limit_s = self._progress.limit_s
                most = f", at most {limit_s:,.0f} s" if limit_s is not None else ""
                self._say(f"{PHASE_NAMES[phase]}{most}")
                self._last_s = self._now()
            case Noted(text):
                self._say(plain(text, 300))
            case Logged() | Ticked() if self._now() - self._last_s >= self._interval_s:
                self._say_facts()

    def catch_up(self, events: Iterable[Event]) -> None:
        """The phases and notes until now, and how far it is."""
        super().catch_up(events)
        self._say_facts()

    @property
    def _interval_s(self) -> float:
        return max(LINE_INTERVAL_S, (self._progress.limit_s or 0.0) / MOST_LINES)

    def _say_facts(self) -> None:
        self._last_s = self._now()
        self._say(f"  {' · '.join(facts(self._progress))}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._out.write(no_command(line) + "\n")
            self._out.flush()


class LiveView(Silent):
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
            self._live.start(refresh=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()

    def observe(self, event: Event) -> None:
        self._progress.take(event)

    def _frame(self) -> RenderableType:
        size = self._console.size  # asked for every frame: it may have been resized
        return frame(self._title, self._progress, size.width, size.height)


def choose(title: str, console: Console, out: TextIO, *, quiet: bool) -> View:
    """The live view where `out` is a terminal that can redraw, plain lines elsewhere, nothing when `quiet`.

    The console alone would not do: it takes a log for a terminal where FORCE_COLOR asks for colours in it.
    """
    if quiet:
        return Silent()
    redraws = out.isatty() and console.is_terminal and not console.is_dumb_terminal
    return LiveView(title, console) if redraws else PlainLines(title, out)


def bar(share: float, width: int, style: str) -> Text:
    """A line of `width` cells of which a share, 0 to 1, is full."""
    full = round(share * width)
    line = Text(BAR[0] * full, style=style, no_wrap=True, overflow="ellipsis")
    line.append(BAR[1] * (width - full), style="dim")
    return line


def frame(title: str, progress: Progress, width: int, height: int = 1000) -> Group:
    """One picture of the run; no line is wider than `width`, and the curve takes what is left of `height`."""
    lines = [Text(plain(title, width), style="bold")]
    clock = Text(no_wrap=True, overflow="ellipsis")
    clock.append(f"{PHASE_NAMES[progress.phase]}  ", style="cyan")
    clock.append(_clock(progress), style=_urgency(progress))
    lines.append(clock)
    share = progress.share
    if share is not None:
        lines.append(bar(share, width, _urgency(progress)))
    lines += _filled(stages(progress), "  ", width)
    lines += _filled([Text(phrase) for phrase in measured(progress)], " · ", width)
    if progress.accelerators is not None:
        style = "yellow" if progress.accelerators.throttled else ""
        now = [Text(phrase, style=style) for phrase in accelerator_facts(progress.accelerators)]
        lines += _filled(now, " · ", width)
    notes = [Text(plain(note, width), style="yellow", no_wrap=True) for note in progress.notes[-NOTES:]]
    room = min(CHART_LINES, height - 1 - len(lines) - len(notes))
    lines += [Text(line, style="green", no_wrap=True) for line in chart(list(progress.curve), width, room)]
    return Group(*lines, *notes)


def stages(progress: Progress) -> list[Text]:
    """What is done, what is going on, what is to come. The marks say it, too, where there is no colour."""
    order = list(STAGES)
    now = order.index(progress.stage) if progress.stage is not None else -1
    told = []
    for number, name in enumerate(STAGES.values()):
        mark, style = ("✓", "green") if number < now else ("▸", "bold cyan") if number == now else ("·", "dim")
        told.append(Text(f"{mark} {name}", style=style))
    return told


def facts(progress: Progress) -> list[str]:
    """What is known now, in short phrases; the first is the clock."""
    cards = accelerator_facts(progress.accelerators) if progress.accelerators is not None else []
    return [_clock(progress), *measured(progress), *cards]


def measured(progress: Progress) -> list[str]:
    """How far it is and what it takes, in short phrases."""
    told = []
    if progress.phase in COUNTED:
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


def accelerator_facts(now: Accelerators) -> list[str]:
    """What the driver says of the accelerators, in short phrases."""
    told = [f"{now.clock_mhz:,} MHz"] if now.clock_mhz is not None else []
    told += [f"{now.memory_gib:.2f} GiB"] if now.memory_gib is not None else []
    told += [f"{now.busy:.0%} busy"] if now.busy is not None else []
    told += [f"slowed by {plain(reason, 40)}" for reason in now.throttled]
    return [f"accelerator {told[0]}", *told[1:]] if told else []


def _clock(progress: Progress) -> str:
    limit = f" of {progress.limit_s:,.0f} s" if progress.limit_s is not None else " s"
    return f"{progress.elapsed_s:,.1f}{limit}"


def _urgency(progress: Progress) -> str:
    """The colour of the clock as the limit of the phase comes nearer."""
    used = progress.elapsed_s / progress.limit_s if progress.limit_s else 0.0
    return "bold red" if used >= LAST_SHARE else "yellow" if used >= LATE_SHARE else "green"


def _filled(phrases: Sequence[Text], between: str, width: int) -> list[Text]:
    """The phrases joined into as many lines as they need."""
    lines: list[Text] = []
    for phrase in phrases:
        if lines and lines[-1].cell_len + len(between) + phrase.cell_len <= width:
            lines[-1].append(between).append_text(phrase)
        else:
            lines.append(Text(no_wrap=True, overflow="ellipsis").append_text(phrase))
    return lines
