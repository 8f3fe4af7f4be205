"""A disk that fills up costs one line, and no result: what was reached is stored by the next command that can.

A small disk is a tmpfs in a mount namespace of its own, which only root may make; cache and results lie on it.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness import journal
from harness.result import Record, Verdict, encode
from harness.sandbox import choose

ROOT = Path(__file__).resolve().parents[2]
SIZE_MIB = 24
RUN_PATIENCE_S = 240

# The command line; the disk is filled to its last byte when a phase begins, and once more before the record is stored
# ("never": it is not).
FILLS = """
import errno, os, sys
from harness.events import Ended, PhaseBegan
from speedrun import live
from speedrun.app import main

phase, ballast = sys.argv[1:3]

class Filler(live.Silent):
    def observe(self, event):
        if isinstance(event, Ended) or isinstance(event, PhaseBegan) and event.phase == phase:
            with open(ballast, "ab", buffering=0) as out:
                for size in (1 << 20, 1 << 12, 1):
                    try:
                        while True:
                            out.write(bytes(size))
                    except OSError as error:
                        assert error.errno == errno.ENOSPC

if phase != "never":
    live.choose = lambda *arguments, **options: Filler()
sys.exit(main(sys.argv[3:]))
"""

# What is left of a verdict that is written on a full disk, with so much room kept for it.
VERDICT_ON_A_FULL_DISK = """
import pathlib, sys
from harness import journal
from leaderboard.schema import decode
cache, first, last = map(pathlib.Path, sys.argv[1:4])
journal.RESERVE_BYTES = int(sys.argv[4])
first, last = (decode(path.read_bytes()) for path in (first, last))
with journal.open_run(cache, first) as folder:
    with open(cache / "ballast", "wb", buffering=0) as out:
        for size in (1 << 12, 1):
            try:
                while True:
                    out.write(bytes(size))
            except OSError:
                pass
    try:
        journal.write(folder, last)
        journal.write(folder, last)  # once more when the machine was calibrated
    except OSError as error:
        print(error.strerror)
print(journal.recover(cache)[0].verdict)
"""


class SmallDisk:
    """Data/cache and leaderboard/results of a checkout, on one small disk that nobody else sees."""

    def __init__(self, root: Path, holder: int) -> None:
        self._holder = holder
        self._root = root
        self.ballast = root / "disk" / "ballast"

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """A command that sees the disk."""
        return subprocess.run(
            ["nsenter", "-t", str(self._holder), "-m", "--", sys.executable, "-c", *command],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=RUN_PATIENCE_S,
        )

    def speedrun(self, *arguments: str, fill_at: str = "never") -> subprocess.CompletedProcess[str]:
        return self.run(FILLS, fill_at, self.ballast, *arguments)

    def seen(self, path: Path) -> Path:
        """The path by which this process can look at it."""
        return Path(f"/proc/{self._holder}/root") / path.relative_to("/")

    def fill(self) -> None:
        with self.seen(self.ballast).open("ab", buffering=0) as out:
            for size in (1 << 20, 1 << 12, 1):
                try:
                    while True:
                        out.write(bytes(size))
                except OSError:
                    continue

    def free(self) -> None:
        self.seen(self.ballast).unlink()


def can_mount() -> bool:
    if os.getuid() != 0 or not (shutil.which("unshare") and shutil.which("nsenter")):
        return False
    trial = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    return subprocess.run(trial, capture_output=True).returncode == 0


@pytest.fixture
def disk(workspace, blink):
    if not can_mount():
        pytest.skip("needs root and mount namespaces")
    shell = (
        'mkdir -p "$1/disk" "$1/leaderboard/results" && mount -t tmpfs -o size=$2m,mode=755 none "$1/disk" && '
        'mkdir "$1/disk/results" && cp -a "$1/data/cache" "$1/disk/cache" && '
        'mount --bind "$1/disk/cache" "$1/data/cache" && '
        'mount --bind "$1/disk/results" "$1/leaderboard/results" && echo ready && exec cat'
    )
    holder = subprocess.Popen(
        ["unshare", "-m", "sh", "-c", shell, "sh", str(workspace.root), str(SIZE_MIB)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "ready\n"
        yield SmallDisk(workspace.root, holder.pid)
        holder.stdin.close()


def records(disk, workspace) -> list[Record]:
    paths = sorted(disk.seen(workspace.results).glob("*/*.json"))
    return [msgspec.json.decode(path.read_bytes(), type=Record) for path in paths]


def runs(disk, workspace) -> list[Path]:
    return list(disk.seen(journal.runs_folder(workspace.cache)).glob("*"))


@pytest.mark.sandbox
@pytest.mark.redteam
def test_a_verdict_reached_on_a_full_disk_is_stored_when_there_is_room(workspace, entry, blink, disk, tally):
    entry("mine")
    done = disk.speedrun("run", "mine", "--track", blink, "--quiet", fill_at="twin")
    lines = done.stderr.splitlines()
    full = disk.speedrun("leaderboard")
    while_full = records(disk, workspace)
    disk.free()
    after = disk.speedrun("leaderboard")
    again = disk.speedrun("leaderboard")
    stored = records(disk, workspace)
    tally(
        "the disk is full when the verdict is reached",
        level=choose(None),
        expected="one line; ok once there is room",
        got=f"{len(lines)} line; {'; '.join(str(record.verdict) for record in stored)} once there is room".replace(
            "1 line", "one line"
        ),
    )
    assert (done.returncode, done.stdout, len(lines)) == (2, "", 1), done.stderr
    assert lines[0].startswith("error: cannot write ")
    assert "No space left on device; free some space and try again" in lines[0]
    assert while_full == []
    assert full.returncode == 0
    (note,) = full.stderr.splitlines()
    assert note.endswith("; the next command tries again")
    (record,) = stored
    assert record.verdict is Verdict.OK
    assert record.ranked
    assert after.stderr == f"run {record.run_id} had ended without a word; its record says ok\n"
    assert (again.returncode, again.stderr) == (0, "")
    assert runs(disk, workspace) == []
    assert [path.name for path in disk.seen(workspace.cache / "artifacts").iterdir()] == [record.run_id]


@pytest.mark.redteam
@pytest.mark.parametrize(
    ("room_bytes", "left"),
    [(journal.RESERVE_BYTES, ["ok"]), (0, ["No space left on device", "INTERRUPTED"])],
    ids=["as-it-is", "without-the-room"],
)
def test_room_for_the_verdict_is_kept(workspace, disk, make_record, tmp_path, tally, room_bytes, left):
    """Without it the verdict is lost, so it is that room that saves it."""
    first = make_record(verdict=Verdict.INTERRUPTED)
    last = make_record(run_id=first.run_id, source="x = 1\n" * 40_000)
    for name, record in (("first", first), ("last", last)):
        (tmp_path / name).write_bytes(encode(record))
    said = disk.run(VERDICT_ON_A_FULL_DISK, workspace.cache, tmp_path / "first", tmp_path / "last", str(room_bytes))
    if room_bytes:
        tally("the disk is full when the verdict is written", expected="ok", got=said.stdout.strip())
    assert said.stderr == ""
    assert said.stdout.splitlines() == left


SAVES_TOO_MUCH = """

