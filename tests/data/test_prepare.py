"""Preparing: made once, checked every time, never half there."""

import itertools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from filelock import FileLock

from data import checking
from data import prepare as preparing
from data.manifest import Floor, Manifest, Shard, Source, Split, load_manifest, to_toml
from data.prepare import Prepared, is_prepared, pin, prepare, verify
from data.shards import HEADER_BYTES, open_shard, shard_sha256, write_shard
from data.watching import Silent, size
from harness.errors import UserError

DOCUMENTS = {"train": 40, "val": 8, "spare": 4}


@pytest.fixture(scope="session")
def pinned(tmp_path_factory) -> Path:
    """The manifest of a small set of tales, as a maintainer pins it."""
    path = tmp_path_factory.mktemp("datasets") / "small.toml"
    draft = Manifest(
        id="small",
        title="A few tales",
        version=1,
        source=Source(kind="generator", seed=5),
        tokenizer="bytes",
        vocab_size=256,
        separator=0,
        splits={
            name: Split(
                documents=count,
                tokens=1,
                bytes=1,
                shards=(Shard(file=f"small_{name}_000000.bin", tokens=1),),
                floors=(Floor(targets=4096, nats=0.0),) if name == "val" else (),
            )
            for name, count in DOCUMENTS.items()
        },
    )
    assert not draft.pinned
    path.write_text(to_toml(draft))
    pin(path, tmp_path_factory.mktemp("pins"))
    return path


@pytest.fixture
def small(pinned) -> Manifest:
    return load_manifest(pinned)


class Told(Silent):
    """What a watcher was told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.steps: list[tuple[int, int]] = []

    def note(self, line: str) -> None:
        self.lines.append(line)

    def progress(self, done: int, total: int) -> None:
        self.steps.append((done, total))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix == ".bin")


def python(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """Another process with this repository's packages."""
    root = Path(preparing.__file__).resolve().parents[1]
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": str(root)},
    )


PREPARE = """
import pathlib, resource, sys
from data.manifest import load_manifest
from data.prepare import prepare
from harness.errors import UserError
if len(sys.argv) > 3:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    print(prepare(load_manifest(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2])).tokens("val").sum())
except UserError as error:
    sys.exit(f"UserError: {error}")
"""


def test_pinning_writes_counts_hashes_and_floors(small):
    assert small.pinned
    assert {name: split.documents for name, split in small.splits.items()} == DOCUMENTS
    assert 0.1 < small.floor_nats("val", 4096) < 0.4
    assert all(split.tokens == split.bytes + split.documents for split in small.splits.values())


def test_a_prepared_set_is_the_shards_and_their_tokens(small, tmp_path):
    told = Told()
    prepared = prepare(small, tmp_path, told)
    assert told.lines == ["preparing small"]
    assert is_prepared(small, tmp_path)
    for name, split in small.splits.items():
        (path,) = prepared.shards(name)
        assert path == tmp_path / "small" / f"small_{name}_000000.bin"
        tokens = prepared.tokens(name)
        assert tokens.size == split.tokens
        assert np.array_equal(prepared.tokens(name, 100), tokens[:100])
        assert np.array_equal(tokens, open_shard(path))


def test_several_shards_are_one_stream(small, tmp_path):
    prepared = prepare(small, tmp_path)
    shards = [small.splits[name].shards[0] for name in ("val", "spare")]
    both = msgspec.structs.replace(
        small.splits["val"], shards=tuple(shards), tokens=sum(shard.tokens for shard in shards)
    )
    # A manifest's splits may not share a shard, so it is put there behind its back.
    unchecked = msgspec.structs.replace(small, splits=dict(small.splits))
    unchecked.splits["val"] = both
    joined = Prepared(unchecked, prepared.folder)
    stream = np.concatenate([prepared.tokens("val"), prepared.tokens("spare")])
    for limit in (0, 1, shards[0].tokens, shards[0].tokens + 1, None):
        assert np.array_equal(joined.tokens("val", limit), stream[:limit])


def test_a_cached_set_is_not_made_again(small, tmp_path):
    before = {path: path.stat().st_mtime_ns for path in prepare(small, tmp_path).folder.glob("*.bin")}
    told = Told()
    prepare(small, tmp_path, told)
    assert told.lines == []
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "small").glob("*.bin")} == before


@pytest.mark.parametrize("step", [prepare, verify])
def test_a_wrong_hash_names_the_file_and_the_remedy(small, tmp_path, step):
    path = prepare(small, tmp_path).shards("val")[0]
    flip(path)
    with pytest.raises(UserError, match=r"small_val_000000\.bin of small has the wrong hash.*delete .*prepare small"):
        step(small, tmp_path)
    path.unlink()
    assert prepare(small, tmp_path).tokens("val").size == small.splits["val"].tokens
    verify(small, tmp_path)


