"""How long the board takes to read, rank, render, show and audit, and whether time grows with the records in step.

For each number of records a checkout of its own is made (made_records.py). So many that they must be small ones are
compared with a tenth as many small ones, which are measured too. Every step runs in a process of its own.
Showing and auditing are timed from outside, with Python's start; the others from inside, without it. Memory is that of
the whole process. Cold is without an index of the records (leaderboard/index.py), warm with it; the record files lie in
the page cache both times.
"""

import itertools
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import made_records
from at_scale import Measured, against, asked_sizes, growth, table, timed
from measure import heading, say

from speedrun.workspace import find_workspace

SIZES = (100, 1_000, 10_000, 100_000)
SMALL_FROM = 50_000  # records: 100,000 of the usual size would be 6.5 GB
GOALS_S: Mapping[tuple[str, int], float] = {("show, warm", 1_000): 0.6, ("show, warm", 100_000): 5.0}
COLUMNS = ("records", "step", "seconds", "goal", "ms a record", "MB of memory")
RACY_S = 2.5  # files that are younger are not written into an index

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


class Board(NamedTuple):
    """What is measured: so many records of one size."""

    records: int
    small: bool

    def __str__(self) -> str:
        return f"{self.records:,} small" if self.small else f"{self.records:,}"


class Step(NamedTuple):
    """A step, as it is run."""

    name: str
    command: tuple[str, ...]
    inside: bool  # it prints its own seconds
    cold: bool = False  # the index is taken away before it


class Result(NamedTuple):
    """What one step took."""

    board: Board
    name: str
    took_s: float
    memory_mb: float  # of its process, at its peak


def inside(step: str, before: str = "") -> tuple[str, ...]:
    return (sys.executable, "-c", _INSIDE.format(step=step, before=before))


def boards(sizes: Sequence[int]) -> list[Board]:
    """sizes: the smallest first. Records of one size stand together, so that neighbours can be compared."""
    small = {records for size in sizes if size >= SMALL_FROM for records in (size // 10, size)}
    usual = [Board(size, small=False) for size in sizes if size < SMALL_FROM]
    return usual + [Board(records, small=True) for records in sorted(small)]


def steps() -> list[Step]:
    script = str(Path(sys.executable).with_name("speedrun"))
    show, audit = (script, "leaderboard", "--show"), (script, "leaderboard", "--audit")
    return [
        Step("load, cold", inside("read()"), inside=True, cold=True),
        Step("load, warm", inside("read()"), inside=True),
        Step("rank", inside("known.board()", "known = read()"), inside=True),
        Step("render", inside("leaderboard.pages(workspace, known)", "known = read()"), inside=True),
        Step("show, cold", show, inside=False, cold=True),
        Step("show, warm", show, inside=False),
        Step("audit", audit, inside=False),
    ]


def run(step: Step, board: Board, root: Path) -> Result:
    """Ends the benchmark when the step fails; an audit may find something, and then says so with a 1."""
    if step.cold:
        for index in (root / "data" / "cache").glob("records-*.index"):
            index.unlink()
    ran = timed(step.command, root, fine=(0, 1) if step.name == "audit" else (0,))
    took_s = float(ran.said.strip().rpartition("\n")[2]) if step.inside else ran.took_s
    say(f"{board} records, {step.name}: {took_s:.2f} s")
    return Result(board, step.name, took_s, ran.memory_mb)


def results(board: Board) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "checkout")
        say(f"making {board} records")
        workspace = made_records.make_workspace(root, board.records, small=board.small)
        shutil.copyfile(find_workspace().readme, workspace.readme)
        size_mb = sum(path.stat().st_size for path in workspace.results.rglob("*.json")) / 1e6
        say(f"{board} records, {size_mb:,.0f} MB")
        time.sleep(RACY_S)
        run(Step("load", inside("read()"), inside=True), board, root)  # judges the signatures, which is remembered
        return [run(step, board, root) for step in steps()]


def cells(each: Result) -> tuple[str, ...]:
    goal_s = GOALS_S.get((each.name, each.board.records))
    return (
        str(each.board),
        each.name,
        f"{each.took_s:.2f}",
        against(goal_s, each.took_s),
        f"{1000 * each.took_s / each.board.records:.3f}",
        f"{each.memory_mb:.0f}",
    )


def main() -> None:
    asked = boards(asked_sizes(__doc__, SIZES))
    facts = [f"{made_records.ENTRIES} entries, {made_records.CURVE_POINTS} points a curve"]
    if asked[-1].small:
        points = made_records.SMALL_CURVE_POINTS
        facts.append(f"from {SMALL_FROM:,} records on small ones: {points} points a curve, sources of a few lines")
    heading("The board", *facts)
    found = [each for board in asked for each in results(board)]
    table(COLUMNS, [cells(each) for each in found])
    for step in steps():
        of_step = [each for each in found if each.name == step.name]
        for before, after in itertools.pairwise(of_step):
            if before.board.small == after.board.small:
                print(f"{step.name}: {growth(measured(before), measured(after))}")


def measured(each: Result) -> Measured:
    return Measured(each.board.records, each.took_s, each.memory_mb)


if __name__ == "__main__":
    main()
