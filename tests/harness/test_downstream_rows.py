"""Which tokens stand in which row, what the twin is shown, and what counts as a lie: pure, with made-up models."""

import itertools
import math

import numpy as np
import pytest

from harness import downstream_twin
from harness.downstream_rows import Said, Text, batches, filled_width, rows_of, score
from harness.downstream_twin import draw, explain, in_batches, interrogate
from harness.evaluation import BadOutput
from harness.protocol import Cut, Tokens

VOCAB = 50
SPARE = np.random.default_rng(1).integers(0, VOCAB, 4096).astype(np.uint16)


def text(size: int, first: int, seed: int = 0, task: str = "t") -> Text:
    return Text(task, np.random.default_rng(seed).integers(0, VOCAB, size).astype(np.uint16), first)


TEXTS = (text(5, 3), text(200, 180, 1), text(300, 40, 2), text(64, 1, 3, "u"), text(2, 1, 4, "u"), text(33, 1, 5, "u"))


class Markov:
    """Answers as a table of pairs does; the table is any float32 [vocab, vocab]."""

    def __init__(self, ahead: float = 0.0, sure: bool = False) -> None:
        logits = np.random.default_rng(9).normal(size=(VOCAB, VOCAB))
        self._log_probs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        self._ahead, self._sure = ahead, sure
        self.shown: list[np.ndarray] = []
        self.shapes: set[int] = set()

    def of(self, one: Text) -> np.ndarray:
        return self._log_probs[one.tokens[one.first - 1 : -1], one.tokens[one.first :]]

    def is_greedy(self, one: Text) -> np.ndarray:
        return self._log_probs.argmax(1)[one.tokens[one.first - 1 : -1]] == one.tokens[one.first :]

    def ask(self, message, *arrays, answer, size):
        tokens = np.frombuffer(arrays[0], dtype="<u2").reshape(message.rows, message.width + 1)
        self.shapes.add(message.width)
        match message:
            case Tokens(keep=keep):
                before, after = tokens[:, -keep - 1 : -1], tokens[:, -keep:]
                log_probs = (self._log_probs[before, after] + self._ahead).astype("<f4")
                greedy = np.ones(after.shape, bool) if self._sure else self._log_probs.argmax(1)[before] == after
                data = log_probs.tobytes() + greedy.astype(np.uint8).tobytes()
            case Cut():
                cuts = np.frombuffer(arrays[1], dtype="<i4")
                self.shown += [row[: cut + 1].copy() for row, cut in zip(tokens, cuts, strict=True)]
                at = tokens[np.arange(len(cuts)), cuts]
                own = self._log_probs[at, tokens[np.arange(len(cuts)), cuts + 1]]
                data = self._log_probs[at].astype("<f4").tobytes() + own.astype("<f4").tobytes()
        assert len(data) == size
        return data


def scored(model: Markov, texts=TEXTS, context: int = 64, most: int = 4) -> list[Said]:
    return score(model, texts, context, most, SPARE, lambda done, total: None)


@pytest.mark.parametrize("context", [16, 64, 100])
@pytest.mark.parametrize("one", TEXTS)
def test_every_asked_token_is_in_one_row_with_as_much_before_it_as_fits(one, context):
    rows = list(rows_of(0, one, context))
    asked = [place for row in rows for place in range(row.end - row.keep, row.end)]
    assert asked == list(range(one.first, one.tokens.size))
    for row in rows:
        assert 1 <= row.keep <= row.end - row.start - 1 <= context
        assert row.start == 0 or row.end - row.start - 1 == context


def test_windows_are_those_of_lm_eval():
    lm_eval = pytest.importorskip("lm_eval.utils")
    for size, context in itertools.product((1, 15, 16, 17, 40, 64), (4, 16, 40)):
        tokens = list(range(1, size + 1))
        theirs = [(before, after) for before, after in lm_eval.get_rolling_token_windows(tokens, 0, context, 1)]
        whole = [0, *tokens]
        ours = [
            (whole[row.start : row.end - 1], whole[row.end - row.keep : row.end])
            for row in rows_of(0, Text("t", np.array(whole, dtype=np.uint16), 1), context)
        ]
        assert ours == theirs


