"""Runs on a node of a cluster: `python -m speedrun.cluster.node` reads an order a line, and says how each goes.

The ordinary harness, in a process of its own beside the engine's: started from the code that the driver sent, under
the device lock of this machine. It dies with the process that started it, and its sandbox with it.

SPEEDRUN_NODE is where a node keeps data sets and runs in progress: a folder of its own, on a disk of its own. Else it
is one in ~/.cache/speedrun that is named after the host, since clusters like to share homes. Not covered: a node that
lies. Whoever runs one can make up any record, as on a machine of his own.
"""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from harness import journal, submission
from harness.errors import UserError
from harness.events import Event, Noted, Phase, PhaseBegan
from harness.first_record import first_record, scored_stream
from harness.result import Verdict
from harness.runner import run_entry
from harness.submission import Submission
from harness.syscalls import PR_SET_PDEATHSIG, prctl
from harness.track import find_track
from leaderboard.text import plain
from speedrun.cluster import orders
from speedrun.cluster.orders import Answer, Began, Failed, Made, Mistaken, Order, Refused, Said
from speedrun.scratch import scratch
from speedrun.session import Conditions, LocalSession, open_session
from speedrun.workspace import Workspace

WORDS_CAP = 500  # characters of a line that goes over the network


def home() -> Path:
    """Where this node keeps what outlives a run."""
    named = os.environ.get("SPEEDRUN_NODE")
    return Path(named) if named else Path.home() / ".cache" / "speedrun" / socket.gethostname()


def carry_out(order: Order, workspace: Workspace) -> Answer:
    """Makes the run. Whatever it comes to, nothing of it stays on the node."""
    try:
        _at_full_priority()
        workspace.cache.mkdir(parents=True, exist_ok=True)
        for left_behind in journal.recover(workspace.cache):  # cut off with its driver: nobody knows of it
            journal.settle(workspace.cache, left_behind.run_id)
        track = find_track(order.track, workspace.tracks)
        conditions = Conditions(
            dataset=order.dataset, level=order.level, practice=order.practice, wait=order.wait, keep=0, quiet=True
        )
        with _entry(order, workspace) as entry, open_session(workspace, track, conditions, entry.name) as session:
            assert isinstance(session, LocalSession)
            request = session.request(
                entry,
                overrides=order.overrides,
                practice=order.against,
                seed=order.seed,
                series=order.series,
            )
            watch = _Watch()
            if order.look:
                record = first_record(request, scored_stream(request).size - 1)
            else:
                try:
                    record = run_entry(request, watch)
                except UserError as error:
                    if watch.phase == "start":
                        raise
                    return Mistaken(plain(str(error), WORDS_CAP))  # the entry can't be set up with these overrides
                journal.settle(workspace.cache, record.run_id)
            # On one line, as everything that a node says.
            line = msgspec.Raw(msgspec.json.encode(record))
            stopped = not order.look and record.verdict is Verdict.INTERRUPTED
            return Made(record=line, level=request.level, against=request.practice, told_to_stop=stopped)
    except UserError as error:
        return Refused(plain(str(error), WORDS_CAP))
    except OSError as error:
        return Refused(plain(f"{error.strerror or error} ({type(error).__name__})", WORDS_CAP))


def _at_full_priority() -> None:
    """Ray starts its workers niced, and a run would give way to anything else. Raises UserError: it has to stay so."""
    niceness = os.getpriority(os.PRIO_PROCESS, 0)
    if niceness > 0:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, 0)
        except PermissionError:
            raise UserError(
                f"the node's processes run at niceness {niceness}, where times are not worth much; start it with "
                "RAY_worker_niceness=0"
            ) from None


@contextlib.contextmanager
def _entry(order: Order, workspace: Workspace) -> Iterator[Submission]:
    with scratch(workspace.cache, "order") as folder:
        yield submission.restore(order.entry, order.source, folder / order.entry)


class _Watch:
    """Says what happens in a run, and remembers how far it is."""

    def __init__(self) -> None:
        self.phase: Phase = "start"

    def __call__(self, event: Event) -> None:
        if isinstance(event, PhaseBegan):
            self.phase = event.phase
            say(Began(event.phase, event.limit_s))
        elif isinstance(event, Noted):
            say(orders.Noted(plain(event.text, WORDS_CAP)))


def say(said: Said) -> None:
    """One line to whoever started this process."""
    sys.stdout.buffer.write(orders.encode(said) + b"\n")
    sys.stdout.buffer.flush()


def main() -> None:
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    starter = int(sys.argv[1])
    if os.getppid() != starter:  # it died before we asked to be told
        sys.exit(1)
    root = Path(__file__).resolve().parents[2]
    for line in sys.stdin.buffer:
        order = msgspec.json.decode(line, type=Order)
        try:
            answer: Answer = carry_out(order, Workspace(root, home()))
        except Exception as error:
            answer = Failed(plain(f"{type(error).__name__}: {error}", WORDS_CAP))
        say(answer)
        if isinstance(answer, Made) and answer.told_to_stop:
            break


if __name__ == "__main__":
    main()
