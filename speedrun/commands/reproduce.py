"""speedrun reproduce: the source that a record holds, run again; is its score what this source gives?"""

import datetime
import secrets
from collections.abc import Sequence
from dataclasses import replace

from harness.errors import UserError
from harness.result import Record, Series, Verdict
from harness.submission import Submission, restore
from harness.track import Track, find_track
from leaderboard import rulings
from leaderboard.store import Store
from speedrun import console
from speedrun.answers import Reproduced
from speedrun.commands.data import find_dataset
from speedrun.commands.show import show
from speedrun.reproduction import judge, runs_needed, same_seed_difference, unlike, verified_losses
from speedrun.scratch import scratch
from speedrun.session import Conditions, Session, Stored, open_session
from speedrun.workspace import Workspace

REASON = "it reproduces a run"


def reproduce(workspace: Workspace, run: str, *, conditions: Conditions) -> Reproduced:
    """Runs the record's source with its seed and with fresh ones, stores these runs, and judges the record by them.

    Raises:
        UserError: no such run, one without a score, a source that is not what its hash names, another track, data set
            or machine than the record's (the machine alone may differ in practice: then nothing is judged).
        KeyboardInterrupt: told to stop before the first run had ended.
    """
    original = show(workspace, run).record
    track = _track(original, workspace)
    entry = _restored(original, workspace)
    runs_here = Store(workspace.results, workspace.cache).load(track.id).records
    verified = verified_losses(original, runs_here, rulings.load(workspace.rulings).retracted)
    if original.dataset.id != track.dataset:
        conditions = replace(conditions, dataset=original.dataset.id)
    with open_session(workspace, track, conditions, f"{entry.name}, reproduced") as session:
        against = _differences(original, entry, session, practice=conditions.practice)
        runs = 2 if against else runs_needed(verified)
        if runs > 2 and not conditions.quiet:
            console.note(f"verified runs of this source to judge by: {len(verified)}; it is run {runs} times")
        stored = _runs(original, entry, session, runs, quiet=conditions.quiet)
        reruns = tuple(record for record, _ in stored)
        judgement = judge(original, reruns, verified, track.ranking.alpha, against)
        return Reproduced(
            original=original,
            runs=reruns,
            files=tuple(file for _, file in stored),
            outcome=judgement.outcome,
            because=judgement.because,
            noise=judgement.noise,
            same_seed_nats=same_seed_difference(original, reruns),
            interrupted=session.interrupted,
        )


def _track(original: Record, workspace: Workspace) -> Track:
    """Today's track and data set, which must be those of the record."""
    name = f"run {original.run_id}"
    if original.score is None or not original.scored:
        raise UserError(f"{name} ended as {original.verdict}: it has no score that could be reproduced")
    track = find_track(original.track.id, workspace.tracks)
    if (track.version, track.sha256) != (original.track.version, original.track.sha256):
        raise UserError(
            f"{name} ran under version {original.track.version} of {track.id} (file {original.track.sha256[:8]}), "
            f"today's is version {track.version} (file {track.sha256[:8]}); check out a commit that has the record's"
        )
    dataset = find_dataset(workspace, original.dataset.id)
    if dataset.pinned:  # before anything is fetched; what is not pinned is known when it is prepared
        _demand_data(original, dataset.sha256)
    return track


def _demand_data(original: Record, sha256: str) -> None:
    if sha256 != original.dataset.sha256:
        raise UserError(
            f"run {original.run_id} was made on other shards of {original.dataset.id} (hash "
            f"{original.dataset.sha256[:8]}, today's is {sha256[:8]}); check out a commit that has the record's"
        )


def _restored(original: Record, workspace: Workspace) -> Submission:
    with scratch(workspace.cache, "reproduce") as folder:
        return restore(original.entry.name, original.source, folder / original.entry.name)


def _differences(original: Record, entry: Submission, session: Session, *, practice: bool) -> tuple[str, ...]:
    """What sets this machine apart from the record's; nobody should learn after hours that nothing can be said."""
    here = session.would_be(entry, original.overrides)
    _demand_data(original, here.dataset.sha256)
    against = unlike(original, here)
    if against and not practice:
        raise UserError(
            f"run {original.run_id} can't be judged on this machine: {'; '.join(against)}; --practice runs it all the "
            "same and judges nothing"
        )
    return against


def _runs(original: Record, entry: Submission, session: Session, runs: int, *, quiet: bool) -> Sequence[Stored]:
    """The first with the record's seed, the others with fresh ones; ends at the first that is not scored."""
    now = datetime.datetime.now(datetime.UTC)
    series = Series(id=f"{now:%Y%m%d-%H%M%S}-reproduce-{entry.name}-{secrets.token_hex(2)}", purpose="reproduce")
    stored: list[Stored] = []
    for number in range(1, runs + 1):
        request = session.request(
            entry,
            overrides=original.overrides,
            practice=(REASON,),
            seed=original.seed if number == 1 else None,
            series=series,
        )
        seed = "with the record's seed" if number == 1 else "with a fresh seed"
        try:
            stored.append(session.run(request, f"run {number} of {runs} {seed}"))
        except KeyboardInterrupt:
            if not stored:
                raise
            break
        record = stored[-1].record
        if not quiet:
            loss = f", loss {record.score.loss_nats:.4f}" if record.score is not None else ""
            console.note(f"run {number} of {runs} {seed}: {record.verdict}{loss}")
        if session.interrupted or record.verdict is not Verdict.OK:
            break
    return stored
