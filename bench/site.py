"""How long `speedrun leaderboard --html` takes, and whether it grows with the records in step.

For each number of records a checkout of its own is made (made_records.py), and the site is built three times, each time
by a process of its own: at first, again without a change, and when one record has been added. What each build wrote is
counted by the files' times, so that "again" shows what an incremental build really saves.
"""

import argparse
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import made_records
from measure import heading, say

SIZES = (100, 1_000, 20_000)
GOALS_S: Mapping[int, float] = {1_000: 1.0, 20_000: 20.0}  # for the first build
COLUMNS = (
    *("records", "build", "seconds", "goal", "processor s", "ms a record"),
    *("files written", "MB of memory", "pages", "MB of site"),
)

# Between the benchmark and what it measures: a process counts the memory of whoever started it as its own at first.
_STARTER = """
import resource, subprocess, sys, time
began_s = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL)
took_s = time.perf_counter() - began_s
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(took_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6)
sys.exit(done.returncode)
"""


class Site(NamedTuple):
    """What lies in the site's folder."""

    pages: int
    megabytes: float
    written: int  # files that are new, or were written again, since the moment that was asked about


class Build(NamedTuple):
    """One build, by a process of its own."""

    records: int
    name: str
    took_s: float
    worked_s: float  # of all processors together: other work on the machine adds less to it than to took_s
    memory_mb: float  # at its peak
    site: Site


def look(site: Path, since_ns: int) -> Site:
    """since_ns: on the file system's clock."""
    facts = [(path, path.stat()) for path in site.rglob("*") if path.is_file()]
    return Site(
        pages=sum(path.suffix == ".html" for path, _ in facts),
        megabytes=sum(each.st_size for _, each in facts) / 1e6,
        written=sum(each.st_mtime_ns >= since_ns for _, each in facts),
    )


def build(root: Path, site: Path, records: int, name: str) -> Build:
    """Ends the benchmark when the command fails, or when a run has no page."""
    marker = root / "before"
    marker.touch()
    since_ns = marker.stat().st_mtime_ns
    time.sleep(0.02)  # a file system's clock moves in steps: nothing of the build may carry the marker's time
    command = [str(Path(sys.executable).with_name("speedrun")), "leaderboard", "--html", str(site)]
    environment = {**os.environ, "SPEEDRUN_ROOT": str(root)}
    done = subprocess.run(
        [sys.executable, "-c", _STARTER, *command], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"speedrun leaderboard --html failed: {done.stderr.strip()[-500:]}")
    took_s, worked_s, memory_mb = map(float, done.stdout.split())
    found = look(site, since_ns)
    if found.pages < records:
        raise SystemExit(f"the site has {found.pages:,} pages for {records:,} records")
    say(f"{records:,} records, {name}: {took_s:.2f} s")
    return Build(records, name, took_s, worked_s, memory_mb, found)


def builds(records: int) -> list[Build]:
    """The three builds of a site with so many records."""
    with tempfile.TemporaryDirectory() as folder:
        root, site = Path(folder, "checkout"), Path(folder, "site")
        say(f"making {records:,} records")
        workspace = made_records.make_workspace(root, records)
        size_mb = sum(path.stat().st_size for path in workspace.results.rglob("*.json")) / 1e6
        say(f"{records:,} records, {size_mb:,.0f} MB")
        first = build(root, site, records, "first")
        again = build(root, site, records, "no change")
        made_records.write(workspace, [records])
        return [first, again, build(root, site, records + 1, "one more")]


def cells(each: Build) -> tuple[str, ...]:
    goal_s = GOALS_S.get(each.records) if each.name == "first" else None
    return (
        f"{each.records:,}",
        each.name,
        f"{each.took_s:.2f}",
        "" if goal_s is None else f"≤ {goal_s:g} {'reached' if each.took_s <= goal_s else 'missed'}",
        f"{each.worked_s:.2f}",
        f"{1000 * each.took_s / each.records:.2f}",
        f"{each.site.written:,}",
        f"{each.memory_mb:.0f}",
        f"{each.site.pages:,}",
        f"{each.site.megabytes:,.1f}",
    )


def table(found: list[Build]) -> None:
    lines = [COLUMNS, *map(cells, found)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, tuple("─" * width for width in widths))
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print()


def growth(found: list[Build]) -> None:
    """From one size to the next: in step with the records where both factors are the same."""
    firsts = [each for each in found if each.name == "first"]
    for small, large in itertools.pairwise(firsts):
        print(
            f"{small.records:,} → {large.records:,} records (× {large.records / small.records:.1f}): "
            f"seconds × {large.took_s / small.took_s:.1f}, memory × {large.memory_mb / small.memory_mb:.1f}"
        )


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = f"how many records; may be given several times (default {', '.join(map(str, SIZES))})"
    asked.add_argument("--records", type=int, action="append", metavar="N", help=words)
    sizes = sorted(set(asked.parse_args().records or SIZES))
    if sizes[0] < 1:
        asked.error("--records: at least 1")
    heading("The site", f"{made_records.ENTRIES} entries, {made_records.CURVE_POINTS} points a curve")
    found = [each for records in sizes for each in builds(records)]
    table(found)
    growth(found)


if __name__ == "__main__":
    main()
