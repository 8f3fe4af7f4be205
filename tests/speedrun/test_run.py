"""Whole runs: real processes, real sandboxes."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import msgspec
import psutil
import pytest

from harness.result import Level, Record, Verdict
from speedrun import answers
from tests.speedrun.process import SPEEDRUN

pytestmark = pytest.mark.sandbox


class Started:
    """A command in a process of its own, heard line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*SPEEDRUN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self.heard: list[str] = []

    def until(self, beginning: str) -> str:
        """Reads standard error until a line begins so."""
        for line in self.process.stderr:
            self.heard.append(line)
            if line.startswith(beginning):
                return line
        raise AssertionError(f"{beginning!r} was never said: {self.heard}")

    def end(self) -> tuple[int, str]:
        """Waits; the exit code and standard output."""
        out, err = self.process.communicate(timeout=180)
        self.heard.append(err)
        return self.process.returncode, out


@pytest.fixture
def start() -> Iterator[Callable[..., Started]]:
    """Starts commands and leaves none behind."""
    with contextlib.ExitStack() as ending:

        def start(*arguments: str) -> Started:
            started = Started(*arguments)
            ending.enter_context(started.process)
            ending.callback(started.process.kill)
            return started

        yield start


def records(workspace) -> list[Record]:
    """Every stored record, oldest first."""
    paths = sorted(workspace.results.glob("*/*.json"), key=lambda path: path.stem)
    return [msgspec.json.decode(path.read_bytes(), type=Record) for path in paths]


def test_a_run_is_scored_recorded_and_ranked(workspace, speedrun, entry, blink):
    entry("mine")
    said = speedrun("run", "mine", "--track", blink)
    assert said.code == 0, said
    (record,) = records(workspace)
    assert record.ranked
    assert 0 < record.score.loss_nats - record.dataset.floor_nats < 0.1
    assert record.score.targets == 4096
    assert record.environment.sandbox.level is not Level.NONE
    lines = said.out.splitlines()
    assert lines[0] == "✓ ok  mine on cpu-blink"
    assert "without the future it says the same" in said.out
    assert "ranked      yes" in said.out
    assert f"leaderboard/results/cpu-blink/{record.run_id}.json" in said.out
    assert "speedrun leaderboard --show --track cpu-blink" in said.out
    phases = [line.split(",")[0] for line in said.err.splitlines() if ", at most" in line]
    load = "loading what was saved"
    assert phases == ["setting up", "training", "saving", load, "scoring", load, "asking the twin"]

    board = speedrun("leaderboard", "--show", "--track", blink)
    assert f"{record.score.loss_nats:.4f}" in board.out
    assert "counts which token follows which" in board.out
    shown = speedrun("show", "last")
    assert record.run_id in shown.out
    assert "training loss as the entry logged it" in shown.out
    source = speedrun("show", "last", "--source", "config.py")
    assert source.out == (workspace.submissions / "mine" / "config.py").read_text()
    assert not list((workspace.cache / "runs").iterdir())


def test_practice_says_why_and_json_is_all_there_is(workspace, speedrun, entry, blink, tmp_path, monkeypatch):
    entry("mine").rename(tmp_path / "mine")
    monkeypatch.chdir(tmp_path / "mine")
    options = ("--practice", "--runs", "2", "--keep", "1", "--tokens=5000", "--smoothing", "0.5", "--quiet", "--json")
    said = speedrun("run", ".", "--track", blink, *options)
    assert (said.code, said.err) == (0, "")
    ran = msgspec.json.decode(said.out, type=answers.Ran)
    assert list(ran.records) == records(workspace)
    first, second = ran.records
    assert first.seed != second.seed
    assert second.entry.name == "mine"
    assert second.overrides == {"tokens": "5000", "smoothing": "0.5"}
    assert second.declared.tokens == 5000
    assert second.scored
    assert not second.ranked
    against = " ".join(second.unranked_because)
    assert "it was asked for as practice" in against
    assert "its folder is not in speedrun/submissions" in against
    assert "config.py" in against
    assert [path.name for path in (workspace.cache / "artifacts").iterdir()] == [second.run_id]


