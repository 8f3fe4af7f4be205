"""What every answer is."""

import msgspec

# Of the format in JSON. 1: the first.
VERSION = 1


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every answer."""

    version: int = VERSION

    @property
    def exit_code(self) -> int:
        """0: good; 1: the command did its work, and what it looked at is not in order."""
        return 0


def as_json(answer: Answer) -> bytes:
    """The answer as indented JSON, UTF-8, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(answer), indent=1) + b"\n"
