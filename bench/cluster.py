"""What a cluster costs, and what more nodes bring: runs of cpu-smoke by an entry that waits, on a real Ray cluster.

a  what scheduling adds to a run: the time between two runs' ends on one node, beyond what the harness itself says that
   a run took, against the same on this machine without a cluster
b  runs a minute on one node, two, and more; all nodes lie on this machine, so its cores are soon the limit

Not covered: the network between hosts, and sending the code to many of them.
"""

import argparse
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psutil
from measure import Estimate, Row, heading, mean, say, table

from harness import submission
from harness.result import Series
from harness.submission import Submission
from harness.track import Track, find_track
from speedrun.cluster.crew import Call, call
from speedrun.cluster.watching import Watch
from speedrun.session import Conditions, Session, open_session
from speedrun.workspace import Workspace, find_workspace

ENTRY = Path(__file__).parent / "entries" / "idle"
TRACK = "cpu-smoke"
NODES = Path(__file__).with_name("nodes.py")
SERIES = Series(id="20260101-000000-runs-idle-0000", purpose="runs")
ADDED_GOAL = 0.03  # of a run's wall time
RUNS = 6
CONDITIONS = Conditions(practice=True, quiet=True)


@contextlib.contextmanager
def cluster(folder: Path, count: int) -> Iterator[None]:
    """So many nodes of two threads on this machine, for the block."""
    with subprocess.Popen(
        [sys.executable, NODES, folder],
        env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as nodes:
        assert nodes.stdin is not None
        assert nodes.stdout is not None
        os.environ["RAY_ADDRESS"] = nodes.stdout.readline().strip()
        for number in range(count):
            nodes.stdin.write(f"node n{number} 2\n")
            nodes.stdin.flush()
            nodes.stdout.readline()
        try:
            yield
        finally:
            nodes.stdin.close()


def make(session: Session, entry: Submission, jobs: Iterator[int], ends: list[tuple[float, float]]) -> None:
    """Runs, one after the other; `ends` gets when each ended and what the harness says it took."""
    request = session.request(entry, series=SERIES)
    for number in jobs:
        record = session.run(request, f"run {number}").record
        if record.score is None:
            raise SystemExit(f"a run ended as {record.verdict}: {record.reason}")
        ends.append((time.monotonic(), record.times.total_s))


def beyond(ends: list[tuple[float, float]]) -> list[float]:
    """From the second run of one node on: how much longer than the run itself it took from end to end, as a share."""
    return [(after - before) / took - 1 for (before, _), (after, took) in itertools.pairwise(ends)]


def here(workspace: Workspace, track: Track, entry: Submission, runs: int) -> list[float]:
    ends: list[tuple[float, float]] = []
    with open_session(workspace, track, CONDITIONS, entry.name) as session:
        make(session, entry, iter(range(runs + 1)), ends)
    return beyond(ends)


def there(workspace: Workspace, track: Track, entry: Submission, nodes: int, runs: int) -> tuple[list[float], float]:
    """The same on nodes, and how many runs a minute they made together once all were at work."""
    ends: dict[int, list[tuple[float, float]]] = {}
    with call(workspace, track, Call("ray", nodes), Watch("bench")) as crew:
        conditions = replace(CONDITIONS, crew=crew)

        def work(jobs: Iterator[int]) -> None:
            with open_session(workspace, track, conditions, entry.name) as session:
                make(session, entry, jobs, ends.setdefault(threading.get_ident(), []))

        crew.spread(range((runs + 1) * nodes), work)
    whole = sorted(end for own in ends.values() for end, _ in own)
    # From when every node had ended its first run, start-ups being behind them.
    began = max(own[0][0] for own in ends.values() if own)
    counted = [end for end in whole if end > began]
    return [share for own in ends.values() for share in beyond(own)], 60 * len(counted) / (counted[-1] - began)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--runs", type=int, default=RUNS, help=f"runs on every node that are timed (default {RUNS})")
    asked.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 4], help="how many nodes (default 1 2 4)")
    chosen = asked.parse_args()
    if chosen.runs < 2 or min(chosen.nodes) < 1:
        asked.error("at least two runs, and at least one node")
    heading("Cluster", f"{TRACK}, an entry that waits for most of the 8 s, {chosen.runs} runs on every node")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder) / "checkout"
        source = find_workspace().root
        subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{source}", root], check=True)
        workspace = Workspace(root)
        track, entry = find_track(TRACK, workspace.tracks), submission.load(ENTRY, ENTRY.name)
        say("on this machine")
        alone = here(workspace, track, entry, chosen.runs)
        rows = [Row("this machine: time beyond the run itself", percent(alone), "%")]
        for count in chosen.nodes:
            say(f"on {count} nodes")
            with cluster(Path(folder) / f"nodes-{count}", count):
                psutil.cpu_percent()
                shares, a_minute = there(workspace, track, entry, count, chosen.runs)
                busy = psutil.cpu_percent()
            if count == 1:
                rows.append(Row("one node: time beyond the run itself", percent(shares), "%"))
                added = [one - other for one, other in zip(shares, alone, strict=False)]
                rows.append(Row("added by the cluster", percent(added), "%", goal=100 * ADDED_GOAL))
            single = Estimate(a_minute, float("nan"), float("nan"))
            rows.append(Row(f"runs a minute on so many nodes: {count} (processor {busy:.0f} % busy)", single))
        table(rows)


def percent(shares: list[float]) -> Estimate:
    return mean([100 * share for share in shares])


if __name__ == "__main__":
    main()
