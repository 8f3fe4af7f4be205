"""The declared curve stays small whatever an entry logs."""

from hypothesis import given
from hypothesis import strategies as st

from harness.curve import MOST_METRICS, MOST_POINTS, Curve
from harness.protocol import Log
from harness.result import Declared


@given(st.integers(0, 5000))
def test_at_most_200_points_in_order_and_the_last_among_them(count):
    curve = Curve()
    for step in range(count):
        curve.add(Log(step=step, loss=1.0), float(step))
    steps = [point.step for point in curve.points]
    assert len(steps) <= MOST_POINTS
    assert steps == sorted(set(steps))
    if count:
        assert steps[0] == 0
        assert steps[-1] == count - 1
        assert len(steps) >= min(count, MOST_POINTS // 2)


def test_what_was_said_last_is_declared():
    curve = Curve()
    assert curve.declared() == Declared()
    curve.add(Log(step=1, tokens=64, loss=3.0, metrics={"lr": 0.1}), 0.5)
    curve.add(Log(step=2, tokens=128, metrics={"\x1b[31mlr": 0.2} | {f"m{i}": 0.0 for i in range(99)}), 0.6)
    declared = curve.declared()
    assert (declared.steps, declared.tokens, declared.loss_nats) == (2, 128, None)
    assert len(declared.metrics) == MOST_METRICS
    assert declared.metrics["[31mlr"] == 0.2
