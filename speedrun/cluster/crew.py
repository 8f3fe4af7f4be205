"""Nodes of a cluster that make runs for a command here: who calls them, and how they share the work.

A session has one seat, so all its runs are made on one machine, as those of a comparison must be.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from harness import repository
from harness.errors import UserError
from harness.track import Track
from leaderboard.text import plain
from speedrun.cluster import engine
from speedrun.cluster.needs import needs
from speedrun.cluster.remote import RemoteSession
from speedrun.cluster.roster import Roster, look
from speedrun.cluster.watching import Watch
from speedrun.session import Conditions
from speedrun.signals import Interrupts
from speedrun.workspace import Workspace

Job = TypeVar("Job")


@dataclass(frozen=True)
class Call:
    """What the command line says about the cluster. Raises UserError for an address that is none."""

    address: str  # engine.HERE, or ray://HOST:PORT
    nodes: int | None = None  # so many at once, waited for if need be; None: as many as will do and are free
    accelerator_type: str | None = None  # None: that of the track's accelerator

    def __post_init__(self) -> None:
        if self.address != engine.HERE and not self.address.startswith(engine.REMOTE):
            raise UserError(
                f"--on takes {engine.HERE} (the cluster of this machine) or {engine.REMOTE}HOST:PORT, not "
                f"{plain(self.address, 80)}"
            )


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
        with joined.seats(asked, count, lambda: look(interrupts), exactly=wanted.nodes is not None) as got:
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


class Crew(Roster):
    """The seats of a command, and the sessions on them. Usable from any thread."""

    @contextlib.contextmanager
    def open_session(
        self, workspace: Workspace, track: Track, conditions: Conditions, name: str
    ) -> Iterator[RemoteSession]:
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
