"""Makes pages and writes them, by as many processes as there are processors where they are many.

A process that is forked has everything that the pages are made of; it sends back what it wrote, in one piece, and
ends. It holds the lock on the folder as long as it lives: whoever kills the first process alone leaves nobody behind
who writes beside the next build.
"""

import gc
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.errors import UserError
from leaderboard.site.folder import UNKNOWN, Known
from leaderboard.site.pages import Page
from leaderboard.site.rendering import Templates
from leaderboard.store import Broken

if TYPE_CHECKING:
    from multiprocessing.connection import Connection  # imported where there is more than one process

WORK_A_PROCESS: Final = 100  # in pages of a run; below, starting one costs more than it saves
MOST_PROCESSES: Final = 8

Write = Callable[[str, bytes, str], Known]  # path, data, digest


class Done(NamedTuple):
    """A page that was written."""

    path: str
    known: Known
    broken: Broken | None  # a record that could not be read whole


def make_pages(pages: Sequence[Page], write: Write, templates: Templates) -> Iterator[Done]:
    """Every page, made and written, in no particular order.

    Raises:
        UserError: one could not be written; others may have been, and are among the results only if they came before.
    """
    work = sum(page.work for page in pages)
    processes = max(1, min(os.cpu_count() or 1, MOST_PROCESSES, work // WORK_A_PROCESS))
    # What lives by now lives on: the collector need not walk it again and again, and no process copies it for that.
    gc.freeze()
    try:
        if processes == 1:
            yield from _made(pages, write, templates)
        else:
            yield from _made_by_many(pages, write, templates, processes)
    finally:
        gc.unfreeze()


def shares(pages: Sequence[Page], processes: int) -> list[list[Page]]:
    """The pages dealt out in turn, the dear ones first: no share is dearer than another by more than one page."""
    dealt = sorted(pages, key=lambda page: page.work, reverse=True)
    return [dealt[number::processes] for number in range(processes)]


def _made(pages: Sequence[Page], write: Write, templates: Templates) -> Iterator[Done]:
    for page in pages:
        made = page.make(templates)
        known = write(page.path, made.data, page.digest if made.current else UNKNOWN)
        yield Done(page.path, known, made.broken)


def _made_by_many(pages: Sequence[Page], write: Write, templates: Templates, processes: int) -> Iterator[Done]:
    """This process makes a share itself."""
    from multiprocessing import get_context

    fork = get_context("fork")

    def make_share(share: Sequence[Page], answer: "Connection") -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process hears it, and ends the others
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            answer.send(list(_made(share, write, templates)))
        except UserError as error:
            answer.send(error)

    left, *others = shares(pages, processes)
    children = []
    for share in others:
        ours, theirs = fork.Pipe(duplex=False)
        child = fork.Process(target=make_share, args=(share, theirs), daemon=True)
        try:
            child.start()
        except OSError:  # no process is to be had: its share is made here
            left += share
            ours.close()
        else:
            children.append((child, ours))
        theirs.close()
    try:
        yield from _made(left, write, templates)
        for _, ours in children:
            answer = ours.recv()
            if isinstance(answer, UserError):
                raise answer
            yield from answer
    except EOFError:
        raise UserError("a process that made pages ended before it was done; build the site again") from None
    finally:
        for child, ours in children:
            child.terminate()
            child.join()
            ours.close()
