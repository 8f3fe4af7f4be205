"""The nodes of a cluster for a command that otherwise makes its runs here.

They are watched from the beginning, and called when the command knows what it wants of them: nobody's nodes are taken
for a name that is misspelt.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from harness.track import Track
from speedrun.cluster import watching
from speedrun.cluster.crew import Call, call
from speedrun.session import Conditions
from speedrun.workspace import Workspace


@contextlib.contextmanager
def watched(wanted: Call | None, conditions: Conditions, title: str, *, json: bool) -> Iterator[Conditions]:
    """The same conditions with the cluster in them, and with who watches; unchanged where none is wanted."""
    if wanted is None:
        yield conditions
        return
    with watching.choose(title, total=None, quiet=conditions.quiet, json=json) as watch:
        # Events are all that a reader of JSON gets on the way.
        yield replace(conditions, call=wanted, watch=watch, quiet=conditions.quiet or json)


@contextlib.contextmanager
def manned(workspace: Workspace, track: Track, conditions: Conditions, *, seats: int = 1) -> Iterator[Conditions]:
    """The same conditions with a crew in them; unchanged where no cluster is wanted, or its nodes are there already.

    Args:
        seats: nodes that the command can use at once. One comparison takes one.

    Raises what `call` does.
    """
    if conditions.call is None or conditions.watch is None or conditions.crew is not None or seats == 0:
        yield conditions
        return
    with call(workspace, track, conditions.call, conditions.watch, seats=seats) as crew:
        yield replace(conditions, crew=crew)
