"""What ten million targets cost the parent, and a tenth of them: its memory above the start, its own processor time.

The parent's real code (scoring, the twin's questions, frames over a socket) talks to a child that answers at once with
the uniform distribution, so that everything measured is the parent's own. Each case runs in a fresh process.

The last case says how much that is beside the rest of an evaluation: there the child is the sandbox's own scorer, with
a model that costs nothing, so that what the parent waits for is the softmax alone; any real model takes longer. It has
fewer targets, for the softmax of ten million takes tens of minutes.
"""

import argparse
import math
import resource
import socket
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, NamedTuple, cast

import msgspec
import numpy as np
import psutil
from measure import Estimate, Row, heading, say, table

from harness import twin
from harness.clock import MonotonicClock
from harness.dialogue import Dialogue
from harness.entry_scorer import Scorer
from harness.evaluation import Windows, score
from harness.protocol import Closed, Connection, Cut, Distribution, LogProbs, Tokens, decode_to_worker
from harness.result import Verdict
from harness.sandbox import Breach, Exit

if TYPE_CHECKING:
    from harness.entry_module import Entry

MEMORY_GOAL_MB = 300.0
TARGETS = 10_000_000
SPARE_TOKENS = 1_000_000


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One evaluation."""

    targets: int
    vocab_size: int
    context: int
    stride: int
    rows: int  # most rows of one call, which an entry may choose
    scorer: bool = False  # the child computes, as the sandbox's scorer does, instead of answering at once


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What it took the parent."""

    memory_mb: float  # most resident memory, above the start
    processor_s: float
    wall_s: float
    sampled: int


