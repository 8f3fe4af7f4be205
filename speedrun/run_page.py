"""A run in words: the verdict that ends `speedrun run`, and the whole record for `speedrun show`."""

from collections.abc import Iterable, Iterator

import msgspec
from rich.console import Console
from rich.text import Text

from harness.protocol import printable
from harness.result import Calibration, DatasetRef, Device, HardwareReport, Record, Times, TwinReport, Verdict
from leaderboard.alike import hardware
from leaderboard.schema import Machine
from leaderboard.table import count
from leaderboard.text import plain
from speedrun.answers import Ran, ShownRun
from speedrun.chart import Point, chart
from speedrun.tables import labelled

LABEL = 12  # columns that a label takes
CHART_LINES = 12
CHART_COLUMNS = 76
LOG_LINES = 15  # of the log's end, beside a verdict

ADVICE: dict[Verdict, str] = {
    Verdict.SETUP_TIMEOUT: "make setup() quicker: compile less, or warm up on fewer rows",
    Verdict.TIME_LIMIT: "stop earlier: look at run.time_left() in the training loop and leave room for the last step",
    Verdict.EVALUATION_TIMEOUT: "make predict() quicker: a shorter context, a longer stride, or a smaller model",
    Verdict.OUT_OF_MEMORY: "use less memory: a smaller batch_size or model, or fewer rows a predict call",
    Verdict.CRASHED: "mend the error above, then try it on cpu-smoke, which takes seconds",
    Verdict.BAD_OUTPUT: "predict(model, tokens) must return finite logits of shape [rows, T, at least the vocabulary]",
    Verdict.NOT_PREDICTIVE: "predict() may use tokens[:, :t+1] for position t and nothing else: no later token, no "
    "other row, no state between calls; switch dropout off",
    Verdict.PRETRAINED: "start from random weights in setup(); nothing may be trained before train() is called",
    Verdict.ARTIFACT_LIMIT: "save less, or a smaller model: speedrun tracks TRACK says how much is allowed",
    Verdict.PARAMETER_LIMIT: "change the model's size: speedrun tracks TRACK says how many parameters are allowed",
    Verdict.RULE_VIOLATION: "read the rules with speedrun tracks TRACK, and compare with template/",
    Verdict.OUTPUT_LIMIT: "print, log and write less",
    Verdict.INTERRUPTED: "run it again when there is time",
    Verdict.INTERNAL_ERROR: "this is the platform's fault and never counts against an entry: please open an issue "
    "with what speedrun show prints",
}

_TWIN_WORDS = {
    "honest": "honest: without the future it says the same",
    "too-noisy": "its answers differ so wildly that an advantage could hide among them",
    "looks-ahead": "it knew what came next: its answers are worth more with the future in sight",
    "not-normalised": "its probabilities do not sum to one",
    "unrepeatable": "it does not say the same twice: state, randomness, or one row changes another's answer",
}


def show_verdicts(value: Ran, console: Console) -> None:
    """One block for each run, the last one with what to do next."""
    for number, (record, file) in enumerate(zip(value.records, value.files, strict=True), start=1):
        if number > 1:
            console.print()
        _title(record, console)
        _print(_verdict_lines(record), console)
        _failure(record, console, LOG_LINES)
        _print([("record", file)], console)
    if value.records:
        _print([("next", _next(value))], console)


def show_record(value: ShownRun, console: Console) -> None:
    """Everything that a record holds, but for the texts of its source."""
    record = value.record
    _title(record, console)
    if value.retracted is not None:
        words = f"it is out of all rankings: {plain(value.retracted, 300)}"
        labelled([("  retracted", words)], console, LABEL + 2, label="bold red")
    _print([("run", record.run_id), ("started", record.started_at), ("tier", _tier(value))], console)
    _print(_entry_lines(record), console)
    _print([("seed", str(record.seed)), *_verdict_lines(record, value)], console)
    _print(_model_lines(record), console)
    _print(_machine_lines(record), console)
    for file in record.source.files:
        lines = file.text.count("\n") + (not file.text.endswith("\n") and bool(file.text))
        size = f"{lines:,} {'line' if lines == 1 else 'lines'}"
        _print([("source", f"{plain(file.path, 200)} · {size} · sha256 {_short_hash(file.sha256)}")], console)
    _print(_source_lines(record), console)
    _curve(record, console)
    _failure(record, console, None)


