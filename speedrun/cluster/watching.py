"""Watching a crew: a table on a terminal, plain lines elsewhere, events as JSON, or nothing.

All of it goes to standard error; the command's answer comes after it, on standard output.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

import msgspec

from harness.result import Record
from leaderboard.text import plain
from speedrun import console
from speedrun.progress import PHASE_NAMES

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

FRAMES_A_SECOND = 2
NOTES = 4  # the latest ones, below the table


class Happened(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One line of `--json` on standard error."""

    event: str  # waiting, seated, started, phase, finished, lost, note
    time_s: float  # since the command began to watch
    seat: int | None = None
    node: str = ""
    job: str = ""
    words: str = ""  # of a phase, a note, a loss
    run_id: str = ""
    verdict: str = ""
    loss_nats: float | None = None
    train_s: float | None = None
    done: int
    running: int
    queued: int | None  # None: nobody knows how many will come
    remaining_s: float | None = None  # expected; None: too early to say


class Place:
    """What a seat is doing."""

    def __init__(self, node: str) -> None:
        self.node = node
        self.job = ""
        self.phase = ""
        self.since_s = 0.0  # of the phase
        self.began_s = 0.0  # of the job


class Watch:
    """Folds what happens into one state, and tells it. Usable from any thread.

    total: runs that will be made, at most; None: nobody knows.
    """

    def __init__(self, title: str, total: int | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self.title = title
        self.total = total
        self.done = 0
        self.places: dict[int, Place] = {}
        self.notes: list[str] = []
        self._took_s: list[float] = []  # by the runs that ended
        self._now = now
        self._began_s = now()
        self._lock = threading.RLock()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    @property
    def running(self) -> int:
        return sum(bool(place.job) for place in self.places.values())

    @property
    def queued(self) -> int | None:
        return None if self.total is None else max(0, self.total - self.done - self.running)

    @property
    def remaining_s(self) -> float | None:
        """Until the last run ends, if those to come take as long as those before; None: too early to say."""
        if self.total is None or not self._took_s or not self.places:
            return None
        mean_s = sum(self._took_s) / len(self._took_s)
        now = self._now()
        going = [max(0.0, mean_s - (now - place.began_s)) for place in self.places.values() if place.job]
        return (sum(going) + (self.queued or 0) * mean_s) / len(self.places)

    def expect(self, runs: int) -> None:
        """So many more runs will be made than was known; fewer where it is negative."""
        with self._lock:
            self.total = (self.total or 0) + runs

    # ------------------------------------------------------------------------------------------- what happens

    def waiting(self, seats: int, needs: str) -> None:
        count = f"{seats} {'node' if seats == 1 else 'nodes'}"
        self._told("waiting", None, words=f"waiting for {count} with {needs} to be free")

    def seated(self, seat: int, node: str) -> None:
        with self._lock:
            before = self.places.get(seat)
            if before is not None and before.node == node:
                return
            self.places[seat] = Place(plain(node, 60))
        self._told("seated", seat, words="ready")

    def started(self, seat: int, job: str) -> None:
        with self._lock:
            place = self.places[seat]
            place.job, place.phase = plain(job, 80), ""
            place.began_s = place.since_s = self._now()
        self._told("started", seat)

    def phase(self, seat: int, phase: str, limit_s: float | None) -> None:
        names: dict[str, str] = {str(phase): name for phase, name in PHASE_NAMES.items()}
        with self._lock:
            place = self.places.get(seat)
            if place is None:
                return
            place.phase, place.since_s = names.get(phase, plain(phase, 20)), self._now()
        self._told("phase", seat, words=place.phase)

    def noted(self, seat: int | None, words: str) -> None:
        self._told("note", seat, words=plain(words, 300))

    def say(self, words: str) -> None:
        """A line that is told however quiet it is."""
        console.note(words)

    def lost(self, seat: int, job: str, why: str) -> None:
        self._told("lost", seat, words=f"{plain(job, 80)} is made again: {plain(why, 200)}")
        with self._lock:
            self.places.pop(seat, None)

    def left_out(self, seat: int, words: str) -> None:
        """Nothing more will be run there."""
        self._told("note", seat, words=plain(words, 300))
        with self._lock:
            self.places.pop(seat, None)

    def finished(self, seat: int, job: str, record: Record) -> None:
        with self._lock:
            place = self.places[seat]
            self.done += 1
            self._took_s.append(self._now() - place.began_s)
            place.job = place.phase = ""
        loss = None if record.score is None else record.score.loss_nats
        words = f"{job}: {record.verdict}" + (f", loss {loss:.4f}" if loss is not None else "")
        self._told(
            "finished",
            seat,
            words=words,
            job=plain(job, 80),
            run_id=record.run_id,
            verdict=record.verdict,
            loss_nats=loss,
            train_s=record.times.train_s,
        )

    def _told(self, event: str, seat: int | None, *, words: str = "", job: str = "", **facts: object) -> None:
        with self._lock:
            place = self.places.get(seat) if seat is not None else None
            if event in ("note", "lost", "waiting"):
                self.notes = [*self.notes, words][-NOTES:]
            happened = Happened(
                event=event,
                time_s=round(self._now() - self._began_s, 3),
                seat=seat,
                node=place.node if place else "",
                job=job or (place.job if place else ""),
                words=words,
                done=self.done,
                running=self.running,
                queued=self.queued,
                remaining_s=self.remaining_s,
                **facts,  # type: ignore[arg-type]
            )
            self.tell(happened)

    def tell(self, happened: Happened) -> None:
        """For whoever shows it; called with the state at rest."""


class Lines(Watch):
    """A plain line for all but phases; the title before the first."""

    def __init__(self, title: str, out: TextIO, total: int | None = None) -> None:
        super().__init__(title, total)
        self._out = out
        self._titled = False

    def tell(self, happened: Happened) -> None:
        if not self._titled:
            self._titled = True
            self._say(self.title)
        where = f"[{happened.node}] " if happened.node else ""
        if happened.event == "finished":
            self._say(f"{where}{happened.words} · {counts(self)}")
        elif happened.event == "started":
            self._say(f"{where}{happened.job} begins")
        elif happened.event != "phase":
            self._say(f"{where}{happened.words}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):
            self._out.write(console.no_command(plain(line, 500)) + "\n")
            self._out.flush()


class Events(Watch):
    """Every event as JSON on a line of its own."""

    def __init__(self, title: str, out: TextIO, total: int | None = None) -> None:
        super().__init__(title, total)
        self._out = out

    def say(self, words: str) -> None:
        self.noted(None, words)

    def tell(self, happened: Happened) -> None:
        with contextlib.suppress(OSError):
            self._out.write(console.no_command(msgspec.json.encode(happened).decode()) + "\n")
            self._out.flush()


class Table(Watch):
    """One row a seat, redrawn in place; gone when all is over."""

    def __init__(self, title: str, console: "Console", total: int | None = None) -> None:
        from rich.live import Live

        super().__init__(title, total)
        self._live = Live(
            console=console, get_renderable=self.frame, refresh_per_second=FRAMES_A_SECOND, transient=True
        )

    def __enter__(self) -> "Table":
        with contextlib.suppress(OSError):
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._live.stop()

    def frame(self) -> "RenderableType":
        """The state now."""
        from rich.console import Group
        from rich.table import Table as Grid
        from rich.text import Text

        with self._lock:
            grid = Grid(box=None, pad_edge=False)
            for heading in ("node", "run", "phase", "for"):
                grid.add_column(heading, no_wrap=True, overflow="ellipsis")
            now = self._now()
            for _, place in sorted(self.places.items()):
                since = f"{now - place.since_s:.0f} s" if place.job else ""
                grid.add_row(*map(Text, (place.node, place.job or "free", place.phase, since)))
            notes = [Text(note, style="dim", no_wrap=True, overflow="ellipsis") for note in self.notes]
            return Group(Text(f"{self.title} · {counts(self)}", style="bold"), grid, *notes)


def counts(watch: Watch) -> str:
    """E.g. "37 done, 2 running, 161 queued, about 12 min left"."""
    told = [f"{watch.done} done", f"{watch.running} running"]
    if watch.queued is not None:
        told.append(f"{watch.queued} queued")
    left = watch.remaining_s
    if left is not None and watch.total is not None and watch.done < watch.total:
        told.append(f"about {left / 60:.0f} min left" if left >= 90 else f"about {left:.0f} s left")
    return ", ".join(told)


def choose(title: str, *, total: int | None, quiet: bool, json: bool) -> Watch:
    """How standard error lets a crew be watched."""
    if json:
        return Events(title, sys.stderr, total)
    if quiet:
        return Watch(title, total)
    if sys.stderr.isatty():
        return Table(title, console.console(sys.stderr), total)
    return Lines(title, sys.stderr, total)
