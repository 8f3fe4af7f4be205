"""kill -9 of the harness at every phase: nothing runs on, nothing half is left, and the next command tells the story.

dies.py is the command line in a process that kills itself at a named moment, so that nobody has to be quick.
"""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from harness import journal
from harness.result import Record, Verdict, encode
from harness.sandbox import choose
from speedrun import device_lock
from tests.speedrun import dies
from tests.speedrun.process import SPEEDRUN

ROOT = Path(__file__).resolve().parents[2]
DEATH_PATIENCE_S = 30  # a tree dies in milliseconds; what measures the machine ends by itself within seconds
RUN_PATIENCE_S = 240
VERDICT_WAS_WRITTEN = {"sample", "calibration afterwards", "store"}

SAVES_FOR_EVER = """

def save(model, folder):
    time.sleep(3600)


def load(run, model, folder):
    return model
"""


@pytest.fixture
def killed(workspace) -> Callable[..., list[tuple[int, float]]]:
    """`killed("train", "run", "mine", …)`: the processes that were below a command when it died at this moment."""

    def killed(moment: str, *arguments: str) -> list[tuple[int, float]]:
        done = subprocess.run(
            [sys.executable, dies.__file__, moment, *arguments],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=RUN_PATIENCE_S,
        )
        assert done.returncode == -9, done
        assert "Traceback" not in done.stderr
        return [(pid, born) for pid, born in json.loads(done.stdout.splitlines()[-1])]

    return killed


def survivors(below: list[tuple[int, float]]) -> list[psutil.Process]:
    """Those that still run when they have had time to die."""
    living = []
    for pid, born in below:
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(pid)
            if process.create_time() == born:
                living.append(process)
    return psutil.wait_procs(living, timeout=DEATH_PATIENCE_S)[1]


def records(workspace) -> list[Record]:
    """Every stored record; each must be whole."""
    paths = sorted(workspace.results.glob("*/*.json"))
    return [msgspec.json.decode(path.read_bytes(), type=Record) for path in paths]


@pytest.mark.sandbox
@pytest.mark.redteam
@pytest.mark.parametrize("moment", [moment for moment in dies.MOMENTS if moment != "settle"])  # which is shown below
def test_a_harness_that_is_killed_leaves_one_record(workspace, speedrun, entry, blink, killed, tally, moment):
    folder = entry("mine")
    if moment == "save":
        source = folder / "speedrun.py"
        source.write_text(source.read_text() + SAVES_FOR_EVER)
    patience_s = "500" if moment == "train" else "0"
    below = killed(moment, "run", "mine", "--track", blink, "--quiet", "--patience-s", patience_s)
    left = survivors(below)
    before = records(workspace)
    with device_lock.hold(["cpu"], "the next one", wait=False, say=print):
        pass  # nothing that is dead holds it

    expected = Verdict.OK if moment in VERDICT_WAS_WRITTEN else Verdict.INTERRUPTED
    said = speedrun("show", "last") if moment in VERDICT_WAS_WRITTEN else speedrun("leaderboard", "--track", blink)
    again = speedrun("leaderboard", "--track", blink)
    got = "; ".join(str(record.verdict) for record in records(workspace))
    tally(f"kill -9 during {moment}", level=choose(None), expected=expected, got=got if not left else f"{left} live on")

    assert below or moment in ("verdict", "store")  # there was something to be killed with it
    assert left == []
    assert before == []
    (record,) = records(workspace)
    assert record.verdict is expected
    assert said.code == again.code == 0
    assert said.err == f"run {record.run_id} had ended without a word; its record says {expected}\n"
    assert again.err == ""
    assert list((workspace.cache / "runs").iterdir()) == []
    assert [path.name for path in workspace.results.rglob("*") if path.name.endswith(".tmp")] == []
    shelf = workspace.cache / "artifacts"
    # A model that is killed while it speaks has its verdict, and is not kept.
    assert [path.name for path in shelf.glob("*")] == [record.run_id] * (expected is Verdict.OK and moment != "sample")


@pytest.fixture
def pending(workspace, make_record) -> Callable[..., list[Record]]:
    """`pending(2)`: records of runs whose harness was killed before it could store them."""

    def pending(number: int, **fields) -> list[Record]:
        made = [make_record(**fields) for _ in range(number)]
        source = workspace.root / "pending"
        source.mkdir()
        for record in made:
            (source / f"{record.run_id}.json").write_bytes(encode(record))
        script = (
            "import os, pathlib, signal, sys\n"
            "from harness import journal\n"
            "from leaderboard.schema import decode\n"
            "for path in pathlib.Path(sys.argv[1]).iterdir():\n"
            "    with journal.open_run(pathlib.Path(sys.argv[2]), decode(path.read_bytes())):\n"
            "        pass\n"
            "print('open', flush=True)\n"
            "sys.stdin.read()\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        child = subprocess.Popen(
            [sys.executable, "-c", script, source, workspace.cache],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with child:
            assert child.stdout.readline() == "open\n"
            # Whoever still has something to do with the record, such as signing it, is not overtaken.
            assert journal.recover(workspace.cache) == ()
        assert child.returncode == -9
        return made

    return pending


@pytest.mark.redteam
def test_a_recovery_that_is_killed_is_done_again(workspace, speedrun, killed, pending, tally):
    (record,) = pending(1)
    for moment, stored in (("store", []), ("settle", [record])):
        assert killed(moment, "leaderboard") == []
        assert records(workspace) == stored
    said = speedrun("leaderboard")
    tally(
        "kill -9 while a dead run's record is stored",
        expected="stored once",
        got="stored once" if records(workspace) == [record] else f"{len(records(workspace))} records",
    )
    assert said.err == f"run {record.run_id} had ended without a word; its record says ok\n"
    assert records(workspace) == [record]
    assert list((workspace.cache / "runs").iterdir()) == []


@pytest.mark.redteam
def test_commands_that_recover_at_once_store_everything_once(workspace, pending, tally):
    made = pending(12)
    commands = [
        subprocess.Popen(
            [*SPEEDRUN, "leaderboard"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    said = [command.communicate(timeout=120)[1] for command in commands]
    stored = records(workspace)
    tally(
        "4 commands find 12 dead runs at once",
        expected="each stored once",
        got="each stored once" if stored == made else f"{len(stored)} stored",
    )
    assert [command.returncode for command in commands] == [0] * 4, said
    assert stored == made
    for line in "".join(said).splitlines():
        assert line.endswith("had ended without a word; its record says ok")
    assert list((workspace.cache / "runs").iterdir()) == []
    assert not (workspace.cache / "broken").exists()


def test_a_record_that_can_not_be_read_today_is_left(workspace, speedrun, make_record):
    unreadable = journal.runs_folder(workspace.cache) / "20261121-141530-mine-0000" / journal.RECORD
    unreadable.mkdir(parents=True)
    folder = journal.runs_folder(workspace.cache) / "20261121-141530-mine-3f9a"  # another version's
    folder.mkdir()
    written = encode(make_record()).replace(b'"verdict": "ok"', b'"verdict": "MARVELLOUS"')
    (folder / journal.RECORD).write_bytes(written)
    assert speedrun("leaderboard").code == 0
    assert (folder / journal.RECORD).read_bytes() == written
    assert unreadable.exists()
    assert records(workspace) == []
