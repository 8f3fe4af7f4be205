"""Statistics of a few runs: pure functions of raw values, computed when a board is read, never stored.

Everything fails closed. A test on too few values, on a value that is no finite number, or on values without any scatter
has the p-value NaN, which is below nothing; an interval that can't be had is None. All tests assume that the values are
independent and roughly normal, which holds for losses of different seeds and for times on one quiet machine.

Tests and intervals are Student's and Welch's as in any textbook; leaderboard/student.py has the distributions.
"""

import math
import sys
from collections.abc import Callable, Sequence

import msgspec

from leaderboard import student

_MOST_LOG = math.log(sys.float_info.max)
_LEAST_SD = 1e-150  # below it squares are no longer exact: no scatter


class Interval(msgspec.Struct, frozen=True):
    """An estimate and its two-sided confidence interval; every bound is a finite number."""

    estimate: float
    low: float
    high: float
    confidence: float


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean; NaN for no values, or when one of them is not finite, so that every comparison fails."""
    if not values or not all(map(math.isfinite, values)):
        return math.nan
    try:
        return math.fsum(values) / len(values)
    except OverflowError:
        return math.nan


def sample_sd(values: Sequence[float]) -> float | None:
    """The sample standard deviation (n − 1 in the denominator); None for fewer than two values or no finite result."""
    if len(values) < 2:
        return None
    if math.isfinite(values[0]) and values.count(values[0]) == len(values):
        return 0.0  # exactly: the mean of equal values is rounded, and may be none of them
    centre = mean(values)
    try:
        sd = math.sqrt(math.fsum((value - centre) * (value - centre) for value in values) / (len(values) - 1))
    except OverflowError:
        return None
    return sd if math.isfinite(sd) else None


def p_below(values: Sequence[float], bound: float) -> float:
    """The p-value of Student's one-sided one-sample t-test that the mean lies below `bound`."""
    error = _standard_error(values)
    if error is None or not math.isfinite(bound):
        return math.nan
    return student.cdf((mean(values) - bound) / error, len(values) - 1)


def p_less(values: Sequence[float], others: Sequence[float], margin: float = 0.0) -> float:
    """The p-value of Welch's one-sided t-test that the mean of `values` lies more than `margin` below the others'."""
    error, other = _standard_error(values), _standard_error(others)
    if error is None or other is None or not math.isfinite(margin):
        return math.nan
    t = (mean(values) - mean(others) + margin) / math.hypot(error, other)
    return student.cdf(t, _welch_freedom(error, len(values), other, len(others)))


def mean_interval(values: Sequence[float], confidence: float) -> Interval | None:
    """Student's interval of the mean; None where a bound would be infinite."""
    error = _standard_error(values)
    if error is None or not 0 < confidence < 1:
        return None
    return _around(mean(values), error, len(values) - 1, confidence)


def next_value_interval(values: Sequence[float], confidence: float) -> Interval | None:
    """Where one more value of the same kind lies: Student's prediction interval."""
    sd = _scatter(values)
    if sd is None or not 0 < confidence < 1:
        return None
    return _around(mean(values), sd * math.sqrt(1 + 1 / len(values)), len(values) - 1, confidence)


def ratio_interval(pairs: Sequence[tuple[float, float]], confidence: float) -> Interval | None:
    """The ratio of first to second over pairs that were measured side by side: the geometric mean of their ratios.

    Student's interval of the mean of the logarithms, taken back, so that swapping the sides inverts it.
    """
    if not all(math.isfinite(value) and value > 0 for pair in pairs for value in pair):
        return None
    logs = mean_interval([math.log(first) - math.log(second) for first, second in pairs], confidence)
    if logs is None or logs.high > _MOST_LOG:
        return None
    return Interval(math.exp(logs.estimate), math.exp(logs.low), math.exp(logs.high), confidence)


def difference_interval(pairs: Sequence[tuple[float, float]], confidence: float) -> Interval | None:
    """The mean of first − second over pairs that were measured side by side."""
    return mean_interval([first - second for first, second in pairs], confidence)


def look_alpha(look: int, looks: int, alpha: float) -> float:
    """What the `look`-th of at most `looks` looks at growing data may spend of the error `alpha`; from the second on.

    The shares grow with the data, as k to the look number k, and sum to `alpha`: by Bonferroni's inequality whoever
    stops at the first look that shows something errs at most that often, however the looks depend on each other.
    """
    if not 2 <= look <= looks:
        return math.nan
    return alpha * look / (looks * (looks + 1) / 2 - 1)