def _tier(value: ShownRun) -> str:
    if value.unsigned:
        return f"{value.record.tier}: it says verified, but its signature is not valid"
    return value.record.tier.value + (f", signed by {plain(value.signed_by, 100)}" if value.signed_by else "")


def _title(record: Record, console: Console) -> None:
    good = record.verdict is Verdict.OK
    title = Text("✓ " if good else "✗ ", style="bold green" if good else "bold red")
    title.append(record.verdict.value)
    title.append(f"  {record.entry.name} on {record.track.id}", style="bold default")
    console.print(title, soft_wrap=True)


def _verdict_lines(record: Record, whole: ShownRun | None = None) -> Iterator[tuple[str, str]]:
    """Loss, target, times, twin, and whether it is ranked; for `whole`, also numbers and what was ruled."""
    if record.score:
        yield "loss", _loss(record)
        if record.score.target_met is not None and record.track.target_nats is not None:
            met = "met" if record.score.target_met else "missed"
            yield "target", f"{record.track.target_nats:g} nats/token: {met}"
    if whole is not None and whole.waived is not None:
        yield "waived", f"the test that the mean loss is below the target: {plain(whole.waived, 300)}"
    yield "times", _times(record.times, record.track.limit_s)
    if record.twin:
        yield "twin", f"{_TWIN_WORDS[record.twin.kind]} ({record.twin.sampled:,} targets compared)"
        if whole is not None:
            yield from _twin_numbers(record.twin)
    against = [plain(reason, 300) for reason in record.unranked_because]
    if whole is not None and whole.retracted is not None:
        against.insert(0, "it is retracted")
    yield "ranked", f"no: {'; '.join(against)}" if against or not record.ranked else "yes"


def _loss(record: Record) -> str:
    assert record.score is not None
    told = [f"{record.score.loss_nats:.4f} nats/token"]
    if record.dataset.floor_nats is not None:
        gap = record.score.loss_nats - record.dataset.floor_nats
        told.append(f"{gap:.4f} above the floor of {record.dataset.floor_nats:.4f}")
    if record.score.bits_per_byte is not None:
        told.append(f"{record.score.bits_per_byte:.4f} bits/byte")
    if not record.scored:
        told.append("not valid")
    return " · ".join(told)


def _times(times: Times, limit_s: float) -> str:
    told = []
    if times.train_s is not None:
        told.append(f"training {times.train_s:.2f} of {limit_s:g} s")
    phases = (("set-up", times.setup_s), ("saving", times.save_s), ("scoring", times.score_s), ("twin", times.twin_s))
    told += [f"{name} {seconds:.2f} s" for name, seconds in phases if seconds is not None]
    return " · ".join([*told, f"in all {times.total_s:.1f} s"])


def _next(value: Ran) -> str:
    last = value.records[-1]
    if value.interrupted and last.verdict is Verdict.OK:
        return "speedrun leaderboard --show (interrupted before the other runs)"
    if last.verdict is not Verdict.OK:
        return ADVICE[last.verdict].replace("TRACK", last.track.id)
    if last.score is not None and last.score.target_met is False:
        return f"train until the loss is below {last.track.target_nats:g}: the mean of the runs must meet the target"
    if not last.ranked:
        return f"speedrun show {last.run_id} for everything about it, speedrun leaderboard --all to compare it"
    if len(value.records) < value.runs_asked:
        return (
            f"a place on {last.track.id} is the mean of {value.runs_asked} runs: "
            f"speedrun run {last.entry.name} --track {last.track.id} --runs {value.runs_asked - len(value.records)}"
        )
    return f"speedrun leaderboard --show --track {last.track.id}"


def _entry_lines(record: Record) -> Iterator[tuple[str, str]]:
    entry, track = record.entry, record.track
    yield "entry", f"{entry.name}: {plain(entry.title, 200)}"
    yield "authors", ", ".join(plain(f"{author.name} {author.link}", 300) for author in entry.authors)
    yield "technique", plain(entry.technique, 300)
    if entry.based_on:
        yield "based on", plain(entry.based_on, 60)
    target = f", target {track.target_nats:g} nats/token" if track.target_nats is not None else ""
    yield "track", f"{track.id}, version {track.version}, {track.objective} within {track.limit_s:g} s{target}"
    yield "data set", _dataset(record.dataset)


