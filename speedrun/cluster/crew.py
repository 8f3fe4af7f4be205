"""Nodes of a cluster that make runs for a command here: who is free, who is lost, and what a command sees of it.

A session has one seat, so all its runs are made on one machine, as those of a comparison must be. Where that machine is
lost, the run is made again on the next free one, and never counts against the entry. Only this process stores records,
one by one as they arrive, so that whatever ends it takes no more along than the runs that are going on.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from data.prepare import Prepared
from harness import repository
from harness.errors import UserError
from harness.result import Level, Record, Series, Tier, Verdict
from harness.run_request import RunRequest
from harness.submission import Submission
from harness.track import Track
from leaderboard.schema import RecordError, Summary, decode, decode_summary
from speedrun.cluster import engine, orders
from speedrun.cluster.engine import LostError, Node
from speedrun.cluster.needs import needs
from speedrun.cluster.orders import Began, Made, Noted, Order, Refused
from speedrun.cluster.watching import Watch
from speedrun.commands.data import find_dataset
from speedrun.session import Conditions, Finished, Session, Stored, store
from speedrun.signals import Interrupts
from speedrun.workspace import Workspace

MOST_LOSSES = 5  # of one run: after so many, it is more likely the run that fells its nodes
IDLE_S = 0.05
TELL_S = 10.0  # without any node, until it is told

Job = TypeVar("Job")


class AnySeat(Protocol):
    """Where runs are made; `engine.Seat` is one."""

    number: int

    def node(self) -> Node | None: ...
    def run(self, order: bytes, wait: Callable[[], None]) -> bytes: ...


class StoppedError(KeyboardInterrupt):
    """Somebody asked to stop, and a thread that waits has seen it."""


@dataclass(frozen=True)
class Call:
    """What the command line says about the cluster."""

    address: str  # engine.HERE, or ray://HOST:PORT
    nodes: int | None = None  # so many at once, waited for if need be; None: as many as will do and are free
    accelerator_type: str | None = None  # None: that of the track's accelerator


@contextlib.contextmanager
def call(
    workspace: Workspace, track: Track, wanted: Call, watch: Watch, *, seats: int | None = None
) -> Iterator["Crew"]:
    """A crew for runs on the track.

    Args:
        seats: no more than so many runs will go on at once; None: as many as there are nodes.

    Raises:
        UserError: the checkout is not its commit's, no cluster answers, or none of its nodes will do.
        KeyboardInterrupt: told to stop while nodes were waited for.
    """
    commit = demand_commit(workspace)
    asked = needs(track, wanted.accelerator_type)
    with engine.join(wanted.address, workspace.root, commit) as joined, Interrupts() as interrupts:
        interrupts.hold()  # every wait looks for itself, in whatever thread it is
        there = wanted.nodes or engine.enough(asked, joined)
        count = min(there, seats or there)
        watch.waiting(count, asked.words())
        with joined.seats(asked, count, lambda: _look(interrupts), exactly=wanted.nodes is not None) as got:
            yield Crew(workspace, got, watch, interrupts, joined.heard)


def demand_commit(workspace: Workspace) -> str:
    """The commit of the checkout. Raises UserError where that is not what would run here."""
    commit, clean = repository.checkout(workspace.root)
    if commit is None or clean is not True:
        raise UserError(
            "nodes get the repository at its commit, and this checkout has changes that are not committed, or is no "
            "git repository; commit them (git status), or run it here without --on"
        )
    return commit


def _look(interrupts: Interrupts) -> None:
    if interrupts.came:
        raise StoppedError


@dataclass
class _Place:
    """A seat, and what is known of it."""

    seat: AnySeat
    node: Node | None = None  # None: not known, or lost
    refused: str = ""  # why it can't make these runs
    losses: int = 0  # one after the other, of whatever was asked there


@dataclass
class Crew:
    """Seats, taken and given back by sessions. Usable from any thread."""

    workspace: Workspace
    seats: Sequence[AnySeat]
    watch: Watch
    interrupts: Interrupts
    heard: Callable[[], Iterable[tuple[int, bytes]]]
    _free: list[_Place] = field(default_factory=list)
    _places: list[_Place] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _heard_s: float = 0.0
    _known: set[str] = field(default_factory=set)  # ids of runs that are stored

    def __post_init__(self) -> None:
        self._places = [_Place(seat) for seat in self.seats]
        self._free = list(self._places)

    @property
    def interrupted(self) -> bool:
        return self.interrupts.came

    @contextlib.contextmanager
    def open_session(
        self, workspace: Workspace, track: Track, conditions: Conditions, name: str
    ) -> Iterator["RemoteSession"]:
        """A session on the next free seat, as `speedrun.session.open_session` gives one here."""
        session = RemoteSession(self, workspace, track, conditions)
        try:
            yield session
        finally:
            session.close()

    def spread(self, jobs: Iterable[Job], work: Callable[[Iterator[Job]], None]) -> None:
        """Calls `work` once for every seat, each in a thread of its own, with jobs that no other one gets.

        Raises what the first of them raised, when all have ended; the others get no further job.
        """
        waiting, lock, failed = iter(jobs), threading.Lock(), threading.Event()

        def shared() -> Iterator[Job]:
            while not (failed.is_set() or self.interrupted):
                with lock:
                    job = next(waiting, None)
                if job is None:
                    return
                yield job

        def guarded() -> None:
            try:
                work(shared())
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(len(self.seats), thread_name_prefix="seat") as pool:
            threads = [pool.submit(guarded) for _ in self.seats]
        for thread in threads:
            thread.result()

    def take(self) -> _Place:
        """The next free seat that is on a node; waits for one. Raises UserError: no node would make these runs."""
        began_s, told = time.monotonic(), False
        while True:
            if (found := self._free_one()) is not None:
                return found
            with self._lock:
                refused = [one.refused for one in self._places if one.refused]
            if len(refused) == len(self._places):
                raise UserError(f"no node of the cluster can make these runs: {'; '.join(dict.fromkeys(refused))}")
            if not told and self.watch.running == 0 and time.monotonic() - began_s > TELL_S:
                told = True
                self.watch.noted(None, "no node is there: waiting for one; Ctrl-C keeps what is stored")
            self.wait()
            time.sleep(IDLE_S)

    def _free_one(self) -> _Place | None:
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

    def _is_there(self, place: _Place) -> bool:
        try:
            place.node = place.seat.node()
        except LostError as error:
            self.lost(place, str(error))
            return False
        if place.node is not None:
            self.watch.seated(place.seat.number, place.node.name)
        return place.node is not None

    def lost(self, place: _Place, why: str) -> None:
        """Notes that a seat's node or process is lost; too often, and it is left out."""
        place.node = None
        place.losses += 1
        if place.losses >= MOST_LOSSES:
            self.refuse(place, f"a node was lost {place.losses} times in a row: {why}")

    def refuse(self, place: _Place, why: str) -> None:
        """Leaves a seat out from here on."""
        place.refused = why
        self.watch.left_out(place.seat.number, f"{why}; it is left out")

    def give_back(self, place: _Place) -> None:
        """To the end of the line, so that others are tried first. One that refused is not asked again."""
        if not place.refused:
            with self._lock:
                self._free.append(place)

    def wait(self) -> None:
        """What whoever waits does meanwhile: hears what nodes say, and looks whether to stop."""
        _look(self.interrupts)
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

    def keep(self, finished: Finished) -> Stored:
        """Stores a record. Raises UserError, also where a node sends one twice."""
        with self._lock:
            if finished.record.run_id in self._known:
                raise UserError(f"run {finished.record.run_id} came twice; its first record counts")
            self._known.add(finished.record.run_id)
        return store(self.workspace, finished)


