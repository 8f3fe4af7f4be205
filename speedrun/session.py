"""Runs of one command on one track: the machine is judged, its devices are held, every run is recorded.

What is common to run, verify, duel, retime and reproduce: they differ in what they run, how often, and what they make
of the records.
"""

import abc
import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from data.manifest import Manifest
from data.prepare import Prepared
from harness import environment, journal
from harness.accelerators import Accelerator
from harness.environment import Machine
from harness.errors import UserError
from harness.first_record import first_record, scored_stream
from harness.gates import data_obstacles
from harness.result import Level, Record, Series, encode
from harness.run_request import RunRequest
from harness.runner import run_entry
from harness.sandbox import choose
from harness.submission import Submission
from harness.track import Track
from leaderboard.schema import Summary, decode_summary
from leaderboard.store import Store
from speedrun import console, device_lock, live
from speedrun.commands.data import find_dataset, prepared
from speedrun.fitness import demand_data, granted, level_obstacles, obstacles, ranks, threads
from speedrun.recovery import recover
from speedrun.signals import Interrupts
from speedrun.workspace import Workspace

if TYPE_CHECKING:
    from speedrun.cluster.crew import Call, Crew
    from speedrun.cluster.watching import Watch

KEPT = 5  # artifacts in the cache, the latest ones, where nobody says otherwise
ASKED = "it was asked for as practice"
OUTSIDE = "its folder is not in speedrun/submissions"
MOST_OWN_FAULTS = 1  # runs that end as INTERNAL_ERROR, which is the platform's: after one more a command gives up


class NoMachineError(UserError):
    """No machine is left that would make these runs, whatever entry is asked of it."""


@dataclass(frozen=True)
class Conditions:
    """How a person wants the runs of a command to be made."""

    dataset: str | None = None  # None: the track's
    level: Level | None = None  # None: the strongest that works
    practice: bool = False  # wherever it runs, and never ranked
    wait: bool = True  # for a device in use
    keep: int = KEPT  # artifacts kept in the cache
    quiet: bool = False  # only the answer
    call: "Call | None" = None  # the cluster that is to make the runs; None: this machine does
    watch: "Watch | None" = None  # who is told of the runs there
    crew: "Crew | None" = None  # the nodes that were called; None: none yet
    levels: tuple[Level, ...] = ()  # of a node's sandbox that will do; empty: any

    def say(self, words: str) -> None:
        """One line for whoever waits, however quiet it is; where they watch a cluster in JSON, as an event."""
        if (watch := self._watching) is not None:
            watch.say(words)
        else:
            console.note(words)

    def expect(self, runs: int) -> None:
        """Tells whoever watches a cluster that so many more runs will be made, at most; fewer where negative."""
        if (watch := self._watching) is not None:
            watch.expect(runs)

    @property
    def _watching(self) -> "Watch | None":
        return self.watch if self.crew is None else self.crew.watch


class Finished(NamedTuple):
    """A record as it is to be stored."""

    record: Record
    signature: bytes | None = None  # over the record's bytes


class Stored(NamedTuple):
    """A record, and its file relative to the checkout."""

    record: Record
    file: str


class Session(abc.ABC):
    """Runs on one machine, whose devices are held meanwhile; made by `open_session`."""

    def __init__(self, workspace: Workspace, track: Track, conditions: Conditions, level: Level) -> None:
        self.workspace = workspace
        self.track = track
        self.conditions = conditions
        self.level = level

    @property
    @abc.abstractmethod
    def interrupted(self) -> bool:
        """Somebody asked to stop. The next run would raise KeyboardInterrupt."""

    @property
    @abc.abstractmethod
    def machine(self) -> str:
        """Which machine the next run is made on, for comparing with itself: runs of a pair must have the same."""

    @abc.abstractmethod
    def request(
        self,
        entry: Submission,
        *,
        overrides: Mapping[str, str] | None = None,
        practice: Sequence[str] = (),
        seed: int | None = None,
        series: Series | None = None,
    ) -> RunRequest:
        """A run of this entry under the session's conditions; `practice` adds reasons why it won't be ranked."""

    @abc.abstractmethod
    def would_be(self, entry: Submission, overrides: Mapping[str, str] | None = None) -> Summary:
        """What is known of such a run before it begins: its track, its data, its machine and its source.

        Raises:
            UserError: the data has too few tokens to be scored on.
        """

    @abc.abstractmethod
    def run(self, request: RunRequest, note: str = "", finish: Callable[[Record], Finished] = Finished) -> Stored:
        """Makes the run, shows it, and stores its record.

        Args:
            request: what `request` made.
            note: what to say of it beside the entry and the track, e.g. "run 2 of 3".
            finish: what becomes of the record before it is stored; it must not raise.

        Raises:
            KeyboardInterrupt: told to stop where the runner could not answer for it; what it had written down until
                then is stored.
            UserError: a mistake that keeps the run from starting; it leaves no record.
        """


