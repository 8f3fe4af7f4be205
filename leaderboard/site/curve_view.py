"""The training curve of a run's page. Its points stand on the page once, as data; the page's script draws them.

So a page costs neither the time nor the bytes of a second copy: of 2.4 ms that a run's page once took to make, a third
was its figure.
"""

from typing import Literal, NamedTuple

import msgspec

from harness.result import Record
from leaderboard.site.drawing import known
from leaderboard.table import number
from leaderboard.text import plain


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """A loss that is drawn beside the curve: the score as a point at its end, the others as lines."""

    role: Literal["score", "target", "floor"]
    name: str
    loss_nats: float


class CurveView(NamedTuple):
    """What the script can't know of a curve."""

    label: str  # one sentence with the numbers that matter, for whoever can't see it
    levels: tuple[Level, ...]


def curve_view(record: Record) -> CurveView | None:
    """None: fewer than two points have a loss that can be drawn."""
    points = [point for point in record.curve if known(point.loss_nats) and known(point.elapsed_s)]
    if len(points) < 2:
        return None
    levels = tuple(_levels(record))
    first, last = points[0].loss_nats, points[-1].loss_nats
    assert first is not None
    assert last is not None
    told = [
        f"Training loss that {plain(record.entry.name, 40)} declared over {number(points[-1].elapsed_s, 1)} s:"
        f" from {number(first, 4)} to {number(last, 4)} nats a token",
        *(level.name for level in levels),
    ]
    return CurveView(f"{'; '.join(told)}.", levels)


def _levels(record: Record) -> list[Level]:
    score_nats = None if record.score is None else record.score.loss_nats
    candidates: tuple[tuple[Literal["score", "target", "floor"], str, float | None], ...] = (
        ("score", "scored", score_nats),
        ("target", "target", record.track.target_nats),
        ("floor", "floor of the data set", record.dataset.floor_nats),
    )
    return [
        Level(role=role, name=f"{name} {number(value, 4)}", loss_nats=value)
        for role, name, value in candidates
        if known(value)
    ]
