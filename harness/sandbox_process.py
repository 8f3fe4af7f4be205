"""One sandbox: started, watched, killed. The trusted parent's side; harness/lockdown.py is the inside."""

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, NamedTuple, Self

from harness import landlock, sandbox_claims, sandbox_launch, sandbox_shm, sandbox_user, seccomp
from harness.cgroup import Cgroup
from harness.process_tree import ProcessTree, threads_of
from harness.protocol import Policy
from harness.result import Level, SandboxReport
from harness.sandbox_launch import Launch, Launched, SandboxError
from harness.sandbox_output import Output
from harness.sandbox_plan import RANKS_LEVELS, Card, Interpreter, Limits, Mounts, environment_for, inside_of, policy_for
from harness.sandbox_watch import Breach, Watch
from harness.syscalls import PR_SET_DUMPABLE, prctl

KILL_PATIENCE_S = 10.0
FAREWELL_PATIENCE_S = 0.5


@dataclass(frozen=True)
class Exit:
    """How the worker ended."""

    code: int | None  # None: a signal ended it
    signal: int | None
    oom_killed: bool  # the kernel stopped something in the tree at its memory limit


class Killed(NamedTuple):
    """How the tree was killed, and whether all of it was seen to be gone."""

    how: sandbox_claims.TreeKill
    complete: bool