def _dataset(dataset: DatasetRef) -> str:
    official = "official" if dataset.official else "not the track's own, or not pinned"
    told = [plain(dataset.id, 60), f"vocabulary {dataset.vocab_size:,}"]
    told += [f"{dataset.train_tokens:,} training tokens"] if dataset.train_tokens is not None else []
    told += [f"revision {plain(dataset.revision, 60)}"] if dataset.revision else []
    told += [f"{'with' if dataset.pinned else 'without'} pinned hashes"] if dataset.pinned is not None else []
    return f"{', '.join(told)} ({official})"


def _twin_numbers(twin: TwinReport) -> Iterator[tuple[str, str]]:
    yield (
        "",
        (
            f"advantage {twin.advantage_nats:+.2e} nats/target, 99.9 % interval {twin.low_nats:+.2e} to "
            f"{twin.high_nats:+.2e}, p = {twin.p_value:.3g}"
        ),
    )
    yield "", f"largest difference {twin.largest_nats:.2e} nats · rows said twice differ by {twin.repeat_nats:.2e}"
    yield (
        "",
        (
            f"this sample (seed {twin.seed}) finds, 99 times of 100, {twin.finds_share:.2%} of cheated targets, or an "
            f"advantage of {twin.finds_advantage_nats:.4f} nats everywhere"
        ),
    )


def _model_lines(record: Record) -> Iterator[tuple[str, str]]:
    if record.score:
        score = record.score
        yield "scored", f"{score.targets:,} targets, context {score.context_tokens:,}, stride {score.stride_tokens:,}"
    if record.parameters is not None:
        yield "parameters", f"{record.parameters:,}"
    if record.artifact:
        artifact = record.artifact
        files = f"{artifact.files} {'file' if artifact.files == 1 else 'files'}"
        yield "artifact", f"{artifact.bytes:,} bytes in {files}, sha256 {_short_hash(artifact.sha256)}"
    if record.peak_memory_gib is not None:
        yield "memory", f"{record.peak_memory_gib:.2f} GiB at most"
    yield from _used_lines(record.times)
    declared = record.declared
    told = [f"{declared.steps:,} steps"] if declared.steps is not None else []
    told += [f"{count(declared.tokens)} tokens"] if declared.tokens is not None else []
    told += [f"training loss {declared.loss_nats:.4f}"] if declared.loss_nats is not None else []
    told += [f"{plain(name, 60)} {value:.6g}" for name, value in declared.metrics.items()]
    if told:
        yield "declared", f"{' · '.join(told)} (the entry's own words, not checked)"
    if record.overrides:
        yield "overrides", ", ".join(f"{plain(name, 60)}={plain(text, 60)}" for name, text in record.overrides.items())


def _used_lines(times: Times) -> Iterator[tuple[str, str]]:
    """What the processor and the accelerators worked in each phase, where that was measured."""
    used = (
        ("processor", times.setup_processor_s, times.train_processor_s),
        ("accelerator", times.setup_device_s, times.train_device_s),
    )
    for label, setup_s, train_s in used:
        told = [f"set-up {setup_s:.1f} s"] if setup_s is not None else []
        told += [f"training {train_s:.1f} s"] if train_s is not None else []
        if told:
            yield label, ", ".join(told)


def _machine_lines(record: Record) -> Iterator[tuple[str, str]]:
    machine = record.environment
    yield "hardware", plain(hardware(msgspec.convert(machine, Machine, from_attributes=True)), 200)
    for card in machine.devices:
        yield "device", plain(device(card), 200)
    if record.ranks > 1:
        yield "processes", f"{record.ranks} trained together"
    if record.hardware is not None:
        yield from _hardware_lines(record.hardware, watched=bool(machine.devices))
    load = f", load before {machine.load_before:.2f}" if machine.load_before is not None else ""
    yield "machine", f"{plain(machine.system, 100)}, {machine.cores} cores, {machine.memory_gib:.1f} GiB{load}"
    versions = {"python": machine.python, **machine.packages}
    yield "software", ", ".join(plain(f"{name} {version}", 100) for name, version in versions.items())
    box = machine.sandbox
    abi = f"Landlock ABI {box.landlock_abi}" if box.landlock_abi else "no Landlock"
    yield "sandbox", f"{box.level.value} ({abi}, memory by {box.memory_bound}, ended by {box.tree_kill})"
    for words in box.guarantees:
        yield "", f"✓ {plain(words, 200)}"
    for words in box.not_covered:
        yield "", f"✗ not covered: {plain(words, 200)}"


