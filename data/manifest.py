"""A data set's manifest: where its text comes from, its splits, and the hash of every shard.

Official manifests stand in data/datasets/<id>.toml; those of a person's own text lie beside their shards in the cache.

A data set of the hub is *pinned* when its manifest names the commit and the hash of every shard. Until a maintainer has
done so it is a recipe: planned sizes and no splits. Preparing a recipe writes a *resolved* manifest beside the shards,
with the commit, counts and hashes that came out here: later uses are held to it, other machines are not.
"""

import hashlib
import math
import os
import re
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from harness.errors import UserError, nearest
from harness.strict_toml import TomlError, decode

T = TypeVar("T")

SPLITS = ("train", "val", "spare")
BYTES = "bytes"  # the tokenizer whose tokens are the bytes of the text
SLICE = "train-slice"  # a slice of the training stream that no submission gets: what a training loss is measured on
HELD_OUT = (SLICE, "val", "spare")  # in this order they stand at the beginning of a source of ready-made rows
MANIFEST = "manifest.toml"
_ID = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_SHARD = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}\.bin")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_MOST_BYTES = 1 << 20  # of a manifest


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A table of a manifest."""


class HubText(_Part, frozen=True, kw_only=True, tag_field="form", tag="text"):
    """Documents of text, tokenized here: training takes the first ones, val and spare the last ones."""

    repository: str
    config: str
    split: str
    column: str
    documents: int  # the first so many rows
    characters: int  # of a document; the rest is cut off
    val_documents: int
    spare_documents: int  # the very last ones


class HubRows(_Part, frozen=True, kw_only=True, tag_field="form", tag="rows"):
    """Ready-made rows of tokens: the held-out splits come first, then training."""

    repository: str
    split: str
    column: str
    shard_rows: int  # of a training shard


class HubShards(_Part, frozen=True, kw_only=True, tag_field="form", tag="shards"):
    """Ready-made shards: training takes the publisher's files as they are; val and spare are cut from one file."""

    repository: str
    train: str  # name of a file; {number} in it stands for six digits
    first: int
    last: int
    val: str  # name of the file

    def names(self) -> tuple[str, ...]:
        """The training files in official order."""
        return tuple(self.train.replace("{number}", f"{number:06}") for number in range(self.first, self.last + 1))


class Source(_Part, frozen=True, kw_only=True):
    """Where the text comes from."""

    kind: Literal["generator", "import", "hub"]
    seed: int | None = None  # of the generator; document 0 is the first of train, then come val and spare
    files: tuple[str, ...] = ()  # names of the imported files, without folders
    revision: str = ""  # of the hub's repository: a commit, or what is still to be resolved to one
    hub: HubText | HubRows | HubShards | None = None


class Shard(_Part, frozen=True, kw_only=True):
    """One file of tokens."""

    file: str
    tokens: int
    sha256: str = ""  # empty: not pinned yet
    # Training shards of the hub's sets, which are prepared one by one.
    documents: int | None = None
    bytes: int | None = None
    left_out: int = 0  # documents before it that share a run of tokens with a held-out one
    rows_read: int | None = None  # of the source, when this shard was whole


class Floor(_Part, frozen=True, kw_only=True):
    """The generator's own loss on the first targets of a split."""

    targets: int  # tokens 1 … targets of the split
    nats: float  # a token


class Split(_Part, frozen=True, kw_only=True):
    """Whole documents, each with the separator before it, or whole rows."""

    documents: int
    tokens: int
    bytes: int  # of text, separators left out
    shards: tuple[Shard, ...]
    floors: tuple[Floor, ...] = ()
    left_out: int = 0  # training documents, not counted above, that share a run of tokens with a held-out one

    @property
    def bytes_a_token(self) -> float:
        """Bytes of text, in the mean; 1 where they are not known."""
        return self.bytes / self.tokens if self.bytes else 1.0


