"""What the parent measures, on real processes, files and groups, without a sandbox around them."""

import mmap
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from harness import process_tree, sandbox_user
from harness.cgroup import Cgroup, Hierarchy, make_v2
from harness.errors import UserError
from harness.process_tree import ProcessTree
from harness.result import Level
from harness.sandbox import choose
from harness.sandbox_levels import Trial, trial_here
from harness.sandbox_output import TAIL_BYTES, Output
from harness.sandbox_shm import sizes_below

MIB = 2**20


@pytest.fixture
def child():
    """A process that does what it is told on its standard input, line by line."""
    code = "import sys, os, mmap\nfor line in sys.stdin:\n exec(line)\n print('done', flush=True)"
    with subprocess.Popen(
        [sys.executable, "-I", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        bufsize=1,
        start_new_session=True,
    ) as process:

        def tell(line: str) -> None:
            process.stdin.write(line + "\n")
            assert process.stdout.readline() == "done\n"

        tell.pid = process.pid
        yield tell
        process.kill()


class TestProcessTree:
    def test_finds_descendants_and_the_group(self, child) -> None:
        child("import subprocess; sleeper = subprocess.Popen(['sleep', '1000'])")
        child("far = subprocess.Popen(['sleep', '1000'], start_new_session=True)")
        assert len(ProcessTree(child.pid).processes()) == 3
        assert ProcessTree(child.pid).kill(10)
        assert ProcessTree(child.pid).processes() == []

    def test_shared_pages_are_counted_once(self, child) -> None:
        child(f"held = bytearray(b'x' * {64 * MIB})")
        alone = process_tree.usage(ProcessTree(child.pid).processes()).memory_bytes
        child("import signal; forked = [os.fork() or signal.pause() for _ in range(3)]")
        together = process_tree.usage(ProcessTree(child.pid).processes()).memory_bytes
        assert 60 * MIB < alone < together < 2 * alone
        assert ProcessTree(child.pid).kill(10)

    def test_memory_that_nobody_maps_is_counted(self, child) -> None:
        before = process_tree.usage(ProcessTree(child.pid).processes()).memory_bytes
        child(f"fd = os.memfd_create('m'); os.write(fd, bytes({20 * MIB}))")
        after = process_tree.usage(ProcessTree(child.pid).processes()).memory_bytes
        assert 20 * MIB <= after - before < 30 * MIB

    @pytest.mark.skipif(platform.machine() != "x86_64", reason="the number of exit is x86_64's")
    def test_a_process_whose_first_thread_has_ended_is_counted(self) -> None:
        code = f"""
import ctypes, signal, threading
def hold():
    memory = bytearray(b"x" * {64 * MIB})
    while b") Z" not in open("/proc/self/stat", "rb").read():
        pass
    print("ready", flush=True)
    signal.sigwait([signal.SIGUSR1])
threading.Thread(target=hold).start()
ctypes.CDLL(None).syscall(60, 0)
"""
        with subprocess.Popen([sys.executable, "-I", "-c", code], stdout=subprocess.PIPE) as process:
            assert process.stdout.readline() == b"ready\n"
            tree = ProcessTree(process.pid)
            assert process_tree.usage(tree.processes()).memory_bytes > 60 * MIB
            assert tree.kill(10)

    def test_files_without_a_name_count_as_disk(self, child, tmp_path: Path) -> None:
        path = tmp_path / "gone"
        child(f"f = open({str(path)!r}, 'wb', 0); f.write(bytes({4 * MIB})); os.unlink({str(path)!r})")
        used = process_tree.usage(ProcessTree(child.pid).processes(), disk=tmp_path.stat().st_dev)
        assert used.unlinked_bytes >= 4 * MIB

    def test_a_misleading_name_is_no_matter(self, child) -> None:
        child("open('/proc/self/comm', 'w').write('a) R 1 (b')")
        (process,) = ProcessTree(child.pid).processes()
        assert process.parent == os.getpid()


class TestScratchSizes:
    def test_links_are_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "outside").write_bytes(bytes(MIB))
        scratch = tmp_path / "scratch"
        (scratch / "a" / "b").mkdir(parents=True)
        (scratch / "a" / "b" / "file").write_bytes(b"x" * 10_000)
        (scratch / "link").symlink_to(tmp_path / "outside")
        (scratch / "loop").symlink_to(scratch)
        assert 10_000 <= sum(sizes_below(scratch)) < MIB

    def test_empty_files_cost_something(self, tmp_path: Path) -> None:
        for number in range(10):
            (tmp_path / str(number)).touch()
        assert sum(sizes_below(tmp_path)) >= 10 * 4096


