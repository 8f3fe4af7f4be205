"""Scores on tasks in words: after `speedrun evaluate`, and on the page of a run."""

from rich.console import Console
from rich.text import Text

from harness.result import Downstream
from leaderboard.downstream import Line, lines
from leaderboard.table import Column, filled, number
from leaderboard.text import plain
from speedrun import tables
from speedrun.answers import Evaluated

COLUMNS: tuple[Column[Line], ...] = (
    Column("task", "Task", "left", lambda line: line.task),
    Column("metric", "Metric", "left", lambda line: line.metric),
    Column("value", "Value", "right", lambda line: line.value),
    Column("stderr", "± stderr", "right", lambda line: line.stderr, optional=True),
    Column("documents", "Documents", "right", lambda line: line.documents),
    Column("shots", "Shots", "right", lambda line: line.shots, optional=True),
    Column("version", "Task version", "right", lambda line: line.version, optional=True),
    Column("twin", "Twin asked", "right", lambda line: line.twin, optional=True),
)


def show(value: Evaluated, console: Console) -> None:
    """The run, its scores, and where they went."""
    loss = number(value.loss_nats, 4)
    console.print(Text(f"{value.run_id}: {value.entry} on {value.track}, loss {loss} nats/token", style="bold"))
    show_scores(value.downstream, console)
    if value.file is not None:
        console.print(Text(f"\nwritten into {value.file}"), soft_wrap=True)
    elif value.not_stored:
        console.print(Text(f"\nnot stored: {plain(value.not_stored, 300)}"), soft_wrap=True)


def show_scores(downstream: Downstream, console: Console) -> None:
    """The table, and the note where there is one."""
    console.print(Text("\nscores on tasks", style="bold").append(" (lm-eval; never ranked by)", style="not bold"))
    if found := list(lines(downstream)):
        tables.show(filled(COLUMNS, found), found, console, spared=("twin", "shots", "version"))
    if downstream.note:
        console.print(Text(plain(downstream.note, 1000), style="yellow"), soft_wrap=True)
