"""The host's /dev/shm, where a sandbox without a mount namespace can write: how much lies there, and taking it away."""

import contextlib
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

FOLDER = "/dev/shm"
PATIENCE_S = 60.0
_LEAST_BYTES = 4096  # what any file or folder costs at least, empty ones included


class Left(NamedTuple):
    """A file or folder directly in /dev/shm."""

    path: str
    inode: int
    bytes: float  # of memory, with everything below; infinite where that can't be listed


def left_by(user: int | None) -> Iterator[Left]:
    """What belongs to `user` (None: to this process's user)."""
    owner = os.geteuid() if user is None else user
    with contextlib.suppress(OSError), os.scandir(FOLDER) as entries:
        for entry in entries:
            with contextlib.suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == owner:
                    below = _below(entry.path) if entry.is_dir(follow_symlinks=False) else 0
                    yield Left(entry.path, status.st_ino, status.st_blocks * 512 + below)


def _below(folder: str) -> float:
    try:
        return sum(sizes_below(Path(folder)))
    except OSError:
        return math.inf


def sizes_below(top: Path) -> Iterator[int]:
    """Bytes on disk of everything below `top`, without following links.

    Raises:
        OSError: a folder can't be listed, or lies too deep for a path.
    """
    folders = [str(top)]
    while folders:
        try:
            entries = os.scandir(folders.pop())
        except FileNotFoundError:
            continue  # removed while we looked
        with entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    yield max(entry.stat(follow_symlinks=False).st_blocks * 512, _LEAST_BYTES)
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)


def remove_all_of(user: int) -> None:
    """For a user of one sandbox alone, whose processes are dead: what it left would stay in memory for ever.

    Links are removed, not followed. rm walks folders that are nested deeper than a path or Python's stack can be.
    """
    left = [each.path for each in left_by(user)]
    if left:
        with contextlib.suppress(subprocess.TimeoutExpired):
            subprocess.run(
                ["rm", "-rf", "--one-file-system", "--", *left],
                check=False,
                stderr=subprocess.DEVNULL,
                timeout=PATIENCE_S,
            )
