"""How each attack of sandbox_table.py is tried, and how its success is told from its failure.

Success is judged from outside wherever it can be: by the file that changed, the datagram that came, the process that is
still there.
"""

import contextlib
import ctypes
import mmap
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from harness.process_tree import ProcessTree
from harness.result import Level
from tests.harness.sandbox_ground import Ground, Outcome, names, works
from tests.harness.sandbox_rig import LIMITS, MIB, PATIENCE_S, ROOT, STANDIN, Rig

PAGES = 8
_VALIDATION_TOKENS = ctypes.create_string_buffer(b"validation tokens in memory")


# ---------------------------------------------------------------------------------------------------------- files


def private_key(rig: Rig) -> Path:
    """What its owner alone may read."""
    folder = rig.top / ".ssh"
    folder.mkdir(mode=0o700, exist_ok=True)
    key = folder / "id_ed25519"
    key.touch(mode=0o600)
    return key


def write_outside(ground: Ground) -> Outcome:
    folder = ground.rig.top / "open"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o777)
    ground.rig.ask("write", str(folder / "new"))
    return works((folder / "new").exists())


def write_shared_memory(ground: Ground) -> Outcome:
    path = Path(f"/dev/shm/speedrun-test-{os.getpid()}-{next(names)}")
    try:
        assert ground.rig.ask("fill_file", str(path), 0) == {"value": None}  # in its own, at level namespaces
        return works(path.exists())
    finally:
        path.unlink(missing_ok=True)


def change_shared_memory(ground: Ground) -> Outcome:
    """A file that another program of the same user keeps there."""
    with tempfile.NamedTemporaryFile(dir="/dev/shm", prefix="speedrun-test-") as file:  # 0600
        ground.rig.ask("append", file.name)
        return works(file.read() == b"more")


def leave_traps(ground: Ground) -> Outcome:
    with ground.fresh() as rig:
        victim = rig.top / "victim"
        victim.mkdir()
        (victim / "file").write_bytes(bytes(2 * LIMITS.scratch_bytes))
        assert rig.ask("lay_traps", str(victim)) == {"value": None}
        if rig.sandbox.level is not Level.NAMESPACES:
            assert (Path(rig.sandbox.inside.scratch) / "link" / "file").exists()  # whoever follows it is caught
        breach = rig.sandbox.breach()  # the parent measures scratch
        followed = breach is not None and breach.kind == "scratch"
    assert not Path(rig.sandbox.inside.scratch).exists()  # the parent takes it away
    return works(followed or not (victim / "file").exists())


# ---------------------------------------------------------------------------------- notes for the next sandbox


def note_in_shared_memory(ground: Ground) -> Outcome:
    """Of a scorer for its twin: at level landlock neither gets any (harness/runner.py)."""
    path = f"/dev/shm/speedrun-test-{os.getpid()}-{next(names)}"
    landlock = ground.column.level is Level.LANDLOCK
    limits = replace(LIMITS, shm_bytes=0) if landlock else LIMITS
    try:
        with ground.fresh(limits) as first:
            assert ("value" in first.ask("write", path)) is not landlock
        with ground.fresh(limits) as second:
            return works("value" in second.ask("read", path))
    finally:
        Path(path).unlink(missing_ok=True)


def note_in_metadata(ground: Ground) -> Outcome:
    rig = ground.rig
    path = rig.mounts.artifact / "state"
    before = _metadata(path)
    rig.ask("mark", f"{rig.sandbox.inside.artifact}/state")
    return works(_metadata(path) != before)


def _metadata(path: Path) -> tuple[object, ...]:
    status = path.stat()
    return status.st_mode, status.st_mtime_ns, os.listxattr(path)


def note_in_access_times(ground: Ground) -> Outcome:
    rig = ground.rig
    old, control = rig.mounts.submission / "speedrun.py", rig.top / "control"
    control.write_text("read by us")
    for path in (old, control):
        os.utime(path, (10**9, 10**9))
    control.read_text()
    if control.stat().st_atime == 10**9:
        pytest.skip("this file system keeps no access times")
    assert rig.ask("read", f"{rig.sandbox.inside.submission}/speedrun.py") == {"value": "pass"}
    return works(old.stat().st_atime != 10**9)


def note_in_page_cache(ground: Ground) -> Outcome:
    """The first sandbox reads some pages of a file, the second sees which of them are in memory.

    A page may be read in the moment between asking and answering, so that a few files have the same note.
    """
    note = [1, 3, 6]
    with ground.another() as first, ground.another() as second:
        for name in ("a", "b", "c"):
            shard = first.mounts.data / name
            shard.write_bytes(bytes(PAGES * mmap.PAGESIZE))
            shard.chmod(0o644)
            _push_out(shard)
            (second.mounts.data / name).hardlink_to(shard)
        first.start(filtered=ground.column.filtered)
        for name in ("a", "b", "c"):
            assert first.ask("read_pages", f"{first.sandbox.inside.data}/{name}", note) == {"value": None}
        first.sandbox.kill()
        second.start(filtered=ground.column.filtered)
        found = [second.ask("pages_in_memory", f"{second.sandbox.inside.data}/{name}", PAGES) for name in "abc"]
        return works({"value": note} in found)


