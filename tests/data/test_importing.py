"""Somebody's own text becomes a data set, or one line says why not."""

import pydoc_data.topics
from pathlib import Path

import msgspec
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from data.importing import import_dataset
from data.manifest import SPLITS, Manifest, find, load_manifest
from data.prepare import is_prepared, prepare, verify
from harness.errors import UserError

PROSE = list(pydoc_data.topics.topics.values())  # about 0.7 MB of real prose that every Python has


def documents(manifest: Manifest, cache: Path, split: str) -> list[str]:
    stream = bytes(prepare(manifest, cache).tokens(split).astype(np.uint8))
    assert stream[:1] == b"\0"
    return [document.decode() for document in stream.split(b"\0")[1:]]


def jsonl(path: Path, texts: list[str]) -> Path:
    path.write_bytes(b"\n".join(msgspec.json.encode({"text": text, "more": 1}) for text in texts) + b"\n")
    return path


def parquet(path: Path, texts: list[str | None]) -> Path:
    pyarrow.parquet.write_table(pyarrow.table({"text": texts, "other": [1] * len(texts)}), path)
    return path


def test_real_prose_from_one_long_file(tmp_path):
    """Without documents of its own, a long text is cut at blank lines into pieces of a few KB."""
    book = tmp_path / "book.txt"
    book.write_text("\n\n".join(PROSE), encoding="utf-8")
    manifest = import_dataset("book", [book], tmp_path / "cache")
    assert find("book", tmp_path / "none", tmp_path / "cache") == manifest
    assert is_prepared(manifest, tmp_path / "cache")
    verify(manifest, tmp_path / "cache")
    assert manifest.source.kind == "import"
    assert not manifest.pinned  # practice: never official
    pieces = {split: documents(manifest, tmp_path / "cache", split) for split in SPLITS}
    for split, texts in pieces.items():
        described = manifest.splits[split]
        assert described.documents == len(texts)
        assert described.bytes == sum(len(text.encode()) for text in texts) == described.tokens - len(texts)
    assert len(pieces["train"]) > 5 * len(pieces["val"]) > 25
    everything = "".join(text for texts in pieces.values() for text in texts)
    assert {word for text in PROSE[:3] for word in text.split()} <= set(everything.split())


def test_short_text_files_are_one_document_each(tmp_path):
    files = []
    for number, text in enumerate(PROSE):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_text(text[:60_000], encoding="utf-8")
    manifest = import_dataset("files", files, tmp_path / "cache")
    told = {text for split in SPLITS for text in documents(manifest, tmp_path / "cache", split)}
    assert told == {text[:60_000].strip() + "\n" for text in PROSE}


def test_every_format_gives_the_same_data_set(tmp_path):
    lines = jsonl(tmp_path / "prose.jsonl", PROSE)
    table = parquet(tmp_path / "prose.parquet", PROSE)
    one = import_dataset("prose", [lines], tmp_path / "one")
    other = import_dataset("prose", [table], tmp_path / "other")
    assert one.splits == other.splits
    assert one.sha256 == other.sha256


def test_no_document_is_in_two_splits_and_repeats_count_once(tmp_path):
    manifest = import_dataset("prose", [jsonl(tmp_path / "twice.jsonl", PROSE + PROSE)], tmp_path / "cache")
    told = [text for split in SPLITS for text in documents(manifest, tmp_path / "cache", split)]
    assert len(told) == len(set(told)) == len(set(PROSE))


def test_a_split_does_not_depend_on_the_other_documents(tmp_path):
    part = import_dataset("part", [jsonl(tmp_path / "part.jsonl", PROSE[:-9])], tmp_path / "cache")
    whole = import_dataset("whole", [jsonl(tmp_path / "whole.jsonl", PROSE)], tmp_path / "cache")
    for split in SPLITS:
        assert set(documents(part, tmp_path / "cache", split)) <= set(documents(whole, tmp_path / "cache", split))


