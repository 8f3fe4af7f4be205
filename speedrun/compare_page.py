"""Two runs side by side: their curves over each other, their numbers, what differs, what may be concluded."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from harness.result import CurvePoint, Verdict
from leaderboard.table import NOTHING, Column, number
from leaderboard.text import plain
from speedrun import tables
from speedrun.answers import Compared, ComparedRun
from speedrun.chart import Piece, Point, Whose, overlay
from speedrun.comparison import Amount, Better, Comparison

CHART_LINES = 14
CHART_COLUMNS = 96
LABEL = 17  # columns that a setting's name takes

_STYLES: dict[Whose, str] = {"": "default", "a": "cyan", "b": "yellow", "ab": "bold"}
_SOLID, _DASHED = "⠤⠤⠤⠤", "⠤⠀⠤⠀"
_DECIMALS = {"nats/token": 4, "bits/byte": 4, "s": 2, "GiB": 2, "TFLOP/s": 3, "1/s": 0, "": 0}


def show(value: Compared, console: Console) -> None:
    """Runs, curves, numbers, settings, conclusions."""
    _head("A", value.a, console)
    _head("B", value.b, console)
    _curves(value, console)
    console.print()
    tables.show(_columns(), value.comparison.amounts, console, spared=("share",))
    console.print(Text("* as the entries said it, not checked", style="dim"))
    console.print()
    _differences(value.comparison, console)
    for words in sentences(value.comparison):
        console.print(Text(words))
    if command := settling(value):
        console.print(Text(f"To settle it: {command}"), soft_wrap=True)


def sentences(found: Comparison) -> Iterator[str]:
    """What may be concluded, and what may not."""
    if found.incomparable:
        yield f"Not comparable: {'; '.join(found.incomparable)}."
    elif found.same_entry:
        noise = "noise" if not found.unlike else f"noise, or comes from this: {'; '.join(found.unlike)}"
        yield f"Both ran the same source with the same settings: what differs in loss and time is {noise}."
    elif found.better is None:
        yield "Neither is better."
    else:
        yield (
            f"{_better(found.better)}. One run of each: how far two runs of one entry differ is not known from these, "
            "so it may be chance."
        )
        if found.unlike:
            yield f"And not all was alike: {'; '.join(found.unlike)}."
    if found.passing is not None:
        yield _passed(found)


def settling(value: Compared) -> str:
    """The command that tells chance from merit; empty where there is nothing to settle, or no such command."""
    a, b = value.a, value.b
    found = value.comparison
    if found.better is None or found.same_entry or found.practice or a.entry == b.entry:
        return ""
    return f"speedrun duel {b.entry} --against {a.entry} --track {a.track}"


def _better(better: Better) -> str:
    run, other = ("A", "B") if better.run == "a" else ("B", "A")
    if better.by is None:
        return f"{run} met the target, {other} missed it"
    return (
        f"{run} is faster by {number(better.by, 2)} s"
        if better.why == "time"
        else f"{run} is better by {_loss(better.by)}"
    )


def _loss(nats: float) -> str:
    return f"{number(nats, 4)} nats/token"


def _passed(found: Comparison) -> str:
    assert found.passing is not None
    run, other = ("A", "B") if found.passing.run == "a" else ("B", "A")
    return (
        f"By the training loss that they logged themselves, {run} was after {number(found.passing.elapsed_s, 1)} s "
        f"where {other} ended after {number(found.passing.other_s, 1)} s, at {number(found.passing.loss_nats, 3)}."
    )


def _head(name: str, run: ComparedRun, console: Console) -> None:
    good = run.verdict is Verdict.OK
    line = Text(f"{name}  ", style="bold")
    line.append("✓ " if good else "✗ ", style="green" if good else "red")
    line.append(f"{run.verdict.value}  {run.entry} on {run.track}", style="bold default")
    console.print(line, soft_wrap=True)
    console.print(Text(f"   {run.run_id}, {run.tier.value}", style="dim"), soft_wrap=True)


def _curves(value: Compared, console: Console) -> None:
    lines = overlay(_points(value.a.curve), _points(value.b.curve), min(console.width, CHART_COLUMNS), CHART_LINES)
    if not lines:
        return
    console.print(Text("\ntraining loss as the entries logged it", style="bold"), soft_wrap=True)
    for pieces in lines:
        console.print(_styled(pieces), soft_wrap=True)
    legend = (("A", _SOLID, value.a, _STYLES["a"]), ("B", _DASHED, value.b, _STYLES["b"]))
    for name, mark, run, style in legend:
        console.print(Text.assemble((f"{mark} {name}", style), f" {run.entry}"), soft_wrap=True)


def _points(curve: Sequence[CurvePoint]) -> list[Point]:
    return [Point(point.elapsed_s, point.loss_nats) for point in curve if point.loss_nats is not None]


def _styled(pieces: Sequence[Piece]) -> Text:
    return Text.assemble(*((piece.text, _STYLES[piece.whose]) for piece in pieces))


def _columns() -> tuple[Column[Amount], ...]:
    return (
        Column("name", "Measured", "left", _name),
        Column("a", "A", "right", lambda amount: _shown(amount, amount.a)),
        Column("b", "B", "right", lambda amount: _shown(amount, amount.b)),
        Column("difference", "B − A", "right", lambda amount: _shown(amount, amount.difference, sign="+")),
        Column("share", "%", "right", _share),
    )


def _name(amount: Amount) -> str:
    if amount.declared:
        return f"{amount.name} *"
    return f"{amount.name} ({amount.unit})" if amount.unit not in ("", "bits/byte") else amount.name


def _shown(amount: Amount, value: float | None, sign: str = "") -> str:
    if value is None:
        return NOTHING
    digits = _DECIMALS[amount.unit]
    shown = f"{value:,}" if isinstance(value, int) else number(round(value, digits) + 0.0, digits)  # never -0.00
    return f"+{shown}" if sign and value > 0 else shown


def _share(amount: Amount) -> str:
    if amount.difference is None or not amount.a:
        return ""
    return f"{amount.difference / abs(amount.a):+.1%}".removesuffix("%")


def _differences(found: Comparison, console: Console) -> None:
    """What was not the same when they were made."""
    console.print(Text("what differs", style="bold"))
    pairs = [(setting.name, f"{_setting(setting.a)} → {_setting(setting.b)}") for setting in found.settings]
    pairs += [
        ("source", f"{plain(file.path, 200)} {file.done}, +{file.lines_added:,} −{file.lines_removed:,} lines")
        for file in found.files
    ]
    pairs = [(f"  {plain(name, LABEL - 3)}", words) for name, words in pairs]
    tables.labelled(pairs or [("  nothing", "but the seed and the time")], console, LABEL, label="cyan")
    console.print()


def _setting(words: str | None) -> str:
    return NOTHING if words is None else plain(words, 100) or '""'
