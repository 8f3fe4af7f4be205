"""The processes of one sandbox as /proc shows them: who belongs, what they use. For where no control group can be made.

A poll sees a moment: what is used and given back between two polls is not seen. Memory that is shared by mapping and
held open at once is counted once at most, so an entry that takes pains hides up to half of its shared memory.
"""

import contextlib
import os
import re
import signal
import stat
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_ROLLUP = re.compile(rb"^Pss_(Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
_STATUS = re.compile(rb"^Rss(Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
_LARGE_BYTES = 8 * 2**20  # below this a process is not worth the exact count


class _Process(NamedTuple):
    """One line of /proc/PID/stat."""

    pid: int
    parent: int
    group: int
    processor_s: float  # its own, and that of the children it has waited for
    folder: str  # where /proc shows its memory and files


class Usage(NamedTuple):
    """What a set of processes holds at this moment."""

    memory_bytes: int  # anonymous and shared
    unlinked_bytes: int  # of files on `disk` that have no name any more


@dataclass(frozen=True)
class ProcessTree:
    """`root` with its descendants, everything in its process group, and everything that runs as `user`."""

    root: int
    user: int | None = None  # a user id that nobody else has

    def processes(self) -> list[_Process]:
        """The living members (zombies hold nothing)."""
        everybody: dict[int, _Process] = {}
        owned: set[int] = set()
        with os.scandir("/proc") as entries:
            for entry in entries:
                if entry.name.isdecimal() and (process := _read(entry.name)) is not None:
                    everybody[process.pid] = process
                    if self.user is not None:
                        with contextlib.suppress(OSError):
                            if entry.stat().st_uid == self.user:
                                owned.add(process.pid)
        members = owned | {each.pid for each in everybody.values() if self.root in (each.pid, each.group)}
        grown = True
        while grown:
            children = {each.pid for each in everybody.values() if each.parent in members}
            grown = not children <= members
            members |= children
        return [everybody[pid] for pid in sorted(members) if pid in everybody]

    def kill(self, patience_s: float) -> bool:
        """Kill what is found until nothing is, at most `patience_s`; True when nothing is left."""
        deadline = time.monotonic() + patience_s
        while left := self.processes():
            for process in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(process.pid, signal.SIGKILL)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.002)  # the kernel takes its time to bury them
        return True


def processor_s(processes: Iterable[_Process]) -> float:
    """Of the living and of those whose parent is alive and has waited for them."""
    return sum(process.processor_s for process in processes)


def usage(processes: Iterable[_Process], disk: int | None = None) -> Usage:
    """What they hold together.

    Summed resident memory counts shared pages again and again (971 MiB were reported for 343), so large processes are
    counted by their proportional share as soon as there are two of them; memory files that are open but not mapped are
    found among the open files.

    Args:
        disk: device number of the scratch folder's file system.
    """
    folders = [process.folder for process in processes]
    resident = {folder: _kib(f"{folder}/status", _STATUS) for folder in folders}
    large = [folder for folder, (anonymous, shared) in resident.items() if anonymous + shared > _LARGE_BYTES]
    if len(large) > 1:
        for folder in large:
            share = _kib(f"{folder}/smaps_rollup", _ROLLUP)
            if sum(share) > 0:
                resident[folder] = share  # else it stays with the larger number
    anonymous = sum(each for each, _ in resident.values())
    mapped = sum(each for _, each in resident.values())
    in_memory, on_disk = _unlinked(folders, disk)
    return Usage(memory_bytes=anonymous + max(mapped, in_memory), unlinked_bytes=on_disk)


def threads_of(user: int) -> int:
    """Threads that run under a user id, as the kernel counts them against RLIMIT_NPROC."""
    count = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                if folder.stat().st_uid == user:
                    count += len(os.listdir(folder / "task"))  # noqa: PTH208 - names alone, no paths
    return count


def _read(pid: str) -> _Process | None:
    """None for one that is gone or a zombie. The name may hold blanks and brackets: fields count from the last ')'."""
    try:  # a hot path: every process of the machine, several times a second
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            text = os.read(fd, 4096)
        finally:
            os.close(fd)
    except OSError:
        return None
    fields = text[text.rfind(b")") + 2 :].split(None, 18)
    if len(fields) < 19:
        return None
    folder: str | None = f"/proc/{pid}"
    if fields[0] in (b"Z", b"X"):
        # Its first thread has ended. While others live on, memory and files are found with them alone.
        folder = _living_thread(pid) if int(fields[17]) > 1 else None
    if folder is None:
        return None
    ticks = int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])
    return _Process(int(pid), int(fields[1]), int(fields[2]), ticks * _TICK_S, folder)


def _living_thread(pid: str) -> str | None:
    with contextlib.suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError):
                if b"\nVmRSS:" in (thread / "status").read_bytes():
                    return str(thread)
    return None


def _kib(path: str, pattern: re.Pattern[bytes]) -> tuple[int, int]:
    """(anonymous, shared) bytes; zeros when the process is gone or closed to us."""
    try:
        found = dict(pattern.findall(Path(path).read_bytes()))
    except OSError:
        return 0, 0
    return int(found.get(b"Anon", 0)) * 1024, int(found.get(b"Shmem", 0)) * 1024


def _unlinked(folders: Iterable[str], disk: int | None) -> tuple[int, int]:
    """Bytes of open files without a name, each once: (in memory, on the file system `disk`)."""
    seen: dict[tuple[int, int], int] = {}
    for folder in folders:
        with contextlib.suppress(OSError):
            for name in os.listdir(f"{folder}/fd"):  # noqa: PTH208
                with contextlib.suppress(OSError):
                    status = os.stat(f"{folder}/fd/{name}")  # noqa: PTH116 - a hot path
                    if stat.S_ISREG(status.st_mode) and status.st_nlink == 0:
                        seen[status.st_dev, status.st_ino] = status.st_blocks * 512
    on_disk = sum(size for (device, _), size in seen.items() if device == disk)
    return sum(seen.values()) - on_disk, on_disk