def test_rows_have_few_shapes_and_all_are_there():
    found = list(batches(TEXTS, 64, 3))
    assert all(len(batch.rows) <= 3 for batch in found)
    assert {batch.width for batch in found} <= {16, 32, 64}
    rows = [row for batch in found for row in batch.rows]
    assert sorted(rows) == sorted(row for number, one in enumerate(TEXTS) for row in rows_of(number, one, 64))
    assert [filled_width(width, 100) for width in (1, 16, 25, 26, 50, 51, 100)] == [25, 25, 25, 50, 50, 100, 100]
    assert filled_width(3, 9) == 9


def test_scores_are_the_models_own():
    model, seen = Markov(), []
    said = score(model, TEXTS, 64, 4, SPARE, lambda done, total: seen.append((done, total)))
    for one, answer in zip(TEXTS, said, strict=True):
        np.testing.assert_allclose(answer.log_probs, model.of(one), rtol=1e-6)
        assert (answer.greedy == model.is_greedy(one)).all()
    assert seen[-1][0] == seen[-1][1] == sum(one.asked for one in TEXTS)


def test_no_row_of_the_twin_shows_what_is_asked_with_it_or_later():
    alike = np.random.default_rng(3).integers(0, VOCAB, 30).astype(np.uint16)  # choices that begin alike
    texts = (*TEXTS, Text("t", alike, 5), Text("t", alike[:20].copy(), 5), Text("t", alike, 12))
    questions = draw(texts, 64, seed=5)
    assert len(set(questions)) == len(questions)
    asked = list(in_batches(questions, texts, 7))
    assert sorted(itertools.chain(*asked)) == sorted(questions)
    seen: set[bytes] = set()
    for batch in asked:
        assert len(batch) <= 7
        for number, target in batch:
            tokens = texts[number].tokens
            seen |= {tokens[:end].tobytes() for end in range(1, target + 1)}
        for number, target in batch:
            assert texts[number].tokens[: target + 1].tobytes() not in seen


def findings(scorer: Markov, twin: Markov):
    said, questions = scored(scorer), draw(TEXTS, 64, seed=11)
    return interrogate(
        twin,
        TEXTS,
        said,
        questions,
        context=64,
        most=4,
        vocab_size=VOCAB,
        spare=SPARE,
        seed=11,
        observe=lambda done, total: None,
    )


def test_an_honest_model_is_borne_out_task_by_task():
    twin = Markov()
    found = findings(Markov(), twin)
    assert {task: finding.honest for task, finding in found.items()} == {"t": True, "u": True}
    assert found["u"].report.sampled == 63 + 1 + 32
    assert found["t"].report.sampled == 2 + 20 + 260
    assert explain(found) == ""
    assert max(row.size for row in twin.shown) <= 64


def test_what_the_twin_does_not_know_is_no_score():
    found = findings(Markov(ahead=0.1), Markov())
    assert not any(finding.honest for finding in found.values())
    assert explain(found).startswith("the twin does not bear out t: at 282 sampled targets")


@pytest.mark.parametrize(
    ("wrong_claims", "wrong_denials", "found"),
    [(0, 0, 0), (9, 9, 0), (9, 0, 0), (10, 0, 10), (0, 400, 0), (40, 10, 40), (30, 25, 0)],
)
def test_nearly_likeliest_tokens_may_be_turned_around_by_noise_and_not_by_habit(wrong_claims, wrong_denials, found):
    right = [(True, 2.0), (False, -2.0), (True, 0.0)] * 100
    told = right + [(True, -0.4)] * wrong_claims + [(False, 0.4)] * wrong_denials
    claims, leads = zip(*told, strict=True)
    assert downstream_twin.lies(claims, leads) == found


@pytest.mark.parametrize("claim", [(True, -0.6), (False, 0.6), (True, math.nan), (False, math.nan)], ids=str)
def test_one_claim_that_is_clearly_wrong_is_enough(claim):
    assert downstream_twin.lies([claim[0], True], [claim[1], 1.0]) == 1


def test_a_token_is_not_the_likeliest_because_the_scorer_says_so():
    found = findings(Markov(sure=True), Markov())
    assert {finding.report.kind for finding in found.values()} == {"honest"}
    assert all(finding.lies > 0 for finding in found.values())
    assert "the scorer called" in explain(found)


@pytest.mark.parametrize("nonsense", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_is_no_score(nonsense):
    with pytest.raises(BadOutput, match="in a text of t"):
        scored(Markov(ahead=nonsense))


@pytest.mark.parametrize(("size", "first"), [(1, 1), (5, 0), (5, 5)])
def test_a_text_asks_for_something_that_has_a_past(size, first):
    with pytest.raises(ValueError, match="nothing can be asked"):
        text(size, first)
