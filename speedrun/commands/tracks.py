"""speedrun tracks: all of them, or one with its rules; or the page of all, written anew."""

from harness.track import find_track, list_tracks
from leaderboard import atomic
from speedrun.answers import ShownTrack, Tracks
from speedrun.workspace import Workspace


def tracks(workspace: Workspace) -> Tracks:
    """Every track. Raises UserError for a broken track file."""
    return Tracks(tracks=list_tracks(workspace.tracks))


def track(workspace: Workspace, track_id: str) -> ShownTrack:
    """One track. Raises UserError for an unknown one, with the nearest ids."""
    return ShownTrack(track=find_track(track_id, workspace.tracks))


def render(workspace: Workspace) -> Tracks:
    """Every track, written into their page. Raises UserError for a broken track file, OSError."""
    from speedrun.track_docs import render

    found = tracks(workspace)
    page = workspace.tracks_page
    page.parent.mkdir(exist_ok=True)
    atomic.replace(page, render(found.tracks).encode())
    return Tracks(tracks=found.tracks, written=(page.relative_to(workspace.root).as_posix(),))
