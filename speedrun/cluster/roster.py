"""Who is free, who is lost, and what nodes say: the seats of a cluster that a command has.

Only this process stores records, one by one as they arrive, so that whatever ends it takes no more along than the runs
that are going on.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from harness import journal
from harness.errors import UserError
from harness.result import Record, Verdict
from speedrun.cluster import engine, orders
from speedrun.cluster.engine import LostError, Node
from speedrun.cluster.orders import Began, Noted
from speedrun.cluster.watching import Watch
from speedrun.session import MOST_OWN_FAULTS, Finished, NoMachineError, Stored, store
from speedrun.signals import Interrupts
from speedrun.workspace import Workspace

MOST_LOSSES = 5  # of one run: after so many, it is more likely the run that fells its nodes
# Runs of one node, one after the other, that end as INTERNAL_ERROR: more than a verification or a duel makes of them,
# so that no entry alone costs a node.
MOST_FAULTS = MOST_OWN_FAULTS + 2
IDLE_S = 0.05
TELL_S = 10.0  # without any node, until it is told


class AnySeat(Protocol):
    """Where runs are made; `engine.Seat` is one."""

    number: int

    def node(self) -> Node | None: ...
    def run(self, order: bytes, wait: Callable[[], None]) -> bytes: ...


class StoppedError(KeyboardInterrupt):
    """Somebody asked to stop, and a thread that waits has seen it."""


def look(interrupts: Interrupts) -> None:
    if interrupts.came:
        raise StoppedError


@dataclass
class Place:
    """A seat, and what is known of it."""

    seat: AnySeat
    node: Node | None = None  # None: not known, or lost
    refused: str = ""  # why it can't make these runs
    losses: int = 0  # one after the other on one node, with no run between them that ended
    lost_on: str = ""  # the node's id; empty: it was not known
    faults: int = 0  # runs one after the other that ended as INTERNAL_ERROR


@dataclass
class Roster:
    """Seats, taken and given back. Usable from any thread."""

    workspace: Workspace
    seats: Sequence[AnySeat]
    watch: Watch
    interrupts: Interrupts
    heard: Callable[[], Iterable[tuple[int, bytes]]]
    _free: list[Place] = field(default_factory=list)
    _places: list[Place] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _heard_s: float = 0.0
    _known: set[str] = field(default_factory=set)  # ids of runs that are stored

    def __post_init__(self) -> None:
        self._places = [Place(seat) for seat in self.seats]
        self._free = list(self._places)

    @property
    def interrupted(self) -> bool:
        return self.interrupts.came

    def take(self) -> Place:
        """The next free seat that is on a node; waits for one. Raises NoMachineError: all are left out."""
        began_s, told = time.monotonic(), False
        while True:
            if (found := self._free_one()) is not None:
                return found
            with self._lock:
                refused = [one.refused for one in self._places if one.refused]
            if len(refused) == len(self._places):
                raise NoMachineError(f"no node of the cluster can make these runs: {'; '.join(dict.fromkeys(refused))}")
            if not told and self.watch.running == 0 and time.monotonic() - began_s > TELL_S:
                told = True
                self.watch.noted(None, "no node is there: waiting for one; Ctrl-C keeps what is stored")
            self.wait()
            time.sleep(IDLE_S)

    def _free_one(self) -> Place | None:
        """A free seat that is on a node. One whose node is lost stays free: Ray may find it another."""
        with self._lock:
            free, self._free = self._free, []
        try:
            while free:
                if self._is_there(free[0]):
                    return free.pop(0)
                self.give_back(free.pop(0))
            return None
        finally:
            for place in free:
                self.give_back(place)

    def _is_there(self, place: Place) -> bool:
        try:
            place.node = place.seat.node()
        except LostError as error:
            self.lost(place, str(error))
            return False
        if place.node is not None:
            self.watch.seated(place.seat.number, place.node.name)
        return place.node is not None

    def lost(self, place: Place, why: str) -> None:
        """Notes that a seat's node or process is lost; too often, and it is left out."""
        where = "" if place.node is None else place.node.id
        place.losses = place.losses + 1 if where == place.lost_on else 1
        place.lost_on, place.node = where, None
        if place.losses > MOST_LOSSES:  # of more than one run, so that no entry alone costs a node
            self.refuse(place, f"a node was lost {place.losses} times in a row: {why}")

    def ended(self, place: Place, record: Record) -> None:
        """Notes that a run ended there; one fault of ours after the other, and the seat is left out."""
        place.losses = 0
        place.faults = place.faults + 1 if record.verdict is Verdict.INTERNAL_ERROR else 0
        if place.faults >= MOST_FAULTS:
            name = "?" if place.node is None else place.node.name
            ended = f"{place.faults} runs in a row ended as {record.verdict}"
            self.refuse(place, f"node {name}: {ended}; speedrun show {record.run_id} says how")

    def refuse(self, place: Place, why: str) -> None:
        """Leaves a seat out from here on."""
        place.refused = why
        self.watch.left_out(place.seat.number, f"{why}; it is left out")

    def give_back(self, place: Place) -> None:
        """To the end of the line, so that others are tried first. One that refused is not asked again."""
        if not place.refused:
            with self._lock:
                self._free.append(place)

    def wait(self) -> None:
        """What whoever waits does meanwhile: hears what nodes say, and looks whether to stop."""
        look(self.interrupts)
        with self._lock:
            now = time.monotonic()
            if now - self._heard_s < engine.POLL_S:
                return
            self._heard_s = now
        for seat, line in self.heard():
            try:
                said = orders.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):  # a library that prints
                continue
            if isinstance(said, Began):
                self.watch.phase(seat, said.phase, said.limit_s)
            elif isinstance(said, Noted):
                self.watch.noted(seat, said.words)

    def keep(self, record: Record, finish: Callable[[Record], Finished]) -> Stored:
        """Stores a record. Where that fails it waits in the cache, as one of a run here does, for the next command.

        Raises UserError, also where a node sends one twice.
        """
        with self._lock:
            if record.run_id in self._known:
                raise UserError(f"run {record.run_id} came twice; its first record counts")
            self._known.add(record.run_id)
        cache = self.workspace.cache
        with contextlib.suppress(OSError), journal.open_run(cache, record):  # it may be stored even where that fails
            pass
        stored = store(self.workspace, finish(record))
        journal.settle(cache, record.run_id)
        return stored
