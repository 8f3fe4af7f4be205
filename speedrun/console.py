"""Where text goes: answers to standard output, everything on the way there to standard error.

rich is imported only where something is printed by it, so that `speedrun --help` starts fast. Strangers' words reach it
as Text, which reads no markup, and without control characters.

GitHub's runner obeys what a step prints: a line that begins with `::` after any blanks, and `##[` wherever it stands.
Where it says that it is there (GITHUB_ACTIONS), a blank is put between, in JSON the bracket is written as an escape.
"""

import os
import re
import sys
from typing import TYPE_CHECKING, TextIO

from leaderboard.text import plain

if TYPE_CHECKING:
    from rich.console import Console

    from speedrun.answers import Answer

# A pipe has no width. Nothing is cut there, so that grep finds what it looks for.
PIPE_COLUMNS = 1000
ERROR_CAP = 2000  # characters of an error's line

_COMMAND = re.compile(r"^([^\S\n]*):(?=:)", re.MULTILINE)


def answer(value: "Answer", *, json: bool) -> None:
    """Prints an answer. Raises BrokenPipeError when nobody reads on."""
    from harness.protocol import printable
    from speedrun.answers import ShownSource, as_json

    if json:
        text = _json_text(as_json(value))
    elif isinstance(value, ShownSource):
        # As it ran, tabs and all; only what could drive the terminal is taken out.
        text = printable(value.text, len(value.text) + 1)
    else:
        from speedrun import pages

        screen = console(sys.stdout)
        with screen.capture() as captured:  # rich's own answer to a broken pipe is to end the process
            pages.show(value, screen)
        text = captured.get()
    sys.stdout.write(no_command(text))
    sys.stdout.flush()


def json_line(data: bytes) -> None:
    """One JSON value on a line of standard output, there at once. Raises BrokenPipeError when nobody reads on."""
    sys.stdout.write(no_command(_json_text(data)) + "\n")
    sys.stdout.flush()


def error_line(message: str) -> None:
    """One line on standard error, whatever the message holds."""
    _error_stream_line(f"error: {plain(message, ERROR_CAP)}")


def note(message: str) -> None:
    """One line for whoever waits, on standard error."""
    _error_stream_line(plain(message, ERROR_CAP))


def console(stream: TextIO) -> "Console":
    """A rich console on `stream`: as wide as the terminal; without one, as wide as the text."""
    from rich.console import Console

    return Console(
        file=stream,
        width=None if stream.isatty() or "COLUMNS" in os.environ else PIPE_COLUMNS,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _error_stream_line(line: str) -> None:
    try:
        sys.stderr.write(no_command(line) + "\n")
        sys.stderr.flush()
    except OSError:
        pass  # nobody listens: the exit code still says it


def _runner_listens() -> bool:
    return "GITHUB_ACTIONS" in os.environ


def _json_text(data: bytes) -> str:
    """JSON that says the same, and nothing to GitHub's runner."""
    text = data.decode()
    return text.replace("##[", "##\\u005b") if _runner_listens() else text


def no_command(text: str) -> str:
    """`text` with nothing that GitHub's runner obeys, where it is there; else as it is."""
    return _COMMAND.sub(r"\1: ", text).replace("##[", "## [") if _runner_listens() else text
