"""Starting the worker's process: plainly, as another user, or through bubblewrap."""

import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

from harness import bubblewrap
from harness.sandbox_plan import Card, Inside, Interpreter, Limits, Mounts

START_PATIENCE_S = 20.0
_SETPRIV_FOLDERS = "/usr/bin:/bin:/usr/sbin:/sbin"  # what the sandbox shows, too


class SandboxError(Exception):
    """The sandbox can't be started: the platform's trouble or the machine's, never the entry's."""


@dataclass(frozen=True)
class Launch:
    """What both ways of starting need."""

    command: list[str]  # as the inside knows it
    environment: dict[str, str]
    socket_fd: int  # the worker's end
    output_fd: int  # for stdout and stderr
    cores: frozenset[int]
    user: int | None  # a user id of its own; None: the same as the harness


@dataclass(frozen=True)
class Launched:
    process: subprocess.Popen[bytes]
    root: int  # the process that everything inside descends from
    first: int | None  # pidfd of a pid namespace's first process


def plainly(launch: Launch, inside: Inside, admit: Callable[[int], None]) -> Launched:
    """The worker as a child of this process. `admit` takes the pid before the worker is spoken to."""
    process = _spawn(launch, launch.command, launch.environment, inside.scratch, (), launch.user)
    try:
        admit(process.pid)
    except BaseException:  # an interrupt: nothing may be left behind
        _give_up(process)
        raise
    return Launched(process, process.pid, None)


def in_namespaces(
    launch: Launch,
    mounts: Mounts,
    inside: Inside,
    limits: Limits,
    interpreter: Interpreter,
    cards: tuple[Card, ...],
    admit: Callable[[int], None],
) -> Launched:
    """The worker in namespaces of its own; `admit` takes their first process before it starts anything.

    Raises:
        SandboxError: a tool is missing.
        EOFError: bubblewrap gave up; it has printed why.
    """
    bwrap = shutil.which("bwrap")
    if bwrap is None:
        raise SandboxError("bubblewrap is not installed (there is no bwrap on the PATH)")
    command = launch.command
    if launch.user is not None:
        setpriv = shutil.which("setpriv", path=_SETPRIV_FOLDERS)
        if setpriv is None:
            raise SandboxError("setpriv is not installed (it comes with util-linux)")
        command = [*bubblewrap.drop_to(setpriv, launch.user, launch.user), *command]
    with contextlib.ExitStack() as ours, contextlib.ExitStack() as theirs:
        arguments_out, arguments_in = _pipe(read=theirs, write=ours)
        info_out, info_in = _pipe(read=ours, write=theirs)
        block_out, block_in = _pipe(read=theirs, write=ours)
        arguments = bubblewrap.arguments(
            mounts,
            inside,
            limits,
            interpreter,
            launch.environment,
            cards=cards,
            as_root=launch.user is not None,
            info_fd=info_in.fileno(),
            block_fd=block_out.fileno(),
        )
        process = _spawn(
            launch,
            [bwrap, "--args", str(arguments_out.fileno()), "--", *command],
            {},  # --clearenv would leave it readable in /proc/1/environ
            "/",
            (arguments_out.fileno(), info_in.fileno(), block_out.fileno()),
            None,
        )
        theirs.close()
        try:
            arguments_in.write("\0".join(arguments).encode() + b"\0")
            arguments_in.close()
            root = _first_process(info_out.fileno())
            first = os.pidfd_open(root)
            admit(root)
            block_in.write(b"1")
        except BaseException as error:  # an interrupt as well: nothing may be left behind
            _give_up(process)
            if isinstance(error, (OSError, EOFError)):
                raise EOFError("bubblewrap ended before the worker began") from None
            raise
    return Launched(process, root, first)


def _give_up(process: "subprocess.Popen[bytes]") -> None:
    """What bubblewrap has started dies with it."""
    process.kill()
    process.wait()


def _pipe(read: contextlib.ExitStack, write: contextlib.ExitStack) -> tuple[io.FileIO, io.FileIO]:
    out, into = os.pipe()
    return read.enter_context(io.FileIO(out, "r")), write.enter_context(io.FileIO(into, "w"))


def _first_process(info_fd: int) -> int:
    """The host's number of the namespace's first process, from bwrap's report. Raises EOFError when none comes."""
    deadline = time.monotonic() + START_PATIENCE_S
    text = b""
    while b"}" not in text:
        ready, _, _ = select.select([info_fd], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(info_fd, 4096) if ready else b""
        if not piece:
            raise EOFError
        text += piece
    return int(json.loads(text)["child-pid"])


def _spawn(
    launch: Launch,
    command: list[str],
    environment: dict[str, str],
    folder: str,
    more_fds: tuple[int, ...],
    user: int | None,
) -> "subprocess.Popen[bytes]":
    """Start a process in a session of its own, on the granted cores: this thread takes them on for the moment."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, launch.cores)
    try:
        return subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=launch.output_fd,
            stderr=launch.output_fd,
            pass_fds=(launch.socket_fd, *more_fds),
            start_new_session=True,
            umask=0o077,
            user=user,
            group=user,
            extra_groups=None if user is None else [],
        )
    except OSError as error:
        raise SandboxError(f"{command[0]} can't be started: {error.strerror or error}") from None
    finally:
        os.sched_setaffinity(0, mine)
