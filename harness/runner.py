"""The story of a run: train in one sandbox, score the artifact in a second, ask its twin in a third, write it down."""

import contextlib
import math
import os
import secrets
import shutil
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from harness import artifact, calibration, gates, journal, page_cache, samples, start_line, submission, twin
from harness.accelerators import Accelerator
from harness.audience import Audience
from harness.clock import Clock, MonotonicClock
from harness.curve import Curve
from harness.dialogue import Dialogue, Ending
from harness.errors import UserError
from harness.evaluation import BadOutput, Stream, Windows, mean_loss, score
from harness.events import Ended, Event, Logged, Noted, Phase, PhaseBegan, Ticked
from harness.first_record import scored_split, scored_stream
from harness.hardware_watch import HardwareWatch
from harness.open_record import OpenRecord
from harness.parts import Opened, greet, open_part
from harness.privacy import anonymous
from harness.protocol import Done, Go, Log, Ready, Save, printable
from harness.result import NOTE_LENGTH, Calibration, Downstream, HardwareReport, Record, Verdict
from harness.run_request import Part, RunRequest
from harness.run_walls import demand_hidden
from harness.sandbox import Interpreter, Sandbox, protect_parent, stage
from harness.sandbox_plan import SYSTEM_TREES

SAVE_BYTES_A_SECOND = 200e6  # saving may take the track's save_s and a second for so many bytes
MOST_LOGS = 200_000  # points an entry may log
TICK_S = 1.0
COLD_S = 300.0  # more to load in, where the harness has dropped the libraries from memory
LOG_TAIL = 16_384  # characters of what the entry printed that a record keeps


Calibrate = Callable[[Sequence[Accelerator], int], tuple[Calibration, ...]]


def run_entry(
    request: RunRequest,
    observe: Callable[[Event], None] = lambda event: None,
    clock: Clock | None = None,
    launch: Callable[..., Sandbox] = Sandbox,
    calibrate: Calibrate = calibration.calibrate,
    draw_seed: Callable[[], int] = lambda: secrets.randbits(48),
    forget: Callable[[Iterable[str | os.PathLike[str]]], None] = page_cache.forget,
) -> Record:
    """Run an entry once and return its record, which also lies in the run's folder until `journal.settle`.

    Whatever the entry does ends in a verdict; so do Ctrl-C (INTERRUPTED) and faults of our own (INTERNAL_ERROR).
    Raises UserError for a mistake of the person who started the run, which leaves no record, and OSError when the
    record itself can't be written.

    Args:
        draw_seed: gives the seed of the twin's sample, once every answer of the scorer is in.
        forget: drops the pages of files from memory (harness/page_cache.py).
    """
    return _Run(request, observe, clock or MonotonicClock(), launch, calibrate, draw_seed, forget).story()


