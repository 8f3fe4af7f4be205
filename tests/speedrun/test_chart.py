import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speedrun.chart import BLANK, Point, chart, draw

points = st.lists(
    st.builds(Point, st.floats(0, 1e4, width=32), st.one_of(st.floats(-1e3, 1e3, width=32), st.just(math.nan))),
    max_size=60,
)


@given(points, st.integers(1, 40), st.integers(1, 12))
def test_a_drawing_has_the_size_that_was_asked_for(points, width, height):
    lines = draw(points, width, height)
    assert [len(line) for line in lines] == [width] * height
    assert all(0x2800 <= ord(character) <= 0x28FF for line in lines for character in line)


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
