"""Entries in their folders, on a terminal: one that was made, and one that was checked."""

from rich.console import Console

from leaderboard.text import plain
from speedrun.answers import Checked, Created
from speedrun.page_lines import BAD, GOOD, line, say


def show_created(value: Created, console: Console) -> None:
    """Where it lies, and what comes next."""
    line(console, GOOD, f"{value.folder} is ready")
    say(console, f"  1. put your names into {value.folder}/submission.toml")
    say(console, f"  2. edit {value.folder}/speedrun.py and config.py")
    say(console, f"  3. speedrun run {value.name} --track cpu-smoke")


def show_checked(value: Checked, console: Console) -> None:
    """A line for each rule that is broken."""
    for problem in value.problems:
        place = "" if not problem.path else f"{problem.path}:{problem.line}: " if problem.line else f"{problem.path}: "
        line(console, BAD, plain(f"{place}{problem.message}", 1000))
    if value.problems:
        rules = "rule is" if len(value.problems) == 1 else "rules are"
        say(console, f"{value.name}: {len(value.problems)} {rules} broken; mend the lines above and check again")
    else:
        line(console, GOOD, f"{value.name} keeps every static rule")
