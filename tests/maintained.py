"""Maintainers for tests: keys made by ssh-keygen, and a checkout as the git repository that they look after."""

import os
import subprocess
from pathlib import Path

from speedrun.workspace import Workspace


def git(folder: Path, *arguments: str, at: str | None = None) -> None:
    """Runs git there as somebody. Raises CalledProcessError.

    at: the date of whatever is committed, e.g. "2026-11-01T12:00:00Z"; None: now.
    """
    names = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    dates = {} if at is None else {"GIT_AUTHOR_DATE": at, "GIT_COMMITTER_DATE": at}
    subprocess.run(
        ["git", *names, *arguments], cwd=folder, check=True, capture_output=True, env={**os.environ, **dates}
    )


def make_keys(folder: Path) -> Path:
    """The keys of a maintainer, `ada`, and of somebody else, `eve`, in `folder`."""
    for name in ("ada", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name], check=True)
    return folder


def maintain(workspace: Workspace, keys: Path, at: str | None = None) -> Workspace:
    """The workspace as a git repository whose maintainer is ada, all of it committed."""
    public = (keys / "ada.pub").read_text()
    workspace.results.parent.mkdir(exist_ok=True)
    (workspace.results.parent / "maintainers").write_text(f'ada@example.org namespaces="speedrun" {public}')
    (workspace.root / ".gitignore").write_text("data/cache/\n")
    git(workspace.root, "init", "-q", "-b", "main")
    git(workspace.root, "add", "-A")
    git(workspace.root, "commit", "-q", "-m", "all of it", at=at)
    return workspace
