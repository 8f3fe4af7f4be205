"""Which commit a folder stands on, asked of git without running anything that the repository brings along.

A repository's own configuration can name programs (fsmonitor, hooks, filters). All of those that these questions would
start are switched off. Where git refuses (another owner's folder, no repository, no git), there is no answer, and the
record says so.
"""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

from harness.folder import IGNORED_NAMES, IGNORED_SUFFIXES

_TIMEOUT_S = 10
_MAX_OUTPUT = 64 * 1024  # bytes of configuration that are looked at

_QUIET = (
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.attributesFile=/dev/null",
    "core.untrackedCache=false",
    "core.pager=cat",
    "core.sshCommand=false",
    "core.askPass=",
    "credential.helper=",
    "safe.bareRepository=explicit",  # a folder that only looks like a repository is none
)

_STATUS = ("status", "--porcelain", "--untracked-files=normal", "--ignore-submodules=all", "--", ":/")
_IGNORED = ("ls-files", "-z", "--others", "--ignored", "--exclude-standard", "--", ".")

# Every run adds its record, and a duel its file; that does not make the next run's source unclean. Nor does a ruling,
# which is about results; but it may decide about what is vouched for.
_OF_RUNS = ("results", "duels")
_OF_MAINTAINERS = ("rulings",)


class State(NamedTuple):
    """Both None: no repository that git would speak for."""

    commit: str | None
    clean: bool | None


_NOTHING = State(None, None)


def state(folder: Path) -> State:
    """Whether what an entry's folder holds is the commit's; never raises.

    Clean: no changed and no untracked file in the whole repository, but for records, duels and rulings; and in `folder`
    none that git ignores, but for what takes no part in an entry (harness.folder): an ignored file runs like any other.
    """
    quiet = _quiet(folder)
    found = _checkout(folder, quiet, (*_OF_RUNS, *_OF_MAINTAINERS))
    if not found.clean:
        return found
    ignored = _git(folder, quiet, *_IGNORED)
    return _NOTHING if ignored is None else found._replace(clean=not any(map(_takes_part, ignored.split("\0"))))


def checkout(root: Path) -> State:
    """Whether a whole checkout is its commit's, for who vouches for what comes out of it; never raises.

    Clean: no changed and no untracked file, but for records and duels, which count by their signatures. Not covered:
    what git ignores; for an entry's folder, `state` answers.
    """
    return _checkout(root, _quiet(root), _OF_RUNS)


def _checkout(folder: Path, quiet: tuple[str, ...] | None, left_out: tuple[str, ...]) -> State:
    """left_out: folders of the leaderboard that are not looked into."""
    commit = _git(folder, quiet, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not commit:
        return _NOTHING
    changes = _git(folder, quiet, *_STATUS, *(f":(top,exclude)leaderboard/{name}" for name in left_out))
    return _NOTHING if changes is None else State(commit.strip(), not changes)


def _takes_part(path: str) -> bool:
    """Whether an entry's folder is read with this file in it; path: inside the folder, posix."""
    return path != "" and not any(name in IGNORED_NAMES or name.endswith(IGNORED_SUFFIXES) for name in path.split("/"))


def _quiet(folder: Path) -> tuple[str, ...] | None:
    """Settings under which git starts no program of the repository's; None: git does not speak for it."""
    names = _git(folder, _QUIET, "config", "--null", "--name-only", "--get-regexp", r"^filter\.")
    if names is None:
        return None
    # A filter runs on files that look changed. An empty command is none.
    filters = {name.rpartition(".")[0] for name in names.split("\0") if name.count(".") >= 2}
    quiet = (*_QUIET, *(f"{name}.{key}=" for name in sorted(filters) for key in ("clean", "smudge", "process")))
    return (*quiet, *(f"{name}.required=false" for name in sorted(filters)))


def quiet_environment() -> dict[str, str]:
    """For a git that asks nobody, fetches nothing, and obeys nothing but its own command line and its repository."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return environment | {
        "GIT_ALLOW_PROTOCOL": "none",  # a partial clone would fetch what it lacks; no configuration outweighs this
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


def _git(folder: Path, settings: tuple[str, ...] | None, *command: str) -> str | None:
    """What git says; None when it refuses. A `config` that finds nothing is an empty answer (git exits with 1).

    settings: None, and git is not asked.
    """
    if settings is None:
        return None
    arguments = ["git", "--no-pager", *(part for setting in settings for part in ("-c", setting)), *command]
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            env=quiet_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    if command[0] == "config" and (done.returncode not in (0, 1) or len(done.stdout) > _MAX_OUTPUT):
        return None
    if command[0] != "config" and done.returncode != 0:
        return None
    return done.stdout.decode(errors="replace")
