"""speedrun verify-pr: judges a pull request as CI does. Nothing of it is executed but its entry, in the sandbox.

What is judged is read from committed objects, never from a checkout of the change, and held against the base's commit:
its entries, its records, its tracks, its maintainers. The code that judges is this checkout's.
"""

import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness import submission
from harness.errors import UserError
from harness.folder import MAX_BYTES, safe_path
from harness.git_objects import Change, Objects, open_objects
from harness.git_tree import FILE_MODE, FOLDER_MODE, Item, ObjectError
from harness.protocol import printable
from harness.result import Record, SourceFile, Verdict
from harness.runner import run_entry
from harness.submission import Submission
from harness.track import find_track
from leaderboard import signatures
from leaderboard.likeness import code_sha256
from speedrun import console, live, pull_request_page
from speedrun.answers import JudgedChange, Trial
from speedrun.base_facts import base_facts
from speedrun.proposed_records import Facts, Judged, RecordFile, judge
from speedrun.pull_request import (
    MOST_CHANGES,
    MOST_RECORD_BYTES,
    SUBMISSIONS,
    Likeness,
    Refusal,
    Sorted,
    copy_refusal,
    file_changes,
    folder_refusals,
    nearest_entry,
    refusal,
    sort_changes,
)
from speedrun.scratch import scratch
from speedrun.session import Conditions, open_session
from speedrun.workspace import Workspace

TRIAL_TRACK = "cpu-smoke"
TOLD = 100  # refusals
LOG_LINES = 15  # of a failed trial
SUMMARY = "GITHUB_STEP_SUMMARY"  # names the file to which a step of GitHub Actions may add markdown

_TEMPLATE = "template"


class _Commits(NamedTuple):
    base: str
    fork: str  # where the change began
    head: str


class _Examined(NamedTuple):
    """The entry as the change has it, with nothing of it run."""

    submission: Submission | None  # None: it breaks a rule
    files: tuple[SourceFile, ...]  # empty: they can't be read
    refusals: tuple[Refusal, ...]


def verify_pr(workspace: Workspace, base: str, head: str, *, run: bool, quiet: bool) -> JudgedChange:
    """The judgement, which is also added to the file that GITHUB_STEP_SUMMARY names.

    Args:
        workspace: the checkout whose code and data a trial uses; the top folder of the repository.
        base: what the change is to be merged into.
        head: the change.
        run: make a trial run if nothing speaks against the change.
        quiet: don't show the trial as it goes.

    Raises:
        UserError: the two can't be compared, or there is no change between them.
    """
    with tempfile.TemporaryDirectory(prefix="speedrun-verify-") as scratch:
        with open_objects(workspace.root) as objects:
            judged, entry = _judged(objects, base, head, Path(scratch))
        if entry is None or not judged.accepted:
            judged = _changed(judged, no_trial_because="nothing of a refused change is run")
        elif run:
            judged = _tried(judged, workspace, entry, quiet=quiet)
        else:
            judged = _changed(judged, no_trial_because="it was left out (--no-run)")
    _summarize(judged)
    return judged


def _judged(objects: Objects, base: str, head: str, scratch: Path) -> tuple[JudgedChange, Submission | None]:
    """Everything but the trial."""
    commits = _Commits(objects.commit(base), "", objects.commit(head))
    answer = JudgedChange(
        base=commits.base,
        head=commits.head,
        accepted=True,
        refusals=(),
        refusals_left_out=0,
        remarks=(),
        entry=None,
        is_new=False,
        card=None,
        files=(),
        likeness=None,
        records=(),
        trial=None,
        no_trial_because="",
    )
    forks = objects.merge_bases(commits.base, commits.head)
    if not forks:
        raise UserError("base and head have no common history; start the change from the base's branch")
    if len(forks) > 1:  # one change against two states: what a merge would make of it is not what a diff shows
        return _refused(answer, [refusal("", "base and head were merged into each other; rebase the change")]), None
    commits = commits._replace(fork=forks[0])
    if commits.head == commits.fork:
        behind = "is the base itself" if commits.head == commits.base else "is part of the base already"
        raise UserError(f"the head {commits.head[:12]} {behind}; there is no change to judge")
    try:
        changes = objects.changes(commits.fork, commits.head, MOST_CHANGES)
    except ObjectError as error:
        return _refused(answer, [refusal("", f"{error}; a pull request holds one entry and its records")]), None
    if not changes:
        raise UserError(f"the commits from {commits.fork[:12]} to {commits.head[:12]} change no file; nothing to judge")
    entries = _folders(objects, commits.base)
    told = sort_changes(changes, entries)
    if told.entry is None:
        return _refused(answer, told.refusals), None
    answer = _changed(answer, entry=told.entry, is_new=told.entry not in entries)
    try:
        return _examination(objects, commits, told, entries, answer, scratch)
    except _Unreadable as error:
        return _refused(answer, [*told.refusals, error.refusal]), None


