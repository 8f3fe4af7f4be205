"""How much disk a data set takes, here and in all, and whether there is room for it."""

import shutil
from pathlib import Path

from data.manifest import HubRows, HubShards, Manifest
from data.shards import is_there, shard_bytes
from data.watching import Watcher, size
from harness.errors import UserError

SPARE_BYTES = 64 << 20  # left free on the disk


def needed_bytes(manifest: Manifest, tokens: int | None) -> int:
    """Of the held-out splits and the first `tokens` training tokens (None: all), in whole shards; planned or known."""
    shards = manifest.needed_shards(tokens)
    if shards is not None:
        train = sum(shard_bytes(shard.tokens) for shard in shards)
    else:
        wanted = manifest.expected_tokens("train") if tokens is None else tokens
        one = _shard_tokens(manifest)
        train = -(-wanted // one) * shard_bytes(one)
    names = {*manifest.planned, *manifest.splits} - {"train"}
    return train + sum(shard_bytes(manifest.expected_tokens(name)) for name in names)


def here_bytes(manifest: Manifest, folder: Path, tokens: int | None = None) -> int:
    """Of the shards of those that are there, whole."""
    train = manifest.needed_shards(tokens)
    listed = [shard for name, split in manifest.splits.items() if name != "train" for shard in split.shards]
    listed += manifest.splits["train"].shards if train is None and manifest.splits else train or ()
    return sum(shard_bytes(shard.tokens) for shard in listed if is_there(folder, shard))


def demand(manifest: Manifest, folder: Path, tokens: int | None, watcher: Watcher) -> None:
    """Say how much disk is needed. Raises UserError where there is less, OSError."""
    needed = max(0, needed_bytes(manifest, tokens) - here_bytes(manifest, folder, tokens))
    hub = manifest.source.kind == "hub"
    if isinstance(manifest.source.hub, HubShards) and not manifest.splits:
        # The file that val and spare are cut from goes away at the end.
        needed += sum(shard_bytes(manifest.expected_tokens(name)) for name in ("val", "spare"))
    free = shutil.disk_usage(folder).free
    if free < needed + SPARE_BYTES:
        raise UserError(
            f"{manifest.id} needs {size(needed + SPARE_BYTES)} of disk in data/cache, {size(free)} are free; "
            + ("free some space, or ask for fewer --tokens" if hub else "free some space and try again")
        )
    if hub:
        watcher.note(f"{manifest.id} needs about {size(needed)} of disk, {size(free)} are free")


def _shard_tokens(manifest: Manifest) -> int:
    """Of a training shard, as planned."""
    match manifest.source.hub:
        case HubRows(shard_rows=rows):
            assert manifest.row_tokens is not None
            return rows * manifest.row_tokens
        case HubShards() as form:
            return max(1, manifest.planned["train"] // len(form.names()))
        case _:
            return manifest.expected_tokens("train")
