"""What sandboxes without a mount namespace leave in the host's /dev/shm, and what is taken away."""

import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.sandbox_shm import FOLDER, left_by, remove_all_of


@pytest.fixture
def place() -> Iterator[Path]:
    """A name in /dev/shm that nobody else has; whatever begins with it goes away."""
    name = Path(FOLDER) / f"speedrun-test-{secrets.token_hex(6)}"
    yield name
    subprocess.run(["rm", "-rf", *Path(FOLDER).glob(f"{name.name}*")], check=True)


def file(place: Path, suffix: str, content: bytes = b"the next token is e") -> Path:
    path = place.with_name(f"{place.name}-{suffix}")
    path.write_bytes(content)
    return path


def test_what_lies_in_folders_is_counted(place):
    place.mkdir()
    (place / "large").write_bytes(bytes(1 << 20))
    (left,) = [left for left in left_by(None) if left.path == str(place)]
    assert left.bytes >= 1 << 20


def test_a_folder_that_nobody_may_list_counts_without_end(place):
    place.mkdir(mode=0o300)
    (place / "note").write_bytes(b"x" * 10_000)
    (left,) = [left for left in left_by(None) if left.path == str(place)]
    assert left.bytes > 10_000 if os.geteuid() == 0 else left.bytes == float("inf")


@pytest.mark.skipif(os.geteuid() != 0, reason="files can't be given away")
def test_a_user_of_its_own_leaves_nothing(place):
    user = 61_111
    theirs, ours = file(place, "theirs"), file(place, "ours")
    os.chown(theirs, user, user)
    remove_all_of(user)
    assert ours.exists()
    assert not theirs.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="files can't be given away")
def test_a_link_is_removed_and_not_followed(place, tmp_path):
    user = 61_112
    (tmp_path / "file").write_text("ours")
    (tmp_path / "file").chmod(0o400)
    place.symlink_to(tmp_path)
    os.lchown(place, user, user)
    remove_all_of(user)
    assert not place.is_symlink()
    assert (tmp_path / "file").read_text() == "ours"
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o400
