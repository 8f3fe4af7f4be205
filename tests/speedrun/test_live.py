"""The view of a run: on terminals of any width, in logs, on pipes; with a replayed clock, and on a real terminal."""

import codecs
import contextlib
import fcntl
import io
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from harness.events import Noted, PhaseBegan, Ticked
from speedrun import live
from speedrun.progress import Accelerators, Progress
from tests.fuzzing import STYLING
from tests.speedrun import replay
from tests.speedrun.replay import Clock, logged

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120
ERASED = "\x1b[2K"


class Terminal:
    """A terminal of its own, with a run that is replayed on it."""

    def __init__(self, columns: int, lines: int, environment: dict[str, str]) -> None:
        self._master, slave = pty.openpty()
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self.resize(columns, lines)
        told, self._tell = os.pipe()
        base = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            [sys.executable, replay.__file__, str(told)],
            env={**base, "TERM": "xterm-256color", "PYTHONPATH": str(ROOT), **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            pass_fds=(told,),
            start_new_session=True,
        )
        os.close(slave)
        os.close(told)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def until(self, words: str) -> str:
        """Everything that is written until these words are."""
        text = ""
        while words not in text:
            data = self._read()
            assert data, f"{words!r} was never written: {text!r}"
            text += self._decoder.decode(data)
        return text

    def end(self) -> str:
        """Lets the run end; everything that is written then."""
        os.write(self._tell, b"x")
        text = ""
        while data := self._read():
            text += self._decoder.decode(data)
        assert self.process.wait(PATIENCE_S) == 0
        return text

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._master)
        os.close(self._tell)

    def _read(self) -> bytes:
        ready, _, _ = select.select([self._master], [], [], PATIENCE_S)
        assert ready, "nothing is written"
        try:
            return os.read(self._master, 1 << 16)
        except OSError:  # nobody has the terminal any more
            return b""


@contextlib.contextmanager
def terminal(columns: int, lines: int = 40, **environment: str) -> Iterator[Terminal]:
    started = Terminal(columns, lines, environment)
    try:
        yield started
    finally:
        started.close()


class Screen:
    """What a terminal shows that was sent so much: the part of its language that rich speaks."""

    _CODE = re.compile(r"\x1b\[(\?25[lh]|1A|2K|[0-9;]*m)|\r|\n|[^\x1b\r\n]+")

    def __init__(self, text: str) -> None:
        self.lines: list[str] = [""]
        self.row = 0
        self.column = 0
        self.cursor_shown = True
        end = 0
        for found in self._CODE.finditer(text):
            assert found.start() == end, f"no terminal was to be told this: {text[end : found.start()]!r}"
            end = found.end()
            self._do(found[0])
        assert end == len(text)

    def _do(self, piece: str) -> None:
        match piece:
            case "\r":
                self.column = 0
            case "\n":
                self.row += 1
                self.lines += [""] * (self.row + 1 - len(self.lines))
            case "\x1b[1A":
                self.row -= 1
                assert self.row >= 0, "above the line where it began"
            case "\x1b[2K":
                self.lines[self.row] = ""
            case "\x1b[?25l" | "\x1b[?25h":
                self.cursor_shown = piece.endswith("h")
            case _ if not piece.startswith("\x1b"):
                assert len(self.lines[self.row]) == self.column, "written over what was there"
                self.lines[self.row] += piece
                self.column += cell_len(piece)


def lines_of(progress: Progress, width: int, height: int = 40) -> list[str]:
    """A frame as text."""
    console = Console(width=width, height=height, force_terminal=True, color_system=None, file=io.StringIO())
    with console.capture() as captured:
        console.print(live.frame("an entry with a long name on cpu-1min · data set tales", progress, width, height))
    return captured.get().splitlines()


