"""How long a command lets its user wait: `speedrun --help`, and the board of 1,000 records.

The board is shown with the index of the records, as it is every time but the first, and without it. Each command runs
as often as asked, in turn with the others and with a Python that does nothing, in processes of their own; the first
round, which fills the page cache and writes the index, is not counted.

Then what the imports of both cost: `--help` as a tree, each module above those that it was the first to import, and
`leaderboard --show` by packages. Python's own account of its imports makes both slower than they are.
"""

import argparse
import itertools
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
TREE_FROM_S = 0.002  # modules that take less, with all that they import, are left out of the tree
NEVER_IMPORTED = ("torch", "pandas", "scipy", "datasets", "pyarrow", "numpy")

_IMPORT = re.compile(r"import time:\s*(\d+) \|\s*(\d+) \| ( *)(\S+)")


class Imported(NamedTuple):
    """A module in one process, and what importing it cost."""

    module: str
    depth: int  # of the modules that were being imported then
    self_s: float  # others apart
    whole_s: float  # with those that it was the first to import


class Package(NamedTuple):
    """A top-level package in one process."""

    name: str
    modules: int
    self_s: float  # other packages apart


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
    """What a Python command imports, in the order in which it was done with."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *command], env=environment, capture_output=True, text=True, check=True
    )
    return read_imports(done.stderr)


def read_imports(said: str) -> list[Imported]:
    """said: by `python -X importtime`."""
    return [
        Imported(module, len(indent) // 2, int(own_us) / 1e6, int(whole_us) / 1e6)
        for own_us, whole_us, indent, module in _IMPORT.findall(said)
    ]


def packages(found: Sequence[Imported]) -> list[Package]:
    """The dearest first."""
    self_s: dict[str, list[float]] = defaultdict(list)
    for each in found:
        self_s[each.module.partition(".")[0]].append(each.self_s)
    return sorted((Package(name, len(costs), sum(costs)) for name, costs in self_s.items()), key=lambda it: -it.self_s)


def tree(found: Sequence[Imported]) -> list[Imported]:
    """Each module before what it imported, which Python is done with, and tells of, before the module itself."""
    parts: list[list[Imported]] = []  # modules with what they imported; who imported them comes later
    for each in found:
        below: list[Imported] = []
        while parts and parts[-1][0].depth > each.depth:
            below = parts.pop() + below
        parts.append([each, *below])
    return list(itertools.chain.from_iterable(parts))


def show_tree(found: Sequence[Imported]) -> None:
    least = f"modules that take {1000 * TREE_FROM_S:g} ms or more, with what they import"
    print(f"speedrun --help imports {len(found)} modules; {least}:")
    for each in tree(found):
        if each.whole_s >= TREE_FROM_S:
            print(f"  {1000 * each.whole_s:6.1f} ms  {'  ' * each.depth}{each.module}")
    print()


def show_packages(found: Sequence[Imported]) -> None:
    dearest = packages(found)
    print(f"leaderboard --show imports {len(found)} modules; the dearest packages:")
    for each in dearest[:IMPORTS_SHOWN]:
        print(f"  {1000 * each.self_s:6.1f} ms  {each.name} ({each.modules})")
    heavy = [each.name for each in dearest if each.name in NEVER_IMPORTED]
    print(f"  of {', '.join(NEVER_IMPORTED)}: {', '.join(heavy) or 'none'}")


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=15, help="times that each command runs (default 15)")
    rounds = asked.parse_args().rounds
    script = str(Path(sys.executable).with_name("speedrun"))
    about, show = [script, "--help"], [script, "leaderboard", "--show"]
    commands = {"pass": [sys.executable, "-c", "pass"], "help": about, "show": show, "first": show}
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
        show_tree(imports(about, environment))
        show_packages(imports(show, environment))


if __name__ == "__main__":
    main()
