"""About scores on other tasks."""

from harness.result import Downstream
from speedrun.answers.base import Answer


class Evaluated(Answer, frozen=True, kw_only=True, tag="evaluate"):
    """What the kept artifact of a run came to on tasks of lm-eval."""

    run_id: str
    entry: str
    track: str
    loss_nats: float  # beside which these scores stand
    downstream: Downstream  # of the tasks that were asked for now; without any its note says why
    file: str | None  # the record that holds them now; None: they are not stored
    not_stored: str  # why they are not; empty: they are

    @property
    def exit_code(self) -> int:
        return 0 if self.downstream.tasks else 1
