"""Whether a record's score lies within the noise of its entry: pure judgements on records.

The noise is what this very source gives when it is run again: the runs made for the purpose, and verified runs of the
same kind. The record that is in question does not count, and neither do other runs that somebody merely handed in:
whoever makes up one record can make up ten, and spread them as wide as it takes.
"""

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from harness.result import Record, Tier, Verdict, encode
from leaderboard.alike import Place, Variant, hardware, place, torch, variant
from leaderboard.digits import LEAST, decimals
from leaderboard.schema import Summary, decode_summary
from leaderboard.stats import mean, next_value_interval
from speedrun.answers import Noise, ReproductionOutcome

RUNS_TO_JUDGE = 4  # values behind an interval, at least: three would make it twice as wide
REPEAT_NATS = 1e-6  # losses nearer than this are the same
_SLOWER = 0.9  # of the record's machine's speed: below it, slowness is told


class Judgement(NamedTuple):
    """What the runs say of the record."""

    outcome: ReproductionOutcome
    because: str  # a sentence
    noise: Noise | None  # None: too few runs to know it


def runs_needed(verified: Sequence[float]) -> int:
    """How many runs to make beside the verified ones: with the record's seed, with a fresh one, and what is missing."""
    return max(2, RUNS_TO_JUDGE - len(verified))


def unlike(original: Record, here: Summary) -> tuple[str, ...]:
    """What keeps a run made here from being compared with the record, in words; none: it is of the same kind."""
    there = _summary(original)
    pairs = (
        ("on", hardware(there.environment), hardware(here.environment)),
        ("with torch", torch(there) or "unknown", torch(here) or "unknown"),
    )
    return tuple(f"it ran {how} {then}, here it is {now}" for how, then, now in pairs if then != now)


def verified_losses(original: Record, runs: Iterable[Summary], retracted: Container[str] = ()) -> tuple[float, ...]:
    """Losses of the verified runs of the same kind as the record; itself and retracted ones (by id) are left out."""
    kind = _kind(_summary(original))
    return tuple(
        run.score.loss_nats
        for run in runs
        if run.run_id != original.run_id
        and run.run_id not in retracted
        and run.tier is Tier.VERIFIED
        and run.scored
        and run.score is not None
        and _kind(run) == kind
    )


def judge(
    original: Record, reruns: Sequence[Record], verified: Sequence[float], alpha: float, against: Sequence[str] = ()
) -> Judgement:
    """The verdict on a scored record.

    Args:
        original: what is in question.
        reruns: runs of its source, made now.
        verified: from `verified_losses`.
        alpha: of the track; the noise is the prediction interval of one more run at 1 − alpha.
        against: why the reruns can't be compared with the record, from `unlike`.
    """
    failed = next((run for run in reruns if run.verdict is not Verdict.OK), None)
    if failed is not None:
        return Judgement("undecided", f"run {failed.run_id} ended as {failed.verdict} and has no score", None)
    if against:
        return Judgement("undecided", f"these runs can't be compared with the record: {'; '.join(against)}", None)
    losses = [*verified, *(run.score.loss_nats for run in reruns if run.score is not None)]
    if len(losses) < RUNS_TO_JUDGE:
        few = f"{len(losses)} {'run does' if len(losses) == 1 else 'runs do'} not show how much the loss scatters"
        return Judgement("undecided", f"{few}; it takes {RUNS_TO_JUDGE}", None)
    noise = _noise(losses, 1 - alpha)
    return Judgement(*_verdict(original, noise, reruns), noise)


def same_seed_difference(original: Record, reruns: Sequence[Record]) -> float | None:
    """Loss of the first rerun, which has the record's seed, less the record's; None: one of them has none."""
    if not reruns or reruns[0].score is None or original.score is None:
        return None
    return reruns[0].score.loss_nats - original.score.loss_nats


def digits(original: Record, noise: Noise | None) -> int:
    """After the point, that it takes to tell the record's loss from the noise."""
    if noise is None or original.score is None:
        return LEAST
    return decimals(noise.low_nats, noise.high_nats, original.score.loss_nats)


def _noise(losses: Sequence[float], confidence: float) -> Noise:
    """Where one more run lies, and never narrower than what counts as the same loss.

    Runs without any scatter are those of an entry in which nothing is left to chance.
    """
    interval = next_value_interval(losses, confidence)
    centre = mean(losses)
    low, high = (interval.low, interval.high) if interval is not None else (centre, centre)
    return Noise(
        mean_nats=centre,
        low_nats=low - REPEAT_NATS,
        high_nats=high + REPEAT_NATS,
        confidence=confidence,
        runs=len(losses),
    )


def _verdict(original: Record, noise: Noise, reruns: Sequence[Record]) -> tuple[ReproductionOutcome, str]:
    assert original.score is not None
    loss_nats = original.score.loss_nats
    shown = digits(original, noise)
    within = f"{noise.low_nats:.{shown}f} to {noise.high_nats:.{shown}f} nats/token"
    if not loss_nats >= noise.low_nats:
        words = f"the record's loss is better than this source gives when it is run again: {within}"
        return "not borne out", words + _slowness(original, reruns)
    if not loss_nats <= noise.high_nats:
        words = f"the record's loss is worse than this source gives when it is run again, {within}"
        return "worse", f"{words}; that speaks against nobody"
    return "borne out", f"the record's loss lies within the noise of this source: {within}"


def _slowness(original: Record, reruns: Sequence[Record]) -> str:
    """That this machine is slower than the record's, where both were measured: less was trained in the same time."""
    there = {one.device: one.matmul_tflops for one in original.hardware.before} if original.hardware else {}
    shares = [
        one.matmul_tflops / there[one.device]
        for run in reruns
        if run.hardware is not None
        for one in run.hardware.before
        if there.get(one.device, 0.0) > 0
    ]
    if not shares or not mean(shares) < _SLOWER:
        return ""
    return f"; this machine was measured {1 - mean(shares):.0%} slower than the record's, which may be the cause"


def _kind(run: Summary) -> tuple[Place, Variant, str]:
    """What must be the same before losses are taken together."""
    return place(run), variant(run), torch(run)


def _summary(record: Record) -> Summary:
    return decode_summary(encode(record))
