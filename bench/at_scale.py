"""What the benchmarks of many records share: commands in processes of their own, sizes, a table, growth."""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# Between the benchmark and what it measures: a process counts the memory of whoever started it as its own at first.
_STARTER = """
import resource, subprocess, sys, time
began_s = time.perf_counter()
done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE)
took_s = time.perf_counter() - began_s
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(took_s, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024 / 1e6, flush=True)
sys.stdout.buffer.write(done.stdout)
sys.exit(done.returncode)
"""


class Ran(NamedTuple):
    """A command that ended."""

    took_s: float  # with its start
    worked_s: float  # of all processors
    memory_mb: float  # of its largest process, at its peak
    said: str


class Measured(NamedTuple):
    """One figure, to compare with that of another size."""

    records: int
    took_s: float
    memory_mb: float


def timed(command: Sequence[str], root: Path, fine: Sequence[int] = (0,)) -> Ran:
    """Runs a command on the checkout `root`. fine: exit codes; any other one ends the benchmark."""
    environment = {**os.environ, "SPEEDRUN_ROOT": str(root), "COLUMNS": "160"}
    done = subprocess.run(
        [sys.executable, "-c", _STARTER, *command], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode not in fine:
        raise SystemExit(f"{' '.join(map(str, command))[-200:]} failed: {done.stderr.strip()[-500:]}")
    figures, said = done.stdout.split("\n", 1)
    took_s, worked_s, memory_mb = map(float, figures.split())
    return Ran(took_s, worked_s, memory_mb, said)


def against(goal_s: float | None, took_s: float) -> str:
    """The goal, and whether it is reached."""
    return "" if goal_s is None else f"≤ {goal_s:g} {'reached' if took_s <= goal_s else 'missed'}"


def table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Everything to the right."""
    lines = [columns, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["─" * width for width in widths])
    for line in lines:
        print("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)))
    print()


def growth(small: Measured, large: Measured) -> str:
    """In step with the records, as is the goal, where all factors are at most theirs."""
    records = large.records / small.records
    seconds, memory = large.took_s / small.took_s, large.memory_mb / small.memory_mb
    return (
        f"{small.records:,} → {large.records:,} records (× {records:.1f}): seconds × {seconds:.1f}, "
        f"memory × {memory:.1f}: {'in step' if max(seconds, memory) <= records else 'missed'}"
    )


def asked_sizes(about: str | None, default: Sequence[int]) -> list[int]:
    """The numbers of records from the command line, the smallest first."""
    asked = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    words = f"how many records; may be given several times (default {', '.join(map(str, default))})"
    asked.add_argument("--records", type=int, action="append", metavar="N", help=words)
    sizes = sorted(set(asked.parse_args().records or default))
    if sizes[0] < 1:
        asked.error("--records: at least 1")
    return sizes
