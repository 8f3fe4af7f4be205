"""A whole record in words: `speedrun show`."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from harness.result import DatasetRef, Record, Times
from leaderboard.table import count
from leaderboard.text import plain
from speedrun import evaluate_page, machine_words, phases, samples_page
from speedrun.answers import ShownRun
from speedrun.chart import Point, chart
from speedrun.tables import labelled
from speedrun.verdict_page import LABEL, facts, failure, lines, title

CHART_LINES = 12
CHART_COLUMNS = 76


def show(value: ShownRun, console: Console) -> None:
    """Everything that a record holds, but for the texts of its source."""
    record = value.record
    title(record, console)
    if value.retracted is not None:
        words = f"it is out of all rankings: {plain(value.retracted, 300)}"
        labelled([("  retracted", words)], console, LABEL + 2, label="bold red")
    facts([("run", record.run_id), ("started", record.started_at), ("tier", _tier(value))], console)
    facts(_entry_lines(record), console)
    judged = lines(record, whole=True, retracted=value.retracted, waived=value.waived)
    facts([("seed", str(record.seed)), *judged], console)
    facts(_model_lines(record), console)
    facts(machine_words.lines(record), console)
    for file in record.source.files:
        shown = file.text.count("\n") + (not file.text.endswith("\n") and bool(file.text))
        size = f"{shown:,} {'line' if shown == 1 else 'lines'}"
        facts([("source", f"{plain(file.path, 200)} · {size} · sha256 {_short_hash(file.sha256)}")], console)
    facts(_source_lines(record), console)
    _phases(record.times, console)
    _curve(record, console)
    if record.downstream is not None:
        evaluate_page.show_scores(record.downstream, console)
    if record.samples is not None:
        samples_page.show(record.samples, console)
    failure(record, console, None)


def _tier(value: ShownRun) -> str:
    if value.unsigned:
        return f"{value.record.tier}: it says verified, but its signature is not valid"
    return value.record.tier.value + (f", signed by {plain(value.signed_by, 100)}" if value.signed_by else "")


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


def _short_hash(sha256: str) -> str:
    """Enough of it to be told; a record that somebody wrote by hand may have any words there."""
    return plain(sha256[:12], 12)


def _source_lines(record: Record) -> Iterator[tuple[str, str]]:
    source = record.source
    yield "", f"all of it: sha256 {_short_hash(source.sha256)}; speedrun show {record.run_id} --source FILE prints one"
    if source.git_commit:
        clean = {True: "nothing changed since", False: "with changes since", None: "changes unknown"}[source.git_clean]
        yield "commit", f"{plain(source.git_commit, 60)} ({clean})"


def _phases(times: Times, console: Console) -> None:
    """The bar, and beneath it what its marks mean."""
    found = phases.parts(times)
    line = phases.bar(found, console.width)
    if not line.plain:
        return
    console.print(Text("\nwhere the time went", style="bold"))
    console.print(line, soft_wrap=True)
    for words in phases.legend(found, times.total_s, console.width):
        console.print(words, soft_wrap=True)


def _curve(record: Record, console: Console) -> None:
    points = [Point(point.elapsed_s, point.loss_nats) for point in record.curve if point.loss_nats is not None]
    lines = chart(points, min(console.width, CHART_COLUMNS), CHART_LINES)
    if lines:
        console.print(Text("\ntraining loss as the entry logged it", style="bold"))
        for line in lines:
            console.print(Text(line, style="green"), soft_wrap=True)
