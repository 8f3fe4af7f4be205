"""What must be there before anything else: a fast start, help for everything, one line for every fault."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from speedrun.app import app, main

HEAVY = ("torch", "pandas", "scipy", "datasets", "numpy", "pyarrow", "rich", "psutil", "filelock")


def commands(group: typer.Typer = app, before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every command as it is typed."""
    found = [(*before, command.name or command.callback.__name__) for command in group.registered_commands]
    for inner in group.registered_groups:
        found += commands(inner.typer_instance, (*before, inner.name))
    return found


def test_nothing_heavy_is_imported_at_the_start():
    code = f"import sys, speedrun.app; print([name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_board_needs_no_development_package(workspace, stored, make_record):
    stored(make_record())
    heavy = ("torch", "pandas", "scipy", "datasets", "numpy", "pyarrow")
    code = (
        "import sys; from speedrun.app import main; main(['leaderboard', '--show']); "
        f"print([name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "baseline" in done.stdout
    assert done.stdout.endswith("[]\n")


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_has_help_with_an_example(capfd, command):
    assert main([*command, "--help"]) == 0
    help_text = capfd.readouterr().out
    assert f"Example: speedrun {' '.join(command)}" in help_text
    assert "--json" in help_text


@pytest.mark.parametrize("command", commands(), ids=" ".join)
def test_every_command_is_in_the_readme(command):
    readme = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    assert f"speedrun {command[0]}" in readme


def test_without_a_command_there_is_help(speedrun):
    for arguments in ((), ("data",)):
        said = speedrun(*arguments)
        assert (said.code, said.err) == (0, "")
        assert "Commands:" in said.out


def test_the_version(speedrun):
    assert re.fullmatch(r"speedrun \d+\.\d+\.\d+\n", speedrun("--version").out)
