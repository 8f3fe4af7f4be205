"""Several ranks of one training, in one sandbox. Travels into the sandbox.

A supervisor that never imports torch nor the submission starts every rank as a process of its own, with the variables
that torch.distributed looks for, and is the only one that talks to the parent. It is none of the ranks itself: a rank
may die, hang in native code or hold the interpreter's lock, and somebody must still say which one it was.

    parent ── supervisor ─┬─ rank 0   rows, log and artifact pass through
                          └─ rank i   says READY, DONE or FAILED, nothing else

READY and DONE go on to the parent when every rank has said them; when DONE does, the other ranks are ended, so that no
other rank computes in the untimed saving. Whichever rank fails first ends all of them, and its error is told.

Not covered: the ranks share the supervisor's user id and may kill it, which ends the run, as killing themselves would;
ranks that live and wait for each other for ever are left to the parent's deadline; what a rank started besides itself
lives until saving is over, as what rank 0 starts does: the record keeps the processor seconds of saving.
"""

import contextlib
import os
import select
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import msgspec

from harness.protocol import (
    Closed,
    Connection,
    Done,
    Failed,
    FromWorker,
    Go,
    Job,
    Join,
    ProtocolError,
    Ready,
    decode_from_worker,
    decode_to_worker,
)

ADDRESS = "127.0.0.1"
ECHO_PATIENCE_S = 2.0  # how long the cause of a broken connection between ranks may take to be heard
FAREWELL_PATIENCE_S = 1.0  # how long a rank that has closed its connection may take to end

# What gloo's errors, NCCL's and the store's have in common: they may only tell that another rank is gone.
_ECHOES = ("/gloo/", "DistBackendError", "DistNetworkError", "DistStoreError")


class RankFailed(Exception):  # noqa: N818 - an ending, not an error
    """One rank is at its end, and so is the run."""

    def __init__(self, number: int, failed: Failed) -> None:
        super().__init__(failed.message)
        self.number = number
        self.failed = failed


@dataclass(frozen=True)
class _Rank:
    number: int
    process: "subprocess.Popen[bytes]"
    connection: Connection
    pidfd: int

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.connection.close()
        os.close(self.pidfd)


def supervise(job: Job, parent: Connection, script: str) -> int:
    """Run all ranks until the parent hangs up or one of them fails; the exit code.

    Args:
        job: of rank 0; the others get the same, with their own rank and card.
        script: the worker's; its first word is Join here.
    """
    ranks: list[_Rank] = []
    try:
        port = _free_port()
        for number in range(job.world_size):
            ranks.append(_start(job_of(job, number), environment(number, job.world_size, port), script))
        _Supervisor(parent, ranks).run()
        return 0
    except RankFailed as failed:
        for rank in ranks[failed.number : failed.number + 1]:  # what it has printed is still on its way
            with contextlib.suppress(subprocess.TimeoutExpired):
                rank.process.wait(FAREWELL_PATIENCE_S)
        with contextlib.suppress(Closed):
            parent.send(told(failed))
        return 1
    finally:
        for rank in ranks:
            rank.process.kill()  # all at once, then one after the other
        for rank in ranks:
            rank.end()


def job_of(job: Job, number: int) -> Job:
    """What rank `number` is to do: with a card each, where there are cards."""
    device = f"cuda:{number}" if job.device.startswith("cuda") else job.device
    return msgspec.structs.replace(job, rank=number, device=device)


def environment(number: int, world_size: int, port: int) -> dict[str, str]:
    """What torch.distributed's `env://` reads, and torchrun would set."""
    return {
        "RANK": str(number),
        "LOCAL_RANK": str(number),
        "WORLD_SIZE": str(world_size),
        "LOCAL_WORLD_SIZE": str(world_size),
        "MASTER_ADDR": ADDRESS,
        "MASTER_PORT": str(port),
    }


def told(failed: RankFailed) -> Failed:
    """With the rank's number, where it matters: a mistake in the files is every rank's."""
    if failed.failed.kind in ("config", "missing", "syntax"):
        return failed.failed
    return msgspec.structs.replace(failed.failed, message=f"rank {failed.number}: {failed.failed.message}")


def is_echo(failed: Failed) -> bool:
    """The error tells no more than that another rank is gone."""
    return failed.kind == "crash" and any(words in failed.message for words in _ECHOES)


