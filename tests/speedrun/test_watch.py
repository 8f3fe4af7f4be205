"""Watching a run from another process: what it says comes through, and nothing is taken from it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from harness import event_log, journal
from harness.events import Event, Logged, Noted, PhaseBegan, Ticked
from harness.result import CurvePoint, Record, Verdict, encode
from leaderboard.store import Store
from speedrun.run_watch import batches, running, state
from tests.speedrun import standin
from tests.speedrun.process import SPEEDRUN

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 180


class Standin:
    """The other end of standin.py."""

    def __init__(self, cache: Path, folder: Path, records: list[Record]) -> None:
        self.records = records
        paths = []
        for record in records:
            paths.append(folder / f"{record.run_id}.json")
            paths[-1].write_bytes(encode(record))
        self.process = subprocess.Popen(
            [sys.executable, standin.__file__, cache, *paths],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout.readline() == "open\n"

    def tell(self, *lines: str) -> None:
        self.process.stdin.write("".join(f"{line}\n" for line in lines))
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def say(self, event: Event) -> None:
        self.tell("say", msgspec.json.encode(event).decode())

    def settle(self) -> None:
        self.tell("settle")

    def die(self) -> None:
        self.process.stdin.write("die\n")
        self.process.stdin.flush()
        assert self.process.wait(PATIENCE_S) == -signal.SIGKILL


@pytest.fixture
def stand_in(workspace, tmp_path) -> Iterator[Callable[..., Standin]]:
    """`stand_in(record)`: a harness that holds these runs open; it is gone when the test is over."""
    with contextlib.ExitStack() as ending:

        def start(*records: Record) -> Standin:
            started = Standin(workspace.cache, tmp_path, list(records))
            ending.enter_context(started.process)
            ending.callback(started.process.kill)
            return started

        yield start


@pytest.fixture
def start(workspace) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a command in a process of its own, and leaves none behind."""
    with contextlib.ExitStack() as ending:

        def start(*arguments: str) -> subprocess.Popen[str]:
            process = subprocess.Popen(
                [*SPEEDRUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            ending.enter_context(process)
            ending.callback(process.kill)
            return process

        yield start


def heard(stream, beginning: str) -> list[str]:
    """The lines of a stream up to the first one that begins so."""
    lines = []
    for line in stream:
        lines.append(line.rstrip("\n"))
        if line.startswith(beginning):
            return lines
    raise AssertionError(f"{beginning!r} was never said: {lines}")


def folder_of(workspace, record: Record) -> Path:
    return journal.runs_folder(workspace.cache) / record.run_id


def test_a_living_run_a_dead_one_and_one_that_is_settled(workspace, make_record, stand_in):
    record = make_record(verdict=Verdict.INTERRUPTED)
    folder = folder_of(workspace, record)
    assert state(folder) == "settled"
    harness = stand_in(record)
    for _ in range(3):  # to look takes nothing from it
        assert state(folder) == "going on"
        assert journal.recover(workspace.cache) == ()
    assert [one.record for one in running(workspace.cache)] == [record]
    harness.die()
    assert state(folder) == "dead"
    assert running(workspace.cache) == ()
    assert journal.recover(workspace.cache) == (record,)  # whoever looked at it holds nothing
    journal.settle(workspace.cache, record.run_id)
    assert state(folder) == "settled"


def test_a_lock_that_nobody_may_open_is_no_sign_of_death(workspace, make_record, stand_in):
    record = make_record(verdict=Verdict.INTERRUPTED)
    stand_in(record)
    lock = folder_of(workspace, record) / journal.LOCK
    lock.rename(lock.with_name("elsewhere"))
    lock.symlink_to("elsewhere")
    assert state(folder_of(workspace, record)) == "going on"


def test_everything_that_a_run_says_comes_through_once(workspace, make_record, stand_in):
    record = make_record(verdict=Verdict.INTERRUPTED)
    harness = stand_in(record)
    said = [PhaseBegan("setup", 300.0), Noted("first"), PhaseBegan("train", 8.0), Ticked("train", 1.0, 0.5)]
    said += [Logged(CurvePoint(elapsed_s=2.0 + second, loss_nats=3.0), {}) for second in range(3)]
    for event in said[:3]:
        harness.say(event)
    later = [lambda: harness.say(said[3]), lambda: [harness.say(event) for event in said[4:]], lambda: None]
    later += [harness.settle]
    found = list(batches(folder_of(workspace, record), sleep=lambda _: later.pop(0)()))
    assert found == [said[:3], said[3:4], said[4:]]
    assert later == []


def test_what_a_run_says_last_is_not_lost_with_its_folder(workspace, make_record, stand_in):
    record = make_record(verdict=Verdict.INTERRUPTED)
    harness = stand_in(record)
    harness.say(PhaseBegan("twin", 60.0))
    last = [PhaseBegan("sample", 20.0), Noted("the last words")]

    def end(_: float) -> None:
        for event in last:
            harness.say(event)
        harness.settle()

    assert list(batches(folder_of(workspace, record), sleep=end)) == [[PhaseBegan("twin", 60.0)], last]


def test_half_a_line_waits_for_its_other_half(workspace, make_record, stand_in):
    record = make_record(verdict=Verdict.INTERRUPTED)
    harness = stand_in(record)
    harness.say(Noted("whole"))
    path = folder_of(workspace, record) / event_log.EVENTS
    line = msgspec.json.encode(Noted("in two parts")) + b"\n"

    def write(data: bytes) -> None:
        with path.open("ab") as out:
            out.write(data)

    later = [lambda: write(b'{"type":"marvel"}\nno json\n' + line[:9]), lambda: write(line[9:]), harness.die]
    found = list(batches(folder_of(workspace, record), sleep=lambda _: later.pop(0)()))
    assert found == [[Noted("whole")], [Noted("in two parts")]]


def test_what_is_to_be_watched_is_named(workspace, speedrun, stored, make_record, stand_in):
    nothing = speedrun("watch")
    assert (nothing.code, nothing.out) == (2, "")
    assert nothing.err == "error: no run is in progress; speedrun run baseline --track cpu-smoke starts one\n"

    over = make_record(entry="mine")
    stored(over)
    none = speedrun("watch")
    assert none.err == f"error: no run is in progress; the last one was {over.run_id} (speedrun show last)\n"
    ended = speedrun("watch", over.run_id[:17])
    assert ended.code == 0
    assert ended.err == f"run {over.run_id} has ended\n"
    assert ended.out.startswith("✓ ok  mine on cpu-smoke\n")
    assert f"record      leaderboard/results/cpu-smoke/{over.run_id}.json\n" in ended.out

    assert speedrun("watch", "last").out == ended.out

    first, second = make_record(verdict=Verdict.INTERRUPTED), make_record(verdict=Verdict.INTERRUPTED)
    stand_in(first, second)
    several = speedrun("watch")
    assert (several.code, several.out) == (2, "")
    assert several.err == (
        f"error: 2 runs are in progress: {first.run_id}, {second.run_id}; name one: speedrun watch RUN\n"
    )
    unknown = speedrun("watch", "20261121-999")
    assert unknown.code == 2
    assert unknown.err.startswith("error: no run '20261121-999'; in progress: ")
    assert unknown.err.count("\n") == 1
    assert speedrun("watch", "").code == 2


def test_the_record_that_is_stored_is_what_is_told(workspace, make_record, stand_in, start):
    """The one in the folder is that of the start; and the verdict is the exit code."""
    first = make_record(verdict=Verdict.INTERRUPTED)
    harness = stand_in(first)
    harness.say(PhaseBegan("train", 8.0))
    harness.say(Ticked("train", 3.0, 0.5))
    watching = start("watch")
    said = heard(watching.stderr, "  ")
    assert said[:2] == [f"baseline on cpu-smoke · run {first.run_id}", "training, at most 8 s"]
    assert float(said[2].split()[0]) >= 3.0  # counted from when the phase began, not from when somebody looked
    assert said[2].endswith(" of 8 s · 0.50 GiB")
    Store(workspace.results).add(make_record(run_id=first.run_id))
    harness.settle()
    out, err = watching.communicate(timeout=PATIENCE_S)
    assert (watching.returncode, err) == (0, "")
    assert out.startswith("✓ ok  baseline on cpu-smoke\n")
    assert "next        " in out


def test_the_last_run_in_progress_may_be_meant_and_a_broken_record_is_no_missing_one(
    workspace, make_record, stand_in, start
):
    older, run = (make_record(entry=name, verdict=Verdict.INTERRUPTED) for name in ("older", "younger"))
    stand_in(older)
    harness = stand_in(run)
    watching = start("watch", "last")
    heard(watching.stderr, "younger on")
    broken = workspace.results / run.track.id / f"{run.run_id}.json"
    broken.parent.mkdir(parents=True, exist_ok=True)
    broken.write_text("{")
    harness.settle()
    out, err = watching.communicate(timeout=PATIENCE_S)
    assert (watching.returncode, out) == (2, "")
    assert err.splitlines()[-1].startswith(f"error: the record {run.track.id}/{run.run_id}.json is broken: ")


def test_a_run_that_was_killed_is_told_of(workspace, make_record, stand_in, start):
    record = make_record(verdict=Verdict.INTERRUPTED)
    harness = stand_in(record)
    watching = start("watch", record.run_id)
    heard(watching.stderr, "baseline on")
    harness.die()
    out, err = watching.communicate(timeout=PATIENCE_S)
    assert watching.returncode == 1
    assert err.splitlines()[-1] == f"run {record.run_id} had ended without a word; its record says INTERRUPTED"
    assert out.startswith("✗ INTERRUPTED  baseline on cpu-smoke\n")
    assert Store(workspace.results).get(record.run_id) == record
    assert list(journal.runs_folder(workspace.cache).iterdir()) == []


def test_json_is_a_line_an_event_and_then_the_answer(workspace, make_record, stand_in, start, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    first = make_record(verdict=Verdict.INTERRUPTED)
    harness = stand_in(first)
    said = [PhaseBegan("train", 8.0), Noted("##[group]\n::error::no")]
    for event in said:
        harness.say(event)
    watching = start("watch", "--json")
    lines = [watching.stdout.readline() for _ in said]
    assert [msgspec.json.decode(line, type=Event) for line in lines] == said
    assert "##[" not in "".join(lines)
    Store(workspace.results).add(make_record(run_id=first.run_id))
    harness.settle()
    out, err = watching.communicate(timeout=PATIENCE_S)
    assert (watching.returncode, err) == (0, "")
    answer = json.loads(out)
    assert answer["kind"] == "run"
    assert [record["run_id"] for record in answer["records"]] == [first.run_id]


def test_ctrl_c_stops_watching_and_nothing_else(workspace, make_record, stand_in, start):
    record = make_record(verdict=Verdict.INTERRUPTED)
    stand_in(record)
    watching = start("watch")
    heard(watching.stderr, "  ")  # it has caught up
    watching.send_signal(signal.SIGINT)
    out, err = watching.communicate(timeout=PATIENCE_S)
    assert (watching.returncode, out) == (130, "")
    assert err == "stopped watching; the run is left alone\n"
    assert state(folder_of(workspace, record)) == "going on"


@pytest.mark.sandbox
def test_a_real_run_is_watched_to_its_end(workspace, entry, blink, start):
    entry("mine")
    run = start("run", "mine", "--track", blink, "--patience-s", "20", "--json")
    heard(run.stderr, "setting up")  # from here on it takes longer than to start watching
    watching = start("watch")
    said = heard(watching.stderr, "training")
    (record,) = json.loads(run.communicate(timeout=PATIENCE_S)[0])["records"]
    out, err = watching.communicate(timeout=PATIENCE_S)
    assert (run.returncode, watching.returncode) == (0, 0)
    assert said[0] == f"mine on {blink} · run {record['run_id']}"
    said += err.splitlines()
    phases = [line.split(",")[0] for line in said if ", at most" in line]
    load = "loading what was saved"
    every = ["setting up", "training", "saving", load, "scoring", load, "asking the twin"]
    assert phases == every[: len(phases)]  # the last ones may be over, and their file gone, between two looks
    assert any("loss" in line and "GiB" in line for line in said)
    assert out.startswith(f"✓ ok  mine on {blink}\n")
    assert f"{record['score']['loss_nats']:.4f} nats/token" in out
