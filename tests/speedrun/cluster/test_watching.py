"""What is told of a crew at work: as lines, as events, as a table."""

import io
import json

import pytest
from rich.console import Console

from harness.result import Verdict
from speedrun.cluster import watching
from speedrun.cluster.watching import Events, Lines, Table, Watch, counts


class Clock:
    now_s = 100.0

    def __call__(self):
        return self.now_s


@pytest.fixture
def happen(make_record):
    """A short story: two seats, three runs of four, one of which is lost on the way."""

    def tell(watch, clock):
        watch.waiting(2, "2 CPUs")
        watch.seated(0, "10.0.0.7/a1b2")
        watch.seated(1, "10.0.0.8/c3d4")
        watch.started(0, "mine, run 1 of 4")
        watch.started(1, "mine, run 2 of 4")
        clock.now_s += 20
        watch.phase(0, "train", 60.0)
        watch.finished(0, "mine, run 1 of 4", make_record(loss_nats=1.25))
        watch.started(0, "mine, run 3 of 4")
        watch.lost(1, "mine, run 2 of 4", "the node \x1b[2J died")
        clock.now_s += 10

    return tell


def watched(watch_class, happen, *arguments):
    clock = Clock()
    watch = watch_class("mine on cpu-blink", *arguments, 4)
    watch._now = clock
    watch._began_s = clock.now_s
    happen(watch, clock)
    return watch, clock


def test_the_state_counts_and_foretells(happen):
    watch, clock = watched(Watch, happen)
    assert (watch.done, watch.running, watch.queued) == (1, 1, 2)
    assert watch.remaining_s == pytest.approx(10 + 2 * 20)  # half a run that is going on, two to come, one seat
    assert counts(watch) == "1 done, 1 running, 2 queued, about 50 s left"
    clock.now_s += 1000  # longer than any before: it may end at any moment
    assert watch.remaining_s == pytest.approx(2 * 20)


def test_before_the_first_run_has_ended_nothing_is_foretold():
    watch = Watch("a title", 4)
    watch.seated(0, "a node")
    watch.started(0, "mine")
    assert watch.remaining_s is None
    assert counts(watch) == "0 done, 1 running, 3 queued"
    assert counts(Watch("a title")) == "0 done, 0 running"  # nobody knows how many


def test_lines_say_what_begins_and_ends_and_is_lost(happen):
    out = io.StringIO()
    watched(Lines, happen, out)
    assert out.getvalue().splitlines() == [
        "mine on cpu-blink",
        "waiting for 2 nodes with 2 CPUs to be free",
        "[10.0.0.7/a1b2] ready",
        "[10.0.0.8/c3d4] ready",
        "[10.0.0.7/a1b2] mine, run 1 of 4 begins",
        "[10.0.0.8/c3d4] mine, run 2 of 4 begins",
        "[10.0.0.7/a1b2] mine, run 1 of 4: ok, loss 1.2500 · 1 done, 1 running, 2 queued, about 20 s left",
        "[10.0.0.7/a1b2] mine, run 3 of 4 begins",
        "[10.0.0.8/c3d4] mine, run 2 of 4 is made again: the node [2J died",
    ]


def test_events_are_one_json_object_a_line(happen):
    out = io.StringIO()
    watched(Events, happen, out)
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [event["event"] for event in events] == [
        *("waiting", "seated", "seated", "started", "started", "phase", "finished", "started", "lost"),
    ]
    ended = events[6]
    assert (ended["verdict"], ended["loss_nats"], ended["job"]) == ("ok", 1.25, "mine, run 1 of 4")
    assert (ended["done"], ended["running"], ended["queued"]) == (1, 1, 2)
    assert ended["time_s"] == 20.0


@pytest.mark.parametrize("width", [60, 120])
def test_the_table_has_a_row_for_every_node(happen, width):
    console = Console(file=io.StringIO(), width=width, height=20, force_terminal=False)
    watch, _ = watched(Table, happen, console)
    console.print(watch.frame())
    lines = console.file.getvalue().splitlines()
    assert lines[0].startswith("mine on cpu-blink · 1 done, 1 running, 2 queued")
    assert any("10.0.0.7/a1b2" in line and "mine, run 3 of 4" in line and "10 s" in line for line in lines)
    assert not any("10.0.0.8" in line for line in lines), "it is lost"
    assert all(len(line) <= width for line in lines)
    assert "\x1b[2J" not in console.file.getvalue()


def test_a_failed_run_is_told_without_a_loss(make_record):
    out = io.StringIO()
    watch = Lines("a title", out, 1)
    assert out.getvalue() == ""  # a cluster that does not answer has an error, and nothing before it
    watch.seated(0, "a node")
    assert out.getvalue().splitlines() == ["a title", "[a node] ready"]
    watch.started(0, "mine")
    watch.finished(0, "mine", make_record(verdict=Verdict.CRASHED))
    assert out.getvalue().splitlines()[-1] == "[a node] mine: CRASHED · 1 done, 0 running, 0 queued"


def test_what_has_to_be_read_is_told_however_quiet_it_is(capsys):
    for quiet in (True, False):
        watching.choose("t", total=1, quiet=quiet, json=False).say("it is not signed")
        assert capsys.readouterr().err == "it is not signed\n"
    watching.choose("t", total=1, quiet=True, json=True).say("it is not signed")
    event = json.loads(capsys.readouterr().err)
    assert (event["event"], event["words"]) == ("note", "it is not signed")


def test_what_is_expected_can_change():
    watch = Watch("a title")
    assert watch.queued is None
    watch.expect(10)
    watch.expect(-4)
    assert (watch.total, watch.queued) == (6, 6)


def test_who_looks_is_chosen_by_the_options(monkeypatch):
    assert type(watching.choose("t", total=1, quiet=False, json=True)) is Events
    assert type(watching.choose("t", total=1, quiet=True, json=False)) is Watch
    assert type(watching.choose("t", total=1, quiet=False, json=False)) is Lines
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert type(watching.choose("t", total=1, quiet=False, json=False)) is Table
