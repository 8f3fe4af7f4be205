"""A curve drawn with braille dots: two dots wide and four high in every character. Pure text, no colour."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

BLANK = "\u2800"
FARTHEST = 1e100  # from zero: the differences of what lies farther out may be no numbers, and an entry may log anything

# The bit of each dot of a braille character, by row from the top and column from the left.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

_EARLY_SHARE = 0.05  # of the x range: values this early may be cut off at the top, so that the rest can be seen


class Point(NamedTuple):
    x: float
    y: float


def draw(points: Sequence[Point], width: int, height: int) -> list[str]:
    """`height` lines of `width` braille characters with the points joined from left to right.

    x runs from the first to the last point, y from the lowest to the highest. Points that are no numbers, or
    farther out than FARTHEST, are left out; without any, the lines are blank.
    """
    columns, rows = 2 * width, 4 * height
    heights = _heights(_finite(points), columns)
    masks = [[0] * width for _ in range(height)]
    if heights:
        low, high = min(heights), max(heights)
        before: int | None = None
        for column, value in enumerate(heights):
            share = (value - low) / (high - low) if high > low else 0.5
            row = round((1 - share) * (rows - 1))
            # A steep step is drawn in the later column; the earlier one has only its own point.
            reach = range(row, row + 1)
            if before is not None and row != before:
                reach = range(before + 1, row + 1) if row > before else range(row, before)
            for dot in reach:
                masks[dot // 4][column // 2] |= _DOTS[dot % 4][column % 2]
            before = row
    return ["".join(chr(ord(BLANK) + mask) for mask in line) for line in masks]


def chart(points: Sequence[Point], width: int, height: int, x_unit: str = "s") -> list[str]:
    """The curve with its axes named: `height` lines, the last one for x; no line is longer than `width`.

    The first twentieth of the x range may stick out at the top: a loss starts so high that nothing else would show.
    Empty where there are fewer than two finite points or no room.
    """
    known = _finite(points)
    if len(known) < 2 or height < 3 or width < 24:
        return []
    known = _trimmed(known)
    low, high = min(point.y for point in known), max(point.y for point in known)
    labels = [_label(high), *[""] * (height - 3), _label(low)]
    margin = max(map(len, labels))
    plot = draw(known, width - margin - 2, height - 1)
    lines = [f"{label:>{margin}} │{line}" for label, line in zip(labels, plot, strict=True)]
    left, right = f"{known[0].x:.4g}", f"{known[-1].x:.4g} {x_unit}"
    lines.append(" " * (margin + 2) + left + right.rjust(width - margin - 2 - len(left)))
    return lines


def _finite(points: Sequence[Point]) -> list[Point]:
    return sorted(point for point in points if abs(point.x) <= FARTHEST and abs(point.y) <= FARTHEST)


def _trimmed(points: list[Point]) -> list[Point]:
    """The points, with those of the first moments lowered to the highest of the rest."""
    early = points[0].x + _EARLY_SHARE * (points[-1].x - points[0].x)
    later = [point.y for point in points if point.x >= early]
    top = max(later)
    return [Point(point.x, min(point.y, top)) for point in points] if len(later) > 1 else points


def _heights(points: list[Point], columns: int) -> list[float]:
    """The height of the curve at each of `columns` places: the mean of the points there, or a straight line between."""
    if not points:
        return []
    first, span = points[0].x, points[-1].x - points[0].x
    if span <= 0:
        return [sum(point.y for point in points) / len(points)] * columns
    sums: dict[int, list[float]] = {}
    for point in points:
        sums.setdefault(min(columns - 1, int((point.x - first) / span * columns)), []).append(point.y)
    known = sorted((column, sum(values) / len(values)) for column, values in sums.items())
    heights: list[float] = []
    for (left, left_value), (right, right_value) in itertools.pairwise(known):
        step = (right_value - left_value) / (right - left)
        heights += [left_value + step * (column - left) for column in range(left, right)]
    return [*heights, known[-1][1]]


def _label(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}"