class TestOutput:
    def test_keeps_the_end_and_counts_all(self) -> None:
        read, write = os.pipe()
        output = Output(read, cap_bytes=10 * TAIL_BYTES)
        with os.fdopen(write, "wb") as pipe:
            pipe.write(b"a" * TAIL_BYTES + b"b" * TAIL_BYTES + "ü\xff".encode("latin-1"))
        output.finish(10)
        assert output.bytes == 2 * TAIL_BYTES + 2
        assert not output.exceeded
        assert set(output.tail) == {"b", "\N{REPLACEMENT CHARACTER}"}

    def test_a_flood_is_not_read_on(self) -> None:
        read, write = os.pipe()
        output = Output(read, cap_bytes=1000)
        with os.fdopen(write, "wb", buffering=0) as pipe, pytest.raises(BrokenPipeError):
            while True:
                pipe.write(bytes(4096))
        output.finish(10)
        assert output.exceeded
        assert output.bytes < 1000 + 2 * TAIL_BYTES


class TestCgroup:
    @pytest.fixture
    def group(self):
        group = Cgroup.create(64 * MIB, 8)
        if group is None:
            pytest.skip("no control group can be made here")
        yield group
        assert group.kill(10)
        group.remove()
        assert not any(folder.exists() for folder in group.folders)

    def test_counts_and_bounds_what_is_inside(self, group: Cgroup, child) -> None:
        group.add(child.pid)
        assert group.pids() == [child.pid]
        child(f"m = mmap.mmap(-1, {16 * MIB}, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)")
        child(f"for at in range(0, {16 * MIB}, {mmap.PAGESIZE}): m[at] = 1")
        assert 15 * MIB < group.memory_bytes() < 40 * MIB
        assert group.processor_s() is None or group.processor_s() > 0
        assert not group.out_of_memory()

    def test_names_what_the_kernel_stopped(self, group: Cgroup, child) -> None:
        group.add(child.pid)
        with pytest.raises(AssertionError):
            child(f"m = bytearray(b'x' * {128 * MIB})")
        assert group.out_of_memory()


def test_version_2_takes_the_nearest_group_that_may_have_children(tmp_path: Path) -> None:
    """No machine at hand has the controllers in version 2: plain folders stand in for the tree of groups."""
    here = tmp_path / "user" / "session"
    here.mkdir(parents=True)
    for folder, controllers in ((here, ""), (here.parent, "cpu memory pids"), (tmp_path, "cpu memory pids")):
        (folder / "cgroup.subtree_control").write_text(controllers)
    hierarchy = Hierarchy(2, frozenset(), tmp_path, here)
    group = make_v2([hierarchy], "speedrun-1-0", 1000, 5)
    assert group.folders == (tmp_path / "user" / "speedrun-1-0",)
    assert (group.memory / "memory.max").read_text() == "1000"
    assert (group.processes / "pids.max").read_text() == "5"
    (group.memory / "memory.stat").write_text("anon 300\nfile 9000\nshmem 20\n")
    (group.memory / "memory.events").write_text("oom 1\noom_kill 1\n")
    (group.processor / "cpu.stat").write_text("usage_usec 2500000\n")
    assert group.memory_bytes() == 320
    assert group.out_of_memory()
    assert group.processor_s() == 2.5


class TestChoosing:
    def refuse_all(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "harness.sandbox_levels.trial_here", lambda level: Trial(level, works=level is Level.NONE, why="no luck")
        )

    def test_none_is_never_chosen_unasked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refuse_all(monkeypatch)
        with pytest.raises(UserError, match=r"no luck.*--no-sandbox"):
            choose(None)
        assert choose(Level.NONE) is Level.NONE

    def test_a_wish_is_not_weakened(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.refuse_all(monkeypatch)
        with pytest.raises(UserError, match="landlock does not work here: no luck"):
            choose(Level.LANDLOCK)

    @pytest.mark.sandbox
    def test_the_strongest_that_works_is_taken(self) -> None:
        working = [level for level in Level if trial_here(level).works]
        if working == [Level.NONE]:
            pytest.skip("no sandbox works here")
        assert choose(None) is working[0]


class TestOwnUser:
    def test_a_closed_folder_is_named(self, tmp_path: Path) -> None:
        closed = tmp_path / "closed"
        (closed / "python").mkdir(parents=True)
        closed.chmod(0o700)
        with pytest.raises(UserError, match="closed to others"):
            sandbox_user.demand_reachable(str(closed / "python"))
        sandbox_user.demand_reachable("/usr/bin/env")

    def test_staged_files_are_opened_and_links_are_left_alone(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.touch(mode=0o600)
        top = tmp_path / "staged"
        (top / "inner").mkdir(parents=True, mode=0o700)
        (top / "inner" / "file").touch(mode=0o600)
        (top / "link").symlink_to(outside)
        sandbox_user.open_for_reading(top)
        assert (top / "inner").stat().st_mode & 0o005 == 0o005
        assert (top / "inner" / "file").stat().st_mode & 0o777 == 0o644
        assert outside.stat().st_mode & 0o777 == 0o600

    def test_the_id_is_nobodys(self) -> None:
        assert process_tree.threads_of(sandbox_user.unused()) == 0
        assert process_tree.threads_of(os.getuid()) >= 1