class Manifest(_Part, frozen=True, kw_only=True):
    """A data set. Checked when made: what is loaded makes sense as a whole."""

    id: str
    title: str
    version: int
    source: Source
    tokenizer: str  # BYTES, or the hub repository of one
    tokenizer_revision: str = ""  # a commit, or what is still to be resolved to one
    tokenizer_sha256: str = ""  # of its tokenizer.json
    vocab_size: int
    separator: int | None = None  # the token that starts every document
    row_tokens: int | None = None  # documents are rows of so many tokens, without a separator
    resolved_here: bool = False  # counts and hashes are what came out on this machine
    planned: dict[str, int] = {}  # tokens of the splits of a hub set; only where it is cut by tokens they decide
    splits: dict[str, Split] = {}

    def __post_init__(self) -> None:
        _require(bool(_ID.fullmatch(self.id)), "id must be at most 40 of a-z, 0-9, '_', '.' and '-'")
        _require(1 <= self.vocab_size <= 1 << 16, "vocab_size must lie between 1 and 65536")
        _require(self.separator is None or 0 <= self.separator < self.vocab_size, "separator must be a token")
        _require(self.row_tokens is None or self.row_tokens >= 2, "row_tokens must be at least 2")
        _require(self.separator is None or self.row_tokens is None, "rows of row_tokens have no separator")
        self._check_source()
        if not self.splits:
            _require(self.source.kind == "hub", f"splits must be {', '.join(SPLITS)}")
            return
        _require(_is_whole(self.splits), f"splits must be {', '.join(SPLITS)} (and {SLICE}, if there is one)")
        files = [shard.file for split in self.splits.values() for shard in split.shards]
        _require(len(set(files)) == len(files), "two shards have the same file")
        for name, split in self.splits.items():
            _require(split.tokens == sum(shard.tokens for shard in split.shards), f"{name}: tokens must be the shards'")
            _require(split.documents >= 1 and split.tokens >= 1, f"{name} is empty")
            for shard in split.shards:
                _require(bool(_SHARD.fullmatch(shard.file)), f"{name}: {shard.file!r} is no file name of a shard")

    def _check_source(self) -> None:
        hub, planned = self.source.hub, self.planned
        _require((self.source.kind == "hub") == (hub is not None), 'source.hub belongs to kind "hub", and to no other')
        if hub is None:
            _require(not planned, "only a data set of the hub has planned sizes")
            return
        _require(_is_whole(planned) and min(planned.values()) >= 1, f"planned must say {', '.join(SPLITS)}")
        _require(bool(self.source.revision and self.tokenizer_revision), "a data set of the hub needs revisions")
        _require(
            isinstance(hub, HubRows) == (self.row_tokens is not None),
            "row_tokens belong to the form rows, and no other",
        )
        _require(SLICE not in planned or isinstance(hub, HubRows), f"only ready-made rows have a {SLICE}")
        match hub:
            case HubText():
                held_out = hub.val_documents + hub.spare_documents
                _require(min(hub.val_documents, hub.spare_documents, hub.characters) >= 1, "source.hub counts from 1")
                _require(held_out < hub.documents, "val_documents and spare_documents leave nothing to train on")
                _require(self.separator is not None, "documents of text need a separator")
            case HubRows():
                assert self.row_tokens is not None
                _require(hub.shard_rows >= 1, "shard_rows must be at least 1")
                for name in HELD_OUT:
                    _require(planned.get(name, 0) % self.row_tokens == 0, f"planned.{name} must be whole rows")
            case HubShards():
                _require(1 <= hub.first <= hub.last, "first and last must number the training files")
                _require(
                    all(_SHARD.fullmatch(name) for name in (*hub.names(), hub.val))
                    and len(set(hub.names())) > hub.last - hub.first,
                    "train, with {number} in it, and val must be file names of shards",
                )
                _require(self.separator is not None, "ready-made shards need a separator")

    @property
    def pinned(self) -> bool:
        """Every shard has a hash that everybody's must have: an official set, not one's own text or a recipe."""
        shards = [shard for split in self.splits.values() for shard in split.shards]
        return (
            self.source.kind != "import"
            and not self.resolved_here
            and bool(shards)
            and all(shard.sha256 for shard in shards)
        )

    @property
    def sha256(self) -> str:
        """Of what decides a result: tokenizer, splits and the hashes of their shards."""
        facts: tuple[object, ...] = (
            self.id,
            self.tokenizer,
            self.vocab_size,
            self.separator,
            sorted(self.splits.items()),
        )
        if self.source.kind == "hub":
            facts = (*facts, self.tokenizer_sha256, self.row_tokens)
        return hashlib.sha256(msgspec.json.encode(facts, order="sorted")).hexdigest()

    @property
    def lists_all(self) -> bool:
        """The training split has all its shards; a resolved manifest may have the first ones only."""
        if not self.resolved_here:
            return bool(self.splits)
        if isinstance(self.source.hub, HubShards):
            return len(self.splits["train"].shards) == len(self.source.hub.names())
        return self.splits["train"].tokens >= self.planned["train"]

    def expected_tokens(self, split: str) -> int:
        """Of a split as a whole: what it has, or what is planned while it is not known. 0: there is no such split."""
        known = self.splits.get(split)
        if known is not None and (split != "train" or self.lists_all):
            return known.tokens
        return self.planned.get(split, 0)

    def needed_shards(self, tokens: int | None) -> tuple[Shard, ...] | None:
        """The training shards that hold the first `tokens` tokens (None: all); None: the manifest lists too few yet."""
        if not self.splits or (tokens is None and not self.lists_all):
            return None
        found: list[Shard] = []
        left = math.inf if tokens is None else tokens
        for shard in self.splits["train"].shards:
            if left <= 0:
                break
            found.append(shard)
            left -= shard.tokens
        return tuple(found) if tokens is None or left <= 0 else None

    def same_recipe(self, other: "Manifest") -> bool:
        """Whether both say the same about how the data set is made, commits that only one knows left aside."""
        return self._recipe() == other._recipe() and all(
            mine == others or not (_COMMIT.fullmatch(mine) and _COMMIT.fullmatch(others))
            for mine, others in (
                (self.source.revision, other.source.revision),
                (self.tokenizer_revision, other.tokenizer_revision),
            )
        )

    def _recipe(self) -> object:
        source = msgspec.structs.replace(self.source, revision="")
        facts = (source, self.tokenizer, self.vocab_size, self.separator, self.row_tokens)
        return (self.id, self.version, facts, self.planned)

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


