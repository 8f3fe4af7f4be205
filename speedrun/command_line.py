"""What the commands of the command line have in common: how they are grouped, and what they give to be printed."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from harness.errors import UserError

if TYPE_CHECKING:
    from speedrun.answers import Answer
    from speedrun.cluster.crew import Call

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Entry = Annotated[str, typer.Argument(metavar="NAME", help="An entry in speedrun/submissions, or a folder's path.")]

On = Annotated[
    str | None,
    typer.Option(
        "--on", metavar="CLUSTER", help="Make the runs on a Ray cluster: 'ray' for this machine's, or ray://HOST:PORT."
    ),
]
Nodes = Annotated[
    int | None,
    typer.Option(
        "--nodes",
        metavar="N",
        min=1,
        max=10_000,
        help="With --on: so many nodes at once, waited for; default: those that are free.",
    ),
]
AcceleratorType = Annotated[
    str | None,
    typer.Option(
        "--accelerator-type", metavar="TYPE", help="With --on: only nodes of this type, in the cluster's own terms."
    ),
]


class Reply(NamedTuple):
    """What a command answers, and how it is to be printed."""

    answer: "Answer"
    json: bool


def call_for(on: str | None, nodes: int | None, accelerator_type: str | None) -> "Call | None":
    """What the command line says about a cluster; None: the runs are made here. Raises UserError for half of it."""
    if on is None:
        if nodes is not None or accelerator_type is not None:
            raise UserError("--nodes and --accelerator-type are about a cluster; name one: --on ray, or leave them out")
        return None
    from speedrun.cluster.crew import Call

    return Call(on, nodes, accelerator_type)


def commands(help_text: str, **settings: object) -> typer.Typer:
    """A group of commands, which shows its help when none is named."""
    return typer.Typer(
        help=help_text,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        invoke_without_command=True,
        context_settings={"help_option_names": ["-h", "--help"]},
        **settings,  # type: ignore[arg-type]
    )
