"""seccomp: the system calls that an entry never needs, refused by a filter made here. Travels into the sandbox.

The filter is a pure value, `program(...)`: classic BPF over struct seccomp_data (number at 0, architecture at 4,
argument i at 16 + 8 i, little-endian). It is a deny-list, because torch, compilers and drivers use too much of the
kernel for an allow-list to be kept right; what bounds files is Landlock and the mount namespace, not this.

Not covered: anything behind a pointer (paths, socket addresses) is invisible to a filter; pathname unix sockets can
be connected to wherever the file system shows one, and with `loopback` TCP goes wherever the network namespace leads.
How long a read takes still tells whether its page lay in memory.
"""

import ctypes
import platform
import struct
from typing import NamedTuple

from harness.syscalls import PR_SET_DUMPABLE, PR_SET_PDEATHSIG, no_new_privileges, syscall


class Machine(NamedTuple):
    """What differs from one architecture to the next."""

    audit: int  # AUDIT_ARCH_…
    column: int  # of REFUSED


MACHINES = {"x86_64": Machine(0xC000003E, 0), "aarch64": Machine(0xC00000B7, 1)}

# Refused whatever their arguments. name: (x86_64, aarch64); None where the architecture does not have it.
REFUSED: dict[str, tuple[int | None, int | None]] = {
    # other processes' memory, files and credentials
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "pidfd_send_signal": (424, 424),
    "tkill": (200, 130),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    # which pages of a file lie in memory: the scorer could leave notes there for its twin
    "mincore": (27, 232),
    "cachestat": (451, 451),
    "readahead": (187, 213),
    # mounts and namespaces
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "setns": (308, 268),
    "unshare": (272, 97),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "mknod": (133, None),
    "mknodat": (259, 33),
    "fanotify_init": (300, 262),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "acct": (163, 89),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    # large attack surface that training has no use for
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "memfd_secret": (447, 447),
    "lookup_dcookie": (212, 18),
    # memory and messages that outlive their processes
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "semget": (64, 190),
    "semop": (65, 193),
    "semtimedop": (220, 192),
    "semctl": (66, 191),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # the machine's own state
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "reboot": (169, 142),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "ioperm": (173, None),
    "iopl": (172, None),
    "modify_ldt": (154, None),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    # more of the processor than was granted
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
}

# What the owner of a file may change however it is mounted or confined: Landlock does not cover these. A worker that
# runs as the harness's own user could open the user's files to others, and leave notes on them for the next sandbox.
# Answered with success and not done, since compilers and copying programs do it without need …
METADATA: dict[str, tuple[int | None, int | None]] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
}
# … and, for attributes, with what a file system says that has none.
ATTRIBUTES: dict[str, tuple[int | None, int | None]] = {
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "file_setattr": (469, 469),
}

# Looked at more closely below.
_CLONE3 = (435, 435)
_SETSID, _SETPGID = (112, 157), (109, 154)
_SOCKET, _SOCKETPAIR = (41, 198), (53, 199)
_CLONE, _PRLIMIT64, _IOCTL, _FCNTL, _PRCTL = (56, 220), (302, 261), (16, 29), (72, 25), (157, 167)
_KILL, _TGKILL, _PIDFD_OPEN = (62, 129), (234, 131), (434, 434)
_RT_SIGQUEUEINFO, _RT_TGSIGQUEUEINFO = (129, 138), (297, 240)
_FADVISE64, _MADVISE, _PREADV2 = (221, 223), (28, 233), (327, 286)

_AF_UNIX, _AF_INET, _AF_INET6, _AF_NETLINK = 1, 2, 10, 16
_SOCK_TYPE_MASK, _SOCK_STREAM = 0xF, 1  # the other bits of the type are SOCK_CLOEXEC and SOCK_NONBLOCK
_IPPROTO_TCP, _NETLINK_ROUTE = 6, 0
_CLONE_FILES, _CLONE_THREAD = 0x400, 0x10000
_CLONE_NEW = 0x7E020000  # every CLONE_NEW* flag that clone takes (CLONE_NEWTIME is clone3's and unshare's)
# Terminals take typed input (TIOCSTI, TIOCLINUX, TIOCCONS); FIOSETOWN and SIOCSPGRP send signals to strangers;
# FS_IOC_SETFLAGS (of two sizes), FS_IOC_FSSETXATTR and FS_IOC_SETVERSION change files that are open for reading alone.
_IOCTLS = (0x5412, 0x541C, 0x541D, 0x8901, 0x8902, 0x40086602, 0x40046602, 0x401C5820, 0x40087602)
# F_SETOWN, F_SETSIG, F_SETOWN_EX: signals by another door. F_SET_RW_HINT and F_SET_FILE_RW_HINT stay with a file that
# is open for reading alone, for the next sandbox to read.
_FCNTLS = (8, 10, 15, 1036, 1038)
# What drops pages of a file from memory, or tells whether they lie there: MADV_COLD, MADV_PAGEOUT, RWF_NOWAIT.
_MADVICE = (20, 21)
_RWF_NOWAIT = 0x8
# PR_SET_DUMPABLE hides memory from the parent's measure; PR_SET_CHILD_SUBREAPER and PR_SET_PTRACER reshape the tree.
_PRCTLS = (PR_SET_DUMPABLE, 36, 0x59616D61)

