"""The record histories on a terminal, and beside them what was measured elsewhere."""

from collections.abc import Sequence
from datetime import date

from rich.console import Console
from rich.text import Text

from leaderboard.history import History
from leaderboard.published import Published
from leaderboard.table import heading
from leaderboard.timeline import claims_title, elsewhere, result_columns, step_columns
from speedrun import tables
from speedrun.answers import Histories
from speedrun.chart import Point, chart

CHART_LINES = 10
CHART_COLUMNS = 76
CHART_POINTS = 3  # fewer make no curve

# Columns that a narrow terminal does without, the first one first.
_SPARED_STEPS = ("tier", "authors", "technique", "other", "runs", "since")
_SPARED_RESULTS = ("tokens", "technique", "loss", "note", "by")


def show(value: Histories, console: Console) -> None:
    """Every history with its claims, then the published results of its track."""
    published = {each.track: each for each in value.published}
    without = []
    for track in value.tracks:
        ours = [history for history in value.histories if history.track.id == track]
        for history in ours:
            _history(history, console)
        if not ours and track not in published:
            without.append(track)
        if track in published:
            if not ours:
                _heading(f"{track} · no record yet", console)
            _published(published[track], console)
    if without:
        console.print(Text(f"No record yet on {', '.join(without)}."))


def _history(history: History, console: Console) -> None:
    _heading(heading(history), console)
    if history.steps:
        columns = step_columns(history, history.steps)
        tables.show(columns, history.steps, console, spared=_SPARED_STEPS, dim=lambda step: step.kind != "record")
    records = [step for step in history.steps if step.kind == "record"]
    unit = "s" if history.track.objective == "fastest-to-loss" else "nats/token"
    _chart(f"records, {unit}", [(step.since, step.measure) for step in records], console)
    if history.claims:
        console.print(Text(claims_title(history), style="bold"))
        columns = step_columns(history, history.claims)
        tables.show(columns, history.claims, console, spared=_SPARED_STEPS, dim=lambda _: True)
    console.print()


def _published(published: Published, console: Console) -> None:
    """Apart from ours, also in the chart, and marked."""
    console.print(Text(elsewhere(published), style="bold"), soft_wrap=True)
    columns, results = result_columns(published), published.results
    tables.show(columns, results, console, spared=_SPARED_RESULTS, dim=lambda result: result.kind != "record")
    records = [each for each in published.results if each.kind == "record" and each.date is not None]
    _chart("measured elsewhere, s", [(each.date or "", each.train_s) for each in records], console)
    console.print()


def _heading(words: str, console: Console) -> None:
    console.print(Text(words, style="bold"), soft_wrap=True)


def _chart(title: str, dated: Sequence[tuple[str, float]], console: Console) -> None:
    """The progression over the days since the first of them."""
    if len(dated) < CHART_POINTS or len({day for day, _ in dated}) < 2:
        return
    first = min(date.fromisoformat(day) for day, _ in dated)
    points = [Point((date.fromisoformat(day) - first).days, value) for day, value in dated]
    lines = chart(points, min(CHART_COLUMNS, console.width), CHART_LINES, f"days since {first}")
    if lines:
        console.print(Text(title, style="dim"))
        console.print(Text("\n".join(lines)), soft_wrap=True)
