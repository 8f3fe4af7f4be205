"""What an entry is known by once it is read: its card, its fields, its source; nothing of it is executed."""

import os

import pytest

from harness.folder import safe_path
from harness.result import Source, SourceFile, source_sha256
from harness.submission import ConfigField, Submission, check, load, snapshot
from tests.harness.submission.folders import CONFIG, SPEEDRUN


def test_a_good_entry_loads(entry):
    assert check(entry, "me") == ()
    submission = load(entry, "me")
    assert submission.entry.title == "Small and quick"
    assert [author.link for author in submission.entry.authors] == ["https://example.org/ada", "@bob"]
    assert submission.entry.based_on == "baseline"
    assert [file.path for file in submission.source.files] == ["config.py", "speedrun.py", "submission.toml"]
    assert submission.source.files[1].text == SPEEDRUN
    assert submission.source.sha256 == source_sha256(submission.source.files)
    assert submission.fields[0] == ConfigField("lr", "float", "0.0003")
    names = ["lr", "d_model", "name", "fused", "betas", "widths", "limit", "share"]
    assert [field.name for field in submission.fields] == names


def test_a_snapshot_is_the_source_byte_for_byte_and_nothing_else(entry, tmp_path):
    (entry / "layers").mkdir()
    (entry / "layers" / "norm.py").write_bytes(b"x = 1\r\ny = 2\n")
    (entry / "README.md").write_text("Größe, 大きさ\n")
    (entry / "__pycache__").mkdir()
    (entry / "__pycache__" / "config.cpython-311.pyc").write_bytes(b"\0\xff")
    (entry / "old.pyc").write_bytes(b"\0\xff")
    (entry / ".mypy_cache").mkdir()
    (entry / ".mypy_cache" / "x.db").write_bytes(b"\0\xff")
    submission = load(entry, "me")
    copy = tmp_path / "copy"
    old = os.umask(0o077)
    try:
        snapshot(submission, copy)
    finally:
        os.umask(old)
    written = {str(path.relative_to(copy)): path for path in copy.rglob("*") if path.is_file()}
    assert sorted(written) == ["README.md", "config.py", "layers/norm.py", "speedrun.py", "submission.toml"]
    for path, copied in written.items():
        assert copied.read_bytes() == (entry / path).read_bytes()
        assert copied.stat().st_mode & 0o777 == 0o644
    assert (copy / "layers").stat().st_mode & 0o777 == 0o755
    with pytest.raises(FileExistsError):
        snapshot(submission, copy)


@pytest.mark.parametrize("path", ["../x.py", "/x.py", "a//b.py", "a/../b.py", ".", "..", "", "a\0b", "ä.py"])
def test_a_snapshot_never_leaves_its_folder(entry, tmp_path, path):
    honest = load(entry, "me")
    files = (SourceFile(path=path, text="x", sha256="0"),)
    forged = Submission(name="me", entry=honest.entry, source=Source(files=files, sha256="0"), fields=None)
    assert not safe_path(path)
    with pytest.raises(ValueError, match="not a path inside an entry"):
        snapshot(forged, tmp_path / "copy")


def test_nothing_is_imported_or_executed(entry, tmp_path):
    mark = tmp_path / "mark"
    trap = f"open({str(mark)!r}, 'w').close()\n"
    for name, text in (("speedrun.py", SPEEDRUN), ("config.py", CONFIG), ("__init__.py", ""), ("conftest.py", "")):
        (entry / name).write_text(text + trap)
    assert check(entry, "me") == ()
    load(entry, "me")
    assert not mark.exists()
