"""What the page of a run shows: everything that its record holds, but for the texts of its source."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import msgspec

from harness.result import Calibration, Device, HardwareReport, Record, Verdict
from leaderboard.alike import conditions, hardware
from leaderboard.downstream import lines
from leaderboard.schema import Summary
from leaderboard.site.contents import Contents, Fact
from leaderboard.site.curve_view import CurveView, Level, curve_view
from leaderboard.site.phases import Phase, phases
from leaderboard.site.tables import Piece, authors, entry_page, track_page, way
from leaderboard.site.words import block, line_count, many, size, twin_sentences
from leaderboard.table import count, number
from leaderboard.text import plain

_ROOT: Final = "../"
_REASON_CAP: Final = 20_000  # characters
_LOG_CAP: Final = 100_000
_SAMPLE_CAP: Final = 4_000
_MOST_SAMPLES: Final = 20
_MOST_LISTED: Final = 200  # metrics, packages, overrides: a record written by hand may have a million


class SampleView(NamedTuple):
    prompt: str
    text: str


class SandboxView(NamedTuple):
    level: str
    how: str
    holds: tuple[str, ...]
    lacks: tuple[str, ...]


class RunPage(NamedTuple):
    run_id: str
    entry: Piece
    track: Piece
    way: tuple[Piece, ...]
    began: str  # UTC
    verdict: str
    good: bool
    tier: str
    headline: str  # what it came to; empty: no score
    marks: tuple[Fact, ...]  # what a maintainer ruled, and a signature that is none
    reason: tuple[str, ...]  # paragraphs
    ranked: str
    score: tuple[Fact, ...]
    phases: tuple[Phase, ...]
    phases_label: str
    total: str
    worked: bool  # the processor's seconds were counted
    worked_devices: bool  # and the accelerators'
    curve: str  # one sentence with the numbers that matter; empty: there is nothing to draw
    twin: tuple[str, ...]
    scores: tuple[tuple[str, ...], ...]  # on tasks, a row each; the first is the heading; none: nothing was asked
    scores_note: str
    samples: tuple[SampleView, ...]
    samples_how: str
    about: tuple[Fact, ...]
    authors: tuple[Piece, ...]
    model: tuple[Fact, ...]
    declared: tuple[Fact, ...]  # the entry's own words
    machine: tuple[Fact, ...]
    watched: tuple[Fact, ...]  # how the hardware behaved
    sandbox: SandboxView
    source: tuple[Fact, ...]  # what it is, then its files
    log: str
    data: str  # for the plots: JSON that no script element ends in


def run_page_view(record: Record, run: Summary, contents: Contents) -> RunPage:
    """record: the whole of it; run: its summary, whose tier is the one that counts."""
    score = record.score
    drawn = phases(record.times)
    box = record.environment.sandbox
    samples = record.samples
    curve = curve_view(record)
    on = plain(hardware(run.environment), 200)
    entry, track = _entry(record), _track(record)
    return RunPage(
        run_id=record.run_id,
        entry=entry,
        track=track,
        way=way(_ROOT, track, entry),
        began=record.started_at[:19].replace("T", " "),
        verdict=record.verdict.value,
        good=record.verdict is Verdict.OK,
        tier=run.tier.value,
        headline=_headline(record),
        marks=tuple(_marks(run, contents)),
        reason=tuple(line for line in block(record.reason, _REASON_CAP).split("\n") if line.strip()),
        ranked=_ranked(record, contents),
        score=tuple(_score(record)) if score is not None else (),
        phases=drawn,
        phases_label=f"In all {number(record.times.total_s, 1)} s: "
        + ", ".join(f"{phase.name} {phase.seconds}" for phase in drawn),
        total=f"{number(record.times.total_s, 1)} s",
        worked=any(phase.processor for phase in drawn),
        worked_devices=any(phase.device for phase in drawn),
        curve=curve.label if curve is not None else "",
        twin=twin_sentences(record.twin) if record.twin is not None else (),
        scores=_scores(record),
        scores_note="" if record.downstream is None else plain(record.downstream.note, 1000),
        samples=()
        if samples is None
        else tuple(
            SampleView(block(sample.prompt, _SAMPLE_CAP), block(sample.text, _SAMPLE_CAP))
            for sample in samples.items[:_MOST_SAMPLES]
        ),
        samples_how="" if samples is None else f"Temperature {samples.temperature:g}, seed {samples.seed}.",
        about=tuple(_about(record)),
        authors=authors(record.entry.authors),
        model=tuple(_model(record)),
        declared=tuple(_declared(record)),
        machine=tuple(_machine(record, on)),
        watched=tuple(_watched(record.hardware, watched=bool(record.environment.devices)))
        if record.hardware is not None
        else (),
        sandbox=SandboxView(
            box.level.value,
            f"{f'Landlock ABI {box.landlock_abi}' if box.landlock_abi else 'no Landlock'}, memory bounded by "
            f"{box.memory_bound}, ended by {box.tree_kill}",
            tuple(plain(words, 200) for words in box.guarantees),
            tuple(plain(words, 200) for words in box.not_covered),
        ),
        source=tuple(_source(record)),
        log="" if record.verdict is Verdict.OK else block(record.log_tail, _LOG_CAP).strip("\n"),
        data=_data(record, curve, on, plain(contents.retracted.get(run.run_id, ""), 300)),
    )


def _scores(record: Record) -> tuple[tuple[str, ...], ...]:
    heading = ("Task", "Metric", "Value", "± stderr", "Documents", "Shots", "Task version", "Twin asked")
    found = tuple(tuple(line) for line in lines(record.downstream))
    return (heading, *found) if found else ()


class UnreadablePage(NamedTuple):
    """Of a run whose summary is fine and whose record is not."""

    run_id: str
    entry: Piece
    track: Piece
    way: tuple[Piece, ...]
    problem: str


def unreadable_page(run: Summary, problem: str) -> UnreadablePage:
    entry, track = _entry(run), _track(run)
    return UnreadablePage(run.run_id, entry, track, way(_ROOT, track, entry), plain(problem, 300))


def _entry(run: Record | Summary) -> Piece:
    return Piece(run.entry.name, entry_page(_ROOT, run.entry.name))


def _track(run: Record | Summary) -> Piece:
    return Piece(run.track.id, track_page(_ROOT, run.track.id))


def _headline(record: Record) -> str:
    if record.score is None or record.times.train_s is None:
        return ""
    loss, train = f"{number(record.score.loss_nats, 4)} nats a token", f"{number(record.times.train_s, 2)} s"
    if record.track.objective == "fastest-to-loss":
        return f"{train} of training, to a loss of {loss}"
    return f"{loss} after {train} of training"


def _marks(run: Summary, contents: Contents) -> Iterator[Fact]:
    if (why := contents.retracted.get(run.run_id)) is not None:
        yield Fact("retracted", f"It is out of all rankings: {plain(why, 300)}")
    if (why := contents.waived.get(run.run_id)) is not None:
        yield Fact("waived", f"The test that the mean loss is below the target: {plain(why, 300)}")
    if run.run_id in contents.unsigned:
        yield Fact("unsigned", "It says verified, and no maintainer's signature holds: it counts as self-reported.")


def _ranked(record: Record, contents: Contents) -> str:
    against = [plain(reason, 300) for reason in record.unranked_because[:20]]
    if record.run_id in contents.retracted:
        against.insert(0, "it is retracted")
    if against:
        return f"It does not count on the board: {'; '.join(against)}."
    if record.run_id in contents.below:
        return f"It stands below the line: {plain(contents.below[record.run_id], 300)}."
    return "It counts on the board."


def _score(record: Record) -> Iterator[Fact]:
    score, floor_nats, target_nats = record.score, record.dataset.floor_nats, record.track.target_nats
    assert score is not None
    yield Fact("loss", f"{number(score.loss_nats, 4)} nats/token" + ("" if record.scored else " (not valid)"))
    if target_nats is not None and score.target_met is not None:
        yield Fact("target", f"{target_nats:g} nats/token: {'met' if score.target_met else 'missed'}")
    if floor_nats is not None:
        gap = number(score.loss_nats - floor_nats, 4)
        yield Fact("above the floor", f"{gap} nats/token (no model passes {number(floor_nats, 4)})")
    if score.bits_per_byte is not None:
        yield Fact("bits a byte", number(score.bits_per_byte, 4))
    if record.times.train_s is not None:
        yield Fact("training", f"{number(record.times.train_s, 2)} s of {record.track.limit_s:,g} s")
    windows = f"windows of {score.context_tokens:,}, one every {score.stride_tokens:,}"
    yield Fact("scored", f"{score.targets:,} tokens, in {windows}")


def _about(record: Record) -> Iterator[Fact]:
    entry, track, data = record.entry, record.track, record.dataset
    yield Fact("title", plain(entry.title, 200))
    yield Fact("technique", plain(entry.technique, 300))
    if entry.based_on:
        yield Fact("based on", plain(entry.based_on, 60))
    asked = "lowest loss" if track.objective == "lowest-loss" else "fastest to the target"
    yield Fact("track", f"version {track.version}, {asked} within {track.limit_s:,g} s")
    told = [plain(data.id, 60), f"vocabulary {data.vocab_size:,}"]
    told += [f"{data.train_tokens:,} training tokens"] if data.train_tokens is not None else []
    told += [f"revision {plain(data.revision, 60)}"] if data.revision else []
    told += ["the track's own" if data.official else "not the track's own, or without pinned hashes"]
    yield Fact("data set", ", ".join(told))
    yield Fact("seed", f"{record.seed} (drawn by the harness)")
    if record.series is not None:
        yield Fact("part of", f"{record.series.purpose} {plain(record.series.id, 100)}")
    for name, text in list(record.overrides.items())[:_MOST_LISTED]:
        yield Fact("set", f"{plain(name, 60)} = {plain(text, 60)}")


def _model(record: Record) -> Iterator[Fact]:
    if record.parameters is not None:
        yield Fact("parameters", f"{record.parameters:,}")
    if record.artifact is not None:
        made = record.artifact
        yield Fact(
            "artifact", f"{size(made.bytes)} in {many(made.files, 'file')}, sha256 {plain(made.sha256[:12], 12)}"
        )
    if record.peak_memory_gib is not None:
        yield Fact("memory", f"{record.peak_memory_gib:.2f} GiB of the host at most")
    if record.ranks > 1:
        yield Fact("processes", f"{record.ranks} trained together")


def _declared(record: Record) -> Iterator[Fact]:
    declared = record.declared
    if declared.steps is not None:
        yield Fact("steps", f"{declared.steps:,}")
    if declared.tokens is not None:
        yield Fact("tokens", count(declared.tokens))
    if declared.loss_nats is not None:
        yield Fact("training loss", number(declared.loss_nats, 4))
    for name, value in list(declared.metrics.items())[:_MOST_LISTED]:
        yield Fact(plain(name, 60) or "–", f"{value:.6g}")


def _machine(record: Record, granted: str) -> Iterator[Fact]:
    machine = record.environment
    yield Fact("hardware", granted)
    for card in machine.devices[:_MOST_LISTED]:
        yield Fact("device", _device(card))
    load = "" if machine.load_before is None else f", load {machine.load_before:.2f} before the run"
    yield Fact("machine", f"{machine.cores} cores, {machine.memory_gib:.1f} GiB{load}")
    yield Fact("system", plain(machine.system, 100))
    yield Fact("python", plain(machine.python, 60))
    for name, version in list(machine.packages.items())[:_MOST_LISTED]:
        yield Fact(plain(name, 60) or "–", plain(version, 60))


def _device(card: Device) -> str:
    told = [card.name, f"{card.memory_gib:.1f} GiB", f"driver {card.driver or 'unknown'}"]
    told += [f"at most {card.clock_mhz:,} MHz"] if card.clock_mhz is not None else []
    told += [f"{card.power_limit_w:g} W"] if card.power_limit_w is not None else []
    return plain(", ".join(told), 200)


def _watched(report: HardwareReport, *, watched: bool) -> Iterator[Fact]:
    """Only what was measured."""
    later = {calibration.device: calibration for calibration in report.after}
    for before in report.before[:_MOST_LISTED]:
        after = later.get(before.device)
        told = f"{_speed(before)} before, {_speed(after) if after else 'not measured'} after"
        yield Fact(plain(f"speed of {before.device}", 40), told)
    if report.slowed:
        yield Fact("slowed", "The machine was more than a tenth slower after the run than before it.")
    if not report.samples:
        if watched:
            yield Fact("watched", "not at all: the driver did not answer")
        return
    reasons = [f"{plain(reason, 60)} in {share:.1%} of the samples" for reason, share in report.throttled.items()]
    yield Fact("throttled", ", ".join(reasons[:_MOST_LISTED]) or "never")
    if report.hottest_c is not None:
        yield Fact("hottest", f"{report.hottest_c:.0f} °C")
    if report.slowest_clock_mhz is not None:
        yield Fact("slowest clock", f"{report.slowest_clock_mhz:,} MHz, of an accelerator that was busy")
    if report.peak_device_memory_gib is not None:
        yield Fact("its memory", f"{report.peak_device_memory_gib:.2f} GiB at most")
    others = f"{report.other_processes or 'no'} other {'process' if report.other_processes == 1 else 'processes'}"
    yield Fact("company", f"{others} on it, in {report.samples:,} samples")


def _speed(calibration: Calibration) -> str:
    return f"{calibration.matmul_tflops:.3g} TFLOP/s, copy {calibration.copy_gbps:.3g} GB/s"


def _source(record: Record) -> Iterator[Fact]:
    source = record.source
    yield Fact("sha256", plain(source.sha256, 64))
    if source.git_commit:
        clean = {True: "nothing changed since", False: "with changes since", None: "changes unknown"}[source.git_clean]
        yield Fact("commit", f"{plain(source.git_commit, 60)} ({clean})")
    for file in source.files[:_MOST_LISTED]:
        yield Fact(plain(file.path, 200), many(line_count(file.text), "line"))


class _Data(msgspec.Struct, frozen=True, kw_only=True):
    """What the plots of this page, and of the one that compares two runs, are drawn from."""

    run_id: str
    entry: str
    track: str
    measure: str  # which of the two decides: loss_nats or train_s
    loss_nats: float | None
    train_s: float | None
    verdict: str
    conditions: tuple[tuple[str, str], ...]  # what a run must share with this one to be compared, and what is said else
    against: str  # why it is out of all rankings; empty: it is not
    curve: dict[str, list[float | int | None]]
    levels: tuple[Level, ...]


def _data(record: Record, curve: CurveView | None, on: str, retracted: str) -> str:
    points = record.curve
    data = _Data(
        run_id=record.run_id,
        entry=record.entry.name,
        track=record.track.id,
        measure="train_s" if record.track.objective == "fastest-to-loss" else "loss_nats",
        loss_nats=record.score.loss_nats if record.scored and record.score is not None else None,
        train_s=record.times.train_s,
        verdict=record.verdict.value,
        conditions=tuple((plain(each.value, 200), each.unlike) for each in conditions(record, on)),
        against=retracted,
        curve={
            "elapsed_s": [point.elapsed_s for point in points],
            "step": [point.step for point in points],
            "tokens": [point.tokens for point in points],
            "loss_nats": [point.loss_nats for point in points],
        },
        levels=curve.levels if curve is not None else (),
    )
    return msgspec.json.encode(data).decode().replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")
