"""Scores of a kept artifact on tasks of lm-eval, beside its loss and never in the ranking.

    lm-eval asks for continuations ── TOKENS ──►   scorer: a fresh sandbox with the artifact, as for the loss
                                   ◄─ LOGPROBS ─   and whether each token is the likeliest one
    a sample of the asked tokens   ── CUT ─────►   twin: another one, which gets the past alone
    where both agree there are scores

Not covered: whether the tasks' text was trained on, or stands in the source; docs/downstream.md says more.
"""

import contextlib
import math
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from harness import downstream_twin, gates, page_cache
from harness.clock import Clock, MonotonicClock
from harness.dialogue import Ending
from harness.downstream_rows import Said, Text, score
from harness.downstream_tasks import Tasks
from harness.downstream_text import encoder
from harness.evaluation import BadOutput, Stream
from harness.events import Event, Noted, PhaseBegan, Ticked
from harness.parts import Opened, greet, open_part
from harness.privacy import anonymous
from harness.protocol import printable
from harness.result import NOTE_LENGTH, Downstream, Verdict
from harness.run_request import RunRequest
from harness.sandbox import Interpreter, Sandbox, protect_parent
from harness.sandbox_plan import SYSTEM_TREES

TICK_S = 1.0
COLD_S = 300.0  # more to load in than the track grants: the libraries may not be in memory
CAP_S = 3600.0  # scorer and twin, each, where a track does not say


@dataclass(frozen=True)
class Wanted:
    """What is to be evaluated."""

    tasks: tuple[str, ...]
    limit: int | None = None  # the first so many documents of each task; None: all
    cap_s: float = CAP_S  # scorer and twin, each: all rows
    include: Path | None = None  # a folder with task files of one's own


@dataclass(frozen=True)
class Kept:
    """An entry as it was trained, laid out to be scored once more."""

    request: RunRequest
    ground: Path  # with boot, submission and artifact
    seed: int  # of the run
    context: int  # tokens, as it was scored with


class _Disagreement(Exception):  # noqa: N818 - a finding, not an error
    """The twin does not bear the scores out."""


def evaluate(
    kept: Kept,
    wanted: Wanted,
    observe: Callable[[Event], None] = lambda event: None,
    clock: Clock | None = None,
    launch: Callable[..., Sandbox] = Sandbox,
    draw_seed: Callable[[], int] = lambda: secrets.randbits(48),
    forget: Callable[[Iterable[Path | str]], None] = page_cache.forget,
) -> Downstream:
    """Scores on the tasks; without any where the entry fails or its twin does not agree, and `note` says why.

    Raises:
        UserError: lm-eval is missing, a task is unknown, its data is out of reach, or it can't be asked this way.
        OSError: something can't be written.
    """
    protect_parent()
    observe(PhaseBegan("downstream", None))  # loading may fetch, which takes as long as the hub takes
    tasks = Tasks(wanted.tasks, wanted.include)
    return _Evaluation(kept, wanted, tasks, observe, clock or MonotonicClock(), launch, draw_seed, forget).make()


