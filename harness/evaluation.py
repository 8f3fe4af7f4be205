"""Scoring: cut the stream into windows, send rows, sum the loss.

The parent holds the tokens. A worker gets rows of tokens and gives back one float32 a target, so that ten million
targets cost 40 MB and no logits ever cross the process boundary. What comes back may still be a lie: harness/twin.py
finds out.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from harness.protocol import FromWorker, LogProbs, Message, Tokens

Stream = npt.NDArray[np.uint16]


class BadOutput(Exception):  # noqa: N818 - becomes a verdict
    """The entry answered with numbers that can't be scored."""


class Exchange(Protocol):
    """A worker that can be asked. `ask` sends one message with arrays and returns the answer and its raw payload.

    Raises whatever ends the run: a deadline, a breach of limits, a crash, an answer of the wrong size.
    """

    def ask(self, message: Message, *arrays: bytes | memoryview, answer: type[FromWorker], size: int) -> bytes: ...


@dataclass(frozen=True)
class Batch:
    """Consecutive windows of one shape: `rows` windows from number `first`, `width` tokens each, of which the last
    `keep` targets are scored."""

    first: int
    rows: int
    width: int
    keep: int


@dataclass(frozen=True)
class Windows:
    """How a stream of `targets` + 1 tokens is cut.

    Window k sees the tokens [k·stride, k·stride + width) and predicts the token after each; target j (1 ≤ j ≤ targets)
    is token j of the stream. The first window scores all its targets, every other one those that no window before it
    scored. Each target is so scored exactly once, in order, with at least context − stride tokens before it (as far as
    the stream has them). The last window may be shorter.
    """

    targets: int
    context: int
    stride: int

    def __post_init__(self) -> None:
        if not (self.targets >= 1 and 1 <= self.stride <= self.context):
            raise ValueError(f"no windows of context {self.context} and stride {self.stride} over {self.targets}")

    @property
    def count(self) -> int:
        return 1 + max(0, math.ceil((self.targets - self.context) / self.stride))

    def end(self, window: int) -> int:
        """The last target of a window."""
        return min(self.context + window * self.stride, self.targets)

    def start(self, window: int) -> int:
        """The first token of a window."""
        return window * self.stride

    def width(self, window: int) -> int:
        return self.end(window) - self.start(window)

    def keep(self, window: int) -> int:
        """How many of its last targets a window scores."""
        return self.end(window) - (self.end(window - 1) if window else 0)

    def scoring(self, target: int) -> tuple[int, int]:
        """The window that scores a target, and the position in it whose next token the target is."""
        window = 0 if target <= self.context else math.ceil((target - self.context) / self.stride)
        return window, target - self.start(window) - 1

    def batches(self, rows: int) -> Iterator[Batch]:
        """All windows in order, at most `rows` at a time, one shape a batch."""
        window = 0
        while window < self.count:
            width, keep = self.width(window), self.keep(window)
            last = window + 1
            while last < min(window + rows, self.count) and (self.width(last), self.keep(last)) == (width, keep):
                last += 1
            yield Batch(window, last - window, width, keep)
            window = last

    def rows(self, stream: Stream, batch: Batch) -> Stream:
        """uint16 [rows, width + 1]: the batch's windows, each with the target of its last position."""
        starts = np.arange(batch.first, batch.first + batch.rows) * self.stride
        view = np.lib.stride_tricks.sliding_window_view(stream, batch.width + 1)
        return np.ascontiguousarray(view[starts])


def ask_log_probs(exchange: Exchange, rows: Stream, keep: int) -> npt.NDArray[np.float32]:
    """Log-probabilities of the last `keep` targets of each row: float32 [rows, keep]. Raises BadOutput."""
    count, width = rows.shape[0], rows.shape[1] - 1
    message = Tokens(rows=count, width=width, keep=keep)
    payload = exchange.ask(message, rows.data, answer=LogProbs, size=count * keep * 4)
    answer = np.frombuffer(payload, dtype="<f4").reshape(count, keep)
    if not np.isfinite(answer).all():
        row, place = (int(index[0]) for index in np.nonzero(~np.isfinite(answer)))
        value = answer[row, place]
        position = width - keep + place
        what = "probability zero to the token that came" if value == -np.inf else f"{value} as a log-probability"
        raise BadOutput(f"predict gave {what} (row {row}, position {position} of {width})")
    return answer


def score(
    exchange: Exchange,
    stream: Stream,
    windows: Windows,
    rows: int,
    observe: Callable[[int, int], None] = lambda done, total: None,
) -> npt.NDArray[np.float32]:
    """The scorer's log-probability of every target: float32 [targets], entry j − 1 for target j.

    stream: uint16 [targets + 1]. observe: called with the targets answered so far and their number.
    """
    answers = np.empty(windows.targets, dtype=np.float32)
    done = 0
    for batch in windows.batches(rows):
        answer = ask_log_probs(exchange, windows.rows(stream, batch), batch.keep)
        answers[done : done + answer.size] = answer.reshape(-1)
        done += answer.size
        observe(done, windows.targets)
    return answers


def mean_loss(log_probs: npt.NDArray[np.float32]) -> float:
    """Mean negative log-likelihood, nats a token, summed in float64."""
    return -float(log_probs.sum(dtype=np.float64)) / log_probs.size
