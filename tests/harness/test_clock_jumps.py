"""Clocks that jump: limits hold on the harness's own clock, and the wall clock only names a run.

The worker is hostile_worker.py without an attack, which needs no torch, so that a run takes a second.
"""

import dataclasses
import datetime
import itertools
import math
import time

import msgspec
import pytest

from harness import first_record
from harness.result import Verdict, encode
from harness.sandbox import choose
from leaderboard.schema import decode
from leaderboard.store import Store
from tests.harness import facing_hostile_worker
from tests.harness.conftest import JumpingClock
from tests.harness.test_hostile_worker import LATE

pytestmark = [pytest.mark.sandbox, pytest.mark.redteam]

JUMP_S = 10_000.0


class Jump:
    """The machine's clock, which jumps for good at the nth look after a phase has begun."""

    def __init__(self, phase: str, looks: int, by_s: float) -> None:
        self._phase = phase
        self._left = looks
        self._by_s = by_s
        self._began = False

    def now(self) -> float:
        self._left -= self._began
        return time.monotonic() + self._by_s * (self._left <= 0)

    def watch(self, event) -> None:
        self._began = self._began or getattr(event, "phase", None) == self._phase


@pytest.fixture
def request_of(prose, tmp_path):
    return facing_hostile_worker.hostile_request(tmp_path, prose, choose(None))


def honest_run(request, clock):
    record, phases = facing_hostile_worker.run(request, "nothing", "never", clock)
    assert decode(encode(record)) == record
    return record, phases


def spans(record):
    """Every time that the record tells, in seconds."""
    return [value for value in msgspec.to_builtins(record.times).values() if value is not None]


@pytest.mark.parametrize("phase", ["train", "save", "score", "twin"])  # the others: "silent" in test_hostile_worker.py
def test_a_jump_ahead_ends_the_phase_that_it_falls_into(request_of, tally, phase):
    record, phases = honest_run(request_of, Jump(phase, 5, JUMP_S))
    tally(f"the clock jumps {JUMP_S:,.0f} s ahead in {phase}", expected=LATE[phase], got=record.verdict)
    assert (record.verdict, phases[-1]) == (LATE[phase], phase)
    assert not record.scored


def test_done_is_never_taken_after_a_jump(request_of, tally):
    """Wherever in the timed phase it falls: between GO and DONE, or between DONE and the look at the clock."""
    late = {}
    for looks in range(2, 9):  # the first says when the phase began, the eighth when DONE was heard: there is no fewer
        record, _ = honest_run(request_of, Jump("train", looks, JUMP_S))
        if record.verdict is not Verdict.TIME_LIMIT:
            late[looks] = str(record.verdict)
    got = f"{len(late)} times not" if late else "TIME_LIMIT"
    tally("the clock jumps at the nth look in train, for each n", expected=Verdict.TIME_LIMIT, got=got)
    assert late == {}


def test_the_wall_clock_only_names_a_run(request_of, tally, tmp_path, monkeypatch):
    request = dataclasses.replace(request_of, keep=1)
    moments = [
        datetime.datetime(year, 2, 28, 23, 59, 59, 999_999, tzinfo=datetime.UTC) for year in (2026, 2099, 1970, 2026)
    ]
    wall = itertools.cycle(moments)

    class Wall(datetime.datetime):
        @classmethod
        def now(cls, zone=None):
            return next(wall)

    seconds = itertools.cycle((4e9, -5.0, 0.0, math.pi))
    store, made = Store(tmp_path / "results"), []
    with monkeypatch.context() as patched:
        patched.setattr(first_record.datetime, "datetime", Wall)
        patched.setattr(time, "time", lambda: next(seconds))
        for _ in moments:
            record, _ = honest_run(request, JumpingClock(None))
            store.add(record)
            made.append(record)
            kept = [path.name for path in (request.cache / "artifacts").iterdir()]
            assert kept == [record.run_id]  # the one just made, whatever year the others say they are of
    loaded = store.load()
    good = len({record.run_id for record in made}) == len(moments) and loaded.broken == ()
    tally(
        "the wall clock jumps by decades between runs",
        expected="unique ids, true times",
        got="unique ids, true times" if good else "doubled or broken",
    )
    assert good
    assert [run.run_id for run in loaded.records] == sorted(record.run_id for record in made)
    assert [record.started_at[:4] for record in made] == ["2026", "2099", "1970", "2026"]
    for record in made:
        assert record.verdict is Verdict.OK, record.reason
        assert all(0 <= span < 60 for span in spans(record))
        assert record.times.total_s > record.times.setup_s + record.times.score_s