def halfway(clock: Clock) -> Progress:
    """A run of 60 s at its 50th second."""
    progress = Progress(clock)
    progress.take(PhaseBegan("train", 60.0))
    for second in range(51):
        progress.take(logged(second, 5.5 / (1 + second / 10), tokens=second * 4096, step=second * 4))
    clock.now_s += 50.0
    progress.take(Ticked("train", 50.0, memory_gib=1.25))
    return progress


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_a_frame_fits_the_terminal(width):
    progress = halfway(Clock())
    card = {"clock_mhz": 1980, "device_memory_gib": 61.2, "device_busy": 0.974, "throttled": ("power-cap",)}
    progress.take(Ticked("train", 50.0, 1.25, **card))
    progress.take(Noted("a note that is much too long for any terminal of this width " * 4))
    lines = lines_of(progress, width)
    assert max(map(cell_len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    for words in (
        "training 50.0 of 60 s",
        "✓ set-up ▸ training · saving · scoring · twin · samples",
        "loss 0.9167",
        "4.1 k tokens/s",
        "1.25 GiB",
        "accelerator 1,980 MHz",
        "61.20 GiB",
        "97% busy",
        "slowed by power-cap",
    ):
        assert words in text


@pytest.mark.parametrize(("height", "curve"), [(8, 0), (12, 5), (16, 9), (40, 9)])
def test_the_curve_takes_what_the_terminal_has_left(height, curve):
    lines = lines_of(halfway(Clock()), 60, height)
    assert len(lines) < height
    assert sum("│" in line for line in lines) == max(0, curve - 1)  # and the line of the x axis


@pytest.mark.parametrize(("elapsed_s", "colour"), [(10, "green"), (50, "yellow"), (58, "bold red")])
def test_the_clock_turns_as_the_deadline_nears(elapsed_s, colour):
    clock = Clock()
    progress = Progress(clock)
    progress.take(PhaseBegan("train", 60.0))
    clock.now_s += elapsed_s
    clock_line = live.frame("x", progress, 80).renderables[1]
    assert any(span.style == colour for span in clock_line.spans)


def test_plain_lines_come_with_phases_and_otherwise_every_few_seconds():
    clock, out = Clock(), io.StringIO()
    with live.PlainLines("me on cpu-1min", out, clock) as view:
        view.observe(PhaseBegan("train", 60.0))
        for _ in range(100):
            clock.now_s += 0.5
            view.observe(logged(clock.now_s - 100, 2.5, step=7))
        view.observe(PhaseBegan("score", 300.0))
        clock.now_s += 6
        view.observe(Ticked("score", 6.0, memory_gib=0.5, done=1000, total=4000))
    lines = out.getvalue().splitlines()
    assert lines[:2] == ["me on cpu-1min", "training, at most 60 s"]
    assert len(lines) == 2 + 10 + 1 + 1
    assert lines[2] == "  5.0 of 60 s · loss 2.5000 · step 7"
    assert lines[-1] == "  6.0 of 300 s · 1,000 of 4,000 targets · 0.50 GiB"


def test_a_long_phase_fills_no_log():
    clock, out = Clock(), io.StringIO()
    view = live.PlainLines("me on 4090-1b-marathon", out, clock)
    view.observe(PhaseBegan("train", 14_400.0))
    for _ in range(14_400):
        clock.now_s += 1.0
        view.observe(logged(clock.now_s - 100, 2.5))
    assert 90 <= len(out.getvalue().splitlines()) <= live.MOST_LINES + 2


def test_plain_lines_catch_up_with_what_was():
    out = io.StringIO()
    live.PlainLines("me", out, Clock()).catch_up(replay.on_an_accelerator(280))
    assert out.getvalue().splitlines() == [
        "me",
        "setting up, at most 600 s",
        "training, at most 300 s",
        "the artifact of an older run was removed: 5 are kept",
        "  280.0 of 300 s · loss 3.3923 · step 1,680 · 27.5 M tokens · 98.3 k tokens/s · 2.31 GiB"
        " · accelerator 1,410 MHz · 13.47 GiB · 98% busy · slowed by software-thermal",
    ]


def test_accelerators_that_tell_little():
    assert live.accelerator_facts(Accelerators(None, None, 0.0, ())) == ["accelerator 0% busy"]
    assert live.accelerator_facts(Accelerators(None, None, None, ())) == []


def test_a_log_that_a_machine_reads_gets_no_command(monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    out = io.StringIO()
    live.PlainLines("me", out).observe(Noted(" ::error::x ##[group]"))
    assert out.getvalue() == "me\n: :error::x ## [group]\n"


def test_a_log_in_colour_is_no_terminal(monkeypatch):
    """CI asks for colours in what it keeps; nobody can redraw there."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    out = io.StringIO()
    assert Console(file=out).is_terminal
    assert isinstance(live.choose("me", Console(file=out), out, quiet=False), live.PlainLines)


def test_a_terminal_that_went_away_is_no_reason_to_lose_a_run():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    live.PlainLines("me", Gone()).observe(PhaseBegan("train", 60.0))


def test_quiet_says_nothing():
    out = io.StringIO()
    with live.choose("me", Console(file=out), out, quiet=True) as view:
        view.observe(PhaseBegan("train", 60.0))
    assert out.getvalue() == ""


@pytest.mark.parametrize(("columns", "lines"), [(100, 40), (60, 24), (40, 24), (60, 10)])
def test_on_a_terminal_it_is_redrawn_in_place_and_takes_itself_away(columns, lines):
    with terminal(columns, lines) as tty:
        first = tty.until("▸ training")
        after = tty.end()
    frame = Screen(first + after[: after.index(ERASED)])
    assert frame.lines[0].startswith("mine on t4-5min")
    assert max(map(cell_len, frame.lines)) <= columns
    assert len(frame.lines) < lines
    assert not frame.cursor_shown
    gone = Screen(first + after)
    assert not any(gone.lines)
    assert (gone.row, gone.column, gone.cursor_shown) == (0, 0, True)


def test_colours_are_left_out_where_they_are_not_wanted():
    with terminal(80, NO_COLOR="1") as tty:
        text = tty.until("▸ training") + tty.end()
    assert ERASED in text
    assert not [code for code in STYLING.findall(text) if any(number in code for number in ("31", "32", "33", "36"))]


def test_a_terminal_that_can_not_redraw_gets_lines():
    with terminal(80, TERM="dumb") as tty:
        text = tty.until("slowed by software-thermal") + tty.end()
    assert "\x1b" not in text
    assert text.startswith(f"{replay.TITLE}\r\nsetting up, at most 600 s\r\n")


def test_a_terminal_that_becomes_narrow_gets_narrow_frames():
    with terminal(100) as tty:
        tty.until("▸ training")
        tty.resize(50, 20)
        after = tty.end()
    last = after[after.rindex("mine on t4-5min") :]
    frame = Screen(last[: last.index("\x1b[?25h")])
    assert max(map(cell_len, frame.lines)) <= 50
    assert len(frame.lines) <= 20
