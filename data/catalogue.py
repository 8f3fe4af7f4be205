"""Which data sets there are: official ones (datasets/<id>.toml) and imported ones (cache/<id>/manifest.toml)."""

import re
from pathlib import Path
from typing import NamedTuple

from data import manifest as manifests
from data.manifest import Manifest
from data.shards import shard_bytes
from harness.errors import UserError, nearest

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")


class Listed(NamedTuple):
    """A data set, and what this machine has of it."""

    manifest: Manifest
    prepared: bool  # every shard is there with the right size; hashes are checked when it is used
    official: bool


def find(dataset_id: str, datasets: Path, cache: Path) -> Manifest:
    """The manifest of an official data set, or else of an imported one. Raises UserError with the nearest names."""
    known = {path.stem: path for path in datasets.glob("*.toml")}
    imported = {path.parent.name: path for path in cache.glob("*/manifest.toml")}
    path = known.get(dataset_id) or imported.get(dataset_id)
    if path is None:
        raise UserError(f"there is no data set {dataset_id!r}; {nearest(dataset_id, {*known, *imported})}")
    manifest = manifests.load(path)
    if manifest.id != dataset_id:
        raise UserError(f"the manifest {path} says that it is {manifest.id!r}; rename one of the two")
    return manifest


def list_datasets(datasets: Path, cache: Path) -> list[Listed]:
    """Official sets, then imported ones, each by name."""
    official = sorted(path.stem for path in datasets.glob("*.toml"))
    imported = sorted({path.parent.name for path in cache.glob("*/manifest.toml")} - set(official))
    return [
        Listed(manifest, _prepared(manifest, cache), manifest.id in official)
        for manifest in (find(dataset_id, datasets, cache) for dataset_id in [*official, *imported])
    ]


def _prepared(manifest: Manifest, cache: Path) -> bool:
    shards = [shard for split in manifest.splits.values() for shard in split.shards]
    paths = [cache / manifest.id / shard.file for shard in shards]
    return manifest.pinned and all(
        path.is_file() and path.stat().st_size == shard_bytes(shard.tokens)
        for path, shard in zip(paths, shards, strict=True)
    )
