"""What a sandbox is to be: plain values, and functions of them that start nothing.

Not covered: whether the system can hold the policy; the worker finds out, and ends when it can't.
"""

import os
import site
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.protocol import Policy
from harness.result import Level

MIB = 2**20

# What programs need of the system's own files; a path that is not there is left out.
SYSTEM_TREES = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
ETC_FILES = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
)
PROCESSOR_FACTS = "/sys/devices/system/cpu"
DEVICE_NODES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
NVIDIA_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")
LOOPBACK = "lo"
# Where several ranks may run: with a network of their own, or with no protection at all.
RANKS_LEVELS = (Level.NAMESPACES, Level.NONE)


@dataclass(frozen=True)
class Card:
    """One NVIDIA GPU that is granted, whole: slices of one (MIG) have further nodes, in /dev/nvidia-caps."""

    minor: int  # of its node /dev/nvidia<minor>; the driver's numbering may be another than CUDA's
    uuid: str = ""  # "GPU-…", by which CUDA tells it from others; empty: not known, the nodes alone decide


@dataclass(frozen=True)
class Limits:
    """What one sandbox may use, the whole tree together."""

    memory_bytes: int
    processes: int  # threads count as well
    scratch_bytes: int
    shm_bytes: int  # of /dev/shm; 0: it can't be written where it is the host's
    open_files: int  # a process
    threads: int  # processor cores granted
    output_bytes: int  # written to stdout and stderr
    ranks: int = 1  # processes that share the cores evenly; several may talk to each other over loopback


@dataclass(frozen=True)
class Mounts:
    """The folders of one sandbox, as the parent sees them."""

    boot: Path  # staged trusted files, read-only inside
    submission: Path  # snapshot of the entry, read-only inside
    run_folder: Path  # private to this sandbox; holds scratch at the levels without namespaces
    data: Path | None = None  # read-only inside; what the parent links into it later appears inside
    artifact: Path | None = None  # read-only inside


@dataclass(frozen=True)
class Inside:
    """The same folders as the worker sees them."""

    boot: str
    submission: str
    scratch: str
    data: str | None
    artifact: str | None

    @property
    def readable(self) -> tuple[str, ...]:
        return tuple(path for path in (self.boot, self.submission, self.data, self.artifact) if path is not None)


@dataclass(frozen=True)
class Interpreter:
    """The Python that the worker runs, and the trees and files that it is made of."""

    executable: str
    trees: tuple[str, ...]

    @classmethod
    def current(cls) -> "Interpreter":
        """The one that runs this: its base installation, its virtual environment, and the links between the two."""
        found = [sys.base_prefix, sys.base_exec_prefix, sys.prefix, sys.exec_prefix, *site.getsitepackages()]
        trees = outermost([each for path in found for each in (path, os.path.realpath(path)) if Path(each).exists()])
        executable = _straight(sys.executable)
        hops = [each for each in _links(executable) if not under(each, trees)]
        return cls(executable=executable, trees=(*trees, *hops))


def _straight(path: str) -> str:
    """The same place without `..`, which stands in the path of a Python that was started by a relative one."""
    straight = os.path.normpath(path)
    # Behind a link `..` leads elsewhere: then the path stays as it is.
    same = os.path.exists(straight) and os.path.exists(path) and os.path.samefile(straight, path)  # noqa: PTH110, PTH121
    return straight if same else path


def _links(path: str) -> list[str]:
    """`path`, and every path that it leads through as a chain of links."""
    chain = [path]
    while os.path.islink(chain[-1]) and len(chain) < 40:  # noqa: PTH114 - normalised by hand, as the kernel walks
        target = os.readlink(chain[-1])  # noqa: PTH115
        chain.append(os.path.normpath(os.path.join(os.path.dirname(chain[-1]), target)))  # noqa: PTH118, PTH120
    return chain


def under(path: str, trees: tuple[str, ...]) -> bool:
    """`path` is one of the trees, or lies in one."""
    return any(Path(path).is_relative_to(tree) for tree in trees)


def outermost(paths: list[str]) -> tuple[str, ...]:
    """The paths without those that lie in another one, or among the system's own trees."""
    kept: list[str] = []
    for path in sorted(set(paths), key=lambda each: (len(Path(each).parts), each)):
        if not under(path, (*kept, *SYSTEM_TREES)):
            kept.append(path)
    return tuple(kept)