def flip(path: Path) -> None:
    """Changes one bit, and neither the size nor the time."""
    stat = path.stat()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.chmod(0o644)
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_a_large_file_is_hashed_once_for_its_time_but_always_by_verify(small, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "HASH_EVERY_TIME_BYTES", 0)
    path = prepare(small, tmp_path).shards("val")[0]
    flip(path)
    prepare(small, tmp_path)
    with pytest.raises(UserError, match="wrong hash"):
        verify(small, tmp_path)
    path.touch()
    with pytest.raises(UserError, match="wrong hash"):
        prepare(small, tmp_path)


def test_a_copied_cache_is_hashed_anew(small, tmp_path, monkeypatch):
    """Though the copies have the sizes and times of the files that were right."""
    monkeypatch.setattr(checking, "HASH_EVERY_TIME_BYTES", 0)
    there = prepare(small, tmp_path / "there")
    into = tmp_path / "into"
    into.mkdir()
    there.link_train(into, None)  # as every run does
    told = Told()
    prepare(small, tmp_path / "there", told)
    assert told.lines == []
    shutil.copytree(tmp_path / "there", tmp_path / "here")
    flip(tmp_path / "here" / "small" / "small_val_000000.bin")
    with pytest.raises(UserError, match=r"small_val_000000\.bin of small has the wrong hash"):
        prepare(small, tmp_path / "here")


def test_hashing_that_takes_long_is_watched_and_done_once(small, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, "HASH_EVERY_TIME_BYTES", 0)
    made, told, again = prepare(small, tmp_path), Told(), Told()
    verify(small, tmp_path, told)
    prepare(small, tmp_path, again)
    total = sum(split.tokens for split in small.splits.values())
    assert told.lines == ["checking the hashes of small, " + size(2 * total + 3 * HEADER_BYTES)]
    assert [step[1] for step in told.steps] == [total] * 3
    assert again.lines == again.steps == []
    (made.folder / "verified.json").unlink()
    shards = [shard for split in small.splits.values() for shard in split.shards]
    checking.check(small, shards, made.folder, again, hashed=frozenset(shard.file for shard in shards))
    prepare(small, tmp_path, again)
    assert again.lines == again.steps == []  # what hashed them just now was believed, and remembered


def test_whoever_waits_for_another_process_is_told(small, tmp_path):
    (tmp_path / "small").mkdir()
    lock = FileLock(tmp_path / "small" / "lock")

    class Waiting(Told):
        def note(self, line: str) -> None:
            super().note(line)
            lock.release()

    told = Waiting()
    with lock:
        prepare(small, tmp_path, told)
    assert told.lines[0] == "another process is preparing small; waiting for it"
    with FileLock(tmp_path / "small" / "lock", timeout=0):  # and it was let go
        pass


def test_a_cache_where_no_lock_can_be_made_serves_what_is_there(small, tmp_path, monkeypatch):
    """Read-only for this user, say. Here the lock is a folder, which even root can't open as a file."""
    monkeypatch.setattr(checking, "HASH_EVERY_TIME_BYTES", 0)
    folder = prepare(small, tmp_path).folder
    for name in ("lock", "verified.json"):
        (folder / name).unlink()
    (folder / "lock").mkdir()
    before = names(folder)
    assert prepare(small, tmp_path).tokens("val").size == small.splits["val"].tokens
    assert sorted(path.name for path in folder.iterdir()) == sorted([*before, "lock"])
    flip(folder / "small_val_000000.bin")
    with pytest.raises(UserError, match="wrong hash"):
        prepare(small, tmp_path)
    (folder / "small_val_000000.bin").unlink()
    with pytest.raises(UserError, match="small can't be kept in data/cache: Is a directory"):
        prepare(small, tmp_path)


def test_a_generator_that_makes_other_bytes_is_told_at_once(small, tmp_path):
    (shard,) = small.splits["val"].shards
    val = msgspec.structs.replace(small.splits["val"], shards=(msgspec.structs.replace(shard, sha256="0" * 64),))
    other = msgspec.structs.replace(small, splits={**small.splits, "val": val})
    with pytest.raises(UserError, match="makes another val split of small than its manifest pins; restore"):
        prepare(other, tmp_path)


def test_a_set_that_is_not_there_cannot_be_verified(small, tmp_path):
    with pytest.raises(UserError, match="small is not prepared; speedrun data prepare small"):
        verify(small, tmp_path)


def test_an_imported_set_that_is_gone_cannot_be_made(small, tmp_path):
    imported = msgspec.structs.replace(small, source=Source(kind="import", files=("a.txt",)))
    with pytest.raises(UserError, match="gone from the cache; import it again"):
        prepare(imported, tmp_path)


def test_a_disk_that_fills_up_leaves_no_part_of_a_shard(pinned, tmp_path):
    """The kernel refuses to let a file grow, as a full disk does."""
    child = python(PREPARE, pinned, tmp_path, 4096)
    said, _ = child.communicate()
    assert child.returncode == 1
    assert said.startswith("UserError: small can't be kept in data/cache: File too large")
    assert names(tmp_path / "small") == []
    assert [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 0] == []


