"""About tracks."""

from harness.track import Track
from speedrun.answers.base import Answer


class Tracks(Answer, frozen=True, kw_only=True, tag="tracks"):
    """Every track."""

    tracks: tuple[Track, ...]
    written: tuple[str, ...] = ()  # files


class ShownTrack(Answer, frozen=True, kw_only=True, tag="track"):
    """One track."""

    track: Track