def _push_out(path: Path) -> None:
    """Out of the page cache. Skips the test where the file system keeps its files in memory."""
    pause = threading.Event()
    with path.open("r+b") as file:
        os.fsync(file.fileno())
        for _ in range(100):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            if not any(_resident(file.fileno())):
                return
            pause.wait(0.01)  # written pages take a moment to become free
    pytest.skip("this file system keeps its files in memory")


def _resident(fd: int) -> list[bool]:
    """mincore(2): which of its pages are in memory."""
    with mmap.mmap(fd, 0) as memory:
        start = ctypes.c_char.from_buffer(memory)
        pages = ctypes.create_string_buffer(PAGES)
        answer = ctypes.CDLL(None).mincore(ctypes.byref(start), ctypes.c_size_t(len(memory)), pages)
        del start  # or the mapping can't be closed
    assert answer == 0
    return [bool(page & 1) for page in pages.raw]


# ------------------------------------------------------------------------------------- processes and sockets


def memory_of_the_parent(rig: Rig) -> tuple[Any, ...]:
    return "peek", os.getpid(), ctypes.addressof(_VALIDATION_TOKENS), len(_VALIDATION_TOKENS)


def open_file_of_the_parent(ground: Ground) -> Outcome:
    with ground.rig.secret.open() as file:
        return works("value" in ground.rig.ask("read", f"/proc/{os.getpid()}/fd/{file.fileno()}"))


def see_processes(ground: Ground) -> Outcome:
    """By what is told of this one: in a namespace the same number may be somebody else's."""
    told = ground.rig.ask("read", f"/proc/{os.getpid()}/cmdline")
    return works(told.get("value") == Path("/proc/self/cmdline").read_bytes()[:1000].decode("latin-1"))


def read_host_name(ground: Ground) -> Outcome:
    return works(ground.rig.ask("host_name") == {"value": socket.gethostname()})


def connect_tcp(ground: Ground) -> Outcome:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return works("value" in ground.rig.ask("connect_tcp", *listener.getsockname()))


def send_udp(ground: Ground) -> Outcome:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        said = ground.rig.ask("send_datagram", *receiver.getsockname())
        if "value" in said:
            receiver.settimeout(PATIENCE_S)
            assert receiver.recv(10) == b"hello"
        return works("value" in said)


def connect_abstract(ground: Ground) -> Outcome:
    name = f"speedrun-test-{os.getpid()}-{next(names)}"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"\0{name}")
        listener.listen()
        return works("value" in ground.rig.ask("connect", f"@{name}"))


@dataclass(frozen=True)
class ConnectPathname:
    """To a socket with this mode."""

    mode: int

    def __call__(self, ground: Ground) -> Outcome:
        with socket.socket(socket.AF_UNIX) as listener, tempfile.TemporaryDirectory(prefix="s-") as folder:
            Path(folder).chmod(0o755)
            path = Path(folder) / "socket"  # a socket's path is short
            listener.bind(str(path))
            path.chmod(self.mode)
            listener.listen()
            return works("value" in ground.rig.ask("connect", str(path)))


# ---------------------------------------------------------------------------------------------------------- limits


def fork_bomb(ground: Ground) -> Outcome:
    # The kernel counts a user's processes wherever they run: one bomb of this user at a time.
    with FileLock(Path(tempfile.gettempdir()) / f"speedrun-test-{os.geteuid()}.lock"), ground.fresh() as rig:
        most = 4 * LIMITS.processes
        made = rig.ask("fork_bomb", most)["value"]
        assert made > 10
        assert rig.sandbox.kill().complete
        assert rig.nobody_left()
    # A process of the same user that has ended since the limit was set leaves its place.
    return Outcome.LIMITED if made <= LIMITS.processes + 8 else works(made == most)


@dataclass(frozen=True)
class MemoryBomb:
    """Without end, in one of the stand-in's ways."""

    request: tuple[Any, ...]

    def __call__(self, ground: Ground) -> Outcome:
        with ground.fresh() as rig:
            rig.tell(*self.request)
            polled = rig.sandbox.report.memory_bound == "polled"
            if polled and self.request == ("memory_bomb",):
                assert rig.answer() == {"refused": "ENOMEM"}  # one process meets its own limit
                return Outcome.LIMITED
            breach = rig.breach()
            rig.sandbox.kill()
            held = rig.sandbox.exit.oom_killed or (breach is not None and breach.kind == "memory")
            if not polled:  # a poll may come late
                assert rig.sandbox.peak_memory_bytes <= LIMITS.memory_bytes
        return Outcome.LIMITED if held else Outcome.WORKS


