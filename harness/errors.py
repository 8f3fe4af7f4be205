"""The one exception for people's mistakes, and how to name the nearest right spelling."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """Something that the person at the keyboard can mend.

    The message is one line: what is wrong, where, and what to do. The command line catches it in one place and
    exits with 2; no other exception is meant for people's eyes.
    """


def nearest(name: str, known: Iterable[str]) -> str:
    """A sentence that names the known spellings closest to `name`, or all of them when none is close."""
    options = sorted(known)
    if not options:
        return "there are none yet"
    close = difflib.get_close_matches(name, options, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(close)}?" if close else f"there are: {', '.join(options[:20])}"
