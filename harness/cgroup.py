"""A control group for one sandbox: bounds memory and processes as the kernel sees them, and counts them.

Made below the group that the harness itself runs in, so that the machine's own limits go on holding; with version 2
in the nearest ancestor that may have children with these controllers. Whether one can be made is found out by making
it: containers mount the tree read-only, an ordinary user owns a part of it only under some session managers.

Not covered: the page cache is reclaimed before anybody is stopped, so it is bounded but not reported; memory that the
tree had charged before it was moved in stays with the old group (the parent moves it in before HELLO, so that is a
bare interpreter).
"""

import contextlib
import itertools
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_counter = itertools.count()


class Hierarchy(NamedTuple):
    """One mounted tree of groups, and where this process is in it."""

    version: int
    controllers: frozenset[str]
    top: Path
    here: Path


@dataclass(frozen=True)
class Cgroup:
    """One group; with version 1 a folder in each controller's tree. `memory` is the folder that bounds the memory."""

    version: int
    memory: Path
    processes: Path
    processor: Path | None
    folders: tuple[Path, ...]

    @classmethod
    def create(cls, memory_bytes: int, processes: int) -> "Cgroup | None":
        """A group with these limits; None where none can be made."""
        name = f"speedrun-{os.getpid()}-{next(_counter)}"
        with contextlib.suppress(OSError, ValueError):
            hierarchies = list(_hierarchies())
            for make in (make_v2, make_v1):
                group = make(hierarchies, name, memory_bytes, processes)
                if group is not None:
                    return group
        return None

    def add(self, pid: int) -> None:
        """Move a process in. Raises OSError."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """Every process in the group, zombies that wait for their parent left out by the kernel."""
        found: set[int] = set()
        for folder in self.folders:
            with contextlib.suppress(OSError):
                found.update(int(line) for line in (folder / "cgroup.procs").read_text().split())
        return sorted(found)

    def memory_bytes(self) -> int:
        """Anonymous and shared memory that is in use, without the page cache."""
        facts = _pairs(self.memory / "memory.stat")
        if self.version == 2:
            return facts.get("anon", 0) + facts.get("shmem", 0)
        return facts.get("total_rss", 0) + facts.get("total_shmem", 0)

    def processor_s(self) -> float | None:
        """Processor seconds of everything that ever ran in the group; None where the kernel does not count them."""
        if self.processor is None:
            return None
        try:
            if self.version == 2:
                return _pairs(self.processor / "cpu.stat")["usage_usec"] / 1e6
            return int((self.processor / "cpuacct.usage").read_text()) / 1e9
        except (OSError, KeyError):
            return None

    def out_of_memory(self) -> bool:
        """The kernel has stopped a process of this group because the group's limit was reached."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        return _pairs(self.memory / name).get("oom_kill", 0) > 0

    def kill(self, patience_s: float) -> bool:
        """Kill everything in the group and wait until it is gone, at most `patience_s`; True when it is empty."""
        deadline = time.monotonic() + patience_s
        # No process can be made from here on, so that killing what there is comes to an end.
        with contextlib.suppress(OSError):
            (self.processes / "pids.max").write_text("0")
        with contextlib.suppress(OSError):
            (self.processes / "cgroup.kill").write_text("1")
        while left := self.pids():
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)  # cgroup.kill and exits are asynchronous
        return True

    def remove(self) -> None:
        """Take the empty group away; one that is still busy is left for the next harness to sweep."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _pairs(path: Path) -> dict[str, int]:
    """`key value` lines; empty when the file can't be read."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    return {key: int(value) for key, _, value in (line.partition(" ") for line in lines) if value.isdecimal()}


def _hierarchies() -> Iterator[Hierarchy]:
    """Source: proc_pid_mountinfo(5), cgroups(7)."""
    mounted = list(_mounted())
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, names, path = line.split(":", 2)
        controllers = frozenset(names.split(",")) - {""}
        version = 1 if names else 2
        for mount in mounted:
            below = os.path.relpath(path, mount.root)
            if mount.version == version and controllers <= mount.options and not below.startswith(".."):
                yield Hierarchy(version, controllers, mount.point, mount.point / below)
                break


class _Mounted(NamedTuple):
    version: int
    options: frozenset[str]
    root: str  # the group that the mount point shows
    point: Path


def _mounted() -> Iterator[_Mounted]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.split(" ", 2)
        if kind in ("cgroup", "cgroup2"):
            root, point = before.split(" ")[3:5]
            yield _Mounted(2 if kind == "cgroup2" else 1, frozenset(options.split(",")), root, Path(point))


def make_v2(hierarchies: list[Hierarchy], name: str, memory_bytes: int, processes: int) -> Cgroup | None:
    for hierarchy in hierarchies:
        if hierarchy.version != 2:
            continue
        for parent in (hierarchy.here, *hierarchy.here.parents):
            if not parent.is_relative_to(hierarchy.top):
                break
            folder = parent / name
            with contextlib.suppress(OSError):
                if not {"memory", "pids"} <= set((parent / "cgroup.subtree_control").read_text().split()):
                    continue
                _sweep(parent)
                folder.mkdir()
                try:
                    (folder / "memory.max").write_text(str(memory_bytes))
                    (folder / "pids.max").write_text(str(processes))
                    (folder / "memory.oom.group").write_text("1")
                    with contextlib.suppress(OSError):  # a kernel without swap accounting
                        (folder / "memory.swap.max").write_text("0")
                except OSError:
                    folder.rmdir()
                    continue
                return Cgroup(2, memory=folder, processes=folder, processor=folder, folders=(folder,))
    return None


def make_v1(hierarchies: list[Hierarchy], name: str, memory_bytes: int, processes: int) -> Cgroup | None:
    made: dict[str, Path] = {}
    try:
        for controller in ("memory", "pids", "cpuacct"):
            here = next((h.here for h in hierarchies if h.version == 1 and controller in h.controllers), None)
            if here is None:
                continue
            folder = here / name
            if folder not in made.values():  # cpu and cpuacct may share a tree
                _sweep(here)
                folder.mkdir()
            made[controller] = folder
        if "memory" in made and "pids" in made:
            (made["memory"] / "memory.limit_in_bytes").write_text(str(memory_bytes))
            (made["pids"] / "pids.max").write_text(str(processes))
            with contextlib.suppress(OSError):  # a kernel without swap accounting
                (made["memory"] / "memory.memsw.limit_in_bytes").write_text(str(memory_bytes))
            folders = tuple(dict.fromkeys(made.values()))
            return Cgroup(1, made["memory"], made["pids"], made.get("cpuacct"), folders)
    except OSError:
        pass
    for folder in made.values():
        with contextlib.suppress(OSError):
            folder.rmdir()
    return None


def _sweep(parent: Path) -> None:
    """Take away the empty groups of harnesses that were killed by force."""
    for folder in parent.glob("speedrun-*-*"):
        owner = folder.name.split("-")[1]
        if not (Path("/proc") / owner).exists():
            with contextlib.suppress(OSError):
                folder.rmdir()
