"""Windows: every target exactly once; the score: a plain cross-entropy in float64."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.evaluation import BadOutput, Windows, ask_log_probs, mean_loss, score
from harness.protocol import LogProbs


class Oracle:
    """An exchange that answers from a table: log p(next token | token), by row and place."""

    def __init__(self, table):
        self.table = table
        self.asked = []

    def ask(self, message, tokens, answer, size):
        assert answer is LogProbs
        rows = np.frombuffer(tokens, dtype="<u2").reshape(message.rows, message.width + 1)
        self.asked.append(rows)
        out = self.table[rows[:, :-1], rows[:, 1:]][:, -message.keep :].astype("<f4").tobytes()
        assert len(out) == size
        return out


sizes = st.tuples(st.integers(1, 400), st.integers(1, 64), st.integers(1, 64)).filter(lambda s: s[2] <= s[1])


@given(sizes, st.integers(1, 9))
def test_every_target_is_scored_exactly_once_and_in_order(size, rows):
    targets, context, stride = size
    windows = Windows(targets=targets, context=context, stride=stride)
    seen = []
    for batch in windows.batches(rows):
        assert 1 <= batch.rows <= rows
        assert 1 <= batch.keep <= batch.width <= context
        for window in range(batch.first, batch.first + batch.rows):
            start = windows.start(window)
            seen += [start + place + 1 for place in range(batch.width - batch.keep, batch.width)]
    assert seen == list(range(1, targets + 1))


@given(sizes)
def test_a_target_is_found_in_the_window_that_scores_it(size):
    targets, context, stride = size
    windows = Windows(targets=targets, context=context, stride=stride)
    for target in range(1, targets + 1):
        window, cut = windows.scoring(target)
        assert 0 <= window < windows.count
        assert windows.start(window) + cut + 1 == target
        assert windows.width(window) - windows.keep(window) <= cut < windows.width(window)
        if window:
            assert cut + 1 > context - stride  # as much past as the entry asked for


@settings(max_examples=50)
@given(sizes, st.integers(1, 9), st.integers(0, 2**31))
def test_the_score_is_the_plain_cross_entropy(size, rows, seed):
    targets, context, stride = size
    random = np.random.default_rng(seed)
    table = np.log(random.dirichlet(np.ones(11), size=11))
    stream = random.integers(0, 11, targets + 1).astype(np.uint16)
    answers = score(Oracle(table), stream, Windows(targets=targets, context=context, stride=stride), rows)
    expected = -math.fsum(table[stream[j - 1], stream[j]] for j in range(1, targets + 1)) / targets
    assert mean_loss(answers) == pytest.approx(expected, abs=1e-6)


def test_progress_reaches_the_end():
    seen = []
    stream = np.zeros(101, dtype=np.uint16)
    score(Oracle(np.zeros((1, 1))), stream, Windows(100, 16, 8), 3, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (100, 100)
    assert seen == sorted(seen)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "probability zero")])
def test_numbers_that_are_none_name_their_place(value, word):
    table = np.zeros((3, 3))
    table[1, 2] = value
    with pytest.raises(BadOutput, match=word) as caught:
        ask_log_probs(Oracle(table), np.array([[0, 0, 0], [0, 1, 2]], dtype=np.uint16), 2)
    assert "row 1, position 1" in str(caught.value)


@pytest.mark.parametrize("bad", [(0, 1, 1), (5, 4, 5), (5, 4, 0), (5, 0, 0)])
def test_impossible_windows_are_refused(bad):
    with pytest.raises(ValueError, match="no windows"):
        Windows(*bad)
