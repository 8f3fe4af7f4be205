"""What a model says: a few pieces of the scored text, and how it goes on from them. For the reader; never scored.

Asked of the twin's sandbox when all of its answers are in, so that nothing here can help a score: in the very shape in
which the twin was asked (text, and foreign text behind it), one token of each row at a time, which the parent draws
from the distribution that comes back. However it ends, by a crash, a deadline or nonsense, the verdict stands.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from harness import twin
from harness.dialogue import Ending
from harness.evaluation import BadOutput, Exchange, Stream, Windows
from harness.protocol import Cut, Distribution, printable
from harness.result import SAMPLE_LENGTH, Sample, Samples

PROMPTS = 3
PROMPT_BYTES, TEXT_BYTES = 100, 200  # of text, about
NEARBY = 1 << 16  # tokens in which the beginning of a document is looked for
SAMPLES_S = 5.0  # for all of them
TEMPERATURE = 0.8
SEED = 20260101


@dataclass(frozen=True)
class Question:
    """What is asked, and how.

    stream: the scored text, uint16 [n]. spare: foreign text, uint16. rows: most rows of one call. separator: the token
    that begins every document, if there is one. bytes_a_token: of text, in the mean.
    """

    stream: Stream
    spare: Stream
    windows: Windows
    rows: int
    vocab_size: int
    separator: int | None
    bytes_a_token: float

    def tokens(self, size_bytes: int) -> int:
        """How many tokens so many bytes of text are, about."""
        return max(1, round(size_bytes / self.bytes_a_token))


@dataclass
class Continuation:
    """A prompt and what has been said after it so far."""

    prompt: list[int]
    said: list[int] = field(default_factory=list)
    over: bool = False  # the model has ended the document


def prompts(question: Question) -> list[Continuation]:
    """PROMPTS pieces of the scored text, evenly spread, each from where a document begins if one begins nearby.

    Fewer where the text is too short.
    """
    stream, tokens = question.stream, question.tokens(PROMPT_BYTES)
    found = []
    for number in range(PROMPTS):
        low, high = (stream.size * place // PROMPTS for place in (number, number + 1))
        part = stream[low : min(high, low + NEARBY)].tolist()
        start = part.index(question.separator) + 1 if question.separator in part else 0
        start = start if start + tokens <= len(part) else 0
        if tokens <= len(part):
            found.append(Continuation(part[start : start + tokens]))
    return found


def go_on(exchange: Exchange, question: Question, started: Sequence[Continuation]) -> None:
    """Lets every continuation grow in place, until it is long enough or ends its document.

    Ends early, without a word, when the exchange ends or answers nonsense.
    """
    draw, foreign = np.random.default_rng([SEED, 0]), np.random.default_rng([SEED, 1])
    for _ in range(question.tokens(TEXT_BYTES)):
        growing = [one for one in started if not one.over]
        for first in range(0, len(growing), question.rows):
            group = growing[first : first + question.rows]
            try:
                answers = _ask(exchange, question, group, foreign)
            except (Ending, BadOutput):
                return
            for one, probabilities in zip(group, answers, strict=True):
                token = int(draw.choice(question.vocab_size, p=probabilities))
                one.over = token == question.separator
                one.said += [] if one.over else [token]


def told(started: Sequence[Continuation], text: Callable[[Sequence[int]], str | None]) -> Samples | None:
    """What the model said, for the record; None: nothing.

    text: what tokens stand for. Raises what it raises.
    """
    items = tuple(
        Sample(
            prompt=printable(text(one.prompt) or "", SAMPLE_LENGTH),
            text=printable(text(one.said) or "", SAMPLE_LENGTH),
        )
        for one in started
        if one.said
    )
    return Samples(seed=SEED, temperature=TEMPERATURE, items=items) if items else None


def _ask(
    exchange: Exchange, question: Question, group: Sequence[Continuation], random: np.random.Generator
) -> list[twin.Floats]:
    """The probabilities of each row's next token: float64 [vocab]. Raises BadOutput, and what the exchange raises."""
    context, vocab_size = question.windows.context, question.vocab_size
    known = [(one.prompt + one.said)[-context:] for one in group]
    step = max(1, math.ceil(context / twin.WIDTH_STEPS))
    width = min(context, step * math.ceil(max(map(len, known)) / step))
    tokens = twin.foreign_rows(question.spare, len(group), width + 1, random)
    for row, text in enumerate(known):
        tokens[row, : len(text)] = text
    cuts = np.array([len(text) - 1 for text in known], dtype="<i4")
    size = 4 * len(group) * (vocab_size + 1)
    message = Cut(rows=len(group), width=width)
    payload = exchange.ask(message, tokens.data, cuts.data, answer=Distribution, size=size)
    logits = np.frombuffer(payload, dtype="<f4")[: len(group) * vocab_size].reshape(len(group), vocab_size)
    answers = []
    for said in logits.astype(np.float64):
        if np.isnan(said).any() or not np.isfinite(said.max()):
            raise BadOutput("predict gave logits that are no numbers, where it was asked to go on")
        probabilities = np.exp(twin.log_softmax(said / TEMPERATURE))
        answers.append(probabilities / probabilities.sum())
    return answers