def hold_for_a_moment(ground: Ground) -> Outcome:
    """More than all the memory, given back between two looks."""
    with ground.fresh() as rig:
        assert rig.sandbox.breach() is None
        assert rig.ask("hold_for_a_moment", LIMITS.memory_bytes + 16 * MIB) == {"value": None}
        return works(rig.sandbox.breach() is None)


@dataclass(frozen=True)
class FillScratch:
    """With files that have a name, or none any more."""

    request: str

    def __call__(self, ground: Ground) -> Outcome:
        with ground.fresh() as rig:
            rig.tell(self.request)
            if rig.sandbox.level is Level.NAMESPACES:
                held = rig.answer()["value"] <= LIMITS.scratch_bytes
            else:
                breach = rig.breach()
                held = breach is not None and breach.kind == "scratch"
        return Outcome.LIMITED if held else Outcome.WORKS


def fill_shared_memory(ground: Ground) -> Outcome:
    path = Path(f"/dev/shm/speedrun-test-{os.getpid()}-{next(names)}")
    try:
        with ground.fresh() as rig:
            rig.tell("fill_file", str(path), LIMITS.shm_bytes + MIB)
            if rig.sandbox.level is Level.NAMESPACES:
                held = rig.answer() == {"refused": "ENOSPC"}
            else:
                breach = rig.breach()
                held = breach is not None and breach.kind == "memory"
        assert ground.column.level in (Level.LANDLOCK, Level.NONE) or not path.exists()  # it went with its sandbox
        return Outcome.LIMITED if held else Outcome.WORKS
    finally:
        path.unlink(missing_ok=True)


def flood_output(ground: Ground) -> Outcome:
    with ground.fresh() as rig:
        rig.tell("flood")
        breach = rig.breach()
        assert rig.sandbox.output.exceeded
        assert len(rig.sandbox.output.tail) <= 64 * 1024
        held = breach.kind == "output" and rig.sandbox.output.bytes < LIMITS.output_bytes + 2 * MIB
    return Outcome.LIMITED if held else Outcome.WORKS


# ---------------------------------------------------------------------------------------------------------- ending


def outlive_the_kill(ground: Ground) -> Outcome:
    with ground.fresh() as rig:
        end = rig.top / "end"
        try:
            assert rig.ask("outlive", str(end)) == {"value": None}
            killed = rig.sandbox.kill()
            assert killed.complete
            assert killed.how == rig.sandbox.report.tree_kill
        finally:
            end.touch()
        return works(rig.answer() == {"value": "still here"})


def outlive_the_harness(ground: Ground) -> Outcome:
    """The harness is killed by force; the worker must go with it, and what the worker has started may."""
    rig = ground.another()
    told = {
        "level": rig.sandbox.level,
        "mounts": rig.mounts,
        "limits": LIMITS,
        "program": f"harness/{STANDIN.name}",
        "interpreter": rig.interpreter,
    }
    code = (
        "import sys, pickle, json, msgspec; from harness.sandbox import *;"
        "sandbox = Sandbox(**pickle.loads(sys.stdin.buffer.read())); sandbox.start();"
        "lines = sandbox.socket.makefile();"
        "sandbox.socket.sendall(msgspec.json.encode(sandbox.policy) + b'\\n'); lines.readline();"
        "sandbox.socket.sendall(json.dumps(['fork_bomb', 1]).encode() + b'\\n'); lines.readline();"
        "print('begun', flush=True); lines.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
    ) as parent:
        parent.stdin.write(pickle.dumps(told))
        parent.stdin.close()
        assert parent.stdout.readline() == b"begun\n"
        inside = [each for each in ProcessTree(parent.pid).processes() if each.pid != parent.pid]
        above = {each.parent for each in inside}
        (child,) = [os.pidfd_open(each.pid) for each in inside if each.pid not in above]
        # With a process namespace its first process is among these: when that is gone, all are.
        others = [os.pidfd_open(each.pid) for each in inside if each.pid in above]
        parent.kill()
    try:
        for process in others:
            assert _ended(process, PATIENCE_S), "the worker does not die with the harness"
        return works(not _ended(child, 0))
    finally:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(child, signal.SIGKILL)
        for process in (child, *others):
            os.close(process)


def _ended(process: int, patience_s: float) -> bool:
    return bool(select.select([process], [], [], patience_s)[0])


def core_dump(rig: Rig) -> tuple[Any, ...]:
    if Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
        pytest.skip("this host's core dumps go to a place of its own")
    return ("dump_core",)
