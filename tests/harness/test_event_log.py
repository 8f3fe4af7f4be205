"""What another process reads of a run in progress: whole lines, in order, and nothing that costs the run."""

import errno
import itertools
import os
from pathlib import Path

import msgspec
import pytest

from harness import event_log
from harness.event_log import EVENTS, EventLog, follow
from harness.events import Ended, Logged, Noted, PhaseBegan, Ticked
from harness.result import CurvePoint, Verdict

GOLDEN = Path(__file__).parent.parent / "golden"

EVENTS_OF_A_RUN = [
    PhaseBegan("setup", 60.0),
    Noted("a weaker level is used\nfor a reason"),
    PhaseBegan("train", None),
    Logged(CurvePoint(elapsed_s=0.5, step=1, tokens=100, loss_nats=5.5), {"lr": 0.1}),
    Ticked("train", 1.0, 0.5, None, None, clock_mhz=1500, device_memory_gib=3.5, device_busy=0.9, throttled=("heat",)),
    Ticked("score", 1.0, 0.5, 10, 20),
]


def read(path, offset):
    with path.open("rb") as stream:
        return follow(stream, offset)


@pytest.fixture
def log(tmp_path):
    log = EventLog(tmp_path)
    yield log
    log.close()


def test_events_come_back_as_they_were(log, tmp_path):
    for event in EVENTS_OF_A_RUN:
        log.write(event)
    found, end = read(tmp_path / EVENTS, 0)
    assert found == EVENTS_OF_A_RUN
    assert end == (tmp_path / EVENTS).stat().st_size
    assert read(tmp_path / EVENTS, end) == ([], end)
    log.write(Noted("more"))
    assert read(tmp_path / EVENTS, end)[0] == [Noted("more")]


def test_half_a_line_waits_for_its_end_and_nonsense_is_skipped(log, tmp_path):
    log.write(Noted("first"))
    whole = msgspec.json.encode(Noted("second")) + b"\n"
    with (tmp_path / EVENTS).open("ab") as out:
        out.write(b'{"type":"unknown"}\n\xff\xfe\n[]\n' + whole[:9])
        out.flush()
        found, place = read(tmp_path / EVENTS, 0)
        assert found == [Noted("first")]
        out.write(whole[9:])
    assert read(tmp_path / EVENTS, place)[0] == [Noted("second")]


def test_the_end_is_told_by_the_record(log, tmp_path, make_record):
    log.write(Ended(make_record()))
    assert (tmp_path / EVENTS).read_bytes() == b""


def test_points_of_training_are_thinned_and_everything_else_is_not(log, tmp_path):
    for number in range(1000):
        log.write(Logged(CurvePoint(elapsed_s=number / 1000, step=number), {}))
        log.write(Noted(str(number)))
    found, _ = read(tmp_path / EVENTS, 0)
    steps = [event.point.step for event in found if isinstance(event, Logged)]
    assert steps[0] == 0
    assert 9 <= len(steps) <= 10
    assert all(0.1 <= (after - before) / 1000 < 0.11 for before, after in itertools.pairwise(steps))
    assert sum(isinstance(event, Noted) for event in found) == 1000


def test_a_run_of_any_length_is_followed_to_its_end(tmp_path, monkeypatch):
    """Twenty thousand seconds that log ten times each, where there is room for a few thousand points."""
    monkeypatch.setattr(event_log, "MOST_BYTES", 400_000)
    log = EventLog(tmp_path)
    for number in range(200_000):
        log.write(Logged(CurvePoint(elapsed_s=number / 10, step=number), {"rate": 0.1}))
    log.write(PhaseBegan("score", 300.0))
    log.close()
    assert (tmp_path / EVENTS).stat().st_size < 402_000
    found, _ = read(tmp_path / EVENTS, 0)
    assert found[-1] == PhaseBegan("score", 300.0)
    times = [event.point.elapsed_s for event in found[:-1]]
    assert len(times) > 1000
    assert times[-1] > 18_000


def test_half_a_line_on_a_full_disk_is_an_error(tmp_path, monkeypatch):
    log, real = EventLog(tmp_path), os.write
    monkeypatch.setattr(os, "write", lambda out, data: real(out, data[:5]))
    with pytest.raises(OSError, match="No space left"):
        log.write(Noted("a line"))
    log.close()


@pytest.mark.sandbox
@pytest.mark.parametrize("full", [False, True])
def test_a_run_writes_its_events_and_a_full_disk_ends_only_their_log(full, run_folder, tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if full:
        monkeypatch.setattr(EventLog, "write", no_space)
    record, events = run_folder(GOLDEN / "bigram")
    assert record.verdict is Verdict.OK
    found, _ = read(tmp_path / "cache" / "runs" / record.run_id / EVENTS, 0)
    assert found == ([] if full else [event for event in events if not isinstance(event, Ended | Logged)])
    assert len(events) > 8


@pytest.mark.sandbox
def test_points_of_training_arrive(run_folder, tmp_path):
    record, events = run_folder(GOLDEN / "logs_a_lot")
    found, _ = read(tmp_path / "cache" / "runs" / record.run_id / EVENTS, 0)
    logged = [event for event in events if isinstance(event, Logged)]
    seen = [event for event in found if isinstance(event, Logged)]
    assert seen[0] == logged[0]
    assert 0 < len(seen) <= len(logged)
    assert all(event in logged for event in seen[:20])
