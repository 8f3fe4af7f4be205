"""What the commands answer: frozen values, printed as text by speedrun.pages or as JSON by speedrun.console.

In JSON every answer is one object with its kind and the version of the format first. Version history:

1: the first.
"""

from typing import Literal

import msgspec

from harness.result import Calibration, CurvePoint, Device, Entry, Level, Record, Tier, TrackRef, Verdict
from harness.track import Track
from leaderboard.audit import Finding
from leaderboard.duels import Duel, Outcome
from leaderboard.history import History
from leaderboard.published import Published
from leaderboard.ranking import Board
from speedrun.comparison import Comparison
from speedrun.proposed_records import ProposedRecord
from speedrun.pull_request import FileChange, Likeness, Refusal

VERSION = 1


class _Value(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an answer."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Base of every answer."""

    version: int = VERSION

    @property
    def exit_code(self) -> int:
        """0: good; 1: the command did its work, and what it looked at is not in order."""
        return 0


class Created(Answer, frozen=True, kw_only=True, tag="new"):
    """A new entry."""

    name: str
    folder: str


class Fault(_Value, frozen=True, kw_only=True):
    """A static rule that an entry breaks."""

    path: str  # inside the entry's folder; empty: the folder itself
    line: int | None
    message: str


class Checked(Answer, frozen=True, kw_only=True, tag="check"):
    """The static rules, applied to an entry."""

    name: str
    problems: tuple[Fault, ...]

    @property
    def exit_code(self) -> int:
        return 1 if self.problems else 0


class OnBoard(_Value, frozen=True, kw_only=True):
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

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if all(record.verdict is Verdict.OK for record in self.records) else 1


class Fought(_Value, frozen=True, kw_only=True):
    """A duel that was run, and what it shows."""

    duel: Duel
    outcome: Outcome
    because: str  # why it ended
    files: tuple[str, ...]  # the duel's, then the runs'


class Dueled(Answer, frozen=True, kw_only=True, tag="duel"):
    """Two entries, compared. Good when it is settled, whoever is better."""

    command: str  # that asks for it again
    fought: Fought
    interrupted: bool

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if self.fought.outcome.settled is not None else 1


class Retimed(Answer, frozen=True, kw_only=True, tag="retime"):
    """Every record against the one before it, oldest first. Good when each of them is the better one here, too."""

    fought: tuple[Fought, ...]
    left_out: tuple[str, ...]  # which record could not be run again, and why
    interrupted: bool

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if all(one.outcome.settled == "a" for one in self.fought) else 1


class BrokenRecord(_Value, frozen=True, kw_only=True):
    """A file among the results that holds no valid record."""

    path: str
    reason: str


class Site(_Value, frozen=True, kw_only=True):
    """The board as a site in a folder."""

    folder: str
    written: int  # files that were made now
    unchanged: int
    removed: int  # pages of what is not there any more


class Shown(Answer, frozen=True, kw_only=True, tag="leaderboard"):
    """The board, and what was written."""

    board: Board | None  # None: it was not asked for
    broken: tuple[BrokenRecord, ...]
    written: tuple[str, ...]  # files
    rows_shown: int | None = None  # of each section, where text is printed; None: all
    practice: bool = False  # practice runs are listed too
    site: Site | None = None  # None: it was not asked for

    @property
    def exit_code(self) -> int:
        return 1 if self.broken else 0


class Histories(Answer, frozen=True, kw_only=True, tag="history"):
    """Who held the records, and what was published elsewhere."""

    tracks: tuple[str, ...]  # that were asked about, in order
    histories: tuple[History, ...]
    published: tuple[Published, ...]  # measured elsewhere
    broken: tuple[BrokenRecord, ...]

    @property
    def exit_code(self) -> int:
        return 1 if self.broken else 0


class Ruled(Answer, frozen=True, kw_only=True, tag="ruling"):
    """What was ruled on a run."""

    run_id: str
    entry: str
    track: str
    ruling: Literal["retraction", "waiver"]
    reason: str
    file: str


class Verified(Answer, frozen=True, kw_only=True, tag="verify"):
    """A maintainer's runs of an entry, and what they come to."""

    entry: str
    source_sha256: str
    track: TrackRef
    records: tuple[Record, ...]  # made now
    files: tuple[str, ...]  # written now: records and their signatures
    run_ids: tuple[str, ...]  # all verified runs of this source that were judged, oldest first, failed ones too
    runs_asked: int
    losses_nats: tuple[float, ...]  # of those that count
    loss_nats: float | None  # mean
    train_s: float | None  # mean
    outcome: Literal["stands", "does not stand", "not settled"]
    because: str
    place: int | None  # on the board; None: it has none
    is_record: bool
    record_words: str  # why it is the record, or what is missing; empty: it does not stand
    interrupted: bool

    @property
    def exit_code(self) -> int:
        if self.outcome == "stands":
            return 0
        return 130 if self.interrupted else 1


class Audited(Answer, frozen=True, kw_only=True, tag="audit"):
    """What does not fit in the records."""

    records: int  # that were looked at
    signed: int  # of them, with a maintainer's valid signature
    findings: tuple[Finding, ...]

    @property
    def exit_code(self) -> int:
        return 1 if any(finding.grave for finding in self.findings) else 0


class ShownRun(Answer, frozen=True, kw_only=True, tag="record"):
    """One record, whole."""

    record: Record  # self-reported when nobody who counts has signed it, whatever its file says
    signed_by: str | None = None  # the maintainer whose valid signature lies beside it
    unsigned: bool = False  # its file says verified, without a valid signature
    retracted: str | None = None  # why a maintainer took it out of all rankings
    waived: str | None = None  # why its variant needs no test that its mean loss is below the target


class ComparedRun(_Value, frozen=True, kw_only=True):
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


class ShownSource(Answer, frozen=True, kw_only=True, tag="source"):
    """One file of a record's source."""

    run_id: str
    path: str
    sha256: str
    text: str


class Tracks(Answer, frozen=True, kw_only=True, tag="tracks"):
    """Every track."""

    tracks: tuple[Track, ...]
    written: tuple[str, ...] = ()  # files


class ShownTrack(Answer, frozen=True, kw_only=True, tag="track"):
    """One track."""

    track: Track


class DatasetState(_Value, frozen=True, kw_only=True):
    """A data set, and whether it lies ready in the cache."""

    id: str
    prepared: bool
    imported: bool  # made by `data import` on this machine
    pinned: bool  # every shard has a hash that everybody's must have
    train_tokens: int  # in all; planned where it is not known yet
    prepared_tokens: int  # of the first training tokens, here
    val_tokens: int
    vocab_size: int
    disk_bytes: int  # here
    needed_bytes: int  # for all of it
    left_out: int  # training documents that share a run of tokens with held-out text
    floor_nats: float | None


class Datasets(Answer, frozen=True, kw_only=True, tag="datasets"):
    """Every data set."""

    datasets: tuple[DatasetState, ...]
    broken: tuple[str, ...] = ()  # a line for each whose manifest can't be read

    @property
    def exit_code(self) -> int:
        return 1 if self.broken else 0


class DatasetReady(Answer, frozen=True, kw_only=True, tag="dataset"):
    """A data set, and what was done."""

    done: Literal["prepared", "pinned", "verified", "imported"]
    dataset: DatasetState


class LevelTrial(_Value, frozen=True, kw_only=True):
    """A sandbox level, tried on this machine."""

    level: Level
    works: bool
    why: str


class TrackFit(_Value, frozen=True, kw_only=True):
    """Whether a run on this machine may be ranked on a track."""

    track: str
    obstacles: tuple[str, ...]  # none: it may
    dataset: str
    prepared: bool


class DeviceState(_Value, frozen=True, kw_only=True):
    """An accelerator as it is now."""

    minor: int  # its node is /dev/nvidia<minor>
    device: Device
    processes: int  # that compute on it


class Diagnosis(Answer, frozen=True, kw_only=True, tag="doctor"):
    """What this machine can do."""

    system: str
    python: str
    cpu: str
    cores: int  # logical cores of the machine
    usable_cores: float  # that a run may use
    memory_gib: float
    devices: tuple[DeviceState, ...]
    calibration: tuple[Calibration, ...]  # of what could be measured; the processor with the usable cores
    torch: str | None  # None: not installed
    levels: tuple[LevelTrial, ...]
    chosen: Level | None  # None: no level works but `none`
    hints: tuple[str, ...]
    tracks: tuple[TrackFit, ...]


ReproductionOutcome = Literal["borne out", "not borne out", "worse", "undecided"]


class Noise(_Value, frozen=True, kw_only=True):
    """Where the loss of one more run of an entry lies."""

    mean_nats: float
    low_nats: float
    high_nats: float
    confidence: float
    runs: int  # behind it


class Reproduced(Answer, frozen=True, kw_only=True, tag="reproduce"):
    """A record, and what its source gave when it was run again."""

    original: Record
    runs: tuple[Record, ...]  # the first with the record's seed, the others with fresh ones
    files: tuple[str, ...]  # where the record of each lies
    outcome: ReproductionOutcome
    because: str
    noise: Noise | None  # None: too few runs to know it, or none that may be compared
    same_seed_nats: float | None  # loss of the first run less the record's
    interrupted: bool

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if self.outcome in ("borne out", "worse") else 1


class Trial(_Value, frozen=True, kw_only=True):
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


def as_json(answer: Answer) -> bytes:
    """The answer as indented JSON, UTF-8, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(answer), indent=1) + b"\n"
