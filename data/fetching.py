"""From a recipe to shards: what is missing of a data set of the hub is fetched, and what came out is written down.

Held-out splits come first, then the training shards one by one. After each of them the resolved manifest is written, so
that a preparation that is interrupted goes on behind the last whole shard.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, Protocol

import msgspec

from data import hub
from data.hub_rows import RowSource
from data.hub_shards import DOWNLOAD, ShardSource
from data.hub_text import TextSource
from data.manifest import MANIFEST, HubRows, HubShards, HubText, Manifest, Shard, Split, replace_text, to_toml
from data.shards import is_there, shard_sha256
from data.tokenizer import Tokenizer
from data.watching import Watcher
from harness.errors import UserError

TOKENIZER = "tokenizer.json"


class Fetched(NamedTuple):
    """A data set as far as it is known now, and the names of the files that were made and hashed just now."""

    manifest: Manifest
    made: frozenset[str]


class _Source(Protocol):
    """One form of source. `report` is told how many tokens of what is being made are there."""

    def held_out(self, report: Callable[[int], None]) -> dict[str, Split]: ...
    def train_shard(self, before: tuple[Shard, ...], report: Callable[[int], None]) -> Shard | None: ...


def fetch(manifest: Manifest, folder: Path, tokens: int | None, watcher: Watcher) -> Fetched:
    """Make the held-out splits and the first `tokens` training tokens (None: all) of a data set of the hub.

    manifest: pinned, resolved, or a recipe without splits. What it knows already must come out again. One that is not
    pinned is written to `folder`, with what is known now, after every shard.

    Raises UserError: what keeps the hub from being read, a source that is smaller or other than the manifest says;
    OSError: full disk.
    """
    assert manifest.source.hub is not None
    repository = hub.at_commit(manifest.source.hub.repository, manifest.source.revision, "dataset")
    tokenizer, manifest = _tokenizer(manifest, folder)
    if not manifest.pinned:
        source = msgspec.structs.replace(manifest.source, revision=repository.commit)
        manifest = msgspec.structs.replace(manifest, source=source, resolved_here=True)
    maker = _source(manifest, repository, tokenizer, folder)
    wanted = manifest.expected_tokens("train") if tokens is None else tokens
    total = wanted + sum(manifest.expected_tokens(name) for name in manifest.planned if name != "train")
    done = 0

    def report(made: int) -> None:
        watcher.progress(min(done + made, total), total)

    held_out = _known_held_out(manifest, folder)
    made: set[str] = set()
    if held_out is None:
        held_out = _held_out(manifest, maker, folder, report)
        made.update(shard.file for split in held_out.values() for shard in split.shards)
    done = sum(split.tokens for split in held_out.values())
    train = manifest.splits["train"].shards if manifest.splits else ()
    index = 0
    while not _enough(manifest, train[:index], tokens):
        if index == len(train) or not is_there(folder, train[index]):
            shard = maker.train_shard(train[:index], report)
            if shard is None:
                raise UserError(_ends(manifest, repository, sum(shard.tokens for shard in train), wanted))
            made.add(shard.file)
            if index < len(train):
                _demand_same(manifest, folder, shard, train[index])
            else:
                train = (*train, shard)
                splits = {"train": train_split(train), **held_out}
                manifest = msgspec.structs.replace(manifest, splits=splits)
                replace_text(folder / MANIFEST, to_toml(manifest))
        done += train[index].tokens
        index += 1
    report(0)
    shutil.rmtree(folder / DOWNLOAD, ignore_errors=True)
    return Fetched(manifest, frozenset(made))


def _known_held_out(manifest: Manifest, folder: Path) -> dict[str, Split] | None:
    """None: not all of it is known and there."""
    known = {name: split for name, split in manifest.splits.items() if name != "train"}
    there = all(is_there(folder, shard) for split in known.values() for shard in split.shards)
    return known if known and there else None


def _held_out(manifest: Manifest, maker: _Source, folder: Path, report: Callable[[int], None]) -> dict[str, Split]:
    known = {name: split for name, split in manifest.splits.items() if name != "train"}
    made = maker.held_out(report)
    for name, split in known.items():
        for shard, due in zip(made[name].shards, split.shards, strict=True):
            _demand_same(manifest, folder, shard, due)
    return known or made


def _enough(manifest: Manifest, train: tuple[Shard, ...], tokens: int | None) -> bool:
    """Whether these training shards are what is asked for."""
    if tokens is not None:
        return sum(shard.tokens for shard in train) >= tokens
    if manifest.pinned:
        return len(train) == len(manifest.splits["train"].shards)
    if isinstance(manifest.source.hub, HubShards):
        return len(train) == len(manifest.source.hub.names())
    return sum(shard.tokens for shard in train) >= manifest.planned["train"]


def _ends(manifest: Manifest, repository: hub.Repository, has: int, wanted: int) -> str:
    told = f"{repository.name} ends after {has:,} training tokens where {wanted:,} are due"
    return f"{told}; speedrun data prepare {manifest.id} --tokens {has} takes what is there" if has else told


def _tokenizer(manifest: Manifest, folder: Path) -> tuple[Tokenizer, Manifest]:
    """The tokenizer, and the manifest with its commit and hash."""
    path = folder / TOKENIZER
    due = manifest.tokenizer_sha256
    if not (due and path.is_file() and shard_sha256(path) == due):
        model = hub.at_commit(manifest.tokenizer, manifest.tokenizer_revision, "model")
        arrived = hub.download(model, TOKENIZER, folder / DOWNLOAD)
        if due and arrived.sha256 != due:
            arrived.path.unlink()
            raise UserError(f"the tokenizer.json of {manifest.tokenizer} is not the one that {manifest.id} names")
        arrived.path.replace(path)
        manifest = msgspec.structs.replace(manifest, tokenizer_revision=model.commit, tokenizer_sha256=arrived.sha256)
    return Tokenizer(path, manifest.tokenizer, manifest.vocab_size), manifest


def _source(manifest: Manifest, repository: hub.Repository, tokenizer: Tokenizer, folder: Path) -> _Source:
    match manifest.source.hub:
        case HubText() as form:
            return TextSource(manifest, form, repository, tokenizer, folder)
        case HubRows() as form:
            return RowSource(manifest, form, repository, tokenizer, folder)
        case HubShards() as form:
            return ShardSource(manifest, form, repository, tokenizer, folder)
        case None:
            raise AssertionError(f"{manifest.id} has no source on the hub")


def _demand_same(manifest: Manifest, folder: Path, made: Shard, due: Shard) -> None:
    """What was made is what the manifest knows, or it goes away again."""
    if (made.tokens, made.sha256) != (due.tokens, due.sha256):
        (folder / made.file).unlink(missing_ok=True)
        raise UserError(
            f"{made.file} of {manifest.id} came out with another hash than its manifest names, and is not kept: "
            "the hub's data, its tokenizer or a library has changed"
        )


def train_split(shards: tuple[Shard, ...]) -> Split:
    """The training split that these shards are."""
    return Split(
        documents=sum(shard.documents or 0 for shard in shards),
        tokens=sum(shard.tokens for shard in shards),
        bytes=sum(shard.bytes or 0 for shard in shards),
        left_out=sum(shard.left_out for shard in shards),
        shards=shards,
    )
