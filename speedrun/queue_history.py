"""What git knows of the entries' folders: what is committed, and since when. Three questions for all of them together.

The date is that of the newest commit on the first-parent line of HEAD that changed the folder: where pull requests are
merged, the merge, whose date is the maintainers' and not the contestant's. What a folder should hold is named by git's
own hashes of its files, so that nothing is asked of the index, and no filter and no ignore rule has a say.

Git is run on the repository that lies at the top of the checkout, without the user's settings, in ways in which the
repository's own start no program.

Not covered: commits that somebody pushed as they were, without a merge; they keep the dates that their author gave.
"""

import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from harness.folder import IGNORED_NAMES, IGNORED_SUFFIXES
from harness.git_objects import repository_environment

_TIMEOUT_S = 120.0
_LAST_DATE_S = 253_402_300_799  # the year 9999
_BLOB = re.compile(r"[0-9]{6} blob (?P<id>[0-9a-f]+)\t(?P<path>.+)", re.DOTALL)

# Whatever a repository's settings ask for beside a list of names is switched off: signatures, drivers, renames.
_LOG = (
    "log", "-z", "--name-only", "--format=%ct", "--first-parent", "-m", "--no-decorate", "--no-ext-diff", "--no-follow",
    "--no-notes", "--no-relative", "--no-renames", "--no-show-signature", "--no-textconv",
)  # fmt: skip


class FolderHistory(NamedTuple):
    """What HEAD holds below the folder of submissions."""

    lacking: str  # why git does not say all of this; "": it does
    hash_name: str | None  # of git's ids, e.g. "sha1"; None: git says nothing at all
    files: Mapping[str, Mapping[str, str]]  # entry → path inside its folder → id of the content
    since: Mapping[str, str]  # entry → UTC, ISO 8601, whole seconds

    def holds(self, entry: str, texts: Mapping[str, str]) -> bool:
        """Whether these files, and no others, are the entry's in HEAD."""
        return self.hash_name is not None and self.files.get(entry) == {
            path: _blob_id(text.encode(), self.hash_name) for path, text in texts.items()
        }


def read(root: Path, submissions: Path) -> FolderHistory:
    """What git says; never raises for what it does not.

    Args:
        root: the top folder of the checkout.
        submissions: inside it, the folder of all entries.
    """
    facts = _ask(root, "rev-parse", "--is-shallow-repository", "--show-object-format", "HEAD^{commit}")
    lines = facts.split("\n") if facts is not None else []
    if len(lines) != 4:
        return FolderHistory("this checkout is no git repository with a commit that git speaks for", None, {}, {})
    shallow, hash_name, commit, _ = lines
    prefix = f"{submissions.relative_to(root).as_posix()}/"
    tree = _ask(root, "ls-tree", "-r", "-z", commit, "--", prefix)
    if tree is None:
        return FolderHistory("git can't list what is committed", None, {}, {})
    files = _files(tree, prefix)
    if shallow == "true":
        lacking = "this clone holds only the end of its history, so git knows no dates: git fetch --unshallow"
        return FolderHistory(lacking, hash_name, files, {})
    log = _ask(root, *_LOG, commit, "--", prefix)
    if log is None:
        return FolderHistory("git can't follow the history of the entries", hash_name, files, {})
    return FolderHistory("", hash_name, files, _since(log, prefix))


def _files(listed: str, prefix: str) -> dict[str, dict[str, str]]:
    """Entry → path → id; what takes no part in an entry is left out, and so is what lies beside the folders."""
    files: dict[str, dict[str, str]] = {}
    for found in filter(None, map(_BLOB.fullmatch, listed.split("\0"))):
        entry, slash, path = found["path"].removeprefix(prefix).partition("/")
        if slash and not any(name in IGNORED_NAMES or name.endswith(IGNORED_SUFFIXES) for name in path.split("/")):
            files.setdefault(entry, {})[path] = found["id"]
    return files


def _since(log: str, prefix: str) -> dict[str, str]:
    """Entry → when its folder was last changed, from the newest commit back."""
    since: dict[str, str] = {}
    for date, path in _changes(log, prefix):
        since.setdefault(path.removeprefix(prefix).partition("/")[0], date)
    return since


def _changes(log: str, prefix: str) -> Iterator[tuple[str, str]]:
    """Date and path of each change, from what git prints: a commit's time, then its paths, then the next one's time."""
    date = ""
    for word in (word.strip("\n") for word in log.split("\0")):
        if word.startswith(prefix):
            yield date, word
        elif word.isdecimal():
            moment = datetime.fromtimestamp(min(int(word[:20]), _LAST_DATE_S), UTC)
            date = moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _blob_id(data: bytes, hash_name: str) -> str:
    return hashlib.new(hash_name, b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _ask(root: Path, *command: str) -> str | None:
    """What git says; None: it refuses, is missing, or takes too long. The repository is named and not searched for."""
    directory = root / ".git"
    if not directory.exists():
        return None
    # The repository's own setting may name another work tree.
    environment = repository_environment(directory) | {"GIT_WORK_TREE": str(root), "GIT_LITERAL_PATHSPECS": "1"}
    try:
        done = subprocess.run(
            ["git", "--no-pager", *command],
            cwd=root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode("utf-8", "surrogateescape") if done.returncode == 0 else None
