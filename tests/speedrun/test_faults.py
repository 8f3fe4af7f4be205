"""Every mistake, and every fault, gets one line on standard error and its exit code; never a traceback."""

import errno
import os
import shutil
import subprocess

import pytest

from speedrun.commands import tracks
from tests.speedrun.process import SPEEDRUN


def one_line(said, code, *parts):
    assert said.code == code, said
    lines = said.err.splitlines()
    assert len(lines) == 1, said.err
    assert lines[0].startswith("error: ")
    for part in parts:
        assert part in lines[0]


@pytest.mark.parametrize(
    ("command", "parts"),
    [
        ("chek mine", ["chek", "check"]),
        ("check", ["NAME", "speedrun check --help"]),
        ("check nobody", ["nobody", "mine"]),
        ("check mien", ["did you mean mine"]),
        ("check ../mine", [".."]),
        ("check Mine", ["'Mine'", "a-z"]),
        ("check mіne", ["a-z"]),  # the second letter is Cyrillic
        ("check " + "m" * 41, ["40"]),
        ("new mine", ["already"]),
        ("new m1ne", ["take", "'mine'"]),
        ("new a/b", ["a/b"]),
        ("new ..", [".."]),
        ("new Baseline", ["a-z"]),
        ("new " + "x" * 41, ["40"]),
        ("run", ["NAME"]),
        ("run nobody --track cpu-smoke", ["nobody", "mine"]),
        ("run a/b --track cpu-smoke", ["a/b"]),
        ("run ./nowhere --track cpu-smoke", ["nowhere"]),
        ("run mine", ["--track", "cpu-1min, cpu-smoke"]),
        ("run mine --track cpu-smok", ["cpu-smok", "cpu-smoke"]),
        ("run mine --track cpu-smoke --no-wiat", ["--no-wiat", "did you mean --no-wait"]),
        ("run mine --trakc cpu-smoke", ["--trakc", "did you mean --track"]),
        ("run mine --track cpu-smoke --smothing 1", ["--smothing", "did you mean --smoothing"]),
        ("run mine --track cpu-smoke --smoothing", ["--smoothing needs a value"]),
        ("run mine --track cpu-smoke --smoothing much", ["smoothing", "float", "much"]),
        ("run mine --track cpu-smoke --set smoothing", ["smoothing", "field=value"]),
        ("run mine --track cpu-smoke --set smothing=1", ["smothing", "did you mean smoothing"]),
        ("run mine --track cpu-smoke --set tokens=1.5", ["tokens", "int"]),
        ("run mine --track cpu-smoke --set tokens=1 --tokens 2", ["tokens", "twice"]),
        ("run mine stray --track cpu-smoke", ["stray"]),
        ("run --smoothing 1 mine --track cpu-smoke", ["name the entry first"]),
        ("run mine --track cpu-smoke --runs 0", ["--runs"]),
        ("run mine --track cpu-smoke --runs many", ["--runs"]),
        ("run mine --track cpu-smoke --level best", ["--level", "namespaces"]),
        ("run mine --track cpu-smoke --no-sandbox --level uid", ["contradict"]),
        ("run mine --track cpu-smoke --dataset taels", ["taels", "tales"]),
        ("run broken --track cpu-smoke", ["speedrun.py:2", "syntax"]),
        ("run empty --track cpu-smoke", ["missing"]),
        ("leaderboard --track cpu-smok", ["cpu-smok", "cpu-smoke"]),
        ("leaderboard --top 0", ["--top"]),
        ("leaderboard --export runs.xls", ["runs.xls", ".csv"]),
        ("leaderboard --export nowhere/runs.csv", ["nowhere/runs.csv"]),
        ("show", ["RUN"]),
        ("show nothing", ["nothing"]),
        ("show last", ["no runs yet"]),
        ("tracks cpu1min", ["cpu1min", "cpu-1min"]),
        ("data prepare taels", ["taels", "tales"]),
        ("data verify taels", ["taels", "tales"]),
        ("data import mine nowhere.txt", ["nowhere.txt"]),
        ("data import Mine notes.txt", ["Mine"]),
        ("data improt mine notes.txt", ["improt", "import"]),
    ],
)
def test_bad_input_gets_one_line(workspace, speedrun, entry, command, parts):
    entry("mine")
    entry("broken", speedrun="import torch\ndef train(run, model:\n    return model\n")
    (workspace.submissions / "empty").mkdir()
    (workspace.root / "notes.txt").write_text("notes " * 100)
    before = sorted(workspace.root.rglob("*"))
    said = speedrun(*command.split(" "))
    one_line(said, 2, *parts)
    assert said.out == ""
    assert sorted(workspace.root.rglob("*")) == before


