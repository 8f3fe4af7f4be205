"""The queue in words, for its page and for whoever waits. Every text is one line without control characters."""

import math
from collections.abc import Sequence

from leaderboard.table import NOTHING, authors_text, number
from leaderboard.text import plain
from speedrun.answers import VerifiedEntry, Waiting


def lasting(seconds: float) -> str:
    """About how long: 48 s, 12 min, 3.4 h, 12 days."""
    if not math.isfinite(seconds):
        return NOTHING
    for unit_s, unit, digits in ((86_400, "days", 1), (3600, "h", 1), (60, "min", 0)):
        if seconds >= 2 * unit_s:
            return f"{number(seconds / unit_s, digits)} {unit}"
    return f"{seconds:.0f} s"


def authors(row: Waiting) -> str:
    return authors_text(row.authors) or NOTHING


def since(row: Waiting) -> str:
    """The day, and where it is known from when that is not the history."""
    if row.since is None:
        return NOTHING
    return row.since[:10] + (" (its record)" if row.since_by == "record" else "")


def claim(row: Waiting) -> str:
    """What the entry's own runs say, best first."""
    told = row.claim
    if told is None:
        return NOTHING
    timed = told.target_met is not None and told.train_s is not None
    words = f"{number(told.train_s, 2)} s, " if timed and told.train_s is not None else ""
    words += f"loss {number(told.loss_nats, 4)}"
    words += ", target missed" if told.target_met is False else ""
    words += f", {told.runs} {'run' if told.runs == 1 else 'runs'}"
    return words + (" (practice)" if told.practice else "")


def verified(row: Waiting) -> str:
    return NOTHING if row.runs_asked is None else f"{row.runs_made} of {row.runs_asked}"


def expected(row: Waiting) -> str:
    return NOTHING if row.expected_s is None else lasting(row.expected_s)


def ahead(rows: Sequence[Waiting], track: str) -> str:
    """How many, and how long all of them take."""
    if not rows:
        return f"nobody waits on {track} whose verification could begin"
    many = "1 entry waits" if len(rows) == 1 else f"{len(rows)} entries wait"
    return f"{many} on {track}: at most {lasting(sum(row.expected_s or 0.0 for row in rows))} of runs"


def outcome(entry: VerifiedEntry) -> str:
    """What came of an entry, in one line."""
    told = f"{plain(entry.entry, 60)}: {entry.outcome}, {plain(entry.because, 300)}"
    return told + (f"; {plain(entry.record_words, 200)}" if entry.is_record else "")
