"""The attacks on the sandbox as data: what each tries, and what must come of it at every level.

test_sandbox_table.py tries every row at every level that the machine offers; docs/security.md shows the table.

Level none stands beside the others as the control: what is stopped must be seen to work there or, where nothing but
the seccomp filter stops it, there without the filter. What is limited is tried until it meets its limit.
"""

import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from harness import sandbox_claims
from harness.result import Level
from tests.harness.sandbox_attempts import (
    ConnectPathname,
    FillScratch,
    MemoryBomb,
    change_shared_memory,
    connect_abstract,
    connect_tcp,
    core_dump,
    fill_shared_memory,
    flood_output,
    fork_bomb,
    hold_for_a_moment,
    leave_traps,
    memory_of_the_parent,
    note_in_access_times,
    note_in_metadata,
    note_in_page_cache,
    note_in_shared_memory,
    open_file_of_the_parent,
    outlive_the_harness,
    outlive_the_kill,
    private_key,
    read_host_name,
    see_processes,
    send_udp,
    write_outside,
    write_shared_memory,
)
from tests.harness.sandbox_ground import Ask, Column, Ground, Outcome
from tests.harness.sandbox_rig import MIB


class Cell(StrEnum):
    """What must come of an attack at one level, as the page says it."""

    STOPPED = "stopped"
    LIMITED = "limited"
    WORKS = "**works**"
    FOR_ROOT = "**works** for root"  # the kernel itself stops everybody else
    FILTERED = "stopped by the filter"  # level none: it works on a system that takes none
    FILTERED_FOR_ROOT = "stopped by the filter, and by the kernel unless root"

    def expected(self, *, filtered: bool, as_root: bool) -> Outcome:
        if self in (Cell.FILTERED, Cell.FILTERED_FOR_ROOT):
            free = not filtered and (as_root or self is Cell.FILTERED)
        else:
            free = self is Cell.WORKS or (self is Cell.FOR_ROOT and as_root)
        if free:
            return Outcome.WORKS
        return Outcome.LIMITED if self is Cell.LIMITED else Outcome.STOPPED


COLUMNS = (*(Column(level) for level in Level), Column(Level.NONE, filtered=False))
STOPPED, LIMITED, WORKS = Cell.STOPPED, Cell.LIMITED, Cell.WORKS


@dataclass(frozen=True)
class Attack:
    """One row. An attack that works at a level that confines is admitted: by a sentence of that level's report, or
    because nobody is harmed by it."""

    name: str
    how: str
    attempt: Callable[[Ground], Outcome]
    namespaces: Cell
    uid: Cell
    landlock: Cell
    none: Cell
    said: tuple[str, ...] = field(default=(), kw_only=True)  # sentences of `not_covered`
    own_affair: bool = field(default=False, kw_only=True)
    polled: bool = field(default=False, kw_only=True)  # tried without a control group
    as_root: bool = field(default=False, kw_only=True)  # means nothing for others

    def cell(self, level: Level) -> Cell:
        cells = {Level.NAMESPACES: self.namespaces, Level.UID: self.uid, Level.LANDLOCK: self.landlock}
        return cells.get(level, self.none)

    def tried_at(self, column: Column) -> bool:
        """Without the filter only where the filter makes the difference."""
        return column.filtered or self.none in (Cell.FILTERED, Cell.FILTERED_FOR_ROOT)

    def expected(self, column: Column, *, as_root: bool) -> Outcome:
        return self.cell(column.level).expected(filtered=column.filtered, as_root=as_root)


_PROCESSES = "the list of processes and the host's name can be seen"
_SHM = "the host's /dev/shm can be written"
_SHM_IN_TRAINING = f"{_SHM} in training, the user's own files included, and what is left stays"
_LIVE_ON = "if the harness itself is killed by force, children of the entry may live on"
_POLLED = "memory is looked at a few times a second, so a short peak may pass"
_NO_COUNT = "the number of processes is not bounded: root is exempt from that limit, and there is no control group"

# Sentences of `not_covered` that no attack can show here, and why.
UNSHOWN = {
    "faults of the kernel itself, which is shared with the host": "none is known that is not mended",
    "this kernel's Landlock (below ABI 6) lets the entry signal processes and use abstract unix sockets": (
        "it takes an older kernel"
    ),
    "side channels: load, caches and timing of the shared machine": "they take a stopwatch, and a quiet machine",
}

