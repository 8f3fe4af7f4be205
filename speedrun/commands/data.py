"""speedrun data: list, prepare, verify, import; and what a run needs of it."""

import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from data import disk, importing, manifest
from data import prepare as preparing
from data.manifest import Manifest
from data.prepare import Prepared
from harness.errors import UserError
from speedrun import console
from speedrun.answers import DatasetReady, Datasets, DatasetState
from speedrun.workspace import Workspace

if TYPE_CHECKING:
    from speedrun.data_view import View

_TOKENS = re.compile(r"([0-9][0-9_]{0,14})([kmb]?)", re.IGNORECASE)
_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9}


def datasets(workspace: Workspace) -> Datasets:
    """Every data set; one whose manifest is broken is left out and named."""
    states: list[DatasetState] = []
    broken: list[str] = []
    for dataset in manifest.dataset_ids(workspace.datasets, workspace.cache):
        try:
            states.append(_state(find_dataset(workspace, dataset), workspace))
        except UserError as error:
            broken.append(f"{dataset} is left out: {error}")
    return Datasets(datasets=tuple(states), broken=tuple(broken))


def prepare(workspace: Workspace, dataset: str, tokens: int | None) -> DatasetReady:
    """Makes a data set ready: all of it, or its first training tokens.

    Raises UserError for an unknown one, or when it cannot be fetched or written.
    """
    ready = prepared(workspace, find_dataset(workspace, dataset), quiet=False, tokens=tokens)
    return _answer("prepared", find_dataset(workspace, ready.manifest.id), workspace)


def pin(workspace: Workspace, dataset: str, tokens: int | None) -> DatasetReady:
    """Makes an official data set, or fetches it, and writes what came out into its manifest. Raises UserError."""
    if tokens is not None:
        raise UserError("--pin is about a whole data set; leave --tokens out")
    found = find_dataset(workspace, dataset)
    path = workspace.datasets / f"{found.id}.toml"
    if not path.exists():
        raise UserError(f"{found.id} is no official data set; there is nothing to pin")
    with _view(quiet=False) as view:
        return _answer("pinned", preparing.pin(path, workspace.cache, view), workspace)


def verify(workspace: Workspace, dataset: str) -> DatasetReady:
    """Checks every shard that is here. Raises UserError for an unknown or unprepared data set, or a wrong hash."""
    found = find_dataset(workspace, dataset)
    with _view(quiet=False) as view:
        preparing.verify(found, workspace.cache, view)
    return _answer("verified", found, workspace)


def import_files(workspace: Workspace, name: str, files: Sequence[Path]) -> DatasetReady:
    """Makes a data set of somebody's own text. Raises UserError for a bad name or file."""
    return _answer("imported", importing.import_dataset(name, files, workspace.cache, workspace.datasets), workspace)


def parse_tokens(text: str) -> int:
    """A number of tokens as people write it: 100M, 1B, 40_960_000. Raises UserError."""
    match = _TOKENS.fullmatch(text.strip())
    number = int(match[1]) * _UNITS[match[2].lower()] if match is not None else 0
    if number < 1:
        raise UserError(f"{text[:40]!r} is no number of tokens; write 40_960_000, 100M or 1B")
    return number


def find_dataset(workspace: Workspace, dataset: str) -> Manifest:
    """The manifest of a data set, ours or imported. Raises UserError for an unknown one, with the nearest ids."""
    return manifest.find(dataset, workspace.datasets, workspace.cache)


def prepared(workspace: Workspace, found: Manifest, *, quiet: bool, tokens: int | None = None) -> Prepared:
    """The data set, or its first training tokens, made ready now if it was not.

    Raises UserError when it cannot be fetched or written.
    """
    with _view(quiet=quiet) as view:
        return preparing.prepare(found, workspace.cache, view, tokens=tokens)


def is_prepared(workspace: Workspace, dataset: str, tokens: int | None = None) -> bool:
    """Whether a run that sees so many training tokens (None: all) could start at once.

    Raises UserError for an unknown data set.
    """
    return preparing.is_prepared(find_dataset(workspace, dataset), workspace.cache, tokens)


def _view(*, quiet: bool) -> "View":
    from speedrun import data_view

    return data_view.choose(console.console(sys.stderr), sys.stderr, quiet=quiet)


def _answer(
    done: Literal["prepared", "pinned", "verified", "imported"], found: Manifest, workspace: Workspace
) -> DatasetReady:
    return DatasetReady(done=done, dataset=_state(found, workspace))


def _state(found: Manifest, workspace: Workspace) -> DatasetState:
    return DatasetState(
        id=found.id,
        prepared=preparing.is_prepared(found, workspace.cache),
        imported=found.source.kind == "import",
        pinned=found.pinned,
        train_tokens=found.expected_tokens("train"),
        prepared_tokens=preparing.prepared_tokens(found, workspace.cache),
        val_tokens=found.expected_tokens("val"),
        vocab_size=found.vocab_size,
        disk_bytes=disk.here_bytes(found, workspace.cache / found.id),
        needed_bytes=disk.needed_bytes(found, None),
        left_out=found.splits["train"].left_out if found.splits else 0,
        floor_nats=next((floor.nats for floor in found.splits["val"].floors), None) if found.splits else None,
    )
