"""A scale as lines of text: an interval, values beside it, and what its ends are in numbers."""

from collections.abc import Iterable
from dataclasses import dataclass

MOST_COLUMNS = 64
LEAST_COLUMNS = 24


@dataclass(frozen=True)
class Axis:
    """A scale from `low` to `high`; whatever lies beyond an end is shown at that end."""

    low: float
    high: float
    columns: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", min(max(self.columns, LEAST_COLUMNS), MOST_COLUMNS))

    def band(self, low: float, high: float, centre: float | None = None) -> str:
        """An interval: ├───●───┤. An end of it that lies beyond the axis is an arrow."""
        first, last = self._column(low), self._column(high)
        line = [" "] * self.columns
        line[first : last + 1] = "─" * (last + 1 - first)
        line[first] = "├" if low >= self.low else "◄"
        if last > first:
            line[last] = "┤" if high <= self.high else "►"
        if centre is not None:
            line[self._column(centre)] = "●"
        return "".join(line).rstrip()

    def marks(self, values: Iterable[float], mark: str) -> str:
        """The same mark for every value."""
        columns = {self._column(value) for value in values}
        return "".join(mark if column in columns else " " for column in range(self.columns)).rstrip()

    def named(self, value: float, mark: str, name: str) -> str:
        """One mark with its name beside it, on whichever side has room."""
        column = self._column(value)
        if column + 2 + len(name) <= self.columns:
            return f"{' ' * column}{mark} {name}"
        return f"{name} {mark}".rjust(column + 1)

    def ends(self, form: str, unit: str = "") -> str:
        """The ends in numbers, as `form` has them ("+.4f"), the unit after the second."""
        left, right = format(self.low, form), f"{format(self.high, form)} {unit}".rstrip()
        return left + right.rjust(self.columns - len(left))

    def _column(self, value: float) -> int:
        inside = min(max(value, self.low), self.high)
        span = self.high - self.low
        return round((inside - self.low) / span * (self.columns - 1)) if span > 0 else self.columns // 2
