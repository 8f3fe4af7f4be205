"""Our own distributions against scipy's, over whatever a board may ask."""

import math
import subprocess
import sys
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special
from scipy import stats as scipy_stats

from leaderboard.student import cdf, exceeds, quantile

FREEDOMS = [1.0, 1.0001, 1.5, 2.0, 2.7, 3.0, 4.3, 9.0, 19.99, 49.0, 50.0, 51.0, 99.5, 1e3, 12_345.6, 1e5, 1e6]
SIZES = [0.0, 1e-12, 1e-6, 1e-3, 0.1, 0.5, 1.0, 1.7, 1.7320508, 1.74, 2.0, 3.0, 5.0, 8.0, 12.0, 20.0, 37.0, 1e3, 1e6]
SHIFTS = [-5.0, -1.0, 0.0, 0.3, 1.0, 2.0, 3.5, 5.0, 8.0, 12.0, 20.0, 40.0]


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_the_distribution_function_is_scipys_down_to_the_last_tail(freedom):
    compared = 0
    for t in SIZES:
        expected = float(special.stdtr(freedom, -t))
        if expected > 1e-300:
            assert cdf(-t, freedom) == pytest.approx(expected, rel=1e-9, abs=0)
            compared += 1
        assert cdf(t, freedom) == pytest.approx(float(special.stdtr(freedom, t)), rel=1e-9)
    assert compared >= 13


@given(st.floats(1, 1e6), st.floats(-1e6, 1e6))
def test_the_distribution_function_is_scipys_anywhere(freedom, t):
    expected = float(special.stdtr(freedom, t))
    assert cdf(t, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-300)
    assert cdf(t, freedom) + cdf(-t, freedom) == pytest.approx(1, rel=1e-12)


@given(st.floats(1, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_the_distribution_function_never_falls(freedom, t, other):
    low, high = sorted((t, other))
    assert cdf(low, freedom) <= cdf(high, freedom) * (1 + 1e-9)


def test_the_distribution_function_at_the_ends_of_what_floats_hold():
    assert cdf(-1e200, 1.0) == pytest.approx(1e-200 / math.pi, rel=1e-9)  # Cauchy's tail is 1 / (π t)
    assert cdf(-5e-324, 3.0) == cdf(0.0, 3.0) == 0.5
    assert (cdf(-math.inf, 3.0), cdf(math.inf, 3.0)) == (0.0, 1.0)
    assert (cdf(-sys.float_info.max, 0.5), cdf(sys.float_info.max, 0.5)) == (0.0, 1.0)


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_the_quantile_is_scipys(freedom):
    for p in (1e-12, 1e-6, 1e-3, 0.005, 0.01, 0.05, 0.3, 0.49, 0.51, 0.9, 0.99, 0.995, 0.9995, 1 - 1e-9):
        assert quantile(p, freedom) == pytest.approx(float(special.stdtrit(freedom, p)), rel=1e-9)


@given(st.floats(1, 1e5), st.floats(1e-290, 0.4999))
def test_the_quantile_undoes_the_distribution_function(freedom, p):
    assert cdf(quantile(p, freedom), freedom) == pytest.approx(p, rel=1e-8)
    assert quantile(1 - p, freedom) == -quantile(1 - (1 - p), freedom)


def test_the_quantile_at_its_ends():
    assert (quantile(0.0, 3.0), quantile(0.5, 3.0), quantile(1.0, 3.0)) == (-math.inf, 0.0, math.inf)
    assert quantile(1e-300, 1.0) == pytest.approx(-1e300 / math.pi, rel=1e-9)
    assert quantile(5e-324, 1.0) < -1e200  # the tail itself has no digits any more


@pytest.mark.parametrize("freedom", FREEDOMS)
def test_the_power_is_scipys(freedom):
    compared = 0
    for alpha in (0.05, 0.01, 0.001, 1e-5):
        critical = quantile(1 - alpha, freedom)
        for shift in SHIFTS:
            found = exceeds(critical, freedom, shift)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                expected = float(scipy_stats.nct.sf(critical, freedom, shift))
            assert 0 <= found <= 1
            if expected > 1e-9:  # below, scipy's is less exact than ours
                assert found == pytest.approx(expected, rel=1e-6, abs=0)
                compared += 1
        assert exceeds(critical, freedom, 0.0) == pytest.approx(alpha, rel=1e-7)  # under no effect it is the error
    assert compared >= 36


@pytest.mark.parametrize(("freedom", "shift"), [(1.0, -5.0), (4.7, -5.0), (20.0, -5.0), (2000.0, -5.0), (1.0, 150.0)])
def test_a_power_that_scipy_knows_less_well_is_that_of_the_integral(freedom, shift):
    critical = quantile(0.99999, freedom)
    s = np.exp(np.linspace(-45 / min(freedom, 20), 3.7, 400_001))
    log_weights = scipy_stats.chi.logpdf(s * math.sqrt(freedom), freedom) + np.log(s)
    weights = np.exp(log_weights - log_weights.max())
    expected = (weights * special.ndtr(shift - critical * s)).sum() / weights.sum()
    assert exceeds(critical, freedom, shift) == pytest.approx(expected, rel=1e-6, abs=0)


@given(st.floats(1, 1e4), st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_a_power_is_a_probability_and_grows_with_the_effect(freedom, critical, shift):
    found = exceeds(critical, freedom, shift)
    assert 0 <= found <= 1
    assert found <= exceeds(critical, freedom, shift + abs(shift) + 1) + 1e-3


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_fails_closed(bad):
    for answer in (cdf(math.nan, 3.0), cdf(1.0, bad), quantile(bad, 3.0), quantile(0.9, bad)):
        assert math.isnan(answer)
    for arguments in ((bad, 3.0, 1.0), (1.0, bad, 1.0), (1.0, 3.0, bad)):
        assert math.isnan(exceeds(*arguments))


@pytest.mark.parametrize("freedom", [0.0, -1.0])
def test_there_is_no_distribution_without_freedom(freedom):
    assert math.isnan(cdf(1.0, freedom))
    assert math.isnan(quantile(0.9, freedom))
    assert math.isnan(exceeds(1.0, freedom, 1.0))


@pytest.mark.parametrize("p", [-0.1, 1.1])
def test_a_probability_lies_between_zero_and_one(p):
    assert math.isnan(quantile(p, 3.0))


def test_they_need_nothing_but_python():
    code = (
        "import sys; from leaderboard import stats\n"
        "stats.p_less([1.0, 1.1], [1.2, 1.3]); stats.mean_interval([1.0, 1.1], 0.9)\n"
        "stats.more_to_tell_apart([1.0, 1.1], [1.2, 1.3], 0.01)\n"
        "print([name for name in ('scipy', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