def _hardware_lines(report: HardwareReport, *, watched: bool) -> Iterator[tuple[str, str]]:
    """Only what was measured."""
    later = {calibration.device: calibration for calibration in report.after}
    for before in report.before:
        after = later.get(before.device)
        yield "speed", f"{speed(before)} before, {_short(after) if after else 'not measured'} after"
    if report.slowed:
        yield "", "✗ the machine was more than a tenth slower after the run than before it"
    if not report.samples:
        if watched:
            yield "watched", "✗ not at all: the driver did not answer"
        return
    told = [f"{plain(reason, 60)} in {share:.1%} of the samples" for reason, share in report.throttled.items()]
    yield "throttled", ", ".join(told) or "never"
    told = [f"{report.hottest_c:.0f} °C at most"] if report.hottest_c is not None else []
    told += [f"{report.slowest_clock_mhz:,} MHz at least when busy"] if report.slowest_clock_mhz is not None else []
    if report.peak_device_memory_gib is not None:
        told.append(f"{report.peak_device_memory_gib:.2f} GiB of its memory at most")
    told.append(f"{report.other_processes or 'no'} other {'process' if report.other_processes == 1 else 'processes'}")
    yield "watched", f"{' · '.join(told)} ({report.samples:,} samples)"


def device(card: Device) -> str:
    """An accelerator and what the driver says of it."""
    told = [card.name, f"{card.memory_gib:.1f} GiB", f"driver {card.driver or 'unknown'}"]
    told += [f"at most {card.clock_mhz:,} MHz"] if card.clock_mhz is not None else []
    told += [f"{card.power_limit_w:g} W"] if card.power_limit_w is not None else []
    return ", ".join(told)


def speed(calibration: Calibration) -> str:
    """What a device was measured at."""
    return f"{plain(calibration.device, 20)} {_short(calibration)}"


def _short(calibration: Calibration) -> str:
    return f"{calibration.matmul_tflops:.3g} TFLOP/s, copy {calibration.copy_gbps:.3g} GB/s"


def _short_hash(sha256: str) -> str:
    """Enough of it to be told; a record that somebody wrote by hand may have any words there."""
    return plain(sha256[:12], 12)


def _source_lines(record: Record) -> Iterator[tuple[str, str]]:
    source = record.source
    yield "", f"all of it: sha256 {_short_hash(source.sha256)}; speedrun show {record.run_id} --source FILE prints one"
    if source.git_commit:
        clean = {True: "nothing changed since", False: "with changes since", None: "changes unknown"}[source.git_clean]
        yield "commit", f"{plain(source.git_commit, 60)} ({clean})"


def _curve(record: Record, console: Console) -> None:
    points = [Point(point.elapsed_s, point.loss_nats) for point in record.curve if point.loss_nats is not None]
    lines = chart(points, min(console.width, CHART_COLUMNS), CHART_LINES)
    if lines:
        console.print(Text("\ntraining loss as the entry logged it", style="bold"))
        for line in lines:
            console.print(Text(line, style="green"), soft_wrap=True)


def _failure(record: Record, console: Console, most: int | None) -> None:
    """Why it failed, and the end of what it printed."""
    if record.verdict is Verdict.OK:
        return
    for line in printable(record.reason, 20_000).split("\n"):
        console.print(Text(f"  {line}"))
    log = [line for line in printable(record.log_tail, 100_000).split("\n") if line.strip()]
    if log:
        console.print(Text("  the end of what it printed:", style="dim"))
        for line in log if most is None else log[-most:]:
            console.print(Text(f"  │ {line}", style="dim"))


def _print(lines: Iterable[tuple[str, str]], console: Console) -> None:
    labelled(((f"  {label}", words) for label, words in lines), console, LABEL + 2, label="cyan")
