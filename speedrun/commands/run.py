"""speedrun run: an entry on a track, once or several times, recorded whatever happens."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness import environment, journal, submission
from harness.errors import UserError
from harness.result import Level, Record, Verdict
from harness.runner import RunRequest, run_entry
from harness.sandbox import choose
from harness.track import Track, find_track, list_tracks
from leaderboard.store import Store
from speedrun import console, device_lock, live
from speedrun.answers import Ran
from speedrun.commands.data import find_dataset, prepared
from speedrun.extra_options import as_pairs
from speedrun.fitness import missing_devices, obstacles
from speedrun.recovery import recover
from speedrun.signals import Interrupts
from speedrun.workspace import Workspace

OUTSIDE = "its folder is not in speedrun/submissions"


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    entry: str  # a name, or the path of a folder
    track: str | None
    runs: int
    pairs: Sequence[str]  # field=value, from --set
    extra: Sequence[str]  # what no option knows: --d-model 512
    options: Sequence[str]  # the command's own, to tell slips from fields
    dataset: str | None  # None: the track's
    level: Level | None  # None: the strongest that works
    wait: bool  # for a device in use
    keep: int  # artifacts kept in the cache
    quiet: bool  # only the verdict


def run(workspace: Workspace, wish: Wish) -> Ran:
    """Runs the entry and stores every record.

    Raises:
        UserError: a mistake that keeps the run from starting; it leaves no record.
        KeyboardInterrupt: told to stop before the first run had begun.
    """
    recover(workspace)
    folder = submission.find(wish.entry, workspace.submissions)
    entry = submission.load(folder, folder.name)
    fields = None if entry.fields is None else [field.name for field in entry.fields]
    pairs = [*wish.pairs, *as_pairs(wish.extra, fields, wish.options)]
    overrides = submission.parse_overrides(pairs, entry.fields)
    track = _track(wish.track, workspace)
    machine = environment.machine()
    lacking = missing_devices(track, machine)
    if lacking:
        raise UserError(f"{track.id} cannot run here: {lacking}; speedrun doctor shows the tracks that can")
    dataset = find_dataset(workspace, wish.dataset or track.dataset)
    with (
        Interrupts() as interrupts,
        device_lock.hold(_devices(track), entry.name, wait=wish.wait, say=console.note),
    ):
        # Trying the sandbox and preparing data are work: not beside somebody else's run.
        request = RunRequest(
            submission=entry,
            track=track,
            level=choose(wish.level),
            data=prepared(workspace, dataset, quiet=wish.quiet),
            cache=workspace.cache,
            overrides=overrides,
            practice=(*obstacles(track, machine), *_outside(folder, workspace)),
            keep=wish.keep,
        )
        return _runs(workspace, request, wish, interrupts)


def _runs(workspace: Workspace, request: RunRequest, wish: Wish, interrupts: Interrupts) -> Ran:
    records: list[Record] = []
    files: list[str] = []
    for number in range(1, wish.runs + 1):
        try:
            interrupts.release()
            record = _watched(request, _title(request, wish, number), quiet=wish.quiet)
        except KeyboardInterrupt:
            # It came where the runner could not answer for it: what it had written down until then is the record.
            interrupts.hold()
            recover(workspace)
            if not records:
                raise
            break
        interrupts.hold()
        path = Store(workspace.results).add(record)
        journal.settle(workspace.cache, record.run_id)
        records.append(record)
        files.append(path.relative_to(workspace.root).as_posix())
        if wish.runs > 1 and not wish.quiet:
            loss = f", loss {record.score.loss_nats:.4f}" if record.score is not None else ""
            console.note(f"run {number} of {wish.runs}: {record.verdict}{loss}")
        if interrupts.came or record.verdict is Verdict.INTERRUPTED:
            break
    return Ran(
        records=tuple(records),
        files=tuple(files),
        runs_asked=request.track.ranking.runs,
        interrupted=interrupts.came,
    )


def _watched(request: RunRequest, title: str, *, quiet: bool) -> Record:
    """One run, with somebody to watch it."""
    with live.choose(title, console.console(sys.stderr), sys.stderr, quiet=quiet) as view:
        return run_entry(request, view.observe)


def _title(request: RunRequest, wish: Wish, number: int) -> str:
    told = f"{request.submission.name} on {request.track.id}"
    if wish.runs > 1:
        told += f", run {number} of {wish.runs}"
    return f"{told} · data set {request.data.manifest.id} · sandbox {request.level}"


def _track(wanted: str | None, workspace: Workspace) -> Track:
    if wanted is None:
        known = ", ".join(track.id for track in list_tracks(workspace.tracks))
        raise UserError(f"say on which track: --track TRACK, one of {known}")
    return find_track(wanted, workspace.tracks)


def _devices(track: Track) -> list[str]:
    """The names of the locks that a run on this track takes."""
    resources = track.resources
    names = ["cpu"] if resources.accelerator == "cpu" else [f"cuda:{index}" for index in range(resources.count)]
    return [environment.device_key(name) for name in names]


def _outside(folder: Path, workspace: Workspace) -> tuple[str, ...]:
    """A folder elsewhere may bear the name of an entry here."""
    return () if folder.resolve().parent == workspace.submissions.resolve() else (OUTSIDE,)