class _Run:
    """One run's state; `story` is the order of events."""

    def __init__(
        self,
        request: RunRequest,
        observe: Callable[[Event], None],
        clock: Clock,
        launch: Callable[..., Sandbox],
        calibrate: Calibrate,
        draw_seed: Callable[[], int],
        forget: Callable[[Iterable[str | os.PathLike[str]]], None],
    ) -> None:
        self.request = request
        self.track = request.track
        self.audience = Audience(observe)
        self.clock = clock
        self.launch = launch
        self.calibrate = calibrate
        self.draw_seed = draw_seed
        self.forget = forget
        self.read_kib: float | None = None  # by the machine, when scored text was shown to a sandbox; None: not yet
        self.cold = False  # the twin starts with nothing in memory
        self.impatient = False  # somebody asked to stop when the verdict stood already
        self.calibrated = False  # after the run
        self.began_s = clock.now()
        self.phase: Phase = "start"
        self.phase_began_s = self.began_s
        self.curve = Curve()
        self.windows: Windows | None = None
        self.rows = 1
        self.vocab_size = request.data.manifest.vocab_size
        self.stream = scored_stream(request)
        self.spare: Stream = np.asarray(request.data.tokens("spare"), dtype=np.uint16)
        self.shards: tuple[str, ...] = ()  # of training, in official order
        self.sandbox: Sandbox | None = None  # the one that lives now
        self.hardware = HardwareWatch(request.accelerators, own=self._own_processes)
        self.record = OpenRecord(request, self.stream.size - 1)
        self.folder = Path()
        demand_hidden(request.data.folder, request.level, (*SYSTEM_TREES, *Interpreter.current().trees))

    def story(self) -> Record:
        protect_parent()
        with journal.open_run(self.request.cache, self.record.now) as self.folder:
            self.audience.open_log(self.folder)
            try:
                self._lay_out()
                self._calibrate_before()
                with self.hardware:
                    self._train()
                    answers = self._score()
                    self._ask_twin(answers)
                self._end(Verdict.OK, "")
                self._go_on_to_tasks()
            except Ending as ending:
                self._end(ending.verdict, ending.reason)
            except BadOutput as error:
                self._end(Verdict.BAD_OUTPUT, str(error))
            except KeyboardInterrupt:
                self._end_unless_ok(Verdict.INTERRUPTED, f"interrupted during {self.phase}")
            except UserError as error:
                if self.phase == "start" or (self.phase == "setup" and self.request.overrides):
                    journal.settle(self.request.cache, self.record.now.run_id)  # missing data, a wrong override
                    raise
                self._end(Verdict.CRASHED, str(error))
            except Exception as error:
                self._end_unless_ok(Verdict.INTERNAL_ERROR, _our_fault(error))
            try:
                self._write_down()  # first: no fault while the machine is calibrated may cost the verdict
                self._forget_notes()
                self._calibrate_after()
                journal.write(self.folder, self.record.now)
            except KeyboardInterrupt:  # it came too late: the verdict stands
                self._write_down()
        self.audience.tell(Ended(self.record.now))
        self.audience.close_log()
        return self.record.now

    # ------------------------------------------------------------------------------------------------ the phases

    def _lay_out(self) -> None:
        """What runs is what is recorded: the trusted files and a snapshot of the entry, in a folder of this run."""
        stage(self.folder / "boot")
        submission.snapshot(self.request.submission, self.folder / "submission")
        (self.folder / "data").mkdir()
        (self.folder / "shards").mkdir()
        self.shards = self.request.data.link_train(self.folder / "shards", self.track.train_tokens)

    def _train(self) -> None:
        """Set up untimed, check at the start line, train on the clock, save."""
        with self._sandbox("train") as opened:
            sandbox, dialogue, _ = opened
            ready = self._set_up(opened, "setup")
            self._accept(ready)
            assert self.windows is not None
            start_line.check(dialogue, self.spare, self.windows, self.rows, self.vocab_size)
            now = self.clock.now()
            self.record.note(
                setup_s=now - self.phase_began_s,
                setup_processor_s=sandbox.processor_s(),
                setup_device_s=self.hardware.busy_s(),
            )
            self._time(dialogue, sandbox)
            self._save(dialogue, sandbox)

    def _time(self, dialogue: Dialogue, sandbox: Sandbox) -> None:
        """The timed phase, from GO to DONE on the parent's clock."""
        limit_s = self.track.limits.train_s
        before_s, busy_before_s = sandbox.processor_s(), self.hardware.busy_s()
        self._begin("train", limit_s)
        self.record.update(ran=True)
        with contextlib.suppress(OSError):  # a full disk: the end of the run has room of its own
            journal.write(self.folder, self.record.now)
        began_s = self.clock.now()
        dialogue.until(began_s + limit_s, Verdict.TIME_LIMIT, f"train() was not done after {limit_s:g} s")
        for name in self.shards:  # they appear inside, and whoever sees them sees them on the clock
            (self.folder / "shards" / name).rename(self.folder / "data" / name)
        dialogue.tell(Go(shards=self.shards))
        logs = 0
        while True:
            message = dialogue.bare(Log, Done)
            elapsed_s = self.clock.now() - began_s
            if elapsed_s > limit_s:
                raise Ending(
                    Verdict.TIME_LIMIT, f"train() was done after {elapsed_s:.2f} s; the limit is {limit_s:g} s"
                )
            if not isinstance(message, Log):
                break
            logs += 1
            if logs > MOST_LOGS:
                raise Ending(Verdict.OUTPUT_LIMIT, f"the entry logged more than {MOST_LOGS} points")
            self.audience.tell(Logged(self.curve.add(message, elapsed_s), self.curve.metrics))
        self.record.note(
            train_s=elapsed_s,
            train_processor_s=sandbox.processor_s() - before_s,
            train_device_s=_since(busy_before_s, self.hardware.busy_s()),
        )
        gates.hold_to_tokens(self.curve.declared().tokens, self.track.gates)

    def _save(self, dialogue: Dialogue, sandbox: Sandbox) -> None:
        """Receive the artifact; saving beyond its allowance counts as training."""
        limits = self.track.limits
        limit_bytes = int(limits.artifact_mib * 2**20)
        train_s = self.record.now.times.train_s or 0.0
        most_s = limits.save_s + limit_bytes / SAVE_BYTES_A_SECOND + limits.train_s - train_s
        self._begin("save", most_s)
        before_s, busy_before_s = sandbox.processor_s(), self.hardware.busy_s()
        began_s = self.clock.now()
        late = f"training and saving beyond its allowance took more than {limits.train_s:g} s"
        dialogue.until(began_s + most_s, Verdict.TIME_LIMIT, late)
        dialogue.tell(Save())
        saved = artifact.receive(dialogue, self.folder / "artifact", limit_bytes)
        save_s = self.clock.now() - began_s
        train_s += max(0.0, save_s - limits.save_s - saved.bytes / SAVE_BYTES_A_SECOND)
        self.record.note(
            save_s=save_s,
            train_s=train_s,
            save_processor_s=sandbox.processor_s() - before_s,
            save_device_s=_since(busy_before_s, self.hardware.busy_s()),
        )
        self.record.update(artifact=saved)
        if train_s > limits.train_s:
            raise Ending(Verdict.TIME_LIMIT, late)

    def _score(self) -> npt.NDArray[np.float32]:
        """Every target once, in a sandbox that has seen nothing but the artifact."""
        assert self.windows is not None
        busy_before_s = self.hardware.busy_s()
        self.read_kib = page_cache.paged_in_kib()
        with self._sandbox("score") as opened:
            sandbox, dialogue, _ = opened
            ready = self._set_up(opened, "load")
            gates.hold_to_parameters(ready.parameters, self.track.gates)
            loaded_s, busy_s = sandbox.processor_s(), self.hardware.busy_s()
            self.record.note(
                load_s=self.clock.now() - self.phase_began_s,
                load_processor_s=loaded_s,
                load_device_s=_since(busy_before_s, busy_s),
            )
            began_s = self._evaluate(dialogue, "score")
            answers = score(dialogue, self.stream, self.windows, self.rows, self._ticker(sandbox))
            self.record.note(
                score_s=self.clock.now() - began_s,
                score_processor_s=sandbox.processor_s() - loaded_s,
                score_device_s=_since(busy_s, self.hardware.busy_s()),
            )
        self.cold = self._forget_notes()
        self.record.score(mean_loss(answers), self.windows)
        return answers

    def _forget_notes(self) -> bool:
        """After sandboxes that saw scored text: what they made the machine read may be a note for whoever comes next.

        For the twin after the scorer; for the next run after both, however this one ends.
        """
        if self.read_kib is None or not page_cache.told(self.read_kib, page_cache.paged_in_kib()):
            return False
        dropped = "what sandboxes can read is dropped from memory"
        self.audience.tell(Noted(f"files were read from disk during scoring: {dropped}"))
        staged = (self.folder / name for name in ("boot", "submission", "artifact"))
        self.forget((*SYSTEM_TREES, *Interpreter.current().trees, *staged))
        self.read_kib = page_cache.paged_in_kib()
        return True

    def _ask_twin(self, answers: npt.NDArray[np.float32]) -> None:
        """The same artifact without the future; the sample is drawn only now, when every answer is in."""
        assert self.windows is not None
        seed = self.draw_seed()
        sample = twin.draw(self.windows, seed)
        with self._sandbox("twin") as opened:
            sandbox, dialogue, _ = opened
            self._set_up(opened, "load")
            began_s = self._evaluate(dialogue, "twin")
            said = twin.interrogate(
                dialogue,
                self.stream,
                self.spare,
                self.windows,
                answers,
                sample,
                rows=self.rows,
                vocab_size=self.vocab_size,
                seed=seed,
                observe=self._ticker(sandbox),
            )
            self.record.note(twin_s=self.clock.now() - began_s)
            report = twin.compare(answers[np.array(sample) - 1].astype(np.float64), said, seed)
            self.record.update(twin=report)
            if report.kind != "honest":
                raise Ending(Verdict.NOT_PREDICTIVE, twin.explain(report))
            gates.hold_to_floor(mean_loss(answers), self.record.now.dataset.floor_nats)
            self._end(Verdict.OK, "")
            with contextlib.suppress(OSError):  # what comes now is for the eye, and no end of it costs the verdict
                journal.write(self.folder, self.record.now)
            self._hear_samples(dialogue)

    def _hear_samples(self, dialogue: Dialogue) -> None:
        """For the reader. Whatever goes wrong here, somebody's impatience too: the verdict stands.

        Of imported text, which is somebody's own, nothing is asked: a record is made to be shown around.
        """
        assert self.windows is not None
        data = self.request.data
        if data.manifest.source.kind == "import":
            return
        self._begin("sample", samples.SAMPLES_S)
        question = samples.Question(
            self.stream,
            self.spare,
            self.windows,
            rows=self.rows,
            vocab_size=self.vocab_size,
            separator=data.manifest.separator,
            bytes_a_token=data.manifest.splits[scored_split(self.request)].bytes_a_token,
        )
        try:
            started = samples.prompts(question)
            if not started or data.text(started[0].prompt) is None:
                return
            began_s = self.clock.now()
            dialogue.until(began_s + samples.SAMPLES_S, Verdict.EVALUATION_TIMEOUT, "the time for samples is over")
            samples.go_on(dialogue, question, started)
            self.record.note(sample_s=self.clock.now() - began_s)
            self.record.update(samples=samples.told(started, data.text))
        except (Exception, KeyboardInterrupt) as error:
            self.impatient = isinstance(error, KeyboardInterrupt)
            self.audience.tell(Noted(f"no samples of what the model says: {type(error).__name__}"))

    def _go_on_to_tasks(self) -> None:
        """What the track names of lm-eval. Whatever goes wrong here, somebody's impatience too: the verdict stands."""
        rules, score_ = self.track.downstream, self.record.now.score
        if rules is None or score_ is None:
            return
        if self.impatient:  # who asked once to stop is not heard again
            self.record.update(downstream=Downstream(note="no scores on tasks: told to stop before them"))
            return
        with contextlib.suppress(OSError):
            journal.write(self.folder, self.record.now)
        self._calibrate_after()  # of the run: not an hour later, on a card that the tasks have heated
        try:
            from harness.downstream import Kept, Wanted, evaluate

            kept = Kept(self.request, self.folder, self.record.now.seed, score_.context_tokens)
            wanted = Wanted(rules.tasks, rules.limit, rules.cap_s)
            found = evaluate(kept, wanted, self.audience.tell, self.clock, self.launch, self.draw_seed, self.forget)
        except UserError as error:
            found = Downstream(note=printable(anonymous(str(error)), NOTE_LENGTH))
        except (Exception, KeyboardInterrupt) as error:
            found = Downstream(note=f"no scores on tasks: {type(error).__name__}")
        self.record.update(downstream=found)
        if found.note:
            self.audience.tell(Noted(found.note))

    # ------------------------------------------------------------------------------------------------ their parts

    @contextlib.contextmanager
    def _sandbox(self, name: Part) -> Iterator[Opened]:
        """A fresh sandbox, its dialogue, and the job that it gets; dead when the block is left."""
        folder = self.folder / name
        with open_part(
            name,
            self.request,
            self.folder,
            folder,
            seed=self.record.now.seed,
            clock=self.clock,
            launch=self.launch,
            ticker=self._ticker,
        ) as opened:
            sandbox = self.sandbox = opened.sandbox
            self._describe(sandbox)
            try:
                yield opened
            except BaseException:
                sandbox.kill()  # what it printed last is in the pipe
                self.record.update(log_tail=printable(sandbox.output.tail, LOG_TAIL))
                raise
            finally:
                before_gib = self.record.now.peak_memory_gib or 0.0
                self.record.update(peak_memory_gib=max(before_gib, sandbox.peak_memory_bytes / 2**30))
        shutil.rmtree(folder, ignore_errors=True)

    def _set_up(self, opened: Opened, phase: Literal["setup", "load"]) -> Ready:
        limits = self.track.limits
        limit_s, what = {
            "setup": (limits.setup_s, "setup() and the start-line check were"),
            "load": (limits.load_s + COLD_S * self.cold, "loading what was saved, setup() included, was"),
        }[phase]
        self._begin(phase, limit_s)
        late = f"{what} not done after {limit_s:g} s"
        opened.dialogue.until(self.clock.now() + limit_s, Verdict.SETUP_TIMEOUT, late)
        return greet(opened)

    def _accept(self, ready: Ready) -> None:
        """Hold the entry to what it says at READY: its parameters, and how it wants to be scored."""
        gates.hold_to_parameters(ready.parameters, self.track.gates)
        self.windows = gates.windows(ready, self.track.score.max_context, self.stream.size - 1)
        self.rows = ready.rows
        self.record.update(parameters=ready.parameters)

    def _evaluate(self, dialogue: Dialogue, phase: Phase) -> float:
        """The rows begin: how late they may end, and when they began."""
        limit_s = self.track.limits.evaluation_s + COLD_S * self.cold  # some libraries are loaded at the first row
        self._begin(phase, limit_s)
        began_s = self.clock.now()
        dialogue.until(began_s + limit_s, Verdict.EVALUATION_TIMEOUT, f"the rows were not answered after {limit_s:g} s")
        return began_s

    def _ticker(self, sandbox: Sandbox) -> Callable[..., None]:
        """Tells the observer now and then how far things are."""
        last_s = -math.inf

        def tick(done: int | None = None, total: int | None = None) -> None:
            nonlocal last_s
            now = self.clock.now()
            if now - last_s >= TICK_S or (done is not None and done == total):
                last_s = now
                memory_gib = sandbox.memory_bytes() / 2**30
                facts = self.hardware.facts()
                self.audience.tell(Ticked(self.phase, now - self.phase_began_s, memory_gib, done, total, *facts))

        return tick

    def _begin(self, phase: Phase, limit_s: float) -> None:
        self.phase, self.phase_began_s = phase, self.clock.now()
        self.audience.tell(PhaseBegan(phase, limit_s))

    # ------------------------------------------------------------------------------------------------ the record

    def _own_processes(self) -> frozenset[int]:
        """Asked for by the watch, in its thread."""
        sandbox = self.sandbox
        return frozenset((os.getpid(), *(sandbox.pids() if sandbox is not None else ())))

    def _calibrate_before(self) -> None:
        self.record.update(hardware=HardwareReport(before=self._calibration()))

    def _calibrate_after(self) -> None:
        """However the run ended: a machine that slowed down is seen in the runs that were late, too."""
        if self.calibrated:
            return
        self.calibrated = True
        report = self.record.now.hardware
        if report is None or self.record.now.verdict is Verdict.INTERRUPTED:
            return
        after = self._calibration()
        slowed = calibration.slowed(report.before, after) if report.before else None
        self.record.update(hardware=msgspec.structs.replace(report, after=after, slowed=slowed))

    def _calibration(self) -> tuple[Calibration, ...]:
        """How fast the machine is while nothing of the entry runs. A fault here costs nobody a run."""
        try:
            return self.calibrate(self.request.accelerators, self.request.threads_a_rank * self.request.ranks)
        except Exception as error:
            self.audience.tell(Noted(f"the machine could not be calibrated: {_our_fault(error)}"))
            return ()

    def _describe(self, sandbox: Sandbox) -> None:
        described = msgspec.structs.replace(self.record.now.environment, sandbox=sandbox.report)
        self.record.update(environment=described)

    def _end(self, verdict: Verdict, reason: str) -> None:
        """Close the record."""
        measured = self.record.now.hardware  # None: it ended before anything was calibrated
        hardware = measured and msgspec.structs.replace(self.hardware.report(), before=measured.before)
        total_s = self.clock.now() - self.began_s
        self.record.close(verdict, reason, total_s=total_s, curve=self.curve, hardware=hardware)

    def _end_unless_ok(self, verdict: Verdict, reason: str) -> None:
        """For what is not the entry's doing: where its twin has spoken for it, the verdict stands."""
        if self.record.now.verdict is not Verdict.OK:
            self._end(verdict, reason)

    def _write_down(self) -> None:
        """The record first, then the artifact to its shelf; may be done twice."""
        journal.write(self.folder, self.record.now)
        if self.record.now.artifact is not None and (self.folder / "artifact").exists():
            shelf = self.request.cache / "artifacts"
            try:
                artifact.keep(self.folder / "artifact", shelf, self.record.now.run_id, self.request.keep)
            except OSError as error:  # the record stands without its artifact
                why = f"{error.strerror}; free some space in data/cache"
                self.audience.tell(Noted(f"the artifact could not be kept: {why}"))


def _since(before_s: float | None, now_s: float | None) -> float | None:
    return None if before_s is None or now_s is None else now_s - before_s


def _our_fault(error: Exception) -> str:
    """One paragraph about a fault of the harness: the error, and where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = error.strerror if isinstance(error, OSError) else str(error)
    return printable(f"{type(error).__name__}: {text} ({Path(frame.filename).name}, line {frame.lineno})", 1000)
