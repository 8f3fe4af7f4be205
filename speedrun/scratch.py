"""Folders that a command needs for a while: below data/cache/scratch, gone with the command, however it ended."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock


@contextlib.contextmanager
def scratch(cache: Path, purpose: str) -> Iterator[Path]:
    """A new folder that other users can't open. What killed commands left behind is removed first.

    Args:
        cache: the checkout's data/cache; made where there is none.
        purpose: the first part of the folder's name, for whoever wonders what fills the disk.

    Raises:
        OSError: the disk is full, or closed to us.
    """
    top = cache / "scratch"
    top.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / "scratch.lock"):
        _sweep(top)
        place = Path(tempfile.mkdtemp(prefix=f"{purpose}-", dir=top))
        in_use = FileLock(_lock_of(place))
        in_use.acquire()
    try:
        yield place
    finally:
        with FileLock(cache / "scratch.lock"):
            in_use.release()
            _remove(place)


def _sweep(top: Path) -> None:
    """Whoever dies, by kill -9 too, lets go of his lock."""
    for place in {path.with_suffix("") for path in top.iterdir()}:
        with contextlib.suppress(OSError), FileLock(_lock_of(place), blocking=False):  # in use, or another user's
            _remove(place)


def _remove(place: Path) -> None:
    """The lock's file goes last: a folder without one is nobody's all the same."""
    for folder, names, _ in os.walk(place):  # an entry may have closed folders of its own
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(OSError):
        _lock_of(place).unlink()


def _lock_of(place: Path) -> Path:
    return place.with_suffix(".lock")
