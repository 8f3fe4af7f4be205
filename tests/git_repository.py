"""Real git repositories for tests, made of objects: plumbing makes what porcelain refuses."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

FILE, PROGRAM, LINK, FOLDER, SUBMODULE = "100644", "100755", "120000", "40000", "160000"


class Held(NamedTuple):
    """A file as a commit holds it."""

    data: bytes
    mode: str = FILE


class Repository:
    """A repository whose commits are made without a work tree."""

    def __init__(self, root: Path, *options: str) -> None:
        self.root = root
        self._blobs: dict[bytes, str] = {}
        root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet", *options)

    def git(self, *arguments: str, data: bytes = b"", environment: Mapping[str, str] | None = None) -> str:
        """What git says. Raises CalledProcessError."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
        done = subprocess.run(
            ["git", *identity, *arguments],
            cwd=self.root,
            env=clean | dict(environment or {}),
            input=data,
            check=True,
            capture_output=True,
            timeout=60,
        )
        return done.stdout.decode().strip()

    def blob(self, data: bytes) -> str:
        if data not in self._blobs:
            self._blobs[data] = self.git("hash-object", "-w", "--stdin", data=data)
        return self._blobs[data]

    def raw_tree(self, *items: tuple[str, bytes, str]) -> str:
        """A tree object of (mode, name, id), in any order and with any names."""
        data = b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(id) for mode, name, id in items)
        return self.git("hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=data)

    def tree(self, files: Mapping[str, str | bytes | Held]) -> str:
        """A tree of these files; a submodule's data is the id of its commit."""
        lines = []
        for path, content in files.items():
            held = content if isinstance(content, Held) else Held(_bytes(content))
            id = held.data.decode() if held.mode == SUBMODULE else self.blob(held.data)
            lines.append(f"{held.mode} {id}\t".encode() + os.fsencode(path) + b"\0")
        index = {"GIT_INDEX_FILE": str(self.root / ".git" / "index.test")}
        self.git("read-tree", "--empty", environment=index)
        self.git("update-index", "-z", "--index-info", data=b"".join(lines), environment=index)
        return self.git("write-tree", environment=index)

    def commit(self, tree: str | Mapping[str, str | bytes | Held], *parents: str) -> str:
        """A commit of a tree or of these files."""
        id = tree if isinstance(tree, str) else self.tree(tree)
        return self.git("commit-tree", id, *(part for parent in parents for part in ("-p", parent)), data=b"a commit\n")

    def branch(self, name: str, commit: str) -> None:
        self.git("update-ref", f"refs/heads/{name}", commit)


def lay_traps(repository: Repository, mark: Path) -> None:
    """Every way that is known in which a repository's own files make git run a program; each writes to `mark`."""
    git_dir = repository.root / ".git"
    trap = git_dir / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho trap $* >> {shlex.quote(str(mark))}\n")
    trap.chmod(0o755)
    (git_dir / "info").mkdir(exist_ok=True)
    (git_dir / "info" / "attributes").write_text("* filter=evil diff=evil merge=evil\n")
    (git_dir / "hooks").mkdir(exist_ok=True)
    for hook in ("post-index-change", "post-checkout", "reference-transaction", "fsmonitor-watchman", "pre-auto-gc"):
        (git_dir / "hooks" / hook).write_text(trap.read_text())
        (git_dir / "hooks" / hook).chmod(0o755)
    settings = {
        "core.fsmonitor": str(trap),
        "core.hooksPath": str(git_dir / "hooks"),
        "core.sshCommand": str(trap),
        "core.pager": str(trap),
        "core.editor": str(trap),
        "core.askPass": str(trap),
        "core.alternateRefsCommand": str(trap),
        "core.gitProxy": str(trap),
        "core.worktree": "/nonexistent",
        "credential.helper": f"!{trap}",
        "diff.external": str(trap),
        "diff.evil.textconv": str(trap),
        "diff.evil.command": str(trap),
        "merge.evil.driver": str(trap),
        "filter.evil.clean": str(trap),
        "filter.evil.smudge": str(trap),
        "filter.evil.process": str(trap),
        "filter.evil.required": "true",
        "gpg.program": str(trap),
        "log.showSignature": "true",
        "uploadpack.packObjectsHook": str(trap),
        "pager.rev-parse": str(trap),
        "pager.merge-base": str(trap),
        "alias.rev-parse": f"!{trap}",
        "alias.cat-file": f"!{trap}",
        "remote.origin.url": f"ext::{trap}",
        "remote.origin.uploadpack": str(trap),
        "remote.origin.promisor": "true",
        "protocol.allow": "always",
        "protocol.ext.allow": "always",
        "protocol.file.allow": "always",
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
    }
    with (git_dir / "config").open("a") as config:
        for key, value in settings.items():
            section, _, name = key.rpartition(".")
            first, _, rest = section.partition(".")
            heading = f'{first} "{rest}"' if rest else first
            config.write(f'[{heading}]\n\t{name} = "{value}"\n')


def _bytes(content: str | bytes) -> bytes:
    return content.encode() if isinstance(content, str) else content
