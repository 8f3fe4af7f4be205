"""How long a command lets its user wait: `speedrun --help`, and the board of 1,000 records.

The board is shown with the index of the records, as it is every time but the first, and without it. Each command runs
as often as asked, in turn with the others and with a Python that does nothing, in processes of their own; the first
round, which fills the page cache and writes the index, is not counted.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from made_records import ENTRIES, make_workspace
from measure import Row, heading, median, say, table

from speedrun.workspace import Workspace

RECORDS = 1000
HELP_GOAL_S = 0.25
SHOW_GOAL_S = 0.6
RACY_S = 2.5  # files that are younger are not written into the index
IMPORTS_SHOWN = 10
NEVER_IMPORTED = ("torch", "pandas", "scipy", "datasets", "pyarrow", "numpy")

_IMPORT = re.compile(r"import time:\s*(\d+) \|\s*\d+ \| *(\S+)")


class Imported(NamedTuple):
    """A top-level package in one process: its modules, and what importing them cost, others' apart."""

    package: str
    modules: int
    self_s: float


def environment_of(workspace: Workspace) -> dict[str, str]:
    return {**os.environ, "SPEEDRUN_ROOT": str(workspace.root), "COLUMNS": "160"}


def wall_s(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds from the start of a process to its end; a failing one ends the benchmark."""
    began_s = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    took_s = time.perf_counter() - began_s
    if done.returncode:
        raise SystemExit(f"{Path(command[0]).name} {' '.join(command[1:])} failed: {done.stderr.strip()[-500:]}")
    return took_s


def imports(command: Sequence[str], environment: Mapping[str, str]) -> list[Imported]:
    """What a Python command imports, the dearest package first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], env=environment, capture_output=True, text=True, check=True
    )
    self_us: dict[str, list[int]] = defaultdict(list)
    for cost, module in _IMPORT.findall(done.stderr):
        self_us[module.partition(".")[0]].append(int(cost))
    found = [Imported(package, len(costs), sum(costs) / 1e6) for package, costs in self_us.items()]
    return sorted(found, key=lambda each: -each.self_s)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=15, help="times that each command runs (default 15)")
    rounds = asked.parse_args().rounds
    script = str(Path(sys.executable).with_name("speedrun"))
    show = [script, "leaderboard", "--show"]
    commands = {"pass": [sys.executable, "-c", "pass"], "help": [script, "--help"], "show": show, "first": show}
    with tempfile.TemporaryDirectory() as folder:
        workspace = make_workspace(Path(folder), RECORDS)
        environment = environment_of(workspace)
        size_mb = sum(path.stat().st_size for path in workspace.results.rglob("*.json")) / 1e6
        heading("Start-up", f"{RECORDS:,} records, {size_mb:.0f} MB, of {ENTRIES} entries; {rounds} rounds")
        time.sleep(RACY_S)
        samples: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(rounds + 1):
            for name, command in commands.items():
                if name == "first":
                    for index in workspace.cache.glob("records-*.index"):
                        index.unlink()
                took_s = wall_s(command, environment)
                if number:
                    samples[name].append(took_s)
            say(f"round {number} of {rounds}")
        table(
            [
                Row("python -c pass", median(samples["pass"]), "s"),
                Row("speedrun --help", median(samples["help"]), "s", HELP_GOAL_S),
                Row(f"speedrun leaderboard --show, {RECORDS:,} records", median(samples["show"]), "s", SHOW_GOAL_S),
                Row("  the same, without an index", median(samples["first"]), "s"),
            ]
        )
        found = imports(show, environment)
    print(f"leaderboard --show imports {sum(each.modules for each in found)} modules; the dearest packages:")
    for each in found[:IMPORTS_SHOWN]:
        print(f"  {each.self_s * 1000:6.1f} ms  {each.package} ({each.modules})")
    heavy = [each.package for each in found if each.package in NEVER_IMPORTED]
    print(f"  of {', '.join(NEVER_IMPORTED)}: {', '.join(heavy) or 'none'}")


if __name__ == "__main__":
    main()
