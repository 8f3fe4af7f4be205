"""About what does not fit in the records."""

from leaderboard.audit import Finding
from speedrun.answers.base import Answer


class Audited(Answer, frozen=True, kw_only=True, tag="audit"):
    """What does not fit in the records."""

    records: int  # that were looked at
    signed: int  # of them, with a maintainer's valid signature
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        return 1 if any(finding.grave for finding in self.findings) else 0