ATTACKS = (
    # ------------------------------------------------------------------------------------------------------ files
    Attack(
        *("read private keys", "a file that its owner alone may read"),
        *(Ask(lambda rig: ("read", str(private_key(rig)))), STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("read validation data and results", "a file that everybody may read"),
        *(Ask(lambda rig: ("read", str(rig.secret))), STOPPED, STOPPED, STOPPED, WORKS),
        said=("everything else: the entry can read and write what its user can, validation data included",),
    ),
    Attack(
        *("the same through a link", "a link in scratch that points to it"),
        *(Ask(lambda rig: ("read_through_link", str(rig.secret))), STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("find names and sizes of files", "stat, in folders that are open to everybody"),
        *(Ask(lambda rig: ("size_of", str(rig.secret))), STOPPED, WORKS, WORKS, WORKS),
        said=(
            "names and sizes of files can be probed where folders are open to everybody",
            "names and sizes of files can be probed",
        ),
    ),
    Attack(
        *("find names and sizes in closed folders", "stat, in a folder of the harness's user"),
        *(Ask(lambda rig: ("size_of", str(private_key(rig)))), STOPPED, STOPPED, WORKS, WORKS),
        said=("names and sizes of files can be probed", "the entry runs as the same user as the harness"),
    ),
    Attack(
        *("write outside scratch", "a new file in a folder that is open to everybody"),
        *(write_outside, STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("write to the host's /dev/shm", "a new file there"),
        *(write_shared_memory, STOPPED, WORKS, WORKS, WORKS),
        said=(_SHM, _SHM_IN_TRAINING),
    ),
    Attack(
        *("change other programs' shared memory", "a file of the harness's user in /dev/shm"),
        *(change_shared_memory, STOPPED, STOPPED, WORKS, WORKS),
        said=(_SHM_IN_TRAINING, "the entry runs as the same user as the harness"),
    ),
    Attack(
        *("traps for whoever reads scratch", "a link to a large folder outside, and a pipe without a writer"),
        *(leave_traps, STOPPED, STOPPED, STOPPED, STOPPED),
    ),
    # ------------------------------------------------------------------------------- notes for the next sandbox
    Attack(
        *("notes in /dev/shm", "left by the scorer, looked for by its twin"),
        *(note_in_shared_memory, STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("notes in metadata", "mode, times and attributes of a file that both may read"),
        *(note_in_metadata, STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("notes in System V shared memory", "a segment, which outlives its maker"),
        *(Ask(lambda rig: ("ask_for_segment",)), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("notes in the kernel's key ring", "keyctl"),
        *(Ask(lambda rig: ("ask_for_keys",)), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("notes in access times", "which files were read, where the file system keeps that"),
        *(note_in_access_times, STOPPED, WORKS, WORKS, WORKS),
        said=("where the file system keeps times of access, one sandbox can leave word there for the next",),
    ),
    Attack(
        *("asking which pages of a file lie in memory", "mincore, cachestat and preadv2: notes in the page cache"),
        *(note_in_page_cache, STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    # ----------------------------------------------------------------------------------- the harness, processes
    Attack(
        *("the harness's environment", "/proc/PID/environ"),
        *(Ask(lambda rig: ("read", f"/proc/{os.getpid()}/environ")), STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("the harness's memory", "/proc/PID/mem, at the right address"),
        *(Ask(memory_of_the_parent), STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("the harness's open files", "/proc/PID/fd"),
        *(open_file_of_the_parent, STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("trace the harness", "ptrace"),
        *(Ask(lambda rig: ("ptrace", os.getpid())), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("change the harness's limits", "prlimit"),
        *(Ask(lambda rig: ("limit", os.getpid())), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("signal the harness", "kill"),
        *(Ask(lambda rig: ("kill", os.getpid())), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("signal everybody", "kill(-1)"),
        *(Ask(lambda rig: ("kill", -1)), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("trace a process of its own", "ptrace between two children"),
        *(Ask(lambda rig: ("ptrace_sibling",)), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("read its own memory", "/proc/self/mem: its own affair, since nothing secret is in it"),
        *(Ask(lambda rig: ("peek_at_itself",)), WORKS, WORKS, WORKS, WORKS),
        own_affair=True,
    ),
    Attack(
        *("see other processes", "/proc/PID/cmdline of the harness"),
        *(see_processes, STOPPED, WORKS, WORKS, WORKS),
        said=(_PROCESSES,),
    ),
    Attack(
        *("read the host's name", "gethostname"),
        *(read_host_name, STOPPED, WORKS, WORKS, WORKS),
        said=(_PROCESSES,),
    ),
    # ---------------------------------------------------------------------------------------------------- network
    Attack(
        *("TCP", "connect to a server of the host"),
        *(connect_tcp, STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("UDP", "send a datagram to a process of the host"),
        *(send_udp, STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("vsock", "open a socket to the hypervisor"),
        *(Ask(lambda rig: ("open_socket", int(socket.AF_VSOCK))), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("abstract unix sockets", "connect to a process of the host"),
        *(connect_abstract, STOPPED, STOPPED, STOPPED, WORKS),
    ),
    Attack(
        *("pathname unix sockets open to everybody", "connect to a process of the host"),
        *(ConnectPathname(0o777), STOPPED, WORKS, WORKS, WORKS),
        said=(
            "pathname unix sockets can be connected to where their permissions allow it",
            "pathname unix sockets can be connected to",
        ),
    ),
    Attack(
        *("pathname unix sockets of the harness's user", "the same, with mode 0600"),
        *(ConnectPathname(0o600), STOPPED, STOPPED, WORKS, WORKS),
        said=("pathname unix sockets can be connected to", "the entry runs as the same user as the harness"),
    ),
    # ----------------------------------------------------------------------------------------------------- kernel
    Attack(
        *("io_uring", "io_uring_setup: a second door to many system calls"),
        *(Ask(lambda rig: ("ask_for_ring",)), STOPPED, STOPPED, STOPPED, Cell.FILTERED_FOR_ROOT),
    ),
    Attack(
        *("user namespaces", "unshare, to be root in one"),
        *(Ask(lambda rig: ("ask_for_users",)), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("mount a file system", "fsopen, the first step of it"),
        *(Ask(lambda rig: ("ask_for_file_system",)), STOPPED, STOPPED, STOPPED, Cell.FILTERED_FOR_ROOT),
    ),
    Attack(
        *("set the clock", "adjtimex"),
        *(Ask(lambda rig: ("set_clock",)), STOPPED, STOPPED, STOPPED, Cell.FILTERED_FOR_ROOT),
    ),
    # ----------------------------------------------------------------------------------------------------- limits
    Attack(
        *("take more cores", "sched_setaffinity"),
        *(Ask(lambda rig: ("spread", 0)), STOPPED, STOPPED, STOPPED, Cell.FILTERED),
    ),
    Attack(
        *("raise its limits", "setrlimit, of open files"),
        *(Ask(lambda rig: ("raise_limit",)), STOPPED, STOPPED, STOPPED, Cell.FOR_ROOT),
    ),
    Attack(
        *("dump core", "raise the limit, then abort"),
        *(Ask(core_dump), STOPPED, STOPPED, STOPPED, Cell.FOR_ROOT),
    ),
    Attack(
        *("fork bomb", "children until no more can be made"),
        *(fork_bomb, LIMITED, LIMITED, LIMITED, LIMITED),
    ),
    Attack(
        *("fork bomb as root, no control group", "the same where the harness can't make a group"),
        *(fork_bomb, LIMITED, LIMITED, WORKS, WORKS),
        said=(_NO_COUNT,),
        polled=True,
        as_root=True,
    ),
    Attack(
        *("memory by mappings", "in one process, without end"),
        *(MemoryBomb(("memory_bomb",)), LIMITED, LIMITED, LIMITED, LIMITED),
    ),
    Attack(
        *("memory by processes", "each below the limit of one"),
        *(MemoryBomb(("memory_bomb_by_processes", 40 * MIB, 16)), LIMITED, LIMITED, LIMITED, LIMITED),
    ),
    Attack(
        *("memory that nobody maps", "memory files"),
        *(MemoryBomb(("memory_bomb_by_files",)), LIMITED, LIMITED, LIMITED, LIMITED),
    ),
    Attack(
        *("memory for a moment, no control group", "given back before the harness looks again"),
        *(hold_for_a_moment, WORKS, WORKS, WORKS, WORKS),
        said=(_POLLED,),
        polled=True,
    ),
    Attack(
        *("fill the disk", "files in scratch"),
        *(FillScratch("fill"), LIMITED, LIMITED, LIMITED, LIMITED),
    ),
    Attack(
        *("fill the disk unseen", "files in scratch without a name"),
        *(FillScratch("fill_unlinked"), LIMITED, LIMITED, LIMITED, LIMITED),
    ),
    Attack(
        *("fill /dev/shm", "one large file"),
        *(fill_shared_memory, LIMITED, LIMITED, LIMITED, LIMITED),
    ),
    Attack(
        *("flood the output", "lines without end"),
        *(flood_output, LIMITED, LIMITED, LIMITED, LIMITED),
    ),
    # ----------------------------------------------------------------------------------------------------- ending
    Attack(
        *("outlive the run", "a daemon in a session of its own that forks without end"),
        *(outlive_the_kill, STOPPED, STOPPED, STOPPED, Cell.FILTERED),
        polled=True,
    ),
    Attack(
        *("outlive the harness", "a child, when the harness is killed by force"),
        *(outlive_the_harness, STOPPED, WORKS, WORKS, WORKS),
        said=(_LIVE_ON,),
    ),
)


def claimed(level: Level) -> set[str]:
    """Every sentence that a report of this level may hold, whatever the machine."""
    return {
        sentence
        for abi in (5, 6)
        for bound in ("cgroup", "polled")
        for as_root in (False, True)
        for sentence in sandbox_claims.report(
            level, landlock_abi=abi, memory_bound=bound, tree_kill="sweep", as_root=as_root
        ).not_covered
    }


def markdown() -> Iterator[str]:
    """The table's lines for the page."""
    yield "| attack | how | namespaces | uid | landlock | none |"
    yield "|---|---|---|---|---|---|"
    for attack in ATTACKS:
        cells = (attack.name, attack.how, *(attack.cell(level) for level in Level))
        yield f"| {' | '.join(cells)} |"
