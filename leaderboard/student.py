"""Student's t distribution, central and not: its distribution function, its quantile, and the power of a test.

Pure functions of our own, because importing scipy.special takes longer than all that a board of a thousand records
does. The tests compare every one of them with scipy.

Methods as in the textbooks (Abramowitz and Stegun, Handbook of Mathematical Functions, 26.5 and 26.7; Press et al.,
Numerical Recipes, 6.4): the distribution function is a regularised incomplete beta function, from its continued
fraction by Lentz's algorithm; the quantile is Newton's iteration, kept inside a bracket; the power is the normal
distribution averaged over the chi distribution of the estimated scatter, by the trapezoidal rule.

Everything fails closed: where an argument is no number, or a fraction does not converge, the answer is NaN.
"""

import math
from typing import Final

_TINY: Final = 1e-300  # instead of a zero denominator (Lentz)
_EPSILON: Final = 1e-16
_MOST_TERMS: Final = 20_000  # of the fraction, which takes about √freedom
_MOST_STEPS: Final = 200  # of the root search
_CLOSE: Final = 1e-10  # relative step of Newton's iteration, which doubles the digits with each: after it all are right
_LARGE: Final = 25.0  # from here on the ratio of gamma functions has a series; before, lgamma loses nothing
_NEGLIGIBLE: Final = 1e-17  # a share of a sum
_NO_MORE: Final = -745.0  # logarithm of the least that a float holds
_SHARP: Final = 200.0  # noncentrality beyond which the power is good to three places only: it is 0 or 1 by then


def cdf(t: float, freedom: float) -> float:
    """P(T ≤ t) for Student's T; good to a relative 1e-9 in the lower tail, down to 1e-300.

    freedom: degrees of freedom, above 0, whole or not.
    """
    if math.isnan(t) or not 0 < freedom < math.inf:
        return math.nan
    tail = _tail(abs(t), freedom)
    return tail if t < 0 else 1 - tail


def quantile(p: float, freedom: float) -> float:
    """The t that T does not exceed with probability `p`; infinite for 0 and 1."""
    if not 0 <= p <= 1 or not 0 < freedom < math.inf:
        return math.nan
    tail = min(p, 1 - p)  # exactly: p is at least one half where it is taken from 1
    t = math.inf if tail == 0 else 0.0 if tail == 0.5 else _tail_quantile(tail, freedom)
    return -t if p < 0.5 else t


def normal_quantile(p: float) -> float:
    """Of the normal distribution, to 4.5e-4 (Handbook, 26.2.23): to begin a search with. For p in (0, 1)."""
    u = math.sqrt(-2 * math.log(min(p, 1 - p)))
    z = u - (2.515517 + u * (0.802853 + u * 0.010328)) / (1 + u * (1.432788 + u * (0.189269 + u * 0.001308)))
    return -z if p < 0.5 else z


def exceeds(critical: float, freedom: float, noncentrality: float) -> float:
    """P(T > critical) for the noncentral T = (Z + noncentrality) / S, with S = √(χ² / freedom).

    That is the mean of Φ(noncentrality − critical · S). In y = ln S the density is smooth, falls off fast on both sides
    of 0, and is known up to a factor; there the trapezoidal rule converges faster than any power of its step.
    """
    if not (math.isfinite(critical) and math.isfinite(noncentrality) and 0 < freedom < math.inf):
        return math.nan
    # A fraction of both the density's width, 1/√(2 freedom) or less than 1, and that of the step that Φ makes.
    step = 0.6 / math.sqrt(2 * freedom + 4 + min(abs(noncentrality), _SHARP) ** 2)
    weights = found = 0.0
    for direction in (-step, step):
        index = 0 if direction < 0 else 1
        while True:
            y = direction * index
            # (e^2y − 1 − 2y) / 2, without the cancellation of the first terms
            log_weight = -freedom * (math.expm1(2 * y) - 2 * y) / 2
            if log_weight < _NO_MORE:
                break
            weight = math.exp(log_weight)
            part = weight * _normal(noncentrality - critical * math.exp(y))
            weights += weight
            found += part
            if weight < _NEGLIGIBLE * weights and part <= _NEGLIGIBLE * found:
                break
            index += 1
    return min(1.0, found / weights)


