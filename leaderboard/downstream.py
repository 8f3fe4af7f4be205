"""Scores on tasks beside the loss, as a reader sees them: which number stands for a task, and the mean over runs.

Nothing here is ever ranked by.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from harness.result import Downstream, DownstreamMetric, DownstreamTask
from leaderboard.text import plain

FIRST = ("acc_norm", "acc")  # stand for a task that has them; else its first number does
_DIGITS = 4


class TaskMean(NamedTuple):
    """What a variant's runs came to on a task, by the number that stands for it."""

    task: str
    metric: str
    value: float
    limit: int | None  # of its documents; None: all
    own: bool  # a task file of whoever asked


class Line(NamedTuple):
    """One number of a task in words."""

    task: str
    metric: str
    value: str
    stderr: str  # empty: there is none
    documents: str
    shots: str  # likewise
    version: str  # of the task
    twin: str  # how many tokens its twin was asked about; empty: a group, whose tasks have twins


def main_metric(task: DownstreamTask) -> DownstreamMetric:
    """The number that stands for a task."""
    named = {metric.name: metric for metric in task.metrics}
    return next((named[name] for name in FIRST if name in named), task.metrics[0])


def means(runs: Iterable[Downstream | None]) -> tuple[TaskMean, ...]:
    """Over those runs that have scores, in the order in which tasks come first; numbers of one kind only.

    Asked in another version, by other documents or examples, a task has numbers of another kind. Of several kinds that
    with the most documents is taken.
    """
    found: dict[tuple[tuple[str, bool], int, str, str, int | None, int | None], list[float]] = {}
    for run in runs:
        for task in run.tasks if run is not None else ():
            metric = main_metric(task)
            named = (task.name, task.own)
            kind = (named, task.documents, metric.name, task.version, task.limit, task.shots)
            found.setdefault(kind, []).append(metric.value)
    widest: dict[tuple[str, bool], tuple[int, TaskMean]] = {}
    for (named, documents, metric_name, _, limit, _), values in found.items():
        if named not in widest or documents > widest[named][0]:
            name, own = named
            widest[named] = (documents, TaskMean(name, metric_name, sum(values) / len(values), limit, own))
    return tuple(mean for _, mean in widest.values())


def title(name: str, *, own: bool) -> str:
    """A task's name, marked where it is not lm-eval's own task of that name."""
    return plain(name, 60) + (" (own)" if own else "")


def cell(mean: TaskMean) -> str:
    """E.g. "0.3133 acc_norm", or "0.3133 acc_norm, first 100"."""
    first = "" if mean.limit is None else f", first {mean.limit:,}"
    return f"{number(mean.value)} {plain(mean.metric, 30)}{first}"


def lines(downstream: Downstream | None) -> Iterator[Line]:
    """Every number of every task."""
    for task in downstream.tasks if downstream is not None else ():
        first = f", the first {task.limit:,}" if task.limit is not None else ""
        for metric in task.metrics:
            yield Line(
                task=title(task.name, own=task.own),
                metric=plain(metric.name, 60),
                value=number(metric.value),
                stderr="" if metric.stderr is None else number(metric.stderr),
                documents=f"{task.documents:,}{first}",
                shots="" if task.shots is None else str(task.shots),
                version=plain(task.version, 20),
                twin="" if task.twin is None else f"{task.twin.sampled:,} tokens",
            )


def number(value: float) -> str:
    """A score, which may be a share or a perplexity."""
    return f"{value:.{_DIGITS}f}" if abs(value) < 1000 else f"{value:.4g}"
