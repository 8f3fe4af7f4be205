"""The story of a run: train in one sandbox, score the artifact in a second, ask its twin in a third, write it down."""

import contextlib
import datetime
import math
import os
import secrets
import shutil
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from data.prepare import Prepared
from harness import artifact, environment, journal, submission, twin
from harness.clock import Clock, MonotonicClock
from harness.curve import Curve
from harness.dialogue import Dialogue, Ending
from harness.errors import UserError
from harness.evaluation import BadOutput, Stream, Windows, ask_log_probs, mean_loss, score
from harness.events import Ended, Event, Logged, Noted, Phase, PhaseBegan, Ticked
from harness.privacy import anonymous
from harness.protocol import (
    Connection,
    Cut,
    Distribution,
    Done,
    Go,
    Hello,
    Job,
    Locked,
    Log,
    Ready,
    Save,
    TrackView,
    printable,
)
from harness.result import (
    Artifact,
    DatasetRef,
    Level,
    Record,
    SandboxReport,
    Score,
    Times,
    TrackRef,
    TwinReport,
    Verdict,
)
from harness.sandbox import Limits, Mounts, Sandbox, SandboxError, protect_parent, stage
from harness.track import Track

START_ROWS = 8  # of the start-line check
START_WIDTH = 256  # tokens a row of the start-line check, at most
KNOWS_THE_LANGUAGE_NATS = 0.5  # an untrained model's loss lies no further below ln V
SAVE_BYTES_A_SECOND = 200e6  # saving may take the track's save_s and a second for so many bytes
MOST_CALL_TOKENS = 1 << 22  # rows × context of one predict call
MOST_LOGS = 200_000  # points an entry may log
TICK_S = 1.0
LOG_TAIL = 16_384  # characters of what the entry printed that a record keeps
SHM_BYTES = 512 << 20
OUTPUT_BYTES = 16 << 20
OPEN_FILES = 4096


@dataclass(frozen=True)
class RunRequest:
    """Everything that a run needs to know beforehand."""

    submission: submission.Submission
    track: Track
    data: Prepared
    cache: Path
    level: Level
    overrides: dict[str, str] = field(default_factory=dict)
    practice: tuple[str, ...] = ()  # why this run won't be ranked, known before it starts
    keep: int = 5  # artifacts kept in the cache, the latest ones


def run_entry(
    request: RunRequest,
    observe: Callable[[Event], None] = lambda event: None,
    clock: Clock | None = None,
    launch: Callable[..., Sandbox] = Sandbox,
) -> Record:
    """Run an entry once and return its record, which also lies in the run's folder until `journal.settle`.

    Whatever the entry does ends in a verdict; so do Ctrl-C (INTERRUPTED) and faults of our own (INTERNAL_ERROR).
    Raises UserError for a mistake of the person who started the run, which leaves no record, and OSError when the
    record itself can't be written.
    """
    return _Run(request, observe, clock or MonotonicClock(), launch).story()


