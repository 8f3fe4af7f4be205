"""Records by the thousand for benchmarks: valid, of the size of real ones, the same every time but for signatures.

Small ones, for a hundred thousand of them, have a source of a few lines and a tenth of the curve, and else everything.

Runs come in fours, as `speedrun run --runs 4` makes them: one entry, one track, one source. There are failed runs,
practice on other hardware, verified runs, runs that say so without a signature, entries based on others, sources that
change, and some runs are retracted. No run was ever made: every number is invented.
"""

import functools
import math
import random
import shutil
import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from harness.result import (
    Artifact,
    Author,
    Calibration,
    CurvePoint,
    DatasetRef,
    Declared,
    Device,
    Entry,
    Environment,
    HardwareReport,
    Level,
    Record,
    Sample,
    Samples,
    SandboxReport,
    Score,
    Source,
    SourceFile,
    Tier,
    Times,
    TrackRef,
    TwinReport,
    Verdict,
    encode,
    source_sha256,
)
from harness.track import Track, list_tracks
from leaderboard import rulings
from leaderboard.rulings import Ruling
from leaderboard.signatures import NAMESPACE, Signer
from leaderboard.store import MAINTAINERS_NAME, signature_path
from speedrun.workspace import Workspace, find_workspace

ENTRIES = 40
RUNS_TOGETHER = 4
CURVE_POINTS = 200  # as many as a record holds
SMALL_CURVE_POINTS = 20
APART = timedelta(minutes=20)
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
FLOOR_NATS = 1.0
OTHER_HARDWARE = "Card of a benchmark"
KEY = "maintainer-key"

# Every so many runs, each with a prime of its own, so that all pairs of kinds come up.
FAILED, PRACTICE, UNSIGNED, RETRACTED = 13, 11, 17, 499
SIGNED = 50  # every so many fours
FAILURES = (Verdict.TIME_LIMIT, Verdict.CRASHED, Verdict.OUT_OF_MEMORY, Verdict.BAD_OUTPUT)


def make_workspace(root: Path, records: int, *, small: bool = False) -> Workspace:
    """A checkout that holds tracks, data sets, what was published elsewhere, and so many records; nothing else."""
    real, made = find_workspace(), Workspace(root)
    shutil.copytree(real.tracks, made.tracks)
    shutil.copytree(real.template, made.template)
    shutil.copytree(real.datasets, made.datasets)
    shutil.copytree(real.published, made.published)
    _make_maintainer(made)
    write(made, range(records), small=small)
    return made


def write(workspace: Workspace, numbers: Iterable[int], *, small: bool = False) -> None:
    """Puts the records of these numbers where they belong, without the store's lock and fsync, and rules on some."""
    tracks = list_tracks(workspace.tracks)
    signer = Signer(workspace.root / KEY)
    for number in numbers:
        each = record(number, tracks, small=small)
        folder = workspace.results / each.track.id
        folder.mkdir(parents=True, exist_ok=True)
        path, data = folder / f"{each.run_id}.json", encode(each)
        path.write_bytes(data)
        if _signed(number):
            signature_path(path).write_bytes(signer.sign(data))
        if number % RETRACTED == RETRACTED - 1:
            reason = "it was made on a machine that did something else besides"
            ruling = Ruling(run_id=each.run_id, kind="retraction", reason=reason, made_at=each.started_at)
            rulings.add(workspace.rulings, ruling)


