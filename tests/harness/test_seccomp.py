"""The filter as a value: every system call is put through a small interpreter of the BPF that it is made of."""

import errno
import struct

import pytest

from harness.seccomp import ATTRIBUTES, MACHINES, METADATA, REFUSED, Step, program

ALLOW = 0x7FFF0000
KILL = 0x80000000
PARENT = 4242


def errno_of(code: int) -> int:
    return 0x00050000 | code


def verdict(steps: tuple[Step, ...], number: int, *arguments: int, architecture: int) -> int:
    """What the kernel would answer. Source: the kernel's Documentation/networking/filter.rst."""
    padded = [argument & (2**64 - 1) for argument in (*arguments, *[0] * 6)[:6]]
    data = struct.pack("<IIQ6Q", number, architecture, 0, *padded)
    accumulator, at = 0, 0
    while True:
        step = steps[at]
        at += 1
        match step.code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, step.value)
            case 0x06:
                return step.value
            case 0x54:
                accumulator &= step.value
            case 0x15:
                at += step.if_true if accumulator == step.value else step.if_false
            case 0x35:
                at += step.if_true if accumulator >= step.value else step.if_false
            case 0x45:
                at += step.if_true if accumulator & step.value else step.if_false
            case other:
                pytest.fail(f"unknown instruction {other:#x}")


@pytest.fixture(params=sorted(MACHINES))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def judge(machine: str):
    """`judge(x86_64 number, aarch64 number, arguments…)`"""
    steps = program(machine, PARENT)
    column = MACHINES[machine].column

    def ask(numbers: tuple[int | None, int | None], *arguments: int) -> int:
        return verdict(steps, numbers[column], *arguments, architecture=MACHINES[machine].audit)

    return ask


def test_every_jump_lands_in_the_program_and_every_path_ends(machine: str) -> None:
    steps = program(machine, PARENT)
    for at, step in enumerate(steps):
        assert at + 1 + max(step.if_true, step.if_false) < len(steps) or step.code == 0x06
        assert 0 <= step.if_true < 256
        assert 0 <= step.if_false < 256
    assert steps[-1] == Step(0x06, 0, 0, ALLOW)
    assert len(steps) <= 4096  # BPF_MAXINSNS


def test_refused_whatever_the_arguments(machine: str, judge) -> None:
    for numbers in REFUSED.values():
        if numbers[MACHINES[machine].column] is not None:
            assert judge(numbers) == judge(numbers, -1, 7, 2**40) == errno_of(errno.EPERM)


def test_no_number_is_listed_twice(machine: str) -> None:
    column = MACHINES[machine].column
    numbers = [pair[column] for pair in (REFUSED | METADATA | ATTRIBUTES).values() if pair[column] is not None]
    assert len(numbers) == len(set(numbers))


def test_ordinary_calls_pass(judge) -> None:
    read, write, openat, mmap, futex, execve = (0, 63), (1, 64), (257, 56), (9, 222), (202, 98), (59, 221)
    memfd_create, exit_group = (319, 279), (231, 94)
    for numbers in (read, write, openat, mmap, futex, execve, memfd_create, exit_group):
        assert judge(numbers, 1, 2, 3) == ALLOW


def test_metadata_is_kept_where_the_user_owns_what_the_harness_owns(machine: str) -> None:
    column, audit = MACHINES[machine].column, MACHINES[machine].audit
    for table, refusal in ((METADATA, errno_of(0)), (ATTRIBUTES, errno_of(errno.ENOTSUP))):
        for pair in table.values():
            if pair[column] is not None:
                kept = program(machine, PARENT, metadata=False)
                assert verdict(kept, pair[column], 1, 2, architecture=audit) == refusal
                assert verdict(program(machine, PARENT), pair[column], 1, 2, architecture=audit) == ALLOW


def test_notes_on_files_open_for_reading_are_refused(judge) -> None:
    ioctl, fcntl = (16, 29), (72, 25)
    for request in (0x40086602, 0x401C5820):  # FS_IOC_SETFLAGS, FS_IOC_FSSETXATTR
        assert judge(ioctl, 3, request, 0) == errno_of(errno.EPERM)
    for hint in (1036, 1038):  # F_SET_RW_HINT, F_SET_FILE_RW_HINT
        assert judge(fcntl, 3, hint, 0) == errno_of(errno.EPERM)


def test_nobody_asks_which_pages_lie_in_memory(judge) -> None:
    fadvise, madvise, preadv2, mincore = (221, 223), (28, 233), (327, 286), (27, 232)
    assert judge(mincore, 0, 4096, 0) == errno_of(errno.EPERM)
    assert judge(fadvise, 3, 0, 0, 4) == errno_of(0)  # POSIX_FADV_DONTNEED: answered, not done
    for advice in (20, 21):  # MADV_COLD, MADV_PAGEOUT
        assert judge(madvise, 0, 4096, advice) == errno_of(errno.EINVAL)
    for advice in (4, 8, 14):  # MADV_DONTNEED, MADV_FREE, MADV_HUGEPAGE: allocators live on them
        assert judge(madvise, 0, 4096, advice) == ALLOW
    assert judge(preadv2, 3, 0, 1, 0, 0, 0x8) == errno_of(errno.ENOTSUP)  # RWF_NOWAIT
    assert judge(preadv2, 3, 0, 1, 0, 0, 0) == ALLOW