class _Unreadable(Exception):  # noqa: N818 - a reason to refuse, not an error
    """A part of the change can't be read within its limits."""

    def __init__(self, path: str, error: ObjectError) -> None:
        super().__init__(str(error))
        self.refusal = refusal(path, str(error))


def _examination(
    objects: Objects, commits: _Commits, told: Sorted, entries: list[str], answer: JudgedChange, scratch: Path
) -> tuple[JudgedChange, Submission | None]:
    name = told.entry
    assert name is not None
    entry = _entry(objects, commits, name, scratch / "head")
    before = _source(objects, commits.base, f"{SUBMISSIONS}/{name}") if name in entries else ()
    others = {other: _source(objects, commits.base, f"{SUBMISSIONS}/{other}") for other in entries if other != name}
    template = _source(objects, commits.base, _TEMPLATE)
    nearest = nearest_entry(entry.files, others, template)
    refusals = [*told.refusals, *entry.refusals]
    if nearest is not None and entry.submission is not None:
        was_so = bool(before) and code_sha256(before) == code_sha256(others[nearest.entry])
        copied = copy_refusal(name, nearest, based_on=entry.submission.entry.based_on, was_so=was_so)
        refusals += [copied] if copied is not None else []
    judged = _records(objects, commits, told, entry.submission, scratch)
    answer = _changed(
        answer,
        card=entry.submission.entry if entry.submission is not None else None,
        files=file_changes(before, entry.files) if entry.files else (),
        likeness=nearest,
        records=judged.records,
        remarks=(
            *_remarks(entry.submission, _card_before(before, name, scratch / "base"), nearest, entries),
            *_records_alone(told, before, entry.files),
            *judged.remarks[:TOLD],
        ),
    )
    return _refused(answer, [*refusals, *judged.refusals]), entry.submission


def _remarks(
    entry: Submission | None, before: Submission | None, nearest: Likeness | None, entries: list[str]
) -> Iterator[str]:
    """What refuses nothing and a reviewer should know."""
    if entry is None:
        return
    card = entry.entry
    if before is not None and before.entry.authors != card.authors:
        were, are = (", ".join(author.name for author in one.entry.authors) for one in (before, entry))
        yield f"its authors were {were} and would be {are}"
    if card.based_on is not None and card.based_on not in entries:
        yield f"it says that it is based on {card.based_on}, and there is no such entry"
    if nearest is not None and card.based_on != nearest.entry:
        yield f"it is much like {nearest.entry} and does not say that it is based on it"


def _records_alone(told: Sorted, before: tuple[SourceFile, ...], after: tuple[SourceFile, ...]) -> Iterator[str]:
    """Anybody can run anybody's entry, and do it badly: its worst run is its authors' to hand in, or a maintainer's."""
    if told.records and before and before == after:
        yield (
            "it only adds results of an entry that is there already, and they would count as the entry's own; "
            "make sure that its authors sent them"
        )


# --------------------------------------------------------------------------------------------------------------- entry


def _entry(objects: Objects, commits: _Commits, name: str, scratch: Path) -> _Examined:
    """Reads the entry's folder as the head has it, and holds it to every static rule of `speedrun check`."""
    folder = f"{SUBMISSIONS}/{name}"
    refusals = []
    if objects.find(commits.fork, folder) != objects.find(commits.base, folder):
        refusals.append(refusal(folder, "the base has another state of it by now; merge the base into the change"))
    try:
        items = objects.files(commits.head, folder, MOST_CHANGES)
        sizes = {path: objects.size_bytes(item) for path, item in items.items() if item.mode == FILE_MODE}
        against = list(folder_refusals(name, items, sizes))
        if against:
            return _Examined(None, (), (*refusals, *against))
        contents = {path: objects.read(item, MAX_BYTES) for path, item in items.items()}
    except ObjectError as error:
        raise _Unreadable(folder, error) from None
    _write(contents, scratch / name)
    problems = submission.check(scratch / name, name)
    for problem in problems:
        place = f"{folder}/{problem.path}" if problem.path else folder
        refusals.append(refusal(place if problem.line is None else f"{place}:{problem.line}", problem.message))
    loaded = submission.load(scratch / name, name) if not problems else None
    return _Examined(loaded, _texts(contents), tuple(refusals))


def _card_before(files: tuple[SourceFile, ...], name: str, scratch: Path) -> Submission | None:
    """The entry as the base has it; None: it is new, or breaks a rule of today."""
    if not files:
        return None
    _write({file.path: file.text.encode() for file in files}, scratch / name)
    try:
        return submission.load(scratch / name, name)
    except UserError:
        return None


def _folders(objects: Objects, commit: str) -> list[str]:
    """The names of all entries."""
    return sorted(name for name, item in objects.names(commit, SUBMISSIONS).items() if item.mode == FOLDER_MODE)


def _source(objects: Objects, commit: str, folder: str) -> tuple[SourceFile, ...]:
    """The plain files of a folder of the base's, which a maintainer has merged."""
    items = objects.files(commit, folder, MOST_CHANGES)
    plain = {path: item for path, item in items.items() if item.mode == FILE_MODE and safe_path(path)}
    return _texts({path: objects.read(item, MAX_BYTES) for path, item in plain.items()})


