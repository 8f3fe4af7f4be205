"""A user id for one worker alone: finding it, letting it read what is meant for it, ending all that runs as it.

Not covered: files that are open to everybody; at level uid Landlock closes those.
"""

import contextlib
import pwd
import secrets
import stat
import subprocess
from pathlib import Path

from harness.errors import UserError
from harness.process_tree import threads_of

_IDS = range(61_184, 65_520)  # what systemd keeps for users of the moment: nobody's files belong to them


def unused() -> int:
    """A user id that has no name and no process."""
    while True:
        user = secrets.choice(_IDS)
        try:
            pwd.getpwuid(user)
        except KeyError:
            if threads_of(user) == 0:
                return user


def open_for_reading(top: Path) -> None:
    """Let everybody read what the parent staged."""
    for path in (top, *top.rglob("*")):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) | (0o555 if path.is_dir() else 0o444))


def demand_reachable(path: str) -> None:
    """Raises UserError when a folder above `path`, or above what it links to, is closed to other users."""
    for folder in (*Path(path).parents, *Path(path).resolve().parents):
        if not folder.stat().st_mode & stat.S_IXOTH:
            raise UserError(
                f"the worker's own user can't reach {path}: {folder} is closed to others; put it where everybody can"
                " read, or install bubblewrap"
            )


def kill_everything_of(user: int, patience_s: float) -> None:
    """kill(-1) by a process that took the user's id: reaches all of its processes at once, and no other's."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            ["/bin/sh", "-c", "kill -s KILL -- -1"],
            env={},
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            user=user,
            group=user,
            extra_groups=[],
            timeout=patience_s,
            check=False,
        )