class _Run:
    """One run's state; `story` is the order of events."""

    def __init__(
        self, request: RunRequest, observe: Callable[[Event], None], clock: Clock, launch: Callable[..., Sandbox]
    ) -> None:
        self.request = request
        self.track = request.track
        self._observer: Callable[[Event], None] | None = observe
        self.clock = clock
        self.launch = launch
        self.began_s = clock.now()
        self.phase: Phase = "start"
        self.phase_began_s = self.began_s
        self.curve = Curve()
        self.windows: Windows | None = None
        self.rows = 1
        manifest = request.data.manifest
        self.vocab_size = manifest.vocab_size
        self.stream = self._scored_stream()
        self.spare: Stream = np.asarray(request.data.tokens("spare"), dtype=np.uint16)
        self.devices = _devices(self.track)
        self.record = self._first_record()
        self.folder = Path()

    def story(self) -> Record:
        protect_parent()
        with journal.open_run(self.request.cache, self.record) as self.folder:
            try:
                self._lay_out()
                saved = self._train()
                answers = self._score(saved)
                self._ask_twin(saved, answers)
                self._end(Verdict.OK, "")
            except Ending as ending:
                self._end(ending.verdict, ending.reason)
            except BadOutput as error:
                self._end(Verdict.BAD_OUTPUT, str(error))
            except KeyboardInterrupt:
                self._end(Verdict.INTERRUPTED, f"interrupted during {self.phase}")
            except UserError as error:
                if self.phase != "setup" or not self.request.overrides:
                    self._end(Verdict.CRASHED, str(error))  # only a wrong override is the caller's mistake
                else:
                    journal.settle(self.request.cache, self.record.run_id)
                    raise
            except Exception as error:
                self._end(Verdict.INTERNAL_ERROR, _our_fault(error))
            try:
                self._write_down()
            except KeyboardInterrupt:  # it came too late: the verdict stands
                self._write_down()
        self.observe(Ended(self.record))
        return self.record

    # ------------------------------------------------------------------------------------------------ the phases

    def _lay_out(self) -> None:
        """What runs is what is recorded: the trusted files and a snapshot of the entry, in a folder of this run."""
        stage(self.folder / "boot")
        submission.snapshot(self.request.submission, self.folder / "submission")
        (self.folder / "data").mkdir()

    def _train(self) -> Artifact:
        """Set up untimed, check at the start line, train on the clock, save."""
        with self._sandbox("train", data=self.folder / "data") as (sandbox, dialogue, job):
            ready = self._set_up(dialogue, sandbox, job, "setup")
            self._accept(ready)
            self._start_line(dialogue)
            now = self.clock.now()
            self._note(setup_s=now - self.phase_began_s, setup_processor_s=sandbox.processor_s())
            self._time(dialogue, sandbox)
            return self._save(dialogue)

    def _time(self, dialogue: Dialogue, sandbox: Sandbox) -> None:
        """The timed phase, from GO to DONE on the parent's clock."""
        limit_s = self.track.limits.train_s
        before_s = sandbox.processor_s()
        self._begin("train", limit_s)
        self._update(ran=True)
        shards = self._link_shards()
        began_s = self.clock.now()
        dialogue.until(began_s + limit_s, Verdict.TIME_LIMIT, f"train() was not done after {limit_s:g} s")
        dialogue.tell(Go(shards=shards))
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
            self.observe(Logged(self.curve.add(message, elapsed_s), self.curve.metrics))
        self._note(train_s=elapsed_s, train_processor_s=sandbox.processor_s() - before_s)

    def _save(self, dialogue: Dialogue) -> Artifact:
        """Receive the artifact; saving beyond its allowance counts as training."""
        limits = self.track.limits
        limit_bytes = int(limits.artifact_mib * 2**20)
        train_s = self.record.times.train_s or 0.0
        most_s = limits.save_s + limit_bytes / SAVE_BYTES_A_SECOND + limits.train_s - train_s
        self._begin("save", most_s)
        began_s = self.clock.now()
        late = f"training and saving beyond its allowance took more than {limits.train_s:g} s"
        dialogue.until(began_s + most_s, Verdict.TIME_LIMIT, late)
        dialogue.tell(Save())
        saved = artifact.receive(dialogue, self.folder / "artifact", limit_bytes)
        save_s = self.clock.now() - began_s
        train_s += max(0.0, save_s - limits.save_s - saved.bytes / SAVE_BYTES_A_SECOND)
        self._note(save_s=save_s, train_s=train_s)
        self._update(artifact=saved)
        if train_s > limits.train_s:
            raise Ending(Verdict.TIME_LIMIT, late)
        return saved

    def _score(self, saved: Artifact) -> npt.NDArray[np.float32]:
        """Every target once, in a sandbox that has seen nothing but the artifact."""
        assert self.windows is not None
        with self._sandbox("score", holds=saved) as (sandbox, dialogue, job):
            self._gate(self._set_up(dialogue, sandbox, job, "load"))
            loaded_s = sandbox.processor_s()
            self._note(load_s=self.clock.now() - self.phase_began_s, load_processor_s=loaded_s)
            began_s = self._evaluate(dialogue, "score")
            answers = score(dialogue, self.stream, self.windows, self.rows, self._ticker(sandbox))
            self._note(score_s=self.clock.now() - began_s, score_processor_s=sandbox.processor_s() - loaded_s)
        loss = mean_loss(answers)
        target = self.track.score.target_nats
        self._update(
            score=Score(
                loss_nats=loss,
                targets=self.windows.targets,
                context_tokens=self.windows.context,
                stride_tokens=self.windows.stride,
                bits_per_byte=self._bits_per_byte(loss),
                target_met=None if target is None else loss <= target,
            )
        )
        return answers

    def _ask_twin(self, saved: Artifact, answers: npt.NDArray[np.float32]) -> TwinReport:
        """The same artifact without the future; the sample is drawn only now, when every answer is in."""
        assert self.windows is not None
        seed = secrets.randbits(48)
        sample = twin.draw(self.windows, seed)
        with self._sandbox("twin", holds=saved) as (sandbox, dialogue, job):
            self._set_up(dialogue, sandbox, job, "load")
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
            self._note(twin_s=self.clock.now() - began_s)
        report = twin.compare(answers[np.array(sample) - 1].astype(np.float64), said, seed)
        self._update(twin=report)
        if report.kind != "honest":
            raise Ending(Verdict.NOT_PREDICTIVE, twin.explain(report))
        return report

    # ------------------------------------------------------------------------------------------------ their parts

    @contextlib.contextmanager
    def _sandbox(
        self, name: Literal["train", "score", "twin"], data: Path | None = None, holds: Artifact | None = None
    ) -> Iterator[tuple[Sandbox, Dialogue, Job]]:
        """A fresh sandbox, its dialogue, and the job that it gets; dead when the block is left."""
        resources, request = self.track.resources, self.request
        folder = self.folder / name
        folder.mkdir()
        mounts = Mounts(
            boot=self.folder / "boot",
            submission=self.folder / "submission",
            run_folder=folder,
            data=data,
            artifact=self.folder / "artifact" if holds else None,
        )
        with self.launch(request.level, mounts, _limits(self.track), self.devices) as sandbox:
            sandbox.start()
            self._describe(sandbox)
            inside = sandbox.inside
            job = Job(
                phase="train" if name == "train" else "score",
                submission=inside.submission,
                scratch=inside.scratch,
                data=inside.data,
                artifact=inside.artifact,
                track=TrackView(
                    id=self.track.id,
                    objective=self.track.objective,
                    limit_s=self.track.limits.train_s,
                    target_nats=self.track.score.target_nats,
                ),
                overrides=request.overrides,
                seed=self.record.seed,
                device=self.devices[0] if self.devices else "cpu",
                threads=resources.threads,
                vocab_size=self.vocab_size,
                max_context=self.track.score.max_context,
                separator=request.data.manifest.separator,
            )
            connection = Connection(
                sandbox.socket, self.clock.now, watch=lambda: dialogue.look(), idle=lambda: dialogue.idle()
            )
            dialogue = Dialogue(connection, sandbox, self.clock, self._ticker(sandbox))
            try:
                yield sandbox, dialogue, job
            except BaseException:
                sandbox.kill()  # what it printed last is in the pipe
                self._update(log_tail=printable(sandbox.output.tail, LOG_TAIL))
                raise
            finally:
                self._update(peak_memory_gib=max(self.record.peak_memory_gib or 0.0, sandbox.peak_memory_bytes / 2**30))
        shutil.rmtree(folder, ignore_errors=True)

    def _set_up(self, dialogue: Dialogue, sandbox: Sandbox, job: Job, phase: Literal["setup", "load"]) -> Ready:
        limits = self.track.limits
        limit_s, what = {
            "setup": (limits.setup_s, "setup() and the start-line check were"),
            "load": (limits.load_s, "loading what was saved, setup() included, was"),
        }[phase]
        self._begin(phase, limit_s)
        late = f"{what} not done after {limit_s:g} s"
        dialogue.until(self.clock.now() + limit_s, Verdict.SETUP_TIMEOUT, late)
        dialogue.tell(Hello(policy=sandbox.policy, job=job))
        try:
            dialogue.bare(Locked)
        except Ending as ending:  # up to here all code in the sandbox is ours
            raise SandboxError(f"the sandbox ended before the entry was loaded: {ending.reason}") from None
        return dialogue.bare(Ready)

    def _accept(self, ready: Ready) -> None:
        """Hold the entry to what it says at READY: its parameters, and how it wants to be scored."""
        self._gate(ready)
        most = self.track.score.max_context
        fits = 1 <= ready.stride <= ready.context <= most and 1 <= ready.rows <= MOST_CALL_TOKENS // ready.context
        if not fits:
            raise Ending(
                Verdict.RULE_VIOLATION,
                f"scoring with context {ready.context}, stride {ready.stride} and {ready.rows} rows is not possible "
                f"here: 1 ≤ stride ≤ context ≤ {most}, and rows × context ≤ {MOST_CALL_TOKENS}",
            )
        targets = self.stream.size - 1
        context = min(ready.context, targets)
        self.windows = Windows(targets=targets, context=context, stride=min(ready.stride, context))
        self.rows = ready.rows
        self._update(parameters=ready.parameters)

    def _gate(self, ready: Ready) -> None:
        gates, count = self.track.gates, ready.parameters
        if gates.parameters_min is None and gates.parameters_max is None:
            return
        least, most = gates.parameters_min or 0, gates.parameters_max or math.inf
        if count is None or not least <= count <= most:
            has = "a number of parameters that can't be counted" if count is None else f"{count:,} parameters"
            raise Ending(Verdict.PARAMETER_LIMIT, f"the model has {has}; this track asks for {least:,} to {most:,}")

    def _start_line(self, dialogue: Dialogue) -> None:
        """A few spare rows before the clock starts: does predict work, and does it know nothing yet?"""
        assert self.windows is not None
        random = np.random.default_rng(secrets.randbits(48))
        rows = min(START_ROWS, self.rows)
        width = min(START_WIDTH, self.windows.context)
        tokens = twin.foreign_rows(self.spare, rows, width + 1, random)
        loss = mean_loss(ask_log_probs(dialogue, tokens, width).reshape(-1))
        cuts = np.full(rows, width // 2, dtype="<i4")
        size = 4 * rows * (self.vocab_size + 1)
        dialogue.ask(Cut(rows=rows, width=width), tokens.data, cuts.data, answer=Distribution, size=size)
        least = math.log(self.vocab_size) - KNOWS_THE_LANGUAGE_NATS
        if not loss >= least:
            raise Ending(
                Verdict.PRETRAINED,
                f"before training, the model already has a loss of {loss:.3f} nats a token on text of this data set; "
                f"one that knows nothing has {math.log(self.vocab_size):.3f} (at least {least:.3f} is asked)",
            )

    def _link_shards(self) -> tuple[str, ...]:
        """Let the training shards appear in the sandbox's data folder."""
        names = []
        for shard in self.request.data.shards("train"):
            place = self.folder / "data" / shard.name
            try:
                os.link(shard, place)
            except OSError:  # another file system, or one without links
                shutil.copyfile(shard, place)
                place.chmod(0o444)
            names.append(shard.name)
        return tuple(names)

    def _evaluate(self, dialogue: Dialogue, phase: Phase) -> float:
        """The rows begin: how late they may end, and when they began."""
        limit_s = self.track.limits.evaluation_s
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
                self.observe(Ticked(self.phase, now - self.phase_began_s, memory_gib, done, total))

        return tick

    def observe(self, event: Event) -> None:
        """Tell whoever watches. A viewer that fails is dropped: watching must never change a run."""
        if self._observer is None:
            return
        try:
            self._observer(event)
        except Exception:
            self._observer = None

    def _begin(self, phase: Phase, limit_s: float) -> None:
        self.phase, self.phase_began_s = phase, self.clock.now()
        self.observe(PhaseBegan(phase, limit_s))

    # ------------------------------------------------------------------------------------------------ the record

    def _scored_stream(self) -> Stream:
        """uint16 [targets + 1]: the first tokens of the scored split."""
        wanted = self.track.score.targets
        split = self.track.score.split
        tokens = self.request.data.tokens(split, None if wanted is None else wanted + 1)
        if wanted is not None and tokens.size < wanted + 1 and self.request.data.manifest.id == self.track.dataset:
            raise UserError(
                f"{self.track.id} scores {wanted} tokens, {split} of {self.track.dataset} has {tokens.size}"
            )
        return np.asarray(tokens, dtype=np.uint16)

    def _bits_per_byte(self, loss_nats: float) -> float | None:
        split = self.request.data.manifest.splits[self.track.score.split]
        return loss_nats / math.log(2) * split.tokens / split.bytes if split.bytes else None

    def _first_record(self) -> Record:
        """What would be left of this run if everything stopped now."""
        request, track, manifest = self.request, self.track, self.request.data.manifest
        now = datetime.datetime.now(datetime.UTC)
        official = manifest.id == track.dataset and manifest.pinned
        name = request.submission.name
        nothing_yet = SandboxReport(
            level=request.level,
            landlock_abi=0,
            memory_bound="polled",
            tree_kill="sweep",
            guarantees=(),
            not_covered=("no sandbox had started",),
        )
        return Record(
            run_id=f"{now:%Y%m%d-%H%M%S}-{name}-{secrets.token_hex(2)}",
            entry=request.submission.entry,
            track=TrackRef(
                id=track.id,
                version=track.version,
                sha256=track.sha256,
                objective=track.objective,
                limit_s=track.limits.train_s,
                target_nats=track.score.target_nats,
            ),
            dataset=DatasetRef(
                id=manifest.id,
                sha256=manifest.sha256,
                vocab_size=manifest.vocab_size,
                official=official,
                floor_nats=manifest.floor_nats(track.score.split, self.stream.size - 1),
            ),
            started_at=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
            seed=secrets.randbits(31),
            verdict=Verdict.INTERRUPTED,
            reason="the harness stopped before the run ended",
            ran=False,
            scored=False,
            ranked=False,
            unranked_because=(f"the verdict is {Verdict.INTERRUPTED}",),
            times=Times(),
            declared=self.curve.declared(),
            overrides=request.overrides,
            environment=environment.describe(
                track.resources.threads, environment.devices()[: len(self.devices)] if self.devices else (), nothing_yet
            ),
            source=request.submission.source,
        )

    def _describe(self, sandbox: Sandbox) -> None:
        described = msgspec.structs.replace(self.record.environment, sandbox=sandbox.report)
        self._update(environment=described)

    def _update(self, **changes: object) -> None:
        self.record = msgspec.structs.replace(self.record, **changes)

    def _note(self, **seconds: float) -> None:
        rounded = {name: round(value, 6) for name, value in seconds.items()}
        self._update(times=msgspec.structs.replace(self.record.times, **rounded))

    def _end(self, verdict: Verdict, reason: str) -> None:
        """Close the record."""
        against = list(self.request.practice)
        if verdict is not Verdict.OK:
            against.append(f"the verdict is {verdict}")
        if self.request.level is Level.NONE:
            against.append("it ran without a sandbox")
        if self.request.data.manifest.id != self.track.dataset:
            against.append(f"it was trained on {self.request.data.manifest.id}, not on {self.track.dataset}")
        elif not self.request.data.manifest.pinned:
            against.append("the data set has no pinned hashes")
        if self.request.overrides:
            against.append("fields of Config were set on the command line; write them into config.py")
        self._note(total_s=self.clock.now() - self.began_s)
        self._update(
            verdict=verdict,
            reason=anonymous(reason),
            log_tail=anonymous(self.record.log_tail),
            scored=verdict is Verdict.OK,
            ranked=not against,
            unranked_because=tuple(dict.fromkeys(against)),
            curve=self.curve.points,
            declared=self.curve.declared(),
        )

    def _write_down(self) -> None:
        """The record first, then the artifact to its shelf; may be done twice."""
        journal.write(self.folder, self.record)
        if self.record.artifact is not None and (self.folder / "artifact").exists():
            shelf = self.request.cache / "artifacts"
            try:
                artifact.keep(self.folder / "artifact", shelf, self.record.run_id, self.request.keep)
            except OSError as error:  # the record stands without its artifact
                self.observe(Noted(f"the artifact could not be kept: {error.strerror}; free some space in data/cache"))


def _devices(track: Track) -> tuple[str, ...]:
    resources = track.resources
    return () if resources.accelerator == "cpu" else tuple(f"cuda:{index}" for index in range(resources.count))


def _limits(track: Track) -> Limits:
    resources = track.resources
    return Limits(
        memory_bytes=int(resources.memory_gib * 2**30),
        processes=resources.processes,
        scratch_bytes=resources.scratch_mib << 20,
        shm_bytes=SHM_BYTES,
        open_files=OPEN_FILES,
        threads=resources.threads,
        output_bytes=OUTPUT_BYTES,
    )


def _our_fault(error: Exception) -> str:
    """One paragraph about a fault of the harness: the error, and where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = error.strerror if isinstance(error, OSError) else str(error)
    return printable(f"{type(error).__name__}: {text} ({Path(frame.filename).name}, line {frame.lineno})", 1000)
