"""What the tests of the data package share: an independent account of the grammar, and the tales as prepared."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from data import tales
from data.grammar import Table, Tale
from data.manifest import load_manifest
from data.prepare import Prepared, prepare

DATASETS = Path(tales.__file__).parent / "datasets"


class _OtherText(Exception):
    """What is told is no longer the text."""


class _Crossroads(Exception):
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


@pytest.fixture(scope="session")
def derivations() -> Callable[[str], list[float]]:
    """−ln p of a text, for every sequence of choices that tells it: found by trying them all."""
    return _derivations


@pytest.fixture(scope="session")
def prepared_tales(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """The pinned set, made from nothing."""
    return prepare(load_manifest(DATASETS / "tales.toml"), tmp_path_factory.mktemp("cache"))


def _derivations(text: str) -> list[float]:
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