class Sandbox:
    """A worker process and everything that it starts, confined at `level`; killed when the `with` block ends.

    At level uid, and as root at level namespaces, the worker has a user id of its own. What the parent staged is opened
    for reading then; files that are linked into `mounts.data` later must be readable for everybody.
    """

    def __init__(
        self,
        level: Level,
        mounts: Mounts,
        limits: Limits,
        cards: tuple[Card, ...] = (),
        *,
        program: str = "harness/worker.py",
        interpreter: Interpreter | None = None,
    ) -> None:
        """`program`: the script below `mounts.boot`, started with the number of its socket.

        `interpreter`: the Python that runs it; this process's own when none is given.
        """
        self.level = level
        self.inside = inside_of(level, mounts)
        self._mounts = mounts
        self._limits = limits
        self._cards = cards
        self._program = program
        self._interpreter = interpreter or Interpreter.current()
        self._as_root = os.geteuid() == 0
        self._user = sandbox_user.unused() if self._as_root and level in (Level.NAMESPACES, Level.UID) else None
        self._cgroup: Cgroup | None = None
        self._output: Output | None = None
        self._launched: Launched | None = None
        self._tree: ProcessTree | None = None
        self._watch: Watch | None = None
        self._socket: socket.socket | None = None
        self._policy: Policy | None = None
        self._exit: Exit | None = None
        self._breach: Breach | None = None
        self._ended: Killed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        if self._socket is not None:
            self._socket.close()
        if self._scratch_on_disk is not None:
            # rm walks folders that are nested deeper than a path or Python's stack can be.
            subprocess.run(["rm", "-rf", "--", str(self._scratch_on_disk)], check=False, stderr=subprocess.DEVNULL)
            if self._user is not None:
                sandbox_shm.remove_all_of(self._user)

    # -------------------------------------------------------------------------------------------------- start

    def start(self) -> None:
        """Start the worker; it waits for Hello on the other end of `socket`.

        Call it from a thread that lives as long as the run: the worker dies with the thread that started it.

        Raises:
            SandboxError: the level does not work here, with what the system said.
            UserError: a folder can't be reached by the worker's own user.
        """
        if self._limits.ranks > 1 and self.level not in RANKS_LEVELS:
            raise SandboxError(f"level {self.level} has no network of its own for {self._limits.ranks} processes")
        self._prepare_folders()
        self._cgroup = Cgroup.create(self._limits.memory_bytes, self._limits.processes)
        self._socket, theirs = socket.socketpair()
        reading, writing = os.pipe()
        self._output = Output(reading, self._limits.output_bytes)
        try:
            with theirs, os.fdopen(writing, "wb"):  # our copies are closed even when it fails
                self._launched = self._launch(theirs.fileno(), writing)
        except EOFError as error:
            self._output.finish(KILL_PATIENCE_S)
            self.kill()
            said = self._output.tail.strip().splitlines()
            raise SandboxError(said[-1] if said else str(error)) from None
        except BaseException:
            self.kill()
            raise
        self._tree = ProcessTree(self._launched.root, self._user if self.level is Level.UID else None)
        self._watch = Watch(self._tree, self._cgroup, self._limits, self._output, self._scratch_on_disk)

    def _launch(self, socket_fd: int, output_fd: int) -> Launched:
        script = f"{self.inside.boot}/{self._program}"
        launch = Launch(
            command=[self._interpreter.executable, "-B", "-I", script, str(socket_fd)],
            environment=self._environment(),
            socket_fd=socket_fd,
            output_fd=output_fd,
            cores=frozenset(sorted(os.sched_getaffinity(0))[: self._limits.threads]),
            user=self._user,
        )
        if self.level is not Level.NAMESPACES:
            return sandbox_launch.plainly(launch, self.inside, self._admit)
        return sandbox_launch.in_namespaces(
            launch, self._mounts, self.inside, self._limits, self._interpreter, self._cards, self._admit
        )

    @property
    def socket(self) -> socket.socket:
        """The parent's end."""
        assert self._socket is not None, "start() comes first"
        return self._socket

    @property
    def policy(self) -> Policy:
        """What the worker is to lock itself into."""
        if self._policy is None:
            same_user = self._user is None and self.level is not Level.NAMESPACES
            self._policy = policy_for(
                self.level,
                self._limits,
                self.inside,
                self._interpreter,
                cards=self._cards,
                parent_pid=os.getpid(),
                others=threads_of(os.geteuid()) if same_user else 0,
                memory_bound=self._memory_bound,
                seccomp=seccomp.supported(),
            )
        return self._policy

    @property
    def report(self) -> SandboxReport:
        """What a record may claim of this sandbox; after `start`."""
        tree_kill: sandbox_claims.TreeKill
        if self.level is Level.NAMESPACES:
            tree_kill = "pidns"
        elif self.level is Level.UID:
            tree_kill = "uid"
        else:
            tree_kill = "cgroup" if self._cgroup is not None else "sweep"
        return sandbox_claims.report(
            self.level,
            landlock_abi=landlock.abi() if self.policy.landlock else 0,
            memory_bound=self._memory_bound,
            tree_kill=tree_kill,
            as_root=self._as_root,
            loopback=self.policy.loopback,
        )

    # -------------------------------------------------------------------------------------------------- watch

    @property
    def output(self) -> Output:
        """What the tree has printed."""
        assert self._output is not None, "start() comes first"
        return self._output

    def pids(self) -> frozenset[int]:
        """The living processes of the tree, by the host's numbers; empty once it is dead."""
        if self._tree is None or self._ended is not None:
            return frozenset()
        return frozenset(process.pid for process in self._tree.processes())

    def memory_bytes(self) -> int:
        """What the whole tree holds now, anonymous and shared memory; 0 once it is dead."""
        return self._watching.memory_bytes() if self._ended is None else 0

    @property
    def peak_memory_bytes(self) -> int:
        """The most that a look has seen."""
        return self._watching.peak_memory_bytes

    def processor_s(self) -> float:
        """Processor seconds of the whole tree so far."""
        return self._watching.processor_s() if self._ended is None else self._watching.last_processor_s

    def breach(self) -> Breach | None:
        """A limit that is passed, the last one seen once the tree is dead; the runner asks a few times a second."""
        return self._watching.breach() if self._ended is None else self._breach

    # -------------------------------------------------------------------------------------------------- end

    @property
    def exit(self) -> Exit | None:
        """How the worker ended; None while it runs."""
        if self._exit is None and self._launched is not None:
            # Left unburied, so that its process group can't become somebody else's before kill() uses it.
            ended = os.waitid(os.P_PID, self._launched.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            if ended is not None:
                self._exit = self._exit_of(exited=ended.si_code == os.CLD_EXITED, status=ended.si_status)
        return self._exit

    def kill(self) -> Killed:
        """Kill the whole tree and wait until it is gone, at most ten seconds. Safe to call again."""
        if self._ended is None:
            gone = True
            if self._launched is not None:
                if self._watch is not None:  # the last figures that can be had
                    self._breach = self._watch.breach()
                    self._watch.processor_s()
                self._await_farewell()
                gone = self._kill_tree(self._launched)
                self._bury(self._launched.process)
                if self._launched.first is not None:
                    os.close(self._launched.first)
            if self._output is not None:
                self._output.finish(KILL_PATIENCE_S)
            if self._cgroup is not None:
                self._cgroup.remove()
            self._ended = Killed(how=self.report.tree_kill, complete=gone)
        return self._ended

    def _await_farewell(self) -> None:
        """A worker that has just closed its socket is about to end: let it, so that its exit code is its own."""
        readable, _, _ = select.select([self.socket], [], [], 0)
        try:
            closed = bool(readable) and self.socket.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            closed = True
        deadline_s = time.monotonic() + FAREWELL_PATIENCE_S
        while closed and self.exit is None and time.monotonic() < deadline_s:
            time.sleep(0.001)

    def _kill_tree(self, launched: Launched) -> bool:
        if launched.first is not None:
            # When the first process of a pid namespace dies, the kernel kills the rest before it lets go of it.
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(launched.first, signal.SIGKILL)
            ready, _, _ = select.select([launched.first], [], [], KILL_PATIENCE_S)
            return bool(ready)
        # seccomp keeps everybody in the group, and a signal to a group misses no fork.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(launched.root, signal.SIGKILL)
        if self._user is not None:
            sandbox_user.kill_everything_of(self._user, KILL_PATIENCE_S)
        gone = self._cgroup.kill(KILL_PATIENCE_S) if self._cgroup is not None else True
        tree = self._tree or ProcessTree(launched.root, self._user)
        return tree.kill(KILL_PATIENCE_S) and gone

    def _bury(self, process: "subprocess.Popen[bytes]") -> None:
        oom_killed = self._watch is not None and self._watch.out_of_memory()
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = process.wait(KILL_PATIENCE_S)
            if self._exit is None:
                self._exit = self._exit_of(exited=code >= 0, status=abs(code))
        if self._exit is not None:
            self._exit = Exit(self._exit.code, self._exit.signal, oom_killed)

    def _exit_of(self, *, exited: bool, status: int) -> Exit:
        oom_killed = self._watch is not None and self._watch.out_of_memory()
        if not exited:
            return Exit(None, status, oom_killed)
        if self.level is Level.NAMESPACES and status > 128:  # bubblewrap's way to pass a signal on
            return Exit(None, status - 128, oom_killed)
        return Exit(status, None, oom_killed)

    # ------------------------------------------------------------------------------------------------ inside

    @property
    def _watching(self) -> Watch:
        assert self._watch is not None, "start() comes first"
        return self._watch

    @property
    def _memory_bound(self) -> Literal["cgroup", "polled"]:
        return "cgroup" if self._cgroup is not None else "polled"

    @property
    def _scratch_on_disk(self) -> Path | None:
        return None if self.level is Level.NAMESPACES else Path(self.inside.scratch)

    def _admit(self, pid: int) -> None:
        """Move a process into the control group while it waits; what it starts later is born inside.

        Some systems let a user make a group and not fill it: then memory is polled, and the report says so.
        """
        if self._cgroup is not None:
            try:
                self._cgroup.add(pid)
            except OSError:
                self._cgroup.remove()
                self._cgroup = None

    def _environment(self) -> dict[str, str]:
        environment = environment_for(self._limits, self.inside, self._cards)
        if self._cards and "LD_LIBRARY_PATH" in os.environ:  # where libcuda is not in ld.so.cache
            environment["LD_LIBRARY_PATH"] = os.environ["LD_LIBRARY_PATH"]
        return environment

    def _prepare_folders(self) -> None:
        scratch = self._scratch_on_disk
        if scratch is not None:
            scratch.mkdir(mode=0o700)
        if self._user is None:
            return
        for staged in (self._mounts.boot, self._mounts.submission, self._mounts.artifact):
            if staged is not None:
                sandbox_user.open_for_reading(staged)
        if self._mounts.data is not None:
            self._mounts.data.chmod(0o755)
        if scratch is not None:
            os.chown(scratch, self._user, self._user)
            self._mounts.run_folder.chmod(0o711)
            for path in (self._interpreter.executable, *self._interpreter.trees, *self.inside.readable, str(scratch)):
                sandbox_user.demand_reachable(path)


def protect_parent() -> None:
    """Close this process's memory, environment and open files to every other process of the same user.

    While it holds validation tokens. Not covered: root, and whoever may trace any process.
    """
    prctl(PR_SET_DUMPABLE, 0)
