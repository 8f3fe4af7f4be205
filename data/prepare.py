"""Make a data set ready: its shards in the cache, every one with the hash that its manifest names.

Nothing is trained or scored on a shard whose hash is wrong.
"""

import contextlib
import functools
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from filelock import FileLock, Timeout

from data import disk, fetching, tales
from data.checking import check
from data.manifest import (
    BYTES,
    MANIFEST,
    SPLITS,
    Manifest,
    Shard,
    Split,
    load_manifest,
    replace_text,
    resolved,
    to_toml,
)
from data.shards import Tokens, is_there, open_shard, shard_sha256, write_shard
from data.tokenizer import Tokenizer
from data.watching import Silent, Watcher
from harness.errors import UserError


@dataclass(frozen=True)
class Prepared:
    """A data set whose shards lie ready and are what the manifest says.

    manifest: with counts, hashes and commits. Where these are not pinned but came out on this machine, its training
    split has exactly the shards that were asked for, so that its hash says the same on every machine that asks so.
    """

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

    def text(self, tokens: Sequence[int]) -> str | None:
        """What these tokens say; None where the tokenizer does not lie beside the shards.

        Raises UserError for a tokenizer.json that can't be used.
        """
        if self.manifest.tokenizer == BYTES:
            return bytes(token for token in tokens if token < 256).decode("utf-8", "replace")
        path = self.folder / fetching.TOKENIZER
        if not path.is_file():
            return None
        changed_ns = path.stat().st_mtime_ns
        return _tokenizer(path, self.manifest.tokenizer, self.manifest.vocab_size, changed_ns).decode(tokens)

    def link_train(self, into: Path, tokens: int | None) -> tuple[str, ...]:
        """Let the first `tokens` training tokens (None: all) appear in a folder; the file names in official order.

        Links where that is possible, else copies; the last shard is a shortened copy where it holds more than is asked
        for. A smaller data set gives what it has. Raises OSError, and UserError for a shard that is not there.
        """
        names = []
        left = self.manifest.splits["train"].tokens if tokens is None else tokens
        for shard in self.manifest.splits["train"].shards:
            if left <= 0:
                break
            path, place = self.folder / shard.file, into / shard.file
            if shard.tokens > left:
                write_shard(place, open_shard(path)[:left])
            else:
                _link(path, place)
            left -= shard.tokens
            names.append(shard.file)
        return tuple(names)


@functools.lru_cache(maxsize=2)
def _tokenizer(path: Path, name: str, vocab_size: int, changed_ns: int) -> Tokenizer:
    """Made once: of 49,152 tokens it takes half a second. Raises UserError as Tokenizer."""
    return Tokenizer(path, name, vocab_size)


def _link(path: Path, place: Path) -> None:
    try:
        os.link(path, place)
    except FileNotFoundError:
        raise UserError(f"the shard {path.name} is gone; prepare the data set again") from None
    except OSError:  # another file system, or one without links
        shutil.copyfile(path, place)
        place.chmod(0o444)


def is_prepared(manifest: Manifest, cache: Path, tokens: int | None = None) -> bool:
    """Every held-out shard and the first `tokens` training tokens (None: all) are there.

    By their sizes: hashes are looked at when they are used. Raises UserError for a broken resolved manifest.
    """
    known = _known(manifest, cache)
    shards = None if known is None else _shards(known, tokens)
    return shards is not None and all(is_there(cache / manifest.id, shard) for shard in shards)


def prepare(manifest: Manifest, cache: Path, watcher: Watcher | None = None, *, tokens: int | None = None) -> Prepared:
    """Generate or fetch what is missing, check everything, and return the data set.

    tokens: so many of the first training tokens are needed, and no shard beyond them; None: all.

    Two processes may do this at once: the second one waits. Who may not write to the cache can use what is there whole.

    Raises UserError: no space, a wrong hash, shards of an imported set that are gone, more tokens than there are, what
    keeps the hub from being read.
    """
    watcher = watcher or Silent()
    most = manifest.expected_tokens("train")
    if tokens is not None and tokens > most:
        raise UserError(
            f"{manifest.id} has {most:,} training tokens, not {tokens:,}; ask for fewer, or for all of them"
        )
    folder = cache / manifest.id
    made: frozenset[str] = frozenset()
    with _locked(folder, watcher) as refusal:
        known = _agreed(manifest, cache, may_write=refusal is None)
        if not is_prepared(manifest, cache, tokens):
            if refusal is not None:
                raise refusal
            _clean(folder)
            disk.demand(known, folder, tokens, watcher)
            match manifest.source.kind:
                case "import":
                    raise UserError(f"shards of {manifest.id} are gone from the cache; import it again")
                case "generator":
                    watcher.note(f"preparing {manifest.id}")
                    _generate_all(manifest, folder)
                case "hub":
                    known, made = fetching.fetch(known, folder, tokens, watcher)
        shards = _shards(known, tokens)
        assert shards is not None
        check(known, shards, folder, watcher, hashed=made, remember=refusal is None)
    return Prepared(_restricted(known, tokens), folder)


