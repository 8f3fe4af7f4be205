import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.stats import mean, sample_sd

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)


def test_known_answers():
    values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]
    assert mean(values) == 5.0
    assert sample_sd(values) == pytest.approx(math.sqrt(32 / 7), rel=1e-15)


@given(VALUES)
def test_they_agree_with_the_standard_library(values):
    assert mean(values) == pytest.approx(statistics.mean(values), rel=1e-12, abs=1e-9)
    assert sample_sd(values) == pytest.approx(statistics.stdev(values), rel=1e-9, abs=1e-6)


def test_too_few_values_have_no_spread():
    assert math.isnan(mean([]))
    assert mean([3.0]) == 3.0
    assert sample_sd([]) is sample_sd([3.0]) is None


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_fails_closed(strange):
    assert math.isnan(mean([1.0, strange]))
    assert sample_sd([1.0, strange]) is None


def test_numbers_too_large_fail_closed():
    assert math.isnan(mean([1.7e308, 1.7e308]))
    assert sample_sd([1e308, -1e308]) is None
