"""Reads what a stranger has committed, without ever checking it out.

The objects of a pull request are read where they lie, through a git directory of our own that has no configuration, no
hooks, no attributes, no remotes, no replacements and no work tree: whatever the repository's own says (filters,
textconv, fsmonitor, a remote that would be asked for missing objects) is not there to be obeyed. Of the repository
itself two things are asked: which object a name stands for, and where the objects lie. Trees are taken apart by us
(git_tree.py) and not by git, so that a tree that unfolds into a billion files is refused after a few thousand.

Not covered: git's own code, which takes packed objects apart (its memory and its time are bounded), and other object
stores that `objects/info/alternates` names: their content is found by its hash like any other.
"""

import contextlib
import os
import re
import resource
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness import git_tree
from harness.errors import UserError
from harness.git_tree import FOLDER_MODE, Item, ObjectError, shown_path
from harness.repository import quiet_environment

_TIMEOUT_S = 120  # for everything that is asked of one repository
_GIT_MEMORY_BYTES = 2**30  # a small object may be packed as a change to a huge one
_MOST_TREE_BYTES = 16 * 2**20  # one folder: a hundred thousand names take a fourth of it
_MOST_TREES_BYTES = 128 * 2**20  # all folders that are looked at
_MOST_TREES = 20_000
_MOST_DEPTH = 32  # folders below folders
_MOST_ANSWER_BYTES = 64 * 1024  # of git, to a question that one line answers

_ID = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# A branch, a tag, a commit, and the way back from one (main~2, main^2). Git's wider language of revisions searches
# messages and reads logs of its own: nobody needs that here.
_REF = re.compile(r"[^-\s~^:?*\[\\@{}\x00-\x20\x7f][^\s~^:?*\[\\{}\x00-\x20\x7f]*([~^][0-9]{0,4}){0,8}")
_REF_CAP = 200  # characters
_MORE_THAN_A_REF = re.compile(r"[0-9a-f]{7,64}|[A-Z_]*HEAD")  # an id, perhaps a short one; FETCH_HEAD
# Where git looks for a short name; it takes the first that is there, a tag before a branch.
_SHORT_REFS = ("refs/{}", "refs/tags/{}", "refs/heads/{}", "refs/remotes/{}", "refs/remotes/{}/HEAD")


class Change(NamedTuple):
    """A file, a link or a submodule that is not the same in two trees."""

    path: str  # bytes that are no UTF-8 stand as surrogates
    old: Item | None  # None: it is new
    new: Item | None  # None: it is gone


