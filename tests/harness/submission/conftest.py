"""An entry's folder that keeps every rule, alone and in a repository."""

import pytest

from tests.harness.submission.folders import CARD, CONFIG, SPEEDRUN, git


@pytest.fixture
def entry(tmp_path):
    """A folder that keeps every rule."""
    folder = tmp_path / "submissions" / "me"
    folder.mkdir(parents=True)
    (folder / "speedrun.py").write_text(SPEEDRUN)
    (folder / "config.py").write_text(CONFIG)
    (folder / "submission.toml").write_text(CARD)
    return folder


@pytest.fixture
def committed(entry):
    root = entry.parent.parent
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--no-verify", "-m", "first")
    return entry
