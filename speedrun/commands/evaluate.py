"""speedrun evaluate: scores of a kept artifact on tasks of lm-eval, put beside the loss in its record."""

import secrets
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import submission
from harness.downstream import CAP_S, Kept, Wanted
from harness.downstream import evaluate as evaluate_kept
from harness.downstream_artifact import take
from harness.errors import UserError
from harness.result import Artifact, Downstream, DownstreamTask, Record, Score, Tier, encode
from harness.sandbox import stage
from harness.track import TASK_NAME, Track, find_track
from leaderboard.signatures import signed_by
from leaderboard.store import MAINTAINERS_NAME, Held, Store
from leaderboard.text import plain
from speedrun import console, live
from speedrun.answers import Evaluated
from speedrun.commands.show import find
from speedrun.recovery import recover
from speedrun.scratch import scratch
from speedrun.session import Conditions, Session, open_session
from speedrun.signals import Interrupts
from speedrun.vouching import LEVELS, Voucher
from speedrun.workspace import Workspace


@dataclass(frozen=True)
class Asked:
    """What the command line asks for."""

    tasks: Sequence[str]
    limit: int | None  # the first so many documents of each task; None: all
    include: Path | None  # a folder with task files of one's own
    key: Path | None  # of a maintainer, to sign a verified record again
    quiet: bool


def parse_tasks(text: str) -> tuple[str, ...]:
    """Names with commas between them. Raises UserError for none, and for what can be no name."""
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    if not names:
        raise UserError("name a task, or several with commas between them: --tasks hellaswag,arc_easy")
    for name in names:
        if not TASK_NAME.fullmatch(name):
            raise UserError(f"{plain(name, 60)!r} is no name of a task; files of your own come with --include DIR")
    return names


def evaluate(workspace: Workspace, run: str, asked: Asked) -> Evaluated:
    """Scores the artifact of a run that was made here, and stores the scores in its record where that may be.

    Raises:
        UserError: an unknown run, one without a score or a kept artifact, another version of its track or its data,
            what keeps lm-eval from asking, a key that can't sign.
        KeyboardInterrupt: told to stop; nothing was changed.
    """
    recover(workspace)
    held = find(workspace, run)
    record = held.record
    shelf, artifact, score = _kept(workspace, record)
    track = _track(workspace, record)
    voucher = _voucher(workspace, held, asked.key)
    with scratch(workspace.cache, "evaluate") as ground:
        ground.chmod(0o755)  # the sandbox has another user at some levels
        entry = submission.restore(record.entry.name, record.source, ground / "source" / record.entry.name)
        stage(ground / "boot")
        submission.snapshot(entry, ground / "submission")
        shutil.rmtree(ground / "source")
        conditions = Conditions(dataset=record.dataset.id, practice=True, quiet=asked.quiet)
        with open_session(workspace, track, conditions, f"{entry.name}, evaluated") as session:
            _take(shelf, artifact, ground / "artifact")  # no run ends meanwhile, and makes room on the shelf
            _demand_level(session, signing=voucher is not None)
            request = session.request(entry, overrides=record.overrides, seed=record.seed)
            if request.data.manifest.sha256 != record.dataset.sha256:
                raise UserError(
                    f"run {record.run_id} was made on other shards of {record.dataset.id}; check out a commit that has "
                    "the record's"
                )
            rules = track.downstream
            wanted = Wanted(tuple(asked.tasks), asked.limit, CAP_S if rules is None else rules.cap_s, asked.include)
            title = f"{record.run_id} on {', '.join(asked.tasks)} · sandbox {session.level}"
            with live.choose(title, console.console(sys.stderr), sys.stderr, quiet=asked.quiet) as view:
                found = evaluate_kept(Kept(request, ground, record.seed, score.context_tokens), wanted, view.observe)
    return _answer(workspace, held, found, score, voucher)


def _kept(workspace: Workspace, record: Record) -> tuple[Path, Artifact, Score]:
    """Where the artifact lies, what it must be, and what it scored."""
    if not record.scored or record.artifact is None or record.score is None:
        raise UserError(f"run {record.run_id} ended as {record.verdict}: there is nothing to evaluate")
    folder = workspace.cache / "artifacts" / record.run_id
    if not folder.is_dir():
        raise UserError(
            f"the artifact of run {record.run_id} is not kept here (only the latest ones of this machine are); "
            f"speedrun reproduce {record.run_id} makes it again, and its runs can be evaluated"
        )
    return folder, record.artifact, record.score


