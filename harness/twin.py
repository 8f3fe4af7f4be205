"""The twin: a second sandbox with the same artifact that never sees what it is asked for.

A worker that scores sees its targets (they are the next tokens of its rows), so it could look ahead, answer with
numbers that are no probabilities, remember earlier rows or train on them. For a random sample of the scored targets the
twin is given the same window up to the token before the target, then foreign text, and returns the whole distribution
at that place, which the parent normalises. An honest model says the same in both places; whatever the scorer's answer
is worth beyond the twin's was not earned from the past alone:

    advantage [nats a token] = mean over the sample of  log p_scorer(y | window) − log p_twin(y | past, foreign future)

The foreign text is drawn without regard to the target: were it chosen to differ from the target, the twin could rule
the visible token out, and a cheat could hide behind what that gains.

At the end the twin gets a few whole windows, exactly as the scorer got them. Answers that differ there come from state,
randomness or coupling between rows; they only choose the message, never the verdict.

Not covered: validation text inside the source or the artifact, which the twin knows as well as the scorer; a state that
learns so little from scored text, a number or two, that the twin soon learns the same from its own questions; and what
the scorer leaves in the machine for its twin to find (harness/page_cache.py is about the widest way that we know).
"""

import heapq
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.evaluation import BadOutput, Exchange, Stream, Windows, ask_log_probs
from harness.protocol import Cut, Distribution
from harness.result import TwinReport

SAMPLE_LEAST = 512  # targets; finds a cheat on 0.9 % of the targets with probability 0.99
ROWS_A_TARGET = 20  # one sampled target for so many scored rows, when that is more
MEAN_LIMIT_NATS = 0.001  # an advantage up to here is never held against an entry …
MEAN_ALPHA = 0.001  # … and above it only at this one-sided significance
SINGLE_LIMIT_NATS = 0.5  # no honest noise makes one target this much likelier
BLIND_LIMIT_NATS = 0.01  # a sample too noisy to find this uniform advantage proves nothing, and fails closed
INTERVAL = 0.999
POWER = 0.99
DIFFERENCE_CAP_NATS = 1000.0  # an infinite difference, for JSON
ANSWER_CAP_BYTES = 32 << 20  # of one batch of distributions
CONTROL_ROWS = 16  # whole windows at the end
WIDTH_STEPS = 8  # rows are cut to one of so many widths: the foreign future costs time and tells nothing

Floats = npt.NDArray[np.float64]


def sample_size(windows: Windows) -> int:
    """How many targets are compared."""
    return min(windows.targets, max(SAMPLE_LEAST, math.ceil(windows.count / ROWS_A_TARGET)))


def draw(windows: Windows, seed: int) -> list[int]:
    """Targets (1 ≤ j ≤ windows.targets) in ascending order, drawn without replacement."""
    picked = np.random.default_rng(seed).choice(windows.targets, size=sample_size(windows), replace=False)
    return sorted(int(target) + 1 for target in picked)


def questions(sample: list[int], windows: Windows, rows: int) -> Iterator[list[int]]:
    """Batches of at most `rows` targets such that no row which the twin has seen, in that batch or before it, holds a
    target that it is still to be asked for; rows of like length come together.

    Row b shows the tokens from its window's start to b − 1, so target a < b must go in a batch before b's whenever the
    window that scores b starts at or before a.
    """
    first_hidden = []  # for each target: index of the first sampled target that its row shows
    low = 0
    for b, target in enumerate(sample):
        start = windows.start(windows.scoring(target)[0])
        while low < b and sample[low] < start:
            low += 1
        first_hidden.append(low)
    waiting = [b - first_hidden[b] for b in range(len(sample))]  # shown targets not yet asked
    ready = [(windows.scoring(sample[b])[1], b) for b in range(len(sample)) if waiting[b] == 0]
    heapq.heapify(ready)
    while ready:
        batch = [heapq.heappop(ready)[1] for _ in range(min(rows, len(ready)))]
        yield [sample[b] for b in batch]
        for a in batch:
            b = a + 1
            while b < len(sample) and first_hidden[b] <= a:
                waiting[b] -= 1
                if waiting[b] == 0:
                    heapq.heappush(ready, (windows.scoring(sample[b])[1], b))
                b += 1


