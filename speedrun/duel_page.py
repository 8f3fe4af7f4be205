"""A duel in words: who against whom, every pair, the interval on an axis, what it means and what to do next."""

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.result import Tier
from leaderboard.duels import MOST_PAIRS, Duel, Outcome, names
from leaderboard.text import plain
from speedrun.answers import Dueled, Fought, Retimed

AXIS_COLUMNS = 64
AXIS_REACH = 3.0  # the axis ends at so many times the farthest pair: the first intervals go far beyond
NOTHING = "–"


def show_duel(value: Dueled, console: Console) -> None:
    """One duel, and what to do next."""
    _show(value.fought, console)
    _say(console, next_step(value))


def show_retimed(value: Retimed, console: Console) -> None:
    """Duel after duel."""
    for words in value.left_out:
        _say(console, words)
    for number, fought in enumerate(value.fought):
        if number or value.left_out:
            console.print()
        _show(fought, console)
    _say(console, "\nThese runs count in no mean; speedrun leaderboard --history shows them beside the records.")


def verdict(outcome: Outcome) -> str:
    """The outcome's words, and what weakens it."""
    told = [outcome.words]
    if outcome.settled is not None:
        if outcome.practice:
            told.append("practice: it settles nothing on the board")
        elif outcome.tier is not Tier.VERIFIED:
            told.append("self-reported: it settles nothing on the board")
    return "; ".join(told)


def next_step(value: Dueled) -> str:
    """What whoever asked may do now."""
    duel, outcome = value.fought.duel, value.fought.outcome
    if outcome.failed_a or outcome.failed_b:
        return "speedrun show RUN says why a run failed; the runs are among the files above."
    if outcome.counts:
        return f"speedrun leaderboard --history --track {duel.track.id} shows what follows for the record."
    if outcome.settled is not None and not outcome.practice:
        return f"For the board a maintainer repeats it: {value.command} --pairs {duel.most_pairs} --key FILE"
    if outcome.settled is None and outcome.pairs_needed is not None:
        pairs = max(outcome.pairs_needed, duel.most_pairs + 1)
        if pairs <= MOST_PAIRS:
            again = f"{value.command} --pairs {pairs}"
            return f"If scatter and difference are as they seem, about {pairs} pairs settle it: {again}"
    if outcome.settled is None and len(outcome.pairs) > 1:
        return "What difference there is, if any, is far below the scatter: as good as equal."
    return ""


def axis(outcome: Outcome, columns: int) -> list[str]:
    """Three lines of one scale: the interval around the estimate, the place where both are equal, and the ends.

    An end of the interval that lies beyond the axis is an arrow; without an interval there is no axis.
    """
    interval, neutral = outcome.interval, 1.0 if outcome.measure == "ratio" else 0.0
    if interval is None:
        return []
    reach = AXIS_REACH * max(abs(value - neutral) for value in (interval.estimate, *(p.effect for p in outcome.pairs)))
    low, high = max(min(interval.low, neutral), neutral - reach), min(max(interval.high, neutral), neutral + reach)
    columns = max(columns, 24)

    def place(value: float) -> int:
        inside = min(max(value, low), high)
        return round((inside - low) / (high - low) * (columns - 1)) if high > low else columns // 2

    first, last = place(interval.low), place(interval.high)
    band = [" "] * columns
    band[first : last + 1] = "─" * (last + 1 - first)
    band[first] = "├" if interval.low >= low else "◄"
    band[last] = "┤" if interval.high <= high else "►"
    band[place(interval.estimate)] = "●"
    form = "{:.4f}" if outcome.measure == "ratio" else "{:+.4f}"
    ends = form.format(low) + form.format(high).rjust(columns - len(form.format(low)))
    return ["".join(band).rstrip(), " " * place(neutral) + "▲ equal", ends]


def _show(fought: Fought, console: Console) -> None:
    duel, outcome = fought.duel, fought.outcome
    name_a, name_b = names(duel)
    good = outcome.settled is not None
    mark = Text("✓ settled", style="bold green") if good else Text("? not settled", style="bold yellow")
    what = "re-timed against" if duel.purpose == "retime" else "against"
    title = Text.assemble(mark, (f"  {name_a} {what} {name_b} on {duel.track.id}", "bold default"))
    console.print(title, soft_wrap=True)
    _table(duel, outcome, console)
    for line in axis(outcome, min(AXIS_COLUMNS, console.width - 2)):
        console.print(Text(f"  {line}"), soft_wrap=True)
    _say(console, f"{verdict(outcome)}.")
    _say(console, f"It ended because {fought.because}.")
    for file in fought.files:
        console.print(Text(f"wrote {file}"), soft_wrap=True)


def _table(duel: Duel, outcome: Outcome, console: Console) -> None:
    ratio = outcome.measure == "ratio"
    unit, digits = ("s", 2) if ratio else ("nats/token", 4)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    table.add_column(Text("Pair"), justify="right")
    table.add_column(Text("First"))
    for heading in (*(f"{name} ({unit})" for name in names(duel)), "Ratio" if ratio else "Difference"):
        table.add_column(Text(heading), justify="right")
    counted = {pair.number: pair for pair in outcome.pairs}
    left_out = {pair.number: pair.why for pair in outcome.left_out}
    if left_out:
        table.add_column(Text("Left out"))
    for number, pair in enumerate(duel.pairs, 1):
        cells = [str(number), names(duel)[0 if pair.first == "a" else 1]]
        judged = counted.get(number)
        if judged is None:
            cells += [NOTHING] * 3
        else:
            effect = f"{judged.effect:.4f}" if ratio else f"{judged.effect:+.4f}"
            cells += [f"{judged.a:,.{digits}f}", f"{judged.b:,.{digits}f}", effect]
        table.add_row(
            *(Text(cell) for cell in cells), *([Text(plain(left_out.get(number, ""), 120))] if left_out else [])
        )
    console.print(table)


def _say(console: Console, words: str) -> None:
    if words:
        console.print(Text(words), soft_wrap=True)