def test_a_track_of_other_hardware_runs_as_practice_alone(workspace, speedrun, entry, blink):
    entry("mine")
    path = workspace.tracks / f"{blink}.toml"
    path.write_text(path.read_text().replace('accelerator = "cpu"', 'accelerator = "Colossus Mark 2"'))
    said = speedrun("run", "mine", "--track", blink)
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert said.err.startswith(
        "error: a run on cpu-blink can't be ranked here: the track needs 1 × Colossus Mark 2 (here"
    )
    assert "--practice runs it all the same, scored and not ranked; speedrun doctor shows the tracks" in said.err
    assert records(workspace) == []

    said = speedrun("run", "mine", "--track", blink, "--practice", "--quiet")
    assert (said.code, said.err) == (0, "")
    (record,) = records(workspace)
    assert record.scored
    assert "the track needs 1 × Colossus Mark 2 (here" in record.unranked_because[0]
    if not record.environment.devices:
        assert record.environment.threads == 2
    assert speedrun("show", "last").code == 0


def test_several_processes_run_where_they_have_a_network_of_their_own(workspace, speedrun, entry, blink):
    entry("mine")
    path = workspace.tracks / f"{blink}.toml"
    path.write_text(path.read_text().replace("count = 1\nthreads = 2", "count = 2\nthreads = 1"))
    said = speedrun("run", "mine", "--track", blink, "--no-sandbox")
    assert (said.code, said.out) == (2, "")
    assert "2 processes need sandbox level namespaces (here: none)" in said.err
    assert records(workspace) == []


def test_an_invalid_run_exits_with_1_and_says_what_to_do(workspace, speedrun, entry, blink):
    folder = entry("mine")
    text = (folder / "speedrun.py").read_text()
    (folder / "speedrun.py").write_text(
        text.replace("def setup(run):\n", "def setup(run):\n    raise ValueError('\\x1b[5mno')\n")
    )
    said = speedrun("run", "mine", "--track", blink, "--runs", "2")
    assert said.code == 1
    assert said.out.count("✗ CRASHED") == 2
    assert "run 2 of 2: CRASHED" in said.err
    assert said.out.startswith("✗ CRASHED  mine on cpu-blink\n")
    assert "ValueError" in said.out
    assert "next        mend the error above" in said.out
    assert "\x1b" not in said.out
    assert [record.verdict for record in records(workspace)] == [Verdict.CRASHED] * 2


def test_one_run_at_a_time_and_ctrl_c_ends_it_with_a_record(workspace, start, speedrun, entry, blink):
    entry("mine")
    command = ("run", "mine", "--track", blink, "--patience-s", "500")
    running = start(*command)
    running.until("training")
    below = psutil.Process(running.process.pid).children(recursive=True)
    assert below

    refused = speedrun(*command, "--no-wait")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"error: cpu is in use by a run of 'mine' (process {running.process.pid}); "
        "wait for it, or leave out --no-wait\n"
    )
    waiting = start("run", "mine", "--track", blink, "--json")
    assert f"process {running.process.pid}" in waiting.until("waiting for cpu")

    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGINT)
    code, out = running.end()
    assert code == 130, running.heard
    assert "✗ INTERRUPTED" in out
    assert psutil.wait_procs(below, timeout=20)[1] == []

    code, out = waiting.end()
    assert code == 0, waiting.heard
    (finished,) = json.loads(out)["records"]
    interrupted, stored = records(workspace)
    assert interrupted.verdict is Verdict.INTERRUPTED
    assert interrupted.ran
    assert stored.run_id == finished["run_id"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_killed_leaves_a_record(workspace, start, speedrun, entry, blink, number):
    entry("mine")
    running = start("run", "mine", "--track", blink, "--patience-s", "500")
    running.until("training")
    below = psutil.Process(running.process.pid).children(recursive=True)
    os.kill(running.process.pid, number)
    code, _ = running.end()
    assert psutil.wait_procs(below, timeout=20)[1] == []
    if number == signal.SIGTERM:
        assert code == 130
    else:
        assert code == -signal.SIGKILL
        assert records(workspace) == []
        said = speedrun("leaderboard", "--all", "--track", blink)
        assert "had ended without a word; its record says INTERRUPTED" in said.err
        assert "INTERRUPTED" in said.out
    (record,) = records(workspace)
    assert record.verdict is Verdict.INTERRUPTED
    assert not list((workspace.cache / "runs").iterdir())


def test_a_wrong_shard_is_refused(workspace, speedrun, entry, blink):
    entry("mine")
    path = workspace.cache / "letters" / "train.bin"
    path.chmod(0o644)
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    for command in (("run", "mine", "--track", blink), ("data", "verify", "letters")):
        said = speedrun(*command)
        assert (said.code, said.out) == (2, "")
        assert said.err.count("\n") == 1
        assert "train.bin" in said.err
        assert "wrong hash" in said.err
    assert records(workspace) == []
