"""What a maintainer ruled, on a terminal."""

from rich.console import Console

from leaderboard.text import plain
from speedrun.answers import Ruled
from speedrun.page_lines import GOOD, line, say


def show(value: Ruled, console: Console) -> None:
    """What holds from now on, and where it is written."""
    done = "is out of all rankings" if value.ruling == "retraction" else "needs no test of its target"
    whose = f"run {value.run_id}" if value.ruling == "retraction" else f"the variant of run {value.run_id}"
    line(console, GOOD, f"{whose} {done}: {plain(value.reason, 300)}")
    say(console, f"  wrote {value.file}; speedrun leaderboard --render brings it onto the pages")