def test_text_beyond_ascii_is_utf_8(tmp_path):
    texts = [f"Größe {number}: “日本語” 🙂 " + text for number, text in enumerate(PROSE)]
    manifest = import_dataset("prose", [jsonl(tmp_path / "beyond.jsonl", texts)], tmp_path / "cache")
    assert "日本語" in documents(manifest, tmp_path / "cache", "val")[0]
    assert prepare(manifest, tmp_path / "cache").tokens("train").max() < 256


def test_importing_again_replaces(tmp_path):
    import_dataset("prose", [jsonl(tmp_path / "prose.jsonl", PROSE)], tmp_path / "cache")
    again = import_dataset("prose", [jsonl(tmp_path / "part.jsonl", PROSE[:-9])], tmp_path / "cache")
    assert load_manifest(tmp_path / "cache" / "prose" / "manifest.toml") == again
    verify(again, tmp_path / "cache")


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", ".hidden", "-x", "x" * 41, "tales"])
def test_a_bad_name_is_refused(tmp_path, name):
    with pytest.raises(UserError, match=r"choose another|is no name"):
        import_dataset(name, [jsonl(tmp_path / "prose.jsonl", PROSE)], tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", r"a\.txt holds no text"),
        ("a.txt", b" \n\n ", r"a\.txt holds no text"),
        ("a.txt", b"\xff\xd8\xff\xe0 a picture", r"a\.txt is not UTF-8 text; convert it first"),
        ("a.jsonl", b"\x80\n", r"a\.jsonl, line 1"),
        ("a.jsonl", b'{"text": "fine"}\n{"txt": "x"}\n', r'a\.jsonl, line 2: no object with a "text"'),
        ("a.jsonl", b'{"text": 7}\n', r'a\.jsonl, line 1: no object with a "text"'),
        ("a.jsonl", b'{"text": "cut', r"a\.jsonl, line 1"),
        ("a.parquet", b"PAR1 not really", r"a\.parquet is no parquet file that can be read"),
        ("a.parquet", b"", r"a\.parquet is no parquet file that can be read"),
        ("a.pdf", b"%PDF", r"a\.pdf is none of \.txt, .*\.jsonl, \.parquet"),
        ("a", b"text", r"a is none of \.txt"),
        ("a.txt", b"One small text.", r"too little text: \w+ would get \d different documents and \d+ bytes"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        import_dataset("mine", [path], tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def test_a_parquet_file_without_text_is_one_line(tmp_path):
    columns = pyarrow.table({"body": ["x"], "label": [1]})
    pyarrow.parquet.write_table(columns, tmp_path / "a.parquet")
    with pytest.raises(UserError, match=r'a\.parquet has no column "text"; its columns are: body, label'):
        import_dataset("mine", [tmp_path / "a.parquet"], tmp_path / "cache")
    pyarrow.parquet.write_table(pyarrow.table({"text": [1, 2]}), tmp_path / "b.parquet")
    with pytest.raises(UserError, match=r'b\.parquet: its column "text" holds int'):
        import_dataset("mine", [tmp_path / "b.parquet"], tmp_path / "cache")


def test_rows_without_text_are_left_out(tmp_path):
    texts: list[str | None] = [*PROSE, None, "", "  "]
    manifest = import_dataset("prose", [parquet(tmp_path / "holes.parquet", texts)], tmp_path / "cache")
    assert sum(split.documents for split in manifest.splits.values()) == len(set(PROSE))


def test_a_file_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"there is no file .*gone\.txt"):
        import_dataset("mine", [tmp_path / "gone.txt"], tmp_path / "cache")
    (tmp_path / "folder.txt").mkdir()
    with pytest.raises(UserError, match=r"folder\.txt"):
        import_dataset("mine", [tmp_path / "folder.txt"], tmp_path / "cache")


def test_a_cache_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match="mine can't be written to data/cache: Not a directory"):
        import_dataset("mine", [jsonl(tmp_path / "prose.jsonl", PROSE)], tmp_path / "cache")
