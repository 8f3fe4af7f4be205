"""The process on a node that makes runs, as the engine's workers use it; no cluster is needed for that."""

import contextlib
import os
import signal
import subprocess
import sys
import time

import msgspec
import psutil
import pytest

from harness import submission
from harness.errors import UserError
from harness.result import Verdict
from leaderboard.schema import decode
from speedrun.cluster import node, orders, task
from speedrun.cluster.orders import Began, Failed, Lost, Made, Mistaken, Order, Refused
from speedrun.workspace import Workspace, find_workspace


@pytest.fixture(autouse=True)
def nobody_waits_before_and_after(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEEDRUN_NODE", str(tmp_path / "node"))
    assert task._waiting == []
    yield
    while task._waiting:
        task._waiting.pop().end()


def order_on(track):
    source = submission.load(find_workspace().template, "template").source
    return orders.encode(
        Order(job="a test", entry="template", source=source, track=track, dataset=None, level=None, practice=True)
    )


@pytest.fixture
def order():
    """One that is refused at once: there is no such track."""
    return order_on("nowhere")


def ask(order):
    return orders.decode(task.carry_out(order, lambda said: None))


def waiting():
    (maker,) = task._waiting
    return maker._process.pid


def makers():
    """The processes below this one that make runs; other tests have left or are ending others."""
    found = set()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it ends, or has ended and nobody has taken notice
            if "speedrun.cluster.node" in child.cmdline():
                found.add(child.pid)
    return found


def runs(process):
    """A zombie, of which nobody has taken notice yet, does not."""
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone(process):
    until_s = time.monotonic() + 10
    while runs(process) and time.monotonic() < until_s:
        time.sleep(0.01)
    assert not runs(process)


def test_one_process_takes_order_after_order(order):
    first = ask(order)
    process = waiting()
    assert isinstance(first, Refused)
    assert "nowhere" in first.words
    assert ask(order) == first
    assert waiting() == process


def test_a_look_and_a_run_are_made_by_one_process(order):
    """What is known before a run says that it was interrupted, which only the run itself can take back."""
    look = msgspec.structs.replace(msgspec.json.decode(order_on("cpu-smoke"), type=Order), look=True)
    made = orders.decode(task.carry_out(orders.encode(look), lambda said: None))
    process = waiting()
    assert decode(bytes(made.record)).verdict is Verdict.INTERRUPTED
    ask(order)
    assert waiting() == process


def test_overrides_that_the_entry_does_not_take_are_no_fault_of_the_node(order):
    """Every other node would answer the same."""
    wrong = msgspec.structs.replace(msgspec.json.decode(order_on("cpu-smoke"), type=Order), overrides={"n_heads": "7"})
    answer = orders.decode(task.carry_out(orders.encode(wrong), lambda said: None))
    process = waiting()
    assert isinstance(answer, Mistaken)
    assert "must be a multiple of 4 × n_heads" in answer.words
    ask(order)
    assert waiting() == process


def test_a_node_where_a_run_can_not_begin_refuses_it(monkeypatch):
    """Its data lies where an entry could read it, say; another node may do better."""

    def begins(request, observe):
        raise UserError("the scored text lies below /usr")

    monkeypatch.setattr(node, "run_entry", begins)
    asked = msgspec.json.decode(order_on("cpu-smoke"), type=Order)
    assert node.carry_out(asked, Workspace(task.ROOT, node.home())) == Refused("the scored text lies below /usr")


def test_a_process_that_died_while_it_waited_is_replaced(order):
    first = ask(order)
    process = waiting()
    os.kill(process, signal.SIGKILL)
    psutil.Process(process).wait(10)
    assert ask(order) == first
    assert waiting() != process
    assert not psutil.pid_exists(process)


def test_a_process_that_dies_as_it_is_asked_is_replaced(order, monkeypatch):
    """In the moment between a look at it and the order."""
    first = ask(order)
    process = waiting()
    reads = task._Maker.make

    def dies(maker, order, tell):
        if maker._process.pid == process:
            maker._process.kill()
        return reads(maker, order, tell)

    monkeypatch.setattr(task._Maker, "make", dies)
    assert ask(order) == first
    assert waiting() != process
    assert not runs(process)


def test_a_process_that_dies_in_a_run_is_not_replaced(order):
    """What has begun is for the driver to make again, which it does for what is lost."""
    ask(order)
    process = waiting()

    def kill(said):
        if isinstance(orders.decode(said), Began):
            os.kill(process, signal.SIGKILL)

    lost = orders.decode(task.carry_out(order_on("cpu-smoke"), kill))
    assert isinstance(lost, Lost)
    assert lost.words.startswith("its process was killed by signal 9: ")
    assert task._waiting == []


def test_a_process_that_dies_over_an_order_says_why_and_is_used_no_more(order):
    heard = []
    failed = orders.decode(task.carry_out(b"{}", heard.append))
    assert isinstance(failed, Failed)
    assert failed.words.startswith("its process ended with 1: ")
    assert "ValidationError" in failed.words
    assert any(b"ValidationError" in said for said in heard)
    assert task._waiting == []
    assert isinstance(ask(order), Refused)


def test_a_process_that_says_nothing_any_more_is_ended(order, monkeypatch):
    silent = "import os, sys, time; os.close(1); sys.stdin.readline(); time.sleep(600)"
    start, started = subprocess.Popen, []

    def popen(command, **how):
        started.append(start([sys.executable, "-c", silent], **{**how, "cwd": None}))
        return started[0]

    monkeypatch.setattr(task.subprocess, "Popen", popen)
    monkeypatch.setattr(task, "PATIENCE_S", 0.2)
    failed = ask(order)
    assert failed == Failed("its process said nothing any more: no word before that")
    assert task._waiting == []
    (process,) = started
    assert process.returncode == -signal.SIGKILL


def test_what_the_engine_grants_is_what_a_run_gets(order, monkeypatch):
    """Its cards and threads stand in the environment, which may be another one for the next run."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    ask(order)
    process = waiting()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    ask(order)
    assert waiting() != process
    assert not runs(process)
    assert psutil.Process(waiting()).environ()["CUDA_VISIBLE_DEVICES"] == "1"


def test_whatever_the_caller_raises_ends_the_process(order, monkeypatch):
    """The engine's worker is told to stop: nobody may go on with a run that no one waits for."""

    def stop(said):
        assert len(makers()) == 1
        raise KeyboardInterrupt

    monkeypatch.setattr(task, "_is_answer", stop)
    with pytest.raises(KeyboardInterrupt):
        task.carry_out(order, lambda said: None)
    assert task._waiting == []
    assert makers() == set()


def test_a_process_that_is_told_to_stop_in_a_run_takes_no_other(order):
    """As a host does that is shut down: the run ends with a record, and then the process."""
    told = []

    def stop(said):
        if isinstance(orders.decode(said), Began) and not told:
            told.extend(makers())
            (process,) = told
            os.kill(process, signal.SIGTERM)

    made = orders.decode(task.carry_out(order_on("cpu-smoke"), stop))
    assert isinstance(made, Made)
    assert decode(bytes(made.record)).verdict is Verdict.INTERRUPTED
    assert task._waiting == []
    gone(told[0])
    assert isinstance(ask(order), Refused)
    assert waiting() != told[0]


def test_it_dies_with_the_process_that_started_it(order):
    program = (
        "import os, signal, sys\n"
        "from speedrun.cluster import task\n"
        "task.carry_out(sys.stdin.buffer.read(), lambda said: None)\n"
        "print(task._waiting[0]._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], input=order, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    gone(int(done.stdout))
