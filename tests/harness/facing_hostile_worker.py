"""The parent of hostile workers, in a process of its own, so that its memory and its standard error can be seen.

Started with the folder of the prose data set, a folder of its own, a sandbox level, and a JSON list of
[attack, when, phase whose clock jumps past its limit]; says one JSON object a run.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

import msgspec
import psutil

from data.manifest import Source, find
from data.prepare import Prepared, prepare
from harness import submission
from harness.events import Event, Phase, PhaseBegan
from harness.journal import settle
from harness.result import Level, Record, encode
from harness.run_request import RunRequest
from harness.runner import run_entry
from harness.sandbox import Mounts, Sandbox
from harness.track import load_track
from leaderboard.schema import decode
from tests.harness.conftest import TRACK, JumpingClock

HERE = Path(__file__).resolve().parent
PROGRAM = "hostile_worker.py"
FILES = {
    "config.py": "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Config:\n    pass\n\n\n"
    "def get_config(track_id):\n    return Config()\n",
    "speedrun.py": "def setup(run): ...\n\n\ndef train(run, model): ...\n\n\ndef predict(model, tokens): ...\n",
    "submission.toml": 'title = "Hostile"\ntechnique = "none of this runs"\n[[authors]]\nname = "Mallory"\n',
}


def run(request: RunRequest, attack: str, when: str, clock: Any) -> tuple[Record, list[Phase]]:
    """One run against a hostile worker, and the phases that began. `clock` hears of every event, too."""

    def launch(level: Level, mounts: Mounts, *rest: Any) -> Sandbox:
        boot = mounts.boot / "harness"
        (boot / PROGRAM).write_bytes((HERE / PROGRAM).read_bytes())
        (boot / "attack.json").write_text(json.dumps({"attack": attack, "when": when}))
        return Sandbox(level, mounts, *rest, program=f"harness/{PROGRAM}")

    phases: list[Phase] = []

    def watch(event: Event) -> None:
        clock.watch(event)
        if isinstance(event, PhaseBegan):
            phases.append(event.phase)

    record = run_entry(
        request,
        watch,
        clock=clock,
        launch=launch,
        calibrate=lambda accelerators, threads: (),
        forget=lambda trees: None,
    )
    settle(request.cache, record.run_id)
    return record, phases


def hostile_request(folder: Path, data: Prepared, level: Level) -> RunRequest:
    """A run of an entry of which only the worker counts; `folder` holds everything that it leaves."""
    entry, track = folder / "mallory", folder / "tiny.toml"
    entry.mkdir(exist_ok=True)
    for name, text in FILES.items():
        (entry / name).write_text(text)
    track.write_text(TRACK)
    return RunRequest(
        submission=submission.load(entry, "mallory"),
        track=load_track(track),
        data=data,
        cache=folder / "cache",
        level=level,
    )


def peak_bytes() -> int:
    """The most memory that this process ever held; its own since exec, unlike what getrusage tells."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def left(request: RunRequest) -> list[psutil.Process]:
    """Processes that belong to a run: below this one, or started from the run's folder."""
    found = psutil.Process().children(recursive=True)
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        if process.pid != os.getpid() and any(str(request.cache) in word for word in words):
            found.append(process)
    return found


class PatientClock(JumpingClock):
    """Leaves the worker time to start and to lock itself down: until then a late one is our own fault."""

    AFTER_S = 2.0


def main(shared: Path, folder: Path, level: Level, cases: list[tuple[str, str, str | None]]) -> None:
    ready = prepare(find("prose", shared / "none", shared), shared)
    official = msgspec.structs.replace(ready.manifest, source=Source(kind="generator", seed=0))
    request = hostile_request(folder, Prepared(official, ready.folder), level)
    for attack, when, skip in cases:
        clock = PatientClock(skip) if skip in ("setup", "load") else JumpingClock(skip)
        record, phases = run(request, attack, when, clock)
        assert decode(encode(record)) == record
        said = {
            "attack": attack,
            "when": when,
            "verdict": record.verdict,
            "reason": record.reason,
            "ended_in": phases[-1],
            "peak_bytes": peak_bytes(),
            "processes_left": len(left(request)),
        }
        print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Level(sys.argv[3]), json.loads(sys.argv[4]))
