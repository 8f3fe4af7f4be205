"""How long `speedrun leaderboard --html` takes, and whether it grows with the records in step.

For each number of records a checkout of its own is made (made_records.py), and the site is built three times, each time
by a process of its own: at first, again without a change, and when one record has been added. What each build wrote is
counted by the files' times, so that "again" shows what an incremental build really saves.

Nothing is removed before the end: for some minutes after thousands of files were, ext4 takes up to a millisecond to
make one, and a first site of 1,000 records twice as long. Whatever ran before may have left a disk in that state.
"""

import itertools
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import made_records
from at_scale import Measured, against, asked_sizes, growth, table, timed
from measure import heading, say

SIZES = (100, 1_000, 20_000)
GOALS_S: Mapping[int, float] = {1_000: 1.0, 20_000: 20.0}  # for the first build
COLUMNS = (
    *("records", "build", "seconds", "goal", "processor s", "ms a record"),
    *("files written", "MB of memory", "pages", "MB of site"),
)


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
    ran = timed(command, root)
    found = look(site, since_ns)
    if found.pages < records:
        raise SystemExit(f"the site has {found.pages:,} pages for {records:,} records")
    say(f"{records:,} records, {name}: {ran.took_s:.2f} s")
    return Build(records, name, ran.took_s, ran.worked_s, ran.memory_mb, found)


def builds(folder: Path, records: int) -> list[Build]:
    """The three builds of a site with so many records, which stay in the folder."""
    root, site = folder / "checkout", folder / "site"
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
        against(goal_s, each.took_s),
        f"{each.worked_s:.2f}",
        f"{1000 * each.took_s / each.records:.2f}",
        f"{each.site.written:,}",
        f"{each.memory_mb:.0f}",
        f"{each.site.pages:,}",
        f"{each.site.megabytes:,.1f}",
    )


def main() -> None:
    sizes = asked_sizes(__doc__, SIZES)
    heading("The site", f"{made_records.ENTRIES} entries, {made_records.CURVE_POINTS} points a curve")
    with tempfile.TemporaryDirectory() as folder:
        found = [each for records in sizes for each in builds(Path(folder, str(records)), records)]
    table(COLUMNS, [cells(each) for each in found])
    firsts = [Measured(each.records, each.took_s, each.memory_mb) for each in found if each.name == "first"]
    for small, large in itertools.pairwise(firsts):
        print(growth(small, large))


if __name__ == "__main__":
    main()
