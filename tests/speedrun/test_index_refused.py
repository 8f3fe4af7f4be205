"""No pull request can bring an index of records along; leaderboard/index.py says why none would be believed."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.git_objects import Change
from harness.git_tree import Item
from leaderboard import index
from leaderboard.store import Store
from speedrun.pull_request import sort_changes

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def written(workspace, stored, make_record, monkeypatch):
    """The index of a checkout with one record."""
    monkeypatch.setattr(index, "RACY_NS", 0)
    stored(make_record())
    probe = workspace.root / "probe"
    probe.write_text("")
    while probe.stat().st_mtime_ns <= next(workspace.results.glob("*/*.json")).stat().st_ctime_ns:
        probe.write_text("")
    Store(workspace.results, workspace.cache).load()
    (found,) = workspace.cache.glob("*.index")
    return found


def test_git_ignores_it_and_a_pull_request_may_not_hold_it(workspace, written):
    path = written.relative_to(workspace.root).as_posix()
    shutil.copyfile(ROOT / ".gitignore", workspace.root / ".gitignore")
    subprocess.run(["git", "init", "-q"], cwd=workspace.root, check=True)
    done = subprocess.run(["git", "check-ignore", path], cwd=workspace.root, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, path)
    change = sort_changes([Change(path, None, Item("100644", "1" * 40))], [])
    assert path in [refusal.path for refusal in change.refusals]


def test_one_from_another_checkout_is_not_believed(workspace, written, tmp_path):
    """With everything copied, times of change and all: inodes, devices and times of the copies are their own."""
    other = tmp_path / "other"
    shutil.copytree(workspace.root, other, symlinks=True)  # copies the times of change as well
    (record,) = (other / "leaderboard" / "results").glob("*/*.json")
    record.write_bytes(encode_worse(record.read_bytes()))
    shutil.copystat(next(workspace.results.glob("*/*.json")), record)
    loaded = Store(other / "leaderboard" / "results", other / "data" / "cache").load()
    assert loaded == Store(other / "leaderboard" / "results").load()
    assert loaded.records[0].score.loss_nats == 1.6


def encode_worse(data):
    changed = data.replace(b'"loss_nats": 1.5', b'"loss_nats": 1.6')
    assert len(changed) == len(data) != 0
    assert changed != data
    return changed
