"""What a verification came to: its runs, whether the entry stands, its place, the record."""

from rich.console import Console
from rich.text import Text

from leaderboard.text import plain
from speedrun.answers import Verified
from speedrun.tables import labelled

LABEL = 12  # columns that a label takes

_TITLES = {
    "stands": Text("✓ stands", style="bold green"),
    "does not stand": Text("✗ does not stand", style="bold red"),
    "not settled": Text("? not settled", style="bold yellow"),
}


def show(value: Verified, console: Console) -> None:
    """The outcome, then what it stands on, then what to do."""
    title = Text.assemble(_TITLES[value.outcome], (f"  {value.entry} on {value.track.id}", "bold default"))
    console.print(title, soft_wrap=True)
    _line(console, "because", value.because)
    for record in value.records:
        loss = f", loss {record.score.loss_nats:.4f}" if record.score is not None else ""
        time = f", training {record.times.train_s:.2f} s" if record.times.train_s is not None else ""
        _line(console, "run", f"{record.run_id}: {record.verdict}{loss}{time}, {record.tier}")
    earlier = len(value.run_ids) - sum(record.run_id in value.run_ids for record in value.records)
    if earlier:
        _line(console, "before", f"{earlier} verified {'run' if earlier == 1 else 'runs'} of this source, made earlier")
    if value.loss_nats is not None and value.train_s is not None:
        runs = f"{len(value.losses_nats)} of {value.runs_asked} runs"
        _line(console, "mean", f"{value.loss_nats:.4f} nats/token, training {value.train_s:.2f} s ({runs})")
    if value.place is not None:
        _line(console, "place", f"{value.place} on the board")
    if value.record_words:
        _line(console, "record", ("yes, " if value.is_record else "no: ") + value.record_words)
    for file in value.files:
        _line(console, "wrote", file)
    if value.outcome == "not settled":
        _line(console, "next", f"speedrun verify {value.entry} --track {value.track.id} --key FILE goes on from here")
    elif value.outcome == "stands":
        _line(console, "next", "speedrun leaderboard --render brings it onto the pages; commit them with the records")


def _line(console: Console, label: str, words: str) -> None:
    labelled([(f"  {label}", plain(words, 1000))], console, LABEL + 2, label="cyan")
