"""Data sets on a terminal."""

from rich.console import Console
from rich.text import Text

from data.watching import size
from leaderboard.table import count
from speedrun.answers import DatasetReady, Datasets, DatasetState
from speedrun.page_lines import GOOD, line, say


def show_datasets(value: Datasets, console: Console) -> None:
    """Each with how far it is prepared, and how the next one is."""
    datasets = value.datasets
    for dataset in datasets:
        mark = GOOD if dataset.prepared else Text("·")
        line(console, mark, f"{dataset.id}: {_size(dataset)} ({_readiness(dataset)})")
    if not datasets:
        say(console, "there are no data sets")
    missing = sorted((dataset for dataset in datasets if not dataset.prepared), key=lambda dataset: not dataset.pinned)
    if missing:
        say(console, f"speedrun data prepare {missing[0].id} makes it ready; speedrun run does so by itself")


def show_ready(value: DatasetReady, console: Console) -> None:
    """What was done with one, and what it is now."""
    dataset = value.dataset
    line(console, GOOD, f"{dataset.id} is {value.done}: {_size(dataset)} ({_readiness(dataset)})")


def _readiness(dataset: DatasetState) -> str:
    """How far it is prepared, on how much disk, and whose hashes it is held to."""
    if dataset.prepared:
        told = [f"prepared, {size(dataset.disk_bytes)}"]
    elif dataset.prepared_tokens:
        ready = f"the first {count(dataset.prepared_tokens)} training tokens prepared"
        told = [f"{ready}, {size(dataset.disk_bytes)} of {size(dataset.needed_bytes)}"]
    else:
        told = [f"not prepared, needs {size(dataset.needed_bytes)}"]
    if dataset.imported:
        told.append("imported here")
    elif not dataset.pinned:
        told.append("not pinned")
    return ", ".join(told)


def _size(dataset: DatasetState) -> str:
    told = [
        f"{count(dataset.train_tokens)} training tokens",
        f"{count(dataset.val_tokens)} for validation",
        f"vocabulary {dataset.vocab_size:,}",
    ]
    if dataset.left_out:
        told.append(f"{dataset.left_out:,} training documents left out that repeat held-out text")
    if dataset.floor_nats is not None:
        told.append(f"floor {dataset.floor_nats:.4f} nats/token")
    return ", ".join(told)