# BPF_LD|W|ABS, BPF_JMP|…, BPF_ALU|AND, BPF_RET
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL_PROCESS, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _EINVAL, _ENOSYS, _ENOTSUP = _ERRNO | 1, _ERRNO | 22, _ERRNO | 38, _ERRNO | 95
_PRETEND = _ERRNO | 0  # not done, and answered with success
_NUMBER_AT, _ARCHITECTURE_AT = 0, 4
_X32_BIT = 0x40000000


class Step(NamedTuple):
    """One BPF instruction; the jumps count the steps that are skipped when the test holds, and when it does not."""

    code: int
    if_true: int
    if_false: int
    value: int


def program(machine: str, parent_pid: int | None, *, loopback: bool = False, metadata: bool = True) -> tuple[Step, ...]:
    """The filter for `machine` (a key of MACHINES); `parent_pid` may not be signalled.

    metadata: modes, owners, times and attributes of files may be changed.
    loopback: TCP sockets may be opened as well, and the one kind of netlink socket that lists the interfaces, which
    gloo and NCCL ask for before they listen.
    """
    audit, column = MACHINES[machine]
    steps = [
        Step(_LOAD, 0, 0, _ARCHITECTURE_AT),
        Step(_EQUAL, 1, 0, audit),
        Step(_RETURN, 0, 0, _KILL_PROCESS),  # a foreign ABI would have other numbers
        Step(_LOAD, 0, 0, _NUMBER_AT),
    ]
    if machine == "x86_64":
        steps += [Step(_AT_LEAST, 0, 1, _X32_BIT), Step(_RETURN, 0, 0, _KILL_PROCESS)]

    def answer(numbers: tuple[int | None, int | None], verdict: int) -> None:
        number = numbers[column]
        if number is not None:
            steps.extend((Step(_EQUAL, 0, 1, number), Step(_RETURN, 0, 0, verdict)))

    def examine(numbers: tuple[int, int], argument: int, *tests: Step, otherwise: int = _ALLOW) -> None:
        """Each test looks at the low 32 bits of an argument and skips its own return when it does not hold."""
        body = [Step(_LOAD, 0, 0, 16 + 8 * argument), *tests, Step(_RETURN, 0, 0, otherwise)]
        steps.extend((Step(_EQUAL, 0, len(body), numbers[column]), *body))

    def equal(value: int, verdict: int) -> tuple[Step, Step]:
        return Step(_EQUAL, 0, 1, value), Step(_RETURN, 0, 0, verdict)

    for numbers in REFUSED.values():
        answer(numbers, _EPERM)
    if not metadata:
        for numbers in METADATA.values():
            answer(numbers, _PRETEND)
        for numbers in ATTRIBUTES.values():
            answer(numbers, _ENOTSUP)
    answer(_CLONE3, _ENOSYS)  # its flags are behind a pointer; the C library falls back to clone
    # Nobody leaves the process group, so that one killpg reaches the whole tree, fork-runners included. Answered with
    # success, because programs that ask for a session of their own (subprocess, compilers) do not need it.
    answer(_SETSID, _PRETEND)
    answer(_SETPGID, _PRETEND)
    # Data loaders need AF_UNIX.
    examine(_SOCKET, 0, *equal(_AF_UNIX, _ALLOW), *(_network_sockets() if loopback else ()), otherwise=_EPERM)
    examine(_SOCKETPAIR, 0, *equal(_AF_UNIX, _ALLOW), otherwise=_EPERM)
    examine(
        _CLONE,
        0,
        *(Step(_ANY_BIT, 0, 1, _CLONE_NEW), Step(_RETURN, 0, 0, _EPERM)),
        # A thread with open files of its own would hide them from the parent's measure.
        *(Step(_ANY_BIT, 0, 2, _CLONE_THREAD), Step(_ANY_BIT, 1, 0, _CLONE_FILES), Step(_RETURN, 0, 0, _EPERM)),
    )
    examine(_PRLIMIT64, 0, *equal(0, _ALLOW), otherwise=_EPERM)
    examine(_IOCTL, 1, *(step for value in _IOCTLS for step in equal(value, _EPERM)))
    examine(_FCNTL, 1, *(step for value in _FCNTLS for step in equal(value, _EPERM)))
    answer(_FADVISE64, _PRETEND)  # advice is no more than that
    examine(_MADVISE, 2, *(step for value in _MADVICE for step in equal(value, _EINVAL)))
    examine(_PREADV2, 5, Step(_ANY_BIT, 0, 1, _RWF_NOWAIT), Step(_RETURN, 0, 0, _ENOTSUP))
    examine(
        _PRCTL,
        0,
        *(step for value in _PRCTLS for step in equal(value, _EPERM)),
        *equal(PR_SET_PDEATHSIG, _PRETEND),  # torch.multiprocessing sets it in its children; ours must stay
    )
    groups = (Step(_AT_LEAST, 0, 1, 0x80000000), Step(_RETURN, 0, 0, _EPERM), *equal(0, _EPERM))
    parent = equal(parent_pid, _EPERM) if parent_pid is not None else ()
    examine(_KILL, 0, *groups, *parent)  # kill(-1), kill(-group), kill(0) and the parent
    for call in (_TGKILL, _RT_SIGQUEUEINFO, _RT_TGSIGQUEUEINFO, _PIDFD_OPEN):
        examine(call, 0, *parent)
    steps.append(Step(_RETURN, 0, 0, _ALLOW))
    return tuple(steps)


