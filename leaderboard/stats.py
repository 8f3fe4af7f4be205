"""Statistics of a few runs: pure functions of raw values, computed when a board is read, never stored."""

import math
from collections.abc import Sequence


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
    centre = mean(values)
    try:
        sd = math.sqrt(math.fsum((value - centre) * (value - centre) for value in values) / (len(values) - 1))
    except OverflowError:
        return None
    return sd if math.isfinite(sd) else None
