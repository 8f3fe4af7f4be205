"""The training curve of a run's page. Its points stand on the page once, as data; the page's script draws them.

So a page costs neither the time nor the bytes of a second copy: of 2.4 ms that a run's page once took to make, a third
was its figure.
"""

from collections.abc import Iterable
from typing import Literal, NamedTuple

import msgspec

from harness.result import CurvePoint, Record
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
    first, last = _first(record.curve), _first(reversed(record.curve))
    if first is None or last is None or first.point is last.point:
        return None
    levels = tuple(_levels(record))
    told = [
        f"Training loss that {plain(record.entry.name, 40)} declared over {number(last.point.elapsed_s, 1)} s:"
        f" from {number(first.loss_nats, 4)} to {number(last.loss_nats, 4)} nats a token",
        *(level.name for level in levels),
    ]
    return CurveView(f"{'; '.join(told)}.", levels)


class _Drawn(NamedTuple):
    """A point that can be drawn."""

    point: CurvePoint
    loss_nats: float


def _first(points: Iterable[CurvePoint]) -> _Drawn | None:
    for point in points:
        if known(point.loss_nats) and known(point.elapsed_s):
            return _Drawn(point, point.loss_nats)
    return None


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
