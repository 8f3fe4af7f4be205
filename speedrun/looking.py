"""The commands that look at runs, besides `show`: compare, evaluate, watch."""

from pathlib import Path
from typing import Annotated

import typer

from speedrun import console
from speedrun.command_line import Json, Reply
from speedrun.workspace import find_workspace


def add_to(app: typer.Typer) -> None:
    """Adds these commands to the command line."""
    for function, name, example in (
        (compare, "compare", "speedrun compare 20261121-141530-mine-3f9a last"),
        (evaluate, "evaluate", "speedrun evaluate last --tasks hellaswag,arc_easy --limit 500"),
        (watch, "watch", "speedrun watch"),
    ):
        app.command(name, epilog=f"Example: {example}")(function)


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A run's id, the beginning of one, or 'last'.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    json: Json = False,
) -> Reply:
    """Show two runs side by side, and what may be concluded.

    Their curves over each other, their numbers, and what differs in how they were made.
    """
    from speedrun.commands.compare import compare

    return Reply(compare(find_workspace(), a, b), json)


def evaluate(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or 'last'.")],
    tasks: Annotated[str, typer.Option(metavar="NAMES", help="Tasks of lm-eval, with commas between them.")],
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the first N documents of each task.")
    ] = None,
    include: Annotated[Path | None, typer.Option(metavar="DIR", help="A folder with task files of your own.")] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A maintainer's SSH key: signs a verified record again.")
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the scores only.")] = False,
    json: Json = False,
) -> Reply:
    """Score the kept artifact of a run on tasks of lm-eval, beside its loss. Exits with 1 when there are no scores.

    The tasks' code and your own task files run as you, outside of the sandbox; the entry runs inside of it.
    """
    from speedrun.commands.evaluate import Asked, evaluate, parse_tasks

    asked = Asked(parse_tasks(tasks), limit, include, key, quiet)
    return Reply(evaluate(find_workspace(), run, asked), json)


def watch(
    run: Annotated[
        str | None,
        typer.Argument(metavar="[RUN]", help="Its id, or the beginning of it; default: the only one in progress."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print a line of JSON for every event, then one JSON object.")
    ] = False,
) -> Reply:
    """Watch a run that another terminal started, until it ends. Exits with 0 for a scored run, 1 for an invalid one.

    Ctrl-C stops watching, and nothing else.
    """
    from speedrun.commands.watch import watch

    try:
        return Reply(watch(find_workspace(), run, json=json), json)
    except KeyboardInterrupt:
        console.note("stopped watching; the run is left alone")
        raise typer.Exit(130) from None
