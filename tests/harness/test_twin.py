"""The twin: nothing that it sees holds what it is asked; what it finds, and how surely."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness import twin
from harness.evaluation import BadOutput, Windows, score
from harness.protocol import Distribution, Tokens

VOCAB = 17
sizes = st.tuples(st.integers(1, 600), st.integers(1, 64), st.integers(1, 64)).filter(lambda s: s[2] <= s[1])


@settings(max_examples=200)
@given(sizes, st.integers(1, 20), st.integers(0, 2**31))
def test_no_row_that_the_twin_has_seen_holds_a_target_it_is_still_asked_for(size, rows, seed):
    windows = Windows(*size)
    sample = twin.draw(windows, seed)
    assert sample == sorted(set(sample))
    assert all(1 <= target <= windows.targets for target in sample)
    shown: set[int] = set()  # token numbers of the stream that some row has shown as true text
    asked = []
    for batch in twin.questions(sample, windows, rows):
        assert 1 <= len(batch) <= rows
        for target in batch:
            shown |= set(range(windows.start(windows.scoring(target)[0]), target))
        assert not shown & set(batch)
        asked += batch
    assert sorted(asked) == sample


def test_the_sample_grows_with_the_rows():
    assert twin.sample_size(Windows(300, 8, 8)) == 300
    assert twin.sample_size(Windows(100_000, 1024, 1024)) == 512
    assert twin.sample_size(Windows(10_000_000, 256, 256)) == 1954


class Model:
    """An exchange that computes logits itself; subclasses cheat. past: logits from tokens[:, :t+1] only."""

    def __init__(self, seed=0, noise=0.0):
        self.random = np.random.default_rng(seed)
        self.weights = np.random.default_rng(7).normal(size=(VOCAB, VOCAB))
        self.noise = noise

    def logits(self, rows):
        steps = np.cumsum(np.eye(VOCAB)[rows[:, :-1]], axis=1) / 4
        return steps @ self.weights + self.random.normal(size=(*rows[:, :-1].shape, VOCAB)) * self.noise

    def log_probs(self, logits):
        return twin.log_softmax(logits)

    def ask(self, message, tokens, cuts=None, *, answer, size):
        rows = np.frombuffer(tokens, dtype="<u2").reshape(message.rows, message.width + 1)
        logits = self.logits(rows)
        if isinstance(message, Tokens):
            picked = np.take_along_axis(self.log_probs(logits), rows[:, 1:, None].astype(int), axis=2)[..., 0]
            out = picked[:, -message.keep :].astype("<f4").tobytes()
        else:
            assert answer is Distribution
            places = np.frombuffer(cuts, dtype="<i4")
            every = np.arange(message.rows)
            at_cut = logits[every, places]
            own = self.log_probs(at_cut)[every, rows[every, places + 1]]
            out = at_cut.astype("<f4").tobytes() + own.astype("<f4").tobytes()
        assert len(out) == size
        return out


class LooksAhead(Model):
    share = 1.0

    def logits(self, rows):
        hit = self.random.random(rows[:, 1:].shape) < self.share
        return super().logits(rows) + 3.0 * np.eye(VOCAB)[rows[:, 1:]] * hit[..., None]


class Bidirectional(Model):
    """Every place sees the mean of the whole row."""

    def logits(self, rows):
        return super().logits(rows) + 4 * np.eye(VOCAB)[rows[:, 1:]].mean(axis=1, keepdims=True)


class NotNormalised(Model):
    def log_probs(self, logits):
        return super().log_probs(logits) * 0.5


class Remembers(Model):
    """Counts the tokens of all rows seen so far, and predicts the frequent ones."""

    def __init__(self):
        super().__init__()
        self.counts = np.ones(VOCAB)

    def logits(self, rows):
        self.counts += np.bincount(rows.reshape(-1), minlength=VOCAB) ** 1.0
        return super().logits(rows) * 0 + np.log(self.counts / self.counts.sum()) * min(3.0, self.counts.sum() / 500)


def examine(scorer, the_twin, *, context=32, stride=32, targets=6000, seed=3):
    random = np.random.default_rng(11)
    skewed = random.dirichlet(np.ones(VOCAB) * 0.3)
    stream = random.choice(VOCAB, size=targets + 1, p=skewed).astype(np.uint16)
    spare = random.choice(VOCAB, size=5000, p=skewed).astype(np.uint16)
    windows = Windows(targets, context, stride)
    answers = score(scorer, stream, windows, 8)
    sample = twin.draw(windows, seed)
    said = twin.interrogate(the_twin, stream, spare, windows, answers, sample, rows=8, vocab_size=VOCAB, seed=seed)
    return twin.compare(answers[np.array(sample) - 1].astype(np.float64), said, seed)


@pytest.mark.parametrize(("context", "stride"), [(32, 32), (32, 8), (32, 1), (7, 5)])
def test_an_honest_model_has_no_advantage(context, stride):
    report = examine(Model(), Model(), context=context, stride=stride, targets=2000)
    assert report.kind == "honest"
    assert abs(report.advantage_nats) < 1e-5
    assert report.largest_nats < 1e-4
    assert twin.explain(report) == ""


@pytest.mark.parametrize(
    ("cheat", "kind"),
    [
        (LooksAhead, "looks-ahead"),
        (Bidirectional, "looks-ahead"),
        (NotNormalised, "not-normalised"),
        (Remembers, "unrepeatable"),
    ],
)
def test_a_cheat_is_found_and_named(cheat, kind):
    report = examine(cheat(), cheat())
    assert report.kind == kind
    assert report.advantage_nats > twin.MEAN_LIMIT_NATS
    assert f"{report.advantage_nats:+.4f} nats" in twin.explain(report)


def test_strong_randomness_is_unrepeatable():
    assert examine(Model(1, noise=0.5), Model(2, noise=0.5)).kind == "unrepeatable"


def test_a_twin_that_gives_nan_is_bad_output():
    class Silent(Model):
        def logits(self, rows):
            return super().logits(rows) * np.nan

    with pytest.raises(BadOutput, match="no numbers"):
        examine(Model(), Silent())


def test_foreign_text_that_a_model_calls_impossible_is_no_fault():
    class Sure(Model):
        """Gives probability zero to the token that the scored text never has."""

        def logits(self, rows):
            out = super().logits(rows)
            out[..., VOCAB - 1] = -np.inf
            return out

    random = np.random.default_rng(2)
    stream, spare = (random.integers(0, most, size=1001).astype(np.uint16) for most in (VOCAB - 1, VOCAB))
    windows = Windows(1000, 32, 32)
    scored = score(Sure(), stream, windows, 8)
    sample = twin.draw(windows, 1)
    said = twin.interrogate(Sure(), stream, spare, windows, scored, sample, rows=8, vocab_size=VOCAB, seed=1)
    assert np.isfinite(said.own_excess).all()
    assert twin.compare(scored[np.array(sample) - 1].astype(np.float64), said, 1).kind == "honest"


def answers(log_probs):
    size = len(log_probs)
    return twin.Answers(log_probs=np.asarray(log_probs), own_excess=np.zeros(size), repeated=np.zeros(4))


def test_symmetric_noise_of_a_hundredth_never_convicts():
    """1,000 honest runs whose scorer and twin differ by symmetric noise of 1e-2 nats: none is flagged."""
    random = np.random.default_rng(5)
    for run in range(1000):
        scorer = random.normal(-1.0, 1.0, 512)
        report = twin.compare(scorer, answers(scorer + random.normal(0, 1e-2, 512)), run)
        assert report.kind == "honest"


def test_the_record_tells_the_truth_about_what_it_finds():
    """The share and the advantage that a report names are found with probability 0.99 (within simulation noise)."""
    random = np.random.default_rng(6)
    noise = 5e-3
    scorer = random.normal(-1.0, 1.0, 512)
    honest = twin.compare(scorer, answers(scorer + random.normal(0, noise, 512)), 0)
    found_share = found_advantage = 0
    runs = 1000
    for run in range(runs):
        base = scorer + random.normal(0, noise, 512)
        cheated = random.random(512) < honest.finds_share
        found_share += twin.compare(scorer + cheated * 1.0, answers(base), run).kind != "honest"
        found_advantage += twin.compare(scorer + honest.finds_advantage_nats, answers(base), run).kind != "honest"
    assert found_share / runs > 0.98
    assert found_advantage / runs > 0.98
    weaker = twin.MEAN_LIMIT_NATS + (honest.finds_advantage_nats - twin.MEAN_LIMIT_NATS) / 2
    found_weaker = sum(
        twin.compare(scorer + weaker, answers(scorer + random.normal(0, noise, 512)), run).kind != "honest"
        for run in range(300)
    )
    assert found_weaker / 300 < 0.9  # the figure is no boast and no understatement


@pytest.mark.parametrize(
    ("scorer", "the_twin"),
    [
        ([0.0, -1.0, -2.0] * 100, [-np.inf, -1.0, -2.0] * 100),
        ([0.0] * 300, [-0.6] + [0.0] * 299),
        ([-1.0] * 300, [-1.002] * 300),
    ],
)
def test_the_limits_themselves(scorer, the_twin):
    assert twin.compare(np.array(scorer), answers(the_twin), 0).kind == "looks-ahead"


def test_being_worse_than_the_twin_is_no_crime():
    assert twin.compare(np.full(300, -2.0), answers(np.full(300, -1.0)), 0).kind == "honest"


@pytest.mark.parametrize(("gain", "price", "share"), [(0.49, 20.0, 0.02), (0.49, 15.0, 0.02), (0.49, 0.49, 0.47)])
def test_a_gain_can_not_hide_behind_bad_answers(gain, price, share):
    """A peek of just under the single limit nearly everywhere, and a few terrible answers for cover."""
    random = np.random.default_rng(8)
    for run in range(200):
        terrible = random.random(512) < share
        difference = np.where(terrible, -price, gain)
        assert twin.compare(difference - 1.0, answers(np.full(512, -1.0)), run).kind != "honest"


def test_not_a_number_fails_closed():
    assert twin.compare(np.full(300, np.nan), answers(np.full(300, -1.0)), 0).kind != "honest"


def test_foreign_text_does_not_depend_on_the_target():
    """Were it chosen to differ from the target, the twin could rule the visible token out."""
    spare = np.arange(1000, dtype=np.uint16)
    rows = twin.foreign_rows(spare, 200, 10, np.random.default_rng(0))
    assert (np.diff(rows.astype(int), axis=1) == 1).all()
    assert len({int(row[0]) for row in rows}) > 100
