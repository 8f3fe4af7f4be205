"""What a run's page says of its curve; what its script draws is in tests/browser."""

import math

from harness.result import CurvePoint, Verdict
from leaderboard.site.curve_view import Level, curve_view
from leaderboard.site.drawing import FARTHEST


def points(*losses):
    return tuple(
        CurvePoint(elapsed_s=0.5 * (index + 1), step=10 * index, loss_nats=loss) for index, loss in enumerate(losses)
    )


def test_the_numbers_that_matter_are_said(make_record):
    record = make_record(curve=points(5.0, 3.0, 2.0), loss_nats=1.9, target_nats=1.8, floor_nats=0.2296)
    view = curve_view(record)
    assert view.label == (
        "Training loss that baseline declared over 1.5 s: from 5.0000 to 2.0000 nats a token; scored 1.9000; "
        "target 1.8000; floor of the data set 0.2296."
    )
    assert view.levels == (
        Level(role="score", name="scored 1.9000", loss_nats=1.9),
        Level(role="target", name="target 1.8000", loss_nats=1.8),
        Level(role="floor", name="floor of the data set 0.2296", loss_nats=0.2296),
    )


def test_only_what_is_known_is_said(make_record):
    failed = curve_view(make_record(curve=points(5.0, 3.0), verdict=Verdict.TIME_LIMIT, floor_nats=None))
    assert failed.levels == ()
    assert failed.label.endswith("from 5.0000 to 3.0000 nats a token.")


def test_what_can_not_be_drawn_is_no_curve(make_record):
    for losses in ((), (5.0,), (5.0, math.nan), (None, math.inf, -math.inf, 2 * FARTHEST, 3.0)):
        assert curve_view(make_record(curve=points(*losses))) is None, losses
    strange = curve_view(make_record(curve=points(math.nan, 5.0, None, 2 * FARTHEST, 3.0, math.inf)))
    assert "over 2.5 s: from 5.0000 to 3.0000" in strange.label
