"""What a run leaves behind: one record, checked when it is made, written as JSON.

Every value that the parent measured stands in a field of its own. What the submission merely says of itself stands
under `declared` and `curve`. Units are in the names: `_s` seconds, `_nats` natural-log units, `_gib` 2**30 bytes.
"""

import hashlib
import math
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Literal

import msgspec

# 1: the first.
SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """How a run ended. Only INTERNAL_ERROR is the platform's own fault; it never counts against a contestant."""

    OK = "ok"
    SETUP_TIMEOUT = "SETUP_TIMEOUT"
    TIME_LIMIT = "TIME_LIMIT"
    EVALUATION_TIMEOUT = "EVALUATION_TIMEOUT"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    CRASHED = "CRASHED"
    BAD_OUTPUT = "BAD_OUTPUT"
    NOT_PREDICTIVE = "NOT_PREDICTIVE"
    PRETRAINED = "PRETRAINED"
    ARTIFACT_LIMIT = "ARTIFACT_LIMIT"
    PARAMETER_LIMIT = "PARAMETER_LIMIT"
    RULE_VIOLATION = "RULE_VIOLATION"
    OUTPUT_LIMIT = "OUTPUT_LIMIT"
    INTERRUPTED = "INTERRUPTED"
    INTERNAL_ERROR = "INTERNAL_ERROR"


class Level(StrEnum):
    """Sandbox levels, strongest first."""

    NAMESPACES = "namespaces"
    UID = "uid"
    LANDLOCK = "landlock"
    NONE = "none"


class Tier(StrEnum):
    """Who vouches for a record."""

    SELF_REPORTED = "self-reported"
    VERIFIED = "verified"


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of a record: immutable, by keyword only, and no unknown field passes."""


class Author(_Part, frozen=True, kw_only=True):
    name: str
    link: str = ""


class Entry(_Part, frozen=True, kw_only=True):
    """Who competes: from submission.toml and the folder's name."""

    name: str
    title: str
    authors: tuple[Author, ...]
    technique: str  # one line
    based_on: str | None = None  # the name of another entry


class TrackRef(_Part, frozen=True, kw_only=True):
    """The track as it was when the run began."""

    id: str
    version: int
    sha256: str  # of the track's file
    objective: Literal["lowest-loss", "fastest-to-loss"]
    limit_s: float
    target_nats: float | None = None


BELOW_FLOOR_NATS = 0.001  # a loss may lie so far below the floor, which is an average over whole documents, too


class DatasetRef(_Part, frozen=True, kw_only=True):
    """The data set that was trained and scored on."""

    id: str
    sha256: str  # of the manifest's list of shards and their hashes
    vocab_size: int
    official: bool  # it is the one that the track names, with pinned hashes
    pinned: bool | None = None  # every shard has a hash that everybody's must have; None: an older record
    revision: str = ""  # of the hub's repository that it came from
    train_tokens: int | None = None  # that the run could see
    floor_nats: float | None = None  # the generator's own loss on the scored tokens' split, nats a token


class Score(_Part, frozen=True, kw_only=True):
    """The parent's sum over every scored target."""

    loss_nats: float  # mean negative log-likelihood, nats a token
    targets: int
    context_tokens: int
    stride_tokens: int
    bits_per_byte: float | None = None  # where the manifest knows the bytes
    target_met: bool | None = None  # None: the track has no target


class Times(_Part, frozen=True, kw_only=True):
    """Seconds on the parent's monotonic clock; None: that phase was not reached."""

    train_s: float | None = None  # GO to DONE, and saving beyond its allowance
    setup_s: float | None = None
    save_s: float | None = None
    score_s: float | None = None  # rows only, without the sandbox's start
    twin_s: float | None = None  # likewise
    sample_s: float | None = None  # while the model spoke
    total_s: float = 0.0
    load_s: float | None = None  # the scorer's set-up: imports, setup() and load()
    load_processor_s: float | None = None  # processor seconds of that
    score_processor_s: float | None = None  # processor seconds of the scorer's rows
    setup_processor_s: float | None = None  # processor seconds that the whole tree used before GO
    train_processor_s: float | None = None
    save_processor_s: float | None = None
    # Seconds that the accelerators were busy, by the driver's own count, summed over them; None: there are none.
    setup_device_s: float | None = None
    train_device_s: float | None = None
    save_device_s: float | None = None
    load_device_s: float | None = None
    score_device_s: float | None = None


