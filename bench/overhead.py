"""What the platform costs: in the timed phase, for the twin, and around a short run.

a  the timed phase: one training loop inside the harness, watched as on a terminal, against the same loop bare
b  the twin: scoring the baseline with its twin against scoring it alone, start-ups apart, in its own windows on
   cpu-1min and cpu-smoke, and in the fewest that there can be
c  everything but the training, for the baseline on cpu-smoke
d  from the start of a sandbox to the entry's READY, for one that does nothing, against Python importing torch alone, on
   every sandbox level that works here

Not covered: GPUs, and what a busy machine adds; measure on an idle one.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, TextIO

import msgspec
from bare import BareJob
from measure import Row, alternating, heading, mean, median, ratio, say, table
from rich.console import Console

from data.manifest import find
from data.prepare import Prepared, prepare
from harness import journal, submission
from harness.errors import UserError
from harness.events import Event, Phase, PhaseBegan
from harness.result import Level, Record, Verdict
from harness.run_request import RunRequest
from harness.runner import run_entry
from harness.sandbox import Sandbox, choose
from harness.sandbox_levels import trial_here
from harness.track import Track, find_track
from speedrun.live import LiveView
from speedrun.workspace import find_workspace

ENTRY = Path(__file__).parent / "entries" / "fixed_steps"
TRIVIAL = Path(__file__).parent / "entries" / "trivial"
BARE = Path(__file__).parent / "bare.py"

TIMED_GOAL = 1.01
TWIN_GOAL = 1.15
AROUND_GOAL_S = 15.0
READY_GOAL = 1.05

SHORT = {"tokens": "10240", "compile_s": "0"}  # for the twin: a score takes as long after five steps as after all
FEWEST = {"eval_context": "1024", "eval_stride": "1024"}  # the fewest windows: every target is scored once
SCORED = (("cpu-1min", {}), ("cpu-smoke", {}), ("cpu-1min", FEWEST))  # tracks, with the baseline's windows or others
TWIN_RUNS = 3  # of each
AROUND_RUNS = 3
READY_PAIRS = 10  # on each level


class Watched(NamedTuple):
    """A run, and when it did what."""

    record: Record
    began_s: Mapping[Phase, float]  # on the clock of the run
    ended_s: float
    parent_processor_s: float  # that the harness itself used while it timed the training; NaN: it was ended before


class Stopped(KeyboardInterrupt):
    """The run has been watched for long enough; ends it as Ctrl-C would."""


class Bench:
    """Runs entries on tracks of the workspace; their folders and artifacts lie in a temporary cache."""

    def __init__(self, cache: Path, nowhere: TextIO, level: Level | None = None) -> None:
        """level: None: the strongest that works here. Raises UserError: it does not."""
        self._workspace = find_workspace()
        self._cache = cache
        self.level = choose(level)
        self._terminal = Console(file=nowhere, force_terminal=True, width=120, height=40)

    def track(self, track_id: str) -> Track:
        return find_track(track_id, self._workspace.tracks)

    def data(self, track: Track) -> Prepared:
        workspace = self._workspace
        return prepare(find(track.dataset, workspace.datasets, workspace.cache), workspace.cache)

    @property
    def baseline(self) -> Path:
        return self._workspace.submissions / "baseline"

    def run(
        self,
        entry: Path,
        track: Track,
        overrides: dict[str, str],
        stop_at: Phase | None = None,
        level: Level | None = None,
        launch: Callable[..., Sandbox] = Sandbox,
    ) -> Watched:
        """One run, seen by the live view; ended when the phase `stop_at` begins."""
        request = RunRequest(
            submission=submission.load(entry, entry.name),
            track=track,
            data=self.data(track),
            cache=self._cache,
            level=level or self.level,
            overrides=overrides,
            keep=0,
        )
        began_s: dict[Phase, float] = {"start": time.monotonic()}
        processor_s: dict[Phase, float] = {}
        with LiveView(f"{entry.name} on {track.id}", self._terminal) as view:

            def observe(event: Event) -> None:
                view.observe(event)
                if isinstance(event, PhaseBegan):
                    began_s[event.phase] = time.monotonic()
                    processor_s[event.phase] = time.process_time()
                    if event.phase == stop_at:
                        raise Stopped

            record = run_entry(request, observe, launch=launch)
            ended_s = time.monotonic()
        journal.settle(self._cache, record.run_id)
        if record.verdict is not (Verdict.OK if stop_at is None else Verdict.INTERRUPTED):
            raise SystemExit(f"{entry.name} on {track.id} ended as {record.verdict}: {record.reason}")
        return Watched(record, began_s, ended_s, processor_s.get("save", math.nan) - processor_s["train"])


# --------------------------------------------------------------------------------------------------- a: the timed phase


def timed_phase(bench: Bench, pairs: int, steps: int) -> None:
    track = bench.track("cpu-1min")
    shards = tuple(str(shard.resolve()) for shard in bench.data(track).shards("train"))
    resources = track.resources
    job = BareJob(
        folder=str(ENTRY),
        overrides={"steps": steps},
        shards=shards,
        threads=resources.threads,
        vocab_size=bench.data(track).manifest.vocab_size,
        seed=0,
    )
    measured: list[tuple[float, float]] = []
    processor: list[tuple[float, float]] = []
    parent_shares: list[float] = []
    for number, order in enumerate(alternating(pairs), start=1):
        inside: Watched | None = None
        outside: Bare | None = None
        for in_harness in order:
            if in_harness:
                inside = bench.run(ENTRY, track, {"steps": str(steps)}, stop_at="save")
            else:
                outside = bare(job)
        assert inside is not None
        assert outside is not None
        times = inside.record.times
        assert times.train_s is not None
        assert times.train_processor_s is not None
        measured.append((times.train_s, outside.wall_s))
        processor.append((times.train_processor_s, outside.processor_s))
        parent_shares.append(100 * inside.parent_processor_s / times.train_s)
        say(f"a: pair {number} of {pairs}: {times.train_s:.3f} s in the harness, {outside.wall_s:.3f} s bare")
    table(
        [
            Row("a  training in the harness ÷ bare", ratio(measured), goal=TIMED_GOAL),
            Row("   median of the pairs' ratios", median([inside / outside for inside, outside in measured])),
            Row("   processor time of the two", ratio(processor)),
            Row("   seconds bare", mean([each for _, each in measured]), "s"),
            Row("   harness's own share of one core meanwhile", mean(parent_shares), "%"),
        ]
    )


class Bare(NamedTuple):
    """What the bare loop took."""

    wall_s: float
    processor_s: float


def bare(job: BareJob) -> Bare:
    """The loop in a process of its own, on the cores that a sandbox gets."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(mine)[: job.threads])
    try:
        done = subprocess.run(
            [sys.executable, "-B", "-I", str(BARE)],
            input=msgspec.json.encode(job),
            env={"PATH": os.defpath, "OMP_NUM_THREADS": str(job.threads)},
            stdout=subprocess.PIPE,
            check=True,
        )
    finally:
        os.sched_setaffinity(0, mine)
    wall_s, processor_s = map(float, done.stdout.split())
    return Bare(wall_s, processor_s)


