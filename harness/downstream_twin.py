"""The twin of downstream scores: what harness/twin.py does for the loss, for the continuations that lm-eval asks for.

Of every task some of the asked tokens are drawn, and a second sandbox with the same artifact gets the past of each
alone, as long as the scorer had it, and foreign text after it. Its distribution must bear out both things that the
scorer said: the log-probability (harness.twin.compare), and whether the token is the likeliest one.

No row that the twin has seen shows a token that it is asked for later: questions come in the order of their places in
their texts, and two of one text never in one batch. That holds for texts that begin alike, too (the choices of one
question).

Not covered: a text that stands in the middle of others (an example that several prompts show): what a scorer remembers
of it from row to row, its twin may remember, too. And, as ever, text that is inside the source or the artifact.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from harness import twin
from harness.downstream_rows import Batch, Row, Said, Text, ask, filled_width, row_of
from harness.evaluation import BadOutput, Exchange, Stream
from harness.protocol import Cut, Distribution
from harness.result import TwinReport


class Question(NamedTuple):
    """A token of a text that the twin is asked about."""

    text: int  # its number
    target: int


class Finding(NamedTuple):
    """What the twin says about the scores of a task."""

    report: TwinReport
    lies: int  # tokens that the scorer called the likeliest, or not, and that clearly are not, or are

    @property
    def honest(self) -> bool:
        return self.report.kind == "honest" and self.lies == 0


class _Heard(NamedTuple):
    """One answer of the twin."""

    log_prob: float  # of the token, normalised by the parent
    own_excess: float  # what the worker itself claims for the foreign token, minus the parent's number
    lead_nats: float  # of the token before the likeliest other one


def draw(texts: Sequence[Text], context: int, seed: int) -> list[Question]:
    """Of every task, so many tokens as harness.twin takes of a stream, without replacement."""
    random = np.random.default_rng(seed)
    questions = []
    for task in dict.fromkeys(text.task for text in texts):
        numbers = [number for number, text in enumerate(texts) if text.task == task]
        ends = np.cumsum([texts[number].asked for number in numbers])
        rows = sum(math.ceil(texts[number].asked / context) for number in numbers)
        size = min(int(ends[-1]), max(twin.SAMPLE_LEAST, math.ceil(rows / twin.ROWS_A_TARGET)))
        for place in random.choice(int(ends[-1]), size=size, replace=False):
            which = int(np.searchsorted(ends, place, side="right"))
            number = numbers[which]
            questions.append(Question(number, texts[number].tokens.size - int(ends[which] - place)))
    return questions


def in_batches(questions: Sequence[Question], texts: Sequence[Text], most: int) -> Iterator[list[Question]]:
    """The questions in an order in which no row shows a token that is asked for in its batch or later."""
    batch: list[Question] = []
    shown: list[bytes] = []  # for each question of the batch: its past and its token
    for question in sorted(questions, key=lambda question: (question.target, question.text)):
        tokens = texts[question.text].tokens
        past = tokens[: question.target].tobytes()
        if len(batch) == most or any(past.startswith(told) for told in shown):
            yield batch
            batch, shown = [], []
        batch.append(question)
        shown.append(past + tokens[question.target].tobytes())
    if batch:
        yield batch


def interrogate(
    exchange: Exchange,
    texts: Sequence[Text],
    said: Sequence[Said],
    questions: Sequence[Question],
    *,
    context: int,
    most: int,
    vocab_size: int,
    spare: Stream,
    seed: int,
    observe: Callable[[int, int], None],
) -> Mapping[str, Finding]:
    """What the twin says about each task. Raises BadOutput, and what the exchange raises.

    Args:
        exchange: the twin.
        texts: what the scorer was asked.
        said: what it answered, text by text.
        questions: as drawn.
        context: most tokens before the last one of a row.
        most: most rows of one call.
        vocab_size: of the data set.
        spare: foreign text, uint16.
        seed: of the sample.
        observe: called with the tokens asked about so far and their number.
    """
    random = np.random.default_rng([seed, 1])
    most_cut = max(1, min(most, twin.ANSWER_CAP_BYTES // (4 * vocab_size + 4)))
    heard: dict[Question, _Heard] = {}
    for batch in in_batches(questions, texts, most_cut):
        rows = [row_of(text, texts[text], target, context) for text, target in batch]
        answers = _cut(exchange, texts, batch, rows, context, vocab_size, spare, random)
        heard |= dict(zip(batch, answers, strict=True))
        observe(len(heard), len(questions))
    repeated = _repeat(exchange, texts, said, questions, context, min(most, twin.CONTROL_ROWS), spare)
    findings = {}
    for task in dict.fromkeys(texts[question.text].task for question in questions):
        own = [question for question in questions if texts[question.text].task == task]
        scored = np.array([said[text].log_probs[target - texts[text].first] for text, target in own], dtype=np.float64)
        answers = [heard[question] for question in own]
        report = twin.compare(
            scored,
            twin.Answers(
                log_probs=np.array([answer.log_prob for answer in answers]),
                own_excess=np.array([answer.own_excess for answer in answers]),
                repeated=repeated,
            ),
            seed,
        )
        claims = [bool(said[text].greedy[target - texts[text].first]) for text, target in own]
        leads = [answer.lead_nats for answer in answers]
        findings[task] = Finding(report, lies(claims, leads))
    return findings


def explain(findings: Mapping[str, Finding]) -> str:
    """Why there are no scores, for the task that is worst; empty: there are."""
    for task, (report, lies) in findings.items():
        if report.kind != "honest":
            return f"the twin does not bear out {task}: {twin.explain(report)}"
        if lies:
            return (
                f"the twin does not bear out {task}: of {report.sampled} sampled tokens the scorer called {lies} the "
                "likeliest of all, or not, that clearly are not, or are, where nothing but the past is known"
            )
    return ""


def lies(claims: Sequence[bool], leads_nats: Sequence[float]) -> int:
    """How many claims of being the likeliest token, or none of it, the twin's leads do not bear out.

    One that is clearly wrong is enough. Nearly equal ones may be turned around by noise, which goes both ways: where
    wrong claims outnumber wrong denials at a significance of harness.twin.MEAN_ALPHA, all wrong claims count.
    """
    both = list(zip(claims, leads_nats, strict=True))
    clear = sum(_is_lie(claim, lead_nats) for claim, lead_nats in both)
    claimed = sum(claim and lead_nats < 0 for claim, lead_nats in both)
    denied = sum(not claim and lead_nats > 0 for claim, lead_nats in both)
    wrong = claimed + denied
    by_chance = sum(math.comb(wrong, number) for number in range(claimed, wrong + 1)) / 2**wrong
    return max(clear, claimed) if by_chance < twin.MEAN_ALPHA else clear


def _is_lie(claimed: bool, lead_nats: float) -> bool:
    """Noise may turn what is nearly as likely around, and no more; a lead that is no number bears nothing out."""
    return not (lead_nats >= -twin.SINGLE_LIMIT_NATS if claimed else lead_nats <= twin.SINGLE_LIMIT_NATS)


def _cut(
    exchange: Exchange,
    texts: Sequence[Text],
    batch: Sequence[Question],
    rows: Sequence[Row],
    context: int,
    vocab_size: int,
    spare: Stream,
    random: np.random.Generator,
) -> list[_Heard]:
    cuts = np.array([question.target - 1 - row.start for question, row in zip(batch, rows, strict=True)], dtype="<i4")
    width = filled_width(int(cuts.max()) + 1, context)
    tokens = twin.foreign_rows(spare, len(batch), width + 1, random)
    for number, (question, row) in enumerate(zip(batch, rows, strict=True)):
        tokens[number, : cuts[number] + 1] = texts[question.text].tokens[row.start : question.target]
    size = 4 * len(batch) * (vocab_size + 1)
    message = Cut(rows=len(batch), width=width)
    payload = exchange.ask(message, tokens.data, cuts.data, answer=Distribution, size=size)
    answer = np.frombuffer(payload, dtype="<f4")
    logits = answer[: len(batch) * vocab_size].reshape(len(batch), vocab_size)
    own = answer[len(batch) * vocab_size :].astype(np.float64)
    heard = []
    for number, question in enumerate(batch):
        if np.isnan(logits[number]).any() or not np.isfinite(logits[number].max()):
            raise BadOutput("predict gave logits that are no numbers, where the twin was asked")
        normal = twin.log_softmax(logits[number].astype(np.float64))
        token = int(texts[question.text].tokens[question.target])
        foreign = normal[tokens[number, cuts[number] + 1]]
        excess = 0.0 if own[number] == foreign else own[number] - foreign  # both may be −inf
        others = np.delete(normal, token).max()
        heard.append(_Heard(float(normal[token]), float(excess), float(normal[token] - others)))
    return heard


def _repeat(
    exchange: Exchange,
    texts: Sequence[Text],
    said: Sequence[Said],
    questions: Sequence[Question],
    context: int,
    most: int,
    spare: Stream,
) -> twin.Floats:
    """|scorer − twin| on whole rows of the sample, float64, in one batch of a single width."""
    chosen: dict[Row, int] = {}  # with their widths
    for text, target in questions:
        row = row_of(text, texts[text], target, context)
        width = filled_width(row.end - row.start - 1, context)
        if len(chosen) < most and width in (next(iter(chosen.values()), width),):
            chosen[row] = width
    rows = tuple(chosen)
    answers = ask(exchange, texts, Batch(rows, chosen[rows[0]]), spare)
    before = [
        said[row.text].log_probs[row.end - row.keep - texts[row.text].first : row.end - texts[row.text].first]
        for row in rows
    ]
    after = np.concatenate([answer.log_probs for answer in answers]).astype(np.float64)
    return np.abs(after - np.concatenate(before))
