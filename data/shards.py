"""Shards: files of tokens as the nanoGPT speedrun lays them out.

256 little-endian int32 (20240520, 1, number of tokens, zeros), then the tokens as little-endian uint16.
"""

import hashlib
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.manifest import Shard
from harness.errors import UserError

Tokens = npt.NDArray[np.uint16]

MAGIC, VERSION = 20240520, 1
HEADER = np.dtype("<i4")
HEADER_INTS = 256
HEADER_BYTES = HEADER_INTS * HEADER.itemsize
TOKEN = np.dtype("<u2")
_BLOCK = 1 << 20


def write_shard(path: Path, tokens: Tokens) -> None:
    """Write uint16 [n] tokens, whole or not at all. Raises OSError."""
    header = np.zeros(HEADER_INTS, dtype=HEADER)
    header[:3] = MAGIC, VERSION, tokens.size
    temporary = path.with_name(path.name + ".new")
    try:
        with temporary.open("wb") as out:
            out.write(header.tobytes())
            out.write(np.ascontiguousarray(tokens, dtype=TOKEN).data)
            out.flush()
            os.fsync(out.fileno())
        temporary.chmod(0o444)  # a run links it into a sandbox, whose user must be able to read it
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class ShardError(Exception):
    """What is wrong with a file, as a clause to follow "it is no shard:"."""


def open_shard(path: Path) -> Tokens:
    """The tokens of a shard, uint16 [n], memory-mapped and read-only. Raises UserError for what is no shard."""
    try:
        return map_tokens(path)
    except OSError as error:
        raise UserError(f"the shard {path.name} can't be read: {error.strerror}; prepare the data set again") from None
    except ShardError as fault:
        raise UserError(f"{path.name} is no shard: {fault}; prepare the data set again") from None


def map_tokens(path: Path) -> Tokens:
    """As `open_shard`, for a file that is not ours. Raises ShardError, OSError."""
    size = path.stat().st_size
    with path.open("rb") as stream:
        header = np.frombuffer(stream.read(HEADER_BYTES), dtype=np.uint8)
    if header.size < HEADER_BYTES:
        raise ShardError("it is shorter than a header")
    magic, version, count = (int(number) for number in header.view(HEADER)[:3])
    if (magic, version) != (MAGIC, VERSION):
        raise ShardError(f"it has no header of version {VERSION}")
    if count < 0 or size != shard_bytes(count):
        raise ShardError(f"it says {count} tokens and has another size")
    if count == 0:
        return np.empty(0, dtype=TOKEN)
    return np.memmap(path, dtype=TOKEN, mode="r", offset=HEADER_BYTES, shape=(count,))


def is_there(folder: Path, shard: Shard) -> bool:
    """Whether the file is there with its size; its hash is another question."""
    path = folder / shard.file
    return path.is_file() and path.stat().st_size == shard_bytes(shard.tokens)


def shard_bytes(tokens: int) -> int:
    """The size of a shard of so many tokens."""
    return HEADER_BYTES + TOKEN.itemsize * tokens


def shard_sha256(path: Path) -> str:
    """The hash of the whole file, header included. Raises OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()
