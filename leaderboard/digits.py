"""How many digits a number is worth showing with."""

import math
from typing import Final

LEAST: Final = 4  # after the point, of a loss or a ratio
MOST: Final = 9


def decimals(low: float, high: float, *beside: float) -> int:
    """Digits after the point for an interval and what stands beside it.

    Its width shows two digits, and no value beside it looks like an end that it differs from.
    """
    width = high - low
    needed = 1 - math.floor(math.log10(width)) if 0 < width < math.inf else LEAST
    for digits in range(min(max(needed, LEAST), MOST), MOST):
        if all(f"{value:.{digits}f}" != f"{end:.{digits}f}" for value in beside for end in (low, high) if value != end):
            return digits
    return MOST
