import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from scipy.special import stdtrit

from leaderboard.stats import (
    difference_interval,
    look_alpha,
    mean,
    mean_interval,
    more_to_show_below,
    more_to_tell_apart,
    next_value_interval,
    p_below,
    p_less,
    pairs_to_settle,
    ratio_interval,
    sample_sd,
)
from leaderboard.student import exceeds, quantile

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30)
ANYTHING = st.lists(st.floats(), max_size=8)
NO_TEST = [[], [3.28], [3.28, 3.28, 3.28], [3.27, math.nan, 3.26], [3.27, math.inf], [-math.inf, 3.27]]
LOSSES = [3.2791, 3.2779, 3.2802, 3.2765, 3.2788, 3.2774, 3.2801, 3.2790, 3.2768, 3.2785]
OTHERS = [3.2812, 3.2799, 3.2805, 3.2821, 3.2795, 3.2808]


def published() -> list[float]:
    """Ten losses with mean 3.2787 and standard deviation 0.0013 exactly: the case that contests publish."""
    shape = np.arange(10) - 4.5
    return list(3.2787 + 0.0013 * shape / shape.std(ddof=1))


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
    assert sample_sd([1.0, strange]) is sample_sd([1.0, strange, 1.0]) is sample_sd([strange, strange]) is None


def test_numbers_too_large_fail_closed():
    assert math.isnan(mean([1.7e308, 1.7e308]))
    assert sample_sd([1e308, -1e308]) is None


@given(st.floats(-1e300, 1e300), st.integers(2, 60))
def test_equal_values_have_no_scatter_however_their_mean_is_rounded(value, count):
    assert sample_sd([value] * count) == 0.0
    assert math.isnan(p_below([value] * count, value + 1))


def test_a_target_by_the_published_case_and_by_hand():
    # t = (3.2787 − 3.28) / (0.0013 / √10) = −√10
    assert p_below(published(), 3.28) == pytest.approx(float(scipy_stats.t.cdf(-math.sqrt(10), 9)), rel=1e-6)
    assert 0.0057 < p_below(published(), 3.28) < 0.0058 < 0.01
    assert p_below([1.0, 3.0], 2.0 + math.sqrt(3)) == pytest.approx(1 / 6)  # one degree of freedom: 1/2 − atan(√3)/π


def test_tests_agree_with_scipy():
    expected = scipy_stats.ttest_1samp(LOSSES, 3.28, alternative="less").pvalue
    assert p_below(LOSSES, 3.28) == pytest.approx(expected, rel=1e-9)
    assert p_below(LOSSES, 3.27) > 0.99
    expected = scipy_stats.ttest_ind(LOSSES, OTHERS, equal_var=False, alternative="less").pvalue
    assert p_less(LOSSES, OTHERS) == pytest.approx(expected, rel=1e-9)
    moved = [value + 0.001 for value in LOSSES]
    expected = scipy_stats.ttest_ind(moved, OTHERS, equal_var=False, alternative="less").pvalue
    assert p_less(LOSSES, OTHERS, margin=0.001) == pytest.approx(expected, rel=1e-9)
    assert p_less(OTHERS, LOSSES) == pytest.approx(1 - p_less(LOSSES, OTHERS), rel=1e-9)


def test_intervals_agree_with_scipy():
    error = scipy_stats.sem(LOSSES)
    low, high = scipy_stats.t.interval(0.99, 9, loc=np.mean(LOSSES), scale=error)
    found = mean_interval(LOSSES, 0.99)
    assert (found.low, found.high, found.confidence) == (pytest.approx(low), pytest.approx(high), 0.99)
    pairs = list(zip(LOSSES[:6], OTHERS, strict=True))
    differences = [first - second for first, second in pairs]
    low, high = scipy_stats.t.interval(0.95, 5, loc=np.mean(differences), scale=scipy_stats.sem(differences))
    found = difference_interval(pairs, 0.95)
    assert (found.estimate, found.low, found.high) == pytest.approx((np.mean(differences), low, high))
    # Where the next of 10 lies: wider than the mean's interval by √(1 + 1/10) · √10.
    found, around = next_value_interval(LOSSES, 0.99), mean_interval(LOSSES, 0.99)
    assert found.high - found.low == pytest.approx((around.high - around.low) * math.sqrt(11))


