"""A session on a node: the same runs as here, and a run whose node is lost is made again elsewhere.

A run that is lost never counts against the entry; one that has a verdict is never made again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from data.prepare import Prepared
from harness.errors import UserError
from harness.result import Level, Record, Series, Tier, Verdict
from harness.run_request import RunRequest
from harness.submission import Submission
from harness.track import Track
from leaderboard.schema import RecordError, Summary, decode, decode_summary
from speedrun.cluster import orders
from speedrun.cluster.engine import LostError
from speedrun.cluster.orders import Failed, Lost, Made, Mistaken, Order
from speedrun.cluster.roster import MOST_LOSSES, Place, Roster
from speedrun.commands.data import find_dataset
from speedrun.session import Conditions, Finished, Session, Stored
from speedrun.workspace import Workspace


class RemoteSession(Session):
    """Runs on a node of the crew's; on another one when that is lost."""

    def __init__(self, crew: Roster, workspace: Workspace, track: Track, conditions: Conditions) -> None:
        super().__init__(workspace, track, conditions, conditions.level or Level.NAMESPACES)
        self._crew = crew
        self._manifest = find_dataset(workspace, conditions.dataset or track.dataset)
        self._against: tuple[str, ...] = ()  # what the node has against ranking
        self._said = set[str]()  # what any node of this session had
        self._looked: str = ""  # the node that it has been asked of
        self._place: Place | None = crew.take()

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
        own = self._plain(entry, overrides)
        return replace(own, practice=(*self._against, *practice), seed=seed, series=series)

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
            stored = self._crew.keep(record, finish)
            self._crew.watch.finished(place.seat.number, order.job, record)
            self._crew.ended(place, record)
            return stored

    def _ask(self, place: Place, order: Order) -> Made:
        """Raises LostError, _RefusedError, and UserError for what is asked of a node and no node could do."""
        name = _name(place)
        try:
            answer = orders.decode(place.seat.run(orders.encode(order), self._crew.wait))
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _RefusedError(
                f"node {name} does not speak as it should: is its installation another version?"
            ) from None
        if isinstance(answer, Made):
            return answer
        if isinstance(answer, Lost):
            raise LostError(answer.words)
        if isinstance(answer, Mistaken):
            raise UserError(answer.words)
        fault = "internal error: " if isinstance(answer, Failed) else ""
        raise _RefusedError(f"node {name}: {fault}{getattr(answer, 'words', '')}")

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

    def _plain(self, entry: Submission, overrides: Mapping[str, str] | None) -> RunRequest:
        return RunRequest(
            submission=entry,
            track=self.track,
            level=self.level,
            data=Prepared(manifest=self._manifest, folder=Path()),  # it lies on the node
            cache=self.workspace.cache,
            overrides=dict(overrides or {}),
            keep=0,
        )

    def _seat(self, entry: Submission, overrides: Mapping[str, str]) -> Place:
        """A seat whose node will make runs like those before it."""
        if self._place is None or self._place.node is None or self._place.refused:
            self._look(entry, overrides)
        assert self._place is not None
        return self._place

    def _look(self, entry: Submission, overrides: Mapping[str, str] | None) -> Summary:
        """What is known of such a run on the session's node; on the next one that will do where it refuses."""
        request = self._plain(entry, overrides)
        order = self._order(request, look=True, note="")
        while True:
            if self._place is not None and self._place.refused:
                self.close()
            if self._place is None:
                self._place = self._crew.take()
            place = self._place
            try:
                made = self._ask(place, order)
                self._demand_level(place, made.level)
            except LostError as error:
                self._lost(place, order.job, str(error))
                continue
            except _RefusedError as error:
                self._refused(place, str(error))
                continue
            self.level, self._against = made.level, made.against
            self._said.update(made.against)
            self._looked = self.machine
            return decode_summary(bytes(made.record))

    def _demand_level(self, place: Place, level: Level) -> None:
        """Raises _RefusedError: the node's sandbox is weaker than the runs need it."""
        wanted = self.conditions.levels
        if wanted and level not in wanted:
            raise _RefusedError(
                f"node {_name(place)}: a verified run takes the sandbox level {' or '.join(wanted)}, this is {level}"
            )

    def _lost(self, place: Place, job: str, why: str) -> None:
        self._crew.watch.lost(place.seat.number, job, why)
        self._crew.lost(place, why)
        self.close()

    def _refused(self, place: Place, why: str) -> None:
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


def _name(place: Place) -> str:
    return "?" if place.node is None else place.node.name


def _decoded(data: msgspec.Raw) -> Record:
    """Raises UserError: a node that answers with something else is of another version, or lies."""
    try:
        return decode(bytes(data))
    except RecordError as error:
        raise UserError(f"a node sent a record that is none: {error}") from None
