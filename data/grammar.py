"""Seeded text with its exact price: every random choice goes through `Tale.draw`, which charges its log-probability.

A *table* is a weighted list of options. A *template* is text with slots:

    {TABLE}             draw from a table and say it; an option that has slots of its own is told in turn
    {word=TABLE}        draw, say, and remember what was said
    {word=TABLE-other}  the same, leaving out what the word `other` remembers
    {word}              say a remembered word again; {Word} with a capital
    {a word}            with its article, "a" or "an"; {a word=TABLE} likewise
    {^TABLE}            draw and say with a capital
    {TABLE.word}        draw from the one of several tables that a remembered word names, e.g. the weather of a season

Only whole-number weights and `random.Random(seed).random()` are used, so the same seed gives the same text on every
platform and every version of Python.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class Table(Generic[T_co]):
    """Distinct options, laid out as one slot a unit of weight, so that a draw is one index.

    Unless told otherwise the first half of the options weighs two and the second one: no language uses its words alike.
    """

    def __init__(self, options: Sequence[T_co], weights: Sequence[int] | None = None) -> None:
        weights = weights or [2 - 2 * rank // len(options) for rank in range(len(options))]
        if len(set(options)) != len(options) or len(weights) != len(options) or min(weights, default=0) < 1:
            raise ValueError(f"a table needs distinct options, each with a weight above 0: {options!r:.200}")
        self.options = tuple(options)
        self.size = sum(weights)
        self.share = {option: weight / self.size for option, weight in zip(options, weights, strict=True)}
        self.slots = tuple(
            (option, math.log(self.size / weight))
            for option, weight in zip(options, weights, strict=True)
            for _ in range(weight)
        )


def uniform(*options: T) -> Table[T]:
    """A table of equally likely options."""
    return Table(options, [1] * len(options))


@dataclass(frozen=True, eq=False)
class Template:
    """A compiled template."""

    parts: tuple["Part", ...]


Words = Table[str]
Phrases = Table[Template]
Options = Table[str | Template]


class Part(NamedTuple):
    """Fixed text, then a slot (the last part has none)."""

    literal: str
    table: Options | None  # to draw from
    family: Mapping[str, Options] | None  # or the tables of which the remembered word `by` names one
    by: str
    key: str  # the word to remember or to recall; "": none
    without: tuple[str, ...]  # the remembered words that are left out
    form: Callable[[str], str] | None


_SLOT = re.compile(r"\{(a |\^)?(?:([a-z]\w*)=)?(\w+)((?:-\w+)*)(?:\.(\w+))?\}")


def capital(text: str) -> str:
    return text[0].upper() + text[1:]


def article(text: str) -> str:
    """`text` with "a" or "an" before it. By spelling alone: the vocabulary has no silent h and no "unicorn"."""
    return ("an " if text[0] in "aeiou" else "a ") + text


_FORMS = {"": None, "a ": article, "^": capital}


class Grammar:
    """The tables that templates may name."""

    def __init__(self) -> None:
        self._tables: dict[str, Options] = {}
        self._families: dict[str, dict[str, Options]] = {}

    def words(self, name: str, options: Sequence[str]) -> Words:
        """Adds the table `NAME`, or for `NAME.word` a member of a family, of plain words."""
        table = Table(options)
        self._add(name, table)
        return table

    def phrases(self, name: str, *options: str) -> Phrases:
        """Adds a table of templates. The tables that they name must be there already."""
        if len(set(options)) != len(options):
            raise ValueError(f"{name} has the same phrase twice")
        table = Table([self._compile(option) for option in options])
        self._add(name, table)
        return table

    def _add(self, name: str, table: Options) -> None:
        family, dot, member = name.partition(".")
        if dot:
            self._families.setdefault(family, {})[member] = table
        else:
            self._tables[name] = table

    def _compile(self, source: str) -> Template:
        """Raises KeyError for a table that is not there, ValueError for a slot that cannot be read."""
        parts: list[Part] = []
        end = 0
        for match in _SLOT.finditer(source):
            mark, key, name, without, by = (group or "" for group in match.groups())
            form: Callable[[str], str] | None = _FORMS[mark]
            table, family = None, None
            if by:
                family = self._families[name]
            elif name.isupper():
                table = self._tables[name]
            elif name[0].isupper():
                key, form = name[0].lower() + name[1:], capital
            else:
                key = name
            literal = source[end : match.start()]
            parts.append(Part(literal, table, family, by, key, tuple(without.split("-")[1:]), form))
            end = match.end()
        parts.append(Part(source[end:], None, None, "", "", (), None))
        if any("{" in part.literal or "}" in part.literal for part in parts):
            raise ValueError(f"a slot that cannot be read in {source!r}")
        return Template(tuple(parts))


class Tale:
    """A text as it is being told: its pieces, what each choice cost and where, and the words to come back to."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self.pieces: list[str] = []
        self.charges: list[tuple[int, float]] = []  # (index of the piece that the choice begins, nats)
        self.words: dict[str, str] = {}
        self.gap = " "  # what stands before the next sentence

    def draw(self, table: Table[T], without: Sequence[T] = ()) -> T:
        """One option, charged with its exact log-probability; the distinct options in `without` are left out.

        Leaving out is drawing again until it fits, which is the renormalised distribution.
        """
        slots, size = table.slots, table.size
        value, nats = slots[int(self._random() * size)]
        if without:
            while value in without:
                value, nats = slots[int(self._random() * size)]
            nats += math.log1p(-sum([table.share[option] for option in without]))
        self.charges.append((len(self.pieces), nats))
        return value

    def tell(self, template: Template) -> None:
        """Tells a template, from left to right."""
        pieces, words = self.pieces, self.words
        for literal, table, family, by, key, without, form in template.parts:
            if literal:
                pieces.append(literal)
            if family is not None:
                table = family[words[by]]
            if table is not None:
                value = self.draw(table, [words[other] for other in without] if without else ())
                if isinstance(value, Template):
                    start = len(pieces)
                    self.tell(value)
                    if key:
                        words[key] = "".join(pieces[start:])
                    continue
                word = value
                if key:
                    words[key] = word
            elif key:
                word = words[key]
            else:
                continue
            pieces.append(form(word) if form else word)

    def sentence(self, table: Phrases) -> None:
        """Draws a sentence and tells it, after the gap that is due."""
        if self.pieces and not self.pieces[-1].endswith("\n"):
            self.pieces.append(self.gap)
        self.gap = " "
        self.tell(self.draw(table))
