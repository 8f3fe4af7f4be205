"""speedrun tracks: all of them, or one with its rules."""

from harness.track import find_track, list_tracks
from speedrun.answers import ShownTrack, Tracks
from speedrun.workspace import Workspace


def tracks(workspace: Workspace) -> Tracks:
    """Every track. Raises UserError for a broken track file."""
    return Tracks(tracks=list_tracks(workspace.tracks))


def track(workspace: Workspace, track_id: str) -> ShownTrack:
    """One track. Raises UserError for an unknown one, with the nearest ids."""
    return ShownTrack(track=find_track(track_id, workspace.tracks))
