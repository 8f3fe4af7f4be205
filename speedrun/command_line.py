"""What the commands of the command line have in common: how they are grouped, and what they give to be printed."""

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from speedrun.answers import Answer

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Entry = Annotated[str, typer.Argument(metavar="NAME", help="An entry in speedrun/submissions, or a folder's path.")]


class Reply(NamedTuple):
    """What a command answers, and how it is to be printed."""

    answer: "Answer"
    json: bool


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
