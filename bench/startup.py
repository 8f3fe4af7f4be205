"""How long a command lets its user wait: `speedrun --help`, and the board of 1,000 records.

Each command runs as often as asked, in turn with the others and with a Python that does nothing, in processes of their
own; the first round, which fills the page cache, is not counted.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from measure import Row, heading, median, say, table

from harness.result import (
    Author,
    CurvePoint,
    DatasetRef,
    Declared,
    Entry,
    Environment,
    Level,
    Record,
    SandboxReport,
    Score,
    Source,
    SourceFile,
    Times,
    TrackRef,
    TwinReport,
    Verdict,
    encode,
)
from harness.track import Track, list_tracks
from speedrun.workspace import Workspace, find_workspace

RECORDS = 1000
ENTRIES = 60
CURVE_POINTS = 200  # as many as a record holds
SOURCE_BYTES = 16_000  # of an entry like the template
HELP_GOAL_S = 0.35
SHOW_GOAL_S = 1.0
IMPORTS_SHOWN = 10
NEVER_IMPORTED = ("torch", "pandas", "scipy", "datasets", "pyarrow", "numpy")

_IMPORT = re.compile(r"import time:\s*(\d+) \|\s*\d+ \| *(\S+)")


class Imported(NamedTuple):
    """A top-level package in one process: its modules, and what importing them cost, others' apart."""

    package: str
    modules: int
    self_s: float


def record(number: int, track: Track, workspace: Workspace) -> Record:
    """A valid record of about the size that real ones have."""
    started = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number)
    name = f"entry-{number % ENTRIES}"
    text = "".join(f"# line {line} of {name}\n" for line in range(SOURCE_BYTES // 22))
    file = SourceFile(path="speedrun.py", text=text, sha256=sha256(text.encode()).hexdigest())
    loss_nats = 1.5 + (number * 37 % 1000) / 2000
    return Record(
        run_id=f"{started:%Y%m%d-%H%M%S}-{name}-{number:04x}",
        entry=Entry(name=name, title=f"Entry {name}", authors=(Author(name="Ada"),), technique="one line of technique"),
        track=TrackRef(
            id=track.id,
            version=track.version,
            sha256=track.sha256,
            objective=track.objective,
            limit_s=track.limits.train_s,
            target_nats=track.score.target_nats,
        ),
        dataset=DatasetRef(id=track.dataset, sha256=file.sha256, vocab_size=256, official=True, floor_nats=1.0),
        started_at=started.isoformat(timespec="seconds"),
        seed=number,
        verdict=Verdict.OK,
        reason="",
        ran=True,
        scored=True,
        ranked=True,
        score=Score(loss_nats=loss_nats, targets=1_048_576, context_tokens=1024, stride_tokens=512),
        times=Times(train_s=59.0, setup_s=3.0, save_s=0.1, score_s=20.0, twin_s=3.0, total_s=90.0),
        twin=TwinReport(
            sampled=512,
            seed=number,
            advantage_nats=0.0,
            low_nats=-1e-6,
            high_nats=1e-6,
            p_value=1.0,
            largest_nats=1e-6,
            repeat_nats=0.0,
            finds_share=0.009,
            finds_advantage_nats=0.001,
            kind="honest",
        ),
        parameters=1_000_000,
        declared=Declared(steps=1000, tokens=4_096_000, loss_nats=loss_nats),
        curve=tuple(
            CurvePoint(elapsed_s=0.3 * point, step=5 * point, tokens=20_480 * point, loss_nats=5.5 / (1 + point / 40))
            for point in range(CURVE_POINTS)
        ),
        environment=Environment(
            cpu="Processor of a benchmark",
            cores=2,
            threads=2,
            memory_gib=16.0,
            devices=(),
            system="Linux-6.18-x86_64",
            python="3.11.0",
            packages={"torch": "2.13.0"},
            sandbox=SandboxReport(
                level=Level.NAMESPACES,
                landlock_abi=7,
                memory_bound="cgroup",
                tree_kill="pidns",
                guarantees=("no network",),
                not_covered=("side channels",),
            ),
            load_before=0.1,
        ),
        source=Source(files=(file,), sha256=sha256(file.sha256.encode()).hexdigest()),
    )


def make_workspace(root: Path) -> Workspace:
    """A checkout that holds the tracks and RECORDS records, nothing else."""
    real, made = find_workspace(), Workspace(root)
    shutil.copytree(real.tracks, made.tracks)
    made.template.mkdir()
    tracks = list_tracks(made.tracks)
    for number in range(RECORDS):
        each = record(number, tracks[number % len(tracks)], made)
        folder = made.results / each.track.id
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{each.run_id}.json").write_bytes(encode(each))
    return made


def environment_of(workspace: Workspace) -> dict[str, str]:
    return {**os.environ, "SPEEDRUN_ROOT": str(workspace.root), "COLUMNS": "160"}


def wall_s(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds from the start of a process to its end; a failing one ends the benchmark."""
    began_s = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    took_s = time.perf_counter() - began_s
    if done.returncode:
        raise SystemExit(f"{Path(command[0]).name} {' '.join(command[1:])} failed: {done.stderr.strip()[-500:]}")
    return took_s


def imports(command: Sequence[str], environment: Mapping[str, str]) -> list[Imported]:
    """What a Python command imports, the dearest package first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], env=environment, capture_output=True, text=True, check=True
    )
    self_us: dict[str, list[int]] = defaultdict(list)
    for cost, module in _IMPORT.findall(done.stderr):
        self_us[module.partition(".")[0]].append(int(cost))
    found = [Imported(package, len(costs), sum(costs) / 1e6) for package, costs in self_us.items()]
    return sorted(found, key=lambda each: -each.self_s)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=15, help="times that each command runs (default 15)")
    rounds = asked.parse_args().rounds
    script = str(Path(sys.executable).with_name("speedrun"))
    show = [script, "leaderboard", "--show"]
    commands = {"pass": [sys.executable, "-c", "pass"], "help": [script, "--help"], "show": show}
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder))
        environment = environment_of(workspace)
        size_mb = sum(path.stat().st_size for path in workspace.results.rglob("*.json")) / 1e6
        heading("Start-up", f"{RECORDS:,} records, {size_mb:.0f} MB, of {ENTRIES} entries; {rounds} rounds")
        samples: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                took_s = wall_s(command, environment)
                if number:
                    samples[name].append(took_s)
            say(f"round {number} of {rounds}")
        table(
            [
                Row("python -c pass", median(samples["pass"]), "s"),
                Row("speedrun --help", median(samples["help"]), "s", HELP_GOAL_S),
                Row(f"speedrun leaderboard --show, {RECORDS:,} records", median(samples["show"]), "s", SHOW_GOAL_S),
            ]
        )
        found = imports(show, environment)
    print(f"leaderboard --show imports {sum(each.modules for each in found)} modules; the dearest packages:")
    for each in found[:IMPORTS_SHOWN]:
        print(f"  {each.self_s * 1000:6.1f} ms  {each.package} ({each.modules})")
    heavy = [each.package for each in found if each.package in NEVER_IMPORTED]
    print(f"  of {', '.join(NEVER_IMPORTED)}: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