def _network_sockets() -> tuple[Step, ...]:
    """For socket(), with the family loaded: TCP and interface lists pass, everything else falls out at the end."""
    kind, protocol = Step(_LOAD, 0, 0, 16 + 8 * 1), Step(_LOAD, 0, 0, 16 + 8 * 2)
    allow = Step(_RETURN, 0, 0, _ALLOW)
    stream = (
        kind,
        Step(_AND, 0, 0, _SOCK_TYPE_MASK),
        Step(_EQUAL, 0, 4, _SOCK_STREAM),
        protocol,
        Step(_EQUAL, 1, 0, 0),  # the family's default, which is TCP
        Step(_EQUAL, 0, 1, _IPPROTO_TCP),
        allow,
    )
    internet = (Step(_EQUAL, 1, 0, _AF_INET), Step(_EQUAL, 0, len(stream), _AF_INET6), *stream)
    interfaces = (protocol, Step(_EQUAL, 0, 1 + len(internet), _NETLINK_ROUTE), allow)
    return (Step(_EQUAL, 0, len(interfaces), _AF_NETLINK), *interfaces, *internet)


def install(parent_pid: int | None, *, loopback: bool = False, metadata: bool = True) -> None:
    """Put the filter on every thread of this process, for good; arguments as for `program`.

    Raises:
        OSError: unknown architecture, or the kernel refuses.
    """
    machine = platform.machine()
    if machine not in MACHINES:
        raise OSError(38, f"no seccomp filter for {machine}")
    steps = program(machine, parent_pid, loopback=loopback, metadata=metadata)
    code = b"".join(struct.pack("=HBBI", *step) for step in steps)
    buffer = ctypes.create_string_buffer(code, len(code))
    fprog = struct.pack("@HP", len(code) // 8, ctypes.addressof(buffer))
    no_new_privileges()
    syscall({"x86_64": 317, "aarch64": 277}[machine], 1, 1, fprog)  # SECCOMP_SET_MODE_FILTER, TSYNC


def supported() -> bool:
    """The kernel takes filters and this architecture's numbers are known."""
    machine = platform.machine()
    if machine not in MACHINES:
        return False
    try:
        kill_process = struct.pack("=I", _KILL_PROCESS)
        syscall({"x86_64": 317, "aarch64": 277}[machine], 2, 0, kill_process)  # SECCOMP_GET_ACTION_AVAIL
    except OSError:
        return False
    return True
