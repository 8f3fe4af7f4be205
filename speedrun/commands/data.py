"""speedrun data: list, prepare, verify, import; and what a run needs of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from data import importing, manifest
from data import prepare as preparing
from data.manifest import Manifest
from data.prepare import Prepared
from speedrun import console
from speedrun.answers import DatasetReady, Datasets, DatasetState
from speedrun.workspace import Workspace


def datasets(workspace: Workspace) -> Datasets:
    """Every data set. Raises UserError for a broken manifest."""
    known = manifest.list_datasets(workspace.datasets, workspace.cache)
    return Datasets(datasets=tuple(_state(one, workspace) for one in known))


def prepare(workspace: Workspace, dataset: str) -> DatasetReady:
    """Makes a data set ready. Raises UserError for an unknown one, or when it cannot be fetched or written."""
    found = find_dataset(workspace, dataset)
    prepared(workspace, found, quiet=False)
    return _answer("prepared", found, workspace)


def pin(workspace: Workspace, dataset: str) -> DatasetReady:
    """Generates an official data set and writes its counts, hashes and floors into its manifest. Raises UserError."""
    found = find_dataset(workspace, dataset)
    return _answer("pinned", preparing.pin(workspace.datasets / f"{found.id}.toml", workspace.cache), workspace)


def verify(workspace: Workspace, dataset: str) -> DatasetReady:
    """Checks every shard. Raises UserError for an unknown or unprepared data set, or a wrong hash."""
    found = find_dataset(workspace, dataset)
    preparing.verify(found, workspace.cache)
    return _answer("verified", found, workspace)


def import_files(workspace: Workspace, name: str, files: Sequence[Path]) -> DatasetReady:
    """Makes a data set of somebody's own text. Raises UserError for a bad name or file."""
    return _answer("imported", importing.import_dataset(name, files, workspace.cache, workspace.datasets), workspace)


def find_dataset(workspace: Workspace, dataset: str) -> Manifest:
    """The manifest of a data set, ours or imported. Raises UserError for an unknown one, with the nearest ids."""
    return manifest.find(dataset, workspace.datasets, workspace.cache)


def prepared(workspace: Workspace, found: Manifest, *, quiet: bool) -> Prepared:
    """The data set, made ready now if it was not. Raises UserError when it cannot be fetched or written."""
    return preparing.prepare(found, workspace.cache, (lambda line: None) if quiet else console.note)


def is_prepared(workspace: Workspace, dataset: str) -> bool:
    """Whether a run on it could start at once. Raises UserError for an unknown data set."""
    return preparing.is_prepared(find_dataset(workspace, dataset), workspace.cache)


def _answer(
    done: Literal["prepared", "pinned", "verified", "imported"], found: Manifest, workspace: Workspace
) -> DatasetReady:
    return DatasetReady(done=done, dataset=_state(found, workspace))


def _state(found: Manifest, workspace: Workspace) -> DatasetState:
    return DatasetState(
        id=found.id,
        prepared=preparing.is_prepared(found, workspace.cache),
        imported=found.source.kind == "import",
        train_tokens=found.splits["train"].tokens,
        val_tokens=found.splits["val"].tokens,
        vocab_size=found.vocab_size,
        floor_nats=next((floor.nats for floor in found.splits["val"].floors), None),
    )
