import math

import pytest
from hypothesis import strategies as st

from speedrun.chart import BLANK, Point, chart, draw, overlay
from tests.fuzzing import fuzz

points = st.lists(
    st.builds(Point, st.floats(0, 1e4, width=32), st.one_of(st.floats(-1e3, 1e3, width=32), st.just(math.nan))),
    max_size=60,
)


def test_a_drawing_has_the_size_that_was_asked_for():
    def check(case):
        points, width, height = case
        lines = draw(points, width, height)
        assert [len(line) for line in lines] == [width] * height
        assert all(0x2800 <= ord(character) <= 0x28FF for line in lines for character in line)

    fuzz(200, st.tuples(points, st.integers(1, 40), st.integers(1, 12)), check)


def test_a_falling_line_goes_from_the_upper_left_to_the_lower_right():
    lines = draw([Point(0, 1.0), Point(1, 0.0)], width=2, height=1)
    assert lines == ["⠑⢄"]


def test_a_flat_line_lies_in_the_middle():
    assert draw([Point(0, 3.0), Point(9, 3.0)], width=3, height=1) == ["⠤⠤⠤"]


def test_a_gap_in_a_steep_curve_is_closed():
    assert draw([Point(0, 0.0), Point(1, 8.0)], width=1, height=2) == ["⢸", "⡸"]


@pytest.mark.parametrize("points", [[], [Point(0, math.nan)], [Point(math.inf, 1.0)]])
def test_nothing_finite_draws_nothing(points):
    assert draw(points, 3, 2) == [BLANK * 3] * 2


def test_the_axes_carry_the_range_of_what_is_shown():
    lines = chart([Point(float(x), 5.0 if x == 0 else 2.0 - x / 100) for x in range(101)], width=40, height=6)
    assert len(lines) == 6
    assert lines[0].startswith("1.950 │")  # not 5: the first moments do not set the scale
    assert lines[4].startswith("1.000 │")
    assert lines[5].split() == ["0", "100", "s"]
    assert max(map(len, lines)) <= 40


@pytest.mark.parametrize("count", [0, 1])
def test_a_curve_needs_two_points(count):
    assert chart([Point(1.0, 1.0)] * count, 60, 9) == []


def test_no_room_no_chart():
    assert chart([Point(0, 1.0), Point(1, 2.0)], 10, 9) == []


def line(y_first: float, y_last: float, x_last: float = 100.0) -> list[Point]:
    return [Point(x, y_first + (y_last - y_first) * x / x_last) for x in (x_last * k / 50 for k in range(51))]


def drawn(lines, whose: str) -> int:
    """Characters in which a curve has a dot."""
    return sum(
        len(piece.text.replace(BLANK, "")) for pieces in lines[:-1] for piece in pieces[1:] if whose in piece.whose
    )


def test_two_curves_share_their_axes_and_are_told_apart_without_colour():
    lines = overlay(line(3.0, 2.0), line(2.0, 1.0, x_last=50.0), width=60, height=10)
    assert len(lines) == 10
    text = ["".join(piece.text for piece in pieces) for pieces in lines]
    assert max(map(len, text)) <= 60
    assert text[0].startswith("2.940 │")  # but for the first moments
    assert text[8].startswith("1.000 │")
    assert text[9].split() == ["0", "100", "s"]
    assert drawn(lines, "a") >= 50  # from side to side, without a gap
    assert 10 <= drawn(lines, "b") <= 18  # half as wide, and dashed
    assert all(piece.whose in ("", "a", "b", "ab") for pieces in lines for piece in pieces)


def test_curves_that_meet_are_both_there():
    lines = overlay(line(3.0, 1.0), line(1.0, 3.0), 60, 10)
    crossing = [piece for pieces in lines for piece in pieces if piece.whose == "ab"]
    assert len(crossing) >= 1
    same = overlay(line(3.0, 1.0), line(3.0, 1.0), 60, 10)
    assert drawn(same, "b") < drawn(same, "a")


@pytest.mark.parametrize("other", [[], [Point(1, 1.0)], [Point(1, math.nan), Point(2, 1.0)]])
def test_a_curve_alone_is_no_comparison(other):
    assert overlay(line(3.0, 1.0), other, 60, 10) == []
    assert overlay(other, line(3.0, 1.0), 60, 10) == []


def test_whatever_was_logged_fits():
    def check(case):
        a, b, width, height = case
        for pieces in overlay(a, b, width, height):
            assert len("".join(piece.text for piece in pieces)) <= width

    fuzz(200, st.tuples(points, points, st.integers(20, 90), st.integers(2, 14)), check)
