"""The nodes of a cluster for a command that otherwise makes its runs here."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from harness.track import find_track
from speedrun.cluster import watching
from speedrun.cluster.crew import Call, call
from speedrun.session import Conditions
from speedrun.workspace import Workspace


@contextlib.contextmanager
def manned(
    workspace: Workspace,
    track_id: str,
    wanted: Call | None,
    conditions: Conditions,
    title: str,
    *,
    seats: int | None = 1,
    json: bool = False,
) -> Iterator[Conditions]:
    """The same conditions with a crew in them; unchanged where no cluster is wanted.

    Args:
        seats: nodes that the command can use at once; None: as many as there are. One comparison takes one.

    Raises what `call` does.
    """
    if wanted is None:
        yield conditions
        return
    track = find_track(track_id, workspace.tracks)
    with (
        watching.choose(title, total=None, quiet=conditions.quiet, json=json) as watch,
        call(workspace, track, wanted, watch, seats=seats) as crew,
    ):
        # Events are all that a reader of JSON gets on the way.
        yield replace(conditions, crew=crew, quiet=conditions.quiet or json)