# ---------------------------------------------------------------------------------------------------------- b: the twin


def twin(bench: Bench) -> None:
    rows: list[Row] = []
    for track_id, windows in SCORED:
        pairs: list[tuple[float, float]] = []
        record: Record | None = None
        for number in range(1, TWIN_RUNS + 1):
            record = bench.run(bench.baseline, bench.track(track_id), SHORT | windows).record
            score_s, twin_s = record.times.score_s, record.times.twin_s
            assert score_s is not None
            assert twin_s is not None
            pairs.append((score_s + twin_s, score_s))
            say(f"b: {track_id}, run {number} of {TWIN_RUNS}: scorer {score_s:.2f} s, twin {twin_s:.2f} s")
        assert record is not None
        assert record.score is not None
        assert record.twin is not None
        score = record.score
        name = f"b  with twin ÷ alone, {track_id}, context {score.context_tokens}, stride {score.stride_tokens}"
        rows += [
            Row(name, ratio(pairs), goal=TWIN_GOAL),
            Row("   seconds alone", mean([alone for _, alone in pairs]), "s"),
            Row("   seconds that the twin adds", mean([both - alone for both, alone in pairs]), "s"),
        ]
        say(f"   {score.targets:,} targets, {record.twin.sampled:,} sampled")
    table(rows)


# ----------------------------------------------------------------------------------------------- c: around the training


