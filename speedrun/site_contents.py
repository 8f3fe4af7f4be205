"""What the site shows, from what lies in a checkout."""

from harness.track import Track, list_tracks
from leaderboard import published
from leaderboard.site.contents import Contents, Fact, TrackCard
from speedrun import track_words
from speedrun.standings import Standings
from speedrun.workspace import Workspace

_BRIEF = ("Limit", "Hardware", "Data set", "Parameters")  # columns of the list of tracks


def contents(workspace: Workspace, known: Standings) -> Contents:
    """known: of every track. Raises UserError: a track's file or the published results make no sense."""
    return Contents(
        tracks=tuple(map(track_card, list_tracks(workspace.tracks))),
        runs=known.runs,
        digests=known.digests,
        unsigned=known.unsigned,
        retracted=known.rulings.retracted,
        waived=known.rulings.waived,
        board=known.board(),
        histories=known.histories(),
        published=published.load(workspace.published),
        broken=known.broken,
        results=workspace.results,
    )


def track_card(track: Track) -> TrackCard:
    """A track in the words that the terminal and docs/tracks.md have for it."""
    columns = {column.heading: column.show(track) for column in track_words.COLUMNS}
    return TrackCard(
        id=track.id,
        title=track_words.title(track),
        race=columns["Race"],
        brief=tuple(
            Fact(heading.lower(), columns[heading]) for heading in _BRIEF if columns[heading] != track_words.ANY
        ),
        facts=tuple(Fact(fact.label, fact.words) for fact in track_words.facts(track)),
        rules=tuple(track_words.paragraphs(track)),
    )
