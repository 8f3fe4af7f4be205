"""An independent account of the grammar: −ln p(text), summed over every sequence of choices that tells the text."""

import math
from collections.abc import Sequence
from typing import Any

from data import tales
from data.grammar import Table, Tale


class _OtherText(Exception):  # noqa: N818 - an ending, not an error
    """What is told is no longer the text."""


class _Crossroads(Exception):  # noqa: N818 - an ending, not an error
    """The script is at its end, and there is a choice to make."""

    def __init__(self, options: list[Any]) -> None:
        self.options = options


class _Scripted(Tale):
    """A tale whose choices are given, as long as it tells `text`; it keeps its own book of probabilities."""

    def __init__(self, text: str, script: Sequence[Any]) -> None:
        super().__init__(lambda: math.nan)
        self._text = text
        self._script = script
        self._read_pieces = 0
        self._drawn = 0
        self.read = 0  # bytes of the text told
        self.nats = 0.0

    def draw(self, table: Table[Any], without: Sequence[Any] = ()) -> Any:
        self.compare()
        if self._drawn == len(self._script):
            raise _Crossroads(self._possible(table, without))
        value = self._script[self._drawn]
        self._drawn += 1
        left = 1 - sum(table.share[option] for option in without)
        self.nats -= math.log(table.share[value] / left)
        return value

    def compare(self) -> None:
        for piece in self.pieces[self._read_pieces :]:
            if not self._text.startswith(piece, self.read):
                raise _OtherText
            self.read += len(piece)
        self._read_pieces = len(self.pieces)

    def _possible(self, table: Table[Any], without: Sequence[Any]) -> list[Any]:
        """The options; of long lists of words only those that the rest of the text has: every such word is said."""
        options = [option for option in table.options if option not in without]
        if len(table.options) > 8 and isinstance(table.options[0], str):
            rest = self._text[self.read :].lower()
            options = [option for option in options if option.lower() in rest]
        return options


def derivations(text: str) -> list[float]:
    """The cost in nats of every sequence of choices that tells exactly `text`."""
    costs: list[float] = []
    scripts: list[tuple[Any, ...]] = [()]
    while scripts:
        script = scripts.pop()
        tale = _Scripted(text, script)
        try:
            tales.tell(tale)
            tale.compare()
        except _OtherText:
            continue
        except _Crossroads as crossroads:
            scripts += [(*script, option) for option in crossroads.options]
            continue
        if tale.read == len(text):
            costs.append(tale.nats)
    return costs
