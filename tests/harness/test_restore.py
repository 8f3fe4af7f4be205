"""The entry that a record holds, unpacked: as it ran, or not at all. A record is a stranger's file."""

import hashlib
from pathlib import Path

import msgspec
import pytest

from harness.errors import UserError
from harness.folder import MAX_FILES
from harness.result import Source, SourceFile, source_sha256
from harness.submission import load, restore, snapshot

ENTRY = Path(__file__).parents[1] / "speedrun" / "bigram"


def file(path: str, text: str) -> SourceFile:
    return SourceFile(path=path, text=text, sha256=hashlib.sha256(text.encode()).hexdigest())


def source(*more: SourceFile, **replaced: str) -> Source:
    """The bigram entry's files, with other texts for some of them, and more files."""
    own = (file(path.name, replaced.get(path.stem, path.read_text())) for path in sorted(ENTRY.glob("*.*")))
    files = (*own, *more)
    return Source(files=files, sha256=source_sha256(files), git_commit="c" * 40, git_clean=True)


def refused(held: Source, folder: Path) -> str:
    with pytest.raises(UserError) as refusal:
        restore("mine", held, folder / "box" / "mine")
    assert "\n" not in str(refusal.value)
    # Whatever the record says, nothing lies outside the entry's own folder.
    outside = [path for path in folder.rglob("*") if not path.is_relative_to(folder / "box" / "mine")]
    assert outside in ([], [folder / "box"])
    return str(refusal.value)


def test_what_is_restored_is_what_ran_down_to_the_byte(tmp_path):
    held = source(file("parts/norm.py", "if True:\n\tWEIGHT = '→'\n"), file("README.md", "no newline at the end"))
    restored = restore("mine", held, tmp_path / "mine")
    assert restored.name == "mine"
    assert restored.source == held  # its commit, too: that of the run, not of this checkout
    assert restored.entry.name == "mine"
    assert {field.name for field in restored.fields} >= {"smoothing", "tokens"}
    for one in held.files:
        assert (tmp_path / "mine" / one.path).read_bytes() == one.text.encode()
    # And it runs as any other: the snapshot that a sandbox gets is the same again.
    snapshot(restored, tmp_path / "again")
    assert load(tmp_path / "again", "mine").source.sha256 == held.sha256


def test_another_text_under_the_same_hash_is_refused(tmp_path):
    held = source()
    other = source(speedrun=(ENTRY / "speedrun.py").read_text() + "# and a little more\n")
    # All that a forger can do without breaking sha256: keep the hash that others have seen, and change the files.
    assert "is not the one its hash names" in refused(msgspec.structs.replace(other, sha256=held.sha256), tmp_path)


def test_a_forged_hash_of_a_file_is_refused(tmp_path):
    held = source()
    lying = tuple(msgspec.structs.replace(one, sha256="0" * 64) for one in held.files)
    forged = Source(files=lying, sha256=source_sha256(lying))
    assert "is not the one its hash names" in refused(forged, tmp_path)


@pytest.mark.parametrize(
    "path",
    ["../escaped.py", "/tmp/escaped.py", "a/../../escaped.py", "", ".", "..", "a//b.py", "a\\..\\b.py", "a\0b.py"],
)
def test_no_path_leaves_the_folder(tmp_path, path):
    assert "holds no source that can be unpacked" in refused(source(file(path, "x = 1\n")), tmp_path)


@pytest.mark.parametrize("twice", ["speedrun.py", "config.py"])
def test_one_path_twice_is_refused(tmp_path, twice):
    """The second text would be what runs, or the first: nobody should have to know."""
    assert "two of its files" in refused(source(file(twice, "x = 1\n")), tmp_path)


def test_a_file_where_a_folder_must_be_is_refused(tmp_path):
    within = file("parts/norm.py", "x = 1\n")
    assert "two of its files" in refused(source(file("parts", "x\n"), within), tmp_path / "before")
    assert "two of its files" in refused(source(within, file("parts", "x\n")), tmp_path / "after")


def test_todays_static_rules_hold(tmp_path):
    assert "does not define setup(run)" in refused(source(speedrun="x = 1\n"), tmp_path)
    many = (file(f"part_{number}.py", "x = 1\n") for number in range(MAX_FILES))
    assert "files" in refused(source(*many), tmp_path / "many")


def test_an_empty_source_is_refused(tmp_path):
    assert "is missing" in refused(Source(files=(), sha256=source_sha256(())), tmp_path)
