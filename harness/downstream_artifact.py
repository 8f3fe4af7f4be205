"""A kept artifact, taken from its shelf by the very code that took it from the worker: same limits, same hash."""

import os
from pathlib import Path
from typing import BinaryIO, cast

from harness import artifact
from harness.dialogue import Dialogue, Ending
from harness.errors import UserError
from harness.protocol import CHUNK, File, Saved
from harness.result import Artifact


class _Shelf:
    """A folder that talks as a worker that saves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
        self._left = sorted(found, key=lambda path: path.relative_to(folder).as_posix())
        self._files = len(self._left)
        self._open: BinaryIO | None = None

    def hear(self, *wanted: object) -> tuple[File | Saved, int]:
        if not self._left:
            return Saved(files=self._files), 0
        path = self._left.pop(0)
        if path.is_symlink() or not path.is_file():
            raise UserError(f"{path.name} in the kept artifact is no plain file; it is not what was saved")
        self.close()
        self._open = path.open("rb")
        return File(name=path.relative_to(self._folder).as_posix()), os.fstat(self._open.fileno()).st_size

    def piece(self, size: int) -> bytes:
        assert self._open is not None
        piece = self._open.read(min(size, CHUNK))
        if not piece:
            raise UserError("the kept artifact was changed while it was read; try again")
        return piece

    def close(self) -> None:
        if self._open is not None:
            self._open.close()


def take(kept: Path, due: Artifact, folder: Path) -> None:
    """Copies the kept artifact into `folder`, which must be new, and makes sure that it is the one that is due.

    Raises:
        UserError: it is another one.
        OSError: it can't be read or copied.
    """
    shelf = _Shelf(kept)
    try:
        found = artifact.receive(cast("Dialogue", shelf), folder, due.bytes)
    except Ending as ending:
        raise UserError(f"the kept artifact is not the one that the record names: {ending.reason}") from None
    finally:
        shelf.close()
    if found != due:
        raise UserError(
            f"the kept artifact has the hash {found.sha256[:12]}, the record names {due.sha256[:12]}; it was changed"
        )