def test_a_ratio_is_that_of_its_pairs_and_swaps_with_them():
    pairs = [(90.0, 100.0), (99.0, 110.0), (180.0, 200.0), (91.0, 100.0)]
    found = ratio_interval(pairs, 0.99)
    logs = [math.log(first / second) for first, second in pairs]
    low, high = scipy_stats.t.interval(0.99, 3, loc=np.mean(logs), scale=scipy_stats.sem(logs))
    expected = (math.prod(first / second for first, second in pairs) ** 0.25, math.exp(low), math.exp(high))
    assert (found.estimate, found.low, found.high) == pytest.approx(expected)
    swapped = ratio_interval([(second, first) for first, second in pairs], 0.99)
    assert (1 / swapped.estimate, 1 / swapped.high, 1 / swapped.low) == pytest.approx(expected)


def test_intervals_hold_what_they_promise():
    random = np.random.default_rng(3)
    held = next_held = 0
    for _ in range(2000):
        *values, following = random.normal(3.28, 0.0013, 6)
        interval, next_one = mean_interval(values, 0.9), next_value_interval(values, 0.9)
        held += interval.low <= 3.28 <= interval.high
        next_held += next_one.low <= following <= next_one.high
    assert 0.88 < held / 2000 < 0.92
    assert 0.88 < next_held / 2000 < 0.92


@pytest.mark.parametrize("values", NO_TEST)
def test_no_test_passes_where_there_is_none(values):
    assert math.isnan(p_below(values, 100.0))
    assert math.isnan(p_less(values, [200.0, 201.0]))
    assert math.isnan(p_less([1.0, 1.1], values))
    assert mean_interval(values, 0.99) is next_value_interval(values, 0.99) is None
    assert difference_interval([(value, 0.0) for value in values], 0.99) is None
    assert ratio_interval([(value, 1.0) for value in values], 0.99) is None
    assert more_to_show_below(values, 100.0, 0.01) is None
    assert more_to_tell_apart(values, [200.0, 201.0], 0.01) is None
    assert pairs_to_settle(values, 0.01) is None


@given(ANYTHING, ANYTHING, st.floats(), st.floats())
def test_nothing_is_raised_and_nothing_strange_comes_out(values, others, bound, confidence):
    for p in (p_below(values, bound), p_less(values, others, bound)):
        assert math.isnan(p) or 0 <= p <= 1
    if not all(map(math.isfinite, values)) or not math.isfinite(bound):
        assert math.isnan(p_below(values, bound))
        assert math.isnan(p_less(values, [1.0, 2.0], bound))
    pairs = list(zip(values, others, strict=False))
    for interval in (
        mean_interval(values, confidence),
        next_value_interval(values, confidence),
        difference_interval(pairs, confidence),
        ratio_interval(pairs, confidence),
    ):
        assert interval is None or interval.low <= interval.estimate <= interval.high < math.inf
    for more in (more_to_show_below(values, bound, 0.01), more_to_tell_apart(values, others, 0.01, margin=bound)):
        assert more is None or 0 <= more <= 1000
    assert pairs_to_settle(values, 0.01) is None or 2 <= pairs_to_settle(values, 0.01) <= 1000


@pytest.mark.parametrize("bad", [0.0, -1.0, math.nan, math.inf])
def test_a_ratio_takes_positive_numbers(bad):
    assert ratio_interval([(1.0, 2.0), (1.1, 2.0), (bad, 2.0)], 0.9) is None
    assert ratio_interval([(1.0, 2.0), (1.1, 2.0), (2.0, bad)], 0.9) is None


def test_an_interval_wider_than_numbers_go_is_none():
    assert ratio_interval([(1.0, 2.0), (2.0, 1.0)], 1 - 1e-4) is None
    assert mean_interval([1.0, 2.0], 1 - 1e-17) is None
    assert mean_interval([1e307, -1e307], 0.9999) is None


