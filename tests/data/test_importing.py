"""Somebody's own text becomes a data set, or one line says why not."""

import pydoc_data.topics
from pathlib import Path

import msgspec
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from data.importing import import_dataset, split_of
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
    assert len(pieces["train"]) > 3 * len(pieces["val"]) > 25
    assert manifest.splits["train"].left_out > 0  # reference manuals repeat themselves
    everything = "".join(text for texts in pieces.values() for text in texts)
    book_words = set("\n\n".join(PROSE).split())
    assert len(book_words & set(everything.split())) > 0.8 * len(book_words)


def runs(texts: list[str]) -> set[bytes]:
    """Every run of 256 bytes."""
    return {text[i : i + 256] for text in map(str.encode, texts) for i in range(len(text) - 255)}


def test_training_repeats_no_run_of_held_out_text(tmp_path):
    """Some train documents are made to quote held-out ones; by brute force, exactly those that do are left out."""
    cache = tmp_path / "cache"
    split = {text: split_of((text.strip() + "\n").encode()) for text in PROSE}
    held_out = [text for text in PROSE if split[text] != "train"]
    quotes = [
        f"Number {number} says: {text.strip()[number * 7 :][: 250 + number]}. And that is all.\n"
        for number, text in enumerate(held_out * 2)
    ]
    manifest = import_dataset("prose", [jsonl(tmp_path / "prose.jsonl", PROSE + quotes)], cache)
    told = {split: documents(manifest, cache, split) for split in SPLITS}
    forbidden = runs(told["val"] + told["spare"])
    assert not runs(told["train"]) & forbidden
    given = {text.strip() + "\n" for text in PROSE + quotes} - set(told["val"]) - set(told["spare"])
    dropped = given - set(told["train"])
    assert all(runs([text]) & forbidden for text in dropped)
    assert len(dropped) == manifest.splits["train"].left_out
    assert sum(text in dropped for text in quotes) > 10


@pytest.mark.parametrize("line", [90, 600])
def test_a_line_that_documents_share_is_no_repeat_and_a_page_is_named(tmp_path, line):
    """As a licence at the top of every file is: 400 documents."""
    whole = "\n\n".join(PROSE)
    texts = [f"{'Copyright ' * line}"[:line] + f"\n# {n}\n{whole[n * 1500 :][:1500]}" for n in range(400)]
    files = [jsonl(tmp_path / "code.jsonl", texts)]
    if line < 256:
        train = import_dataset("code", files, tmp_path / "cache").splits["train"]
        assert train.documents > 5 * train.left_out
    else:
        with pytest.raises(UserError, match=r"train would get 0 .*; 3\d\d training documents repeat 256 bytes of val"):
            import_dataset("code", files, tmp_path / "cache")


def test_short_text_files_are_one_document_each(tmp_path):
    files = []
    for number, text in enumerate(PROSE):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_text(text[:60_000], encoding="utf-8")
    manifest = import_dataset("files", files, tmp_path / "cache")
    told = {text for split in SPLITS for text in documents(manifest, tmp_path / "cache", split)}
    assert told <= {text[:60_000].strip() + "\n" for text in PROSE}
    assert len(told) + manifest.splits["train"].left_out == len(set(PROSE))


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
    assert len(told) == len(set(told)) == len(set(PROSE)) - manifest.splits["train"].left_out


def test_a_split_does_not_depend_on_the_other_documents(tmp_path):
    part = import_dataset("part", [jsonl(tmp_path / "part.jsonl", PROSE[:-9])], tmp_path / "cache")
    whole = import_dataset("whole", [jsonl(tmp_path / "whole.jsonl", PROSE)], tmp_path / "cache")
    for split in ("val", "spare"):
        assert set(documents(part, tmp_path / "cache", split)) <= set(documents(whole, tmp_path / "cache", split))
    held_out = {text for split in ("val", "spare") for text in documents(whole, tmp_path / "cache", split)}
    assert not set(documents(part, tmp_path / "cache", "train")) & held_out


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


@pytest.mark.parametrize("name", ["", "a b", "../up", "a/b", ".hidden", "-x", "x" * 41, "tales", "runs", "scratch"])
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
    assert sum(split.documents + split.left_out for split in manifest.splits.values()) == len(set(PROSE))


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
