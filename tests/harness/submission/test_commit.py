"""The commit and the state of the repository that an entry lies in; a hostile repository does nothing."""

import os
import subprocess

import pytest

from harness import repository
from harness.submission import load
from tests.harness.submission.folders import CONFIG, git


def test_the_commit_is_recorded(committed):
    source = load(committed, "me").source
    assert source.git_commit == git(committed, "rev-parse", "HEAD").strip()
    assert source.git_clean is True
    (committed / "new.md").touch()
    assert load(committed, "me").source.git_clean is False


def test_no_repository_no_commit_yet_no_git(entry, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(entry.parent))
    assert repository.state(entry) == (None, None)
    git(entry.parent.parent, "init", "--quiet")
    assert repository.state(entry) == (None, None)
    assert repository.state(entry / "nowhere") == (None, None)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert repository.state(entry) == (None, None)


def test_nothing_of_a_hostile_repository_runs(committed, tmp_path, monkeypatch):
    root, mark = committed.parent.parent, tmp_path / "mark"
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho $0 $* >> {mark}\ncat\n")
    trap.chmod(0o755)
    (root / ".gitattributes").write_text("* filter=evil diff=evil\n*.py filter=worse.with.dots\n")
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    for hook in ("post-index-change", "pre-auto-gc", "fsmonitor-watchman", "reference-transaction"):
        (root / ".git" / "hooks").mkdir(exist_ok=True)
        (root / ".git" / "hooks" / hook).write_text(trap.read_text())
        (root / ".git" / "hooks" / hook).chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.askPass",
        "diff.evil.textconv",
        "diff.external",
    ):
        git(root, "config", key, str(trap))
    for driver in ("evil", "worse.with.dots"):
        for key in ("clean", "smudge", "process"):
            git(root, "config", f"filter.{driver}.{key}", str(trap))
        git(root, "config", f"filter.{driver}.required", "true")
    (committed / "config.py").write_text(CONFIG.replace("0.95", "0.96"))  # git must look at its content
    os.utime(committed / "speedrun.py", (1, 1))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    mark.unlink(missing_ok=True)  # git's own set-up above may have run it
    for state in (repository.state(committed), repository.checkout(root)):
        assert not mark.exists(), mark.read_text()
        assert state.commit is not None
        assert state.clean is False
    # What is ignored is asked for only where all else is clean.
    (committed / "config.py").write_text(CONFIG)
    (root / ".gitattributes").unlink()
    (root / ".git" / "info" / "exclude").write_text("/trap.sh\n")
    assert repository.state(committed).clean is True
    assert not mark.exists(), mark.read_text()


@pytest.mark.parametrize("folder", ["results", "duels", "rulings"])
def test_what_runs_and_judgements_leave_behind_is_no_change_of_the_source(committed, folder):
    root = committed.parent.parent
    (root / "leaderboard" / folder).mkdir(parents=True)
    (root / "leaderboard" / folder / "one.json").touch()
    assert repository.state(committed).clean is True
    # Who vouches takes only what counts by its signature: a ruling that nobody merged may decide who holds the record.
    assert repository.checkout(root).clean is (folder != "rulings")
    (root / "leaderboard" / "store.py").touch()
    assert repository.state(committed).clean is False
    assert repository.checkout(root).clean is False


@pytest.mark.parametrize("where", [".gitignore", ".git/info/exclude", "submissions/me/.gitignore"])
def test_an_ignored_file_that_takes_part_is_not_committed(entry, where):
    root = entry.parent.parent
    git(root, "init", "--quiet")
    with (root / where).open("a") as stream:
        stream.write("*.pyc\n__pycache__/\nsecret.py\nmore/\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--no-verify", "-m", "first")
    for left_behind in ("__pycache__/a.cpython-311.pyc", "deep/__pycache__/b.py", "c.pyc"):
        (entry / left_behind).parent.mkdir(parents=True, exist_ok=True)
        (entry / left_behind).write_bytes(b"x")
    if entry not in (root / where).parents:
        (root / "secret.py").write_text("x = 1\n")  # of no entry
    assert load(entry, "me").source.git_clean is True
    for hidden in ("secret.py", "more/config.py"):
        (entry / hidden).parent.mkdir(exist_ok=True)
        (entry / hidden).write_text("x = 1\n")
        source = load(entry, "me").source
        assert hidden in [file.path for file in source.files]
        assert source.git_clean is False
        assert source.git_commit is not None
        assert repository.checkout(root).clean is True  # git itself sees nothing
        (entry / hidden).unlink()


def test_a_bare_repository_in_disguise_is_none(committed, tmp_path):
    git(tmp_path, "clone", "--quiet", "--bare", str(committed.parent.parent), "disguise")
    disguise = tmp_path / "disguise"
    git(tmp_path, "config", "--file", str(disguise / "config"), "core.bare", "false")
    git(tmp_path, "config", "--file", str(disguise / "config"), "core.worktree", str(disguise))
    assert repository.state(disguise) == (None, None)


def test_a_repository_of_another_owner_is_none(committed, monkeypatch):
    monkeypatch.setenv("HOME", str(committed))  # no safe.directory of the user
    run = subprocess.run

    def as_a_stranger(arguments, **options):
        return run(arguments, **(options | {"env": options["env"] | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}}))

    monkeypatch.setattr(repository.subprocess, "run", as_a_stranger)
    assert repository.state(committed) == (None, None)
