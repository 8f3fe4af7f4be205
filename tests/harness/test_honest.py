"""Entries that cheat in nothing pass untouched, whatever they are made of: in real sandboxes.

A control is a folder under tests/golden whose expect.toml has the key `control`: one line on what is unusual about it.
Each is run once, or SPEEDRUN_HONEST_RUNS times, with fresh seeds for the entry and for the twin's sample.
"""

import os
import tomllib
from pathlib import Path

import pytest

from harness import twin
from harness.result import Record, Verdict
from harness.sandbox import RANKS_LEVELS, choose

GOLDEN = Path(__file__).resolve().parents[1] / "golden"
RUNS = int(os.environ.get("SPEEDRUN_HONEST_RUNS", "1"))
MEAN_NATS = twin.MEAN_LIMIT_NATS  # either way: half of what is noise would be a scandal already
SINGLE_NATS = twin.SINGLE_LIMIT_NATS / 2


def controls() -> dict[str, dict]:
    found = {path.parent.name: tomllib.loads(path.read_text()) for path in sorted(GOLDEN.glob("*/expect.toml"))}
    return {name: expect for name, expect in found.items() if "control" in expect}


def untouched(record: Record, below_nats: float) -> bool:
    """Scored, ranked, as good as it should be, and so like its twin that no limit is near."""
    return (
        record.verdict is Verdict.OK
        and record.ranked
        and 0 < record.score.loss_nats < below_nats
        and record.twin.kind == "honest"
        and abs(record.twin.advantage_nats) < MEAN_NATS
        and record.twin.largest_nats < SINGLE_NATS
    )


def told(record: Record) -> str:
    """What a reader wants to know of a run that should have passed."""
    if record.score is None or record.twin is None:
        return f"{record.verdict}: {record.reason}"
    return (
        f"{record.verdict}, ranked {record.ranked}, loss {record.score.loss_nats:.4f}, advantage "
        f"{record.twin.advantage_nats:.2e}, largest {record.twin.largest_nats:.2e} {record.reason}"
    )


@pytest.mark.sandbox
@pytest.mark.redteam
@pytest.mark.parametrize(("name", "expect"), controls().items(), ids=controls())
def test_an_honest_entry_passes(name, expect, run_folder, tally):
    ranks = expect.get("ranks", 1)
    if ranks > 1 and choose(None) not in RANKS_LEVELS:
        pytest.skip("no level here has a network of its own")
    records = [run_folder(GOLDEN / name, track=expect.get("track"), ranks=ranks)[0] for _ in range(RUNS)]
    passed = [untouched(record, expect["below_nats"]) for record in records]
    level = records[0].environment.sandbox.level
    tally(name, level=level, expected=f"ok, {RUNS} of {RUNS}", got=f"ok, {sum(passed)} of {RUNS}")
    for record in records:
        print(told(record))
    assert all(passed), "\n".join(told(record) for record in records)


def test_there_are_as_many_as_we_say():
    assert len(controls()) >= 16
    assert all(expect["verdict"] == "ok" and expect["control"] for expect in controls().values())
