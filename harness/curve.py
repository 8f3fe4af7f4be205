"""The declared training curve, bounded: at most 200 points, spread evenly, the last one always there."""

from harness.protocol import Log, printable
from harness.result import CurvePoint, Declared

MOST_POINTS = 200
MOST_METRICS = 32
NAME_LENGTH = 64


class Curve:
    """Collects what an entry logs. Memory is bounded whatever it logs."""

    def __init__(self) -> None:
        self._points: list[CurvePoint] = []
        self._every = 1
        self._seen = 0
        self._last: CurvePoint | None = None
        self._metrics: dict[str, float] = {}

    def add(self, log: Log, elapsed_s: float) -> CurvePoint:
        """One logged point, `elapsed_s` seconds after GO on the parent's clock."""
        point = CurvePoint(elapsed_s=round(elapsed_s, 3), step=log.step, tokens=log.tokens, loss_nats=log.loss)
        self._last = point
        self._metrics = {
            printable(name, NAME_LENGTH): value for name, value in list(log.metrics.items())[:MOST_METRICS]
        }
        if self._seen % self._every == 0:
            self._points.append(point)
            if len(self._points) == MOST_POINTS:
                self._points = self._points[::2]
                self._every *= 2
        self._seen += 1
        return point

    @property
    def metrics(self) -> dict[str, float]:
        """The last point's own metrics."""
        return self._metrics

    @property
    def points(self) -> tuple[CurvePoint, ...]:
        """At most MOST_POINTS points, the last one logged among them."""
        kept = self._points if self._last is None or self._points[-1] is self._last else [*self._points, self._last]
        return tuple(kept)

    def declared(self) -> Declared:
        """What the entry said last."""
        if self._last is None:
            return Declared()
        return Declared(
            steps=self._last.step, tokens=self._last.tokens, loss_nats=self._last.loss_nats, metrics=self._metrics
        )
