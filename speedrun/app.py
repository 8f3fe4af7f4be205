"""The command line: what each command takes, and the one place where errors become a line and an exit code.

Exit codes: 0 good; 1 the command did its work and what it looked at is not in order (an invalid run, a broken rule or
record); 2 a mistake of the person who typed it; 70 a fault of ours; 130 interrupted; 141 nobody read the output.
Nothing heavy is imported here: each command imports what it needs when it is called.
"""

import errno
import io
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import UserError
from harness.result import Level
from speedrun import console, judging, looking
from speedrun.command_line import AcceleratorType, Entry, Json, Nodes, On, Reply, call_for, commands
from speedrun.workspace import find_workspace

if TYPE_CHECKING:
    from speedrun.answers import Histories, Shown

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NO_PERMISSION = {errno.EACCES, errno.EPERM, errno.EROFS}


app = commands("Race to train small language models: the harness owns the clock, the data and the score.")
data_app = commands("List, prepare, verify and import data sets.")
app.add_typer(data_app, name="data", epilog="Example: speedrun data prepare tales")


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        import importlib.metadata

        typer.echo(f"speedrun {importlib.metadata.version('speedrun')}")
        raise typer.Exit
    _help_when_bare(context)


@data_app.callback()
def _data(context: typer.Context) -> None:
    _help_when_bare(context)


def _help_when_bare(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit


@app.command(epilog="Example: speedrun new mine")
def new(
    name: Annotated[str, typer.Argument(metavar="NAME", help="At most 40 of a-z, 0-9, '-' and '_'.")],
    json: Json = False,
) -> Reply:
    """Start an entry: a copy of the template."""
    from speedrun.commands.new import new

    return Reply(new(find_workspace(), name), json)


@app.command(epilog="Example: speedrun check mine")
def check(name: Entry, json: Json = False) -> Reply:
    """Check an entry against every static rule, without running it."""
    from speedrun.commands.check import check

    return Reply(check(find_workspace(), name), json)


@app.command(
    epilog="Example: speedrun run baseline --track cpu-1min --runs 3 --n-layers 2",
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def run(
    context: typer.Context,
    name: Entry,
    track: Annotated[
        str | None, typer.Option(metavar="TRACK", help="The track, always asked for; speedrun tracks lists them.")
    ] = None,
    runs: Annotated[
        int, typer.Option(metavar="N", min=1, max=1000, help="So many runs, each with a seed of its own.")
    ] = 1,
    fields: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Replace a field of Config; --field VALUE does the same."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="ID", help="Practise on another data set than the track's.")
    ] = None,
    practice: Annotated[
        bool, typer.Option("--practice", help="Run it anywhere, with the track's limits; scored and never ranked.")
    ] = False,
    level: Annotated[
        Level | None,
        typer.Option(
            metavar="LEVEL", help="Sandbox level: namespaces, uid, landlock or none; default: the strongest that works."
        ),
    ] = None,
    no_sandbox: Annotated[bool, typer.Option("--no-sandbox", help="For code that you trust; never ranked.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Fail when the device is in use.")] = False,
    keep: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Artifacts kept in the cache, the latest ones; default: 5.")
    ] = None,
    on: On = None,
    nodes: Nodes = None,
    accelerator_type: AcceleratorType = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="With --on: go on with the latest series of such runs.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Print the verdict only.")] = False,
    json: Json = False,
) -> Reply:
    """Train, score and record an entry. Exits with 0 for a scored run, 1 for an invalid one."""
    from speedrun.commands.run import Wish, run
    from speedrun.session import KEPT, Conditions

    if name.startswith("-"):
        raise UserError("name the entry first: speedrun run NAME --track TRACK, then fields such as --d-model 512")
    if no_sandbox and level not in (None, Level.NONE):
        raise UserError(f"--no-sandbox and --level {level} contradict each other; leave one out")
    if on is None and resume:
        raise UserError("--resume is about runs on a cluster; name one: --on ray, or leave it out")
    if on is not None and keep is not None:
        raise UserError("--keep is about artifacts here, and those of runs on a cluster are not kept; leave it out")
    wish = Wish(
        entry=name,
        track=track,
        runs=runs,
        pairs=fields or (),
        extra=context.args,
        options=[option for parameter in context.command.params for option in parameter.opts],
        conditions=Conditions(
            dataset=dataset,
            practice=practice,
            level=Level.NONE if no_sandbox else level,
            wait=not no_wait,
            keep=KEPT if keep is None else keep,
            quiet=quiet,
        ),
        call=call_for(on, nodes, accelerator_type),
        resume=resume,
        json=json,
    )
    return Reply(run(find_workspace(), wish), json)