class Objects:
    """What lies in one repository; made by `open_objects`."""

    def __init__(self, root: Path, own: Path, environment: dict[str, str]) -> None:
        self._root = root
        self._own = own
        self._environment = environment
        self._facts = _start(own, environment, "--batch-check")
        self._contents = _start(own, environment, "--batch")
        self._trees = 0
        self._tree_bytes = 0

    def end(self) -> None:
        """Ends the git processes, whatever they are doing."""
        for process in (self._facts, self._contents):
            process.kill()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    if stream is not None:
                        stream.close()
            process.wait()

    def stop(self) -> None:
        """They answer no more; may be called from another thread."""
        self._facts.kill()
        self._contents.kill()

    def commit(self, ref: str) -> str:
        """The id of the commit that a branch, a tag or an id names.

        A fetch brings tags of the other side's choosing, and git takes a tag `origin/main` for the branch: a name that
        has two meanings is none.

        Raises:
            UserError: it names none, or more than one thing, or its commit is not here.
        """
        shown = ascii(ref[:_REF_CAP])
        if len(ref) > _REF_CAP or not _REF.fullmatch(ref) or ".." in ref:
            raise UserError(f"{shown} is no plain name of a commit; give a branch, a tag or a commit's id")
        name = re.split("[~^]", ref)[0]
        meanings = self._meanings(name)
        if len(meanings) > 1:
            some = " and ".join(shown_path(meaning) for meaning in meanings)
            raise UserError(f"{shown} may mean {some}; give the whole name, such as refs/heads/main, or a commit's id")
        whole = (meanings[0] if meanings else name) + ref.removeprefix(name)
        named = _ask_repository(self._root, "rev-parse", "--verify", "--quiet", "--end-of-options", whole)
        lost = not meanings and name.startswith("refs/")  # git would look for it among the tags
        found = _ID.fullmatch(named.strip()) if named is not None and not lost else None
        if found is None:
            raise UserError(f"{shown} names nothing in this repository; git fetch it, or correct the name")
        facts = self._look(f"{found.group()}^{{commit}}")
        if facts is None or facts.kind != "commit":
            raise UserError(f"the commit of {shown} is not in this repository; git fetch it")
        return facts.id

    def merge_bases(self, one: str, other: str) -> tuple[str, ...]:
        """The latest commits from which both have come; none for unrelated histories.

        Raises:
            UserError: the histories can't be followed.
        """
        done = _run(["git", "merge-base", "--all", one, other], self._own, self._environment, errors=subprocess.STDOUT)
        found = done.out.split() if done is not None else []
        # Git says 1 where there is none, and complains of a missing commit while it goes on without it.
        if done is None or done.code not in (0, 1) or not all(map(_ID.fullmatch, found)):
            raise UserError("the histories of the two commits are not all here; git fetch them whole")
        return tuple(found)

    def find(self, commit: str, path: str) -> Item | None:
        """What lies at a path in a commit. Raises ObjectError."""
        item: Item | None = self._root_of(commit)
        for depth, part in enumerate(path.split("/")):
            if item is None or item.mode != FOLDER_MODE:
                return None
            item = self._names(item.id, "/".join(path.split("/")[:depth])).get(part)
        return item

    def names(self, commit: str, path: str) -> dict[str, Item]:
        """What the folder at a path holds; nothing where there is no folder. Raises ObjectError."""
        item = self.find(commit, path)
        return self._names(item.id, path) if item is not None and item.mode == FOLDER_MODE else {}

    def files(self, commit: str, path: str, most: int) -> dict[str, Item]:
        """Everything below a folder but folders, by its path from there. Raises ObjectError as `changes` does."""
        item = self.find(commit, path)
        if item is None or item.mode != FOLDER_MODE:
            return {}
        below = _Walk(self, most).compare(None, item.id, path)
        return {change.path.removeprefix(f"{path}/"): change.new for change in below if change.new is not None}

    def changes(self, old: str, new: str, most: int) -> tuple[Change, ...]:
        """What is not the same in two commits, by path. Nothing counts as a rename.

        Raises:
            ObjectError: more than `most`, or trees that no git would have made.
        """
        return _Walk(self, most).compare(self._root_of(old).id, self._root_of(new).id, "")

    def size_bytes(self, item: Item) -> int:
        """How large a file is. Raises ObjectError."""
        facts = self._look(item.id)
        if facts is None or facts.kind != "blob":
            raise ObjectError(f"the object {item.id[:12]} is no file, or it is not here")
        return facts.size_bytes

    def read(self, item: Item, most_bytes: int) -> bytes:
        """A file, byte for byte as it was committed. Raises ObjectError for more than `most_bytes`."""
        size_bytes = self.size_bytes(item)
        if size_bytes > most_bytes:
            raise ObjectError(f"it has {size_bytes:,} bytes, of at most {most_bytes:,}")
        return self._content(item.id)

    def _meanings(self, name: str) -> list[str]:
        """The whole names of all branches and tags that a name may mean; the name itself with them if it is more."""
        if _ID.fullmatch(name) and (facts := self._look(name)) is not None and facts.id == name:
            return []  # git, too, takes a whole id for nothing else
        whole = [name] if name.startswith("refs/") else [form.format(name) for form in _SHORT_REFS]
        found = [ref for ref in whole if _ask_repository(self._root, "show-ref", "--verify", "--", ref) is not None]
        return [name, *found] if found and _MORE_THAN_A_REF.fullmatch(name) else found

    def _root_of(self, commit: str) -> Item:
        facts = self._look(f"{commit}^{{tree}}")
        if facts is None or facts.kind != "tree":
            raise ObjectError(f"the files of commit {commit[:12]} are not in this repository; git fetch it")
        return Item(FOLDER_MODE, facts.id)

    def _names(self, tree: str, path: str) -> dict[str, Item]:
        """What a tree object lists; `path` is for errors."""
        facts = self._look(tree)
        if facts is None or facts.kind != "tree":
            raise ObjectError(f"{shown_path(path) or 'the top folder'} is not in this repository; git fetch it")
        self._trees += 1
        self._tree_bytes += facts.size_bytes
        if self._trees > _MOST_TREES or self._tree_bytes > _MOST_TREES_BYTES or facts.size_bytes > _MOST_TREE_BYTES:
            raise ObjectError(f"there are too many folders and names to look at, up to {shown_path(path)!r}")
        found = git_tree.names(self._content(tree), len(tree) // 2, path)
        if path and not found:  # it would be seen by who reads trees, and by nobody who reads files
            raise ObjectError(f"{shown_path(path)} is an empty folder, which git never commits")
        return found

    def _look(self, name: str) -> "_Facts | None":
        """What git knows of an object without giving it; None: it is not here."""
        line = self._ask(self._facts, name)
        parts = line.split(" ")
        if len(parts) != 3 or not _ID.fullmatch(parts[0]) or not parts[2].isdecimal():
            return None
        return _Facts(parts[0], parts[1], int(parts[2]))

    def _content(self, name: str) -> bytes:
        """The bytes of an object whose size has been looked at."""
        line = self._ask(self._contents, name)
        size = line.rpartition(" ")[2]
        if not size.isdecimal():
            raise ObjectError(f"the object {name[:12]} can't be read")
        stream = self._contents.stdout
        assert stream is not None
        data = stream.read(int(size) + 1)
        if len(data) != int(size) + 1:
            raise ObjectError(f"the object {name[:12]} can't be read: it is broken, or larger than git may hold here")
        return data[:-1]

    def _ask(self, process: "subprocess.Popen[bytes]", name: str) -> str:
        asked, answered = process.stdin, process.stdout
        assert asked is not None
        assert answered is not None
        try:
            asked.write(name.encode() + b"\n")
            asked.flush()
            line = answered.readline(1000)
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            raise ObjectError(f"git gave no answer about the object {name[:12]} within its time and memory")
        return line[:-1].decode("ascii", "replace")


class _Facts(NamedTuple):
    id: str
    kind: str  # blob, tree, commit, tag
    size_bytes: int


class _Walk:
    """Two trees side by side; what is the same object on both sides is not entered."""

    def __init__(self, objects: Objects, most: int) -> None:
        self._objects = objects
        self._most = most
        self._found: list[Change] = []

    def compare(self, old: str | None, new: str | None, path: str) -> tuple[Change, ...]:
        self._folder(old, new, path, 0)
        return tuple(self._found)

    def _folder(self, old: str | None, new: str | None, path: str, depth: int) -> None:
        if depth > _MOST_DEPTH:
            raise ObjectError(f"folders are nested more than {_MOST_DEPTH} deep at {shown_path(path)!r}")
        before = self._objects._names(old, path) if old is not None else {}
        after = self._objects._names(new, path) if new is not None else {}
        for name in sorted({*before, *after}):
            one, other = before.get(name), after.get(name)
            if one == other:
                continue
            here = f"{path}/{name}" if path else name
            old_file, new_file = _unless_folder(one), _unless_folder(other)
            if old_file is not None or new_file is not None:
                if len(self._found) == self._most:
                    raise ObjectError(f"more than {self._most:,} files are changed")
                self._found.append(Change(here, old_file, new_file))
            old_folder, new_folder = _if_folder(one), _if_folder(other)
            if old_folder is not None or new_folder is not None:
                self._folder(old_folder, new_folder, here, depth + 1)


@contextlib.contextmanager
def open_objects(root: Path) -> Iterator[Objects]:
    """The objects of the repository whose top folder is `root`.

    Raises:
        UserError: it is no repository, git is missing, or the repository holds only the end of its history.
    """
    with tempfile.TemporaryDirectory(prefix="speedrun-git-") as folder:
        own = Path(folder)
        environment = _own_directory(root, own)
        objects = Objects(root, own, environment)
        overdue = threading.Timer(_TIMEOUT_S, objects.stop)
        overdue.daemon = True
        overdue.start()
        try:
            yield objects
        finally:
            overdue.cancel()
            objects.end()


# ----------------------------------------------------------------------------------------------------------------- git


def _own_directory(root: Path, own: Path) -> dict[str, str]:
    """Makes an empty git directory in `own` that finds the repository's objects; the environment that names it."""
    facts = _ask_repository(
        root, "rev-parse", "--is-shallow-repository", "--show-object-format", "--git-path", "objects"
    )
    lines = facts.split("\n", 2) if facts is not None else []
    if len(lines) != 3:
        raise UserError(
            "this checkout is not the top folder of a repository that git can read; run this in a clone made with git"
        )
    shallow, object_format, objects = lines
    if shallow != "false":
        # What a cut history shows as the common ancestor may not be it.
        raise UserError("this clone holds only the end of its history; git fetch --unshallow (in CI: fetch-depth: 0)")
    version = 0 if object_format == "sha1" else 1
    extension = "" if object_format == "sha1" else f"[extensions]\n\tobjectFormat = {object_format}\n"
    for name in ("objects", "refs"):
        (own / name).mkdir()
    (own / "HEAD").write_text("ref: refs/heads/none\n")
    (own / "config").write_text(f"[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}")
    place = root / objects.removesuffix("\n")
    return repository_environment(own) | {"GIT_OBJECT_DIRECTORY": str(place.resolve())}


def _ask_repository(root: Path, *command: str) -> str | None:
    """What git says in the repository itself, whose configuration names nothing that these questions would start.

    The repository is named and not searched for: no folder above counts, and no other owner is asked about.
    """
    if not (root / ".git").exists():
        return None
    environment = repository_environment(root / ".git") | {"GIT_WORK_TREE": str(root)}  # core.worktree may be elsewhere
    done = _run(["git", "--no-pager", *command], root, environment)
    return done.out if done is not None and done.code == 0 else None


def repository_environment(directory: Path) -> dict[str, str]:
    """For a git that takes this `.git` folder and no other, and none of the user's settings."""
    return quiet_environment() | {
        "GIT_DIR": str(directory),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_NO_REPLACE_OBJECTS": "1",
    }


class _Done(NamedTuple):
    code: int
    out: str


def _run(
    arguments: list[str], folder: Path, environment: dict[str, str], errors: int = subprocess.DEVNULL
) -> _Done | None:
    """A short answer of git; None when it took too long or said too much. STDOUT as `errors` adds its complaints."""
    process = _popen(arguments, folder, environment, stdin=subprocess.DEVNULL, errors=errors)
    overdue = threading.Timer(_TIMEOUT_S, process.kill)
    overdue.daemon = True
    overdue.start()
    with process:
        assert process.stdout is not None
        out = process.stdout.read(_MOST_ANSWER_BYTES + 1)
        process.stdout.close()  # whoever says more is ended by it
    overdue.cancel()
    if len(out) > _MOST_ANSWER_BYTES:
        return None
    return _Done(process.returncode, out.decode("utf-8", "surrogateescape"))


def _start(folder: Path, environment: dict[str, str], mode: str) -> "subprocess.Popen[bytes]":
    return _popen(["git", "cat-file", mode], folder, environment, stdin=subprocess.PIPE, errors=subprocess.DEVNULL)


def _popen(
    arguments: list[str], folder: Path, environment: dict[str, str], *, stdin: int, errors: int
) -> "subprocess.Popen[bytes]":
    try:
        process = subprocess.Popen(
            arguments, cwd=folder, env=environment, stdin=stdin, stdout=subprocess.PIPE, stderr=errors
        )
    except FileNotFoundError:
        raise UserError("git is not installed here; install it") from None
    # Only what git allocates: the packs that it maps are not counted.
    with contextlib.suppress(ProcessLookupError):
        resource.prlimit(process.pid, resource.RLIMIT_DATA, (_GIT_MEMORY_BYTES, _GIT_MEMORY_BYTES))
    return process


# --------------------------------------------------------------------------------------------------------------- trees


def _unless_folder(item: Item | None) -> Item | None:
    return item if item is not None and item.mode != FOLDER_MODE else None


def _if_folder(item: Item | None) -> str | None:
    return item.id if item is not None and item.mode == FOLDER_MODE else None