def _texts(contents: dict[str, bytes]) -> tuple[SourceFile, ...]:
    return tuple(
        SourceFile(path=path, text=data.decode(errors="replace"), sha256=hashlib.sha256(data).hexdigest())
        for path, data in sorted(contents.items())
    )


def _write(contents: dict[str, bytes], folder: Path) -> None:
    """Plain files; every path has been found to be one that an entry may have."""
    folder.mkdir(parents=True)
    for path, data in contents.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as stream:
            stream.write(data)


# ------------------------------------------------------------------------------------------------------------- records


def _records(objects: Objects, commits: _Commits, told: Sorted, entry: Submission | None, scratch: Path) -> Judged:
    """The new records, held against what the base knows."""
    if not told.records:
        return Judged((), (), ())
    assert told.entry is not None
    files = tuple(_record_files(objects, told.records, told.signatures))
    base = base_facts(objects, commits.base, scratch)
    return judge(
        files,
        Facts(entry=told.entry, submission=entry, base=base),
        lambda data, signature, at: signatures.signed_by(data, signature, base.maintainers, at),
    )


def _record_files(
    objects: Objects, changes: tuple[Change, ...], signature_items: dict[str, Item]
) -> Iterator[RecordFile]:
    for change in changes:
        assert change.new is not None
        try:
            data = objects.read(change.new, MOST_RECORD_BYTES)
            signed = signature_items.get(change.path)
            signature = objects.read(signed, signatures.SIGNATURE_CAP_BYTES) if signed is not None else None
        except ObjectError as error:
            raise _Unreadable(change.path, error) from None
        yield RecordFile(change.path, data, signature)


# --------------------------------------------------------------------------------------------------------------- trial


def _tried(judged: JudgedChange, workspace: Workspace, entry: Submission, *, quiet: bool) -> JudgedChange:
    """The judgement with the trial's; a trial that can't be made refuses the change, too."""
    folder = f"{SUBMISSIONS}/{entry.name}"
    try:
        record = _run(workspace, entry, quiet=quiet)
    except UserError as error:
        judged = _changed(judged, no_trial_because="it could not be made")
        return _refused(judged, [refusal(folder, f"its trial run could not be made: {error}")])
    log = [line for line in printable(record.log_tail, 100_000).split("\n") if line.strip()]
    trial = Trial(
        track=record.track.id,
        level=record.environment.sandbox.level,
        verdict=record.verdict,
        reason=record.reason,
        loss_nats=record.score.loss_nats if record.score is not None else None,
        train_s=record.times.train_s,
        total_s=record.times.total_s,
        log=tuple(log[-LOG_LINES:]) if record.verdict is not Verdict.OK else (),
    )
    judged = _changed(judged, trial=trial)
    if record.verdict is Verdict.OK:
        return judged
    fault = " (the platform's own fault: run this again)" if record.verdict is Verdict.INTERNAL_ERROR else ""
    return _refused(judged, [refusal(folder, f"its trial run on {TRIAL_TRACK} ended as {record.verdict}{fault}")])


def _run(workspace: Workspace, entry: Submission, *, quiet: bool) -> Record:
    """One run in the sandbox. Its folder is of its own, so that no record of it ever gets among the results."""
    track = find_track(TRIAL_TRACK, workspace.tracks)
    conditions = Conditions(quiet=quiet)
    with (
        open_session(workspace, track, conditions, f"a trial of {entry.name}") as session,
        scratch(workspace.cache, "trial") as folder,
    ):
        folder.chmod(0o755)  # the sandbox may have another user
        request = replace(session.request(entry, practice=("it is a trial",)), cache=folder, keep=0)
        title = f"trial of {entry.name} on {track.id} · sandbox {request.level}"
        with live.choose(title, console.console(sys.stderr), sys.stderr, quiet=quiet) as view:
            record = run_entry(request, view.observe)
        if session.interrupted or record.verdict is Verdict.INTERRUPTED:
            raise KeyboardInterrupt
    return record


# -------------------------------------------------------------------------------------------------------------- answer


def _refused(answer: JudgedChange, refusals: list[Refusal] | tuple[Refusal, ...]) -> JudgedChange:
    """The answer with these refusals; with none it stays as it is."""
    told = [*answer.refusals, *refusals]
    left_out = answer.refusals_left_out + max(0, len(told) - TOLD)
    return _changed(answer, accepted=not told, refusals=tuple(told[:TOLD]), refusals_left_out=left_out)


def _changed(answer: JudgedChange, **fields: object) -> JudgedChange:
    return msgspec.structs.replace(answer, **fields)


def _summarize(judged: JudgedChange) -> None:
    """Adds the page to the summary of the step that runs this, if one does."""
    path = os.environ.get(SUMMARY)
    if not path:
        return
    try:
        with Path(path).open("a", encoding="utf-8") as stream:
            stream.write(pull_request_page.markdown(judged))
    except OSError as error:
        console.note(f"the file that {SUMMARY} names can't be written ({error.strerror}); the judgement stands")
