"""speedrun run: an entry on a track, once or several times, recorded whatever happens."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.manifest import Manifest
from harness import environment, journal, submission
from harness.errors import UserError
from harness.gates import data_obstacles
from harness.result import Level, Record, Verdict
from harness.run_request import RunRequest
from harness.runner import run_entry
from harness.sandbox import choose
from harness.track import Track, find_track, list_tracks
from leaderboard.store import Store
from speedrun import console, device_lock, live
from speedrun.answers import Ran
from speedrun.commands.data import find_dataset, prepared
from speedrun.extra_options import as_pairs
from speedrun.fitness import demand_data, granted, level_obstacles, obstacles, ranks, threads
from speedrun.recovery import recover
from speedrun.signals import Interrupts
from speedrun.workspace import Workspace

OUTSIDE = "its folder is not in speedrun/submissions"
ASKED = "it was asked for as practice"


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
    practice: bool  # wherever it runs, and never ranked
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
    against = obstacles(track, machine)
    _insist(track, against, wish)
    accelerators = granted(track, machine)
    dataset = find_dataset(workspace, wish.dataset or track.dataset)
    demand_data(track, dataset)
    for words in data_obstacles(track, dataset) if not (wish.dataset or wish.quiet) else ():
        console.note(f"this run will not be ranked: {words}")
    with (
        Interrupts() as interrupts,
        device_lock.hold(device_lock.names(accelerators), entry.name, wait=wish.wait, say=console.note),
    ):
        # Trying the sandbox and preparing data are work: not beside somebody else's run.
        level = choose(wish.level)
        against += level_obstacles(track, level)
        _insist(track, against, wish)
        together = ranks(track, accelerators, level)
        request = RunRequest(
            submission=entry,
            track=track,
            level=level,
            accelerators=accelerators,
            ranks=together,
            threads=threads(track, machine, together),
            data=prepared(workspace, dataset, quiet=wish.quiet, tokens=_tokens(track, dataset)),
            cache=workspace.cache,
            overrides=overrides,
            practice=(*against, *((ASKED,) if wish.practice else ()), *_outside(folder, workspace)),
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


def _insist(track: Track, obstacles: Sequence[str], wish: Wish) -> None:
    """Nobody should learn after hours that a run could not be ranked."""
    if obstacles and not wish.practice:
        raise UserError(
            f"a run on {track.id} can't be ranked here: {'; '.join(obstacles)}; --practice runs it all the same, "
            "scored and not ranked; speedrun doctor shows the tracks that qualify"
        )


def _tokens(track: Track, dataset: Manifest) -> int | None:
    """Training tokens that must be there; somebody's own text may have fewer than a track shows."""
    return track.train_tokens if dataset.id == track.dataset else None


def _outside(folder: Path, workspace: Workspace) -> tuple[str, ...]:
    """A folder elsewhere may bear the name of an entry here."""
    return () if folder.resolve().parent == workspace.submissions.resolve() else (OUTSIDE,)
