"""What the entries of the benchmarks do before the clock, and when the plain GPT stops.

Each in a process of its own: an entry's module has the name of the installed package.
"""

import subprocess
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
FIXED_STEPS, PLAIN = BENCH / "entries" / "fixed_steps", BENCH / "baselines" / "plain_gpt"
TEMPLATE = BENCH.parent / "template"
SMALL = {"d_model": 32, "context": 64}
BEGINNING = """
import sys
from types import SimpleNamespace
sys.path.insert(0, {bench!r})
import numpy, torch
from bare import BareJob, BareRun, module
config = module("config", {folder!r}).Config(**{overrides})
entry = module("speedrun", {folder!r})
run = BareRun(BareJob(folder={folder!r}, overrides={{}}, shards=(), threads=1, vocab_size=50, seed=0), config)
run.device, run.max_context = "cpu", 64
def set_up(phase):
    run.phase = phase
    torch.manual_seed(0)
    return entry.setup(run)
"""
SET_UP = """
fresh = set_up("score").state_dict()
assert "torch._dynamo" not in sys.modules
warm = set_up("train").state_dict()
print("torch._dynamo" in sys.modules, all(torch.equal(fresh[name], warm[name]) for name in fresh))
"""
CLOCK = """
clock = iter({clock})
run.progress = lambda: next(clock)
run.track = SimpleNamespace(limit_s=60.0)
"""
TRAIN = """
model = set_up("train")
run.shards = (numpy.zeros(1000, dtype="<u2"),)
steps = []
run.log = lambda **told: steps.append(told["step"])
entry.train(run, model)
print(len(steps))
"""
PACE = """
run.rank, run.world_size, steps = 0, 1, 1
pace = entry.Pace(run)
while pace.time_for_another():
    steps += 1
print(steps)
"""


def said(folder, program, **overrides):
    beginning = BEGINNING.format(bench=str(BENCH), folder=str(folder), overrides=SMALL | overrides)
    command = [sys.executable, "-B", "-c", beginning + program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize(("folder", "overrides"), [(FIXED_STEPS, {}), (PLAIN, {"compile_s": 0})])
def test_set_up_imports_what_the_optimiser_needs_and_changes_no_weight(folder, overrides):
    assert said(folder, SET_UP, **overrides) == ["True", "True"]


@pytest.mark.parametrize(
    ("clock", "steps"),
    [
        ([0.01 * step for step in range(101)], 97),  # at 0.97 there is no room for two more before 0.99 − 0.2 / 60
        ([*(0.01 * step for step in range(6)), *(0.25 + 0.01 * step for step in range(76))], 78),  # a stall of 0.2
        ([*(0.01 * step for step in range(60)), *(0.79 + 0.01 * step for step in range(22))], 60),  # one near the end
    ],
)
def test_the_plain_gpt_stops_by_the_templates_rule(clock, steps):
    read = CLOCK.format(clock=clock)
    assert said(PLAIN, read + TRAIN, compile_s=0) == said(TEMPLATE, read + PACE) == [str(steps)]