def save(model, folder):
    with open(f"{folder}/weights", "wb") as out:
        out.write(bytes(40 << 20))


def load(run, model, folder):
    return model
"""


@pytest.mark.sandbox
@pytest.mark.redteam
def test_an_artifact_for_which_there_is_no_room(workspace, entry, blink, disk, tally):
    source = entry("mine") / "speedrun.py"
    source.write_text(source.read_text() + SAVES_TOO_MUCH)
    done = disk.speedrun("run", "mine", "--track", blink, "--quiet")
    stored = records(disk, workspace)
    got = "; ".join(str(record.verdict) for record in stored)
    tally("the cache is full of the artifact itself", level=choose(None), expected=Verdict.INTERNAL_ERROR, got=got)
    (record,) = stored
    assert (done.returncode, done.stderr) == (1, "")
    assert record.verdict is Verdict.INTERNAL_ERROR, record.reason  # ours, not the contestant's
    assert "No space left on device" in record.reason
    assert runs(disk, workspace) == []


FILLS_SCRATCH = """

honest = train


def train(run, model):
    with open(run.scratch + "/blob", "wb", buffering=0) as blob:
        try:
            while True:
                blob.write(bytes(1 << 16))
        except OSError as error:
            print("no room:", error.strerror, flush=True)
    return honest(run, model)
"""


@pytest.mark.sandbox
@pytest.mark.redteam
def test_an_entry_that_fills_the_disk_from_its_scratch_folder(workspace, entry, blink, disk, tally):
    """At the level where scratch is a folder on the disk; elsewhere it is a disk of its own."""
    source = entry("mine") / "speedrun.py"
    source.write_text(source.read_text() + FILLS_SCRATCH)
    done = disk.speedrun("run", "mine", "--track", blink, "--quiet", "--level", "landlock")
    stored = records(disk, workspace)
    got = "; ".join(str(record.verdict) for record in stored)
    tally("the entry fills the disk and goes on", level="landlock", expected=Verdict.CRASHED, got=got)
    (record,) = stored
    assert (done.returncode, done.stderr) == (1, "")
    assert record.verdict is Verdict.CRASHED, record.reason
    assert "no room: No space left on device" in record.log_tail, record.reason
    assert record.declared.tokens  # it trained, and could not save
    assert runs(disk, workspace) == []


def _one_line(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 2 and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.redteam
def test_nothing_begins_on_a_full_disk(workspace, entry, blink, disk, tally):
    entry("mine")
    small = disk.speedrun("data", "prepare", "tales")
    disk.fill()
    begun = disk.speedrun("run", "mine", "--track", blink, "--quiet")
    prepared = disk.speedrun("data", "prepare", "tales")
    read = disk.speedrun("leaderboard")
    told = all(map(_one_line, (small, begun, prepared)))
    tally("a run and a data set on a full disk", expected="one line", got="one line" if told else "more or less")
    assert told, (small, begun, prepared)
    assert "of disk in data/cache" in small.stderr
    assert "No space left on device" in begun.stderr
    assert (read.returncode, read.stderr) == (0, "")
    assert runs(disk, workspace) == []
    assert list(disk.seen(workspace.cache / "tales").glob("*.bin*")) == []
    disk.free()
    assert disk.speedrun("leaderboard").stderr == ""
    assert records(disk, workspace) == []
