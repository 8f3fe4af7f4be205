"""Who waits for a verification, and what came of those who did, on a terminal."""

from rich.console import Console
from rich.text import Text

from leaderboard.table import NOTHING, Column, filled, number
from leaderboard.text import plain
from speedrun import queue_words, tables
from speedrun.answers import Queue, VerifiedAll, VerifiedEntry, Waiting
from speedrun.page_lines import BAD, line, say

MOST_NAMED = 20  # entries of a list in one line

_WAITING: tuple[Column[Waiting], ...] = (
    Column("place", "#", "right", lambda row: str(row.place)),
    Column("entry", "Entry", "left", lambda row: plain(row.entry, 60)),
    Column("title", "Title", "left", lambda row: plain(row.title, 60) or NOTHING),
    Column("authors", "Authors", "left", queue_words.authors),
    Column("track", "Track", "left", lambda row: plain(row.track or "", 60), optional=True),
    Column("since", "Waits since", "left", queue_words.since),
    Column("claim", "Claims", "left", queue_words.claim),
    Column("verified", "Verified", "right", queue_words.verified),
    Column("expected", "Takes at most", "right", queue_words.expected),
    Column("note", "Note", "left", lambda row: plain(row.note, 300), optional=True),
)
# Columns that a narrow terminal does without, the first one first.
_SPARED_WAITING = ("title", "authors", "expected", "since", "note")

_VERIFIED: tuple[Column[VerifiedEntry], ...] = (
    Column("entry", "Entry", "left", lambda row: plain(row.entry, 60)),
    Column("outcome", "Outcome", "left", lambda row: row.outcome),
    Column("runs", "Runs made", "right", lambda row: str(len(row.run_ids))),
    Column("loss", "Mean loss", "right", lambda row: NOTHING if row.loss_nats is None else number(row.loss_nats, 4)),
    Column("train", "Training (s)", "right", lambda row: NOTHING if row.train_s is None else number(row.train_s, 2)),
    Column("place", "Place", "right", lambda row: NOTHING if row.place is None else str(row.place)),
    Column("record", "Record", "left", lambda row: "yes" if row.is_record else "no"),
    Column("because", "Because", "left", lambda row: plain(row.because, 400)),
)
_SPARED_VERIFIED = ("place", "train", "loss")


def show_queue(value: Queue, console: Console) -> None:
    """Who waits, who would and breaks a rule, and how many wait no more."""
    shown = value.waiting
    if value.track is not None:  # every line would say the same
        columns = filled([column for column in _WAITING if column.key != "track"], shown)
    else:
        columns = filled(_WAITING, shown)
    if shown:
        tables.show(columns, shown, console, spared=_SPARED_WAITING, dim=lambda row: not row.verifiable)
    else:
        say(console, f"nobody waits for a verification{_on(value.track)}")
    for refused in value.refused:
        more = f" (and {refused.more} more: speedrun check {plain(refused.entry, 60)})" if refused.more else ""
        line(console, BAD, f"{plain(refused.entry, 60)} breaks a rule: {plain(refused.because, 300)}{more}")
    if value.not_waiting:
        told = ", ".join(f"{count} × {why}" for why, count in value.not_waiting.items())
        console.print(Text(f"not waiting{_on(value.track)}: {told}", style="dim"))
    if value.remark:
        say(console, f"without git's dates: {value.remark}")
    if value.track is not None and (ready := [row for row in shown if row.verifiable]):
        say(console, queue_words.ahead(ready, value.track))
        say(console, f"next  speedrun verify --all --track {value.track} --key FILE")


def show_verified(value: VerifiedAll, console: Console) -> None:
    """What came of every entry, then what is left."""
    if value.entries:
        columns = filled(_VERIFIED, value.entries)
        tables.show(
            columns,
            value.entries,
            console,
            spared=_SPARED_VERIFIED,
            dim=lambda row: row.outcome == "not settled",
        )
    else:
        say(console, f"nobody waited for a verification{_on(value.track)}")
    settled = sum(row.outcome != "not settled" for row in value.entries)
    files = sum(len(row.files) for row in value.entries)
    begun = "interrupted: " if value.interrupted else ""
    say(console, f"{begun}{settled} of {len(value.entries)} settled, {len(value.left)} left; {files} files written")
    if value.broken_off:
        say(console, f"broken off  {plain(value.broken_off, 500)}")
    if value.left:
        more = f" and {len(value.left) - MOST_NAMED} more" if len(value.left) > MOST_NAMED else ""
        say(console, f"left  {', '.join(plain(entry, 60) for entry in value.left[:MOST_NAMED])}{more}")
        say(console, f"next  speedrun verify --all --track {value.track} --key FILE goes on from here")
    if files:
        say(console, "next  speedrun leaderboard --render brings them onto the pages; commit them with the records")


def _on(track: str | None) -> str:
    return "" if track is None else f" on {plain(track, 60)}"