def test_foreign_architectures_are_killed(machine: str) -> None:
    other = next(value.audit for name, value in MACHINES.items() if name != machine)
    i386 = 0x40000003
    for architecture in (other, i386):
        assert verdict(program(machine, PARENT), 1, architecture=architecture) == KILL


def test_the_x32_table_is_killed() -> None:
    assert verdict(program("x86_64", PARENT), 0x40000000 + 41, architecture=MACHINES["x86_64"].audit) == KILL


def test_sockets_are_unix_or_nothing(judge) -> None:
    for call in ((41, 198), (53, 199)):
        assert judge(call, 1) == ALLOW
        for family in (0, 2, 10, 16, 17, 40, 2**32 - 1):
            assert judge(call, family) == errno_of(errno.EPERM)


def test_with_loopback_tcp_opens_and_nothing_else(machine: str) -> None:
    steps, audit = program(machine, PARENT, loopback=True), MACHINES[machine].audit
    column = MACHINES[machine].column
    call, pair = (41, 198)[column], (53, 199)[column]
    unix, inet, inet6, netlink, packet, vsock = 1, 2, 10, 16, 17, 40
    stream, datagram, raw, flags = 1, 2, 3, 0o2004000  # SOCK_CLOEXEC and SOCK_NONBLOCK

    def opens(*arguments: int) -> bool:
        return verdict(steps, call, *arguments, architecture=audit) == ALLOW

    for family in (inet, inet6):
        assert opens(family, stream)
        assert opens(family, stream | flags, 6)
        assert not any(opens(family, kind | flags, 0) for kind in (0, datagram, raw, 5, 6, 10))
        assert not any(opens(family, stream, protocol) for protocol in (1, 17, 132, 262))  # 132 SCTP, 262 MPTCP
    assert opens(unix, datagram)
    assert opens(netlink, raw | flags, 0)
    assert not any(opens(netlink, raw, protocol) for protocol in range(1, 24))
    assert not any(opens(family, stream) for family in (packet, vsock, 38))
    assert verdict(steps, pair, inet, stream, architecture=audit) == errno_of(errno.EPERM)
    for at, step in enumerate(steps):
        assert at + 1 + max(step.if_true, step.if_false) < len(steps) or step.code == 0x06


def test_threads_and_forks_pass_and_namespaces_do_not(judge) -> None:
    clone = (56, 220)
    assert judge(clone, 0x3D0F00) == ALLOW  # a thread, as the C library makes it
    assert judge(clone, 0x1200011) == ALLOW  # fork
    for bit in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert judge(clone, bit | 17) == errno_of(errno.EPERM)
    assert judge(clone, 0x3D0F00 & ~0x400) == errno_of(errno.EPERM)  # a thread with open files of its own
    assert judge((435, 435)) == errno_of(errno.ENOSYS)  # clone3


def test_signals_reach_one_process_at_a_time_and_never_the_parent(judge) -> None:
    kill, tgkill, sigqueue, tgsigqueue, pidfd_open = (62, 129), (234, 131), (129, 138), (297, 240), (434, 434)
    assert judge(kill, 77, 9) == ALLOW
    for target in (0, -1, -77, PARENT):
        assert judge(kill, target, 9) == errno_of(errno.EPERM)
    for call in (tgkill, sigqueue, tgsigqueue, pidfd_open):
        assert judge(call, 77) == ALLOW
        assert judge(call, PARENT) == errno_of(errno.EPERM)


def test_without_a_parent_in_sight_any_process_may_be_named(machine: str) -> None:
    kill = (62, 129)[MACHINES[machine].column]
    assert verdict(program(machine, None), kill, PARENT, 9, architecture=MACHINES[machine].audit) == ALLOW


def test_options_that_reach_out_are_refused(judge) -> None:
    ioctl, fcntl, prctl, prlimit64 = (16, 29), (72, 25), (157, 167), (302, 261)
    for request in (0x5412, 0x541C, 0x541D, 0x8901, 0x8902):
        assert judge(ioctl, 0, request) == errno_of(errno.EPERM)
        assert judge(ioctl, 0, request | 2**32) == errno_of(errno.EPERM)  # the kernel looks at 32 bits
    assert judge(ioctl, 0, 0x5401) == ALLOW
    for command in (8, 10, 15):
        assert judge(fcntl, 0, command) == errno_of(errno.EPERM)
    assert judge(fcntl, 0, 3) == ALLOW
    for option in (4, 36, 0x59616D61):
        assert judge(prctl, option) == errno_of(errno.EPERM)
    assert judge(prctl, 15) == ALLOW  # PR_SET_NAME
    assert judge(prlimit64, 0) == ALLOW
    assert judge(prlimit64, PARENT) == errno_of(errno.EPERM)


def test_some_wishes_are_answered_with_success_and_not_done(judge) -> None:
    setsid, setpgid, prctl = (112, 157), (109, 154), (157, 167)
    assert judge(setsid) == judge(setpgid, 0, 0) == judge(prctl, 1, 9) == errno_of(0)
