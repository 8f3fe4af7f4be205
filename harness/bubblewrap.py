"""bubblewrap's arguments for one sandbox: a pure function, so that a test can read them.

Pitfalls met: bwrap makes missing ancestors of a bind 0700, so each is made first; as root it keeps every capability
unless told otherwise, and root without capabilities still writes /proc/sys, so that is bound read-only and the worker
gets a user id of its own; --clearenv leaves the old environment readable in /proc/1/environ, so bwrap itself is
started with an empty one.

Not covered: the kernel's own faults; a namespace shares the kernel with the host.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from harness.sandbox_plan import (
    ETC_FILES,
    MIB,
    PROCESSOR_FACTS,
    SYSTEM_TREES,
    Card,
    Inside,
    Interpreter,
    Limits,
    Mounts,
    device_nodes,
)

TMP_BYTES = 64 * MIB
_AS_USER = ("--unshare-all", "--unshare-user", "--disable-userns", "--cap-drop", "ALL")
_AS_ROOT = (
    *("--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"),
    *("--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"),
)


def arguments(
    mounts: Mounts,
    inside: Inside,
    limits: Limits,
    interpreter: Interpreter,
    environment: dict[str, str],
    *,
    cards: tuple[Card, ...],
    as_root: bool,
    info_fd: int,
    block_fd: int,
) -> list[str]:
    """Everything that goes before the command, for `bwrap --args FD`."""
    nodes = device_nodes(cards)
    out = [*(_AS_ROOT if as_root else _AS_USER)]
    out += ["--die-with-parent", "--new-session", "--clearenv", "--hostname", "sandbox"]
    for tree in SYSTEM_TREES:
        out += _system_tree(tree)
    out += ["--perms", "0755", "--dir", "/etc"]
    for path in ETC_FILES:
        out += ["--ro-bind-try", path, path]
    out += ["--proc", "/proc"]
    if as_root:
        out += ["--ro-bind", "/proc/sys", "/proc/sys"]
    out += ["--dev", "/dev"]
    for node in nodes:
        out += ["--dev-bind-try", node, node]
    out += ["--perms", "1777", "--size", str(limits.shm_bytes), "--tmpfs", "/dev/shm"]
    out += ["--perms", "1777", "--size", str(TMP_BYTES), "--tmpfs", "/tmp"]
    binds = [(tree, tree) for tree in interpreter.trees]
    system_facts = "/sys" if nodes else PROCESSOR_FACTS  # cuInit gives error 304 without all of /sys
    if Path(system_facts).exists():
        binds.append((system_facts, system_facts))
    for outer, inner in (
        (mounts.boot, inside.boot),
        (mounts.submission, inside.submission),
        (mounts.data, inside.data),
        (mounts.artifact, inside.artifact),
    ):
        if outer is not None and inner is not None:
            binds.append((str(outer.resolve()), inner))
    for folder in ancestors(inner for _, inner in binds):
        out += ["--perms", "0755", "--dir", folder]
    for outer_path, inner_path in binds:
        out += ["--ro-bind", outer_path, inner_path]
    out += ["--perms", "1777", "--size", str(limits.scratch_bytes), "--tmpfs", inside.scratch]
    out += ["--chdir", inside.scratch]
    for name, value in environment.items():
        out += ["--setenv", name, value]
    return [*out, "--info-fd", str(info_fd), "--block-fd", str(block_fd)]


def drop_to(setpriv: str, user: int, group: int) -> list[str]:
    """What root's worker is started through: another user id, and no capability left for anybody to take up."""
    return [
        setpriv,
        *("--reuid", str(user), "--regid", str(group), "--clear-groups"),
        *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
    ]


def ancestors(paths: Iterable[str]) -> list[str]:
    """Every folder above the paths, outermost first, once each, without the root and /tmp (a tmpfs already)."""
    found = {str(parent) for path in paths for parent in Path(path).parents}
    return sorted(found - {"/", "/tmp"}, key=lambda folder: (len(Path(folder).parts), folder))


def _system_tree(tree: str) -> list[str]:
    """/bin and its like are links into /usr on most systems, real folders on some, and missing on others."""
    path = Path(tree)
    if path.is_symlink():
        return ["--symlink", os.readlink(tree).lstrip("/"), tree]  # noqa: PTH115 - Path has no plain read as text
    return ["--ro-bind", tree, tree] if path.is_dir() else []
