"""speedrun queue: who waits for a maintainer's verification, oldest first."""

from speedrun import queue_reading
from speedrun.answers import Queue
from speedrun.workspace import Workspace


def queue(workspace: Workspace, track: str | None) -> Queue:
    """Who waits on a track, or on any. Raises UserError for an unknown track, and for records that can't be read."""
    return queue_reading.read(workspace, track)