def inside_of(level: Level, mounts: Mounts) -> Inside:
    """Where the worker finds its folders: fixed names where there is a mount namespace, else the real ones."""
    if level is Level.NAMESPACES:
        return Inside(
            boot="/boot",
            submission="/submission",
            scratch="/scratch",
            data="/data" if mounts.data else None,
            artifact="/artifact" if mounts.artifact else None,
        )
    return Inside(
        boot=str(mounts.boot.resolve()),
        submission=str(mounts.submission.resolve()),
        scratch=str(mounts.run_folder.resolve() / "scratch"),
        data=str(mounts.data.resolve()) if mounts.data else None,
        artifact=str(mounts.artifact.resolve()) if mounts.artifact else None,
    )


def device_nodes(cards: tuple[Card, ...]) -> tuple[str, ...]:
    """The nodes of the granted cards alone, and the driver's shared ones; none without a card."""
    return (*(f"/dev/nvidia{card.minor}" for card in cards), *NVIDIA_NODES) if cards else ()


def policy_for(
    level: Level,
    limits: Limits,
    inside: Inside,
    interpreter: Interpreter,
    *,
    cards: tuple[Card, ...] = (),
    parent_pid: int,
    others: int = 0,
    memory_bound: Literal["cgroup", "polled"] = "polled",
    seccomp: bool = True,
) -> Policy:
    """What the worker locks itself into. Default deny: what is not named here is refused.

    Args:
        parent_pid: the harness, as the harness knows itself.
        others: threads that the worker's user runs already (the kernel counts them against NPROC).
        memory_bound: "polled" adds a limit to each process, because a poll may come late.
        seccomp: the system has it; only level none may go without.
    """
    loopback = limits.ranks > 1 and level in RANKS_LEVELS
    rlimits = {
        "NPROC": limits.processes + others,
        "NOFILE": limits.open_files,
        "FSIZE": max(limits.scratch_bytes, limits.shm_bytes),
        "CORE": 0,
        "MEMLOCK": 0,  # how much is locked, the kernel tells everybody: a scorer could count there for its twin
        "MSGQUEUE": 0,
    }
    nodes = device_nodes(cards)
    if memory_bound == "polled" and not nodes:  # CUDA reserves far more than it uses
        rlimits["DATA"] = limits.memory_bytes
    if level is Level.NONE:
        return Policy(
            seccomp=seccomp,
            metadata=True,
            loopback=loopback,
            rlimits=rlimits,
            parent_pid=parent_pid,
            die_with_parent=True,
        )
    namespaces = level is Level.NAMESPACES
    return Policy(
        landlock=True,
        read=(
            *SYSTEM_TREES,
            *ETC_FILES,
            "/proc",
            *(("/sys",) if nodes else (PROCESSOR_FACTS,)),
            *interpreter.trees,
            *inside.readable,
        ),
        write=(inside.scratch, *(("/dev/shm",) if limits.shm_bytes else ()), *(("/tmp",) if namespaces else ())),
        # The driver names its threads through /proc.
        devices=(*DEVICE_NODES, *((*nodes, "/proc") if nodes else ())),
        seccomp=True,
        metadata=level is not Level.LANDLOCK,  # there the worker owns what the harness's user owns
        loopback=loopback,
        rlimits=rlimits,
        # In a namespace of its own the worker can neither see the parent nor be its child.
        parent_pid=None if namespaces else parent_pid,
        die_with_parent=not namespaces,
        drop_capabilities=not namespaces,
    )


def environment_for(limits: Limits, inside: Inside, cards: tuple[Card, ...] = ()) -> dict[str, str]:
    """The worker's whole environment; nothing of the host's passes, but for a GPU's library path (see Sandbox)."""
    environment = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": inside.scratch,
        "TMPDIR": inside.scratch,
        "USER": "entry",
        "LOGNAME": "entry",
        "LANG": "C.UTF-8",
        "OMP_NUM_THREADS": str(max(1, limits.threads // limits.ranks)),
    }
    if limits.ranks > 1:  # left to themselves, both would look the host's name up, or take another interface
        environment |= {"GLOO_SOCKET_IFNAME": LOOPBACK, "NCCL_SOCKET_IFNAME": LOOPBACK}
    if cards:
        environment |= {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_CACHE_PATH": f"{inside.scratch}/.cuda",
            "TRITON_CACHE_DIR": f"{inside.scratch}/.triton",
            "TORCHINDUCTOR_CACHE_DIR": f"{inside.scratch}/.inductor",
        }
        if all(card.uuid for card in cards):  # cuda:0 is the first card given, whatever the driver's order
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(card.uuid for card in cards)
    return environment