class LocalSession(Session):
    """Runs on this machine."""

    def __init__(
        self,
        workspace: Workspace,
        track: Track,
        conditions: Conditions,
        *,
        machine: Machine,
        level: Level,
        accelerators: tuple[Accelerator, ...],
        data: Prepared,
        against: Sequence[str],
        interrupts: Interrupts,
    ) -> None:
        super().__init__(workspace, track, conditions, level)
        self._accelerators = accelerators
        self._ranks = ranks(track, accelerators, level)
        self._threads = threads(track, machine, self._ranks)
        self._data = data
        self._against = tuple(against)
        self._interrupts = interrupts

    @property
    def interrupted(self) -> bool:
        return self._interrupts.came

    @property
    def machine(self) -> str:
        return "this one"

    def request(
        self,
        entry: Submission,
        *,
        overrides: Mapping[str, str] | None = None,
        practice: Sequence[str] = (),
        seed: int | None = None,
        series: Series | None = None,
    ) -> RunRequest:
        return RunRequest(
            submission=entry,
            track=self.track,
            level=self.level,
            accelerators=self._accelerators,
            ranks=self._ranks,
            threads=self._threads,
            data=self._data,
            cache=self.workspace.cache,
            overrides=dict(overrides or {}),
            practice=(*self._against, *practice),
            seed=seed,
            series=series,
            keep=self.conditions.keep,
        )

    def would_be(self, entry: Submission, overrides: Mapping[str, str] | None = None) -> Summary:
        request = self.request(entry, overrides=overrides)
        return decode_summary(encode(first_record(request, scored_stream(request).size - 1)))

    def run(self, request: RunRequest, note: str = "", finish: Callable[[Record], Finished] = Finished) -> Stored:
        title = ", ".join(filter(None, (f"{request.submission.name} on {self.track.id}", note)))
        title += f" · data set {request.data.manifest.id} · sandbox {request.level}"
        try:
            self._interrupts.release()
            with live.choose(title, console.console(sys.stderr), sys.stderr, quiet=self.conditions.quiet) as view:
                record = run_entry(request, view.observe)
        except KeyboardInterrupt:
            self._interrupts.hold()
            recover(self.workspace)
            raise
        self._interrupts.hold()
        stored = store(self.workspace, finish(record))
        journal.settle(self.workspace.cache, record.run_id)
        return stored


def store(workspace: Workspace, finished: Finished) -> Stored:
    """Writes the record where all records lie. Raises UserError."""
    path = Store(workspace.results).add(finished.record, finished.signature)
    return Stored(finished.record, path.relative_to(workspace.root).as_posix())


def outside(folder: Path, workspace: Workspace) -> tuple[str, ...]:
    """Why runs of an entry in this folder are practice: one elsewhere may bear the name of an entry here."""
    return () if folder.resolve().parent == workspace.submissions.resolve() else (OUTSIDE,)


@contextlib.contextmanager
def open_session(workspace: Workspace, track: Track, conditions: Conditions, name: str) -> Iterator[Session]:
    """A session on this machine, or on a node of the crew's; it holds the devices until the block is left.

    Args:
        workspace: where everything lies.
        track: of all runs.
        conditions: of all runs.
        name: what those who wait for the devices are told.

    Raises:
        UserError: the machine can't make a ranked run of the track and practice was not asked for; missing data.
    """
    opened = _open_here if conditions.crew is None else conditions.crew.open_session
    with opened(workspace, track, conditions, name) as session:
        yield session


@contextlib.contextmanager
def _open_here(workspace: Workspace, track: Track, conditions: Conditions, name: str) -> Iterator[LocalSession]:
    machine = environment.machine()
    against = obstacles(track, machine)
    _insist(track, against, conditions)
    accelerators = granted(track, machine)
    dataset = find_dataset(workspace, conditions.dataset or track.dataset)
    demand_data(track, dataset)
    for words in data_obstacles(track, dataset) if not (conditions.dataset or conditions.quiet) else ():
        console.note(f"this run will not be ranked: {words}")
    with (
        Interrupts() as interrupts,
        device_lock.hold(device_lock.names(accelerators), name, wait=conditions.wait, say=console.note),
    ):
        # Trying the sandbox and preparing data are work: not beside somebody else's run.
        level = choose(conditions.level)
        against += level_obstacles(track, level)
        _insist(track, against, conditions)
        if conditions.practice:
            against += (ASKED,)
        yield LocalSession(
            workspace,
            track,
            conditions,
            machine=machine,
            level=level,
            accelerators=accelerators,
            data=prepared(workspace, dataset, quiet=conditions.quiet, tokens=_tokens(track, dataset)),
            against=against,
            interrupts=interrupts,
        )


def _insist(track: Track, obstacles: Sequence[str], conditions: Conditions) -> None:
    """Nobody should learn after hours that a run could not be ranked."""
    if obstacles and not conditions.practice:
        raise UserError(
            f"a run on {track.id} can't be ranked here: {'; '.join(obstacles)}; speedrun run --practice runs it "
            "all the same, scored and not ranked; speedrun doctor shows the tracks that qualify"
        )


def _tokens(track: Track, dataset: Manifest) -> int | None:
    """Training tokens that must be there; somebody's own text may have fewer than a track shows."""
    return track.train_tokens if dataset.id == track.dataset else None
