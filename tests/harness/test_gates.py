"""What a track asks of an entry: each gate with an entry that passes it and one that doesn't."""

import math

import pytest

from harness.dialogue import Ending
from harness.gates import MOST_CALL_TOKENS, hold_to_floor, hold_to_parameters, hold_to_tokens, windows
from harness.protocol import Ready
from harness.result import Verdict
from harness.track import Gates


def ready(context=256, stride=256, rows=4):
    return Ready(parameters=None, context=context, stride=stride, rows=rows)


def test_windows_are_what_the_entry_asked_for():
    cut = windows(ready(context=200, stride=50), 256, 1000)
    assert (cut.targets, cut.context, cut.stride) == (1000, 200, 50)


def test_no_window_is_longer_than_the_stream():
    cut = windows(ready(), 256, 100)
    assert (cut.context, cut.stride) == (100, 100)


@pytest.mark.parametrize(
    "said",
    [
        {"context": 257},
        {"context": 0, "stride": 0},
        {"stride": 0},
        {"stride": 257, "context": 256},
        {"rows": 0},
        {"rows": MOST_CALL_TOKENS // 256 + 1},
    ],
)
def test_what_can_not_be_scored_is_refused(said):
    with pytest.raises(Ending) as ending:
        windows(ready(**said), 256, 1000)
    assert ending.value.verdict is Verdict.RULE_VIOLATION


@pytest.mark.parametrize("count", [100, 150, 200])
def test_parameters_within_the_gate_pass(count):
    hold_to_parameters(count, Gates(parameters_min=100, parameters_max=200))


@pytest.mark.parametrize("count", [99, 201, None, math.nan])
def test_parameters_outside_the_gate_do_not(count):
    with pytest.raises(Ending) as ending:
        hold_to_parameters(count, Gates(parameters_min=100, parameters_max=200))
    assert ending.value.verdict is Verdict.PARAMETER_LIMIT


def test_without_a_gate_any_model_passes():
    hold_to_parameters(None, Gates())
    hold_to_tokens(None, Gates())


def test_as_many_tokens_as_the_track_asks_for():
    hold_to_tokens(1_000, Gates(declared_tokens_min=1_000))


@pytest.mark.parametrize(("declared", "said"), [(999, "999 tokens"), (None, "no number of tokens")])
def test_fewer_tokens_than_the_track_asks_for(declared, said):
    with pytest.raises(Ending, match=said) as ending:
        hold_to_tokens(declared, Gates(declared_tokens_min=1_000))
    assert ending.value.verdict is Verdict.RULE_VIOLATION


@pytest.mark.parametrize("loss_nats", [0.2285, 0.2296, 3.0])
def test_a_loss_above_the_floor_or_a_hair_below_it_passes(loss_nats):
    hold_to_floor(loss_nats, 0.2296 - 0.0002)
    hold_to_floor(loss_nats, None)


@pytest.mark.parametrize("loss_nats", [0.2, 0.0, -1.0, math.nan])
def test_nobody_beats_who_wrote_the_text(loss_nats):
    with pytest.raises(Ending, match="knows the text itself") as ending:
        hold_to_floor(loss_nats, 0.2296)
    assert ending.value.verdict is Verdict.RULE_VIOLATION
