"""What came out when a record's source was run again: the runs side by side, the noise on an axis, the verdict."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.result import Record
from leaderboard.text import plain
from speedrun.answers import Noise, Reproduced, ReproductionOutcome
from speedrun.reproduction import REPEAT_NATS

AXIS_COLUMNS = 64
LABEL = 12  # columns that a label takes
NOTHING = "–"

_TITLES: dict[ReproductionOutcome, Text] = {
    "borne out": Text("✓ borne out", style="bold green"),
    "not borne out": Text("✗ not borne out", style="bold red"),
    "worse": Text("✓ worse than its noise", style="bold yellow"),
    "undecided": Text("? undecided", style="bold red"),
}


def show(value: Reproduced, console: Console) -> None:
    """Verdict, runs, axis, and what the runs say in words."""
    original = value.original
    title = Text.assemble(
        _TITLES[value.outcome],
        (f"  {original.entry.name} on {original.track.id}, run {original.run_id}", "bold default"),
    )
    console.print(title, soft_wrap=True)
    _table(value, console)
    if value.noise is not None and original.score is not None:
        losses = [run.score.loss_nats for run in value.runs if run.score is not None]
        for line in axis(value.noise, original.score.loss_nats, losses, min(AXIS_COLUMNS, console.width - LABEL - 2)):
            console.print(Text(f"  {line}"), soft_wrap=True)
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
            f"{value.noise.runs} runs that are verified or were made here; a smaller lie than that is not found."
        )
    if value.same_seed_nats is not None:
        told.append(_same_seed(value.same_seed_nats))
    if value.original.track.objective == "fastest-to-loss":
        told.append(
            "Training times are shown and not judged: those of other hosts differ. speedrun duel and speedrun retime "
            "compare times, side by side."
        )
    return [words[0].upper() + words[1:] for words in told]


def axis(noise: Noise, original_nats: float, reruns_nats: Sequence[float], columns: int) -> list[str]:
    """Four lines of one scale: the noise, the runs made now, the record, and the ends in numbers."""
    values = (noise.low_nats, noise.high_nats, original_nats, *reruns_nats)
    low, high = min(values), max(values)
    columns = max(columns, 24)

    def place(nats: float) -> int:
        return round((nats - low) / (high - low) * (columns - 1)) if high > low else columns // 2

    def marked(*marks: tuple[float, str]) -> str:
        line = [" "] * columns
        for nats, mark in marks:
            line[place(nats)] = mark
        return "".join(line).rstrip()

    first, last = place(noise.low_nats), place(noise.high_nats)
    band = " " * first + "├" + "─" * (last - first - 1) + "┤" * (last > first)
    ends = f"{low:.4f}{f'{high:.4f} nats/token':>{columns - len(f'{low:.4f}')}}"
    lines = (
        ("noise", band),
        ("runs", marked(*((nats, "•") for nats in reruns_nats))),
        ("record", marked((original_nats, "▲"))),
        ("", ends),
    )
    return [f"{label:<{LABEL}}{line}" for label, line in lines]


def _table(value: Reproduced, console: Console) -> None:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(Text("Run"))
    for heading in ("Seed", "Loss (nats/token)", "Difference", "Training (s)"):
        table.add_column(Text(heading), justify="right")
    table.add_column(Text("Ended"))
    table.add_row(*_cells(value.original, value.original, "the record"))
    for number, run in enumerate(value.runs):
        table.add_row(*_cells(run, value.original, "the record's seed" if number == 0 else "a fresh seed"))
    console.print(table)


def _cells(run: Record, original: Record, name: str) -> tuple[Text, ...]:
    loss = difference = NOTHING
    if run.score is not None:
        loss = f"{run.score.loss_nats:.4f}"
        if run is not original and original.score is not None:
            difference = f"{run.score.loss_nats - original.score.loss_nats:+.4f}"
    train = NOTHING if run.times.train_s is None else f"{run.times.train_s:.2f}"
    return tuple(map(Text, (name, str(run.seed), loss, difference, train, run.verdict.value)))


def _same_seed(difference_nats: float) -> str:
    if abs(difference_nats) <= REPEAT_NATS:
        return "with the record's seed the loss is the same to a millionth of a nat."
    return (
        f"with the record's seed the loss differs by {difference_nats:+.2e} nats, as it may: threads, and schedules "
        "that follow the clock, do not repeat."
    )
