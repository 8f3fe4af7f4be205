"""speedrun run --on: many runs of one entry on a cluster's nodes, all of one series, gone on with where they ended."""

import datetime
import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.errors import UserError
from harness.result import Record, Series, Verdict
from harness.submission import Submission
from harness.track import Track
from leaderboard.schema import Summary
from leaderboard.store import Store
from speedrun import console
from speedrun.answers import Ran
from speedrun.cluster import watching
from speedrun.cluster.crew import Call, call
from speedrun.recovery import recover
from speedrun.session import ASKED, Conditions, Stored, open_session
from speedrun.standings import on_board
from speedrun.workspace import Workspace


def run_batch(
    workspace: Workspace,
    entry: Submission,
    track: Track,
    conditions: Conditions,
    wanted: Call,
    *,
    runs: int,
    overrides: Mapping[str, str],
    practice: Sequence[str] = (),
    resume: bool = False,
    json: bool = False,
) -> Ran:
    """Makes so many runs of the entry, at once on as many nodes as there are, and stores every record as it comes.

    On a track where time decides they are made on one node, one after the other: times between hosts differ by percents
    that have nothing to do with the entry.

    Args:
        resume: go on with the latest series of the same entry, source, track and settings: what is stored counts.

    Raises:
        UserError: nothing to go on with; what keeps a crew from being called or the first run from being made. Later on
            it is told in the answer.
        KeyboardInterrupt: told to stop before the first run had ended.
    """
    quiet = conditions.quiet
    conditions = replace(conditions, quiet=quiet or json)  # events are all that a reader of JSON gets on the way
    stored: list[Stored] = []
    interrupted, broken_off = False, ""
    with watching.choose(f"{entry.name} on {track.id}", total=0, quiet=quiet, json=json) as watch:
        recover(workspace, watch.say)
        made, again = _made(workspace, entry, track, conditions, overrides) if resume else ([], 0)
        series = made[0].series if made and made[0].series is not None else _new_series(entry)
        if made and not conditions.quiet:
            told = f"series {series.id}: {len(made)} of {runs} runs are there already"
            console.note(f"{told}; {again} more had no verdict of the entry's and are made again" if again else told)
        todo = range(len(made) + 1, runs + 1)
        watch.title += f", series {series.id}"
        watch.expect(len(todo))
        seats = 1 if track.objective == "fastest-to-loss" else len(todo)
        if todo:
            with call(workspace, track, wanted, watch, seats=seats) as crew:
                manned, lock = replace(conditions, crew=crew), threading.Lock()

                def work(numbers: Iterator[int]) -> None:
                    with open_session(workspace, track, manned, entry.name) as session:
                        request = session.request(entry, overrides=overrides, practice=practice, series=series)
                        for number in numbers:
                            done = session.run(request, f"run {number} of {runs}")
                            with lock:
                                stored.append(done)

                try:
                    crew.spread(todo, work)
                except KeyboardInterrupt:
                    pass  # the crew knows
                except UserError as error:
                    if not stored:
                        raise
                    broken_off = str(error)
                interrupted = crew.interrupted
    if not made and not stored:
        raise KeyboardInterrupt
    return _answer(workspace, made, stored, runs, interrupted=interrupted, broken_off=broken_off)


def _new_series(entry: Submission) -> Series:
    now = datetime.datetime.now(datetime.UTC)
    return Series(id=f"{now:%Y%m%d-%H%M%S}-runs-{entry.name}-{secrets.token_hex(2)}", purpose="runs")


def _made(
    workspace: Workspace, entry: Submission, track: Track, conditions: Conditions, overrides: Mapping[str, str]
) -> tuple[list[Summary], int]:
    """The runs of the latest series of this kind that count, and how many there are beside them that don't.

    Those that were interrupted, or failed by a fault of ours, say nothing of the entry. Raises UserError: none counts.
    """
    alike = [
        run
        for run in Store(workspace.results, workspace.cache).load(track.id).records
        if run.series is not None
        and run.series.purpose == "runs"
        and run.dataset.id == (conditions.dataset or track.dataset)
        and (ASKED in run.unranked_because) == conditions.practice
        and conditions.level in (None, run.environment.sandbox.level)
        and (run.entry.name, run.source.sha256, run.overrides) == (entry.name, entry.source.sha256, dict(overrides))
        and run.track.sha256 == track.sha256
    ]
    counts = [run for run in alike if run.verdict not in (Verdict.INTERRUPTED, Verdict.INTERNAL_ERROR)]
    if not counts:
        raise UserError(
            f"there are no runs of {entry.name} on {track.id} with this source and these settings to go on with; leave "
            "--resume out"
        )
    latest = max(run.series.id for run in counts if run.series is not None)
    made, all_made = (
        [run for run in runs if run.series is not None and run.series.id == latest] for runs in (counts, alike)
    )
    return made, len(all_made) - len(made)


def _answer(
    workspace: Workspace,
    made: Sequence[Summary],
    stored: Sequence[Stored],
    runs: int,
    *,
    interrupted: bool,
    broken_off: str,
) -> Ran:
    store = Store(workspace.results, workspace.cache)
    both: list[tuple[Record, str]] = [(one.record, one.file) for one in stored]
    for run in made:
        path = workspace.results / run.track.id / f"{run.run_id}.json"
        both.append((store.get(run.run_id), path.relative_to(workspace.root).as_posix()))
    both.sort(key=lambda one: (one[0].started_at, one[0].run_id))
    return Ran(
        records=tuple(record for record, _ in both),
        files=tuple(file for _, file in both),
        runs_wanted=runs,
        on_board=on_board(workspace, both[-1][0]),
        interrupted=interrupted,
        broken_off=broken_off,
    )
