"""Watching a data set being made ready, on a terminal and elsewhere; and numbers of tokens as people write them."""

import io

import pytest
from rich.console import Console

from data.watching import size
from harness.errors import UserError
from speedrun.commands.data import parse_tokens
from speedrun.data_view import LINE_INTERVAL_S, Bar, PlainLines, Rate, Silent, choose


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def terminal(out: io.StringIO, width: int = 60) -> Console:
    return Console(file=out, force_terminal=True, width=width, color_system=None, legacy_windows=False)


def test_a_pipe_gets_a_line_now_and_then():
    out, clock = io.StringIO(), Clock()
    view = choose(Console(file=out), out, quiet=False)
    assert isinstance(view, PlainLines)
    with PlainLines(out, clock) as lines:
        lines.note("it needs\x1b[31m 2 GB")
        lines.progress(0, 100_000_000)
        for step in range(1, 21):
            clock.now_s = step * LINE_INTERVAL_S / 10
            lines.progress(step * 1_000_000, 100_000_000)
    assert out.getvalue().splitlines() == [
        "it needs[31m 2 GB",
        "0 of 100 M tokens",
        "10 M of 100 M tokens, 2.0 MB/s",
        "20 M of 100 M tokens, 2.0 MB/s",
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_gets_a_bar_and_keeps_the_notes():
    out, clock = Terminal(), Clock()
    console = terminal(out)
    assert isinstance(choose(console, out, quiet=False), Bar)
    assert isinstance(choose(console, io.StringIO(), quiet=False), PlainLines)  # a pipe, whatever FORCE_COLOR says
    with Bar(console, clock) as bar:
        bar.note("blueberry-1b needs about 2.1 GB")
        bar.progress(0, 1000)
        clock.now_s = 1.0
        bar.progress(500, 1000)
    shown = out.getvalue()
    assert "blueberry-1b needs about 2.1 GB" in shown
    assert "500 of 1 k tokens, 1 kB/s" in shown or "500 of 1.00 k tokens, 1 kB/s" in shown
    assert "━" in shown
    assert "─" in shown


def test_a_terminal_where_nothing_takes_long_stays_as_it_is():
    out = io.StringIO()
    with Bar(terminal(out)):
        pass
    assert out.getvalue() == ""


def test_quiet_is_nothing():
    out = io.StringIO()
    with choose(terminal(out), out, quiet=True) as view:
        assert isinstance(view, Silent)
        view.note("words")
        view.progress(1, 2)
    assert out.getvalue() == ""


def test_a_rate_needs_two_moments():
    clock = Clock()
    rate = Rate(clock)
    assert rate.bytes_a_second is None
    rate.take(5, 10)
    rate.take(6, 10)
    assert rate.bytes_a_second is None
    clock.now_s = 2.0
    rate.take(9, 10)
    assert rate.bytes_a_second == 4.0
    clock.now_s = 3.0
    rate.take(0, 30)  # something else has begun
    assert rate.bytes_a_second is None


@pytest.mark.parametrize(
    ("text", "tokens"), [("7", 7), ("40_960_000", 40_960_000), ("100M", 10**8), ("1B", 10**9), ("10k", 10_000)]
)
def test_numbers_of_tokens(text, tokens):
    assert parse_tokens(text) == tokens


@pytest.mark.parametrize("text", ["", "0", "-5", "1.5B", "M", "100 M", "1e9", "٣", "9" * 30, "x"])
def test_what_is_no_number_of_tokens_is_one_line(text):
    with pytest.raises(UserError, match="is no number of tokens; write 40_960_000, 100M or 1B"):
        parse_tokens(text)


def test_sizes_for_people():
    assert [size(count) for count in (900, 213_000_000, 2_100_000_000, 150e9)] == ["1 kB", "213 MB", "2.1 GB", "150 GB"]