def around(bench: Bench) -> None:
    track = bench.track("cpu-smoke")
    runs: list[dict[str, float]] = []
    for number in range(1, AROUND_RUNS + 1):
        runs.append(parts(bench.run(bench.baseline, track, {})))
        say(f"c: run {number} of {AROUND_RUNS}: {sum(runs[-1].values()):.2f} s around the training")
    rows = [
        Row(
            "c  everything but the training, baseline on cpu-smoke",
            mean([sum(run.values()) for run in runs]),
            "s",
            AROUND_GOAL_S,
        )
    ]
    rows += [Row(f"   {part}", mean([run[part] for run in runs]), "s") for part in runs[0]]
    table(rows)


def parts(run: Watched) -> dict[str, float]:
    """Where the time went, training apart; the parts add up to all of it."""
    began_s, times = run.began_s, run.record.times
    assert times.setup_s is not None
    assert times.save_s is not None
    assert times.score_s is not None
    assert times.twin_s is not None
    return {
        "before the first sandbox answers": began_s["setup"] - began_s["start"],
        "set-up and start-line check": began_s["train"] - began_s["setup"],
        "save": times.save_s,
        "scorer: a fresh sandbox, load": began_s["score"] - began_s["save"] - times.save_s,
        "scorer: rows": times.score_s,
        "twin: a fresh sandbox, load": began_s["twin"] - began_s["score"] - times.score_s,
        "twin: rows": times.twin_s,
        "comparison, record": run.ended_s - began_s["twin"] - times.twin_s,
    }


# -------------------------------------------------------------------------------------------------- d: until READY


class Started(Sandbox):
    """Knows when it was started."""

    at_s = 0.0  # of the latest one

    def start(self) -> None:
        Started.at_s = time.monotonic()
        super().start()


def until_ready(bench: Bench) -> None:
    """READY is counted as the beginning of the training: the few rows of the start-line check are in it, too."""
    rows: list[Row] = []
    for level in Level:
        if not trial_here(level).works:
            say(f"d: level {level} does not work here: {trial_here(level).why}")
            continue
        pairs = []
        for number, order in enumerate(alternating(READY_PAIRS), start=1):
            ready_s = bare_s = math.nan
            for in_harness in order:
                if in_harness:
                    run = bench.run(TRIVIAL, bench.track("cpu-smoke"), {}, "train", level, Started)
                    ready_s = run.began_s["train"] - Started.at_s
                else:
                    bare_s = import_torch_s()
            pairs.append((ready_s, bare_s))
            say(f"d: {level}, pair {number} of {READY_PAIRS}: {ready_s:.2f} s to READY, {bare_s:.2f} s bare")
        rows.append(Row(f"d  start of a sandbox to READY ÷ bare, level {level}", ratio(pairs), goal=READY_GOAL))
        rows.append(Row("   seconds bare", mean([bare for _, bare in pairs]), "s"))
    table(rows)


def import_torch_s() -> float:
    """Until it is imported; the end of the process is not counted."""
    command = [sys.executable, "-B", "-I", "-c", "import torch; print(flush=True); input()"]
    began_s = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as python:
        assert python.stdout is not None
        python.stdout.readline()
        took_s = time.monotonic() - began_s
        python.kill()
    return took_s


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--only", choices=("a", "b", "c", "d"), help="one part alone")
    asked.add_argument("--pairs", type=int, default=16, help="of part a (default 16)")
    asked.add_argument("--steps", type=int, default=300, help="of part a's loop (default 300)")
    words = "sandbox level of parts a to c (default: the strongest that works here)"
    asked.add_argument("--level", choices=[str(level) for level in Level], help=words)
    wanted = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder, Path(os.devnull).open("w") as nowhere:
        Path(folder).chmod(0o755)  # at level uid another user works in it
        try:
            bench = Bench(Path(folder), nowhere, None if wanted.level is None else Level(wanted.level))
        except UserError as error:
            raise SystemExit(f"error: {error}") from None
        heading("What the platform costs", f"sandbox level {bench.level}")
        todo: dict[str, Callable[[], None]] = {
            "a": lambda: timed_phase(bench, wanted.pairs, wanted.steps),
            "b": lambda: twin(bench),
            "c": lambda: around(bench),
            "d": lambda: until_ready(bench),
        }
        for part, do in todo.items():
            if wanted.only in (None, part):
                do()


if __name__ == "__main__":
    main()
