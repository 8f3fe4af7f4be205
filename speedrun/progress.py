"""What a watcher of a run knows at a moment: the events so far, folded into one state. No terminal in here."""

import math
import time
from collections.abc import Callable
from typing import NamedTuple

from harness.events import Ended, Event, Logged, Noted, Phase, PhaseBegan, Ticked
from speedrun.chart import Point

RATE_WINDOW_S = 5.0  # tokens a second are counted over this long
MOST_POINTS = 1000

PHASE_NAMES: dict[Phase, str] = {
    "start": "starting",
    "setup": "setting up",
    "train": "training",
    "save": "saving",
    "load": "loading what was saved",
    "score": "scoring",
    "twin": "asking the twin",
    "sample": "letting it speak",
    "downstream": "evaluating on tasks",
}

# What a run goes through, in order. A load belongs to what it is for.
STAGES: dict[Phase, str] = {
    "setup": "set-up",
    "train": "training",
    "save": "saving",
    "score": "scoring",
    "twin": "twin",
    "sample": "samples",
}

COUNTED = ("score", "twin", "downstream")  # phases whose answers are counted


class Accelerators(NamedTuple):
    """What the driver says now; None: it does not say."""

    clock_mhz: int | None  # of the slowest
    memory_gib: float | None  # of the fullest
    busy: float | None  # mean share of the time, 0 to 1
    throttled: tuple[str, ...]  # why clocks are lower than they could be


class Progress:
    """The state of one run. Written by `take`; may be read from another thread at any time."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._began_s = now()
        self._recent: list[tuple[float, int]] = []  # (elapsed_s, tokens) of the last RATE_WINDOW_S
        self._every = 1  # of the logged points, so many stand for one kept
        self._seen = 0
        self.phase: Phase = "start"
        self.stage: Phase | None = None  # of STAGES; None: it has not begun
        self.limit_s: float | None = None
        self.memory_gib: float | None = None
        self.accelerators: Accelerators | None = None  # None: there are none, or nobody tells
        self.done: int | None = None
        self.total: int | None = None
        self.step: int | None = None
        self.tokens: int | None = None
        self.loss_nats: float | None = None
        self.curve: list[Point] = []  # (elapsed_s, loss_nats)
        self.notes: list[str] = []

    @property
    def elapsed_s(self) -> float:
        """Seconds since the phase began, by the watcher's own clock: for the eye only."""
        return max(0.0, self._now() - self._began_s)

    @property
    def share(self) -> float | None:
        """How much of the phase is over, 0 to 1: of the targets where they are counted, else of the time limit."""
        if self.phase in COUNTED:
            return min(1.0, self.done / self.total) if self.done is not None and self.total else None
        if self.phase == "train" and self.limit_s:
            return min(1.0, self.elapsed_s / self.limit_s)
        return None

    @property
    def tokens_a_second(self) -> float | None:
        """Over the last RATE_WINDOW_S that the entry logged; None: unknown, not above zero, or too long ago."""
        if not self._recent or self.elapsed_s - self._recent[-1][0] > 2 * RATE_WINDOW_S:
            return None
        (first_s, first), (last_s, last) = self._recent[0], self._recent[-1]
        return (last - first) / (last_s - first_s) if last_s > first_s and last > first else None

    def take(self, event: Event) -> None:
        """Fold one event in."""
        match event:
            case PhaseBegan(phase, limit_s):
                self.phase, self._began_s = phase, self._now()
                self.limit_s = None if phase == "sample" else limit_s  # which costs nothing when it is over
                self.stage = self._stage(phase)
                self.done = self.total = None
            case Ticked():
                self._tick(event)
            case Logged():
                self._log(event)
            case Noted(text):
                self.notes.append(text)
            case Ended():
                pass

    def _stage(self, phase: Phase) -> Phase | None:
        """The stage that a phase belongs to."""
        if phase in STAGES:
            return phase
        if phase == "load":
            return "twin" if self.stage in ("score", "twin") else "score"
        return self.stage

    def _tick(self, event: Ticked) -> None:
        if event.phase == self.phase:
            # Whoever came in the middle learns here when the phase began; no news comes early, so the first is best.
            self._began_s = min(self._began_s, self._now() - event.elapsed_s)
        self.memory_gib = event.memory_gib
        if event.done is not None:
            self.done, self.total = event.done, event.total
        told = Accelerators(event.clock_mhz, event.device_memory_gib, event.device_busy, event.throttled)
        self.accelerators = told if any(fact is not None for fact in told[:3]) or told.throttled else None

    def _log(self, event: Logged) -> None:
        point = event.point
        self.step, self.tokens, self.loss_nats = point.step, point.tokens, point.loss_nats
        if point.tokens is not None:
            self._recent = [seen for seen in self._recent if point.elapsed_s - seen[0] <= RATE_WINDOW_S]
            self._recent.append((point.elapsed_s, point.tokens))
        if point.loss_nats is not None and math.isfinite(point.loss_nats):
            if self._seen % self._every == 0:
                self.curve.append(Point(point.elapsed_s, point.loss_nats))
                if len(self.curve) == MOST_POINTS:
                    self.curve, self._every = self.curve[::2], self._every * 2
            self._seen += 1