def _normal(z: float) -> float:
    """Φ(z), good in both tails."""
    return math.erfc(-z / math.sqrt(2)) / 2


def _tail(t: float, freedom: float) -> float:
    """P(T > t) for t ≥ 0: I_x(freedom/2, 1/2) / 2 at x = freedom / (freedom + t²)."""
    ratio = t / math.sqrt(freedom)
    if ratio == 0 or math.isinf(ratio):
        return 0.5 if ratio == 0 else 0.0
    a, b = freedom / 2, 0.5
    log_sum = _log_sum(ratio)  # −ln x
    # of x^a (1 − x)^b / B(a, b)
    log_front = -a * log_sum + b * (2 * math.log(ratio) - log_sum) + _log_gamma_ratio(a) - math.log(math.pi) / 2
    x = math.exp(-log_sum)
    if x < (a + 1) / (a + b + 2):
        return math.exp(log_front) * _fraction(a, b, x) / a / 2
    return 0.5 - math.exp(log_front) * _fraction(b, a, -math.expm1(-log_sum)) / b / 2


def _log_sum(ratio: float) -> float:
    """ln(1 + ratio²), also where the square overflows."""
    return math.log1p(ratio * ratio) if ratio < 1e100 else 2 * math.log(ratio)


def _log_gamma_ratio(a: float) -> float:
    """ln Γ(a + 1/2) − ln Γ(a); both alone are large where a is, and their difference would be left with few digits."""
    if a < _LARGE:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    inverse = 1 / (a * a)
    return math.log(a) / 2 - (1 / 8 - inverse * (1 / 192 - inverse * (1 / 640 - inverse * 17 / 14_336))) / a


def _fraction(a: float, b: float, x: float) -> float:
    """The continued fraction of I_x(a, b), by Lentz's algorithm; quick for x < (a + 1) / (a + b + 2)."""
    front, back = 1.0, 1 - (a + b) * x / (a + 1)
    back = 1 / (back or _TINY)
    value = back
    for m in range(1, _MOST_TERMS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            back = 1 / ((1 + term * back) or _TINY)
            front = (1 + term / front) or _TINY
            change = front * back
            value *= change
        if abs(change - 1) <= 2 * _EPSILON:
            return value
    return math.nan


def _tail_quantile(tail: float, freedom: float) -> float:
    """The t > 0 with P(T > t) = tail, for a tail in (0, 1/2): ln P falls in ln t, almost straight far out."""
    low, high = 0.0, math.inf
    t = _roughly(tail, freedom)
    for _ in range(_MOST_STEPS):
        found = _tail(t, freedom)
        if not found >= 0:
            return math.nan
        low, high = (t, high) if found > tail else (low, t)
        # Of −ln P over ln t.
        slope = math.exp(_log_density(t, freedom) + math.log(t) - math.log(found)) if found > 0 else 0.0
        following = t * math.exp(min(20.0, max(-20.0, math.log(found / tail) / slope))) if slope > 0 else math.nan
        if not low < following < high:
            following = 2 * low if math.isinf(high) else (low + high) / 2
        if abs(following - t) <= _CLOSE * t or math.isinf(following):
            return following
        t = following
    return t


def _roughly(tail: float, freedom: float) -> float:
    """Where to look for the quantile first: the normal one, widened for the freedom (Handbook, 26.7.5)."""
    z = -normal_quantile(tail)
    wider = z * (z * z + 1) / (4 * freedom) + z * (5 * z**4 + 16 * z * z + 3) / (96 * freedom * freedom)
    return max(z + wider, 1e-3)


def _log_density(t: float, freedom: float) -> float:
    log_front = _log_gamma_ratio(freedom / 2) - math.log(freedom * math.pi) / 2
    return log_front - (freedom + 1) / 2 * _log_sum(t / math.sqrt(freedom))
