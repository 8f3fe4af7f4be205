"""A duel in words: who against whom, every pair, the interval on an axis, what it means and what to do next."""

from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from harness.result import Tier
from leaderboard.digits import LEAST, decimals
from leaderboard.duels import MOST_PAIRS, Duel, JudgedPair, Outcome, names
from leaderboard.table import NOTHING, Column
from leaderboard.text import plain
from speedrun import tables
from speedrun.answers import Dueled, Fought, Retimed
from speedrun.axis import Axis

AXIS_REACH = 3.0  # the axis ends at so many times the farthest pair: the first intervals go far beyond
INDENT = "  "


class Next(NamedTuple):
    """What whoever asked may do now."""

    words: str  # empty: nothing
    command: str = ""


class _Row(NamedTuple):
    """A pair of the duel."""

    number: int
    first: str  # entry that ran first
    judged: JudgedPair | None  # None: it does not count


def show_duel(value: Dueled, console: Console) -> None:
    """One duel, and what to do next."""
    _show(value.fought, console)
    words, command = next_step(value)
    if words:
        console.print(Text(words))
    if command:
        console.print(Text(f"{INDENT}{command}"), soft_wrap=True)  # in one piece, to be copied


def show_retimed(value: Retimed, console: Console) -> None:
    """Duel after duel."""
    for words in value.left_out:
        console.print(Text(plain(words, 1000)))
    for number, fought in enumerate(value.fought):
        if number or value.left_out:
            console.print()
        _show(fought, console)
    if value.broken_off:
        console.print(Text(f"\nNot all was re-timed: {plain(value.broken_off, 1000)}"))
    told = "These runs count in no mean; speedrun leaderboard --history shows them beside the records."
    console.print(Text(f"\n{told}"))


def verdict(outcome: Outcome) -> str:
    """The outcome's words, and what weakens it."""
    told = [outcome.words]
    if outcome.settled is not None:
        if outcome.practice:
            told.append("some of its runs are practice, so it settles nothing on the board")
        elif outcome.tier is not Tier.VERIFIED:
            told.append("it is self-reported, so it settles nothing on the board")
    return "; ".join(told)


def next_step(value: Dueled) -> Next:
    """By what the duel shows."""
    duel, outcome = value.fought.duel, value.fought.outcome
    if outcome.failed_a or outcome.failed_b:
        return Next("This says why a run failed; the runs are among the files above:", "speedrun show RUN")
    if outcome.counts:
        history = f"speedrun leaderboard --history --track {duel.track.id}"
        return Next("What follows for the record:", history)
    if outcome.settled is not None and not outcome.practice:
        again = f"{value.command} --pairs {duel.most_pairs} --key FILE"
        return Next("For the board a maintainer runs it again, and signs it:", again)
    if outcome.settled is None and outcome.pairs_needed is not None:
        pairs = max(outcome.pairs_needed, duel.most_pairs + 1)
        if pairs <= MOST_PAIRS:
            words = f"If scatter and difference are as they seem, a new duel of about {pairs} pairs settles it:"
            return Next(words, f"{value.command} --pairs {pairs}")
    if outcome.settled is None and len(outcome.pairs) > 1:
        return Next("What difference there is, if any, is far below the scatter: as good as equal.")
    return Next("")


def axis(outcome: Outcome, columns: int) -> list[str]:
    """Three lines of one scale: the interval around the mean effect, the place where both are equal, and the ends.

    An end of the interval that lies beyond the axis is an arrow; without an interval there is no axis.
    """
    interval, neutral = outcome.interval, _neutral(outcome)
    if interval is None:
        return []
    reach = AXIS_REACH * max(abs(value - neutral) for value in (interval.estimate, *(p.effect for p in outcome.pairs)))
    low, high = max(min(interval.low, neutral), neutral - reach), min(max(interval.high, neutral), neutral + reach)
    scale = Axis(low, high, columns)
    return [
        scale.band(interval.low, interval.high, interval.estimate),
        scale.named(neutral, "▲", "equal"),
        scale.ends(_form(outcome), "" if _is_ratio(outcome) else "nats/token"),
    ]


def _show(fought: Fought, console: Console) -> None:
    duel, outcome = fought.duel, fought.outcome
    name_a, name_b = names(duel)
    good = outcome.settled is not None
    mark = Text("✓ settled", style="bold green") if good else Text("? not settled", style="bold yellow")
    what = "re-timed against" if duel.purpose == "retime" else "against"
    title = Text.assemble(mark, (f"  {name_a} {what} {name_b} on {duel.track.id}", "bold default"))
    console.print(title, soft_wrap=True)
    if duel.pairs:
        tables.show(_columns(duel, outcome), _rows(duel, outcome), console, spared=("first",))
        console.print()
    for line in axis(outcome, console.width - len(INDENT)):
        console.print(Text(f"{INDENT}{line}"), soft_wrap=True)
    if outcome.interval is not None:
        what = f"time of {name_a} / time of {name_b}" if _is_ratio(outcome) else f"loss of {name_a} − loss of {name_b}"
        console.print(Text(f"Scale: {what}; left of equal, {name_a} is better.", style="dim"))
    for left in outcome.left_out:
        console.print(Text(plain(f"Pair {left.number} does not count: {left.why}.", 300)))
    console.print(Text(f"{verdict(outcome)}."))
    console.print(Text(f"It ended because {fought.because}."))
    for file in fought.files:
        console.print(Text(f"wrote {file}"), soft_wrap=True)


def _rows(duel: Duel, outcome: Outcome) -> list[_Row]:
    counted = {pair.number: pair for pair in outcome.pairs}
    name_a, name_b = names(duel)
    return [
        _Row(number, name_a if pair.first == "a" else name_b, counted.get(number))
        for number, pair in enumerate(duel.pairs, 1)
    ]


def _columns(duel: Duel, outcome: Outcome) -> tuple[Column[_Row], ...]:
    unit, form = ("s", ",.2f") if _is_ratio(outcome) else ("nats/token", _form(outcome).lstrip("+"))
    name_a, name_b = names(duel)
    return (
        Column("pair", "Pair", "right", lambda row: str(row.number)),
        Column("first", "First", "left", lambda row: row.first),
        Column("a", f"{name_a} ({unit})", "right", lambda row: format(row.judged.a, form) if row.judged else NOTHING),
        Column("b", f"{name_b} ({unit})", "right", lambda row: format(row.judged.b, form) if row.judged else NOTHING),
        Column(
            "effect",
            "Ratio" if _is_ratio(outcome) else "Difference",
            "right",
            lambda row: format(row.judged.effect, _form(outcome)) if row.judged else NOTHING,
        ),
    )


def _is_ratio(outcome: Outcome) -> bool:
    return outcome.measure == "ratio"


def _neutral(outcome: Outcome) -> float:
    """The effect where both sides are equal."""
    return 1.0 if _is_ratio(outcome) else 0.0


def _form(outcome: Outcome) -> str:
    """Of an effect, with the digits that its interval takes."""
    interval = outcome.interval
    digits = LEAST if interval is None else decimals(interval.low, interval.high, _neutral(outcome))
    return f".{digits}f" if _is_ratio(outcome) else f"+.{digits}f"
