"""What lies in the machine's memory of files that every sandbox sees: the one notice-board that we know of.

The scorer and its twin read the same files of the system and of Python. Which of their pages lie in memory the scorer
can choose, by reading some and not others, and the kernel tells the twin exactly what it finds (as major page faults):
one bit a page, of a million pages where CUDA is installed. So where anything was read from disk while a scorer lived,
these files are dropped from memory before its twin starts, and again, for the next run, when the twin is dead. An
honest scorer reads hardly anything, since training has loaded its libraries; where it does, its twin merely starts more
slowly.

Not covered: pages that some process holds mapped; pages that training left in memory and that the kernel drops when
memory is short; names of files that it remembers; file systems whose reads it does not count (FUSE, some networks); a
harness that is killed before it comes to this; and times of access, which are written where files can be (not at level
namespaces).
"""

import contextlib
import os
import re
from collections.abc import Iterable
from pathlib import Path

LEAST_KIB = 64  # read from disk meanwhile: 16 pages tell a few hundred bits, less than 0.005 nats on any track here

_PAGED_IN = re.compile(r"^pgpgin (\d+)$", re.MULTILINE)


def paged_in_kib() -> float:
    """What the machine has read from its disks since it was started, by whomever; infinite where nobody counts."""
    try:
        found = _PAGED_IN.search(Path("/proc/vmstat").read_text())
    except OSError:
        return float("inf")
    return float(found[1]) if found else float("inf")


def told(before_kib: float, after_kib: float) -> bool:
    """Whether so much was read between two looks that a message could be in it."""
    return not after_kib - before_kib <= LEAST_KIB


def forget(trees: Iterable[str | os.PathLike[str]]) -> None:
    """Drop every page of every file below `trees` that no process holds mapped. Nothing is read, nothing is changed."""
    for tree in trees:
        if Path(tree).is_file():
            _drop(os.fspath(tree))
        for folder, _, names in os.walk(tree):
            for name in names:
                _drop(f"{folder}/{name}")


def _drop(path: str) -> None:
    with contextlib.suppress(OSError):  # gone, closed to us, or nothing that has pages
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)
