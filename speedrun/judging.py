"""The commands that compare, verify and judge results, from duel to waive, and the queue of those who wait for it."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UserError
from harness.result import Level
from speedrun import console
from speedrun.command_line import AcceleratorType, Entry, Json, Nodes, On, Reply, call_for
from speedrun.workspace import find_workspace

if TYPE_CHECKING:
    from speedrun.answers import BrokenRecord

Track = Annotated[str, typer.Option("--track", metavar="TRACK", help="The track; speedrun tracks lists them.")]
Sandbox = Annotated[
    Level | None,
    typer.Option(
        "--level", metavar="LEVEL", help="Sandbox level: namespaces, uid or landlock; default: the strongest."
    ),
]
Practice = Annotated[
    bool, typer.Option("--practice", help="Run it anywhere, with the track's limits; it settles nothing on the board.")
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Fail when the device is in use.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print the answer only.")]
Key = Annotated[
    Path | None,
    typer.Option(
        "--key", metavar="FILE", help="A maintainer's SSH key, private or public (with an agent), to sign with."
    ),
]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why, in one line that everybody may read.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    for function, name, example in (
        (duel, "duel", "speedrun duel mine --against record --track cpu-1min --pairs 8"),
        (retime, "retime", "speedrun retime --track cpu-1min"),
        (queue, "queue", "speedrun queue --track cpu-1min"),
        (verify, "verify", "speedrun verify mine --track cpu-1min --key ~/.ssh/id_ed25519"),
        (verify_pr, "verify-pr", "speedrun verify-pr --base origin/main"),
        (reproduce, "reproduce", "speedrun reproduce 20261121-141530-mine-3f9a"),
        (retract, "retract", 'speedrun retract 20261121-141530-mine-3f9a --reason "it read the clock wrong"'),
        (waive, "waive", 'speedrun waive 20261121-141530-mine-3f9a --reason "a faster kernel, the same numbers"'),
    ):
        app.command(name, epilog=f"Example: {example}")(function)


def duel(
    name: Entry,
    against: Annotated[
        str, typer.Option(metavar="NAME", help="The other entry, or 'record' for the track's current record.")
    ],
    track: Track,
    pairs: Annotated[int, typer.Option(metavar="N", min=2, max=500, help="At most so many pairs of runs.")] = 10,
    key: Key = None,
    level: Sandbox = None,
    practice: Practice = False,
    on: On = None,
    accelerator_type: AcceleratorType = None,
    no_wait: NoWait = False,
    quiet: Quiet = False,
    json: Json = False,
) -> Reply:
    """Run two entries in turns on one machine and compare them. Stops early when the matter is settled."""
    from speedrun.cluster.manning import watched
    from speedrun.commands.duel import duel
    from speedrun.session import Conditions

    workspace, call = find_workspace(), call_for(on, None, accelerator_type)
    asked = Conditions(level=level, practice=practice, wait=not no_wait, quiet=quiet)
    with watched(call, asked, f"{name} against {against} on {track}", json=json) as conditions:
        return Reply(duel(workspace, name, against, track, pairs=pairs, key=key, conditions=conditions), json)


def retime(
    track: Track,
    pairs: Annotated[int, typer.Option(metavar="N", min=2, max=500, help="At most so many pairs a record.")] = 10,
    key: Key = None,
    level: Sandbox = None,
    on: On = None,
    accelerator_type: AcceleratorType = None,
    no_wait: NoWait = False,
    quiet: Quiet = False,
    json: Json = False,
) -> Reply:
    """Run every record of a track again, in turns with the one before it, from the sources that the records hold."""
    from speedrun.cluster.manning import watched
    from speedrun.commands.retime import retime
    from speedrun.session import Conditions

    workspace, call = find_workspace(), call_for(on, None, accelerator_type)
    asked = Conditions(level=level, wait=not no_wait, quiet=quiet)
    with watched(call, asked, f"the records of {track}", json=json) as conditions:
        return Reply(retime(workspace, track, pairs=pairs, key=key, conditions=conditions), json)


def queue(
    track: Annotated[
        str | None, typer.Option("--track", metavar="TRACK", help="Only who waits on this track; default: on any.")
    ] = None,
    json: Json = False,
) -> Reply:
    """Show who waits for a maintainer's verification, oldest first. Exits with 1 when an entry or a record is broken.

    A submission waits whose own runs are not verified, whose source changed since, or that has no results at all.
    """
    from speedrun.commands.queue import queue

    answer = queue(find_workspace(), track)
    _name_broken(answer.broken)
    return Reply(answer, json)


def verify(
    track: Track,
    key: Annotated[
        Path,
        typer.Option(metavar="FILE", help="A maintainer's SSH key, private or public (with an agent), to sign with."),
    ],
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="An entry in speedrun/submissions; or say --all.")
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Every entry that waits on the track (speedrun queue), oldest first.")
    ] = False,
    limit: Annotated[int | None, typer.Option(metavar="N", min=1, help="With --all: at most so many entries.")] = None,
    runs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1000, help="So many verified runs of an entry; default: the track's."),
    ] = None,
    level: Sandbox = None,
    on: On = None,
    nodes: Nodes = None,
    accelerator_type: AcceleratorType = None,
    no_wait: NoWait = False,
    quiet: Quiet = False,
    json: Json = False,
) -> Reply:
    """Make a maintainer's own runs of an entry, with fresh seeds, signed. Exits with 1 when it does not stand up.

    With --all, of every entry that waits on the track; exits with 1 when one of them is not settled.
    """
    from speedrun.cluster.manning import watched
    from speedrun.commands.verify import verify
    from speedrun.commands.verify_all import verify_all
    from speedrun.session import Conditions

    if everybody and name is not None:
        raise UserError("NAME and --all exclude each other: --all verifies every entry that waits; leave one out")
    if name is None and not everybody:
        raise UserError("say whom to verify: NAME, or --all for every entry that waits (speedrun queue lists them)")
    if limit is not None and not everybody:
        raise UserError("--limit goes with --all; leave it out")
    workspace, call = find_workspace(), call_for(on, nodes, accelerator_type)
    asked = Conditions(level=level, wait=not no_wait, quiet=quiet)
    title = f"verification of {name or 'all that wait'} on {track}"
    with watched(call, asked, title, json=json) as conditions:
        if name is not None:
            return Reply(verify(workspace, name, track, key=key, runs=runs, conditions=conditions), json)
        answer = verify_all(workspace, track, key=key, runs=runs, limit=limit, conditions=conditions)
        _name_broken(answer.broken, console.error_line if conditions.watch is None else conditions.say)
    return Reply(answer, json)


def _name_broken(broken: "Iterable[BrokenRecord]", say: Callable[[str], None] = console.error_line) -> None:
    for file in broken:
        say(f"broken file {file.path}: {file.reason}")


def verify_pr(
    base: Annotated[str, typer.Option(metavar="REF", help="What the change is to be merged into.")],
    head: Annotated[str, typer.Option(metavar="REF", help="The change.")] = "HEAD",
    no_run: Annotated[bool, typer.Option("--no-run", help="Leave the trial run in the sandbox out.")] = False,
    quiet: Quiet = False,
    json: Json = False,
) -> Reply:
    """Judge a pull request as CI does. Exits with 1 when it is refused."""
    from speedrun.commands.verify_pr import verify_pr

    return Reply(verify_pr(find_workspace(), base, head, run=not no_run, quiet=quiet), json)


def reproduce(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or 'last'.")],
    level: Sandbox = None,
    practice: Practice = False,
    no_wait: NoWait = False,
    quiet: Quiet = False,
    json: Json = False,
) -> Reply:
    """Run again what a record holds, with its seed and with a new one. Exits with 1 when the score is not borne out."""
    from speedrun.commands.reproduce import reproduce
    from speedrun.session import Conditions

    conditions = Conditions(level=level, practice=practice, wait=not no_wait, quiet=quiet)
    return Reply(reproduce(find_workspace(), run, conditions=conditions), json)


def retract(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or the beginning of one.")],
    reason: Reason,
    json: Json = False,
) -> Reply:
    """Take a run out of all rankings. It stays visible, with the reason."""
    from speedrun.commands.rulings import retract

    return Reply(retract(find_workspace(), run, reason), json)


def waive(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run of the entry, or the beginning of its id.")],
    reason: Reason,
    json: Json = False,
) -> Reply:
    """Let an entry's mean loss be at its target without a test, for a change of systems only."""
    from speedrun.commands.rulings import waive

    return Reply(waive(find_workspace(), run, reason), json)