class RemoteSession(Session):
    """Runs on a node of the crew's; on another one when that is lost."""

    def __init__(self, crew: Crew, workspace: Workspace, track: Track, conditions: Conditions) -> None:
        super().__init__(workspace, track, conditions, conditions.level or Level.NAMESPACES)
        self._crew = crew
        self._manifest = find_dataset(workspace, conditions.dataset or track.dataset)
        self._against: tuple[str, ...] = ()  # what the node has against ranking
        self._said = set[str]()  # what any node of this session had
        self._looked: str = ""  # the node that it has been asked of
        self._place: _Place | None = crew.take()

    def close(self) -> None:
        """Gives the seat back."""
        if self._place is not None:
            self._crew.give_back(self._place)
            self._place = None

    @property
    def interrupted(self) -> bool:
        return self._crew.interrupted

    @property
    def machine(self) -> str:
        return "" if self._place is None or self._place.node is None else self._place.node.id

    def request(
        self,
        entry: Submission,
        *,
        overrides: Mapping[str, str] | None = None,
        practice: Sequence[str] = (),
        seed: int | None = None,
        series: Series | None = None,
    ) -> RunRequest:
        if self._looked == "":
            self._look(entry, overrides)
        return RunRequest(
            submission=entry,
            track=self.track,
            level=self.level,
            data=Prepared(manifest=self._manifest, folder=Path()),  # it lies on the node
            cache=self.workspace.cache,
            overrides=dict(overrides or {}),
            practice=(*self._against, *practice),
            seed=seed,
            series=series,
            keep=0,
        )

    def would_be(self, entry: Submission, overrides: Mapping[str, str] | None = None) -> Summary:
        return self._look(entry, overrides)

    def run(self, request: RunRequest, note: str = "", finish: Callable[[Record], Finished] = Finished) -> Stored:
        losses = 0
        while True:
            place = self._seat(request.submission, request.overrides)
            order = self._order(request, look=False, note=note)
            self._crew.watch.started(place.seat.number, order.job)
            try:
                made = self._ask(place, order)
                record = self._demand_ordered(_decoded(made.record), order)
                if record.verdict is Verdict.INTERRUPTED:  # a host that is shut down asks first
                    raise LostError(f"{record.reason}, on its node")
            except LostError as error:
                losses += 1
                self._lost(place, order.job, str(error))
                if losses >= MOST_LOSSES:
                    raise UserError(
                        f"{order.job}: its node or process was lost {losses} times ({error}); it is not made again; "
                        "speedrun run makes it here, where one can see why"
                    ) from None
                continue
            except _RefusedError as error:
                self._refused(place, str(error))
                continue
            place.losses = 0
            stored = self._crew.keep(finish(record))
            self._crew.watch.finished(place.seat.number, order.job, record)
            return stored

    def _ask(self, place: _Place, order: Order) -> Made:
        """Raises LostError, and UserError: the node refuses, or failed by a fault of ours."""
        name = place.node.name if place.node is not None else "a node"
        try:
            answer = orders.decode(place.seat.run(orders.encode(order), self._crew.wait))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UserError(f"node {name} does not speak as it should: is its installation another version?") from None
        if isinstance(answer, Made):
            return answer
        if isinstance(answer, Refused):
            raise _RefusedError(f"node {name}: {answer.words}")
        raise UserError(f"internal error on node {name}: {getattr(answer, 'words', '')}")

    def _demand_ordered(self, record: Record, order: Order) -> Record:
        """The record, if it is of the run that was ordered. Raises UserError."""
        fits = (
            (record.entry.name, record.source) == (order.entry, order.source)
            and (record.track.id, record.track.sha256) == (order.track, self.track.sha256)
            and (record.series, record.overrides) == (order.series, order.overrides)
            and record.tier is Tier.SELF_REPORTED
            and not (record.ranked and (order.practice or order.against))
        )
        if not fits:
            raise UserError(
                f"{self.machine or 'a node'} sent the record of another run than {order.job}; it is not kept"
            )
        return record

    def _seat(self, entry: Submission, overrides: Mapping[str, str]) -> _Place:
        """A seat whose node will make runs like those before it."""
        if self._place is None or self._place.node is None:
            self._look(entry, overrides)
        assert self._place is not None
        return self._place

    def _look(self, entry: Submission, overrides: Mapping[str, str] | None) -> Summary:
        """What is known of such a run on the session's node; on the next one that will do where it refuses."""
        request = RunRequest(
            submission=entry,
            track=self.track,
            level=self.level,
            data=Prepared(manifest=self._manifest, folder=Path()),
            cache=self.workspace.cache,
            overrides=dict(overrides or {}),
        )
        order = self._order(request, look=True, note="")
        while True:
            if self._place is None:
                self._place = self._crew.take()
            place = self._place
            try:
                made = self._ask(place, order)
            except LostError as error:
                self._lost(place, order.job, str(error))
                continue
            except _RefusedError as error:
                self._refused(place, str(error))
                continue
            place.losses = 0
            self.level, self._against = made.level, made.against
            self._said.update(made.against)
            self._looked = self.machine
            return decode_summary(bytes(made.record))

    def _lost(self, place: _Place, job: str, why: str) -> None:
        self._crew.watch.lost(place.seat.number, job, why)
        self._crew.lost(place, why)
        self.close()

    def _refused(self, place: _Place, why: str) -> None:
        self._crew.refuse(place, why)
        self.close()

    def _order(self, request: RunRequest, *, look: bool, note: str) -> Order:
        entry = request.submission
        return Order(
            job=", ".join(filter(None, (entry.name, note))),
            look=look,
            entry=entry.name,
            source=entry.source,
            track=self.track.id,
            dataset=self.conditions.dataset,
            level=self.level if self._looked else self.conditions.level,
            practice=self.conditions.practice,
            wait=self.conditions.wait,
            against=() if look else tuple(why for why in request.practice if why not in self._said),
            overrides=request.overrides,
            seed=request.seed,
            series=request.series,
        )


class _RefusedError(UserError):
    """A node can't make these runs."""


def _decoded(data: msgspec.Raw) -> Record:
    """Raises UserError: a node that answers with something else is of another version, or lies."""
    try:
        return decode(bytes(data))
    except RecordError as error:
        raise UserError(f"a node sent a record that is none: {error}") from None
