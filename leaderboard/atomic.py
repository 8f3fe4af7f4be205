"""Files that are there whole or not at all."""

import contextlib
import errno
import os
import secrets
from pathlib import Path

from harness.errors import UserError

TEMPORARY_SUFFIX = ".tmp"

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


def replace(path: Path, data: bytes, *, synced: bool = True) -> None:
    """Makes `path` hold `data`; whatever happens meanwhile, it holds either that or what it held before.

    The bytes go to a hidden file in the same folder, are synced and then renamed, and the folder is synced. A process
    that is killed may leave the hidden file behind, never a half-written `path`.

    synced: False, for what can be made again: it does not wait for the disk, and a power cut may leave `path` empty.

    Raises:
        UserError: no space, no permission, no such folder.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{TEMPORARY_SUFFIX}")
    try:
        try:
            # Not tempfile: its files are readable by their owner alone, and records are there to be shared.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                if synced:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
        if synced:
            sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from None


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` survive a power cut. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, error: OSError) -> UserError:
    """The one line for a failed write."""
    if error.errno in _NO_SPACE:
        remedy = "; free some space and try again"
    elif error.errno in _NO_PERMISSION:
        remedy = "; check the permissions of the folder"
    else:
        remedy = ""
    return UserError(f"cannot write {path}: {error.strerror or error}{remedy}")
