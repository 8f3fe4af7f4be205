"""TOML into typed values: unknown keys, wrong types and syntax errors become one line that a person can act on."""

import re
import tomllib
from typing import TypeVar

import msgspec

from harness.protocol import printable

T = TypeVar("T")

_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`")
_MISSING = re.compile(r"missing required field `(?P<key>[^`]*)`")
_PLACE = re.compile(r" - at `\$\.?(?P<place>[^`]*)`$")
_SYNTAX_LINE = re.compile(r"\s*\(at line (?P<line>\d+), column \d+\)$")


class TomlError(Exception):
    """What is wrong; `line` where it is known."""

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


def decode(text: str, shape: type[T]) -> T:
    """`text` as a `shape`, a msgspec Struct that forbids unknown fields.

    Raises:
        TomlError: not TOML, an unknown or missing key, a value of the wrong type or one that `shape` refuses.
    """
    try:
        tree = tomllib.loads(text)
        _check_integers(tree)
        return msgspec.convert(tree, shape)
    except tomllib.TOMLDecodeError as error:
        where = _SYNTAX_LINE.search(str(error))
        what = _SYNTAX_LINE.sub("", _one_line(error, 200))
        raise TomlError(f"not valid TOML: {what}", int(where["line"]) if where else None) from None
    except msgspec.ValidationError as error:
        raise _explained(_one_line(error, 300), text) from None
    except RecursionError:
        raise TomlError("not valid TOML: nested too deeply") from None
    except ValueError as error:  # a number of more digits than Python converts, a date that is none
        raise TomlError(f"not valid TOML: {_one_line(error, 200)}") from None


def _check_integers(tree: object) -> None:
    """TOML's have 64 bits, tomllib's have no end, and what has thousands of digits can't even be printed."""
    if isinstance(tree, dict | list):
        for item in tree.values() if isinstance(tree, dict) else tree:
            _check_integers(item)
    elif isinstance(tree, int) and not -(2**63) <= tree < 2**63:
        raise ValueError("an integer beyond 64 bits")


def _one_line(error: Exception, limit: int) -> str:
    """What an error says; it may quote a key of the file, which may hold anything."""
    return " ".join(printable(str(error), limit).split())


def _explained(message: str, text: str) -> TomlError:
    """msgspec's message in the words of the file: `limits.train_s` instead of `$.limits`."""
    place = match["place"] if (match := _PLACE.search(message)) else ""
    said = _PLACE.sub("", message)
    if (unknown := _UNKNOWN.search(said)) is not None:
        key = unknown["key"]
        return TomlError(f"unknown key {_join(place, key)}; delete it or mend its spelling", _line_of(key, text))
    if (missing := _MISSING.search(said)) is not None:
        return TomlError(f"the key {_join(place, missing['key'])} is missing")
    key = re.split(r"[.\[]", place)[-1] if not place.endswith("]") else place.split("[")[0].split(".")[-1]
    return TomlError(f"{place}: {said}" if place else said, _line_of(key, text) if key else None)


def _join(place: str, key: str) -> str:
    return f"{place}.{key}" if place else key


def _line_of(key: str, text: str) -> int | None:
    """The line that sets `key`, where it is plain to see."""
    match = re.search(rf"^[^#\n]*?\b{re.escape(key)}\b[\"']?\s*=", text, re.MULTILINE)
    match = match or re.search(rf"^[ \t]*\[+[^\]\n]*\b{re.escape(key)}[ \t]*\]", text, re.MULTILINE)
    return text.count("\n", 0, match.start()) + 1 if match else None
