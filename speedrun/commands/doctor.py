"""speedrun doctor: what this machine can do, by trying it."""

import importlib.metadata
import shutil

from harness import environment
from harness.errors import UserError
from harness.result import Level
from harness.sandbox import Trial, try_levels
from harness.track import Track, list_tracks
from speedrun.answers import Diagnosis, LevelTrial, TrackFit
from speedrun.commands.data import is_prepared
from speedrun.fitness import obstacles
from speedrun.workspace import Workspace

BUSY_LOAD = 1.0  # runnable processes beyond which a training time says little


def doctor(workspace: Workspace) -> Diagnosis:
    """Facts, trials and hints. Raises UserError for a broken track file."""
    machine = environment.machine()
    trials = try_levels()
    chosen = next((trial.level for trial in trials if trial.works and trial.level is not Level.NONE), None)
    return Diagnosis(
        system=machine.system,
        python=machine.python,
        cpu=machine.cpu,
        cores=machine.cores,
        usable_cores=machine.usable_cores,
        memory_gib=machine.memory_gib,
        devices=machine.devices,
        torch=_torch(),
        levels=tuple(LevelTrial(level=trial.level, works=trial.works, why=trial.why) for trial in trials),
        chosen=chosen,
        hints=_hints(trials, chosen, environment.load()),
        tracks=tuple(_fit(workspace, track, machine) for track in list_tracks(workspace.tracks)),
    )


def _fit(workspace: Workspace, track: Track, machine: environment.Machine) -> TrackFit:
    try:
        prepared = is_prepared(workspace, track.dataset)
    except UserError:
        prepared = False
    return TrackFit(track=track.id, obstacles=obstacles(track, machine), dataset=track.dataset, prepared=prepared)


def _torch() -> str | None:
    """The installed version; its metadata says it without the seconds that an import takes."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def _hints(trials: tuple[Trial, ...], chosen: Level | None, load: float | None) -> tuple[str, ...]:
    hints = []
    namespaces = next(trial for trial in trials if trial.level is Level.NAMESPACES)
    if not namespaces.works:
        if shutil.which("bwrap") is None:
            hints.append(
                "install bubblewrap for the strongest sandbox: apt install bubblewrap, or dnf install bubblewrap"
            )
        elif "uid map" in namespaces.why:
            hints.append(
                "this system restricts user namespaces: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
            )
    if chosen is None:
        hints.append("no sandbox works here: runs need --no-sandbox, for code that you trust, and are never ranked")
    if load is not None and load > BUSY_LOAD:
        hints.append(f"the machine is busy (load {load:.1f}): end other programs before a run that counts")
    return tuple(hints)
