"""What came out when a record's source was run again: the runs side by side, the noise on an axis, the verdict."""

from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from harness.result import Record
from leaderboard.table import NOTHING, Column
from leaderboard.text import plain
from speedrun import tables
from speedrun.answers import Reproduced, ReproductionOutcome
from speedrun.axis import Axis
from speedrun.reproduction import REPEAT_NATS, digits

LABEL = 8  # columns that a label of the axis takes
INDENT = "  "

_TITLES: dict[ReproductionOutcome, Text] = {
    "borne out": Text("✓ borne out", style="bold green"),
    "not borne out": Text("✗ not borne out", style="bold red"),
    "worse": Text("✓ worse than it should be", style="bold yellow"),
    "undecided": Text("? undecided", style="bold red"),
}


class _Row(NamedTuple):
    """A run beside the record."""

    name: str
    run: Record
    difference_nats: float | None  # to the record; None: it is the record, or one of them has no score


def show(value: Reproduced, console: Console) -> None:
    """Verdict, runs, axis, and what the runs say in words."""
    original = value.original
    title = Text.assemble(
        _TITLES[value.outcome],
        (f"  {original.entry.name} on {original.track.id}, run {original.run_id}", "bold default"),
    )
    console.print(title, soft_wrap=True)
    shown = digits(original, value.noise)
    tables.show(_columns(shown), _rows(value), console, spared=("seed",), dim=lambda row: row.run is original)
    console.print()
    for line in axis(value, console.width - len(INDENT)):
        console.print(Text(f"{INDENT}{line}"), soft_wrap=True)
    for words in sentences(value):
        console.print(Text(plain(words, 1000)))
    for file in value.files:
        console.print(Text(f"wrote {file}"), soft_wrap=True)


def sentences(value: Reproduced) -> Sequence[str]:
    """The judgement, what it stands on, and what was not judged."""
    told = [f"{value.because}."]
    if value.noise is not None:
        told.append(
            f"The noise is where one more run lies with {value.noise.confidence:.0%} confidence, by "
            f"{value.noise.runs} runs that are verified or were made here; a loss inside it can't be told from chance."
        )
    if value.same_seed_nats is not None:
        told.append(_same_seed(value.same_seed_nats, digits(value.original, value.noise)))
    if value.original.track.objective == "fastest-to-loss":
        told.append(
            "Training times are shown and not judged: those of other hosts differ. speedrun duel and speedrun retime "
            "compare times, side by side."
        )
    return [words[0].upper() + words[1:] for words in told]


def axis(value: Reproduced, columns: int) -> list[str]:
    """Four lines of one scale: the noise, the runs made now, the record, and the ends in numbers."""
    noise, score = value.noise, value.original.score
    if noise is None or score is None:
        return []
    reruns_nats = [run.score.loss_nats for run in value.runs if run.score is not None]
    values = (noise.low_nats, noise.high_nats, score.loss_nats, *reruns_nats)
    scale = Axis(min(values), max(values), columns - LABEL)
    lines = (
        ("noise", scale.band(noise.low_nats, noise.high_nats)),
        ("runs", scale.marks(reruns_nats, "•")),
        ("record", scale.marks([score.loss_nats], "▲")),
        ("", scale.ends(f".{digits(value.original, noise)}f", "nats/token")),
    )
    return [f"{label:<{LABEL}}{line}" for label, line in lines]


def _rows(value: Reproduced) -> list[_Row]:
    score = value.original.score
    rows = [_Row("the record", value.original, None)]
    for number, run in enumerate(value.runs):
        difference = None if run.score is None or score is None else run.score.loss_nats - score.loss_nats
        rows.append(_Row("the record's seed" if number == 0 else "a fresh seed", run, difference))
    return rows


def _columns(shown: int) -> tuple[Column[_Row], ...]:
    """shown: digits of a loss."""

    def loss(row: _Row) -> str:
        return NOTHING if row.run.score is None else f"{row.run.score.loss_nats:.{shown}f}"

    def difference(row: _Row) -> str:
        return NOTHING if row.difference_nats is None else f"{row.difference_nats:+.{shown}f}"

    def train(row: _Row) -> str:
        return NOTHING if row.run.times.train_s is None else f"{row.run.times.train_s:.2f}"

    return (
        Column("run", "Run", "left", lambda row: row.name),
        Column("seed", "Seed", "right", lambda row: str(row.run.seed)),
        Column("loss", "Loss (nats/token)", "right", loss),
        Column("difference", "Difference", "right", difference),
        Column("train", "Training (s)", "right", train),
        Column("ended", "Ended", "left", lambda row: row.run.verdict.value),
    )


def _same_seed(difference_nats: float, shown: int) -> str:
    if abs(difference_nats) <= REPEAT_NATS:
        return "with the record's seed the loss is the same to a millionth of a nat."
    return (
        f"with the record's seed the loss differs by {difference_nats:+.{shown}f} nats; some difference is usual: "
        "threads, and schedules that follow the clock, do not repeat."
    )
