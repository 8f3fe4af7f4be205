"""The commands about this machine: data, doctor."""

import json
import os
import pydoc_data.topics
import shutil
import subprocess
import sys

import msgspec
import pytest

from harness.result import Level
from speedrun import answers, device_lock
from speedrun.fitness import matches


def test_data_sets_from_import_to_verification(workspace, speedrun, blink):
    prose = workspace.root / "topics.jsonl"
    prose.write_text("".join(json.dumps({"text": text}) + "\n" for text in pydoc_data.topics.topics.values()))
    said = speedrun("data", "import", "topics", prose)
    assert (said.code, said.err) == (0, "")
    assert "topics is imported" in said.out

    listed = msgspec.json.decode(speedrun("data", "list", "--json").out, type=answers.Datasets)
    states = {one.id: one for one in listed.datasets}
    assert states["topics"].imported
    assert states["topics"].prepared
    assert states["letters"].floor_nats == pytest.approx(1.6094, abs=1e-4)
    assert not states["letters"].imported
    assert not states["tales"].prepared
    text = speedrun("data", "list").out
    assert "topics: " in text
    assert "speedrun data prepare tales" in text

    assert "topics is verified" in speedrun("data", "verify", "topics").out
    assert "letters is prepared" in speedrun("data", "prepare", "letters").out
    one_line = speedrun("data", "verify", "tales")
    assert (one_line.code, one_line.err.count("\n")) == (2, 1)
    assert "data prepare tales" in one_line.err


@pytest.mark.sandbox
def test_doctor_tries_every_level(speedrun, blink):
    found = msgspec.json.decode(speedrun("doctor", "--json").out, type=answers.Diagnosis)
    assert [trial.level for trial in found.levels] == list(Level)
    assert all(trial.why for trial in found.levels)
    working = [trial.level for trial in found.levels if trial.works and trial.level is not Level.NONE]
    assert found.chosen == (working[0] if working else None)
    fits = {fit.track: fit for fit in found.tracks}
    assert fits["cpu-blink"].prepared
    assert not fits["cpu-1min"].prepared

    assert [one.device for one in found.calibration][:1] == ["cpu"]
    here = any(matches("Tesla T4", one.device.name) for one in found.devices)
    assert here or any("Tesla T4" in obstacle for obstacle in fits["t4-5min"].obstacles)

    said = speedrun("doctor")
    assert (said.code, said.err) == (0, "")
    assert "cpu-blink: this machine qualifies; data prepared" in said.out
    assert "speed      cpu " in said.out
    assert len([line for line in said.out.splitlines() if "h100x8-val-3.28" in line]) == 1
    assert f"{found.cores} cores" in said.out


@pytest.mark.sandbox
def test_doctor_measures_nothing_beside_a_run(workspace, speedrun):
    with device_lock.hold(["cpu"], "mine", wait=False, say=print):
        said = speedrun("doctor")
    assert (said.code, said.err) == (0, "")
    assert "\nspeed " not in said.out
    assert "its speed was not measured: a run is going on" in said.out


@pytest.mark.sandbox
def test_without_bubblewrap_doctor_says_what_to_install(workspace, tmp_path):
    code = "import sys; from speedrun.app import main; sys.exit(main(['doctor']))"
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("rm", "setpriv", "git"):
        if found := shutil.which(name):
            (tools / name).symlink_to(found)
    environment = {**os.environ, "PATH": str(tools)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "✗ namespaces" in done.stdout
    assert "install bubblewrap" in done.stdout
