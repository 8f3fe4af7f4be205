"""The data set `tales`: short English stories from a seeded grammar, with the exact price of every one.

What there is to learn, from near to far: spelling; common words before rare ones; "a" and "an", singular and plural,
he and she by name; weather that fits the season; riddles that have one answer; sums that are right; names and things
that come back; sayings and songs repeated to the letter; lists backwards and in alphabetical order; the way home;
the place where the treasure was hidden; an outcome and a moral that follow from what the hero chose.

**The floor.** Every random choice is made by `Tale.draw`, which charges −ln of its probability to the byte where the
choice begins to show. The choices can be read off the text: options of a table differ, scenes begin with phrases of
their own, and what follows from a choice (a sum, a list backwards) is not drawn again. So the charges sum to
−ln p(text), which no model can pass on average over fresh tales: its excess is a Kullback–Leibler divergence. (The
tests check it on whole tales, by summing over *all* sequences of choices that tell the same text.) A prefix of a tale
is charged for every choice that has begun in it; that is exact but for the one choice that it cuts in two.
"""

import math
import random
from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import NamedTuple

from data.grammar import Table, Tale, uniform
from data.morals import ending, trial
from data.scenes import PLOTS, Plot, idle, open_tale

VOCAB_SIZE = 256  # bytes
SEPARATOR = 0  # starts every document; no tale has this byte
FEWEST_PLOTS, MOST_PLOTS = 2, 3
MOST_IDLE = 7


class Document(NamedTuple):
    """One tale."""

    number: int
    text: str  # ASCII
    charges: tuple[tuple[int, float], ...]  # (offset in bytes, nats) of every choice, in order

    @property
    def nats(self) -> float:
        """−ln of the probability that the grammar tells this tale."""
        return math.fsum(nats for _, nats in self.charges)


def document(seed: int, number: int) -> Document:
    """Tale `number` of the endless set `seed`; the same on every platform."""
    tale = Tale(random.Random((seed << 32) + number).random)
    tell(tale)
    starts = (0, *accumulate(map(len, tale.pieces)))
    return Document(number, "".join(tale.pieces), tuple((starts[piece], nats) for piece, nats in tale.charges))


def documents(seed: int, first: int) -> Iterator[Document]:
    """The tales from `first` on, without end."""
    number = first
    while True:
        yield document(seed, number)
        number += 1


CLOSE = "close"
_STEPS: Table[Plot | Callable[[Tale], None] | str] = Table(
    (idle, trial, CLOSE, *PLOTS), (30, 6, 5, *(2 for _ in PLOTS))
)
_PAUSE = Table((True, False), (1, 1))


def tell(tale: Tale) -> None:
    """A whole tale: what is planted on the way is paid off before the ending."""
    open_tale(tale)
    told: list[Plot | Callable[[Tale], None] | str] = []
    pending: list[Plot] = []
    tale.gap = "\n"
    while True:
        without = [step for step in told if step is not idle]
        if trial not in told or len(pending) < FEWEST_PLOTS:
            without.append(CLOSE)
        if len(pending) == MOST_PLOTS:
            without.extend(plot for plot in PLOTS if plot not in told)
        if told.count(idle) == MOST_IDLE:
            without.append(idle)
        step = tale.draw(_STEPS, without)
        told.append(step)
        if isinstance(step, Plot):
            step.plant(tale)
            pending.append(step)
        elif callable(step):
            step(tale)
        else:
            break
    tale.gap = "\n"
    while pending:
        if tale.draw(_PAUSE):
            idle(tale)
        plot = tale.draw(uniform(*pending))
        pending.remove(plot)
        plot.payoff(tale)
    tale.gap = "\n"
    ending(tale)
