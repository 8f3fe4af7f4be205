"""How long the board takes to read, rank, render, show and audit, and whether time grows with the records in step.

For each number of records a checkout of its own is made (made_records.py). Every step runs in a process of its own.
Showing and auditing are timed from outside, with Python's start; the others from inside, without it. Memory is that of
the whole process. Cold is without an index of the records (leaderboard/index.py), warm with it; the record files lie in
the page cache both times.
"""

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import made_records
from measure import heading, say

from speedrun.workspace import find_workspace

SIZES = (100, 1_000, 10_000, 100_000)
SMALL_FROM = 50_000  # records: 100,000 of the usual size would be 6.5 GB
AUDITED_TO = 10_000  # an audit reads every record whole, and takes minutes with more
GOALS_S: Mapping[tuple[str, int], float] = {("show, warm", 1_000): 0.6, ("show, warm", 100_000): 5.0}
COLUMNS = ("records", "step", "seconds", "goal", "ms a record", "MB of memory")
RACY_S = 2.5  # files that are younger are not written into an index

# Between the benchmark and what it measures: a process counts the memory of whoever started it as its own at first.
_STARTER = """
import resource, subprocess, sys, time
began_s = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
took_s = time.perf_counter() - began_s
print(took_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024 / 1e6)
sys.stdout.flush()
sys.stdout.buffer.write(done.stdout)
sys.exit(done.returncode)
"""
_INSIDE = """
import time
from speedrun.commands import leaderboard
from speedrun import standings
from speedrun.workspace import find_workspace
workspace = find_workspace()
def read(): return standings.read(workspace)
{before}
began_s = time.perf_counter()
{step}
print(time.perf_counter() - began_s)
"""


class Step(NamedTuple):
    """A step, as it is run."""

    name: str
    command: tuple[str, ...]
    inside: bool  # it prints its own seconds
    cold: bool = False  # the index is taken away before it


class Result(NamedTuple):
    """What one step took."""

    records: int
    name: str
    took_s: float
    memory_mb: float  # of its process, at its peak


def inside(step: str, before: str = "") -> tuple[str, ...]:
    return (sys.executable, "-c", _INSIDE.format(step=step, before=before))


def steps(records: int) -> list[Step]:
    script = str(Path(sys.executable).with_name("speedrun"))
    show, audit = (script, "leaderboard", "--show"), (script, "leaderboard", "--audit")
    found = [
        Step("load, cold", inside("read()"), inside=True, cold=True),
        Step("load, warm", inside("read()"), inside=True),
        Step("rank", inside("known.board()", "known = read()"), inside=True),
        Step("render", inside("leaderboard.pages(workspace, known)", "known = read()"), inside=True),
        Step("show, cold", show, inside=False, cold=True),
        Step("show, warm", show, inside=False),
    ]
    return [*found, Step("audit", audit, inside=False)] if records <= AUDITED_TO else found


def run(step: Step, records: int, root: Path) -> Result:
    """Ends the benchmark when the step fails; an audit may find something, and then says so with a 1."""
    if step.cold:
        for index in (root / "data" / "cache").glob("records-*.index"):
            index.unlink()
    environment = {**os.environ, "SPEEDRUN_ROOT": str(root), "COLUMNS": "160"}
    done = subprocess.run(
        [sys.executable, "-c", _STARTER, *step.command], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in ((0, 1) if step.name == "audit" else (0,)):
        raise SystemExit(f"{step.name} of {records:,} records failed: {done.stderr.strip()[-500:]}")
    first, rest = done.stdout.split("\n", 1)
    outside_s, memory_mb = map(float, first.split())
    took_s = float(rest.strip().rpartition("\n")[2]) if step.inside else outside_s
    say(f"{records:,} records, {step.name}: {took_s:.2f} s")
    return Result(records, step.name, took_s, memory_mb)


def results(records: int) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "checkout")
        say(f"making {records:,} records")
        workspace = made_records.make_workspace(root, records, small=records >= SMALL_FROM)
        shutil.copyfile(find_workspace().readme, workspace.readme)
        size_mb = sum(path.stat().st_size for path in workspace.results.rglob("*.json")) / 1e6
        say(f"{records:,} records, {size_mb:,.0f} MB")
        time.sleep(RACY_S)
        run(Step("load", inside("read()"), inside=True), records, root)  # judges the signatures, which is remembered
        return [run(step, records, root) for step in steps(records)]


def cells(each: Result) -> tuple[str, ...]:
    goal_s = GOALS_S.get((each.name, each.records))
    return (
        f"{each.records:,}",
        each.name,
        f"{each.took_s:.2f}",
        "" if goal_s is None else f"≤ {goal_s:g} {'reached' if each.took_s <= goal_s else 'missed'}",
        f"{1000 * each.took_s / each.records:.3f}",
        f"{each.memory_mb:.0f}",
    )


def table(found: list[Result]) -> None:
    lines = [COLUMNS, *map(cells, found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("─" * width for width in widths))
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print()


def growth(found: list[Result]) -> None:
    """From one size to the next: in step with the records where both factors are at most theirs."""
    for name in dict.fromkeys(each.name for each in found):
        for small, large in itertools.pairwise(each for each in found if each.name == name):
            print(
                f"{name}: {small.records:,} → {large.records:,} records (× {large.records / small.records:.1f}): "
                f"seconds × {large.took_s / small.took_s:.1f}, memory × {large.memory_mb / small.memory_mb:.1f}"
            )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = f"how many records; may be given several times (default {', '.join(map(str, SIZES))})"
    asked.add_argument("--records", type=int, action="append", metavar="N", help=words)
    sizes = sorted(set(asked.parse_args().records or SIZES))
    if sizes[0] < 1:
        asked.error("--records: at least 1")
    facts = [f"{made_records.ENTRIES} entries, {made_records.CURVE_POINTS} points a curve"]
    if sizes[-1] >= SMALL_FROM:
        points = made_records.SMALL_CURVE_POINTS
        facts.append(f"from {SMALL_FROM:,} records on small ones: {points} points a curve, sources of a few lines")
    heading("The board", *facts)
    found = [each for records in sizes for each in results(records)]
    table(found)
    growth(found)


if __name__ == "__main__":
    main()
