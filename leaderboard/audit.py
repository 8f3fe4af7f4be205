"""What does not fit in the records: in each by itself, against today's tracks and data, and among the others.

A finding is *grave* where no honest run leaves such a record: somebody has changed it, or made it up, or handed it in
twice. The others are worth a look by a person, for there may be a reason. Nothing here decides what counts: the board
has its own rules, and a retraction is a person's.

The same code under two names is worth a look, unless one of the entries says that it is based on the other: whoever
starts from an entry runs it as it is, first. Names, values, comments and layout make no difference (likeness.py).

Not covered: a record that somebody made up with care. Only a maintainer's own runs answer that.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, MutableMapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from harness.result import DatasetRef, Record, TrackRef
from leaderboard.conduct import AGAINST
from leaderboard.duel_store import LoadedDuels
from leaderboard.likeness import code_sha256
from leaderboard.plausibility import Check, Facts, Say, doubts, purpose
from leaderboard.rulings import Rulings
from leaderboard.signatures import LineFault
from leaderboard.store import Broken, Held
from leaderboard.text import plain

_REPEATED: Final = "its seed was that of another run"  # why a run with a given seed is not ranked


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not fit."""

    check: Check
    grave: bool  # no honest run leaves this
    where: str  # a run's id, or a file
    words: str


class _Mark(NamedTuple):
    """Something that two runs seldom have in common."""

    what: Hashable
    grave: Literal["always", "between strangers", "never"]
    words: str  # of a run that has it, too; behind them comes the other run


class _Run(NamedTuple):
    """What is kept of a record that was judged by itself, to hold it against the others: a few kilobytes."""

    run_id: str
    started_at: str
    entry: str
    based_on: str | None
    track: TrackRef
    dataset: DatasetRef
    marks: tuple[_Mark, ...]
    code: str  # hash of its code, as likeness.py has it


def audit(records: Iterable[Held], facts: Facts) -> tuple[Finding, ...]:
    """Everything that does not fit in `records`, in the order of the checks. Pure.

    records: each run once. They are taken one at a time, and none is kept: whole they may be more than memory holds.
    """
    found: list[Finding] = []
    kept: list[_Run] = []
    codes: dict[bytes, str] = {}  # by a hash of the files, most of which many runs have
    for held in records:
        found += (_finding(held.record.run_id, say) for say in doubts(held, facts))
        found += _caught(held)
        kept.append(_run(held.record, codes))
    runs = sorted(kept, key=lambda run: (run.started_at[:19], run.run_id))
    found += [*_disagreements(runs, facts), *_twice(runs), *_same_code(runs)]
    return in_order(found)


def files(broken: Iterable[Broken], duels: LoadedDuels, rulings: Rulings, runs: Iterable[str]) -> tuple[Finding, ...]:
    """What is wrong with the files themselves, with the duels and with the rulings. Pure.

    runs: ids of all runs that are there.
    """
    known = frozenset(runs)
    found = [_finding(path, Say(Check.FILE, True, reason)) for path, reason in broken]
    found += (_finding(path, Say(Check.DUEL, True, reason)) for path, reason in duels.broken)
    found += (
        _finding(name, Say(Check.DUEL, True, "says verified, and no valid signature of a maintainer lies beside it"))
        for name in duels.unsigned
    )
    for duel in duels.duels:
        missing = [run for pair in duel.pairs for run in (pair.a, pair.b) if run not in known]
        if missing:
            words = f"{len(missing)} of its runs are not there, {missing[0]} first"
            found.append(_finding(duel.duel_id, Say(Check.DUEL, True, words)))
    found += (_finding(path, Say(Check.RULING, True, reason)) for path, reason in rulings.broken)
    for kind, ruled in (("retraction", rulings.retracted), ("waiver", rulings.waived)):
        found += (
            _finding(run, Say(Check.RULING, False, f"there is a {kind} for this run, which is not there"))
            for run in ruled
            if run not in known
        )
    return in_order(found)


def beside(maintainers: Iterable[LineFault], published: str | None) -> tuple[Finding, ...]:
    """What is wrong with whoever may sign, and with the results of other projects. Pure.

    published: why they can't be read; None: they can.
    """
    found = [_finding(f"maintainers, line {line}", Say(Check.SIGNATURE, True, why)) for line, why in maintainers]
    if published is not None:
        found.append(_finding("published", Say(Check.FILE, True, published)))
    return in_order(found)


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """By check, then the grave ones first, then by what they are about."""
    checks = list(Check)
    return tuple(sorted(findings, key=lambda one: (checks.index(one.check), not one.grave, one.where, one.words)))


def _finding(where: str, say: Say) -> Finding:
    return Finding(check=say.check, grave=say.grave, where=plain(where, 200), words=plain(say.words, 400))


def _caught(held: Held) -> Iterator[Finding]:
    """An entry that cheated in a maintainer's hands: the record is in order, and the entry is not."""
    record = held.record
    if held.signer is not None and record.verdict in AGAINST:
        words = f"{record.entry.name} ended as {record.verdict} for {held.signer}: this source has no place"
        yield _finding(record.run_id, Say(Check.RANKED, False, words))


