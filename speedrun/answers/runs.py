"""About runs, one by one."""

from harness.result import Record, Verdict
from speedrun.answers.base import Answer, Part


class OnBoard(Part, frozen=True, kw_only=True):
    """Where all stored runs of a variant put it."""

    rank: int | None  # None: it has no place
    missing_runs: int  # ranked ones, before it can have a place
    against: str  # why it has none for another reason; empty: nothing


class Ran(Answer, frozen=True, kw_only=True, tag="run"):
    """The runs of one `speedrun run`, oldest first."""

    records: tuple[Record, ...]
    files: tuple[str, ...]  # where each record lies
    runs_wanted: int  # by whoever typed the command
    on_board: OnBoard | None  # the variant of the last run; None: that run is not ranked
    interrupted: bool
    broken_off: str = ""  # why there are fewer runs than were wanted; empty: nothing kept them from being made

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if not self.broken_off and all(record.verdict is Verdict.OK for record in self.records) else 1


class ShownRun(Answer, frozen=True, kw_only=True, tag="record"):
    """One record, whole."""

    record: Record  # self-reported when nobody who counts has signed it, whatever its file says
    signed_by: str | None = None  # the maintainer whose valid signature lies beside it
    unsigned: bool = False  # its file says verified, without a valid signature
    retracted: str | None = None  # why a maintainer took it out of all rankings
    waived: str | None = None  # why its variant needs no test that its mean loss is below the target


class ShownSource(Answer, frozen=True, kw_only=True, tag="source"):
    """One file of a record's source."""

    run_id: str
    path: str
    sha256: str
    text: str