class TwinReport(_Part, frozen=True, kw_only=True):
    """What the scorer's answers were worth beyond the twin's (harness/twin.py says how)."""

    sampled: int  # targets compared
    seed: int  # of the sample
    advantage_nats: float  # mean of log p_scorer − log p_twin, nats a token
    low_nats: float  # 99.9 % interval of the mean
    high_nats: float
    p_value: float  # one-sided, of a mean not above the threshold
    largest_nats: float  # largest single difference
    repeat_nats: float  # mean absolute difference over whole rows that both were given
    finds_share: float  # smallest share of cheated targets that this sample finds with probability 0.99
    finds_advantage_nats: float  # smallest uniform advantage that it finds with probability 0.99
    kind: Literal["honest", "looks-ahead", "not-normalised", "unrepeatable", "too-noisy"]


class Artifact(_Part, frozen=True, kw_only=True):
    """The saved state: what was scored."""

    sha256: str
    bytes: int
    files: int


class Declared(_Part, frozen=True, kw_only=True):
    """What the submission said of itself. Nobody checked it."""

    steps: int | None = None
    tokens: int | None = None
    loss_nats: float | None = None
    metrics: dict[str, float] = {}


class CurvePoint(_Part, frozen=True, kw_only=True):
    """One point of the declared training curve; `elapsed_s` alone is the parent's."""

    elapsed_s: float
    step: int | None = None
    tokens: int | None = None
    loss_nats: float | None = None


class Device(_Part, frozen=True, kw_only=True):
    """An accelerator that was granted."""

    name: str
    memory_gib: float
    driver: str = ""
    clock_mhz: int | None = None  # the fastest that its processors may run
    power_limit_w: float | None = None


class Calibration(_Part, frozen=True, kw_only=True):
    """How fast one device was at two things that never change (harness/calibration.py says which)."""

    device: str  # "cpu", "cuda:0"
    matmul_tflops: float  # 1e12 floating-point operations a second of a matrix product
    copy_gbps: float  # 1e9 bytes a second, read and written, of a copy within its memory


class HardwareReport(_Part, frozen=True, kw_only=True):
    """How the machine behaved during the run: sampled about once a second, calibrated before and after."""

    before: tuple[Calibration, ...] = ()
    after: tuple[Calibration, ...] = ()
    slowed: bool | None = None  # something was markedly slower after the run than before; None: nobody knows
    samples: int = 0  # of the accelerators; 0: there are none, or the driver did not answer
    throttled: dict[str, float] = {}  # reason → share of the samples, of any granted accelerator
    hottest_c: float | None = None
    slowest_clock_mhz: int | None = None  # of an accelerator that was busy
    peak_device_memory_gib: float | None = None  # of the fullest accelerator
    other_processes: int = 0  # most processes of others seen on a granted accelerator


class SandboxReport(_Part, frozen=True, kw_only=True):
    """The level that ran, and what it holds and does not hold."""

    level: Level
    landlock_abi: int  # 0: none
    memory_bound: Literal["cgroup", "polled", "rlimit"]
    tree_kill: Literal["pidns", "uid", "cgroup", "sweep"]
    guarantees: tuple[str, ...]
    not_covered: tuple[str, ...]


class Environment(_Part, frozen=True, kw_only=True):
    """The machine, without anything that names its owner."""

    cpu: str
    cores: int  # logical cores of the machine
    threads: int  # granted to the run
    memory_gib: float
    devices: tuple[Device, ...]
    system: str  # e.g. Linux-6.18-x86_64
    python: str
    packages: dict[str, str]
    sandbox: SandboxReport
    load_before: float | None  # 1-minute load average when the run began


