"""What the first page shows: every track, who holds its record, and the entries."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from harness.result import Tier
from leaderboard.alike import in_order
from leaderboard.history import History, Step, current
from leaderboard.published import Published
from leaderboard.schema import Summary
from leaderboard.site.contents import Contents, Fact, TrackCard
from leaderboard.site.run_rows import run_table
from leaderboard.site.sparkline import Sparkline, sparkline
from leaderboard.site.tables import Cell, Heading, Piece, Table, TableRow, authors, entry_page
from leaderboard.site.words import many
from leaderboard.table import number
from leaderboard.text import plain
from leaderboard.timeline import ELSEWHERE

_LATEST_RUNS = 10
_MOST_CLAIMS = 3  # of a track: any stranger with another machine makes one


class Holder(NamedTuple):
    """A record or a claim, on one line."""

    entry: str
    measure: str
    unit: str
    since: str  # date
    hardware: str


class TrackTile(NamedTuple):
    """A track at first sight."""

    id: str
    title: str
    race: str
    brief: tuple[Fact, ...]
    records: tuple[Holder, ...]  # that stand, one for each kind of hardware or data; none: there is none yet
    claims: tuple[Holder, ...]  # the best of each kind of hardware or data that has no record yet, best first
    more_claims: str  # how many are not listed; empty: none
    runs: int
    counts: str  # entries and runs, in words
    line: Sparkline | None
    elsewhere: str  # what other projects published; empty: nothing


class IndexPage(NamedTuple):
    tiles: tuple[TrackTile, ...]
    entries: Table | None
    latest: Table | None
    broken: str  # empty: everything could be read
    made_of: str


def index_page(contents: Contents) -> IndexPage:
    """The first page of the site."""
    runs_of: dict[str, list[Summary]] = defaultdict(list)
    for run in contents.runs:
        runs_of[run.track.id].append(run)
    ordered = in_order(contents.runs)
    broken = many(len(contents.broken), "file")
    return IndexPage(
        tiles=tuple(
            _tile(card, contents, runs_of.get(card.id, ()))
            for card in sorted(contents.cards, key=lambda card: card.id not in runs_of)  # where races are run
        ),
        entries=_entries(ordered),
        latest=run_table("latest", "Latest runs", ordered[-_LATEST_RUNS:], contents, root="", filtered=False)
        if ordered
        else None,
        broken=f"{broken} could not be read; speedrun leaderboard names them and says why." if contents.broken else "",
        made_of=many(len(contents.runs), "record"),
    )


def published_words(published: Published) -> str:
    """What other projects measured, in one line."""
    best = min(published.results, key=lambda result: result.train_s, default=None)
    told = f"{many(len(published.results), 'result')} {ELSEWHERE}: {published.source}"
    timed = best is not None and all(result.loss_nats is None for result in published.results)
    return plain(f"{told}; the quickest took {number(best.train_s, 2)} s" if timed and best else told, 300)


def _tile(card: TrackCard, contents: Contents, runs: Sequence[Summary]) -> TrackTile:
    histories = [each for each in contents.histories if each.track.id == card.id and each.current_version]
    standing = [(history, step) for history in histories if (step := current(history)) is not None]
    claimed = [each for each in histories if each.claims and current(each) is None]
    claimed.sort(key=lambda each: each.claims[0].measure)
    published = next((each for each in contents.published if each.track == card.id), None)
    return TrackTile(
        id=card.id,
        title=card.title,
        race=card.race,
        brief=card.brief,
        records=tuple(_holder(history, step) for history, step in standing),
        claims=tuple(_holder(each, each.claims[0]) for each in claimed[:_MOST_CLAIMS]),
        more_claims=f"{many(left, 'more claim')} on other hardware"
        if (left := len(claimed) - _MOST_CLAIMS) > 0
        else "",
        runs=len(runs),
        counts=f"{many(len({run.entry.name for run in runs}), 'entry', 'entries')}, {many(len(runs), 'run')}",
        line=next((line for history, _ in standing if (line := sparkline(history)) is not None), None),
        elsewhere="" if published is None else published_words(published),
    )


def _holder(history: History, step: Step) -> Holder:
    timed = history.track.objective == "fastest-to-loss"
    return Holder(
        entry=step.entry,
        measure=number(step.measure, 2 if timed else 4),
        unit="s" if timed else "nats/token",
        since=step.since,
        hardware=plain(history.hardware, 120),
    )


def _entries(ordered: Iterable[Summary]) -> Table | None:
    """Every entry with its latest words about itself. ordered: oldest first."""
    of_entry: dict[str, list[Summary]] = defaultdict(list)
    for run in ordered:
        of_entry[run.entry.name].append(run)
    if not of_entry:
        return None
    rows = []
    for name, runs in sorted(of_entry.items()):
        last = runs[-1]
        verified = any(run.tier is Tier.VERIFIED for run in runs)
        rows.append(
            TableRow(
                cells=(
                    Cell((Piece(name, entry_page("", name)),)),
                    Cell((Piece(plain(last.entry.title, 120)),)),
                    Cell(authors(last.entry.authors)),
                    Cell((Piece(plain(last.entry.technique, 120)),)),
                    Cell((Piece(f"{len({run.track.id for run in runs})}"),), right=True),
                    Cell((Piece(f"{len(runs):,}"),), right=True, value=str(len(runs))),
                    Cell((Piece(last.started_at[:10]),)),
                ),
                tier=(Tier.VERIFIED if verified else Tier.SELF_REPORTED).value,
            )
        )
    headings = (
        Heading("Entry", "text", False),
        Heading("Title", "text", False),
        Heading("Authors", "text", False),
        Heading("Technique", "text", False),
        Heading("Tracks", "number", True),
        Heading("Runs", "number", True),
        Heading("Last run", "text", False),
    )
    return Table("entries", "Entries", headings, tuple(rows), filtered=True)
