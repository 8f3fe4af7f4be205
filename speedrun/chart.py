"""Curves drawn with braille dots: two dots wide and four high in every character. Pure text, no colour."""

import itertools
from collections.abc import Sequence
from typing import Literal, NamedTuple

BLANK = "\u2800"
FARTHEST = 1e100  # from zero: the differences of what lies farther out may be no numbers, and an entry may log anything

# The bit of each dot of a braille character, by row from the top and column from the left.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))

_EARLY_SHARE = 0.05  # of the x range: values this early may be cut off at the top, so that the rest can be seen


DASH = 4  # dots that are drawn, then as many that are not, along a dashed curve


class Point(NamedTuple):
    x: float
    y: float


Whose = Literal["", "a", "b", "ab"]


class Piece(NamedTuple):
    """A part of a line, and whose curve is in it: nobody's, the first's, the second's, or both."""

    text: str
    whose: Whose


class _Dot(NamedTuple):
    column: int
    row: int


def draw(points: Sequence[Point], width: int, height: int) -> list[str]:
    """`height` lines of `width` braille characters with the points joined from left to right.

    x runs from the first to the last point, y from the lowest to the highest. Points that are no numbers, or
    farther out than FARTHEST, are left out; without any, the lines are blank.
    """
    known = _finite(points)
    path = _path(known, _extent(known), width, height) if known else []
    return ["".join(map(_braille, line)) for line in _masks(path, width, height)]


def chart(points: Sequence[Point], width: int, height: int, x_unit: str = "s") -> list[str]:
    """The curve with its axes named: `height` lines, the last one for x; no line is longer than `width`.

    The first twentieth of the x range may stick out at the top: a loss starts so high that nothing else would show.
    Empty where there are fewer than two finite points or no room.
    """
    known = _finite(points)
    if len(known) < 2 or not _has_room(width, height):
        return []
    known = _trimmed(known)
    extent = _extent(known)
    margins = _margins(extent, height)
    columns = width - len(margins[0])
    lines = [f"{margin}{line}" for margin, line in zip(margins, draw(known, columns, height - 1), strict=True)]
    return [*lines, _x_axis(extent, width, len(margins[0]), x_unit)]


def overlay(
    first: Sequence[Point], second: Sequence[Point], width: int, height: int, x_unit: str = "s"
) -> list[list[Piece]]:
    """Two curves on the same axes, as `chart` draws one; the second one is dashed.

    Both are cut off at the top where the later parts of both are lower. Empty where either has fewer than two finite
    points, or there is no room.
    """
    a, b = _finite(first), _finite(second)
    if min(len(a), len(b)) < 2 or not _has_room(width, height):
        return []
    top = max(_top(a), _top(b))
    a, b = ([Point(point.x, min(point.y, top)) for point in points] for points in (a, b))
    extent = _extent([*a, *b])
    margins = _margins(extent, height)
    columns = width - len(margins[0])
    solid, dashed = _path(a, extent, columns, height - 1), _path(b, extent, columns, height - 1)
    dashed = [dot for number, dot in enumerate(dashed) if number // DASH % 2 == 0]
    drawn = zip(_masks(solid, columns, height - 1), _masks(dashed, columns, height - 1), strict=True)
    lines = [[Piece(margin, ""), *_pieces(*both)] for margin, both in zip(margins, drawn, strict=True)]
    return [*lines, [Piece(_x_axis(extent, width, len(margins[0]), x_unit), "")]]


class _Extent(NamedTuple):
    """What a picture shows."""

    first: float
    last: float
    low: float
    high: float


def _extent(points: Sequence[Point]) -> _Extent:
    xs, ys = [point.x for point in points], [point.y for point in points]
    return _Extent(min(xs), max(xs), min(ys), max(ys))


def _has_room(width: int, height: int) -> bool:
    return height >= 3 and width >= 24


def _finite(points: Sequence[Point]) -> list[Point]:
    return sorted(point for point in points if abs(point.x) <= FARTHEST and abs(point.y) <= FARTHEST)


def _trimmed(points: list[Point]) -> list[Point]:
    """The points, with those of the first moments lowered to the highest of the rest."""
    top = _top(points)
    return [Point(point.x, min(point.y, top)) for point in points]


def _top(points: list[Point]) -> float:
    """The highest value that is worth showing: after the first moments, where there is more than one."""
    early = points[0].x + _EARLY_SHARE * (points[-1].x - points[0].x)
    later = [point.y for point in points if point.x >= early]
    return max(later if len(later) > 1 else (point.y for point in points))


def _path(points: list[Point], extent: _Extent, width: int, height: int) -> list[_Dot]:
    """The dots of a curve from left to right, each beside the one before it."""
    columns, rows = 2 * width, 4 * height
    dots: list[_Dot] = []
    for column, value in _heights(points, extent, columns):
        share = (value - extent.low) / (extent.high - extent.low) if extent.high > extent.low else 0.5
        row = round((1 - share) * (rows - 1))
        # A steep step is drawn in the later column; the earlier one has only its own point.
        before = dots[-1].row if dots else row
        step = 1 if row > before else -1
        dots += [_Dot(column, passed) for passed in range(before + step, row, step)]
        dots.append(_Dot(column, row))
    return dots


def _heights(points: list[Point], extent: _Extent, columns: int) -> list[tuple[int, float]]:
    """The height of a curve at each of the columns that it reaches: the mean of the points there, or a line between."""
    span = extent.last - extent.first
    if span <= 0:
        mean = sum(point.y for point in points) / len(points)
        return [(column, mean) for column in range(columns)]
    sums: dict[int, list[float]] = {}
    for point in points:
        sums.setdefault(min(columns - 1, int((point.x - extent.first) / span * columns)), []).append(point.y)
    known = sorted((column, sum(values) / len(values)) for column, values in sums.items())
    heights: list[tuple[int, float]] = []
    for (left, left_value), (right, right_value) in itertools.pairwise(known):
        step = (right_value - left_value) / (right - left)
        heights += [(column, left_value + step * (column - left)) for column in range(left, right)]
    return [*heights, known[-1]]


def _masks(path: Sequence[_Dot], width: int, height: int) -> list[list[int]]:
    """The bits of every character."""
    masks = [[0] * width for _ in range(height)]
    for column, row in path:
        masks[row // 4][column // 2] |= _DOTS[row % 4][column % 2]
    return masks


def _braille(mask: int) -> str:
    return chr(ord(BLANK) + mask)


def _pieces(a: Sequence[int], b: Sequence[int]) -> list[Piece]:
    """One line of both curves, cut wherever its owner changes."""
    whose: list[Whose] = [
        ("ab" if right else "a") if left else "b" if right else "" for left, right in zip(a, b, strict=True)
    ]
    cells = zip(whose, (left | right for left, right in zip(a, b, strict=True)), strict=True)
    return [
        Piece("".join(_braille(mask) for _, mask in group), owner)
        for owner, group in itertools.groupby(cells, key=lambda cell: cell[0])
    ]


def _margins(extent: _Extent, height: int) -> list[str]:
    """What stands left of every line of the picture: the ends of y, and a line."""
    labels = [_label(extent.high), *[""] * (height - 3), _label(extent.low)]
    margin = max(map(len, labels))
    return [f"{label:>{margin}} │" for label in labels]


def _x_axis(extent: _Extent, width: int, margin: int, unit: str) -> str:
    left, right = f"{extent.first:.4g}", f"{extent.last:.4g} {unit}"
    return " " * margin + left + right.rjust(width - margin - len(left))


def _label(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.3g}"
