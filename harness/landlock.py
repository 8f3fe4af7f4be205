"""Landlock: files and sockets by an allow-list that the process can never widen. Travels into the sandbox.

Source: the kernel's Documentation/userspace-api/landlock.rst; rights are bits, each ABI version adds some.

Not covered: reading a file's attributes (stat), chdir, chmod, chown, extended attributes and times are no Landlock
rights in any ABI so far, so names and sizes of hidden files can be probed by name. Before ABI 4 no TCP port is
refused, before ABI 6 no abstract socket and no signal (harness/seccomp.py covers the first). UDP and pathname sockets
are not Landlock's at all.
"""

import os
import stat
import struct
from collections.abc import Iterable

from harness.syscalls import no_new_privileges, syscall

# The same numbers on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG = 1
_PATH_BENEATH = 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_ABI_1 = (1 << 13) - 1
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV  # the rights that a rule on a file may carry

_READ = _EXECUTE | _READ_FILE | _READ_DIR
_WRITE = (_ABI_1 | _REFER | _TRUNCATE) & ~(_MAKE_CHAR | _MAKE_BLOCK)
_CONTROL = _READ_FILE | _WRITE_FILE | _IOCTL_DEV

_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract unix sockets, signals


def abi() -> int:
    """The kernel's Landlock ABI; 0 where there is none (not built, switched off, not Linux, gVisor)."""
    try:
        return syscall(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    except OSError:
        return 0


def handled(version: int) -> tuple[int, int, int]:
    """Everything that a ruleset of ABI `version` can refuse: rights on files, on TCP ports, scopes."""
    files = _ABI_1
    if version >= 2:
        files |= _REFER
    if version >= 3:
        files |= _TRUNCATE
    if version >= 5:
        files |= _IOCTL_DEV
    return files, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0


def restrict(read: Iterable[str], write: Iterable[str], devices: Iterable[str], *, tcp: bool = False) -> int:
    """Restrict this process and its future children; returns the ABI that is enforced.

    Must run before a second thread exists: the restriction is one thread's, inherited by what it starts.

    Args:
        read: trees or files that may be read and executed.
        write: trees that may be changed in every way, save for device nodes.
        devices: nodes (or trees) that may be opened for reading and writing, and controlled.
        A path that does not exist or can't be reached is left out: less is granted, never more.
        tcp: TCP ports may be bound and connected to (all of them: which are free is known to nobody beforehand).

    Raises:
        OSError: the kernel has no Landlock, or refuses.
    """
    version = abi()
    if version < 1:
        raise OSError(38, "this kernel has no Landlock")
    files, ports, scopes = handled(version)
    attributes = struct.pack("=QQQ", files, 0 if tcp else ports, scopes)
    known_bytes = 8 if version < 4 else 16 if version < 6 else 24
    ruleset = syscall(_CREATE_RULESET, attributes, known_bytes, 0)
    try:
        for paths, rights in ((read, _READ), (write, _WRITE), (devices, _CONTROL)):
            for path in paths:
                _grant(ruleset, path, rights & files)
        no_new_privileges()
        syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _grant(ruleset: int, path: str, rights: int) -> None:
    try:
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return
    try:
        if not stat.S_ISDIR(os.fstat(beneath).st_mode):
            rights &= _ON_FILES
        syscall(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, beneath), 0)
    finally:
        os.close(beneath)