def more_to_show_below(
    values: Sequence[float], bound: float, alpha: float, *, power: float = 0.8, most: int = 1000
) -> int | None:
    """How many more runs show the mean below `bound` with probability `power`, if mean and scatter are as they seem.

    None: too few values to say, the mean is not below it, or it takes more than `most`.
    """
    sd = _scatter(values)
    if sd is None or not mean(values) < bound:
        return None
    effect = (bound - mean(values)) / sd

    def reached(more: int) -> float:
        n = len(values) + more
        return _power(effect * math.sqrt(n), n - 1, alpha)

    return _least(reached, power, _first_guess(effect, power, alpha) - len(values), 0, most)


def more_to_tell_apart(
    values: Sequence[float],
    others: Sequence[float],
    alpha: float,
    *,
    margin: float = 0.0,
    power: float = 0.8,
    most: int = 1000,
) -> int | None:
    """How many more runs of each side show `values` more than `margin` below the others; None as above."""
    sd, other = _scatter(values), _scatter(others)
    gap = mean(others) - mean(values) - margin
    if sd is None or other is None or not gap > 0:
        return None

    def reached(more: int) -> float:
        n, m = len(values) + more, len(others) + more
        error, against = sd / math.sqrt(n), other / math.sqrt(m)
        return _power(gap / math.hypot(error, against), _welch_freedom(error, n, against, m), alpha)

    effect = gap / math.hypot(sd, other)
    return _least(reached, power, _first_guess(effect, power, alpha) - max(len(values), len(others)), 0, most)


def pairs_to_settle(effects: Sequence[float], alpha: float, *, power: float = 0.8, most: int = 1000) -> int | None:
    """How many pairs a new duel must allow, so that its last look alone settles it with probability `power`.

    Args:
        effects: of the pairs so far, zero where both sides are equal: differences, or logarithms of ratios.
        alpha: what the duel may err, over all its looks.

    Returns:
        None: too few pairs to say, no difference to be seen, or it takes more than `most`.
    """
    sd = _scatter(effects)
    if sd is None:
        return None
    effect = abs(mean(effects)) / sd
    if not effect > 0:
        return None

    def reached(pairs: int) -> float:
        # The other side's tail is left out: it is nothing beside a power of one half or more.
        return _power(effect * math.sqrt(pairs), pairs - 1, look_alpha(pairs, pairs, alpha) / 2)

    return _least(reached, power, _first_guess(effect, power, alpha), 2, most)


def _scatter(values: Sequence[float]) -> float | None:
    """The sample standard deviation; None for fewer than two values, one not finite, or all of them the same."""
    sd = sample_sd(values)
    return sd if sd is not None and sd > _LEAST_SD else None


def _standard_error(values: Sequence[float]) -> float | None:
    sd = _scatter(values)
    return None if sd is None else sd / math.sqrt(len(values))


def _welch_freedom(error: float, n: int, other: float, m: int) -> float:
    """Welch and Satterthwaite's degrees of freedom, by the first side's share of the variance: nothing overflows."""
    share = (error / math.hypot(error, other)) ** 2
    return 1 / (share**2 / (n - 1) + (1 - share) ** 2 / (m - 1))


def _around(centre: float, error: float, freedom: float, confidence: float) -> Interval | None:
    reach = student.quantile((1 + confidence) / 2, freedom) * error
    low, high = centre - reach, centre + reach
    return Interval(centre, low, high, confidence) if math.isfinite(low) and math.isfinite(high) else None


def _power(shift: float, freedom: float, alpha: float) -> float:
    """How often a one-sided t-test finds a mean that lies so many of its standard errors away."""
    return student.exceeds(student.quantile(1 - alpha, freedom), freedom, shift)


def _first_guess(effect: float, power: float, alpha: float) -> int:
    """How many values it takes where the scatter is known: fewer than where it is not, and nearly as many.

    effect: the difference, in standard deviations of one value; above 0.
    """
    reach = student.normal_quantile(1 - alpha) + student.normal_quantile(power)
    return math.ceil(min((reach / effect) ** 2, 1e9)) if effect > 1e-6 else 10**9


def _least(reached: Callable[[int], float], power: float, guess: int, least: int, most: int) -> int | None:
    """The smallest number, from `least` to `most`, with enough power, which grows with it.

    guess: where to begin. From there in steps that double, then by bisection: few are looked at where it is good.
    """
    low, high = least - 1, most + 1  # not enough; enough, or nothing is
    number, step = min(max(guess, least), most), 1
    while high - low > 1:
        if reached(number) >= power:
            high = number
        else:
            low = number
        ahead = low + step if high > most else high - step if low < least else (low + high) // 2
        number, step = min(max(ahead, low + 1), high - 1), 2 * step
    return high if high <= most else None
