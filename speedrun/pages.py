"""Every answer as text. The longer ones have pages of their own: board_page, run_page."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.protocol import printable
from harness.track import Track
from leaderboard.table import count
from leaderboard.text import plain
from speedrun import board_page, run_page
from speedrun.answers import (
    Answer,
    Checked,
    Created,
    DatasetReady,
    Datasets,
    DatasetState,
    Diagnosis,
    Ran,
    Shown,
    ShownRun,
    ShownTrack,
    Tracks,
)

GOOD, BAD = Text("✓", style="green"), Text("✗", style="red")


def show(value: Answer, console: Console) -> None:
    """Prints any answer."""
    match value:
        case Ran():
            run_page.show_verdicts(value, console)
        case Shown():
            board_page.show(value, console)
        case ShownRun(record=record):
            run_page.show_record(record, console)
        case Created():
            _created(value, console)
        case Checked():
            _checked(value, console)
        case Tracks(tracks=tracks):
            _tracks(tracks, console)
        case ShownTrack(track=track):
            _track(track, console)
        case Datasets(datasets=datasets):
            _datasets(datasets, console)
        case DatasetReady():
            _line(console, GOOD, f"{value.dataset.id} is {value.done}: {_size(value.dataset)}")
        case Diagnosis():
            _diagnosis(value, console)
        case _:
            raise TypeError(f"no page for {type(value).__name__}")


def _created(value: Created, console: Console) -> None:
    _line(console, GOOD, f"{value.folder} is ready")
    _say(console, f"  1. put your names into {value.folder}/submission.toml")
    _say(console, f"  2. edit {value.folder}/speedrun.py and config.py")
    _say(console, f"  3. speedrun run {value.name} --track cpu-smoke")


def _checked(value: Checked, console: Console) -> None:
    for problem in value.problems:
        place = "" if not problem.path else f"{problem.path}:{problem.line}: " if problem.line else f"{problem.path}: "
        _line(console, BAD, plain(f"{place}{problem.message}", 1000))
    if value.problems:
        rules = "rule is" if len(value.problems) == 1 else "rules are"
        _say(console, f"{value.name}: {len(value.problems)} {rules} broken; mend the lines above and check again")
    else:
        _line(console, GOOD, f"{value.name} keeps every static rule")


def _tracks(tracks: Sequence[Track], console: Console) -> None:
    table = _table("Track", "Objective", "Limit (s)", "Hardware", "Data set", "Runs", "Title")
    for track in tracks:
        cells = (
            track.id,
            _objective(track),
            f"{track.limits.train_s:,g}",
            _granted(track),
            track.dataset,
            str(track.ranking.runs),
            plain(track.title, 120),
        )
        table.add_row(*map(Text, cells))
    console.print(table)
    _say(console, "speedrun tracks TRACK shows one with its rules")


def _track(track: Track, console: Console) -> None:
    limits, gates = track.limits, track.gates
    console.print(Text(f"{track.id}, version {track.version}: {plain(track.title, 200)}", style="bold"), soft_wrap=True)
    for line in printable(track.rules.strip(), 20_000).split("\n"):
        _say(console, line)
    console.print()
    facts = [
        ("objective", _objective(track)),
        ("data set", f"{track.dataset}, scored on {_scored(track)}, windows of at most {track.score.max_context:,}"),
        (
            "time",
            f"training {limits.train_s:g} s, set-up {limits.setup_s:g} s, saving {limits.save_s:g} s, "
            f"scoring and twin {limits.evaluation_s:g} s each",
        ),
        ("hardware", f"{_granted(track)}, {track.resources.memory_gib:g} GiB, {track.resources.processes} processes"),
        ("artifact", f"at most {limits.artifact_mib:g} MiB"),
    ]
    if gates.parameters_min is not None or gates.parameters_max is not None:
        most = f"{gates.parameters_max:,}" if gates.parameters_max is not None else "any number"
        facts.append(("parameters", f"{gates.parameters_min or 0:,} to {most}"))
    facts.append(("ranked by", f"the mean of {track.ranking.runs} or more runs"))
    facts.append(("file", f"sha256 {track.sha256[:12]}"))
    _facts(console, facts)


def _objective(track: Track) -> str:
    if track.score.target_nats is None:
        return "lowest loss"
    return f"fastest to {track.score.target_nats:g} nats/token"


def _granted(track: Track) -> str:
    resources = track.resources
    threads = f"{resources.threads} CPU {'thread' if resources.threads == 1 else 'threads'}"
    return threads if resources.accelerator == "cpu" else f"{resources.count} × {plain(resources.accelerator, 60)}"


def _scored(track: Track) -> str:
    targets = f"{track.score.targets:,} tokens" if track.score.targets is not None else "all"
    return f"{targets} of {track.score.split}"


def _datasets(datasets: Sequence[DatasetState], console: Console) -> None:
    for dataset in datasets:
        state = "prepared" if dataset.prepared else "not prepared"
        own = ", imported here" if dataset.imported else ""
        _line(console, GOOD if dataset.prepared else Text("·"), f"{dataset.id}: {_size(dataset)} ({state}{own})")
    if not datasets:
        _say(console, "there are no data sets")
    missing = [dataset.id for dataset in datasets if not dataset.prepared]
    if missing:
        _say(console, f"speedrun data prepare {missing[0]} makes it ready; speedrun run does so by itself")


def _size(dataset: DatasetState) -> str:
    told = [
        f"{count(dataset.train_tokens)} training tokens",
        f"{count(dataset.val_tokens)} for validation",
        f"vocabulary {dataset.vocab_size:,}",
    ]
    if dataset.floor_nats is not None:
        told.append(f"floor {dataset.floor_nats:.4f} nats/token")
    return ", ".join(told)


def _diagnosis(value: Diagnosis, console: Console) -> None:
    devices = ", ".join(plain(f"{device.name} ({device.memory_gib:.0f} GiB)", 100) for device in value.devices)
    facts = [
        ("system", value.system),
        ("python", value.python + (f", torch {value.torch}" if value.torch else ", torch is not installed")),
        ("processor", f"{plain(value.cpu, 100)}, {value.cores} cores, {value.usable_cores:g} of them for a run"),
        ("memory", f"{value.memory_gib:.1f} GiB"),
        ("devices", devices or "none"),
    ]
    _facts(console, facts)
    console.print(Text("\nsandbox levels, strongest first, each tried just now", style="bold"))
    for trial in value.levels:
        used = "  ← used" if trial.level is value.chosen else ""
        _line(console, GOOD if trial.works else BAD, f"{trial.level.value}: {plain(trial.why, 300)}{used}")
    console.print(Text("\ntracks", style="bold"))
    for fit in value.tracks:
        data = "data prepared" if fit.prepared else f"data set {fit.dataset} not prepared yet"
        why = f"practice only, {'; '.join(fit.obstacles)}" if fit.obstacles else "this machine qualifies"
        _line(console, BAD if fit.obstacles else GOOD, f"{fit.track}: {why}; {data}")
    for hint in value.hints:
        console.print()
        _say(console, f"hint: {hint}")


def _table(*headings: str) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 2, 0, 0), pad_edge=False, show_edge=False)
    for heading in headings:
        table.add_column(Text(heading), overflow="fold")
    return table


def _facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    for label, words in facts:
        line = Text(f"{label:<11}", style="cyan")
        line.append(words, style="default")
        console.print(line, soft_wrap=True)


def _line(console: Console, mark: Text, words: str) -> None:
    console.print(Text.assemble(mark, " ", words), soft_wrap=True)


def _say(console: Console, words: str) -> None:
    console.print(Text(words), soft_wrap=True)