class SourceFile(_Part, frozen=True, kw_only=True):
    path: str  # relative, posix
    text: str
    sha256: str


class Source(_Part, frozen=True, kw_only=True):
    """Every file of the entry as it ran."""

    files: tuple[SourceFile, ...]
    sha256: str  # over paths and hashes, sorted by path
    git_commit: str | None = None
    git_clean: bool | None = None  # no uncommitted change in the repository; None: no repository


MOST_SAMPLES = 8
SAMPLE_LENGTH = 2_000  # characters of a prompt, and of what was said after it


class Sample(_Part, frozen=True, kw_only=True):
    """A piece of the scored text, and how the model went on from it.

    Raises:
        ValueError: a text is longer than SAMPLE_LENGTH.
    """

    prompt: str
    text: str  # a stranger's words: without control characters, but for newlines and tabs

    def __post_init__(self) -> None:
        if max(len(self.prompt), len(self.text)) > SAMPLE_LENGTH:
            raise ValueError(f"a sample has at most {SAMPLE_LENGTH:,} characters")


class Samples(_Part, frozen=True, kw_only=True):
    """What the kept model says when it is asked to go on; never scored (harness/samples.py says how).

    Raises:
        ValueError: there are more than MOST_SAMPLES.
    """

    seed: int
    temperature: float
    items: tuple[Sample, ...]

    def __post_init__(self) -> None:
        if len(self.items) > MOST_SAMPLES:
            raise ValueError(f"a record has at most {MOST_SAMPLES} samples")


MOST_TASKS = 128
MOST_METRICS = 16  # of a task
NAME_LENGTH = 100  # characters of a task's or a metric's name
NOTE_LENGTH = 1_000


MOST_SCORE = 1e100  # perplexities grow large, and a mean over runs must stay a number
_DOWNSTREAM_NAME = re.compile(r"(?:(?![=;])[!-~])+")


class DownstreamMetric(_Part, frozen=True, kw_only=True):
    """One number of a task."""

    name: str  # lm-eval's, e.g. acc_norm; behind a comma its filter, where it is not the plain one
    value: float
    stderr: float | None = None  # lm-eval's own; None: it gives none

    def __post_init__(self) -> None:
        if not abs(self.value) <= MOST_SCORE or not 0 <= (self.stderr or 0.0) <= MOST_SCORE:
            raise ValueError("a downstream score and its error are numbers of a size that a score can have")


class DownstreamTask(_Part, frozen=True, kw_only=True):
    """What the kept artifact came to on one task of lm-eval.

    Raises:
        ValueError: too many metrics, a name that is empty or too long, no document, a twin that did not agree.
    """

    name: str
    own: bool = False  # out of a file of whoever asked, which may bear the name of another task
    version: str  # of the task, as its file says
    lm_eval: str  # version of the library
    level: Level  # of the sandbox that was asked
    documents: int  # that were asked
    limit: int | None = None  # only the first so many documents were asked for; None: all
    shots: int | None = None  # examples before each question; None: not the same everywhere
    metrics: tuple[DownstreamMetric, ...]
    twin: TwinReport | None = None  # None: a group of tasks, which have theirs

    def __post_init__(self) -> None:
        if not 1 <= len(self.metrics) <= MOST_METRICS:
            raise ValueError(f"a downstream task has 1 to {MOST_METRICS} metrics")
        names = (self.name, *(metric.name for metric in self.metrics))
        if not all(1 <= len(name) <= NAME_LENGTH and _DOWNSTREAM_NAME.fullmatch(name) for name in names):
            raise ValueError(
                f"the name of a downstream task or metric has 1 to {NAME_LENGTH} characters of ASCII, no blank, = or ;"
            )
        if max(len(self.version), len(self.lm_eval)) > NAME_LENGTH:
            raise ValueError(f"the version of a downstream task has at most {NAME_LENGTH} characters")
        if not (self.documents >= 1 and (self.limit is None or self.limit >= 1) and (self.shots or 0) >= 0):
            raise ValueError("a downstream task has a document, a limit from 1 on, and no less than no example")
        if self.twin is not None and self.twin.kind != "honest":
            raise ValueError("where the twin does not agree there are no downstream scores")