class _Evaluation:
    """One evaluation under way."""

    def __init__(
        self,
        kept: Kept,
        wanted: Wanted,
        tasks: Tasks,
        observe: Callable[[Event], None],
        clock: Clock,
        launch: Callable[..., Sandbox],
        draw_seed: Callable[[], int],
        forget: Callable[[Iterable[Path | str]], None],
    ) -> None:
        data = kept.request.data
        self._kept = kept
        self._wanted = wanted
        self._tasks = tasks
        self._observe = observe
        self._clock = clock
        self._launch = launch
        self._draw_seed = draw_seed
        self._forget = forget
        self._encode = encoder(data)
        self._spare: Stream = np.asarray(data.tokens("spare"), dtype=np.uint16)
        self._began_s = clock.now()  # of the phase
        self._texts: list[Text] = []
        self._said: list[Said] = []
        self._context = kept.context
        self._rows = 1

    def make(self) -> Downstream:
        try:
            with self._forgetting():  # for the twin, and for whoever comes after it
                self._score()
            with self._forgetting():
                findings = self._ask_twin()
            if not all(finding.honest for finding in findings.values()):
                raise _Disagreement(downstream_twin.explain(findings))
        except (Ending, BadOutput, _Disagreement) as ending:
            return Downstream(note=printable(anonymous(str(ending)), NOTE_LENGTH))
        twins = {task: finding.report for task, finding in findings.items()}
        found = self._tasks.results(twins, self._wanted.limit, self._kept.request.level)
        return Downstream(tasks=found, note="" if found else "lm-eval gave no number for any of the tasks")

    @contextlib.contextmanager
    def _forgetting(self) -> Iterator[None]:
        """What a sandbox makes the machine read may be a note, however the sandbox ended (harness/page_cache.py)."""
        read_kib = page_cache.paged_in_kib()
        try:
            yield
        finally:
            if page_cache.told(read_kib, page_cache.paged_in_kib()):
                staged = (self._kept.ground / name for name in ("boot", "submission", "artifact"))
                self._forget((*SYSTEM_TREES, *Interpreter.current().trees, *staged))

    def _score(self) -> None:
        """Everything that lm-eval asks, by a sandbox that has seen nothing but the artifact."""
        with self._sandbox("score") as opened:

            def answer(texts: Sequence[Text]) -> Sequence[Said]:
                tick = self._ticker(opened.sandbox)
                said = score(opened.dialogue, texts, self._context, self._rows, self._spare, tick) if texts else []
                self._texts += texts
                self._said += said
                return said

            self._tasks.evaluate(self._encode, self._kept.request.data.manifest.separator, answer, self._wanted.limit)

    def _ask_twin(self) -> dict[str, downstream_twin.Finding]:
        """The sample is drawn only now, when every answer is in."""
        if not self._texts:
            return {}
        seed = self._draw_seed()
        questions = downstream_twin.draw(self._texts, self._context, seed)
        self._observe(Noted("asking the twin of these scores"))
        with self._sandbox("twin") as opened:
            return dict(
                downstream_twin.interrogate(
                    opened.dialogue,
                    self._texts,
                    self._said,
                    questions,
                    context=self._context,
                    most=self._rows,
                    vocab_size=self._kept.request.data.manifest.vocab_size,
                    spare=self._spare,
                    seed=seed,
                    observe=self._ticker(opened.sandbox),
                )
            )

    @contextlib.contextmanager
    def _sandbox(self, part: Literal["score", "twin"]) -> Iterator[Opened]:
        """A fresh sandbox whose entry is loaded, and whose time for the rows runs."""
        request = self._kept.request
        folder = self._kept.ground / f"downstream-{part}"
        try:
            with open_part(
                part,
                request,
                self._kept.ground,
                folder,
                seed=self._kept.seed,
                clock=self._clock,
                launch=self._launch,
                ticker=self._ticker,
            ) as opened:
                limit_s = request.track.limits.load_s + COLD_S
                self._begin("load", limit_s)
                late = f"loading what was saved was not done after {limit_s:g} s"
                opened.dialogue.until(self._began_s + limit_s, Verdict.SETUP_TIMEOUT, late)
                ready = greet(opened)
                windows = gates.windows(ready, request.track.score.max_context, self._kept.context)
                if part == "score":
                    self._context, self._rows = windows.context, ready.rows
                limit_s = self._wanted.cap_s
                self._begin("downstream", limit_s)
                late = f"the rows of the tasks were not answered after {limit_s:g} s"
                opened.dialogue.until(self._began_s + limit_s, Verdict.EVALUATION_TIMEOUT, late)
                yield opened
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _begin(self, phase: Literal["load", "downstream"], limit_s: float) -> None:
        self._began_s = self._clock.now()
        self._observe(PhaseBegan(phase, limit_s))

    def _ticker(self, sandbox: Sandbox) -> Callable[..., None]:
        """Tells the observer now and then how far things are."""
        last_s = -math.inf

        def tick(done: int | None = None, total: int | None = None) -> None:
            nonlocal last_s
            now = self._clock.now()
            if now - last_s >= TICK_S or (done is not None and done == total):
                last_s = now
                memory_gib = sandbox.memory_bytes() / 2**30
                self._observe(Ticked("downstream", now - self._began_s, memory_gib, done, total))

        return tick
