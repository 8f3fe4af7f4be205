"""What the page of a track shows: its terms, who stands where, how the record came about, what others measured."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import msgspec

from leaderboard.history import History, Step
from leaderboard.published import Published, Result
from leaderboard.ranking import Row, Section
from leaderboard.schema import Summary
from leaderboard.site.contents import Contents, TrackCard
from leaderboard.site.drawing import Figure
from leaderboard.site.plots import progression, spread
from leaderboard.site.run_rows import run_table
from leaderboard.site.tables import (
    Filter,
    Piece,
    Table,
    TableRow,
    authors,
    cell,
    entry_page,
    filter_of,
    headings,
    run_page,
    way,
)
from leaderboard.site.words import many
from leaderboard.table import columns, heading, legend, terms
from leaderboard.text import plain
from leaderboard.timeline import claims_title, elsewhere, result_columns, step_columns

LATEST_RUNS: Final = 1000  # on the page of a track; the pages of the entries have all of them
_ROOT: Final = "../"

_ROW_NUMBERS: Mapping[str, Callable[[Row], float | None]] = {
    "rank": lambda row: row.rank,
    "loss": lambda row: row.loss_nats,
    "floor_gap": lambda row: row.floor_gap_nats,
    "train": lambda row: row.train_s,
    "runs": lambda row: row.runs,
    "failed": lambda row: row.failed,
    "declared_tokens": lambda row: row.declared_tokens,
}
_STEP_NUMBERS: Mapping[str, Callable[[Step], float | None]] = {
    "number": lambda step: step.number,
    "measure": lambda step: step.measure,
    "runs": lambda step: len(step.run_ids),
}
_RESULT_NUMBERS: Mapping[str, Callable[[Result], float | None]] = {
    "number": lambda result: result.number,
    "loss": lambda result: result.loss_nats,
    "train": lambda result: result.train_s,
    "tokens": lambda result: result.tokens,
}


class SectionView(NamedTuple):
    """One place: what may be compared with each other."""

    id: str
    heading: str
    hardware: str
    terms: str
    legend: str
    ranking: Table | None  # None: nothing but a history
    spread: Figure | None
    records: Table | None
    claims: Table | None
    claims_title: str


class TrackPage(NamedTuple):
    card: TrackCard
    way: tuple[Piece, ...]
    progression: Figure | None
    filter: Filter | None  # of all rankings and of the runs
    sections: tuple[SectionView, ...]
    published: Table | None
    published_title: str
    runs: Table | None
    runs_title: str
    made_of: str

    @property
    def plots(self) -> bool:
        """Whether the page needs the script that draws."""
        return self.progression is not None or any(section.spread is not None for section in self.sections)


def track_page_view(
    card: TrackCard,
    contents: Contents,
    sections: Sequence[Section],
    histories: Sequence[History],
    published: Published | None,
    runs: Sequence[Summary],
) -> TrackPage:
    """All of them of this track; runs: oldest first, practice and failed ones too."""
    latest = runs[-LATEST_RUNS:]
    told = many(len(runs), "run")
    shown = tuple(_sections(sections, histories))
    table = run_table("runs", "Runs, the youngest first", latest, contents, root=_ROOT, without="track", filtered=False)
    rankings = [section.ranking for section in shown if section.ranking is not None]
    return TrackPage(
        card=card,
        way=way(_ROOT),
        progression=progression(histories, published),
        filter=filter_of([*rankings, table], key="track", label="rankings and runs") if runs else None,
        sections=shown,
        published=None if published is None else _published(published),
        published_title="" if published is None else elsewhere(published),
        runs=table if runs else None,
        runs_title=told if len(latest) == len(runs) else f"the latest {len(latest)} of {told}",
        made_of=many(len(runs), "record"),
    )


def _sections(sections: Sequence[Section], histories: Sequence[History]) -> list[SectionView]:
    """The board's sections in its order, each with its history; then histories of places that have no row."""
    left = list(histories)
    found = []
    for section in sections:
        history = next((each for each in left if _same_place(each, section)), None)
        if history is not None:
            left.remove(history)
        found.append(_section(section, history))
    found += [_section(history, history) for history in left]
    return found


def _same_place(history: History, section: Section) -> bool:
    return (history.track, history.dataset, history.hardware) == (section.track, section.dataset, section.hardware)


def _place_key(section: Section | History) -> str:
    """The same for a place as long as it is there, wherever it stands on the page: addresses hold it."""
    place = msgspec.json.encode((section.track, section.dataset, section.hardware))
    return hashlib.blake2b(place, digest_size=6).hexdigest()


def _section(section: Section | History, history: History | None) -> SectionView:
    key = _place_key(section)
    ranked = section if isinstance(section, Section) else None
    records = history.steps if history is not None else ()
    claims = history.claims if history is not None else ()
    return SectionView(
        id=f"place-{key}",
        heading=heading(section),
        hardware=plain(section.hardware, 120),
        terms="" if ranked is None else terms(ranked),
        legend="" if ranked is None else legend(ranked),
        ranking=None if ranked is None else _ranking(f"ranking-{key}", ranked),
        spread=None if ranked is None else spread(ranked),
        records=_steps(f"records-{key}", "Record history", history, records) if history and records else None,
        claims=_steps(f"claims-{key}", "Claims", history, claims) if history and claims else None,
        claims_title=claims_title(history) if history is not None and claims else "",
    )


def _ranking(table_id: str, section: Section) -> Table:
    shown = columns(section)
    machine = plain(section.hardware, 120)
    pieces: Mapping[str, Callable[[Row], tuple[Piece, ...]]] = {
        "entry": lambda row: (Piece(plain(row.entry, 40), entry_page(_ROOT, row.entry)),),
        "authors": lambda row: authors(row.authors),
        "last_run": lambda row: (Piece(row.last_run, run_page(_ROOT, row.run_ids[-1])),),
    }
    rows = tuple(
        TableRow(
            cells=tuple(cell(column, row, _ROW_NUMBERS, pieces) for column in shown),
            kind="below" if row.rank is None else "first" if row.rank == 1 else "",
            tier=row.tier.value,
            hardware=machine,
        )
        for row in section.rows
    )
    return Table(table_id, f"Ranking: {heading(section)}", headings(shown, _ROW_NUMBERS), rows)


def _steps(table_id: str, caption: str, history: History, steps: Sequence[Step]) -> Table:
    shown = step_columns(history, steps)
    timed = history.track.objective == "fastest-to-loss"
    numbers = {**_STEP_NUMBERS, "other": lambda step: step.loss_nats if timed else step.train_s}
    pieces: Mapping[str, Callable[[Step], tuple[Piece, ...]]] = {
        "entry": lambda step: (Piece(plain(step.entry, 40), entry_page(_ROOT, step.entry)),),
        "authors": lambda step: authors(step.authors),
        "since": lambda step: (Piece(step.since, run_page(_ROOT, step.run_ids[-1])),),
    }
    rows = tuple(
        TableRow(cells=tuple(cell(column, step, numbers, pieces) for column in shown), kind=step.kind) for step in steps
    )
    return Table(table_id, caption, headings(shown, numbers), rows)


def _published(published: Published) -> Table:
    shown = result_columns(published)
    rows = tuple(
        TableRow(tuple(cell(column, result, _RESULT_NUMBERS, {}) for column in shown), kind="elsewhere")
        for result in published.results
    )
    return Table("published", "Published results", headings(shown, _RESULT_NUMBERS), rows)
