import io

import pytest
from rich.console import Console

from harness.events import Logged, Noted, PhaseBegan, Ticked
from harness.result import CurvePoint
from speedrun import live
from speedrun.progress import MOST_POINTS, Progress


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def logged(elapsed_s: float, loss: float | None = 2.0, tokens: int | None = None, step: int | None = None) -> Logged:
    return Logged(CurvePoint(elapsed_s=elapsed_s, step=step, tokens=tokens, loss_nats=loss), {})


def halfway(clock: Clock) -> Progress:
    """A run of 60 s at its 50th second."""
    progress = Progress(clock)
    progress.take(PhaseBegan("train", 60.0))
    for second in range(51):
        progress.take(logged(second, 5.5 / (1 + second / 10), tokens=second * 4096, step=second * 4))
    progress.take(Ticked("train", 50.0, memory_gib=1.25))
    clock.now_s += 50.0
    return progress


def test_the_rate_is_that_of_the_last_seconds():
    progress = Progress(Clock())
    progress.take(PhaseBegan("train", 60.0))
    for second in range(10):
        progress.take(logged(second, tokens=second * 10))
    for second in range(10, 20):
        progress.take(logged(second, tokens=90 + (second - 9) * 1000))
    assert progress.tokens_a_second == pytest.approx(1000)


def test_the_curve_stays_bounded_and_keeps_its_ends():
    progress = Progress(Clock())
    for second in range(20 * MOST_POINTS):
        progress.take(logged(second))
    assert len(progress.curve) < MOST_POINTS
    assert progress.curve[0].x == 0
    assert progress.curve[-1].x > 18 * MOST_POINTS


def test_losses_that_are_no_number_are_not_drawn():
    progress = Progress(Clock())
    progress.take(logged(1.0, float("nan")))
    progress.take(logged(2.0, None))
    assert progress.curve == []


def test_a_phase_knows_how_far_it_is():
    clock = Clock()
    progress = Progress(clock)
    progress.take(PhaseBegan("score", 300.0))
    assert progress.share is None
    progress.take(Ticked("score", 1.0, memory_gib=0.5, done=25, total=100))
    assert progress.share == 0.25
    progress.take(PhaseBegan("train", 10.0))
    clock.now_s += 4.0
    assert progress.share == pytest.approx(0.4)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_frame_fits_the_terminal(width):
    progress = halfway(Clock())
    progress.take(Noted("a note that is much too long for any terminal of this width " * 4))
    console = Console(width=width, force_terminal=True, color_system=None, file=io.StringIO())
    with console.capture() as captured:
        console.print(live.frame("an entry with a long name on cpu-1min, data set tales, sandbox uid", progress, width))
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert "training  50.0 of 60 s" in text
    assert "4.1 k tokens/s" in text
    assert "1.25 GiB" in text
    assert "loss 0.9167" in text


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


def test_a_terminal_that_went_away_is_no_reason_to_lose_a_run():
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    live.PlainLines("me", Gone()).observe(PhaseBegan("train", 60.0))


def test_the_live_view_shows_the_run_and_takes_itself_away():
    out = io.StringIO()
    console = Console(width=60, height=30, force_terminal=True, file=out)
    with live.choose("me on cpu-1min", console, out, quiet=False) as view:
        assert isinstance(view, live.LiveView)
        view.observe(PhaseBegan("train", 60.0))
    assert "me on cpu-1min" in out.getvalue()
    assert "\x1b[2K" in out.getvalue()  # lines are erased


def test_quiet_says_nothing():
    out = io.StringIO()
    with live.choose("me", Console(file=out), out, quiet=True) as view:
        view.observe(PhaseBegan("train", 60.0))
    assert out.getvalue() == ""
