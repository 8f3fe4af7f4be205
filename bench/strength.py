"""How strong the template is: against the plain GPT that people start from, and against itself without Muon.

Every round makes one run of each entry at full time, and of the template at parts of that time, all through the real
harness, in turns. Out of the same rounds come the loss at equal time, and the time in which the template reaches the
plain GPT's final loss, read off a straight line between the logarithms of the times that lie around it.

On the track's own text and on every file that is named. docs/baseline.md has the figures, and where real prose lies.
"""

import argparse
import itertools
import math
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from measure import Estimate, heading, mean, ratio, say
from trials import TARGETS, Contestant, Result, Text, Trials, trials

from harness.errors import UserError
from speedrun.workspace import find_workspace

BASELINES = Path(__file__).parent / "baselines"
FULL_S = 60.0
PARTS = (1, 10, 40)  # of the full time: all, a tenth, …
GOAL = 10.0  # times faster than the plain GPT
LIMIT_S = 600.0

MUON = "Muon(model.blocks.parameters(), run, model.precision)"
ADAMW = (
    'torch.optim.AdamW([{"params": list(model.blocks.parameters()), "full_lr": config.muon_lr}], '
    "betas=(0.9, 0.95), weight_decay=0.0, fused=True)"
)
ADAMW_RATE = "0.004"  # usual for matrices of this width


class Round(NamedTuple):
    """Runs that were made next to each other."""

    plain: Result
    modern: Result
    template: tuple[Result, ...]  # at each part of the time


class Speedup(NamedTuple):
    """How many times less time the template takes to the plain GPT's final loss."""

    times: float
    bound: bool  # it takes even less: the shortest run was better already


class Entrants(NamedTuple):
    """Who is compared."""

    plain: Contestant
    modern: Contestant
    template: Contestant


def entrants(folder: Path) -> Entrants:
    """The plain GPT, the template with AdamW in the place of Muon, which is put into this folder, and the template."""
    template = find_workspace().template
    modern = folder / "modern_adamw"
    without_muon(template, modern)
    return Entrants(
        Contestant("plain_gpt", BASELINES / "plain_gpt"),
        Contestant("modern_adamw", modern, {"muon_lr": ADAMW_RATE}),
        Contestant("template", template),
    )


def without_muon(template: Path, folder: Path) -> None:
    """Writes the template with one line changed. Raises ValueError: the line is not there."""
    shutil.copytree(template, folder)
    source = (folder / "speedrun.py").read_text()
    if source.count(MUON) != 1:
        raise ValueError(f"the template does not have this once: {MUON}")
    (folder / "speedrun.py").write_text(source.replace(MUON, ADAMW))


def one_round(hall: Trials, who: Entrants, text: Text, full_s: float, number: int) -> Round:
    """Every other round goes backwards, so that a drift of the machine favours nobody."""
    plain, modern, template = who
    jobs = [(plain, full_s), (modern, full_s), *((template, full_s / part) for part in PARTS)]
    order = range(len(jobs)) if number % 2 == 0 else reversed(range(len(jobs)))
    found = {index: hall.run(*_with(jobs[index], text)) for index in order}
    return Round(found[0], found[1], tuple(found[2 + index] for index in range(len(PARTS))))


def _with(job: tuple[Contestant, float], text: Text) -> tuple[Contestant, Text, float]:
    return job[0], text, job[1]


def speedup(found: Round) -> Speedup | None:
    """None: the template does not get there at all."""
    goal = found.plain.loss_nats
    by_time = sorted(found.template, key=lambda result: result.train_s)
    if by_time[0].loss_nats <= goal:
        return Speedup(found.plain.train_s / by_time[0].train_s, bound=True)
    for before, after in itertools.pairwise(by_time):
        if before.loss_nats > goal >= after.loss_nats:
            share = (before.loss_nats - goal) / (before.loss_nats - after.loss_nats)
            log_s = math.log(before.train_s) + share * math.log(after.train_s / before.train_s)
            return Speedup(found.plain.train_s / math.exp(log_s), bound=False)
    return None


def show(text: Text, full_s: float, rounds: Sequence[Round]) -> None:
    print(f"{text.name}: rounds {len(rounds)}, {full_s:g} s each, losses in nats a byte")
    plain = [each.plain.loss_nats for each in rounds]
    line("plain_gpt", full_s, mean(plain), rounds[0].plain)
    modern = [each.modern.loss_nats for each in rounds]
    line("modern_adamw", full_s, mean(modern), rounds[0].modern)
    for index, part in enumerate(PARTS):
        losses = [each.template[index].loss_nats for each in rounds]
        line("template", full_s / part, mean(losses), rounds[0].template[index])
    full = [each.template[0].loss_nats for each in rounds]
    difference("template − plain_gpt, equal time", [a - b for a, b in zip(full, plain, strict=True)])
    difference("template − modern_adamw, equal time", [a - b for a, b in zip(full, modern, strict=True)])
    speedups = [speedup(each) for each in rounds]
    reached = [each for each in speedups if each is not None]
    if len(reached) < len(rounds):
        print("  the template does not reach the plain GPT's loss in every round: missed")
    else:
        faster = ratio([(each.times, 1.0) for each in reached])
        least = "at least " if any(each.bound for each in reached) else ""
        low = faster.value if math.isnan(faster.low) else faster.low
        verdict = "reached" if low >= GOAL else "missed" if faster.value < GOAL else "not resolved"
        words = f"{least}{faster.value:.1f} × {interval(faster, 1)}"
        print(f"  to the plain GPT's final loss: {words} faster; goal {GOAL:g} ×: {verdict}")
    print(flush=True)


def line(name: str, seconds: float, loss: Estimate, sample: Result) -> None:
    said = f"{sample.tokens:,} tokens in {sample.steps:,} steps"
    print(f"  {name:<14}{seconds:6.1f} s  {loss.value:.4f} {interval(loss, 4):<20} {said}")


def difference(name: str, values: Sequence[float]) -> None:
    found = mean(values)
    print(f"  {name}: {found.value:+.4f} {interval(found, 4)}")


def interval(found: Estimate, digits: int) -> str:
    return "(one round)" if math.isnan(found.low) else f"({found.low:.{digits}f} to {found.high:.{digits}f})"


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--rounds", type=int, default=3, help="rounds on each text, with fresh seeds (default 3)")
    asked.add_argument("--seconds", type=float, default=FULL_S, help=f"full time of a run (default {FULL_S:g})")
    asked.add_argument("--text", type=Path, action="append", default=[], help="a file of prose; may be given again")
    asked.add_argument("--only-text", action="store_true", help="leave the track's own text out")
    chosen = asked.parse_args()
    if chosen.rounds < 1 or not 4 <= chosen.seconds <= LIMIT_S or (chosen.only_text and not chosen.text):
        asked.error(f"at least one round and one text, and 4 to {LIMIT_S:g} seconds")
    heading("Strength", f"two threads, {TARGETS:,} bytes scored, intervals of 95 % over rounds")
    files: list[Path | None] = [*([] if chosen.only_text else [None]), *chosen.text]
    with trials() as hall, tempfile.TemporaryDirectory() as folder:
        who = entrants(Path(folder))
        for file in files:
            try:
                text = hall.text(file)
            except UserError as error:
                raise SystemExit(f"error: {error}") from None
            rounds: list[Round] = []
            for number in range(chosen.rounds):
                say(f"{text.name}: round {number + 1} of {chosen.rounds}")
                rounds.append(one_round(hall, who, text, chosen.seconds, number))
            show(text, chosen.seconds, rounds)


if __name__ == "__main__":
    main()
