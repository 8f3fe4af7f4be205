"""What the twin said, in words with numbers."""

from collections.abc import Iterator

from harness.result import TwinReport
from leaderboard.twin_outcomes import OUTCOMES


def in_short(twin: TwinReport) -> str:
    """The outcome, and on how many targets it stands."""
    return f"{OUTCOMES[twin.kind]} ({twin.sampled:,} targets compared)"


def numbers(twin: TwinReport) -> Iterator[str]:
    """What the outcome stands on, and what it would have found."""
    yield (
        f"advantage {twin.advantage_nats:+.2e} nats a target with the future in sight: 99.9 % interval "
        f"{twin.low_nats:+.2e} to {twin.high_nats:+.2e}, p = {twin.p_value:.3g}"
    )
    yield f"largest difference {twin.largest_nats:.2e} nats · rows said twice differ by {twin.repeat_nats:.2e}"
    yield (
        f"this sample (seed {twin.seed}) finds, 99 times of 100, {twin.finds_share:.2%} of cheated targets, or an "
        f"advantage of {twin.finds_advantage_nats:.4f} nats everywhere"
    )