def record(number: int, tracks: tuple[Track, ...], *, small: bool = False) -> Record:
    """The record of this number: a function of these alone."""
    batch = number // RUNS_TOGETHER
    lap, entry = divmod(batch, ENTRIES)
    track, season = tracks[(lap + entry) % len(tracks)], lap // len(tracks)
    chance = random.Random(number)
    failed, practice = _every(number, FAILED), _every(number, PRACTICE)
    verdict = FAILURES[number // FAILED % len(FAILURES)] if failed else Verdict.OK
    against = {"it has no score": failed, f"this machine is not the track's {track.resources.accelerator}": practice}
    because = tuple(words for words, hold in against.items() if hold)
    began, name = FIRST + number * APART, f"entry-{entry}"
    loss_nats, train_s = _result(track, lap, entry, chance)
    tokens = int(1e4 * train_s)
    return Record(
        run_id=f"{began:%Y%m%d-%H%M%S}-{name}-{number:04x}",
        entry=Entry(
            name=name,
            title=f"Entry {entry}",
            authors=(Author(name=f"Ada {entry}", link="https://example.org/ada"), Author(name="Grace")),
            technique=f"Muon, warm-down over {20 + entry} % of the time, window {64 + 8 * season}",
            based_on=f"entry-{entry - 1}" if entry else None,
        ),
        track=TrackRef(
            id=track.id,
            version=track.version,
            sha256=track.sha256,
            objective=track.objective,
            limit_s=track.limits.train_s,
            target_nats=track.score.target_nats,
        ),
        dataset=_dataset(track.dataset),
        started_at=began.isoformat(timespec="seconds"),
        seed=chance.getrandbits(32),
        verdict=verdict,
        reason="it ended before it could be scored" if failed else "",
        ran=True,
        scored=not failed,
        ranked=not because,
        unranked_because=because,
        score=None if failed else _score(track, loss_nats),
        times=Times(
            train_s=train_s, setup_s=3.0, save_s=0.1, score_s=20.0, twin_s=3.0, load_s=4.0, total_s=train_s + 34
        ),
        twin=None if failed else _twin(number, chance),
        artifact=None if failed else Artifact(sha256=_hash(f"artifact {number}"), bytes=4_000_000 + number, files=1),
        parameters=1_000_000 + 10_000 * season,
        declared=Declared(steps=tokens // 4096, tokens=tokens, loss_nats=loss_nats, metrics={"lr": 0.02}),
        curve=_curve(train_s, loss_nats, tokens, chance, SMALL_CURVE_POINTS if small else CURVE_POINTS),
        environment=_environment(track, practice),
        source=_source(entry, season, small),
        peak_memory_gib=1.5,
        hardware=HardwareReport(
            before=(Calibration(device="cpu", matmul_tflops=0.2, copy_gbps=12.0),),
            after=(Calibration(device="cpu", matmul_tflops=0.2, copy_gbps=12.0),),
            slowed=False,
        ),
        log_tail="".join(f"step {step}: loss {loss_nats + 1 / (1 + step):.3f}\n" for step in range(40)),
        samples=None if failed else _samples(chance),
        tier=Tier.VERIFIED if _signed(number) or _every(number, UNSIGNED) else Tier.SELF_REPORTED,
    )


def _make_maintainer(workspace: Workspace) -> None:
    """With a key that lies beside the records: this is no secret."""
    key = workspace.root / KEY
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "benchmark", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    (workspace.results.parent / MAINTAINERS_NAME).write_text(f'ada@example.org namespaces="{NAMESPACE}" {public}')


def _signed(number: int) -> bool:
    return _every(number // RUNS_TOGETHER, SIGNED)


def _every(number: int, runs: int) -> bool:
    return number % runs == runs - 1


def _hash(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _result(track: Track, lap: int, entry: int, chance: random.Random) -> tuple[float, float]:
    """Loss in nats a token and seconds of training: better with every lap and from entry to entry, up and down."""
    progress = 1 - math.exp(-lap / 20)
    strength = entry * 7 % ENTRIES / ENTRIES
    if track.score.target_nats is None:
        return FLOOR_NATS + 0.8 - 0.3 * progress - 0.3 * strength + chance.gauss(0, 0.003), 0.98 * track.limits.train_s
    misses = entry % 9 == 8
    loss_nats = track.score.target_nats + (0.02 if misses else -0.02) + chance.gauss(0, 0.003)
    return loss_nats, track.limits.train_s * (0.9 - 0.4 * progress - 0.3 * strength) * chance.gauss(1, 0.01)


def _dataset(name: str) -> DatasetRef:
    tales = name == "tales"
    return DatasetRef(
        id=name,
        sha256=_hash(name),
        vocab_size=256 if tales else 50_257,
        official=True,
        pinned=True,
        train_tokens=10_000_000,
        floor_nats=FLOOR_NATS if tales else None,
    )


def _score(track: Track, loss_nats: float) -> Score:
    target = track.score.target_nats
    return Score(
        loss_nats=loss_nats,
        targets=1_048_576,
        context_tokens=1024,
        stride_tokens=512,
        bits_per_byte=loss_nats / math.log(2),
        target_met=None if target is None else loss_nats <= target,
    )


def _twin(number: int, chance: random.Random) -> TwinReport:
    return TwinReport(
        sampled=2048,
        seed=number,
        advantage_nats=chance.gauss(0, 1e-8),
        low_nats=-1e-7,
        high_nats=1e-7,
        p_value=1.0,
        largest_nats=1e-6,
        repeat_nats=1e-8,
        finds_share=0.009,
        finds_advantage_nats=0.001,
        kind="honest",
    )


def _curve(train_s: float, loss_nats: float, tokens: int, chance: random.Random, points: int) -> tuple[CurvePoint, ...]:
    return tuple(
        CurvePoint(
            elapsed_s=round(train_s * point / points, 3),
            step=tokens * point // points // 4096,
            tokens=tokens * point // points,
            loss_nats=loss_nats + 4 / (1 + point * CURVE_POINTS / points / 5) + chance.gauss(0, 0.02),
        )
        for point in range(1, points + 1)
    )


def _samples(chance: random.Random) -> Samples:
    words = ("Once", "upon", "a", "time", "the", "fox", "went", "to", "town", "<b>and</b>", "sang")
    items = tuple(Sample(prompt="Once upon a", text=" ".join(chance.choices(words, k=40))) for _ in range(3))
    return Samples(seed=1, temperature=0.8, items=items)


@functools.cache
def _environment(track: Track, practice: bool) -> Environment:
    asked = track.resources
    accelerator = OTHER_HARDWARE if practice else asked.accelerator
    card = Device(name=accelerator, memory_gib=asked.accelerator_gib or 80.0, driver="580.65", clock_mhz=1980)
    return Environment(
        cpu="Processor of a benchmark",
        cores=2,
        threads=asked.threads,
        memory_gib=16.0,
        devices=() if accelerator == "cpu" else (card,) * asked.count,
        system="Linux-6.18-x86_64",
        python="3.11.0",
        packages={"torch": "2.13.0", "numpy": "2.4.0"},
        sandbox=SandboxReport(
            level=Level.NAMESPACES,
            landlock_abi=7,
            memory_bound="cgroup",
            tree_kill="pidns",
            guarantees=("no network", "sees no file of yours"),
            not_covered=("side channels",),
        ),
        load_before=0.1,
    )


@functools.cache
def _source(entry: int, season: int, small: bool) -> Source:
    """The template, or its beginning, with lines of its own, at a place of its own."""
    files = []
    for path in sorted(find_workspace().template.iterdir()):
        lines = path.read_text().splitlines(keepends=True)[: 2 if small else None]
        own = [f"# {line} of entry {entry}, season {season}\n" for line in range(10)]
        place = (7 * entry + season) % len(lines)
        text = "".join(lines[:place] + own + lines[place:])
        files.append(SourceFile(path=path.name, text=text, sha256=_hash(text)))
    return Source(
        files=tuple(files), sha256=source_sha256(files), git_commit=_hash(f"{entry} {season}")[:40], git_clean=True
    )