def verify(manifest: Manifest, cache: Path, watcher: Watcher | None = None) -> int:
    """Hash every shard that is here, whatever is remembered; how many training tokens are good.

    Raises UserError for a shard that is wrong, and where not even the held-out splits and one training shard are there.
    """
    folder = cache / manifest.id
    known = _known(manifest, cache)
    train = () if known is None else tuple(shard for shard in known.splits["train"].shards if is_there(folder, shard))
    held_out = () if known is None else _shards(known, 0)
    if known is None or not train or not all(is_there(folder, shard) for shard in held_out or ()):
        raise UserError(f"{manifest.id} is not prepared; speedrun data prepare {manifest.id} makes it")
    check(known, (*(held_out or ()), *train), folder, watcher or Silent(), anew=True, remember=False)
    return sum(shard.tokens for shard in train)


def prepared_tokens(manifest: Manifest, cache: Path) -> int:
    """How many of the first training tokens are there, by the sizes of their shards; 0 without the held-out splits."""
    if not is_prepared(manifest, cache, 0):
        return 0
    known = _known(manifest, cache)
    count = 0
    for shard in known.splits["train"].shards if known is not None else ():
        if not is_there(cache / manifest.id, shard):
            break
        count += shard.tokens
    return count


def pin(path: Path, cache: Path, watcher: Watcher | None = None) -> Manifest:
    """Make an official data set anew, or fetch all of it, and write what came out into its manifest at `path`.

    For maintainers: whoever has the data then has the same bytes. Counts and hashes; of the hub's sets the commits too,
    of generated ones the floors. Raises UserError, as preparing does; when two generated documents are the same.
    """
    written = load_manifest(path)
    if written.source.kind == "hub":
        made = prepare(written, cache, watcher).manifest
        replace_text(path, to_toml(msgspec.structs.replace(made, resolved_here=False)))
        made = load_manifest(path)
        with _locked(cache / made.id, watcher or Silent()) as refusal:
            _agreed(made, cache, may_write=refusal is None)
        return made
    with _locked(cache / written.id, watcher or Silent()) as refusal:
        if refusal is not None:
            raise refusal
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


def _known(manifest: Manifest, cache: Path) -> Manifest | None:
    """The manifest with its splits: as it is, else as it came out here. None: neither."""
    if manifest.splits:
        return manifest
    found = resolved(manifest, cache)
    return found if found is not None and found.same_recipe(manifest) else None


def _agreed(manifest: Manifest, cache: Path, *, may_write: bool) -> Manifest:
    """What is known of a data set whose manifest and cache are of one mind: with splits unless nothing was made yet.

    Raises UserError where the cache holds something else than the manifest says today.
    """
    found = resolved(manifest, cache)
    if found is None or manifest.source.kind != "hub":
        return manifest
    listed = [shard for split in found.splits.values() for shard in split.shards]
    if not manifest.pinned:
        agreed = found.same_recipe(manifest)
    else:
        due = {shard.file: shard.sha256 for split in manifest.splits.values() for shard in split.shards}
        agreed = all(due.get(shard.file) == shard.sha256 for shard in listed)
    if not agreed:
        raise UserError(
            f"data/cache/{manifest.id} was prepared from another manifest of {manifest.id} than today's; "
            f"delete that folder and prepare it again"
        )
    if manifest.pinned:
        if may_write:
            (cache / manifest.id / MANIFEST).unlink()  # from now on the official one holds
        return manifest
    return found


def _shards(known: Manifest, tokens: int | None) -> tuple[Shard, ...] | None:
    """Every shard of the held-out splits and those of the first training tokens; None: not all are known yet."""
    train = known.needed_shards(tokens)
    if train is None:
        return None
    return (*train, *(shard for name, split in known.splits.items() if name != "train" for shard in split.shards))


def _restricted(known: Manifest, tokens: int | None) -> Manifest:
    train = known.needed_shards(tokens)
    if not known.resolved_here or not train or len(train) == len(known.splits["train"].shards):
        return known
    return msgspec.structs.replace(known, splits={**known.splits, "train": fetching.train_split(train)})


@contextlib.contextmanager
def _locked(folder: Path, watcher: Watcher) -> Iterator[OSError | None]:
    """One process at a time; or why there can be no lock, for a cache that this user may only read.

    What the disk refuses leaves here as one line.
    """
    lock = FileLock(folder / "lock")
    refusal: OSError | None = None
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=0)
        except Timeout:
            watcher.note(f"another process is preparing {folder.name}; waiting for it")
            lock.acquire()
        except OSError as error:
            refusal = error
        try:
            yield refusal
        finally:
            lock.release()
    except OSError as error:
        raise UserError(
            f"{folder.name} can't be kept in data/cache: {error.strerror or error}; "
            "free some space or mend the folder's permissions"
        ) from None


def _clean(folder: Path) -> None:
    """What a process left that died while it wrote."""
    for path in folder.glob("*.new"):
        path.unlink()


def _generate_all(manifest: Manifest, folder: Path) -> None:
    for name, split in manifest.splits.items():
        if _generate(manifest, name, folder).shards != split.shards:
            raise UserError(
                f"the generator makes another {name} split of {manifest.id} than its manifest pins; "
                f"restore the folder data from git and delete data/cache/{manifest.id}"
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
