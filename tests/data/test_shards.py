"""The shard format: what is written is read, and nothing else is read."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.shards import HEADER_BYTES, open_shard, shard_sha256, write_shard
from harness.errors import UserError


@pytest.fixture
def shard(tmp_path):
    path = tmp_path / "one.bin"
    write_shard(path, np.arange(10, dtype=np.uint16))
    return path


@given(st.lists(st.integers(0, 65_535), min_size=1, max_size=200))
def test_what_is_written_is_read(tmp_path_factory, tokens):
    path = tmp_path_factory.mktemp("shards") / "some.bin"
    write_shard(path, np.array(tokens, dtype=np.uint16))
    assert open_shard(path).tolist() == tokens
    assert path.stat().st_size == HEADER_BYTES + 2 * len(tokens)


def test_the_layout_is_that_of_the_nanogpt_speedrun(shard):
    content = shard.read_bytes()
    assert np.frombuffer(content[:1024], dtype="<i4").tolist() == [20240520, 1, 10] + [0] * 253
    assert np.frombuffer(content[1024:], dtype="<u2").tolist() == list(range(10))
    assert shard_sha256(shard) == hashlib.sha256(content).hexdigest()


def test_tokens_are_mapped_and_cannot_be_written(shard):
    tokens = open_shard(shard)
    assert isinstance(tokens, np.memmap)
    with pytest.raises(ValueError):
        tokens[0] = 1


def test_writing_leaves_nothing_else_and_replaces_as_a_whole(shard):
    write_shard(shard, np.full(3, 7, dtype=np.uint16))
    assert open_shard(shard).tolist() == [7, 7, 7]
    assert [path.name for path in shard.parent.iterdir()] == ["one.bin"]
    assert shard.stat().st_mode & 0o777 == 0o444  # a sandbox's user reads it, nobody writes it


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda content: b"", "shorter than a header"),
        (lambda content: content[:1000], "shorter than a header"),
        (lambda content: b"\0" + content[1:], "no header of version 1"),
        (lambda content: content[:4] + b"\2" + content[5:], "no header of version 1"),
        (lambda content: content[:-1], "has another size"),
        (lambda content: content + b"\0\0", "has another size"),
        (lambda content: content[:8] + b"\xff\xff\xff\xff" + content[12:], "has another size"),
    ],
)
def test_what_is_no_whole_shard_is_refused(tmp_path, shard, spoil, message):
    path = tmp_path / "spoilt.bin"
    path.write_bytes(spoil(shard.read_bytes()))
    with pytest.raises(UserError, match=rf"spoilt\.bin .*{message}.*prepare the data set again"):
        open_shard(path)


def test_a_missing_shard_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"gone\.bin can't be read: No such file"):
        open_shard(tmp_path / "gone.bin")
