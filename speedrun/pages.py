"""Every answer as text. The longer ones have pages of their own: board_page, verdict_page, run_page, …"""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from data.watching import size
from leaderboard.table import count
from leaderboard.text import plain
from speedrun import (
    audit_page,
    board_page,
    compare_page,
    duel_page,
    history_page,
    machine_words,
    pull_request_page,
    reproduce_page,
    run_page,
    track_page,
    verdict_page,
    verify_page,
)
from speedrun.answers import (
    Answer,
    Audited,
    Checked,
    Compared,
    Created,
    DatasetReady,
    Datasets,
    DatasetState,
    DeviceState,
    Diagnosis,
    Dueled,
    Histories,
    JudgedChange,
    Ran,
    Reproduced,
    Retimed,
    Ruled,
    Shown,
    ShownRun,
    ShownTrack,
    Tracks,
    Verified,
)

GOOD, BAD = Text("✓", style="green"), Text("✗", style="red")


def show(value: Answer, console: Console) -> None:
    """Prints any answer."""
    match value:
        case Ran():
            verdict_page.show(value, console)
        case Dueled():
            duel_page.show_duel(value, console)
        case Retimed():
            duel_page.show_retimed(value, console)
        case Shown():
            board_page.show(value, console)
        case Histories():
            history_page.show(value, console)
        case Ruled():
            _ruled(value, console)
        case Verified():
            verify_page.show(value, console)
        case Audited():
            audit_page.show(value, console)
        case ShownRun():
            run_page.show(value, console)
        case Compared():
            compare_page.show(value, console)
        case Created():
            _created(value, console)
        case Checked():
            _checked(value, console)
        case Tracks():
            track_page.show_tracks(value, console)
        case ShownTrack(track=track):
            track_page.show_track(track, console)
        case Datasets(datasets=datasets):
            _datasets(datasets, console)
        case DatasetReady():
            _line(
                console,
                GOOD,
                f"{value.dataset.id} is {value.done}: {_size(value.dataset)} ({_readiness(value.dataset)})",
            )
        case Diagnosis():
            _diagnosis(value, console)
        case Reproduced():
            reproduce_page.show(value, console)
        case JudgedChange():
            pull_request_page.show(value, console)
        case _:
            raise TypeError(f"no page for {type(value).__name__}")


def _ruled(value: Ruled, console: Console) -> None:
    done = "is out of all rankings" if value.ruling == "retraction" else "needs no test of its target"
    whose = f"run {value.run_id}" if value.ruling == "retraction" else f"the variant of run {value.run_id}"
    _line(console, GOOD, f"{whose} {done}: {plain(value.reason, 300)}")
    _say(console, f"  wrote {value.file}; speedrun leaderboard --render brings it onto the pages")


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


def _datasets(datasets: Sequence[DatasetState], console: Console) -> None:
    for dataset in datasets:
        mark = GOOD if dataset.prepared else Text("·")
        _line(console, mark, f"{dataset.id}: {_size(dataset)} ({_readiness(dataset)})")
    if not datasets:
        _say(console, "there are no data sets")
    missing = sorted((dataset for dataset in datasets if not dataset.prepared), key=lambda dataset: not dataset.pinned)
    if missing:
        _say(console, f"speedrun data prepare {missing[0].id} makes it ready; speedrun run does so by itself")


def _readiness(dataset: DatasetState) -> str:
    """How far it is prepared, on how much disk, and whose hashes it is held to."""
    if dataset.prepared:
        told = [f"prepared, {size(dataset.disk_bytes)}"]
    elif dataset.prepared_tokens:
        ready = f"the first {count(dataset.prepared_tokens)} training tokens prepared"
        told = [f"{ready}, {size(dataset.disk_bytes)} of {size(dataset.needed_bytes)}"]
    else:
        told = [f"not prepared, needs {size(dataset.needed_bytes)}"]
    if dataset.imported:
        told.append("imported here")
    elif not dataset.pinned:
        told.append("not pinned")
    return ", ".join(told)


def _size(dataset: DatasetState) -> str:
    told = [
        f"{count(dataset.train_tokens)} training tokens",
        f"{count(dataset.val_tokens)} for validation",
        f"vocabulary {dataset.vocab_size:,}",
    ]
    if dataset.left_out:
        told.append(f"{dataset.left_out:,} training documents left out that repeat held-out text")
    if dataset.floor_nats is not None:
        told.append(f"floor {dataset.floor_nats:.4f} nats/token")
    return ", ".join(told)


def _diagnosis(value: Diagnosis, console: Console) -> None:
    facts = [
        ("system", value.system),
        ("python", value.python + (f", torch {value.torch}" if value.torch else ", torch is not installed")),
        ("processor", f"{plain(value.cpu, 100)}, {value.cores} cores, {value.usable_cores:g} of them for a run"),
        ("memory", f"{value.memory_gib:.1f} GiB"),
        *(("device", plain(_device(state), 200)) for state in value.devices),
        *(("speed", machine_words.speed(calibration)) for calibration in value.calibration),
    ]
    if not value.devices:
        facts.insert(4, ("device", "no accelerator"))
    _facts(console, facts)
    console.print(Text("\nsandbox levels, strongest first, each tried just now", style="bold"))
    for trial in value.levels:
        used = "  ← used" if trial.level is value.chosen else ""
        _line(console, GOOD if trial.works else BAD, f"{trial.level.value}: {plain(trial.why, 300)}{used}")
    console.print(Text("\ntracks", style="bold"))
    for fit in value.tracks:
        data = "data prepared" if fit.prepared else f"data set {fit.dataset} not prepared yet"
        words = f"practice only: {'; '.join(fit.obstacles)}" if fit.obstacles else f"this machine qualifies; {data}"
        _line(console, BAD if fit.obstacles else GOOD, plain(f"{fit.track}: {words}", 300))
    for hint in value.hints:
        console.print()
        _say(console, f"hint: {hint}")


def _device(state: DeviceState) -> str:
    on_it = {0: "nobody on it", 1: "1 process on it"}.get(state.processes, f"{state.processes} processes on it")
    return f"{state.minor}: {machine_words.device(state.device)}, {on_it}"


def _facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    for label, words in facts:
        line = Text(f"{label:<11}", style="cyan")
        line.append(words, style="default")
        console.print(line, soft_wrap=True)


def _line(console: Console, mark: Text, words: str) -> None:
    console.print(Text.assemble(mark, " ", words), soft_wrap=True)


def _say(console: Console, words: str) -> None:
    console.print(Text(words), soft_wrap=True)
