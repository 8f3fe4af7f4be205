"""The record of a run in progress: what is known so far, and what closes it."""

import math

import msgspec

from harness import gates
from harness.curve import Curve
from harness.evaluation import Windows
from harness.first_record import first_record, scored_split
from harness.privacy import anonymous
from harness.result import HardwareReport, Level, Record, Score, Verdict
from harness.run_request import RunRequest


class OpenRecord:
    """A record that grows. `now` is whole at any moment, and until it is closed that of a run that was interrupted."""

    def __init__(self, request: RunRequest, targets: int) -> None:
        """`targets`: tokens that will be scored."""
        self._request = request
        self.now: Record = first_record(request, targets)

    def update(self, **changes: object) -> None:
        """Fields of the record."""
        self.now = msgspec.structs.replace(self.now, **changes)

    def note(self, **seconds: float | None) -> None:
        """Fields of its times."""
        rounded = {name: None if value is None else round(value, 6) for name, value in seconds.items()}
        self.update(times=msgspec.structs.replace(self.now.times, **rounded))

    def score(self, loss_nats: float, windows: Windows) -> None:
        """The mean loss a target, before the twin has spoken."""
        split = self._request.data.manifest.splits[scored_split(self._request)]
        target_nats = self._request.track.score.target_nats
        self.update(
            score=Score(
                loss_nats=loss_nats,
                targets=windows.targets,
                context_tokens=windows.context,
                stride_tokens=windows.stride,
                bits_per_byte=loss_nats / math.log(2) * split.tokens / split.bytes if split.bytes else None,
                target_met=None if target_nats is None else loss_nats <= target_nats,
            )
        )

    def close(
        self, verdict: Verdict, reason: str, *, total_s: float, curve: Curve, hardware: HardwareReport | None
    ) -> None:
        """The verdict, and whether the run can be ranked. May be done again: the last word counts."""
        request = self._request
        against = list(request.practice)
        if verdict is not Verdict.OK:
            against.append(f"the verdict is {verdict}")
        if request.seed is not None:
            against.append("its seed was that of another run")
        if request.level is Level.NONE:
            against.append("it ran without a sandbox")
        against += gates.data_obstacles(request.track, request.data.manifest)
        if request.overrides:
            against.append("fields of Config were set on the command line; write them into config.py")
        self.note(total_s=total_s)
        self.update(
            verdict=verdict,
            reason=anonymous(reason),
            log_tail=anonymous(self.now.log_tail),
            scored=verdict is Verdict.OK,
            hardware=hardware,
            ranked=not against,
            unranked_because=tuple(dict.fromkeys(against)),
            curve=curve.points,
            declared=curve.declared(),
        )