def _take(shelf: Path, artifact: Artifact, folder: Path) -> None:
    try:
        take(shelf, artifact, folder)
    except FileNotFoundError:
        raise UserError("the artifact is no longer kept: later runs took its place; --keep N keeps more") from None


def _track(workspace: Workspace, record: Record) -> Track:
    track = find_track(record.track.id, workspace.tracks)
    if track.version != record.track.version:
        raise UserError(
            f"run {record.run_id} was made under version {record.track.version} of {track.id}, today's is version "
            f"{track.version}; check out a commit that has the record's"
        )
    return track


def _voucher(workspace: Workspace, held: Held, key: Path | None) -> Voucher | None:
    """For a verified record and its maintainer; before anything runs."""
    if key is None:
        return None
    if held.record.tier is not Tier.VERIFIED or held.unsigned:
        raise UserError(f"run {held.record.run_id} is not verified, so there is nothing to sign; leave --key out")
    voucher = Voucher(workspace, key)
    voucher.demand()
    _signature(workspace, voucher, held.record, secrets.token_bytes(32))  # a trial: today's key may be younger than it
    return voucher


def _signature(workspace: Workspace, voucher: Voucher, record: Record, data: bytes) -> bytes:
    """Over `data`, by a key that counts for this run. Raises UserError: it can't sign, or was no maintainer's then."""
    signature = voucher.sign(data)
    if signed_by(data, signature, workspace.results.parent / MAINTAINERS_NAME, record.started_at) is None:
        raise UserError(
            f"the key was not a maintainer's when run {record.run_id} began ({record.started_at[:10]}), so it can't "
            "sign its record; ask a maintainer whose key was"
        )
    return signature


def _demand_level(session: Session, *, signing: bool) -> None:
    if signing and session.level not in LEVELS:
        wanted = " or ".join(LEVELS)
        raise UserError(
            f"the record of a verified run takes scores from the sandbox level {wanted}, this is {session.level}; "
            "speedrun doctor"
        )


def _answer(workspace: Workspace, held: Held, found: Downstream, score: Score, voucher: Voucher | None) -> Evaluated:
    record, file = held.record, None
    why = ""
    if not found.tasks:
        why = "there are no scores"
    elif record.tier is Tier.VERIFIED and voucher is None:
        why = "this run is verified, and a maintainer signs what is added to it; --key FILE names his key"
    else:
        file, why = _stored(workspace, held, found, voucher)
    return Evaluated(
        run_id=record.run_id,
        entry=record.entry.name,
        track=record.track.id,
        loss_nats=score.loss_nats,
        downstream=found,
        file=file,
        not_stored=why,
    )


def _stored(workspace: Workspace, held: Held, found: Downstream, voucher: Voucher | None) -> tuple[str | None, str]:
    """Where the scores are now, or why they are nowhere. They cost time, so nothing here ends the command."""
    try:
        now = find(workspace, held.record.run_id)  # another evaluation may have added to it meanwhile
        if _run_of(now.record) != _run_of(held.record):
            return None, "its record is another one by now"
        record = msgspec.structs.replace(now.record, downstream=merged(now.record.downstream, found))
        signature = None
        if voucher is not None:
            signature = _signature(workspace, voucher, record, encode(record))
        with Interrupts() as interrupts:
            interrupts.hold()  # two files that belong together
            path = Store(workspace.results).replace(now, record, signature)
    except (UserError, OSError) as error:
        return None, str(error)
    return path.relative_to(workspace.root).as_posix(), ""


def _run_of(record: Record) -> Record:
    """All but what an evaluation adds."""
    return msgspec.structs.replace(record, downstream=None)


def merged(before: Downstream | None, found: Downstream) -> Downstream:
    """What was known of a run and what is new: a task that was asked again has its new scores."""
    anew = {task.name for task in found.tasks}
    kept: Iterable[DownstreamTask] = before.tasks if before is not None else ()
    return Downstream(tasks=(*(task for task in kept if task.name not in anew), *found.tasks))
