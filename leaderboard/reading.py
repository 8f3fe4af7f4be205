"""Reads a file that may be anybody's: a regular one of bounded size, or nothing."""

import errno
import os
import stat
from pathlib import Path

from leaderboard.schema import RecordError


def read_regular(path: Path, cap_bytes: int, what: str) -> bytes:
    """The bytes of a regular file. Links, pipes and devices are refused before anything is read.

    what: it should be, for the error, e.g. "record".

    Raises:
        RecordError: one line, without the file's name.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise RecordError(f"cannot be read: {reason}") from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise RecordError("cannot be read: not a regular file")
        if facts.st_size > cap_bytes:
            raise RecordError(f"it has {facts.st_size:,} bytes; a {what} has at most {cap_bytes:,}")
        return os.read(descriptor, facts.st_size)
    except OSError as error:
        raise RecordError(f"cannot be read: {error.strerror}") from None
    finally:
        os.close(descriptor)
