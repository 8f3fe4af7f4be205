"""A track's history in words: columns for its records and for what was measured elsewhere.

As in leaderboard.table, every text from here is one line without control characters, and escaping is up to the printer.
"""

from collections.abc import Sequence

from leaderboard.history import History, Step
from leaderboard.published import Published, Result
from leaderboard.table import NOTHING, Column, authors_text, count, filled, number, with_sd
from leaderboard.text import plain

ELSEWHERE = "measured elsewhere, not by this harness"


def step_columns(history: History, steps: Sequence[Step]) -> tuple[Column[Step], ...]:
    """The columns of a table of these steps of a history."""
    timed = history.track.objective == "fastest-to-loss"
    measure = Column[Step](
        "measure",
        "Training (s)" if timed else "Loss (nats/token)",
        "right",
        lambda step: with_sd(step.measure, step.measure_sd, 2 if timed else 4),
    )
    other = Column[Step](
        "other",
        "Loss (nats/token)" if timed else "Training (s)",
        "right",
        lambda step: _optional(step.loss_nats if timed else step.train_s, 4 if timed else 2),
    )
    return filled((*_BEFORE, measure, other, *_AFTER), steps)


def result_columns(published: Published) -> tuple[Column[Result], ...]:
    """The columns of a table of published results."""
    return filled(_RESULT, published.results)


def elsewhere(published: Published) -> str:
    """How many results there are, whose they are, and that they are not ours."""
    many = len(published.results)
    told = f"{many} {'result' if many == 1 else 'results'} {ELSEWHERE}"
    return plain(f"{told}: {published.source}, as read on {published.read_on}", 400)


def claims_title(history: History) -> str:
    """How many claims there are, and that they are no more."""
    many = len(history.claims)
    return "1 claim, which is no record yet" if many == 1 else f"{many} claims, which are no records yet"


def _optional(value: float | None, digits: int) -> str:
    return NOTHING if value is None else number(value, digits)


def _techniques(step: Step) -> str:
    settings = ", ".join(f"{field}={value}" for field, value in step.overrides)
    return plain(f"{step.technique} ({settings})" if settings else step.technique, 160)


def _notes(result: Result) -> str:
    told = []
    if result.repeats_s:
        low, high = min(result.repeats_s), max(result.repeats_s)
        told.append(f"{len(result.repeats_s)} repeats took {low:g} to {high:g} s")
    if result.to_beat_s is not None:
        told.append(f"a new record had to stay within {result.to_beat_s:g} s")
    if result.steps is not None:
        told.append(f"{result.steps:,} steps")
    return plain("; ".join([*told, *filter(None, [result.note])]), 400)


_BEFORE: tuple[Column[Step], ...] = (
    Column("number", "No.", "right", lambda step: NOTHING if step.number is None else str(step.number)),
    Column("kind", "What", "left", lambda step: step.kind),
    Column("since", "Since", "left", lambda step: step.since),
    Column("entry", "Entry", "left", lambda step: plain(step.entry, 40)),
    Column("authors", "Authors", "left", lambda step: authors_text(step.authors)),
)
_AFTER: tuple[Column[Step], ...] = (
    Column("runs", "Runs", "right", lambda step: str(len(step.run_ids))),
    Column("tier", "Tier", "left", lambda step: step.tier.value),
    Column("technique", "Technique", "left", _techniques),
    Column("why", "Why", "left", lambda step: plain(step.evidence.words, 500)),
)
_RESULT: tuple[Column[Result], ...] = (
    Column("number", "No.", "right", lambda result: str(result.number)),
    Column("kind", "What", "left", lambda result: result.kind),
    Column("date", "Date", "left", lambda result: result.date or NOTHING),
    Column(
        "loss",
        "Loss (nats/token)",
        "right",
        lambda result: "" if result.loss_nats is None else number(result.loss_nats, 4),
        optional=True,
    ),
    Column("train", "Training (s)", "right", lambda result: number(result.train_s, 2)),
    Column(
        "tokens",
        "Tokens",
        "right",
        lambda result: "" if result.tokens is None else count(result.tokens),
        optional=True,
    ),
    Column("by", "By", "left", lambda result: plain(", ".join(result.authors), 160) or NOTHING),
    Column("technique", "Technique", "left", lambda result: plain(result.technique, 160)),
    Column("note", "Note", "left", _notes, optional=True),
)