@pytest.mark.parametrize("alpha", [0.05, 0.01, 0.001])
@pytest.mark.parametrize("looks", [2, 3, 10, 500])
def test_the_looks_spend_the_error_and_no_more(looks, alpha):
    spent = [look_alpha(look, looks, alpha) for look in range(2, looks + 1)]
    assert math.fsum(spent) == pytest.approx(alpha, rel=1e-12)
    assert spent == sorted(spent)
    for never in (-1, 0, 1, looks + 1):
        assert math.isnan(look_alpha(never, looks, alpha))


def sequential(effects: np.ndarray, looks: int, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """What a duel does, for many at once: [duels, looks] → whether each settles below 0, above 0, at its first look."""
    below, above = np.zeros(len(effects), bool), np.zeros(len(effects), bool)
    for look in range(2, looks + 1):
        seen = effects[:, :look]
        reach = stdtrit(look - 1, 1 - look_alpha(look, looks, alpha) / 2) * seen.std(1, ddof=1) / math.sqrt(look)
        going = ~(below | above)
        below |= going & (seen.mean(1) + reach < 0)
        above |= going & (seen.mean(1) - reach > 0)
    return below, above


def test_the_simulation_looks_as_the_intervals_do():
    effects = np.random.default_rng(1).normal(0.4, 1, (400, 6))
    below, above = sequential(effects, 6, 0.2)
    for one, is_below, is_above in zip(effects.tolist(), below, above, strict=True):
        settled = 0
        for look in range(2, 7):
            interval = mean_interval(one[:look], 1 - look_alpha(look, 6, 0.2))
            settled = settled or (interval.low > 0) - (interval.high < 0)
        assert settled == int(is_above) - int(is_below)


@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("looks", [2, 5, 10, 30])
def test_equal_sides_are_told_apart_at_most_as_often_as_alpha_says(looks, alpha):
    duels = 60_000
    below, above = sequential(np.random.default_rng(looks).normal(0, 1, (duels, looks)), looks, alpha)
    wrong = (below | above).mean()
    assert wrong <= alpha + 3 * math.sqrt(alpha / duels)
    assert wrong >= alpha / 4  # it is a rule with some power, not one that never says anything


def test_a_difference_of_some_size_is_found_and_the_right_way_round():
    random = np.random.default_rng(5)
    # A hundredth faster where the times of a quiet machine scatter by half a hundredth each.
    effects = -0.01 + random.normal(0, 0.005 * math.sqrt(2), (4000, 20))
    below, above = sequential(effects, 20, 0.01)
    assert below.mean() > 0.95
    assert above.mean() < 0.001


@pytest.mark.parametrize(("drift", "deceived"), [(0.01, 0.5), (0.03, 0.99), (0.3, 0.99)])
def test_a_steady_drift_deceives_who_runs_ab_ab_and_not_who_runs_abba(drift, deceived):
    """Two equal sides on a machine that gets slower by `drift` from run to run, with a scatter of 0.005."""
    random = np.random.default_rng(7)
    duels, pairs, alpha = 20_000, 10, 0.01
    slots = random.normal(0, 0.005, (duels, pairs, 2)) + drift * np.arange(2 * pairs).reshape(pairs, 2)
    ab_ab = slots[:, :, 0] - slots[:, :, 1]
    sign = np.where(np.arange(pairs) % 2 == 0, 1, -1)
    wrong_in_turns = np.logical_or(*sequential(ab_ab * sign, pairs, alpha)).mean()
    wrong_in_order = np.logical_or(*sequential(ab_ab, pairs, alpha)).mean()
    assert wrong_in_turns <= alpha + 3 * math.sqrt(alpha / duels)
    assert wrong_in_order > deceived


@pytest.mark.parametrize("effect", [0.5, 1.0, 2.0])
def test_as_many_runs_as_it_says_show_a_mean_below_a_bound(effect):
    """The seen mean and scatter are made the true ones; then 80 % of experiments of that size succeed, and not 84 %."""
    seen = np.array([-1.0, 0.0, 1.0])  # standard deviation 1
    more = more_to_show_below(list(seen - effect), 0.0, 0.01)
    for runs, holds in ((3 + more, True), (3 + more - 1, False)):
        values = np.random.default_rng(runs).normal(-effect, 1, (40_000, runs))
        t = values.mean(1) / (values.std(1, ddof=1) / math.sqrt(runs))
        power = (t < stdtrit(runs - 1, 0.01)).mean()
        assert power >= 0.79 if holds else power < 0.81


@pytest.mark.parametrize(("gap", "scatter"), [(1.0, 1.0), (2.0, 1.0), (1.5, 0.3)])
def test_as_many_runs_as_it_says_tell_two_entries_apart(gap, scatter):
    seen = np.array([-1.0, 0.0, 1.0])
    more = more_to_tell_apart(list(seen), list(seen * scatter + gap + 0.1), 0.01, margin=0.1)
    runs = 3 + more
    random = np.random.default_rng(runs)
    values, others = random.normal(0, 1, (40_000, runs)), random.normal(gap, scatter, (40_000, runs))
    p = scipy_stats.ttest_ind(values, others, axis=1, equal_var=False, alternative="less").pvalue
    assert 0.78 <= (p < 0.01).mean() <= 0.95  # one run more is a large step where few are enough


@pytest.mark.parametrize("effect", [0.5, 1.0, 3.0])
def test_as_many_pairs_as_it_says_settle_a_duel(effect):
    pairs = pairs_to_settle([effect - 1, effect, effect + 1], 0.01)
    assert pairs == pairs_to_settle([-effect - 1, -effect, -effect + 1], 0.01)
    random = np.random.default_rng(pairs)
    below, above = sequential(random.normal(effect, 1, (10_000, pairs)), pairs, 0.01)
    assert 0.79 <= above.mean() <= 0.95  # the looks before the last one help a little
    assert below.mean() < 0.001


def test_there_is_no_number_of_runs_for_what_is_not_so():
    assert more_to_show_below([3.29, 3.30], 3.28, 0.01) is None
    assert more_to_tell_apart([2.0, 2.1], [1.0, 1.1], 0.01) is None
    assert more_to_tell_apart([1.0, 1.1], [1.2, 1.3], 0.01, margin=0.3) is None
    assert more_to_show_below([3.0, 3.5, 2.9, 3.7], 3.28, 0.01) is None  # more than it is worth
    assert more_to_show_below(published(), 3.0, 0.01) is None
    assert more_to_show_below(published(), 4.0, 0.01) == 0
    assert pairs_to_settle([-1.0, 1.0], 0.01) is None


def test_a_larger_difference_never_takes_more_runs():
    """scipy's noncentral distribution is NaN for some of these, which once made 250 runs of two."""
    seen = [-1.5, -0.5, 0.5, 1.5]
    gaps = np.geomspace(0.2, 300, 60)
    apart = [more_to_tell_apart(seen, [value + gap for value in seen], 0.005) for gap in gaps]
    below = [more_to_show_below(seen, gap, 0.01) for gap in gaps]
    pairs = [pairs_to_settle([value + gap for value in seen], 0.01) for gap in gaps]
    for found, last in ((apart, 0), (below, 0), (pairs, 2)):
        numbers = [math.inf if number is None else number for number in found]
        assert numbers == sorted(numbers, reverse=True)
        assert numbers[-1] == last
        assert len(set(numbers)) > 10


@given(st.floats(0.05, 20), st.integers(2, 9), st.floats(0.001, 0.1))
def test_one_run_fewer_would_be_too_few(effect, runs, alpha):
    seen = list(np.linspace(-1, 1, runs) / np.std(np.linspace(-1, 1, runs), ddof=1))
    more = more_to_show_below(seen, effect, alpha, most=200)

    def power(added):
        size = runs + added
        return exceeds(quantile(1 - alpha, size - 1), size - 1, effect * math.sqrt(size))

    assert more is None or power(more) >= 0.8 - 1e-9
    if more != 0:
        assert power(200 if more is None else more - 1) < 0.8 + 1e-9
