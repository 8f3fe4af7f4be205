"""The commands that compare, verify and judge results: duel, retime, verify, verify-pr, reproduce, retract, waive."""

from pathlib import Path
from typing import Annotated

import typer

from harness.result import Level
from speedrun.command_line import Entry, Json, Reply
from speedrun.workspace import find_workspace

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
    no_wait: NoWait = False,
    quiet: Quiet = False,
    json: Json = False,
) -> Reply:
    """Run two entries in turns on this machine and compare them. Stops early when the matter is settled."""
    from speedrun.commands.duel import duel
    from speedrun.session import Conditions

    conditions = Conditions(level=level, practice=practice, wait=not no_wait, quiet=quiet)
    return Reply(duel(find_workspace(), name, against, track, pairs=pairs, key=key, conditions=conditions), json)


def retime(
    track: Track,
    pairs: Annotated[int, typer.Option(metavar="N", min=2, max=500, help="At most so many pairs a record.")] = 10,
    key: Key = None,
    level: Sandbox = None,
    no_wait: NoWait = False,
    quiet: Quiet = False,
    json: Json = False,
) -> Reply:
    """Run every record of a track again, in turns with the one before it, from the sources that the records hold."""
    from speedrun.commands.retime import retime
    from speedrun.session import Conditions

    conditions = Conditions(level=level, wait=not no_wait, quiet=quiet)
    return Reply(retime(find_workspace(), track, pairs=pairs, key=key, conditions=conditions), json)


def verify(
    name: Entry,
    track: Track,
    key: Annotated[
        Path,
        typer.Option(metavar="FILE", help="A maintainer's SSH key, private or public (with an agent), to sign with."),
    ],
    runs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=1000, help="So many verified runs in all; default: the track's."),
    ] = None,
    level: Sandbox = None,
    no_wait: NoWait = False,
    quiet: Quiet = False,
    json: Json = False,
) -> Reply:
    """Make a maintainer's own runs of an entry, with fresh seeds, signed. Exits with 1 when it does not stand up."""
    from speedrun.commands.verify import verify
    from speedrun.session import Conditions

    conditions = Conditions(level=level, wait=not no_wait, quiet=quiet)
    return Reply(verify(find_workspace(), name, track, key=key, runs=runs, conditions=conditions), json)


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
