"""What bounds a run's sandboxes, and what none of them may see: judged from the request alone."""

import os
from pathlib import Path

from harness.errors import UserError
from harness.result import Level
from harness.run_request import RunRequest
from harness.sandbox import Limits
from harness.sandbox_plan import under

SHM_BYTES = 512 << 20  # a rank
OUTPUT_BYTES = 16 << 20
OPEN_FILES = 4096


def demand_hidden(folder: Path, level: Level, shown: tuple[str, ...]) -> None:
    """Raises UserError when `folder` lies in one of the trees that every sandbox of this level can read."""
    place = str(folder.resolve())
    tree = next((tree for tree in shown if under(place, (tree, os.path.realpath(tree)))), None)
    if tree is not None and level is not Level.NONE:
        raise UserError(
            f"the scored text lies below {tree}, which every entry may read as part of the system or of Python; "
            "move this checkout somewhere else"
        )


def sandbox_limits(request: RunRequest, ranks: int, *, training: bool) -> Limits:
    """Of the sandbox in which so many ranks train, or of the scorer's and the twin's."""
    resources = request.track.resources
    # What a scorer leaves in a /dev/shm that is the harness's own user's, its twin would find: it gets none.
    none_shared = request.level is Level.LANDLOCK and not training
    return Limits(
        memory_bytes=int(resources.memory_gib * 2**30),
        processes=resources.processes,
        scratch_bytes=resources.scratch_mib << 20,
        shm_bytes=0 if none_shared else SHM_BYTES * ranks,
        open_files=OPEN_FILES,
        threads=request.threads_a_rank * ranks,
        output_bytes=OUTPUT_BYTES,
        ranks=ranks,
    )
