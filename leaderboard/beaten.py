"""Whether losses beat those of a record: one answer for the record history and for whoever asks what is missing."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from leaderboard.ranking import TrackRules
from leaderboard.stats import mean, more_to_tell_apart, p_less


class Beaten(NamedTuple):
    """How losses compare with those of a record."""

    by_enough: bool  # beyond noise, and by the track's least gain
    gain: float  # of the means, nats a token; NaN: there is none
    p: float  # of Welch's one-sided test; NaN: it was not needed, or there could be none
    words: str  # what is missing, to be said after whose record it is; "" where nothing is


def beaten(losses: Sequence[float], record: Sequence[float], rules: TrackRules) -> Beaten:
    """Whether losses (nats a token) beat those of a record."""
    gain = mean(record) - mean(losses)
    told = f"with {mean(record):.4f}, this has {mean(losses):.4f}"
    if not gain > 0:
        return Beaten(False, gain, math.nan, told)
    if not gain >= rules.least_gain:
        return Beaten(False, gain, math.nan, f"{told}: lower by {gain:.4f}, asked is {rules.least_gain:g}")
    p = p_less(losses, record)
    if p < rules.alpha:
        return Beaten(True, gain, p, "")
    if not math.isfinite(p):
        return Beaten(False, gain, p, f"{told}: a test takes two runs of each, and losses that differ")
    more = more_to_tell_apart(losses, record, rules.alpha)
    told += f": not beyond noise (p = {p:.2g}, asked is p < {rules.alpha:g})"
    if more is not None:
        told += f"; about {more} more {'run' if more == 1 else 'runs'} of each would tell"
    return Beaten(False, gain, p, told)
