"""speedrun doctor: what this machine can do, by trying it."""

import importlib.metadata
import shutil

from harness import environment, hardware_watch
from harness.calibration import calibrate
from harness.errors import UserError
from harness.gates import data_obstacles
from harness.hardware_watch import Reading
from harness.result import Calibration, Level
from harness.sandbox import Trial, try_levels
from harness.track import Track, list_tracks
from speedrun import console, device_lock
from speedrun.answers import DeviceState, Diagnosis, LevelTrial, TrackFit
from speedrun.commands.data import find_dataset, is_prepared
from speedrun.fitness import level_obstacles, obstacles
from speedrun.workspace import Workspace

BUSY_LOAD = 1.0  # runnable processes beyond which a training time says little


def doctor(workspace: Workspace) -> Diagnosis:
    """Facts, trials and hints. Raises UserError for a broken track file."""
    machine = environment.machine()
    trials = try_levels()
    calibration = _measure(machine)
    chosen = next((trial.level for trial in trials if trial.works and trial.level is not Level.NONE), None)
    return Diagnosis(
        system=machine.system,
        python=machine.python,
        cpu=machine.cpu,
        cores=machine.cores,
        usable_cores=machine.usable_cores,
        memory_gib=machine.memory_gib,
        devices=_devices(machine),
        calibration=calibration,
        torch=_torch(),
        levels=tuple(LevelTrial(level=trial.level, works=trial.works, why=trial.why) for trial in trials),
        chosen=chosen,
        hints=_hints(trials, chosen, environment.load(), measured=bool(calibration)),
        tracks=tuple(_fit(workspace, track, machine, chosen) for track in list_tracks(workspace.tracks)),
    )


def _devices(machine: environment.Machine) -> tuple[DeviceState, ...]:
    readings = hardware_watch.look() if machine.accelerators else {}
    return tuple(
        DeviceState(
            minor=accelerator.minor,
            device=accelerator.device,
            processes=len(readings.get(accelerator.minor, Reading()).pids),
        )
        for accelerator in machine.accelerators
    )


def _measure(machine: environment.Machine) -> tuple[Calibration, ...]:
    """Nothing while somebody's run is going on: it would be slowed down, and so would the measurement."""
    devices = {*device_lock.names(()), *device_lock.names(machine.accelerators)}
    try:
        with device_lock.hold(sorted(devices), "doctor", wait=False, say=console.note):
            return calibrate(machine.accelerators, max(1, int(machine.usable_cores)))
    except UserError:
        return ()


def _fit(workspace: Workspace, track: Track, machine: environment.Machine, level: Level | None) -> TrackFit:
    against = (*obstacles(track, machine), *level_obstacles(track, level))
    try:
        prepared = is_prepared(workspace, track.dataset, track.train_tokens)
        against += data_obstacles(track, find_dataset(workspace, track.dataset))
    except UserError:
        prepared = False
    return TrackFit(track=track.id, obstacles=against, dataset=track.dataset, prepared=prepared)


def _torch() -> str | None:
    """The installed version; its metadata says it without the seconds that an import takes."""
    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def _hints(trials: tuple[Trial, ...], chosen: Level | None, load: float | None, *, measured: bool) -> tuple[str, ...]:
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
    if not measured:
        hints.append("its speed was not measured: a run is going on, or its lock can't be had; try again afterwards")
    if load is not None and load > BUSY_LOAD:
        hints.append(f"the machine is busy (load {load:.1f}): end other programs before a run that counts")
    return tuple(hints)
