"""Lines of a page on a terminal: good news, bad news, and what else there is to say."""

from rich.console import Console
from rich.text import Text

GOOD, BAD = Text("✓", style="green"), Text("✗", style="red")


def line(console: Console, mark: Text, words: str) -> None:
    """A mark, and what it stands for."""
    console.print(Text.assemble(mark, " ", words), soft_wrap=True)


def say(console: Console, words: str) -> None:
    """Words alone."""
    console.print(Text(words), soft_wrap=True)
