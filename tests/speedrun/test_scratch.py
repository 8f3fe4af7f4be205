"""Folders for a while: gone with the command that needed them, or with the next one."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from speedrun.scratch import scratch

HOLDS = """
import sys, time
from pathlib import Path
from speedrun.scratch import scratch
with scratch(Path(sys.argv[1]), "duel") as folder:
    (folder / "large").write_bytes(bytes(100_000))
    print(folder, flush=True)
    time.sleep(600)
"""


def left(cache) -> list[str]:
    return sorted(path.name for path in (cache / "scratch").iterdir())


def test_it_is_gone_afterwards(tmp_path):
    with scratch(tmp_path / "cache", "trial") as folder:
        assert folder.name.startswith("trial-")
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep").mkdir()
    assert left(tmp_path / "cache") == []
    with pytest.raises(ZeroDivisionError), scratch(tmp_path / "cache", "trial"):
        raise ZeroDivisionError
    assert left(tmp_path / "cache") == []


def test_several_at_once_in_one_process(tmp_path):
    with scratch(tmp_path, "duel") as one, scratch(tmp_path, "duel") as other:
        assert one != other
        assert one.is_dir()
    assert left(tmp_path) == []


def test_what_a_killed_command_left_goes_with_the_next_one_and_what_is_in_use_stays(tmp_path):
    with subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path], stdout=subprocess.PIPE, text=True) as process:
        theirs = process.stdout.readline().strip()
        try:
            with scratch(tmp_path, "order") as mine:
                assert left(tmp_path) == sorted(
                    f"{name}{end}" for name in (theirs.rpartition("/")[2], mine.name) for end in ("", ".lock")
                )
        finally:
            process.kill()
    assert len(left(tmp_path)) == 2
    with scratch(tmp_path, "order") as mine:
        assert left(tmp_path) == [mine.name, f"{mine.name}.lock"]


def test_a_folder_whose_maker_died_before_it_was_locked_goes_too(tmp_path):
    (tmp_path / "scratch" / "duel-abc").mkdir(parents=True)
    (tmp_path / "scratch" / "duel-xyz.lock").touch()
    with scratch(tmp_path, "order"):
        pass
    assert left(tmp_path) == []


CLOSES = """
import os, sys
from pathlib import Path
from speedrun.scratch import scratch
if os.getuid() == 0:  # to root nothing is closed
    os.setgid(65534)
    os.setuid(65534)
with scratch(Path(sys.argv[1]), "trial") as folder:
    (folder / "closed").mkdir()
    (folder / "closed" / "large").touch()
    (folder / "closed").chmod(0)
"""


def test_a_folder_that_an_entry_has_closed_goes_and_the_lock_of_another_user_blocks_nobody():
    with tempfile.TemporaryDirectory() as name:  # pytest's own folders are closed to others
        cache = Path(name)
        theirs = cache / "scratch" / "duel-abc.lock"
        theirs.parent.mkdir()
        theirs.touch(0o600)
        for path in (cache, theirs.parent):
            path.chmod(0o777)
        subprocess.run([sys.executable, "-c", CLOSES, name], check=True)
        assert left(cache) == (["duel-abc.lock"] if os.getuid() == 0 else [])
