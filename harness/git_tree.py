"""One tree object of git, taken apart: the names in a folder, and what each stands for. Pure.

Only what git itself would have written passes. Two programs that read a strange tree may see two things: git looks a
name up by the order in which a tree must be, so what is out of order is there for one command and gone for another,
and a merge brings back the file that it did not find.

Not covered: names that a file system takes for others; whoever accepts paths decides that (speedrun/pull_request.py).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from harness.errors import UserError

FILE_MODE: Final = "100644"
FOLDER_MODE: Final = "40000"

_MODES: Final = frozenset({FILE_MODE, "100755", "120000", FOLDER_MODE, "160000"})
_NO_NAMES: Final = frozenset({b"", b".", b"..", b".git"})


class ObjectError(UserError):
    """Something committed is missing, too large, or not what it should be."""


class Item(NamedTuple):
    """What a name in a tree stands for."""

    mode: str  # as git writes it: "100644" a file, "100755", "120000" a link, "40000" a folder, "160000" a submodule
    id: str  # of the object


def names(data: bytes, id_bytes: int, path: str) -> dict[str, Item]:
    """What a tree object lists, in git's order; bytes that are no UTF-8 stand as surrogates.

    Args:
        data: the object: `<mode> <name>\\0<id>`, one after the other.
        id_bytes: of an object's id.
        path: where the folder lies, for errors; empty: the top.

    Raises:
        ObjectError: it is none that git would have written.
    """
    found: dict[str, Item] = {}
    before = b""
    for raw, item in _taken_apart(data, id_bytes, path):
        name = raw.decode("utf-8", "surrogateescape")
        # Git sorts by bytes, a folder as if its name ended with a slash.
        place = raw + b"/" if item.mode == FOLDER_MODE else raw
        if raw.lower() in _NO_NAMES or b"/" in raw:
            raise _strange(path, f"lists the name {shown_path(name)!r}, which no folder can hold")
        if name in found:
            raise _strange(path, f"lists the name {shown_path(name)!r} twice")
        if place < before:
            raise _strange(path, f"lists the name {shown_path(name)!r} out of git's order")
        if item.mode not in _MODES:
            raise _strange(path, f"gives {shown_path(name)!r} the mode {shown_path(item.mode)!r}, which git never does")
        if not item.id.strip("0"):
            raise _strange(path, f"lists the name {shown_path(name)!r} without an object")
        found[name] = item
        before = place
    return found


def shown_path(path: str) -> str:
    """A stranger's path in plain ASCII, at most 200 characters: nothing in it hides, turns round or looks alike."""
    told = ascii(path[:200])[1:-1]
    return told if len(told) <= 200 else told[:199] + "…"


def _taken_apart(data: bytes, id_bytes: int, path: str) -> Iterator[tuple[bytes, Item]]:
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 8)
        end = data.find(b"\0", space)
        after = end + 1 + id_bytes
        if space < 0 or end < 0 or after > len(data):
            raise _strange(path, "is no tree that git would have made")
        yield data[space + 1 : end], Item(data[at:space].decode("ascii", "replace"), data[end + 1 : after].hex())
        at = after


def _strange(path: str, what: str) -> ObjectError:
    return ObjectError(f"{shown_path(path) or 'the top folder'} {what}")
