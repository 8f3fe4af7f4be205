"""Texts of which some tokens are asked for, cut into rows, and what a scorer answers about them. Pure but for asking.

lm-eval asks how likely a continuation is after its context, and how likely a whole document is. Both are a text whose
last tokens are asked for: the context is cut at the left to what the entry takes, a continuation longer than that comes
in pieces, each token asked once (the windows of lm-eval's own models).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness.evaluation import BadOutput, Exchange, Stream
from harness.protocol import LogProbs, Tokens

LEAST_WIDTH = 16  # of a row: shorter ones are filled up


@dataclass(frozen=True)
class Text:
    """tokens: uint16 [n]; asked are the tokens `first` to n − 1, 1 ≤ first ≤ n − 1."""

    task: str  # of lm-eval, which asks
    tokens: Stream
    first: int

    def __post_init__(self) -> None:
        if not 1 <= self.first < self.tokens.size:
            raise ValueError(f"nothing can be asked from token {self.first} of {self.tokens.size} on")

    @property
    def asked(self) -> int:
        return self.tokens.size - self.first


class Row(NamedTuple):
    """The tokens `start` to `end` − 1 of a text, of which the last `keep` are asked for."""

    text: int  # its number
    start: int
    end: int
    keep: int


class Said(NamedTuple):
    """Of each token that was asked for: [asked]."""

    log_probs: npt.NDArray[np.float32]  # nats
    greedy: npt.NDArray[np.bool_]  # the scorer calls it the likeliest token


class Batch(NamedTuple):
    """Rows that are asked together, filled up to one width."""

    rows: tuple[Row, ...]
    width: int


def row_of(number: int, text: Text, target: int, context: int) -> Row:
    """The row that asks for this token of the text."""
    first = text.first + (target - text.first) // context * context
    end = min(first + context, text.tokens.size)
    return Row(number, max(0, end - 1 - context), end, end - first)


def rows_of(number: int, text: Text, context: int) -> Iterator[Row]:
    """The text's rows, each with at most `context` tokens before its last one; every asked token is in one of them."""
    for first in range(text.first, text.tokens.size, context):
        yield row_of(number, text, first, context)


def filled_width(width: int, context: int) -> int:
    """How wide a row is made that needs `width`: the context, its half, its quarter …, so that shapes are few."""
    size = context
    while size // 2 >= max(width, LEAST_WIDTH):
        size //= 2
    return size


def batches(texts: Sequence[Text], context: int, most: int) -> Iterator[Batch]:
    """All rows of all texts, rows of one width together, at most `most` at a time; the longest first."""
    rows = [row for number, text in enumerate(texts) for row in rows_of(number, text, context)]
    rows.sort(key=lambda row: row.start - row.end)
    first = 0
    while first < len(rows):
        width = filled_width(_width(rows[first]), context)
        last = first + 1
        while last < min(first + most, len(rows)) and filled_width(_width(rows[last]), context) == width:
            last += 1
        yield Batch(tuple(rows[first:last]), width)
        first = last


def ask(exchange: Exchange, texts: Sequence[Text], batch: Batch, spare: Stream) -> list[Said]:
    """What the scorer says about each row of a batch. Raises BadOutput, and what the exchange raises.

    Rows are filled up at the right with `spare` text (uint16), which tells an honest model nothing.
    """
    rows, width = batch
    tokens = np.empty((len(rows), width + 1), dtype=np.uint16)
    for number, row in enumerate(rows):
        size = row.end - row.start
        tokens[number, :size] = texts[row.text].tokens[row.start : row.end]
        tokens[number, size:] = spare[: width + 1 - size]
    begins = [row.end - row.start - row.keep for row in rows]
    keep = width + 1 - min(begins)
    asked = len(rows) * keep
    message = Tokens(rows=len(rows), width=width, keep=keep, greedy=True)
    payload = exchange.ask(message, tokens.data, answer=LogProbs, size=asked * 5)
    log_probs = np.frombuffer(payload, dtype="<f4", count=asked).reshape(len(rows), keep)
    greedy = np.frombuffer(payload, dtype=np.uint8, offset=asked * 4).reshape(len(rows), keep) != 0
    answers = []
    for number, row in enumerate(rows):
        place = begins[number] - min(begins)
        said = Said(log_probs[number, place : place + row.keep], greedy[number, place : place + row.keep])
        if not np.isfinite(said.log_probs).all():
            value = said.log_probs[~np.isfinite(said.log_probs)][0]
            what = "probability zero to a token that came" if value == -np.inf else f"{value} as a log-probability"
            raise BadOutput(f"predict gave {what} in a text of {texts[row.text].task}")
        answers.append(said)
    return answers


def score(
    exchange: Exchange,
    texts: Sequence[Text],
    context: int,
    most: int,
    spare: Stream,
    observe: Callable[[int, int], None],
) -> list[Said]:
    """What the scorer says about every text. Raises as `ask`.

    context: most tokens before the last one of a row. most: most rows of one call. observe: called with the tokens
    answered so far and their number.
    """
    found = [Said(np.empty(text.asked, np.float32), np.empty(text.asked, np.bool_)) for text in texts]
    done, total = 0, sum(text.asked for text in texts)
    for batch in batches(texts, context, most):
        for row, said in zip(batch.rows, ask(exchange, texts, batch, spare), strict=True):
            last = row.end - texts[row.text].first
            for whole, part in zip(found[row.text], said, strict=True):
                whole[last - row.keep : last] = part
            done += row.keep
        observe(done, total)
    return found


def _width(row: Row) -> int:
    return row.end - row.start - 1
