"""About two runs side by side."""

from harness.result import CurvePoint, Tier, Verdict
from speedrun.answers.base import Answer, Part
from speedrun.comparison import Comparison


class ComparedRun(Part, frozen=True, kw_only=True):
    """One of two runs that are compared."""

    run_id: str
    entry: str
    track: str
    verdict: Verdict
    tier: Tier
    started_at: str
    curve: tuple[CurvePoint, ...]


class Compared(Answer, frozen=True, kw_only=True, tag="compare"):
    """Two runs side by side."""

    a: ComparedRun
    b: ComparedRun
    comparison: Comparison
