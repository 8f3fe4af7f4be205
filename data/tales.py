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
from collections.abc import Callable
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from data.grammar import Table, Tale, uniform
from data.plots import PLOTS, Plot
from data.scenes import ending, idle, opening, trial

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

VOCAB_SIZE = 256  # bytes
SEPARATOR = 0  # starts every document; no tale has this byte
FEWEST_PLOTS, MOST_PLOTS = 2, 3
MOST_IDLE = 7  # sentences before the plots are paid off


class Document(NamedTuple):
    """One tale."""

    text: str  # ASCII
    charges: tuple[tuple[int, float], ...]  # (offset in bytes, nats) of every choice, in order

    @property
    def nats(self) -> float:
        """−ln of the probability that the grammar tells this tale."""
        return math.fsum(nats for _, nats in self.charges)


def text(seed: int, number: int) -> str:
    """Tale `number` of the endless set `seed`; the same on every platform."""
    return "".join(_told(seed, number).pieces)


def document(seed: int, number: int) -> Document:
    """The same tale with the price of every choice."""
    tale = _told(seed, number)
    starts = (0, *accumulate(map(len, tale.pieces)))
    return Document("".join(tale.pieces), tuple((starts[piece], nats) for piece, nats in tale.charges))


def tokens(seed: int, numbers: range) -> "npt.NDArray[np.uint16]":
    """The tales of these numbers as uint16 [n], the separator before each."""
    import numpy as np

    told = "".join(chr(SEPARATOR) + text(seed, number) for number in numbers)
    return np.frombuffer(told.encode("ascii"), dtype=np.uint8).astype(np.uint16)


def prices(seed: int, numbers: range) -> "npt.NDArray[np.float64]":
    """What each token of `tokens(seed, numbers)` costs in nats, float64 [n]: 0 where nothing is chosen."""
    import numpy as np

    documents = [document(seed, number) for number in numbers]
    price = np.zeros(sum(1 + len(told.text) for told in documents))
    start = 1
    for told in documents:
        for offset, nats in told.charges:
            price[start + offset] += nats
        start += len(told.text) + 1
    return price


def _told(seed: int, number: int) -> Tale:
    # Python seeds from the 32-bit words (number, seed); with seed 0 there is one word, which another pair can equal.
    tale = Tale(random.Random((seed << 32) + number).random)
    tell(tale)
    return tale


_CLOSE = "close"
_Step = Plot | Callable[[Tale], None] | str
_STEPS: Table[_Step] = Table((idle, trial, _CLOSE, *PLOTS), (30, 6, 5, *(2 for _ in PLOTS)))
_PAUSE = uniform(True, False)


def tell(tale: Tale) -> None:
    """A whole tale: a title, an opening, plots and a trial in any order, the payoffs, an ending."""
    opening(tale)
    tale.gap = "\n"
    told: list[_Step] = []
    plots: list[Plot] = []
    while True:
        without: list[_Step] = [step for step in told if step is not idle]
        if trial not in told or len(plots) < FEWEST_PLOTS:
            without.append(_CLOSE)
        if len(plots) == MOST_PLOTS:
            without.extend(plot for plot in PLOTS if plot not in plots)
        if told.count(idle) == MOST_IDLE:
            without.append(idle)
        step = tale.draw(_STEPS, without)
        told.append(step)
        if isinstance(step, Plot):
            step.begin(tale)
            plots.append(step)
        elif callable(step):
            step(tale)
        else:
            break
    tale.gap = "\n"
    while plots:
        if tale.draw(_PAUSE):
            idle(tale)
        plot = tale.draw(uniform(*plots))
        plots.remove(plot)
        plot.end(tale)
    tale.gap = "\n"
    ending(tale)
    tale.pieces.append("\n")