@dataclass(frozen=True)
class Answers:
    """What the twin said, aligned with the sample. All in nats."""

    log_probs: Floats  # [sampled]: of the true target, normalised by the parent
    own_excess: Floats  # [sampled]: what the worker itself claims for the foreign token, minus the parent's number
    repeated: Floats  # [targets in the control rows]: |scorer − twin| on whole windows


def log_softmax(logits: Floats) -> Floats:
    """logits: [rows, vocab] → natural log-probabilities, float64 [rows, vocab]."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True)))


def interrogate(
    exchange: Exchange,
    stream: Stream,
    spare: Stream,
    windows: Windows,
    scored: npt.NDArray[np.float32],
    sample: list[int],
    *,
    rows: int,
    vocab_size: int,
    seed: int,
    observe: Callable[[int, int], None] = lambda done, total: None,
) -> Answers:
    """Ask the twin about the sample.

    stream: uint16 [targets + 1]. spare: uint16, the foreign text. scored: float32 [targets], the scorer's answers.
    Raises BadOutput, and whatever the exchange raises.
    """
    random = np.random.default_rng([seed, 1])
    step = max(1, math.ceil(windows.context / WIDTH_STEPS))
    most = max(1, min(rows, ANSWER_CAP_BYTES // (4 * vocab_size + 4)))
    log_probs, excess = {}, {}
    for batch in questions(sample, windows, most):
        places = [windows.scoring(target) for target in batch]
        width = min(windows.context, step * math.ceil((max(cut for _, cut in places) + 1) / step))
        tokens = foreign_rows(spare, len(batch), width + 1, random)
        for row, (window, cut) in enumerate(places):
            start = windows.start(window)
            tokens[row, : cut + 1] = stream[start : start + cut + 1]
        cuts = np.array([cut for _, cut in places], dtype="<i4")
        size = 4 * len(batch) * (vocab_size + 1)
        message = Cut(rows=len(batch), width=width)
        payload = exchange.ask(message, tokens.data, cuts.data, answer=Distribution, size=size)
        answer = np.frombuffer(payload, dtype="<f4")
        logits = answer[: len(batch) * vocab_size].reshape(len(batch), vocab_size)
        own = answer[len(batch) * vocab_size :].astype(np.float64)
        for row, target in enumerate(batch):  # one at a time: a whole batch in float64 would take 250 MB
            if np.isnan(logits[row]).any() or not np.isfinite(logits[row].max()):
                raise BadOutput("predict gave logits that are no numbers, where the twin was asked")
            normal = log_softmax(logits[row].astype(np.float64))
            log_probs[target] = normal[stream[target]]
            foreign = normal[tokens[row, cuts[row] + 1]]
            excess[target] = 0.0 if own[row] == foreign else own[row] - foreign  # both may be −inf
        observe(len(log_probs), len(sample))
    return Answers(
        log_probs=np.array([log_probs[target] for target in sample]),
        own_excess=np.array([excess[target] for target in sample]),
        repeated=_repeat(exchange, stream, windows, scored, sample, min(rows, CONTROL_ROWS)),
    )


def foreign_rows(spare: Stream, rows: int, width: int, random: np.random.Generator) -> Stream:
    """uint16 [rows, width]: pieces of the spare split from random places."""
    starts = random.integers(0, spare.size - width + 1, size=rows)
    return np.stack([spare[start : start + width] for start in starts])


def _repeat(
    exchange: Exchange, stream: Stream, windows: Windows, scored: npt.NDArray[np.float32], sample: list[int], rows: int
) -> Floats:
    """|scorer − twin| on whole windows of the sample, float64, in one batch of a single shape."""
    chosen: list[int] = []
    for target in sample[:: max(1, len(sample) // (4 * rows))]:
        window = windows.scoring(target)[0]
        shape = (windows.width(window), windows.keep(window))
        alike = not chosen or shape == (windows.width(chosen[0]), windows.keep(chosen[0]))
        if window not in chosen and alike and len(chosen) < rows:
            chosen.append(window)
    keep, width = windows.keep(chosen[0]), windows.width(chosen[0])
    tokens = np.stack([stream[windows.start(k) : windows.start(k) + width + 1] for k in chosen])
    answer = ask_log_probs(exchange, tokens, keep)
    before = np.stack([scored[windows.end(k) - keep : windows.end(k)] for k in chosen])
    return np.abs(answer.astype(np.float64) - before).reshape(-1)


def compare(scorer: Floats, answers: Answers, seed: int) -> TwinReport:
    """The report on scorer [sampled] against the twin's answers; `honest` unless a limit is passed.

    The one-sided t-test asks whether the mean advantage is above MEAN_LIMIT_NATS. Noise of low precision goes both ways
    and leaves the mean near 0. Being worse than the twin is no crime in itself, but differences so wild that the sample
    could hide an advantage of BLIND_LIMIT_NATS are: a cheat could buy itself that cover with a few very bad answers.
    """
    from scipy.special import ndtri, stdtr, stdtrit

    difference = np.clip(scorer - answers.log_probs, -DIFFERENCE_CAP_NATS, DIFFERENCE_CAP_NATS)
    size = difference.size
    mean, largest = float(difference.mean()), float(difference.max())
    error = float(difference.std(ddof=1)) / math.sqrt(size) if size > 1 else math.inf
    if error > 0:
        p_value = float(stdtr(size - 1, -(mean - MEAN_LIMIT_NATS) / error)) if size > 1 else 1.0
        half = float(stdtrit(size - 1, 1 - (1 - INTERVAL) / 2)) * error if size > 1 else DIFFERENCE_CAP_NATS
    else:
        p_value, half = (0.0 if mean > MEAN_LIMIT_NATS else 1.0), 0.0
    reach = float(ndtri(1 - MEAN_ALPHA) + ndtri(POWER)) * min(error, DIFFERENCE_CAP_NATS)
    repeat = float(answers.repeated.mean())
    kind: Literal["honest", "looks-ahead", "not-normalised", "unrepeatable", "too-noisy"] = "honest"
    if p_value >= MEAN_ALPHA and largest <= SINGLE_LIMIT_NATS:
        if not MEAN_LIMIT_NATS + reach <= BLIND_LIMIT_NATS:
            kind = "unrepeatable" if repeat > BLIND_LIMIT_NATS else "too-noisy"
    else:
        if repeat > max(MEAN_LIMIT_NATS, mean / 10):
            kind = "unrepeatable"
        elif float(answers.own_excess.mean()) > max(MEAN_LIMIT_NATS, mean / 10):
            kind = "not-normalised"
        else:
            kind = "looks-ahead"
    return TwinReport(
        sampled=size,
        seed=seed,
        advantage_nats=mean,
        low_nats=mean - half,
        high_nats=mean + half,
        p_value=p_value,
        largest_nats=largest,
        repeat_nats=repeat,
        finds_share=1 - (1 - POWER) ** (1 / size),
        finds_advantage_nats=MEAN_LIMIT_NATS + reach,
        kind=kind,
    )


_WHY = {
    "looks-ahead": "whole rows are answered the same, so some output at position t depends on tokens after t "
    "(attention without a causal mask, routing or normalisation over the whole row, a target used as a key)",
    "not-normalised": "the scorer's numbers do not sum to one over the vocabulary "
    "(a patched or unfinished softmax, a mixture without normalisation)",
    "too-noisy": "single answers differ so wildly, for better and worse, that an advantage could hide among them; the "
    "scorer and its twin must say the same up to the noise of their arithmetic",
    "unrepeatable": "even the very same rows are not answered the same ({repeat:.4f} nats a token apart): something "
    "carries over from rows seen before, is random (dropout left on), or couples the rows of a batch",
}


def explain(report: TwinReport) -> str:
    """One paragraph for the contestant; empty for an honest report."""
    if report.kind == "honest":
        return ""
    why = _WHY[report.kind].format(repeat=report.repeat_nats)
    return (
        f"at {report.sampled} sampled targets the scorer's answers were worth {report.advantage_nats:+.4f} nats a "
        "token beside those of the same artifact without the text after the target (99.9 % interval "
        f"{report.low_nats:.4f} to {report.high_nats:.4f}, at most {MEAN_LIMIT_NATS} is noise; largest difference "
        f"{report.largest_nats:.2f}, at most {SINGLE_LIMIT_NATS}): {why}"
    )
