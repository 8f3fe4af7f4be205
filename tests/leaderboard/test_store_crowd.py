"""Fifty processes add records to one store at once, others read it all the while, and some writers are killed."""

import json
import os
import subprocess
import sys

import pytest

from harness.result import encode
from leaderboard.store import Store

WRITERS, VICTIMS, READERS = 50, 10, 4
OWN, SHARED = 3, 3  # records that a writer has for itself, and with one other

# Imports everything once and then forks, so that all begin within a moment: fifty interpreters would arrive one by one.
CROWD = """
import json, os, pathlib, select, signal, sys
import filelock
from leaderboard import schema
from leaderboard.store import Store
results, plan = pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text())
store = Store(results)
records = {path: schema.decode(pathlib.Path(path).read_bytes()) for files in plan["all"] for path in files}
start, go = os.pipe()
done, working = os.pipe()

def child(act):
    pid = os.fork()
    if pid:
        return pid
    try:
        os.close(go)
        os.read(start, 1)
        act()
    except BaseException as error:
        print(repr(error), flush=True)
        os._exit(1)
    os._exit(0)

def write(files):
    os.close(working)
    for path in files:
        store.add(records[path])

def be_killed(files):
    os.close(working)
    for path in files * 1000:
        store.add(records[path])

def read():
    os.close(working)
    seen = set()
    while True:
        over = bool(select.select([done], [], [], 0)[0])  # readable at its end: every writer is through
        loaded = store.load()
        assert loaded.broken == (), loaded.broken
        now = {run.run_id for run in loaded.records}
        assert len(now) == len(loaded.records), "doubled"
        assert seen <= now, "a record went away"
        for run in now - seen:
            store.get(run)
        seen = now
        if over:
            break
    assert len(seen) >= plan["least"], "some were never seen"

readers = [child(read) for _ in range(plan["readers"])]
writers = [child(lambda: write(files)) for files in plan["writers"]]
victims = [child(lambda: be_killed(files)) for files in plan["victims"]]
os.close(go)
codes = [os.waitpid(writers[0], 0)[1]]  # by now everybody is at work
for pid in victims:
    os.kill(pid, signal.SIGKILL)
codes += [os.waitpid(pid, 0)[1] for pid in writers[1:]]
os.close(working)
codes += [os.waitpid(pid, 0)[1] for pid in readers]
killed = [os.waitpid(pid, 0)[1] for pid in victims]
print(json.dumps({"failed": sum(code != 0 for code in codes), "killed": sum(code == 9 for code in killed)}))
"""


@pytest.fixture
def crowd(tmp_path, make_record):
    """The files of each writer's records: its own, and those that its neighbour adds as well, in the other order."""

    def file(record):
        path = tmp_path / f"{record.run_id}.record"
        path.write_bytes(encode(record))
        return str(path)

    def files(number, entry):
        return [file(make_record(entry=entry)) for _ in range(number)]

    writers = []
    for pair in range(WRITERS // 2):
        shared = files(SHARED, f"pair-{pair}")
        for writer, common in enumerate((shared, shared[::-1])):
            own = files(OWN, f"writer-{2 * pair + writer}")
            writers.append([path for two in zip(common, own, strict=True) for path in two])
    return writers, [files(5, f"victim-{number}") for number in range(VICTIMS)]


@pytest.mark.redteam
def test_nothing_is_lost_doubled_or_seen_half(tmp_path, crowd, tally):
    writers, victims = crowd
    results, plan = tmp_path / "results", tmp_path / "plan.json"
    least = WRITERS * OWN + WRITERS // 2 * SHARED
    told = {"all": [*writers, *victims], "writers": writers, "victims": victims, "readers": READERS, "least": least}
    plan.write_text(json.dumps(told))
    done = subprocess.run(
        [sys.executable, "-c", CROWD, results, plan], capture_output=True, text=True, timeout=300, env=os.environ
    )
    written = {path.stem: path.read_bytes() for path in results.glob("*/*.json")}
    wanted = {os.path.basename(path)[: -len(".record")]: path for files in writers for path in files}
    lost = wanted.keys() - written.keys()
    tally(
        f"{WRITERS} processes add at once, {READERS} read, {VICTIMS} are killed",
        expected="none lost, none doubled",
        got=f"{len(lost)} lost" if lost else "none lost, none doubled" if done.returncode == 0 else "failed",
    )
    assert done.stderr == ""
    *complaints, last = done.stdout.splitlines()
    assert complaints == []
    assert json.loads(last) == {"failed": 0, "killed": VICTIMS}
    assert lost == set()
    assert len(wanted) == least
    everything = {os.path.basename(path)[: -len(".record")]: path for files in (*writers, *victims) for path in files}
    for run_id, data in written.items():  # a victim's too: whole, or not there
        with open(everything[run_id], "rb") as file:
            assert data == file.read()
    loaded = Store(results).load()
    assert loaded.broken == ()
    assert {run.run_id for run in loaded.records} == written.keys()
