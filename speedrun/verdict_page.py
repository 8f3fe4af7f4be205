"""The verdict that ends a run: one block, the same for `speedrun run` and `speedrun watch`."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.text import Text

from harness.protocol import printable
from harness.result import Record, Times, Verdict
from leaderboard.text import plain
from speedrun import next_step, twin_words
from speedrun.answers import Ran
from speedrun.tables import labelled

LABEL = 12  # columns that a label takes
LOG_LINES = 15  # of the log's end, beside a verdict


def show(value: Ran, console: Console) -> None:
    """One block for each run, the last one with what to do next."""
    for number, (record, file) in enumerate(zip(value.records, value.files, strict=True), start=1):
        if number > 1:
            console.print()
        title(record, console)
        facts(lines(record), console)
        failure(record, console, LOG_LINES)
        facts([("record", file)], console)
    if value.broken_off:
        many = f"{len(value.records)} of {value.runs_wanted} runs"
        facts([("broken off", f"{many} are made: {plain(value.broken_off, 500)}")], console)
    if value.records:
        facts([("next", next_step.after(value))], console)


def title(record: Record, console: Console) -> None:
    """Verdict, entry and track."""
    good = record.verdict is Verdict.OK
    line = Text("✓ " if good else "✗ ", style="bold green" if good else "bold red")
    line.append(record.verdict.value)
    line.append(f"  {record.entry.name} on {record.track.id}", style="bold default")
    console.print(line, soft_wrap=True)


def lines(
    record: Record, *, whole: bool = False, retracted: str | None = None, waived: str | None = None
) -> Iterator[tuple[str, str]]:
    """Loss, target, times, twin, and whether it is ranked; `whole`: also what the twin's words stand on."""
    if record.score:
        yield "loss", _loss(record)
        if record.score.target_met is not None and record.track.target_nats is not None:
            met = "met" if record.score.target_met else "missed"
            yield "target", f"{record.track.target_nats:g} nats/token: {met}"
    if waived is not None:
        yield "waived", f"the test that the mean loss is below the target: {plain(waived, 300)}"
    yield "times", _times(record.times, record.track.limit_s)
    if record.twin:
        yield "twin", twin_words.in_short(record.twin)
        if whole:
            yield from (("", words) for words in twin_words.numbers(record.twin))
    against = [plain(reason, 300) for reason in record.unranked_because]
    if retracted is not None:
        against.insert(0, "it is retracted")
    yield "ranked", f"no: {'; '.join(against)}" if against or not record.ranked else "yes"


def failure(record: Record, console: Console, most: int | None) -> None:
    """Why it failed, and the end of what it printed; most: lines of that."""
    if record.verdict is Verdict.OK:
        return
    for line in printable(record.reason, 20_000).split("\n"):
        console.print(Text(f"  {line}"))
    log = [line for line in printable(record.log_tail, 100_000).split("\n") if line.strip()]
    if log:
        console.print(Text("  the end of what it printed:", style="dim"))
        for line in log if most is None else log[-most:]:
            console.print(Text(f"  │ {line}", style="dim"))


def facts(pairs: Iterable[tuple[str, str]], console: Console) -> None:
    """Labels and words, as everywhere on the pages of a run."""
    labelled(((f"  {label}", words) for label, words in pairs), console, LABEL + 2, label="cyan")


def _loss(record: Record) -> str:
    assert record.score is not None
    told = [f"{record.score.loss_nats:.4f} nats/token"]
    if record.dataset.floor_nats is not None:
        gap = record.score.loss_nats - record.dataset.floor_nats
        told.append(f"{gap:.4f} above the floor of {record.dataset.floor_nats:.4f}")
    if record.score.bits_per_byte is not None:
        told.append(f"{record.score.bits_per_byte:.4f} bits/byte")
    if not record.scored:
        told.append("not valid")
    return " · ".join(told)


def _times(times: Times, limit_s: float) -> str:
    told = []
    if times.train_s is not None:
        told.append(f"training {times.train_s:.2f} of {limit_s:g} s")
    phases = (("set-up", times.setup_s), ("saving", times.save_s), ("scoring", times.score_s), ("twin", times.twin_s))
    told += [f"{name} {seconds:.2f} s" for name, seconds in phases if seconds is not None]
    return " · ".join([*told, f"in all {times.total_s:.1f} s"])