def test_too_small_a_disk_is_told_before_anything_is_written(small, tmp_path):
    (shard,) = small.splits["train"].shards
    tokens = shutil.disk_usage(tmp_path).free
    train = msgspec.structs.replace(
        small.splits["train"], tokens=tokens, shards=(msgspec.structs.replace(shard, tokens=tokens),)
    )
    with pytest.raises(UserError, match=r"small needs [\d.,]+ GB of disk .*, [\d.,]+ GB are free"):
        prepare(msgspec.structs.replace(small, splits={**small.splits, "train": train}), tmp_path)
    assert names(tmp_path / "small") == []


def test_a_cache_that_is_no_folder_is_one_line(small, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(UserError, match="small can't be kept in data/cache: Not a directory"):
        prepare(small, tmp_path / "cache")


def test_two_processes_may_prepare_at_once(pinned, small, tmp_path):
    children = [python(PREPARE, pinned, tmp_path) for _ in range(2)]
    said = {child.communicate()[0] for child in children}
    assert [child.returncode for child in children] == [0, 0], said
    assert said == {f"{prepare(small, tmp_path).tokens('val').sum()}\n"}
    assert names(tmp_path / "small") == sorted(f"small_{split}_000000.bin" for split in DOCUMENTS)


def test_the_remains_of_a_process_that_died_do_no_harm(small, tmp_path):
    whole = prepare(small, tmp_path).shards("train")[0]
    whole.chmod(0o644)
    whole.write_bytes(whole.read_bytes()[:2000])
    (tmp_path / "small" / "small_val_000000.bin.new").write_bytes(b"half")
    assert not is_prepared(small, tmp_path)
    assert prepare(small, tmp_path).tokens("train").size == small.splits["train"].tokens


def test_more_tokens_than_there_are_is_one_line(small, tmp_path):
    most = small.splits["train"].tokens
    with pytest.raises(UserError, match=f"small has {most:,} training tokens, not {most + 1:,}"):
        prepare(small, tmp_path, tokens=most + 1)
    prepare(small, tmp_path, tokens=most)


@pytest.fixture
def three_shards(small, tmp_path) -> Prepared:
    """Its training split as three shards, the last one short."""
    made = prepare(small, tmp_path)
    stream = made.tokens("train")
    cuts = [0, 20_000, 40_000, stream.size]
    shards = []
    for number, (start, end) in enumerate(itertools.pairwise(cuts)):
        path = made.folder / f"part_{number}.bin"
        write_shard(path, stream[start:end])
        shards.append(Shard(file=path.name, tokens=end - start, sha256=shard_sha256(path)))
    train = msgspec.structs.replace(small.splits["train"], shards=tuple(shards))
    return Prepared(msgspec.structs.replace(small, splits={**small.splits, "train": train}), made.folder)


@pytest.mark.parametrize("tokens", [1, 19_999, 20_000, 20_001, 40_000, 40_001, None])
def test_a_run_gets_exactly_the_first_tokens(three_shards, tmp_path, tokens):
    into = tmp_path / "into"
    into.mkdir()
    found = three_shards.link_train(into, tokens)
    stream = three_shards.tokens("train")
    assert np.array_equal(np.concatenate([open_shard(into / name) for name in found]), stream[:tokens])
    assert sorted(path.name for path in into.iterdir()) == sorted(found) == list(found)
    assert {path.stat().st_mode & 0o777 for path in into.iterdir()} == {0o444}
    for name in found:
        linked = (into / name).stat().st_ino == (three_shards.folder / name).stat().st_ino
        assert linked == ((into / name).stat().st_size == (three_shards.folder / name).stat().st_size)
    assert (into / found[-1]).stat().st_size > HEADER_BYTES


def test_a_smaller_set_gives_what_it_has(three_shards, tmp_path):
    into = tmp_path / "into"
    into.mkdir()
    assert len(three_shards.link_train(into, 10**12)) == 3


def test_only_the_shards_that_are_needed_count(three_shards, tmp_path):
    manifest = three_shards.manifest
    (three_shards.folder / "part_2.bin").unlink()
    assert not is_prepared(manifest, tmp_path)
    assert is_prepared(manifest, tmp_path, 40_000)
    assert not is_prepared(manifest, tmp_path, 40_001)
    assert preparing.prepared_tokens(manifest, tmp_path) == 40_000
    assert verify(manifest, tmp_path) == 40_000
    flip(three_shards.folder / "part_1.bin")
    with pytest.raises(UserError, match=r"part_1\.bin of small has the wrong hash"):
        verify(manifest, tmp_path)
    with pytest.raises(UserError, match=r"part_1\.bin of small has the wrong hash"):
        prepare(manifest, tmp_path, tokens=30_000)
    prepare(manifest, tmp_path, tokens=20_000)


def test_bytes_are_read_as_the_text_that_they_are(prepared_tales):
    story = prepared_tales.tokens("val", 200).tolist()
    assert prepared_tales.text(story).encode() == bytes(story)
    assert prepared_tales.text(list("Größe".encode())) == "Größe"
    assert prepared_tales.text(list("Größe".encode()[:3])) == "Gr\N{REPLACEMENT CHARACTER}"  # cut inside a letter
