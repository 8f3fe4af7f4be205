"""A scale in text: every mark stands where its value lies, and nothing leaves the line."""

from hypothesis import given
from hypothesis import strategies as st

from speedrun.axis import LEAST_COLUMNS, MOST_COLUMNS, Axis

NUMBERS = st.floats(-1e6, 1e6)


def test_marks_stand_where_their_values_lie():
    axis = Axis(0.0, 40.0, 41)
    assert axis.band(10, 30, 20) == " " * 10 + "├" + "─" * 9 + "●" + "─" * 9 + "┤"
    assert axis.marks([0, 20, 40], "•") == "•" + " " * 19 + "•" + " " * 19 + "•"
    assert axis.ends("+.1f", "nats") == "+0.0" + " " * 27 + "+40.0 nats"
    assert len(axis.ends("+.1f")) == 41


def test_what_lies_beyond_is_an_arrow():
    axis = Axis(0.0, 40.0, 41)
    assert axis.band(-1, 41) == "◄" + "─" * 39 + "►"
    assert axis.band(-1, 40) == "◄" + "─" * 39 + "┤"
    assert axis.marks([99], "▲") == " " * 40 + "▲"


def test_a_name_stands_where_there_is_room():
    axis = Axis(0.0, 40.0, 41)
    assert axis.named(0, "▲", "equal") == "▲ equal"
    assert axis.named(34, "▲", "equal") == " " * 34 + "▲ equal"
    assert axis.named(35, "▲", "equal") == " " * 29 + "equal ▲"
    assert axis.named(40, "▲", "equal") == " " * 34 + "equal ▲"


@given(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.integers(-5, 500))
def test_nothing_leaves_the_line(low, high, one, other, centre, columns):
    axis = Axis(min(low, high), max(low, high), columns)
    assert LEAST_COLUMNS <= axis.columns <= MOST_COLUMNS
    band = axis.band(min(one, other), max(one, other), centre)
    assert 0 < len(band) <= axis.columns
    assert band.count("●") == 1
    assert len(axis.marks([one, other], "▲")) <= axis.columns
    named = axis.named(one, "▲", "equal")
    assert len(named) <= axis.columns
    assert named.index("▲") == axis.marks([one], "▲").index("▲")