def _free_port() -> int:
    """Nobody else is in this network namespace to take it before rank 0 does."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


def _start(job: Job, variables: dict[str, str], script: str) -> _Rank:
    """Raises RankFailed when the system refuses another process."""
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-B", "-I", script, str(theirs.fileno())],
                env={**os.environ, **variables},
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(),),
            )
        pidfd = os.pidfd_open(process.pid)
    except OSError as error:
        ours.close()
        raise RankFailed(job.rank, Failed(kind="crash", message=f"it can't be started: {error.strerror}")) from None

    def look() -> None:  # a child of the rank may hold its end of the connection open
        if process.poll() is not None:
            raise Closed("the rank has ended")

    rank = _Rank(job.rank, process, Connection(ours, idle=look), pidfd)
    try:
        rank.connection.send(Join(job=job))
    except Closed:
        raise RankFailed(job.rank, _farewell(rank)) from None
    return rank


class _Supervisor:
    """One event at a time, because what it does may end a rank whose own event is next."""

    def __init__(self, parent: Connection, ranks: list[_Rank]) -> None:
        self._parent = parent
        self._all = tuple(ranks)
        self._ranks = ranks  # those that are still needed
        self._ready: dict[int, Ready] = {}
        self._done: set[int] = set()
        self._selector = selectors.DefaultSelector()
        self._selector.register(parent, selectors.EVENT_READ, self._hear_parent)
        for rank in ranks:
            self._selector.register(rank.connection, selectors.EVENT_READ, partial(self._hear, rank))
            self._selector.register(rank.pidfd, selectors.EVENT_READ, partial(self._bury, rank))

    def run(self) -> None:
        """Until the parent hangs up. Raises RankFailed."""
        with contextlib.closing(self._selector), contextlib.suppress(Closed):
            try:
                while True:
                    self._step(None)
            except RankFailed as first:
                raise self._cause(first) from None

    def _step(self, patience_s: float | None) -> None:
        for key, _ in self._selector.select(patience_s)[:1]:
            act: Callable[[], None] = key.data
            act()

    # -------------------------------------------------------------------------------------------- from the parent

    def _hear_parent(self) -> None:
        """Raises Closed when the parent has hung up."""
        header, size = self._parent.header()
        message = decode_to_worker(header)
        for rank in self._ranks if isinstance(message, Go) else self._ranks[:1]:
            try:
                rank.connection.forward(header, size, self._parent)
            except Closed:
                self._bury(rank)

    # --------------------------------------------------------------------------------------------- from the ranks

    def _hear(self, rank: _Rank) -> None:
        """Raises RankFailed."""
        try:
            header, size = rank.connection.header()
        except Closed:
            raise RankFailed(rank.number, _farewell(rank)) from None
        except ProtocolError as error:
            raise RankFailed(rank.number, Failed(kind="crash", message=str(error))) from None
        match _decoded(header) if size == 0 else None:
            case Failed() as failed:
                raise RankFailed(rank.number, failed)
            case Ready() as ready:
                self._ready[rank.number] = ready
                if len(self._ready) == len(self._all):
                    self._parent.send(self._ready[0])
            case Done() as done:
                self._done.add(rank.number)
                if len(self._done) == len(self._all):
                    self._dismiss_others()
                    self._parent.send(done)
            case _ if rank.number == 0:
                self._parent.forward(header, size, rank.connection)
            case _:
                raise RankFailed(rank.number, Failed(kind="crash", message="it spoke out of turn to the harness"))

    def _bury(self, rank: _Rank) -> None:
        """A rank's process is over: first its last words, of which the end of the connection is the very last."""
        while rank in self._ranks:
            if not select.select([rank.connection], [], [], 0)[0]:
                raise RankFailed(rank.number, _farewell(rank))
            self._hear(rank)

    def _dismiss_others(self) -> None:
        others, self._ranks = self._ranks[1:], self._ranks[:1]
        for rank in others:
            self._forget(rank.number)
            rank.process.kill()

    def _forget(self, number: int) -> None:
        """Listen to a rank no more."""
        rank = self._all[number]
        self._selector.unregister(rank.connection)
        self._selector.unregister(rank.pidfd)

    def _cause(self, first: RankFailed) -> RankFailed:
        """`first`, unless it is the echo of another rank's failure, which is heard a moment later then."""
        deadline_s = time.monotonic() + ECHO_PATIENCE_S
        latest = first
        while is_echo(latest.failed):
            self._forget(latest.number)  # its end, which follows, says nothing new
            try:
                while (left_s := deadline_s - time.monotonic()) > 0:
                    self._step(left_s)
                return first
            except RankFailed as another:
                latest = another
        return latest


def _decoded(header: bytes) -> FromWorker | None:
    """None for what is no message: the parent's to judge."""
    try:
        return decode_from_worker(header)
    except ProtocolError:
        return None


def _farewell(rank: _Rank) -> Failed:
    """How a rank ended that said nothing."""
    try:
        code = rank.process.wait(FAREWELL_PATIENCE_S)
    except subprocess.TimeoutExpired:
        return Failed(kind="crash", message="it closed its connection to the harness")
    names = {each.value: each.name for each in signal.Signals}
    how = f"killed by {names.get(-code, f'signal {-code}')}" if code < 0 else f"exit code {code}"
    return Failed(kind="crash", message=f"its process ended without a word ({how})")
