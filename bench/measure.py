"""What every benchmark shares: estimates with their intervals, and the table that is printed.

An interval is a 95 % one. Ratios are taken of pairs that were measured side by side and averaged as logarithms, so that
twice as slow and twice as fast cancel, and so that whatever slows the machine down slows both halves of a pair.
"""

import datetime
import math
import os
import platform
import sys
from collections.abc import Sequence
from typing import NamedTuple

from harness import environment

CONFIDENCE = 0.95
BUSY = 0.2  # load a core, from which on times are not worth much


class Estimate(NamedTuple):
    """A figure and its 95 % interval; NaN bounds where the samples are too few for one."""

    value: float
    low: float
    high: float


class Row(NamedTuple):
    """One line of the table."""

    figure: str
    estimate: Estimate
    unit: str = ""
    goal: float | None = None  # at most this


def mean(samples: Sequence[float]) -> Estimate:
    """The mean, with Student's interval."""
    from scipy.stats import t  # not above: the parent whose memory is measured has not imported it either

    size = len(samples)
    centre = math.fsum(samples) / size
    if size < 2:
        return Estimate(centre, math.nan, math.nan)
    error = math.sqrt(math.fsum((sample - centre) ** 2 for sample in samples) / (size - 1) / size)
    half = float(t.ppf(0.5 + CONFIDENCE / 2, size - 1)) * error
    return Estimate(centre, centre - half, centre + half)


def ratio(pairs: Sequence[tuple[float, float]]) -> Estimate:
    """The geometric mean of first ÷ second over pairs, with Student's interval of its logarithm."""
    return Estimate(*map(math.exp, mean([math.log(first / second) for first, second in pairs])))


def median(samples: Sequence[float]) -> Estimate:
    """The median, with the interval between two order statistics, which assumes nothing about the distribution."""
    from scipy.stats import binom

    ordered, size = sorted(samples), len(samples)
    centre = (ordered[(size - 1) // 2] + ordered[size // 2]) / 2
    below = int(binom.ppf(0.5 - CONFIDENCE / 2, size, 0.5))  # the rank of the lower bound, counted from one
    if below < 1:
        return Estimate(centre, math.nan, math.nan)
    return Estimate(centre, ordered[below - 1], ordered[size - below])


def alternating(pairs: int) -> list[tuple[bool, bool]]:
    """For each pair, whether the first thing goes first: ABBA, so that a drift of the machine favours neither."""
    return [(True, False) if pair % 2 == 0 else (False, True) for pair in range(pairs)]


def say(line: str) -> None:
    """Progress, apart from the table."""
    print(line, file=sys.stderr, flush=True)


def heading(title: str, *facts: str) -> None:
    """What was measured, when, and on what kind of machine; nothing that names the machine or its owner."""
    load = environment.load()
    versions = ", ".join(f"{name} {version}" for name, version in environment.packages().items())
    print(f"{title}, {datetime.date.today():%Y-%m-%d}")
    print(f"  {environment.cpu_model()}, {os.cpu_count()} cores, load before {'unknown' if load is None else load}")
    print(f"  {environment.system()}, Python {platform.python_version()}, {versions}")
    for fact in facts:
        print(f"  {fact}")
    if load is not None and load > BUSY * (os.cpu_count() or 1):
        print("  the machine is busy: threads that wait for each other make times jump, and the intervals are wide")
    print(flush=True)


def table(rows: Sequence[Row]) -> None:
    """The figures, aligned, each against its goal."""
    cells = [[row.figure, _number(row.estimate.value, row.unit), _interval(row), *_against_goal(row)] for row in rows]
    lines = [["figure", "value", "95 % interval", "goal", ""], *cells]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["─" * width for width in widths])
    for line in lines:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    print(flush=True)


def _against_goal(row: Row) -> tuple[str, str]:
    """A goal is reached when the whole interval keeps it, missed when all of it lies beyond."""
    if row.goal is None:
        return "", ""
    value, low, high = row.estimate
    if (value if math.isnan(high) else high) <= row.goal:
        verdict = "reached"
    elif (value if math.isnan(low) else low) > row.goal:
        verdict = "missed"
    else:
        verdict = "not resolved"
    return f"≤ {_number(row.goal, row.unit)}", verdict


def _interval(row: Row) -> str:
    if math.isnan(row.estimate.low):
        return "–"
    return f"{_number(row.estimate.low, row.unit)} to {_number(row.estimate.high, row.unit)}"


def _number(value: float, unit: str) -> str:
    """Ratios, which have no unit, to four places."""
    digits = 4 if not unit else 2 if abs(value) < 100 else 0
    return f"{value:.{digits}f} {unit}".rstrip()