def _is_whole(splits: dict[str, T]) -> bool:
    return set(splits) - {SLICE} == set(SPLITS)


def load_manifest(path: Path) -> Manifest:
    """Raises UserError that names the file and the key."""
    in_cache = path.name == MANIFEST
    name = f"data/cache/{path.parent.name}/{MANIFEST}" if in_cache else path.name
    try:
        content = path.read_bytes()
        if len(content) > _MOST_BYTES:
            raise TomlError("larger than any manifest")
        manifest = decode(content.decode(), Manifest)
    except OSError as error:
        raise UserError(f"the manifest {name} can't be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"manifest {name}: not UTF-8 text") from None
    except TomlError as error:
        place = name if error.line is None else f"{name}, line {error.line}"
        raise UserError(f"manifest {place}: {error.message}") from None
    named = path.parent.name if in_cache else path.stem
    if manifest.id != named:
        raise UserError(f"manifest {name}: its id is {manifest.id!r} where {named!r} is due; rename one of them")
    return manifest


def to_toml(manifest: Manifest) -> str:
    """The manifest as it stands in a file."""
    import tomli_w

    return tomli_w.dumps(msgspec.to_builtins(manifest))


def replace_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all. Raises OSError."""
    temporary = path.with_name(path.name + ".new")
    try:
        with temporary.open("w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())  # or a power cut may leave an empty file under the name
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def find(dataset_id: str, datasets: Path, cache: Path) -> Manifest:
    """The official data set of this id, as resolved here if it is not pinned, else the imported one.

    Raises UserError with the nearest ids.
    """
    known = _known(datasets, cache)
    if dataset_id not in known:
        options = nearest(dataset_id[:60], known)
        raise UserError(f"there is no data set {dataset_id[:60]!r}: {options}; speedrun data import makes one")
    return _current(known[dataset_id], cache)


def dataset_ids(datasets: Path, cache: Path) -> tuple[str, ...]:
    """Of every data set, official ones first."""
    return tuple(_known(datasets, cache))


def resolved(recipe: Manifest, cache: Path) -> Manifest | None:
    """What came out on this machine when `recipe` was prepared, whether or not it is the same recipe today.

    None where nothing did. Raises UserError for a broken file.
    """
    path = cache / recipe.id / MANIFEST
    if recipe.source.kind != "hub" or not path.exists():
        return None
    found = _load_cached(path, "prepare")
    return found if found.resolved_here else None


def _load_cached(path: Path, again: str) -> Manifest:
    try:
        return load_manifest(path)
    except UserError as error:
        raise UserError(f"{error}; delete that folder and {again} it again") from None


def _current(path: Path, cache: Path) -> Manifest:
    if path.name == MANIFEST:
        return _load_cached(path, "import")
    official = load_manifest(path)
    found = None if official.splits else resolved(official, cache)
    return found if found is not None and found.same_recipe(official) else official


def _known(datasets: Path, cache: Path) -> dict[str, Path]:
    imported = {path.parent.name: path for path in sorted(cache.glob(f"*/{MANIFEST}"))}
    official = {path.stem: path for path in sorted(datasets.glob("*.toml"))}
    return official | {name: path for name, path in imported.items() if name not in official}
