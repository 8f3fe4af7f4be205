"""The figures of bench/detection.py: the simulation behind them agrees with a real exchange, run by run."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from harness import twin
from harness.evaluation import Windows, score
from harness.protocol import Tokens

VOCAB = 17
TARGETS = 40_000
RUNS = 200
POWER = Path(__file__).resolve().parents[2] / "bench" / "power.py"


@pytest.fixture(scope="module")
def power():
    """The simulation; bench is no package."""
    spec = importlib.util.spec_from_file_location("power", POWER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class DialALeak:
    """Honest to the twin; to the scorer, every `every`-th target that it is asked for is likelier by `nats`."""

    def __init__(self, every, nats):
        self.every, self.nats = every, nats
        self.table = twin.log_softmax(np.random.default_rng(7).normal(size=(VOCAB, VOCAB)) - 3 * np.eye(VOCAB))
        self.asked = 0

    def ask(self, message, tokens, cuts=None, *, answer, size):
        rows = np.frombuffer(tokens, dtype="<u2").reshape(message.rows, message.width + 1)
        own = self.table[rows[:, :-1], rows[:, 1:]]  # log-probabilities of what came
        if isinstance(message, Tokens):
            numbers = self.asked + np.arange(message.rows * message.keep).reshape(message.rows, message.keep)
            self.asked += numbers.size
            out = (own[:, -message.keep :] + self.nats * (numbers % self.every == 0)).astype("<f4").tobytes()
        else:
            each, places = np.arange(message.rows), np.frombuffer(cuts, dtype="<i4")
            logits, claimed = self.table[rows[each, places]], own[each, places]
            out = logits.astype("<f4").tobytes() + claimed.astype("<f4").tobytes()
        assert len(out) == size
        return out


def interrogated(the_twin, stream, windows):
    """RUNS samples drawn with fresh seeds, and what the twin said of each."""
    spare = np.random.default_rng(12).integers(0, VOCAB, 5000).astype(np.uint16)
    honest = score(the_twin, stream, windows, 500)
    for seed in range(RUNS):
        sample = twin.draw(windows, seed)
        yield (
            sample,
            twin.interrogate(the_twin, stream, spare, windows, honest, sample, rows=500, vocab_size=VOCAB, seed=seed),
        )


def test_the_simulation_says_what_a_real_exchange_does(power):
    """The whole way from rows to verdict, for one leak above the limit of a single difference and two below it.

    All three are honest to the twin, so it is asked once for them all.
    """
    windows = Windows(TARGETS, 32, 32)
    stream = np.random.default_rng(11).integers(0, VOCAB, TARGETS + 1).astype(np.uint16)
    leaks = [(1000, 2.0), (100, 0.4), (32, 0.09)]  # one target in so many, nats
    scored = {leak: score(DialALeak(*leak), stream, windows, 500) for leak in leaks}
    found = dict.fromkeys(leaks, 0)
    for seed, (sample, said) in enumerate(interrogated(DialALeak(1, 0.0), stream, windows)):
        for leak, answers in scored.items():
            report = twin.compare(answers[np.array(sample) - 1].astype(np.float64), said, seed)
            found[leak] += report.kind != "honest"
    setting = power.Sample(targets=TARGETS, sampled=twin.sample_size(windows), noise_nats=1e-7)
    # 99 %: three are asked for at once.
    intervals = {leak: power.Found(found[leak], RUNS).interval(0.99) for leak in leaks}
    for (every, nats), (low, high) in intervals.items():
        simulated = power.detection(power.dial(1 / every, nats / every), setting, 2000, np.random.default_rng(3)).share
        print(f"{nats} nats on 1 target in {every}: simulated {simulated:.3f}, real {low:.3f} to {high:.3f}")
        assert low <= simulated <= high
        others = [interval for leak, interval in intervals.items() if leak != (every, nats)]
        assert not any(other_low <= simulated <= other_high for other_low, other_high in others)  # it could have failed
