"""Which commit a folder stands on, asked of git without running anything that the repository brings along.

A repository's own configuration can name programs (fsmonitor, hooks, filters). All of those that `rev-parse` and
`status` would start are switched off. Where git refuses (another owner's folder, no repository, no git), there is no
answer, and the record says so.
"""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple

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

# Every run adds its record, and a judgement its file; that does not make the next run's source unclean.
_STATUS = (
    "status",
    "--porcelain",
    "--untracked-files=normal",
    "--ignore-submodules=all",
    "--",
    ":/",
    *(f":(top,exclude)leaderboard/{folder}" for folder in ("results", "duels", "rulings")),
)


class State(NamedTuple):
    """Both None: no repository that git would speak for."""

    commit: str | None
    clean: bool | None  # no changed and no untracked file in the repository, but for what runs themselves add


_NOTHING = State(None, None)


def state(folder: Path) -> State:
    """The repository that `folder` lies in; never raises."""
    names = _git(folder, _QUIET, "config", "--null", "--name-only", "--get-regexp", r"^filter\.")
    if names is None:
        return _NOTHING
    # A filter runs on files that look changed. An empty command is none.
    filters = {name.rpartition(".")[0] for name in names.split("\0") if name.count(".") >= 2}
    quiet = (*_QUIET, *(f"{name}.{key}=" for name in sorted(filters) for key in ("clean", "smudge", "process")))
    quiet = (*quiet, *(f"{name}.required=false" for name in sorted(filters)))
    commit = _git(folder, quiet, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    if not commit:
        return _NOTHING
    changes = _git(folder, quiet, *_STATUS)
    return _NOTHING if changes is None else State(commit.strip(), not changes)


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


def _git(folder: Path, settings: tuple[str, ...], *command: str) -> str | None:
    """What git says; None when it refuses. A `config` that finds nothing is an empty answer (git exits with 1)."""
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