LARGE = Case(targets=TARGETS, vocab_size=50_304, context=1024, stride=1024, rows=16)
TENTH = msgspec.structs.replace(LARGE, targets=TARGETS // 10)  # beside it: what a target more costs in memory
CASES = (
    msgspec.structs.replace(LARGE, vocab_size=256),
    TENTH,
    LARGE,
    msgspec.structs.replace(LARGE, stride=64),
    msgspec.structs.replace(LARGE, rows=1024),
)
SHARE = Case(targets=262_144, vocab_size=50_304, context=1024, stride=1024, rows=16, scorer=True)
SHARE_GOAL = 5.0  # per cent of the wall time


class Nobody(NamedTuple):
    """In the place of a sandbox: nothing is watched, nothing is killed."""

    exit: Exit | None = None

    def breach(self) -> Breach | None:
        return None

    def kill(self) -> None:
        pass


def evaluate(case: Case) -> Cost:
    """Scorer and twin, in this process; the answers come from a child."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, __file__, "--answer", str(theirs.fileno()), "--vocabulary", str(case.vocab_size)]
    command += ["--scorer"] if case.scorer else []
    with ours, subprocess.Popen(command, pass_fds=(theirs.fileno(),)) as child:
        theirs.close()
        before_mb = psutil.Process().memory_info().rss / 1e6
        began_s, processor_s = time.monotonic(), time.process_time()
        clock = MonotonicClock()
        dialogue = Dialogue(Connection(ours, clock.now, idle=lambda: dialogue.look()), Nobody(), clock)
        dialogue.until(math.inf, Verdict.EVALUATION_TIMEOUT, "")
        random = np.random.default_rng(0)
        stream = random.integers(0, 256, size=case.targets + 1, dtype=np.uint16)
        spare = random.integers(0, 256, size=SPARE_TOKENS, dtype=np.uint16)
        windows = Windows(targets=case.targets, context=case.context, stride=case.stride)
        answers = score(dialogue, stream, windows, case.rows)
        sample = twin.draw(windows, seed=0)
        said = twin.interrogate(
            dialogue, stream, spare, windows, answers, sample, rows=case.rows, vocab_size=case.vocab_size, seed=0
        )
        report = twin.compare(answers[np.array(sample) - 1].astype(np.float64), said, 0)
        wall_s, processor_s = time.monotonic() - began_s, time.process_time() - processor_s
        most_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        ours.close()
        child.wait()
    if report.kind != "honest":
        raise SystemExit(f"the benchmark's own worker was called {report.kind}")
    return Cost(memory_mb=most_mb - before_mb, processor_s=processor_s, wall_s=wall_s, sampled=report.sampled)


Answer = tuple[LogProbs, memoryview] | tuple[Distribution, memoryview, memoryview]


class Uniform:
    """Answers with the uniform distribution, at once."""

    def __init__(self, vocab_size: int) -> None:
        self._vocab_size = vocab_size
        self._own = -math.log(vocab_size)

    def answer_tokens(self, message: Tokens, payload: bytes) -> Answer:
        return LogProbs(), np.full(message.rows * message.keep, self._own, dtype="<f4").data

    def answer_cut(self, message: Cut, payload: bytes) -> Answer:
        logits = np.zeros(message.rows * self._vocab_size, dtype="<f4")
        return Distribution(), logits.data, np.full(message.rows, self._own, dtype="<f4").data


def real_scorer(vocab_size: int) -> Scorer:
    """The sandbox's, with a model that gives every token the same chance and computes nothing."""
    import torch

    def predict(model: object, tokens: torch.Tensor) -> torch.Tensor:
        return torch.zeros(1).expand(*tokens.shape, vocab_size)

    entry = SimpleNamespace(predict=predict, run=SimpleNamespace(device="cpu"))
    return Scorer(cast("Entry", entry), None, vocab_size)


def answer(descriptor: int, vocab_size: int, *, scorer: bool) -> None:
    """The worker's side."""
    connection = Connection(socket.socket(fileno=descriptor))
    answers: Uniform | Scorer = real_scorer(vocab_size) if scorer else Uniform(vocab_size)
    while True:
        try:
            header, size = connection.header()
            payload = bytes(connection.exactly(size))
        except Closed:
            return
        match decode_to_worker(header):
            case Tokens() as message:
                connection.send(*answers.answer_tokens(message, payload))
            case Cut() as message:
                connection.send(*answers.answer_cut(message, payload))


def in_a_fresh_process(case: Case) -> Cost:
    done = subprocess.run(
        [sys.executable, __file__, "--case"], input=msgspec.json.encode(case), stdout=subprocess.PIPE, check=True
    )
    return msgspec.json.decode(done.stdout, type=Cost)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("--case", action="store_true", help=argparse.SUPPRESS)  # the fresh process
    asked.add_argument("--answer", type=int, help=argparse.SUPPRESS)  # its worker
    asked.add_argument("--vocabulary", type=int, help=argparse.SUPPRESS)
    asked.add_argument("--scorer", action="store_true", help=argparse.SUPPRESS)
    wanted = asked.parse_args()
    if wanted.answer is not None:
        answer(wanted.answer, wanted.vocabulary, scorer=wanted.scorer)
    elif wanted.case:
        cost = evaluate(msgspec.json.decode(sys.stdin.buffer.read(), type=Case))
        sys.stdout.buffer.write(msgspec.json.encode(cost))
    else:
        heading("The parent's side of an evaluation")
        rows: list[Row] = []
        costs: dict[Case, Cost] = {}
        for case in CASES:
            costs[case] = cost = in_a_fresh_process(case)
            say(f"{named(case)}: {cost.wall_s:.1f} s, {cost.sampled:,} sampled")
            rows += [
                Row(f"{named(case)}: memory above start", alone(cost.memory_mb), "MB", MEMORY_GOAL_MB),
                Row("   processor time a million targets", alone(1e6 * cost.processor_s / case.targets), "s"),
            ]
        more_mb = costs[LARGE].memory_mb - costs[TENTH].memory_mb
        bytes_each = 1e6 * more_mb / (LARGE.targets - TENTH.targets)
        rows.append(
            Row(f"from {TENTH.targets:,} targets to {LARGE.targets:,}: memory a target", alone(bytes_each), "B")
        )
        cost = in_a_fresh_process(SHARE)
        say(f"{named(SHARE)}, a scorer that computes: {cost.wall_s:.1f} s")
        share = 100 * cost.processor_s / cost.wall_s
        name = f"{named(SHARE)}, a scorer that computes: the parent's own work ÷ wall time"
        rows.append(Row(name, alone(share), "%", SHARE_GOAL))
        table(rows)


def named(case: Case) -> str:
    windows = f"context {case.context:,}, stride {case.stride:,}"
    return f"{case.targets:,} targets, V {case.vocab_size:,}, {windows}, {case.rows:,} rows"


def alone(value: float) -> Estimate:
    """One measurement: memory hardly differs between two."""
    return Estimate(value, math.nan, math.nan)


if __name__ == "__main__":
    main()
