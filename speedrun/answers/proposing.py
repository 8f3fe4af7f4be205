"""About pull requests."""

from harness.result import Entry, Level, Verdict
from speedrun.answers.base import Answer, Part
from speedrun.proposed_records import ProposedRecord
from speedrun.pull_request import FileChange, Likeness, Refusal


class Trial(Part, frozen=True, kw_only=True):
    """A run that shows whether an entry works at all; it is not recorded."""

    track: str
    level: Level
    verdict: Verdict
    reason: str
    loss_nats: float | None
    train_s: float | None
    total_s: float
    log: tuple[str, ...]  # the last lines that the entry printed


class JudgedChange(Answer, frozen=True, kw_only=True, tag="verify-pr"):
    """A pull request, and whether it may be merged as it is."""

    base: str  # commits
    head: str
    accepted: bool
    refusals: tuple[Refusal, ...]
    refusals_left_out: int  # of very many
    remarks: tuple[str, ...]  # for a reviewer; they refuse nothing
    entry: str | None  # its name; None: none, or several
    is_new: bool
    card: Entry | None  # None: the entry breaks a static rule
    files: tuple[FileChange, ...]
    likeness: Likeness | None
    records: tuple[ProposedRecord, ...]
    trial: Trial | None
    no_trial_because: str

    @property
    def exit_code(self) -> int:
        return 0 if self.accepted else 1
