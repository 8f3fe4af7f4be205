"""A run's record is on disk before anything starts, and survives whatever kills the harness."""

import os
import signal
import subprocess
import sys

import pytest

from harness import journal
from harness.result import Verdict, encode


@pytest.fixture
def pending(make_record):
    return make_record(verdict=Verdict.INTERRUPTED)


def test_a_killed_harness_leaves_its_record(tmp_path, pending):
    source = tmp_path / "pending.json"
    source.write_bytes(encode(pending))
    script = (
        "import sys, os, pathlib, msgspec\n"
        "from harness import journal\n"
        "from harness.result import Record\n"
        "record = msgspec.json.decode(pathlib.Path(sys.argv[1]).read_bytes(), type=Record)\n"
        "with journal.open_run(pathlib.Path(sys.argv[2]), record):\n"
        "    print('open', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    cache = tmp_path / "cache"
    child = subprocess.Popen(
        [sys.executable, "-c", script, source, cache], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "open\n"
        assert journal.recover(cache) == ()  # it is still going on
        os.kill(child.pid, signal.SIGKILL)
    assert journal.recover(cache) == (pending,)
    assert journal.recover(cache) == (pending,)  # nothing is lost before it is settled
    journal.settle(cache, pending.run_id)
    assert journal.recover(cache) == ()


def test_a_folder_without_a_record_is_swept(tmp_path):
    for content in (None, b"", b"{", b"\xff"):
        folder = journal.runs_folder(tmp_path) / "x"
        folder.mkdir(parents=True)
        if content is not None:
            (folder / journal.RECORD).write_bytes(content)
        assert journal.recover(tmp_path) == ()
        assert not folder.exists()


def test_a_record_that_nobody_can_store_is_put_aside(tmp_path, pending):
    with journal.open_run(tmp_path, pending):
        pass
    place = journal.put_aside(tmp_path, pending.run_id)
    assert (place / journal.RECORD).read_bytes() == encode(pending)
    assert journal.recover(tmp_path) == ()


def test_nothing_to_recover(tmp_path):
    assert journal.recover(tmp_path / "none") == ()


def test_the_record_is_replaced_whole(tmp_path, pending, make_record):
    with journal.open_run(tmp_path, pending) as folder:
        later = make_record(run_id=pending.run_id)
        journal.write(folder, later)
        assert (folder / journal.RECORD).read_bytes() == encode(later)
    assert journal.recover(tmp_path) == (later,)