class Downstream(_Part, frozen=True, kw_only=True):
    """Scores on other tasks, beside the loss and never in the ranking (harness/downstream.py says how).

    Raises:
        ValueError: too many tasks, one twice, a note that is too long.
    """

    tasks: tuple[DownstreamTask, ...] = ()
    note: str = ""  # why there are none, or not all that the track asks for

    def __post_init__(self) -> None:
        if len(self.tasks) > MOST_TASKS:
            raise ValueError(f"a record has at most {MOST_TASKS} downstream tasks")
        if len({task.name for task in self.tasks}) != len(self.tasks):
            raise ValueError("a downstream task is there twice")
        if len(self.note) > NOTE_LENGTH:
            raise ValueError(f"a note on downstream scores has at most {NOTE_LENGTH:,} characters")


class Series(_Part, frozen=True, kw_only=True):
    """Runs that were made together, and what for."""

    id: str  # e.g. 20261121-141530-duel-mine-3f9a: that of the duel, the verification, the reproduction, the runs
    purpose: Literal["duel", "retime", "verify", "reproduce", "runs"]


class Record(_Part, frozen=True, kw_only=True):
    """One run, whole. `leaderboard/results/<track>/<run_id>.json` holds one of these.

    Raises:
        ValueError: when the parts contradict each other (msgspec turns it into a ValidationError on decoding).
    """

    schema: int = SCHEMA_VERSION
    run_id: str
    entry: Entry
    track: TrackRef
    dataset: DatasetRef
    started_at: str  # UTC, ISO 8601, whole seconds
    seed: int  # drawn by the harness
    verdict: Verdict
    reason: str  # one paragraph for the reader; empty for an ok run
    ran: bool  # training began
    scored: bool  # the score is valid
    ranked: bool  # it counts on the board
    unranked_because: tuple[str, ...] = ()
    score: Score | None = None
    times: Times
    twin: TwinReport | None = None
    artifact: Artifact | None = None
    parameters: int | None = None  # counted by the worker, in the entry's own process: the artifact bounds a lie
    declared: Declared
    curve: tuple[CurvePoint, ...] = ()
    overrides: dict[str, str] = {}
    environment: Environment
    source: Source
    peak_memory_gib: float | None = None  # of the host
    hardware: HardwareReport | None = None
    ranks: int = 1  # processes that trained together
    log_tail: str = ""  # the end of what the entry printed, control characters stripped
    samples: Samples | None = None  # None: it is not ok, it said nothing, or its tokens can't be read as text here
    downstream: Downstream | None = None  # None: no task was asked
    tier: Tier = Tier.SELF_REPORTED
    series: Series | None = None  # None: a run by itself

    def __post_init__(self) -> None:
        if self.scored != (self.verdict is Verdict.OK):
            raise ValueError("scored must say the same as verdict == ok")
        if self.scored and (self.score is None or self.twin is None or self.times.train_s is None):
            raise ValueError("a scored run has a score, a training time and a twin's report")
        if self.scored and not self.ran:
            raise ValueError("a scored run has run")
        if self.ranked and not self.scored:
            raise ValueError("a ranked run is scored")
        if self.ranked == bool(self.unranked_because):
            raise ValueError("a run is ranked exactly when nothing speaks against it")
        if self.downstream is not None and self.downstream.tasks and not self.scored:
            raise ValueError("only a scored run has downstream scores")
        if self.score is not None and not (math.isfinite(self.score.loss_nats) and self.score.targets > 0):
            raise ValueError("a score is a finite number over at least one target")


def source_sha256(files: Iterable[SourceFile]) -> str:
    """One hash for a whole source: over the lines `<hash>  <path>`, sorted by path."""
    lines = (f"{file.sha256}  {file.path}\n" for file in sorted(files, key=lambda file: file.path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def encode(record: Record) -> bytes:
    """The record as indented JSON, UTF-8, with a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(record), indent=1) + b"\n"
