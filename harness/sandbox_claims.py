"""What each sandbox level holds and does not hold, in the words that go into every record."""

from typing import Literal, NamedTuple

from harness.result import Level, SandboxReport

TreeKill = Literal["pidns", "uid", "cgroup", "sweep"]


class _Claims(NamedTuple):
    holds: tuple[str, ...]
    lacks: tuple[str, ...]


_NO_NETWORK = "there is no network"
_OWN_LOOPBACK = "there is no network but a loopback of its own, over which its processes talk"
_LEVELS = {
    Level.NAMESPACES: _Claims(
        holds=(
            "validation data, home folders and other processes cannot be seen",
            _NO_NETWORK,
            "nothing outside the private scratch can be written",
            "the whole process tree dies with the run",
        ),
        lacks=(
            "faults of the kernel itself, which is shared with the host",
            "side channels: load, caches and timing of the shared machine",
        ),
    ),
    Level.UID: _Claims(
        holds=(
            "files outside the granted folders cannot be read or written",
            "the harness and other users' processes cannot be touched",
            "there are no IP sockets",
            "the whole process tree dies with the run",
        ),
        lacks=(
            "the list of processes and the host's name can be seen",
            "pathname unix sockets can be connected to where their permissions allow it",
            "the host's /dev/shm can be written",
            "names and sizes of files can be probed where folders are open to everybody",
            "where the file system keeps times of access, one sandbox can leave word there for the next",
            "if the harness itself is killed by force, children of the entry may live on",
            "faults of the kernel itself, which is shared with the host",
        ),
    ),
    Level.LANDLOCK: _Claims(
        holds=(
            "files outside the granted folders cannot be read or written",
            "the harness cannot be traced, nor its memory or environment read",
            "there are no IP sockets",
        ),
        lacks=(
            "the entry runs as the same user as the harness",
            "the list of processes and the host's name can be seen",
            "pathname unix sockets can be connected to",
            "the host's /dev/shm can be written in training, the user's own files included, and what is left stays",
            "names and sizes of files can be probed",
            "where the file system keeps times of access, one sandbox can leave word there for the next",
            "if the harness itself is killed by force, children of the entry may live on",
            "faults of the kernel itself, which is shared with the host",
        ),
    ),
    Level.NONE: _Claims(
        holds=("a clean environment and limits on each process, which root may raise",),
        lacks=("everything else: the entry can read and write what its user can, validation data included",),
    ),
}
_OLD_LANDLOCK = "this kernel's Landlock (below ABI 6) lets the entry signal processes and use abstract unix sockets"
_ROOT_PROCESSES = (
    "the number of processes is not bounded: root is exempt from that limit, and there is no control group"
)
_POLLED = "memory is looked at a few times a second, so a short peak may pass"
_MEMORY = {
    "cgroup": "memory and processes are bounded by a control group",
    "polled": "memory is bounded for each process by a limit and for the tree by polling",
}


def report(
    level: Level,
    *,
    landlock_abi: int,
    memory_bound: Literal["cgroup", "polled"],
    tree_kill: TreeKill,
    as_root: bool,
    loopback: bool = False,
) -> SandboxReport:
    """The record's account of one sandbox. `landlock_abi`: what is enforced, 0 for nothing; `loopback`: its processes
    may talk to each other."""
    claims = _LEVELS[level]
    holds = [_OWN_LOOPBACK if loopback and words == _NO_NETWORK else words for words in claims.holds]
    lacks = list(claims.lacks)
    if level in (Level.UID, Level.LANDLOCK) and landlock_abi < 6:
        lacks.append(_OLD_LANDLOCK)
    if memory_bound == "polled":
        lacks.append(_POLLED)
        if as_root and level in (Level.LANDLOCK, Level.NONE):
            lacks.append(_ROOT_PROCESSES)
    return SandboxReport(
        level=level,
        landlock_abi=landlock_abi,
        memory_bound=memory_bound,
        tree_kill=tree_kill,
        guarantees=(*holds, _MEMORY[memory_bound]),
        not_covered=tuple(lacks),
    )
