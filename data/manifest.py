"""A data set's manifest: where its text comes from, its splits, and the hash of every shard.

Official manifests stand in data/datasets/<id>.toml; those of a person's own text lie beside their shards in the cache.
"""

import hashlib
import re
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import UserError, nearest
from harness.strict_toml import TomlError, decode

SPLITS = ("train", "val", "spare")
MANIFEST = "manifest.toml"
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_SHARD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}\.bin")
_MOST_BYTES = 1 << 20  # of a manifest


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of a manifest."""


class Source(_Part, frozen=True, kw_only=True):
    """Where the text comes from."""

    kind: Literal["generator", "import"]
    seed: int | None = None  # of the generator; document 0 is the first of train, then come val and spare
    files: tuple[str, ...] = ()  # names of the imported files, without folders


class Shard(_Part, frozen=True, kw_only=True):
    """One file of tokens."""

    file: str
    tokens: int
    sha256: str = ""  # empty: not pinned yet


class Floor(_Part, frozen=True, kw_only=True):
    """The generator's own loss on the first targets of a split."""

    targets: int  # tokens 1 … targets of the split
    nats: float  # a token


class Split(_Part, frozen=True, kw_only=True):
    """Whole documents, each with the separator before it."""

    documents: int
    tokens: int
    bytes: int  # of text, separators left out
    shards: tuple[Shard, ...]
    floors: tuple[Floor, ...] = ()


class Manifest(_Part, frozen=True, kw_only=True):
    """A data set. Checked when made: what is loaded makes sense as a whole."""

    id: str
    title: str
    version: int
    source: Source
    tokenizer: str  # "bytes", or the name of one
    vocab_size: int
    separator: int | None = None  # the token that starts every document
    splits: dict[str, Split]

    def __post_init__(self) -> None:
        _require(bool(_ID.fullmatch(self.id)), "id must be at most 40 of a-z, 0-9, '_', '.' and '-'")
        _require(1 <= self.vocab_size <= 1 << 16, "vocab_size must lie between 1 and 65536")
        _require(self.separator is None or 0 <= self.separator < self.vocab_size, "separator must be a token")
        _require(set(self.splits) == set(SPLITS), f"splits must be {', '.join(SPLITS)}")
        files = [shard.file for split in self.splits.values() for shard in split.shards]
        _require(len(set(files)) == len(files), "two shards have the same file")
        for name, split in self.splits.items():
            _require(split.tokens == sum(shard.tokens for shard in split.shards), f"{name}: tokens must be the shards'")
            _require(split.documents >= 1 and split.tokens >= 1, f"{name} is empty")
            for shard in split.shards:
                _require(bool(_SHARD.fullmatch(shard.file)), f"{name}: {shard.file!r} is no file name of a shard")

    @property
    def pinned(self) -> bool:
        """Every shard has a hash that everybody's must have: an official set, not one's own text."""
        return self.source.kind != "import" and all(
            shard.sha256 for split in self.splits.values() for shard in split.shards
        )

    @property
    def sha256(self) -> str:
        """Of what decides a result: tokenizer, splits and the hashes of their shards."""
        facts = (self.id, self.tokenizer, self.vocab_size, self.separator, sorted(self.splits.items()))
        return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()

    def first_document(self, split: str) -> int:
        """The generator's number of the first document of a split: the splits follow each other."""
        return sum(self.splits[name].documents for name in SPLITS[: SPLITS.index(split)])

    def floor_nats(self, split: str, targets: int | None = None) -> float | None:
        """The floor of the first `targets` targets of a split (None: of all), where the manifest knows it."""
        wanted = self.splits[split].tokens - 1 if targets is None else targets
        return next((floor.nats for floor in self.splits[split].floors if floor.targets == wanted), None)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise ValueError(otherwise)


def load_manifest(path: Path) -> Manifest:
    """Raises UserError that names the file and the key."""
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES:
            raise TomlError("larger than any manifest")
        manifest = decode(content.decode(), Manifest)
    except OSError as error:
        raise UserError(f"the manifest {path.name} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"manifest {path.name}: not UTF-8 text") from None
    except TomlError as error:
        place = path.name if error.line is None else f"{path.name}, line {error.line}"
        raise UserError(f"manifest {place}: {error.message}") from None
    named = path.parent.name if path.name == MANIFEST else path.stem
    if manifest.id != named:
        raise UserError(f"manifest {path.name}: its id is {manifest.id!r} where {named!r} is due; rename one of them")
    return manifest


def to_toml(manifest: Manifest) -> str:
    """The manifest as it stands in a file."""
    import tomli_w

    return tomli_w.dumps(msgspec.to_builtins(manifest))


def replace_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def find(dataset_id: str, datasets: Path, cache: Path) -> Manifest:
    """The official data set of this id, else the imported one. Raises UserError with the nearest ids."""
    known = _known(datasets, cache)
    if dataset_id not in known:
        options = nearest(dataset_id[:60], known)
        raise UserError(f"there is no data set {dataset_id[:60]!r}: {options}; speedrun data import makes one")
    return load_manifest(known[dataset_id])


def list_datasets(datasets: Path, cache: Path) -> tuple[Manifest, ...]:
    """Every data set, official ones first. Raises UserError for a broken manifest."""
    return tuple(load_manifest(path) for path in _known(datasets, cache).values())


def _known(datasets: Path, cache: Path) -> dict[str, Path]:
    imported = {path.parent.name: path for path in sorted(cache.glob(f"*/{MANIFEST}"))}
    official = {path.stem: path for path in sorted(datasets.glob("*.toml"))}
    return official | {name: path for name, path in imported.items() if name not in official}
