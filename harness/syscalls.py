"""System calls that Python has no function for, by ctypes. Travels into the sandbox: standard library only."""

import ctypes
import os
import platform

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47

_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def syscall(number: int, *arguments: int | bytes | None) -> int:
    """The kernel's answer. Raises OSError with the kernel's errno, and on a system without syscall(2)."""
    call = getattr(_libc, "syscall", None)
    if call is None or platform.system() != "Linux":
        raise OSError(38, "not a Linux system")
    converted = [ctypes.c_long(each) if isinstance(each, int) else ctypes.c_char_p(each) for each in arguments]
    call.restype = ctypes.c_long
    answer = int(call(ctypes.c_long(number), *converted))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer


def prctl(option: int, *arguments: int) -> int:
    """prctl(2), unused arguments 0. Raises OSError."""
    call = getattr(_libc, "prctl", None)
    if call is None:
        raise OSError(38, "not a Linux system")
    padded = (*arguments, 0, 0, 0, 0)[:4]
    answer = int(call(ctypes.c_int(option), *(ctypes.c_ulong(each) for each in padded)))
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return answer


def no_new_privileges() -> None:
    """From here on no exec gains anything: set-uid bits and file capabilities are ignored, also for children."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def drop_capabilities() -> None:
    """Give up every capability for good; `no_new_privileges` keeps root's exec from bringing them back."""
    no_new_privileges()
    prctl(PR_CAP_AMBIENT, 4)  # PR_CAP_AMBIENT_CLEAR_ALL
    header = ctypes.create_string_buffer(_CAPABILITY_VERSION_3.to_bytes(4, "little") + bytes(4), 8)
    nothing = bytes(24)  # two times (effective, permitted, inheritable), 32 bits each
    syscall(_CAPSET[platform.machine()], ctypes.addressof(header), nothing)
