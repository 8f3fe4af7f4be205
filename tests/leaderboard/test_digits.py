"""Digits: as many as an interval's width takes, and as it takes to tell what stands beside it from its ends."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.digits import LEAST, MOST, decimals


@pytest.mark.parametrize(
    ("low", "high", "beside", "digits"),
    [
        (1.42, 1.58, (), 4),
        (1.4207, 1.4216, (), 5),
        (1.499999, 1.500001, (), 7),
        (1.42071, 1.58, (1.42069,), 5),
        (1.42071, 1.58, (1.42071,), 4),
        (1.5, 1.5, (1.5,), 4),
        (1.5, 1.5 + 1e-14, (), 9),
        (-math.inf, math.inf, (), 4),
        (math.nan, math.nan, (), 4),
    ],
)
def test_digits(low, high, beside, digits):
    assert decimals(low, high, *beside) == digits


@given(st.floats(-20, 20), st.floats(1e-7, 1), st.floats(-20, 20))
def test_what_is_shown_is_told_apart(low, width, beside):
    high = low + width
    digits = decimals(low, high, beside)
    assert LEAST <= digits <= MOST
    assert f"{low:.{digits}f}" != f"{high:.{digits}f}"
    if min(abs(beside - low), abs(beside - high)) > 10**-MOST:
        assert f"{beside:.{digits}f}" not in (f"{low:.{digits}f}", f"{high:.{digits}f}")
