"""The process on a node that makes runs, as the engine's workers use it; no cluster is needed for that."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from harness import submission
from speedrun.cluster import orders, task
from speedrun.cluster.orders import Failed, Order, Refused
from speedrun.workspace import find_workspace


@pytest.fixture(autouse=True)
def nobody_waits_before_and_after(tmp_path, monkeypatch):
    monkeypatch.setenv("SPEEDRUN_NODE", str(tmp_path / "node"))
    assert task._waiting == []
    yield
    while task._waiting:
        task._waiting.pop().end()


@pytest.fixture
def order():
    """One that is refused at once: there is no such track."""
    entry = submission.load(find_workspace().template, "template")
    asked = Order(
        job="a test",
        entry="template",
        source=entry.source,
        track="nowhere",
        dataset=None,
        level=None,
        practice=True,
    )
    return orders.encode(asked)


def ask(order):
    return orders.decode(task.carry_out(order, lambda said: None))


def waiting():
    (maker,) = task._waiting
    return maker._process.pid


def test_one_process_takes_order_after_order(order):
    first = ask(order)
    process = waiting()
    assert isinstance(first, Refused)
    assert "nowhere" in first.words
    assert ask(order) == first
    assert waiting() == process


def test_a_process_that_died_while_it_waited_is_replaced(order):
    first = ask(order)
    process = waiting()
    os.kill(process, signal.SIGKILL)
    psutil.Process(process).wait(10)
    assert ask(order) == first
    assert waiting() != process
    assert not psutil.pid_exists(process)


def test_a_process_that_dies_over_an_order_says_why_and_is_used_no_more(order):
    heard = []
    failed = orders.decode(task.carry_out(b"{}", heard.append))
    assert isinstance(failed, Failed)
    assert failed.words.startswith("its process ended with 1: ")
    assert "ValidationError" in failed.words
    assert any(b"ValidationError" in said for said in heard)
    assert task._waiting == []
    assert isinstance(ask(order), Refused)


def test_whatever_the_caller_raises_ends_the_process(order, monkeypatch):
    """The engine's worker is told to stop: nobody may go on with a run that no one waits for."""
    before = set(psutil.Process().children())

    def stop(said):
        raise KeyboardInterrupt

    monkeypatch.setattr(task, "_is_answer", stop)
    with pytest.raises(KeyboardInterrupt):
        task.carry_out(order, lambda said: None)
    assert task._waiting == []
    assert set(psutil.Process().children()) == before


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
    process, until_s = int(done.stdout), time.monotonic() + 10
    while psutil.pid_exists(process) and time.monotonic() < until_s:
        time.sleep(0.01)
    assert not psutil.pid_exists(process)