def test_what_an_argument_holds_cannot_drive_the_terminal(speedrun):
    said = speedrun("check", "\x1b[31mred\n\u202eback\udcff")
    one_line(said, 2)
    assert said.err.rstrip("\n").isprintable()


def test_a_track_file_with_an_unknown_key(workspace, speedrun):
    path = workspace.tracks / "cpu-smoke.toml"
    path.write_text(path.read_text() + "colour = 'red'\n")
    for command in (("tracks",), ("leaderboard",), ("run", "mine", "--track", "cpu-smoke")):
        said = speedrun(*command)
        if command[0] != "run":
            one_line(said, 2, "cpu-smoke.toml", "colour")


def test_no_checkout(speedrun, monkeypatch, tmp_path):
    monkeypatch.setenv("SPEEDRUN_ROOT", str(tmp_path))
    one_line(speedrun("tracks"), 2, "SPEEDRUN_ROOT")


def test_a_template_that_cannot_be_copied_leaves_nothing_behind(workspace, speedrun):
    (workspace.template / "dangling").symlink_to("nowhere")
    one_line(speedrun("new", "mine"), 2, "template")
    assert list(workspace.submissions.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "parts"),
    [
        (errno.ENOSPC, ["/some/file", "No space left", "free some space"]),
        (errno.EDQUOT, ["/some/file", "free some space"]),
        (errno.EACCES, ["/some/file", "Permission denied", "who may"]),
        (errno.EROFS, ["/some/file", "Read-only", "who may"]),
    ],
)
def test_what_the_system_refuses_names_the_path(speedrun, monkeypatch, number, parts):
    def refuse(workspace):
        raise OSError(number, os.strerror(number), "/some/file")

    monkeypatch.setattr(tracks, "tracks", refuse)
    one_line(speedrun("tracks"), 2, *parts)


def test_a_fault_of_ours_is_one_line_and_a_traceback_on_request(speedrun, monkeypatch):
    def fail(workspace):
        raise ZeroDivisionError("a\nb")

    monkeypatch.setattr(tracks, "tracks", fail)
    one_line(speedrun("tracks"), 70, "internal error", "ZeroDivisionError", "SPEEDRUN_DEBUG=1")
    monkeypatch.setenv("SPEEDRUN_DEBUG", "1")
    said = speedrun("tracks")
    assert said.code == 70
    assert "Traceback" in said.err


def test_ctrl_c_is_130(speedrun, monkeypatch):
    def interrupt(workspace):
        raise KeyboardInterrupt

    monkeypatch.setattr(tracks, "tracks", interrupt)
    said = speedrun("tracks")
    assert said.code == 130
    assert "Traceback" not in said.err


def test_a_full_disk_behind_standard_output(workspace):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*SPEEDRUN, "tracks"], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "free some space" in done.stderr


def test_nobody_reads_on(workspace):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe:
        done = subprocess.run([*SPEEDRUN, "tracks"], stdout=pipe, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_without_unicode_is_no_error(workspace):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*SPEEDRUN, "tracks"], env=environment, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"cpu-1min" in done.stdout


def test_a_missing_template_is_said(workspace, speedrun):
    shutil.rmtree(workspace.template)
    said = speedrun("new", "mine")
    one_line(said, 2, "SPEEDRUN_ROOT")
