"""What this machine can do, on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from leaderboard.text import plain
from speedrun import machine_words
from speedrun.answers import DeviceState, Diagnosis
from speedrun.page_lines import BAD, GOOD, line, say


def show(value: Diagnosis, console: Console) -> None:
    """The machine, the sandbox levels, the tracks, and what would help."""
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
        line(console, GOOD if trial.works else BAD, f"{trial.level.value}: {plain(trial.why, 300)}{used}")
    console.print(Text("\ntracks", style="bold"))
    for fit in value.tracks:
        data = "data prepared" if fit.prepared else f"data set {fit.dataset} not prepared yet"
        words = f"practice only: {'; '.join(fit.obstacles)}" if fit.obstacles else f"this machine qualifies; {data}"
        line(console, BAD if fit.obstacles else GOOD, plain(f"{fit.track}: {words}", 300))
    for hint in value.hints:
        console.print()
        say(console, f"hint: {hint}")


def _device(state: DeviceState) -> str:
    on_it = {0: "nobody on it", 1: "1 process on it"}.get(state.processes, f"{state.processes} processes on it")
    return f"{state.minor}: {machine_words.device(state.device)}, {on_it}"


def _facts(console: Console, facts: Sequence[tuple[str, str]]) -> None:
    for label, words in facts:
        told = Text(f"{label:<11}", style="cyan")
        told.append(words, style="default")
        console.print(told, soft_wrap=True)
