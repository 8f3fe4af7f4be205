"""Where the time of a run went: its phases as one bar, and their seconds in words. Pure.

Every phase has a mark of its own, so that the bar can be read without colour.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rich.text import Text

from harness.result import Times

LEAST_COLUMNS, MOST_COLUMNS = 24, 76


class Part(NamedTuple):
    """A phase of a run."""

    name: str
    seconds: float
    mark: str  # one cell of it in the bar
    style: str


def parts(times: Times) -> list[Part]:
    """The phases that were reached, in order; what is left of the whole is starting sandboxes and measuring."""
    phases = (
        ("set-up", times.setup_s, "░", "cyan"),
        ("training", times.train_s, "█", "green"),
        ("saving", times.save_s, "▄", "yellow"),
        ("loading", times.load_s, "▒", "blue"),
        ("scoring", times.score_s, "▓", "magenta"),
        ("twin", times.twin_s, "▚", "red"),
        ("samples", times.sample_s, "▞", "bright_black"),
    )
    found = [Part(name, seconds, mark, style) for name, seconds, mark, style in phases if seconds is not None]
    rest_s = times.total_s - sum(part.seconds for part in found)
    return [*found, Part("the rest", rest_s, "·", "dim")] if rest_s > 0 else found


def bar(found: Sequence[Part], columns: int) -> Text:
    """One line in which every phase has its share; none that took any time is lost. Empty without any time."""
    columns = min(max(columns, LEAST_COLUMNS), MOST_COLUMNS)
    line = Text(no_wrap=True)
    for part, cells in zip(found, _cells([part.seconds for part in found], columns), strict=True):
        line.append(part.mark * cells, style=part.style)
    return line


def legend(found: Sequence[Part], total_s: float, columns: int) -> list[Text]:
    """Every phase's mark, seconds and share, in as many lines as they need."""
    lines: list[Text] = []
    for part in found:
        share = f" ({part.seconds / total_s:.0%})" if total_s > 0 else ""
        words = Text.assemble((part.mark, part.style), f" {part.name} {part.seconds:.2f} s{share}")
        if lines and lines[-1].cell_len + 3 + words.cell_len <= min(columns, MOST_COLUMNS):
            lines[-1].append("   ").append_text(words)
        else:
            lines.append(words)
    return lines


def _cells(seconds: Sequence[float], columns: int) -> list[int]:
    """How many of the columns each gets: one at least where there is any time, the others by their shares."""
    whole_s = sum(max(0.0, each) for each in seconds)
    if not 0 < whole_s < math.inf:
        return [0] * len(seconds)
    wishes = [max(0.0, each) / whole_s * columns for each in seconds]
    cells = [max(int(wish), 1) if wish > 0 else 0 for wish in wishes]
    while sum(cells) != columns:
        step = 1 if sum(cells) < columns else -1
        # The one that is farthest from what it should have, and can spare a cell where one is taken.
        able = [index for index, wish in enumerate(wishes) if wish > 0 and (step > 0 or cells[index] > 1)]
        cells[max(able, key=lambda index: step * (wishes[index] - cells[index]))] += step
    return cells
