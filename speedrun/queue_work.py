"""Works a queue off: what is verified and in which order, apart from how one verification is made.

Nothing that happens to one entry stops the rest. What stops them all is somebody who asks for it, or that no machine is
left, which is no entry's fault.
"""

import os
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from harness.errors import UserError
from speedrun.answers import Queue, Verified, VerifiedEntry, Waiting
from speedrun.session import NoMachineError

if TYPE_CHECKING:
    from speedrun.cluster.crew import Crew

VerifyOne = Callable[[str], Verified]  # by the entry's name; raises what speedrun.commands.verify does
Tell = Callable[[VerifiedEntry, int], None]  # what came of an entry, and its number, from 1


class Plan(NamedTuple):
    """What a queue comes to."""

    now: tuple[Waiting, ...]  # in order
    later: tuple[Waiting, ...]  # beyond what was asked for
    impossible: tuple[VerifiedEntry, ...]  # what can't be verified as it lies there


class WorkedOff(NamedTuple):
    """What became of a plan."""

    entries: tuple[VerifiedEntry, ...]
    left: tuple[Waiting, ...]  # not begun
    interrupted: bool
    broken_off: str = ""  # why there are some left that nobody asked to leave; empty: nothing


def plan(queue: Queue, limit: int | None) -> Plan:
    """Whose turn it is.

    limit: at most so many verifications; None: all.
    """
    able = [row for row in queue.waiting if row.verifiable]
    end = len(able) if limit is None else limit
    unable = [(row.entry, row.note or queue.remark) for row in queue.waiting if not row.verifiable]
    unable += [(refused.entry, refused.because) for refused in queue.refused]
    return Plan(tuple(able[:end]), tuple(able[end:]), tuple(not_made(entry, why) for entry, why in unable))


def work_off(waiting: Sequence[Waiting], verify_one: VerifyOne, tell: Tell) -> WorkedOff:
    """Verifies one entry after the other, and tells of each as soon as it is done."""
    done: list[VerifiedEntry] = []
    interrupted = False
    try:
        for row in waiting:
            verified = attempt(row, verify_one)
            done.append(verified.entry)
            tell(verified.entry, len(done))
            if verified.interrupted:
                interrupted = True
                break
    except KeyboardInterrupt:
        interrupted = True
    return WorkedOff(tuple(done), tuple(waiting[len(done) :]), interrupted)


def work_off_together(waiting: Sequence[Waiting], verify_one: VerifyOne, tell: Tell, crew: "Crew") -> WorkedOff:
    """The same on a crew's nodes: each entry on one of them, as many at once as there are.

    Raises NoMachineError: no node is left, and nothing came of any entry.
    """
    done: dict[int, VerifiedEntry] = {}
    lock = threading.Lock()

    def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            verified = attempt(waiting[number], verify_one)
            with lock:
                done[number] = verified.entry
                tell(verified.entry, len(done))

    broken_off = ""
    try:
        crew.spread(range(len(waiting)), work)
    except KeyboardInterrupt:
        pass  # the crew knows
    except NoMachineError as error:
        if not done:
            raise
        broken_off = str(error)
    left = tuple(row for number, row in enumerate(waiting) if number not in done)
    return WorkedOff(tuple(done[number] for number in sorted(done)), left, crew.interrupted, broken_off)


class Attempt(NamedTuple):
    """What came of one entry, and whether somebody asked to stop meanwhile."""

    entry: VerifiedEntry
    interrupted: bool


def attempt(row: Waiting, verify_one: VerifyOne) -> Attempt:
    """One verification, whatever comes of it.

    Raises:
        KeyboardInterrupt: stopped before its first run had ended.
        NoMachineError: no machine is left to make it, nor any other.

    With SPEEDRUN_DEBUG set, a fault of ours is printed with its traceback.
    """
    try:
        verified = verify_one(row.entry)
    except NoMachineError:
        raise
    except UserError as error:
        return Attempt(not_made(row.entry, str(error)), False)
    except Exception as error:
        if os.environ.get("SPEEDRUN_DEBUG"):
            traceback.print_exception(error)
        what = f"internal error: {type(error).__name__}: {error}"
        return Attempt(not_made(row.entry, f"{what}; SPEEDRUN_DEBUG=1 shows the traceback"), False)
    told = VerifiedEntry(
        entry=verified.entry,
        outcome=verified.outcome,
        because=verified.because,
        run_ids=tuple(record.run_id for record in verified.records),
        files=verified.files,
        loss_nats=verified.loss_nats,
        train_s=verified.train_s,
        place=verified.place,
        is_record=verified.is_record,
        record_words=verified.record_words,
    )
    return Attempt(told, verified.interrupted)


def not_made(entry: str, because: str) -> VerifiedEntry:
    """No verification."""
    return VerifiedEntry(
        entry=entry,
        outcome="not settled",
        because=because,
        run_ids=(),
        files=(),
        loss_nats=None,
        train_s=None,
        place=None,
        is_record=False,
        record_words="",
    )
