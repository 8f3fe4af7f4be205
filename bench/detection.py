"""How surely the twin finds an entry that looks ahead on a share f of the targets and gains g nats a token in all.

Prints the tables of docs/security.md; --plot draws docs/detection.svg (needs the extra `bench`). See power.py for what
is simulated. The seed is fixed: the same figures come every time.
"""

import argparse
import math
from pathlib import Path

import numpy as np
from power import PEAK_NATS, Found, Plan, Sample, detection, dial, over, worst
from rich.console import Console
from rich.table import Table

from harness import twin

SEED = 5
TARGETS = 10_485_760  # of the h100 tracks; with fewer, small shares are a little easier to find
NOISE_NATS = 1e-6  # of float32; tests/harness/test_honest.py has others
SIZES = (512, 2048)  # sampled targets: the least; the h100 tracks with 256 tokens to a window
SHARES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0)
GAINS = (1e-4, 3e-4, 1e-3, 2e-3, 3e-3, 5e-3, 1e-2, 3e-2, 1e-1, 1.0)
RUNS_ASKED = (1, 3, 10)  # by the tracks
TABLE_RUNS = 500
PLOT_RUNS = 200
PLOT_STEPS = 25  # a side
SEARCH_RUNS = 500
PROOF_RUNS = 4_000
LIMITS = (0.01, 0.5)
LEAST_GAIN_NATS = 0.005  # of most tracks that ask for a low loss (harness/tracks)
PLOT = Path(__file__).resolve().parents[1] / "docs" / "detection.svg"


def possible(share: float, gain_nats: float) -> bool:
    """Whether a target can be worth as much as each of the share's would have to."""
    return gain_nats / share <= PEAK_NATS


def percent(found: Found, runs: int) -> str:
    """The probability over several runs, and its 95 % interval: a half width, or the bound where it is one-sided."""
    low, high = (100 * over(bound, runs) for bound in found.interval())
    if found.found in (0, found.runs):
        return f"< {high:.1f}" if found.found == 0 else f"> {min(low, 99.9):.1f}"
    if low >= 99.9:
        return "> 99.9"
    return f"{100 * over(found.share, runs):.1f} ({low:.1f}–{high:.1f})"


def grid(sample: Sample, random: np.random.Generator) -> dict[tuple[float, float], Found]:
    """Every pair (share, gain) of the table that is possible."""
    pairs = [(share, gain) for share in SHARES for gain in GAINS if possible(share, gain)]
    return {(share, gain): detection(dial(share, gain), sample, TABLE_RUNS, random) for share, gain in pairs}


def show_grid(console: Console, cells: dict[tuple[float, float], Found], sample: Sample, runs: int) -> None:
    title = f"Found in {runs} run{'s' * (runs > 1)} of {sample.sampled:,} sampled targets, % (95 % interval)"
    table = Table("g, nats a token", *(f"f = {share:g}" for share in SHARES), title=title)
    for gain in GAINS:
        told = [percent(cells[share, gain], runs) if (share, gain) in cells else "–" for share in SHARES]
        table.add_row(f"{gain:g}", *told)
    console.print(table)


def show_worst(console: Console, size: int, random: np.random.Generator) -> None:
    title = f"The most that a cheat gains, {size:,} sampled targets"
    table = Table(
        "found in one run", "one target gains at most", "gain", "how", "measured, %", "3 runs", "10 runs", title=title
    )
    sample = Sample(TARGETS, size, NOISE_NATS)
    for limit in LIMITS:
        for peak_nats in (twin.SINGLE_LIMIT_NATS, PEAK_NATS):
            plan = worst(sample, limit, peak_nats, runs=SEARCH_RUNS, proof_runs=PROOF_RUNS, random=random)
            found = detection(plan, sample, PROOF_RUNS, random)
            table.add_row(
                f"< {limit:.0%}", f"{peak_nats:g} nats", f"{plan.gain_nats:.4f}", described(plan),
                *(percent(found, runs) for runs in RUNS_ASKED),
            )  # fmt: skip
    console.print(table)


def described(plan: Plan) -> str:
    parts = [f"{part.nats:+.3g} on {part.share:.2g}" for part in plan.parts if abs(part.nats * part.share) >= 1e-5]
    return ", ".join([*parts, f"{plan.rest_nats:+.2g} elsewhere"])


def plot(sample: Sample, random: np.random.Generator) -> None:
    """Two panels over share and gain: one run as a map, several runs as the lines of 50 % and 99 %."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "detection", "font.size": 9})
    import matplotlib.pyplot as plt

    shares, gains = np.geomspace(1e-4, 1, PLOT_STEPS), np.geomspace(1e-4, 1, PLOT_STEPS)
    found = np.array(
        [
            [
                detection(dial(share, gain), sample, PLOT_RUNS, random).share if possible(share, gain) else math.nan
                for share in shares
            ]
            for gain in gains
        ]
    )
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
    drawn = left.pcolormesh(shares, gains, found, cmap="cividis", vmin=0, vmax=1, shading="nearest", rasterized=True)
    figure.colorbar(drawn, ax=left, label="probability of NOT_PREDICTIVE")
    left.contour(shares, gains, found, levels=[0.5, 0.99], colors=["white", "black"], linestyles=["--", "-"])
    left.set_title(f"One run, {sample.sampled} sampled targets (– – 50 %, — 99 %)")
    for runs, colour in zip(RUNS_ASKED, ("#0072b2", "#d55e00", "#009e73"), strict=True):
        several = 1 - (1 - found) ** runs
        right.contour(shares, gains, several, levels=[0.5, 0.99], colors=colour, linestyles=["--", "-"])
        right.plot([], [], color=colour, label=f"{runs} run{'s' * (runs > 1)}")
    right.axhline(LEAST_GAIN_NATS, color="grey", linestyle=":", label=f"least gain of a record, {LEAST_GAIN_NATS}")
    right.set_title("Found in one of several runs (– – 50 %, — 99 %)")
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="f, share of the targets that it looks ahead on")
        axes.fill_between(shares, np.minimum(PEAK_NATS * shares, 1), 1, color="0.9", linewidth=0)
    left.set_ylabel("g, gain in nats a token (grey: no target is worth so much)")
    figure.savefig(PLOT, metadata={"Date": None})


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--plot", action="store_true", help=f"draw {PLOT.name} in docs/ instead of printing tables")
    if asked.parse_args().plot:
        plot(Sample(TARGETS, SIZES[0], NOISE_NATS), np.random.default_rng(SEED))
        return
    console = Console(width=170)
    for size in SIZES:
        sample = Sample(TARGETS, size, NOISE_NATS)
        cells = grid(sample, np.random.default_rng(SEED))
        for runs in RUNS_ASKED:
            show_grid(console, cells, sample, runs)
    show_worst(console, SIZES[0], np.random.default_rng(SEED))


if __name__ == "__main__":
    main()
