"""How often the twin finds an entry that looks ahead, simulated with the twin's own verdict (harness/twin.py).

Only what the scorer and the twin disagree on is drawn at random; the verdict on it is `twin.compare`. The cheat is the
hardest to find of its kind: it is honest whenever the twin asks, so that the differences are its gains and nothing else
gives it away. tests/harness/test_detection.py holds the simulation against a real exchange.
"""

import itertools
import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from harness import twin

CONFIDENCE = 0.95
FIRST_NATS = 0.0005  # where the search for the worst cheat begins
SINGLE_NATS = 0.99 * twin.SINGLE_LIMIT_NATS  # a little below what convicts by itself
PEAK_NATS = 12.0  # what one target can be worth: from a probability of 6 in a million to certainty

Floats = npt.NDArray[np.float64]


class Part(NamedTuple):
    """Some of the targets, and what each of them gains (below 0: loses)."""

    share: float
    nats: float


class Plan(NamedTuple):
    """How a cheat spreads what it gains: a few parts, and the same for every other target."""

    parts: tuple[Part, ...]
    rest_nats: float = 0.0

    @property
    def gain_nats(self) -> float:
        """In all, nats a token."""
        taken = math.fsum(part.share for part in self.parts)
        return math.fsum(part.share * part.nats for part in self.parts) + (1 - taken) * self.rest_nats


class Sample(NamedTuple):
    """What the twin is asked in one run."""

    targets: int  # scored
    sampled: int
    noise_nats: float  # standard deviation of an honest difference


class Found(NamedTuple):
    """In how many of the simulated runs the verdict was NOT_PREDICTIVE."""

    found: int
    runs: int

    @property
    def share(self) -> float:
        return self.found / self.runs

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Clopper and Pearson's interval of the probability, which is never too narrow."""
        from scipy.stats import binomtest

        low, high = binomtest(self.found, self.runs).proportion_ci(confidence, method="exact")
        return float(low), float(high)


def dial(share: float, gain_nats: float) -> Plan:
    """Looks ahead on `share` of the targets, and gains `gain_nats` a token in all."""
    return Plan((Part(share, gain_nats / share),))


def differences(plan: Plan, sample: Sample, random: np.random.Generator) -> Floats:
    """One run's scorer − twin [sampled], in nats; the targets are drawn without replacement."""
    groups = [round(part.share * sample.targets) for part in plan.parts]
    groups.append(sample.targets - sum(groups))
    counts = random.multivariate_hypergeometric(groups, sample.sampled)
    gains = np.repeat([*(part.nats for part in plan.parts), plan.rest_nats], counts)
    return np.asarray(gains + random.normal(0, sample.noise_nats, sample.sampled))


def is_found(difference: Floats) -> bool:
    """The twin's own verdict on differences [sampled]."""
    none = np.zeros(difference.size)
    said = twin.Answers(log_probs=none, own_excess=none, repeated=none)
    return twin.compare(difference, said, seed=0).kind != "honest"


def detection(plan: Plan, sample: Sample, runs: int, random: np.random.Generator) -> Found:
    """How many of `runs` runs are found."""
    return Found(sum(is_found(differences(plan, sample, random)) for _ in range(runs)), runs)


def over(share: float, runs: int) -> float:
    """The probability that at least one of `runs` runs is found, when each is with probability `share`."""
    return 1 - (1 - share) ** runs


def stays_below(plan: Plan, sample: Sample, limit: float, runs: int, random: np.random.Generator) -> bool:
    """Whether fewer than `limit` of `runs` runs are found; gives up as soon as it can't be any more."""
    found = 0
    for _ in range(runs):
        found += is_found(differences(plan, sample, random))
        if found >= limit * runs:
            return False
    return True


def worst(
    sample: Sample, limit: float, peak_nats: float, *, runs: int, proof_runs: int, random: np.random.Generator
) -> Plan:
    """The plan with the largest gain that a search finds whose probability of detection in one run is below `limit`.

    Every kind of cheat is pushed up by 5 % at a time from the best gain so far. A search picks what was lucky in its
    few runs, so its best is made smaller until `proof_runs` fresh ones find it seldom enough.
    """
    best_nats, best = FIRST_NATS, Even(0.0)
    for kind in kinds(peak_nats):
        while stays_below(kind.plan(1.05 * best_nats), sample, limit, runs, random):
            best_nats, best = 1.05 * best_nats, kind
    while not stays_below(best.plan(best_nats), sample, limit, proof_runs, random):
        best_nats *= 0.98
    return best.plan(best_nats)


class Even(NamedTuple):
    """The same gain everywhere, with a spread that makes the sample look noisy: half the targets above, half below."""

    spread_nats: float

    def plan(self, gain_nats: float) -> Plan:
        return Plan((Part(0.5, gain_nats + self.spread_nats), Part(0.5, gain_nats - self.spread_nats)))


class Rare(NamedTuple):
    """Much on a few targets, a little on every other one, and perhaps a few that lose as much, for cover."""

    nats: float
    rest_nats: float
    cover: float  # share that loses, up to just under what convicts a single gain

    def plan(self, gain_nats: float) -> Plan:
        loss_nats = min(self.nats, SINGLE_NATS)
        wanted_nats = gain_nats - self.rest_nats + self.cover * (loss_nats + self.rest_nats)
        share = max(0.0, wanted_nats / (self.nats - self.rest_nats))
        return Plan((Part(share, self.nats), Part(self.cover, -loss_nats)), self.rest_nats)


class Covered(NamedTuple):
    """A gain nearly everywhere, covered by a few targets that lose."""

    share: float
    loss_nats: float

    def plan(self, gain_nats: float) -> Plan:
        rest_nats = (gain_nats + self.share * self.loss_nats) / (1 - self.share)
        return Plan((Part(self.share, -self.loss_nats),), rest_nats)


def kinds(peak_nats: float) -> Iterator[Even | Rare | Covered]:
    """Every kind of cheat that the search tries; no target gains or loses more than `peak_nats`."""
    for spread_nats in np.linspace(0.0, 0.06, 13):
        yield Even(float(spread_nats))
    sizes = [size for size in (*np.geomspace(0.02, SINGLE_NATS, 10), 2.0, 6.0, 12.0) if size <= peak_nats]
    for nats, rest_nats, cover in itertools.product(sizes, (0.0, 0.0005, 0.0009, 0.002), (0.0, 0.001, 0.005)):
        yield Rare(float(nats), rest_nats, cover)
    for loss_nats, spread_nats in itertools.product((0.05, 0.1, 0.2, 0.45), (0.02, 0.025, 0.03, 0.035)):
        yield Covered((spread_nats / loss_nats) ** 2, loss_nats)
