"""Crews without an engine: seats whose nodes answer as a test says."""

import itertools
import threading
from collections.abc import Callable

import msgspec
import pytest

from harness.result import Level
from harness.track import find_track
from speedrun.cluster import orders
from speedrun.cluster.crew import Crew
from speedrun.cluster.engine import Node
from speedrun.cluster.orders import Lost, Made, Order, Said
from speedrun.cluster.watching import Watch
from speedrun.signals import Interrupts

Behaviour = Callable[["PretendSeat", Order], Said]


class PretendSeat:
    """A seat whose node does what `behaviour` says; raises what that raises."""

    def __init__(self, number: int, behaviour: Behaviour) -> None:
        self.crew: Crew  # that it belongs to
        self.number = number
        self.node_id = f"node-{number}"
        self.is_there = True
        self.orders: list[Order] = []
        self._behaviour = behaviour
        self._told = ""  # where it was when it was last asked
        self._busy = threading.Lock()

    def node(self) -> Node | None:
        self._told = self.node_id
        return Node(self.node_id, f"host-{self.number}") if self.is_there else None

    def run(self, order: bytes, wait: Callable[[], None]) -> bytes:
        assert self._busy.acquire(blocking=False), "two runs at once on one seat"
        try:
            wait()
            if self.node_id != self._told:  # as the engine's own seats do
                return orders.encode(Lost("its node was lost before the run began"))
            decoded = msgspec.json.decode(order, type=Order)
            self.orders.append(decoded)
            return orders.encode(self._behaviour(self, decoded))
        finally:
            self._busy.release()


@pytest.fixture
def made(workspace, make_record) -> Callable[..., Made]:
    """What a node says of a run that ended: `made(order, loss_nats=1.2)`. Usable from several threads."""
    numbers, lock = itertools.count(), threading.Lock()

    def answer(order: Order, **fields: object) -> Made:
        with lock:
            number = next(numbers)
            record = make_record(entry=order.entry, track_id=order.track, dataset_id="letters", **fields)
        track = find_track(order.track, workspace.tracks)
        record = msgspec.structs.replace(
            record,
            track=msgspec.structs.replace(record.track, sha256=track.sha256),
            run_id=f"20261121-141530-{order.entry}-{number:08x}",
            source=order.source,
            series=order.series,
            overrides=order.overrides,
        )
        return Made(
            record=msgspec.Raw(msgspec.json.encode(record)),
            level=Level.NAMESPACES,
            against=(),
        )

    return answer


@pytest.fixture
def crew(workspace) -> Callable[..., Crew]:
    """`crew(behaviour, seats=4)`: a crew of pretended nodes."""

    def make(behaviour: Behaviour, seats: int = 1, watch: Watch | None = None) -> Crew:
        places = [PretendSeat(number, behaviour) for number in range(seats)]
        whole = Crew(workspace, places, watch or Watch("a test"), Interrupts(), lambda: ())
        for place in places:
            place.crew = whole
        return whole

    return make