@app.command(epilog="Example: speedrun leaderboard --show --track cpu-1min --top 10")
def leaderboard(
    show: Annotated[bool, typer.Option("--show", help="Show the board (the default).")] = False,
    history: Annotated[
        bool, typer.Option("--history", help="Show who held the records instead, and what was published elsewhere.")
    ] = False,
    track: Annotated[str | None, typer.Option(metavar="TRACK", help="Only this track.")] = None,
    top: Annotated[int | None, typer.Option(metavar="N", min=1, help="So many rows of each table.")] = None,
    practice: Annotated[bool, typer.Option("--all", help="List practice and failed runs too.")] = False,
    render: Annotated[
        bool, typer.Option("--render", help="Write the board into README.md and leaderboard/README.md.")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write one row a run: .csv, .parquet or .json.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="DIR", help="Make this folder hold the board as a web site.")
    ] = None,
    audit: Annotated[bool, typer.Option("--audit", help="Check every record, and print what does not fit.")] = False,
    json: Json = False,
) -> Reply:
    """Show, render or export the board. Exits with 1 when a record is broken; the others still count."""
    from speedrun.commands.leaderboard import histories, leaderboard

    if audit:
        from speedrun.commands.audit import audit as audit_records

        if show or history or top is not None or practice or render or export is not None or html is not None:
            raise UserError("--audit goes with --track and --json only; leave the other options out")
        return Reply(audit_records(find_workspace(), track), json)
    answer: Shown | Histories
    if history:
        if show or top is not None or practice or render or export is not None or html is not None:
            raise UserError("--history goes with --track and --json only; leave the other options out")
        answer = histories(find_workspace(), track)
    else:
        answer = leaderboard(
            find_workspace(),
            show=show,
            track=track,
            rows=top,
            practice=practice,
            render=render,
            export=export,
            html=html,
        )
    for broken in answer.broken:
        console.error_line(f"broken file {broken.path}: {broken.reason}")
    return Reply(answer, json)


@app.command(epilog="Example: speedrun show last")
def show(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, the beginning of one, or 'last'.")],
    source: Annotated[str | None, typer.Option(metavar="FILE", help="Print this file as it ran.")] = None,
    json: Json = False,
) -> Reply:
    """Show everything about one run."""
    from speedrun.commands import show

    workspace = find_workspace()
    return Reply(show.show(workspace, run) if source is None else show.source(workspace, run, source), json)


@app.command(epilog="Example: speedrun tracks cpu-1min")
def tracks(
    track: Annotated[str | None, typer.Argument(metavar="[TRACK]", help="Show this one with its rules.")] = None,
    render: Annotated[bool, typer.Option("--render", help="Write every track into docs/tracks.md.")] = False,
    json: Json = False,
) -> Reply:
    """List the tracks, or show one with its rules."""
    from speedrun.commands import tracks

    workspace = find_workspace()
    if render:
        if track is not None:
            raise UserError(f"--render writes every track; leave {track[:60]} out")
        return Reply(tracks.render(workspace), json)
    return Reply(tracks.tracks(workspace) if track is None else tracks.track(workspace, track), json)


@app.command(epilog="Example: speedrun doctor")
def doctor(json: Json = False) -> Reply:
    """Try what this machine can do.

    Shows its devices, tries every sandbox level, and says which tracks it qualifies for and why not for the others.
    """
    from speedrun.commands.doctor import doctor

    return Reply(doctor(find_workspace()), json)