def _run(record: Record, codes: MutableMapping[bytes, str]) -> _Run:
    """codes: of the files that were hashed so far."""
    files = record.source.files
    # Not the hashes in the record, which are its own words.
    texts = (text.encode(errors="surrogatepass") for file in files for text in (file.path, file.text))
    key = hashlib.sha256(b"".join(hashlib.sha256(text).digest() for text in texts)).digest()
    if key not in codes:
        codes[key] = code_sha256(files)
    return _Run(
        run_id=record.run_id,
        started_at=record.started_at,
        entry=record.entry.name,
        based_on=record.entry.based_on,
        track=record.track,
        dataset=record.dataset,
        marks=tuple(_marks(record)),
        code=codes[key],
    )


def _marks(record: Record) -> Iterator[_Mark]:
    """The harness draws both seeds afresh.

    A run's has 31 bits, so that of 100,000 honest runs two pairs or three share one, and one of the twin 48. That an
    entry has a seed again on one track is what picking a seed looks like, and takes 10,000 runs of it to come by chance
    one time in forty.
    """
    yield _Mark(("id", record.run_id), "always", "has the id of")
    if not (purpose(record) == "reproduce" or _REPEATED in record.unranked_because):
        yield _Mark(("seed", record.seed, record.entry.name, record.track.id), "always", "has the seed of")
        yield _Mark(("seed", record.seed), "never", "has the seed of")
    if record.twin is not None:
        yield _Mark(("twin", record.twin.seed), "always", "has its twin's seed from")
    score, train_s = record.score, record.times.train_s
    if score is not None and train_s is not None:
        yield _Mark(("score", score.loss_nats, train_s), "always", "has, to the last digit, score and time of")
    if record.artifact is not None:
        # What leaves nothing to chance saves the same again; but not in another entry's name.
        yield _Mark(("artifact", record.artifact.sha256), "between strangers", "has the artifact of")


def _disagreements(runs: Sequence[_Run], facts: Facts) -> Iterator[Finding]:
    """What all records of an older version of a track have in common, but for a few; today's are held to its file."""
    older = [
        run
        for run in runs
        if run.track.id not in facts.tracks or run.track.version != facts.tracks[run.track.id].version
    ]
    for run in _minority(older, lambda run: (run.track.id, run.track.version), _terms):
        words = f"its terms of {run.track.id}, version {run.track.version}, are not those of the other records"
        yield _finding(run.run_id, Say(Check.TRACK, True, words))
    official = [run for run in older if run.dataset.official]
    for run in _minority(official, lambda run: (run.track.id, run.track.version, run.dataset.id), _content):
        words = f"its {run.dataset.id} is not the data of the other records"
        yield _finding(run.run_id, Say(Check.DATA, True, words))


def _minority(
    runs: Iterable[_Run], group: Callable[[_Run], Hashable], fact: Callable[[_Run], Hashable]
) -> Iterator[_Run]:
    """The runs for which a fact is not what it is for most of their group; of two as frequent, the older counts."""
    groups: dict[Hashable, list[_Run]] = defaultdict(list)
    for run in runs:
        groups[group(run)].append(run)
    for members in groups.values():
        common = Counter(map(fact, members)).most_common(1)[0][0]
        yield from (run for run in members if fact(run) != common)


def _terms(run: _Run) -> Hashable:
    return run.track.sha256, run.track.objective, run.track.limit_s, run.track.target_nats


def _content(run: _Run) -> Hashable:
    return run.dataset.sha256, run.dataset.vocab_size


def _twice(runs: Sequence[_Run]) -> Iterator[Finding]:
    """One run under two ids."""
    seen: dict[Hashable, _Run] = {}
    for run in runs:
        said: set[str] = set()
        for mark in run.marks:
            other = seen.setdefault(mark.what, run)
            if other is not run and mark.words not in said:
                said.add(mark.words)
                strangers = other.entry != run.entry and not _related(run, other)
                grave = mark.grave == "always" or (mark.grave == "between strangers" and strangers)
                yield _finding(run.run_id, Say(Check.SEED, grave, f"{mark.words} {other.run_id}, of {other.entry}"))


def _same_code(runs: Sequence[_Run]) -> Iterator[Finding]:
    """The first run of every entry whose code an older entry has as well."""
    first: dict[str, dict[str, _Run]] = defaultdict(dict)  # code → entry → its first run
    for run in runs:
        first[run.code].setdefault(run.entry, run)
    for entries in first.values():
        oldest, *others = entries.values()
        for run in others:
            if not _related(run, oldest):
                words = f"{run.entry} has the code of {oldest.entry}, which ran first ({oldest.run_id})"
                yield _finding(run.run_id, Say(Check.LIKENESS, False, words))


def _related(run: _Run, other: _Run) -> bool:
    """One of the two entries says that it is based on the other."""
    return run.based_on == other.entry or other.based_on == run.entry
