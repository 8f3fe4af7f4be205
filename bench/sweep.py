"""Tries settings of an entry against its defaults, or all combinations of some, through the real harness.

    python bench/sweep.py template --each n_layers=2 --each max_ngram=1 --rounds 3
    python bench/sweep.py bench/baselines/plain_gpt --grid learning_rate=1e-3,2e-3,4e-3 --grid batch_size=8,16

`--each` changes one thing at a time (several with commas: n_layers=2,batch_size=8); `--grid` tries every combination.
Rounds are made in turns with fresh seeds, and every setting is compared with the defaults round by round.
"""

import argparse
import itertools
from collections.abc import Sequence
from pathlib import Path

from measure import heading, mean, say
from strength import FULL_S, LIMIT_S, interval
from trials import TARGETS, Contestant, Result, trials

from harness.errors import UserError

DEFAULTS = "as it is"


def contestants(folder: Path, each: Sequence[str], grid: Sequence[str]) -> list[Contestant]:
    """The defaults first. Raises ValueError: something is not of the form field=value."""
    found = [Contestant(DEFAULTS, folder)]
    found += [Contestant(one, folder, dict(map(_setting, one.split(",")))) for one in each]
    axes = []
    for axis in grid:
        field, values = _setting(axis)
        axes.append([(field, value) for value in values.split(",")])
    for combination in itertools.product(*axes) if axes else ():
        found.append(Contestant(",".join(map("=".join, combination)), folder, dict(combination)))
    return found


def _setting(words: str) -> tuple[str, str]:
    field, equals, value = words.partition("=")
    if not (field and equals and value):
        raise ValueError(f"{words!r} is not of the form field=value")
    return field, value


def show(tried: Sequence[Contestant], results: Sequence[Sequence[Result]]) -> None:
    """results: of each contestant, a round each; best first, the defaults where they stand."""
    width = max(len(each.name) for each in tried)
    base = [result.loss_nats for result in results[0]]
    means = [mean([result.loss_nats for result in of]) for of in results]
    for index in sorted(range(len(tried)), key=lambda index: means[index].value):
        gains = mean([result.loss_nats - against for result, against in zip(results[index], base, strict=True)])
        beside = "" if index == 0 else f"{gains.value:+.4f} {interval(gains, 4)}"
        tokens = round(sum(result.tokens for result in results[index]) / len(results[index]))
        print(f"  {tried[index].name:<{width}}  {means[index].value:.4f}  {tokens:>11,} tokens  {beside}".rstrip())
    print(flush=True)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("entry", type=Path, help="its folder")
    asked.add_argument("--each", action="append", default=[], metavar="FIELD=VALUE[,…]", help="one change to try")
    asked.add_argument("--grid", action="append", default=[], metavar="FIELD=A,B,…", help="an axis of a grid to try")
    asked.add_argument("--rounds", type=int, default=1, help="runs of each setting (default 1)")
    asked.add_argument("--seconds", type=float, default=FULL_S, help=f"of a run (default {FULL_S:g})")
    asked.add_argument("--text", type=Path, help="a file of prose instead of the track's own text")
    chosen = asked.parse_args()
    if chosen.rounds < 1 or not 1 <= chosen.seconds <= LIMIT_S:
        asked.error(f"at least one round, and 1 to {LIMIT_S:g} seconds")
    try:
        tried = contestants(chosen.entry, chosen.each, chosen.grid)
    except ValueError as error:
        asked.error(str(error))
    results: list[list[Result]] = [[] for _ in tried]
    with trials() as hall:
        try:
            for who in tried:
                hall.check(who)
            text = hall.text(chosen.text)
            heading(f"Settings of {chosen.entry.name}", f"{text.name}, {chosen.seconds:g} s, {TARGETS:,} bytes scored")
            for number in range(chosen.rounds):
                order = range(len(tried)) if number % 2 == 0 else reversed(range(len(tried)))
                for index in order:
                    say(f"round {number + 1} of {chosen.rounds}: {tried[index].name}")
                    results[index].append(hall.run(tried[index], text, chosen.seconds))
        except UserError as error:
            raise SystemExit(f"error: {error}") from None
    show(tried, results)


if __name__ == "__main__":
    main()