@data_app.command("list", epilog="Example: speedrun data list")
def data_list(json: Json = False) -> Reply:
    """List the data sets, and which are ready. Exits with 1 when a manifest is broken; the others are listed."""
    from speedrun.commands import data

    answer = data.datasets(find_workspace())
    for line in answer.broken:
        console.error_line(line)
    return Reply(answer, json)


@data_app.command("prepare", epilog="Example: speedrun data prepare blueberry-1b --tokens 100M")
def data_prepare(
    dataset: Annotated[str, typer.Argument(metavar="ID", help="A data set; speedrun data list shows them.")],
    tokens: Annotated[
        str | None,
        typer.Option(metavar="N", help="Only the first N training tokens: 100M, 1B, 40_960_000; default: all."),
    ] = None,
    pin: Annotated[
        bool, typer.Option("--pin", help="For maintainers: write its counts and hashes into its manifest.")
    ] = False,
    json: Json = False,
) -> Reply:
    """Make a data set ready in the cache. What is broken off goes on there the next time."""
    from speedrun.commands import data

    wanted = None if tokens is None else data.parse_tokens(tokens)
    return Reply((data.pin if pin else data.prepare)(find_workspace(), dataset, wanted), json)


@data_app.command("verify", epilog="Example: speedrun data verify tales")
def data_verify(
    dataset: Annotated[str, typer.Argument(metavar="ID", help="A prepared data set.")],
    json: Json = False,
) -> Reply:
    """Check every shard of a prepared data set against its hash."""
    from speedrun.commands import data

    return Reply(data.verify(find_workspace(), dataset), json)


@data_app.command("import", epilog="Example: speedrun data import diary notes.txt letters.jsonl")
def data_import(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What to call it.")],
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="Text, jsonl or parquet files.")],
    json: Json = False,
) -> Reply:
    """Make a data set of your own text, to practise on."""
    from speedrun.commands import data

    return Reply(data.import_files(find_workspace(), name, files), json)


looking.add_to(app)
judging.add_to(app)  # below the contestant's own commands in the list


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command and returns the exit code. Every error ends here, as one line."""
    try:
        return _run(arguments)
    except UserError as error:
        console.error_line(str(error))
        return 2
    except typer.TyperException as error:  # of the command line itself
        console.error_line(f"{error.format_message()} (speedrun {_command(arguments)}--help shows the options)")
        return 2
    except KeyboardInterrupt:
        console.error_line("interrupted")
        return 130
    except BrokenPipeError:
        # What is still buffered would fail again when Python closes the stream.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        return _system_error(error)
    except Exception as error:
        return _our_fault(error)


def _run(arguments: Sequence[str] | None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a character is no error
    done = app(args=arguments, prog_name="speedrun", standalone_mode=False)
    if not isinstance(done, Reply):
        return int(done or 0)
    console.answer(done.answer, json=done.json)
    return done.answer.exit_code


def _system_error(error: OSError) -> int:
    place = f" {error.filename}" if error.filename else ""
    reason = error.strerror or str(error)
    if error.errno in _NO_SPACE:
        console.error_line(f"cannot write{place}: {reason}; free some space and try again")
    elif error.errno in _NO_PERMISSION:
        console.error_line(f"cannot use{place}: {reason}; check who may read and write it")
    else:
        return _our_fault(error)
    return 2


def _our_fault(error: Exception) -> int:
    if os.environ.get("SPEEDRUN_DEBUG"):
        traceback.print_exception(error)
    what = f"{type(error).__name__}: {error}"
    console.error_line(f"internal error: {what}; run with SPEEDRUN_DEBUG=1 for the traceback")
    return 70


def _command(arguments: Sequence[str] | None) -> str:
    """The command that was typed, so that the hint names its help."""
    typed = sys.argv[1:] if arguments is None else arguments
    known = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    known |= {group.name or "" for group in app.registered_groups}
    return f"{typed[0]} " if typed and typed[0] in known else ""
