"""One run at a time on a machine's devices: whoever shares one with another run measures nothing.

A lock file for each device lies in a folder that all users of the machine share, so that two people's runs wait for
each other too. The lock is the kernel's, on an open file: it is gone when its holder is, however that ended. Beside it
lies a note that says who holds it; the note is for people only, and nothing is decided by it.

Not covered: other machines, containers with a temporary folder of their own, and programs that ask for no lock.
"""

import contextlib
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from harness.accelerators import Accelerator
from harness.errors import UserError
from leaderboard.text import plain

POLL_S = 0.2
NOTE_CAP_BYTES = 1024
_FOLDER_MODE = 0o1777  # everybody may add a lock, nobody may remove another's
_FILE_MODE = 0o666


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """Who holds a device, in the holder's own words."""

    pid: int
    entry: str


def locks_folder() -> Path:
    """SPEEDRUN_LOCKS, or a folder in the machine's temporary one."""
    named = os.environ.get("SPEEDRUN_LOCKS")
    return Path(named) if named else Path(tempfile.gettempdir()) / "speedrun-locks"


def names(accelerators: Sequence[Accelerator]) -> tuple[str, ...]:
    """The devices that a run with these accelerators holds: the processor's cores feed every run."""
    return ("cpu", *(f"gpu-{accelerator.minor}" for accelerator in accelerators))


@contextlib.contextmanager
def hold(
    devices: Sequence[str], entry: str, *, wait: bool, say: Callable[[str], None], folder: Path | None = None
) -> Iterator[None]:
    """Holds all the devices, and frees them when the block is left.

    Args:
        devices: what `names` gives.
        entry: what those who wait are told.
        wait: for as long as it takes; otherwise a device in use is an error.
        say: gets one line for each device that must be waited for.

    Raises:
        UserError: a device is in use and `wait` is false, or the folder cannot be used.
    """
    folder = folder or locks_folder()
    _make(folder)
    with contextlib.ExitStack() as held:
        for device in sorted(set(devices)):  # in one order for everybody, so that no two wait for each other
            held.enter_context(_hold_one(folder / _file_name(device), device, entry, wait, say))
        yield


@contextlib.contextmanager
def _hold_one(path: Path, device: str, entry: str, wait: bool, say: Callable[[str], None]) -> Iterator[None]:
    import filelock  # only a run needs it

    lock = filelock.FileLock(path, mode=_FILE_MODE, poll_interval=POLL_S)
    note = path.with_suffix(".holder")
    try:
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            if not wait:
                raise UserError(f"{device} is in use by {_who(note)}; wait for it, or leave out --no-wait") from None
            say(f"waiting for {device}, which is in use by {_who(note)}; Ctrl-C to give up")
            lock.acquire()
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        _write(note, msgspec.json.encode(Holder(pid=os.getpid(), entry=entry)))
        yield
    finally:
        _write(note, b"")
        lock.release()


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        return
    except OSError as error:
        raise _unusable(folder, error) from None
    with contextlib.suppress(OSError):
        folder.chmod(_FOLDER_MODE)  # mkdir's own mode is cut by the umask


def _unusable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"cannot use the lock {path}: {error.strerror or error}; name another folder in SPEEDRUN_LOCKS, "
        "the same one for everybody on this machine"
    )


def _file_name(device: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", device)[:100] + ".lock"


def _who(note: Path) -> str:
    """The holder's note in words. It may be anybody's, so it is bounded, checked, and read without following links."""
    try:
        descriptor = os.open(note, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError("not a regular file")
            holder = msgspec.json.decode(file.read(NOTE_CAP_BYTES) or b"", type=Holder)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return "another run"
    return f"a run of {plain(holder.entry, 60)!r} (process {holder.pid})"


def _write(note: Path, data: bytes) -> None:
    """Best effort: without the note the lock works all the same."""
    flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with contextlib.suppress(OSError):
        try:
            descriptor = os.open(note, flags)
        except FileNotFoundError:
            descriptor = os.open(note, flags | os.O_CREAT | os.O_EXCL, _FILE_MODE)
            with contextlib.suppress(OSError):
                os.fchmod(descriptor, _FILE_MODE)  # open's own mode is cut by the umask
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                file.truncate(0)
                file.write(data)
