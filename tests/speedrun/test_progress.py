"""What a watcher knows: the events of a run folded into one state, on a clock that is replayed."""

import pytest

from harness.events import PhaseBegan, Ticked
from speedrun.progress import MOST_POINTS, STAGES, Accelerators, Progress
from tests.speedrun.replay import Clock, logged


def test_the_rate_is_that_of_the_last_seconds():
    progress = Progress(Clock())
    progress.take(PhaseBegan("train", 60.0))
    for second in range(10):
        progress.take(logged(second, tokens=second * 10))
    for second in range(10, 20):
        progress.take(logged(second, tokens=90 + (second - 9) * 1000))
    assert progress.tokens_a_second == pytest.approx(1000)


def test_the_curve_stays_bounded_and_keeps_its_ends():
    progress = Progress(Clock())
    for second in range(20 * MOST_POINTS):
        progress.take(logged(second))
    assert len(progress.curve) < MOST_POINTS
    assert progress.curve[0].x == 0
    assert progress.curve[-1].x > 18 * MOST_POINTS


def test_losses_that_are_no_number_are_not_drawn():
    progress = Progress(Clock())
    progress.take(logged(1.0, float("nan")))
    progress.take(logged(2.0, None))
    assert progress.curve == []


def test_a_phase_knows_how_far_it_is():
    clock = Clock()
    progress = Progress(clock)
    progress.take(PhaseBegan("score", 300.0))
    assert progress.share is None
    progress.take(Ticked("score", 1.0, memory_gib=0.5, done=25, total=100))
    assert progress.share == 0.25
    progress.take(PhaseBegan("train", 10.0))
    clock.now_s += 4.0
    assert progress.share == pytest.approx(0.4)


def test_whoever_comes_in_the_middle_learns_when_the_phase_began():
    clock = Clock()
    progress = Progress(clock)
    for event in (PhaseBegan("setup", 300.0), Ticked("setup", 9.0, 0.5), PhaseBegan("train", 60.0)):
        progress.take(event)
    progress.take(Ticked("setup", 99.0, 0.5))  # late news of another phase
    assert progress.elapsed_s == 0.0
    progress.take(Ticked("train", 40.0, 0.5))
    assert progress.elapsed_s == pytest.approx(40.0)
    clock.now_s += 2.0
    progress.take(Ticked("train", 41.5, 0.5))  # half a second on its way: the clock does not go back
    assert progress.elapsed_s == pytest.approx(42.0)


def test_a_load_belongs_to_what_it_is_for():
    progress = Progress(Clock())
    seen = [progress.stage]
    for phase in ("start", "setup", "train", "save", "load", "score", "load", "twin", "sample"):
        progress.take(PhaseBegan(phase, 10.0))
        seen.append(progress.stage)
    assert seen == [None, None, "setup", "train", "save", "score", "score", "twin", "twin", "sample"]
    assert set(seen[2:]) == set(STAGES)


def test_samples_race_against_nothing():
    """The verdict stands when they begin, and the machine may be measured when they are over."""
    progress = Progress(Clock())
    progress.take(PhaseBegan("sample", 5.0))
    assert progress.limit_s is None
    assert progress.share is None


def test_accelerators_are_there_only_where_the_driver_tells():
    progress = Progress(Clock())
    progress.take(Ticked("train", 1.0, 0.5))
    assert progress.accelerators is None
    progress.take(Ticked("train", 2.0, 0.5, clock_mhz=1590, device_busy=0.5, throttled=("power-cap",)))
    assert progress.accelerators == Accelerators(1590, None, 0.5, ("power-cap",))
