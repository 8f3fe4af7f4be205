"""Make a data set ready: its shards in the cache, every one with the hash that its manifest names.

Nothing is trained or scored on a shard whose hash is wrong. Small shards are hashed at every use; of large ones it is
remembered which size and time had the right hash.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from filelock import FileLock

from data import tales
from data.manifest import SPLITS, Manifest, Shard, Split, replace_text, to_toml
from data.shards import HEADER_BYTES, Tokens, open_shard, shard_sha256, write_shard
from harness.errors import UserError

HASH_EVERY_TIME_BYTES = 64 << 20
SPARE_BYTES = 64 << 20  # left free on the disk
VERIFIED = "verified.json"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Prepared:
    """A data set whose shards lie ready and are what the manifest says."""

    manifest: Manifest
    folder: Path

    def shards(self, split: str) -> tuple[Path, ...]:
        """The files of a split, in official order."""
        return tuple(self.folder / shard.file for shard in self.manifest.splits[split].shards)

    def tokens(self, split: str, limit: int | None = None) -> Tokens:
        """The first `limit` tokens of a split (None: all), uint16 [n]; memory-mapped when one shard holds them."""
        parts, left = [], self.manifest.splits[split].tokens if limit is None else limit
        for path in self.shards(split):
            if left <= 0:
                break
            parts.append(open_shard(path)[:left])
            left -= parts[-1].size
        return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, np.uint16), *parts])


def is_prepared(manifest: Manifest, cache: Path) -> bool:
    """Every shard is there with its size; hashes are looked at when it is used."""
    folder = cache / manifest.id
    return all(_there(folder, shard) for split in manifest.splits.values() for shard in split.shards)


def prepare(manifest: Manifest, cache: Path, say: Say = lambda line: None) -> Prepared:
    """Generate what is missing, check everything, and return the data set.

    Two processes may do this at once: the second one waits. Raises UserError: no space, a wrong hash, shards of an
    imported set that are gone.
    """
    folder = cache / manifest.id
    with _locked(folder):
        if not is_prepared(manifest, cache):
            if manifest.source.kind == "import":
                raise UserError(f"shards of {manifest.id} are gone from the cache; import it again")
            _demand_space(manifest, folder)
            say(f"preparing {manifest.id}")
            for name, split in manifest.splits.items():
                if _generate(manifest, name, folder).shards != split.shards:
                    raise UserError(
                        f"the generator makes another {name} split of {manifest.id} than its manifest pins; "
                        f"restore the folder data from git and delete data/cache/{manifest.id}"
                    )
        _check(manifest, folder, remember=True)
    return Prepared(manifest, folder)


def verify(manifest: Manifest, cache: Path) -> None:
    """Hash every shard, whatever is remembered. Raises UserError for one that is missing or wrong."""
    if not is_prepared(manifest, cache):
        raise UserError(f"{manifest.id} is not prepared; speedrun data prepare {manifest.id} makes it")
    _check(manifest, cache / manifest.id, remember=False)


def pin(path: Path, cache: Path) -> Manifest:
    """Generate an official data set anew and write its counts, hashes and floors into its manifest at `path`.

    For maintainers: whoever has the data then has the same bytes. Raises UserError when two documents are the same.
    """
    import tomllib

    written = msgspec.convert(tomllib.loads(path.read_text()), Manifest)
    with _locked(cache / written.id):
        splits = {name: _generate(written, name, cache / written.id) for name in SPLITS}
    made = msgspec.structs.replace(written, splits=splits)
    assert made.source.seed is not None
    numbers = range(sum(split.documents for split in splits.values()))
    if len({tales.text(made.source.seed, number) for number in numbers}) != len(numbers):
        raise UserError(f"{made.id} has the same document twice; choose another seed")
    for name, split in splits.items():
        first = made.first_document(name)
        price = tales.prices(made.source.seed, range(first, first + split.documents)) if split.floors else None
        floors = tuple(
            msgspec.structs.replace(floor, nats=float(price[1 : floor.targets + 1].mean()))
            for floor in split.floors
            if price is not None
        )
        splits[name] = msgspec.structs.replace(split, floors=floors)
    made = msgspec.structs.replace(made, splits=splits)
    replace_text(path, to_toml(made))
    return made


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process at a time. What the disk refuses leaves here as one line."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            yield
    except OSError as error:
        raise UserError(
            f"{folder.name} can't be kept in data/cache: {error.strerror or error}; "
            "free some space or mend the folder's permissions"
        ) from None


def _there(folder: Path, shard: Shard) -> bool:
    path = folder / shard.file
    return path.is_file() and path.stat().st_size == HEADER_BYTES + 2 * shard.tokens


def _demand_space(manifest: Manifest, folder: Path) -> None:
    needed = sum(HEADER_BYTES + 2 * split.tokens for split in manifest.splits.values())
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise UserError(
            f"preparing {manifest.id} needs {(needed + SPARE_BYTES) / 2**20:.0f} MiB of disk in data/cache, and "
            f"{free / 2**20:.0f} MiB are free; free some space and try again"
        )


def _generate(manifest: Manifest, name: str, folder: Path) -> Split:
    """Write a split's one shard with the tale generator; the split as it came out. Raises OSError: disk full."""
    split = manifest.splits[name]
    (shard,) = split.shards
    assert manifest.source.seed is not None
    first = manifest.first_document(name)
    tokens = tales.tokens(manifest.source.seed, range(first, first + split.documents))
    path = folder / shard.file
    write_shard(path, tokens)
    return msgspec.structs.replace(
        split,
        tokens=tokens.size,
        bytes=tokens.size - split.documents,
        shards=(Shard(file=shard.file, tokens=tokens.size, sha256=shard_sha256(path)),),
    )


def _check(manifest: Manifest, folder: Path, *, remember: bool) -> None:
    known = _remembered(folder) if remember else {}
    for split in manifest.splits.values():
        for shard in split.shards:
            path = folder / shard.file
            facts = path.stat()
            stamp = f"{facts.st_size} {facts.st_mtime_ns} {shard.sha256}"
            if known.get(shard.file) == stamp:
                continue
            if shard_sha256(path) != shard.sha256:
                again = "import it" if manifest.source.kind == "import" else f"speedrun data prepare {manifest.id}"
                raise UserError(
                    f"{shard.file} of {manifest.id} has the wrong hash: it is not the data that the manifest names; "
                    f"delete data/cache/{manifest.id}/{shard.file} and {again} again"
                )
            if remember and facts.st_size > HASH_EVERY_TIME_BYTES:
                known[shard.file] = stamp
                (folder / VERIFIED).write_bytes(msgspec.json.encode(known))


def _remembered(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((folder / VERIFIED).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
