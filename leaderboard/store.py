"""The records on disk: `<results>/<track>/<run id>.json`, added one at a time, read by whoever likes, and changed only
where something is found out about a run afterwards (`replace`).

A record is there whole or not at all, whatever kills the writer, and two writers never lose each other's. Readers take
no lock, since a rename is all they can see, but for one case: replacing a signed record takes two, and whoever reads
between them finds the old record with the new signature. So where a signature does not hold and was written just now,
it is read once more with its record, when the writer is done. Not covered: file systems without `flock` across machines
(some NFS); readers who may not write to the folder, and so can't wait for the writer.

A record that says verified counts as that only when the signature beside it, `<run id>.json.sig`, is a maintainer's
over exactly its bytes; otherwise it is read as self-reported and named among the unsigned.
"""

import contextlib
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.errors import UserError, nearest
from harness.result import Record, Tier, encode
from leaderboard import atomic
from leaderboard.collector import paused
from leaderboard.index import Content, TrackIndex, read, unread
from leaderboard.reading import read_regular
from leaderboard.schema import RECORD_CAP_BYTES, RecordError, Summary, check_place, check_writable, decode
from leaderboard.signatures import SIGNATURE_CAP_BYTES, Signed, Verdicts
from leaderboard.text import plain

LOCK_NAME = ".lock"
MAINTAINERS_NAME = "maintainers"  # beside the results folder
SIGNATURE_SUFFIX = ".sig"
READ_AHEAD_BYTES = 4 * 2**20  # of records in one go, which take several times that when decoded: some dozen usual ones
LOCK_WAIT_S = 60.0  # an add takes milliseconds; whoever holds the lock for a minute is stuck
BETWEEN_RENAMES_S = 10.0  # a signature that is older has its record beside it: they come milliseconds apart


class Unfit(UserError):  # noqa: N818 - the record's fault, not an error of the disk
    """This record can't be stored here, now or later."""


class Broken(NamedTuple):
    """A file that should hold a record and does not."""

    path: str  # relative to the results folder
    reason: str  # one line


class Loaded(NamedTuple):
    """What a folder of results holds, in order of track and run id."""

    records: tuple[Summary, ...]  # one whose signature is not valid is self-reported
    broken: tuple[Broken, ...]
    unsigned: frozenset[str]  # ids of the runs that say verified, without a valid signature
    digests: Mapping[str, str]  # run id → sha256 of its file, in hexadecimal


class Held(NamedTuple):
    """A record as its file has it: its tier is what it says of itself."""

    record: Record
    path: str  # relative to the results folder
    data: bytes  # the whole file
    signature: bytes | None  # None: there is none beside it
    signer: str | None  # the maintainer whose valid signature it is

    @property
    def unsigned(self) -> bool:
        """It says verified, and nobody who counts has signed it."""
        return self.record.tier is Tier.VERIFIED and self.signer is None

    @property
    def counted(self) -> Record:
        """The record as everybody should take it: verified only with a valid signature."""
        return msgspec.structs.replace(self.record, tier=Tier.SELF_REPORTED) if self.unsigned else self.record


class _Run(NamedTuple):
    """A record that is not broken."""

    name: str  # of its file, relative to the results folder
    summary: Summary
    digest: str


class Store:
    """Every record of a results folder, which need not exist before the first one is added.

    cache: where `load` remembers what records held, and verdicts on signatures, which saves seconds with many; None:
        nowhere. Nothing that is answered depends on it.
    """

    def __init__(self, results: Path, cache: Path | None = None) -> None:
        self._results = results
        self._maintainers = results.parent / MAINTAINERS_NAME
        self._cache = cache

    def add(self, record: Record, signature: bytes | None = None) -> Path:
        """Writes the record and returns its file. The same record twice is no error and changes nothing.

        signature: over `encode(record)`; lies beside the record, and is there before it. A record that is there
            already gets it, too.

        Raises:
            Unfit: the record is not valid, or another one has its id.
            UserError: there is no space, no permission, somebody holds the lock.
        """
        try:
            check_writable(record)
            data = encode(record)
            decode(data)
        except (RecordError, UnicodeEncodeError) as error:
            raise Unfit(f"run {plain(record.run_id, 80)} cannot be recorded: {error}") from None
        folder = self._results / record.track.id
        path = folder / f"{record.run_id}.json"
        with self._locked():
            try:
                if not folder.is_dir():
                    folder.mkdir()
                    atomic.sync_folder(self._results)
                # Under the lock nobody is writing: what lies there was left by a writer that was killed.
                for leftover in folder.glob(f".*{atomic.TEMPORARY_SUFFIX}"):
                    leftover.unlink()
            except OSError as error:
                raise atomic.cannot_write(path, error) from None
            for other in self._results.glob(f"*/{path.name}"):
                if other == path and _same(other, data):
                    if signature is not None and _signature(path) != signature:
                        atomic.replace(signature_path(path), signature)
                    return path
                raise Unfit(f"a different record named {record.run_id} is in {other.parent}; nothing was written")
            if signature is not None:
                atomic.replace(signature_path(path), signature)
            atomic.replace(path, data)
        return path

    def replace(self, held: Held, record: Record, signature: bytes | None = None) -> Path:
        """Puts a record in the place of the one that is held, whole or not at all, and returns its file.

        For what is found out about a run afterwards; the run stays the same one. A writer that is killed between a
        signature and its record leaves the old record with a signature that is not its own: it counts as self-reported.

        Args:
            held: as it was read.
            record: of the same run.
            signature: over `encode(record)`; None: the record says self-reported.

        Raises:
            Unfit: the record is not valid, or of another run.
            UserError: the file has changed since it was read; no space, no permission, somebody holds the lock.
        """
        shown = plain(record.run_id, 80)
        try:
            check_writable(record)
            data = encode(record)
            decode(data)
        except (RecordError, UnicodeEncodeError) as error:
            raise Unfit(f"run {shown} cannot be recorded: {error}") from None
        path = self._results / record.track.id / f"{record.run_id}.json"
        if (record.run_id, record.track.id) != (held.record.run_id, held.record.track.id):
            raise Unfit(f"run {shown} cannot take the place of {plain(held.record.run_id, 80)}")
        if (record.tier is Tier.VERIFIED) != (signature is not None):
            raise Unfit(f"run {shown} cannot be recorded: verified goes with a signature, and self-reported without")
        with self._locked():
            if not _same(path, held.data):
                raise UserError(f"the record of {shown} has changed meanwhile; try again")
            if signature is not None:
                atomic.replace(signature_path(path), signature)
            atomic.replace(path, data)
        return path

    @paused()
    def load(self, track: str | None = None) -> Loaded:
        """The summaries of all records, or of one track's; broken ones are named and skipped.

        An id names one run: of several files with one id the signed one counts, or else the first, and the others are
        broken.

        Raises:
            UserError: the folder can't be read, or signatures can't be checked (leaderboard.signatures says when).
        """
        found: list[_Run] = []
        broken: list[Broken] = []
        claims: dict[int, Signed] = {}  # by number: whoever likes can lay a file with the id of a signed run elsewhere
        verdicts = Verdicts(self._maintainers, self._cache)
        for name, content, claim in self._contents(track, verdicts):
            if content.summary is None:
                broken.append(Broken(plain(name, 200), content.reason))
                continue
            if claim is not None:
                claims[len(found)] = claim
            found.append(_Run(name, content.summary, content.digest))
        signers = verdicts.signers(tuple(claims.values()))
        signed = {number for number, signer in zip(claims, signers, strict=True) if signer is not None}
        for number in claims.keys() - signed:
            if (again := self._signed_by_now(found[number].name, verdicts)) is not None:
                found[number] = again
                signed.add(number)
        kept: dict[str, int] = {}
        for number in (*sorted(signed), *(number for number in range(len(found)) if number not in signed)):
            run_id = found[number].summary.run_id
            if kept.setdefault(run_id, number) != number:
                broken.append(Broken(plain(found[number].name, 200), f"another record has the id {run_id}"))
        unsigned = {number for number in kept.values() if number in claims and number not in signed}
        runs = [found[number].summary for number in sorted(kept.values())]
        if unsigned:
            ids = frozenset(found[number].summary.run_id for number in unsigned)
            runs = [msgspec.structs.replace(run, tier=Tier.SELF_REPORTED) if run.run_id in ids else run for run in runs]
        return Loaded(
            tuple(runs),
            tuple(broken),
            frozenset(found[number].summary.run_id for number in unsigned),
            {run_id: found[number].digest for run_id, number in kept.items()},
        )

    def _contents(self, track: str | None, verdicts: Verdicts) -> Iterator[tuple[str, Content, Signed | None]]:
        """What each file that should hold a record holds, in order.

        Before it its path, relative to the results folder; behind it, where it says verified, that it is signed, with
        the bytes wherever `verdicts` needs them.
        """
        for path, problem in self._folders(track):
            if problem:
                yield path.name, unread(problem), None
                continue
            try:
                files = [(name, entry) for name, entry in _scan(path) if name.endswith(".json")]
            except OSError as error:
                yield path.name, unread(f"cannot be read: {error.strerror}"), None
                continue
            index = TrackIndex(path, self._cache)
            for name, entry in files:
                content = index.look(entry)
                claim = _claim(path, name, content)
                if claim is not None and claim.data is None and not verdicts.remembers(claim):
                    content = index.read(entry)
                    claim = _claim(path, name, content)
                yield f"{path.name}/{name}", content, claim
            index.save(name for name, _ in files)

    def _signed_by_now(self, name: str, verdicts: Verdicts) -> _Run | None:
        """A record whose signature did not hold, if it was being replaced, and now has one that does."""
        path = self._results / name
        if not _just_signed(path):
            return None
        with self._settled():
            content = read(path)
            claim = _claim(path.parent, path.name, content)
        if content.summary is None or claim is None or verdicts.signers((claim,)) == (None,):
            return None
        return _Run(name, content.summary, content.digest)

    def each(self, track: str | None = None) -> Iterator[Held | Broken]:
        """Every record whole, or one track's, in order, with its bytes and whoever signed it; between them, when it is
        found, whatever is broken.

        One after another: whoever lets go of them has READ_AHEAD_BYTES of them in memory, and a record. They are read
        ahead so that all processors check signatures. Nothing is remembered here.

        Raises:
            UserError: as `load`.
        """
        verdicts = Verdicts(self._maintainers)
        ahead: list[Held] = []
        ahead_bytes = 0
        for path, problem in self._files(track):
            try:
                if problem:
                    raise RecordError(problem)
                ahead.append(self._read(path))
            except RecordError as error:
                yield Broken(self._relative(path), str(error))
                continue
            ahead_bytes += len(ahead[-1].data)
            if ahead_bytes >= READ_AHEAD_BYTES:
                yield from self._with_signers(ahead, verdicts)
                ahead, ahead_bytes = [], 0
        yield from self._with_signers(ahead, verdicts)
        yield from self._strays(track)

    def get(self, run: str) -> Record:
        """The whole record with this id, or with the only id that begins so; see `Held.counted` for its tier.

        Raises:
            UserError: as `find`.
        """
        return self.find(run).counted

    def find(self, run: str) -> Held:
        """The record with this id, or with the only id that begins so, and who signed it.

        Raises:
            UserError: none, several, or a broken one; its signature can't be checked.
        """
        paths = [path for path, _ in self._files(None) if path.name.endswith(".json")]
        found = [path for path in paths if path.stem == run] or [
            path for path in paths if run and path.stem.startswith(run)
        ]
        shown = plain(run, 80)
        if not found:
            raise UserError(f"no run {shown!r}; {nearest(shown, {plain(path.stem, 80) for path in paths})}")
        if len(found) > 1:
            some = ", ".join(plain(path.stem, 80) for path in found[:4])
            more = f" and {len(found) - 4} more" if len(found) > 4 else ""
            raise UserError(f"{len(found)} runs begin with {shown!r}: {some}{more}; give more of the id")
        try:
            unchecked = self._read(found[0])
        except RecordError as error:
            raise UserError(f"the record {self._relative(found[0])} is broken: {error}") from None
        (held,) = self._with_signers([unchecked], Verdicts(self._maintainers, self._cache))
        return held

    def _read(self, path: Path) -> Held:
        """A record whose signature nobody has looked at yet. Raises RecordError."""
        data = read_regular(path, RECORD_CAP_BYTES, "record")
        record = decode(data)
        check_place(path, record)
        return Held(record, self._relative(path), data, _signature(path), None)

    def _with_signers(self, records: Sequence[Held], verdicts: Verdicts) -> Iterator[Held]:
        """Records whose signatures nobody has looked at yet, with whoever made them."""
        for held in _checked(records, verdicts):
            path = self._results / held.record.track.id / f"{held.record.run_id}.json"
            yield self._by_now(path, held, verdicts) if held.unsigned and _just_signed(path) else held

    def _by_now(self, path: Path, held: Held, verdicts: Verdicts) -> Held:
        """A record that may have been replaced while it was read."""
        try:
            with self._settled():
                again = self._read(path)
        except RecordError:
            return held
        return next(_checked([again], verdicts))

    def _files(self, track: str | None) -> Iterator[tuple[Path, str]]:
        """Every file that should hold a record, in order, and beside it what is wrong with its place, if anything."""
        for path, problem in self._folders(track):
            if problem:
                yield path, problem
                continue
            try:
                yield from ((path / file, "") for file, _ in _scan(path) if file.endswith(".json"))
            except OSError as error:
                yield path, f"cannot be read: {error.strerror}"

    def _folders(self, track: str | None) -> Iterator[tuple[Path, str]]:
        """The folder of every track, or of one, in order; and what lies beside them and should not, with the reason."""
        try:
            entries = _scan(self._results)
        except OSError as error:
            raise UserError(f"cannot read the records in {self._results}: {error.strerror}") from None
        for name, entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if track in (None, name):
                    yield self._results / name, ""
            elif entry.is_symlink() or name.endswith(".json"):
                yield self._results / name, "not a track's folder; records lie in <track>/<run id>.json"

    def _strays(self, track: str | None) -> Iterator[Broken]:
        """Signatures of records that are not there."""
        for folder, entry in _scan(self._results):
            if not entry.is_dir(follow_symlinks=False) or track not in (None, folder):
                continue
            names = {name for name, _ in _scan(self._results / folder)}
            for name in sorted(names):
                if name.endswith(SIGNATURE_SUFFIX) and name.removesuffix(SIGNATURE_SUFFIX) not in names:
                    path = self._relative(self._results / folder / name)
                    yield Broken(path, "the signature of a record that is not there")

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        import filelock  # not needed to read, and showing a board should start fast

        lock = filelock.FileLock(self._results / LOCK_NAME, timeout=LOCK_WAIT_S, poll_interval=0.01)
        try:
            self._results.mkdir(parents=True, exist_ok=True)
            lock.acquire()
        except filelock.Timeout:
            raise UserError(
                f"{self._results} has been locked by another process for {LOCK_WAIT_S:.0f} s; end it and try again"
            ) from None
        except OSError as error:
            raise atomic.cannot_write(self._results / LOCK_NAME, error) from None
        try:
            yield
        finally:
            lock.release()

    @contextlib.contextmanager
    def _settled(self) -> Iterator[None]:
        """While nobody writes, where that can be had."""
        with contextlib.ExitStack() as stack:
            with contextlib.suppress(UserError):
                stack.enter_context(self._locked())
            yield

    def _relative(self, path: Path) -> str:
        return plain(path.relative_to(self._results).as_posix(), 200)


def signature_path(record: Path) -> Path:
    """Where the signature of a record or a duel lies."""
    return record.with_name(record.name + SIGNATURE_SUFFIX)


def _scan(folder: Path) -> list[tuple[str, os.DirEntry[str]]]:
    """The visible entries of a folder by name; none when there is no such folder. Raises OSError."""
    try:
        with os.scandir(folder) as entries:
            return sorted((entry.name, entry) for entry in entries if not entry.name.startswith("."))
    except FileNotFoundError:
        return []


def _claim(folder: Path, name: str, content: Content) -> Signed | None:
    """That a record is signed, where it says that it is verified.

    The signature is looked for now, not in the listing: it may have come, with its record, while that was made.
    """
    if content.summary is None or content.summary.tier is not Tier.VERIFIED:
        return None
    signature = _signature_bytes(signature_path(folder / name))
    return Signed(content.digest, signature, content.summary.started_at, content.data)


def _just_signed(record: Path) -> bool:
    """Whether a signature came a moment ago, so that the record which it is over may not have been there yet."""
    try:
        return time.time() - signature_path(record).lstat().st_mtime < BETWEEN_RENAMES_S
    except OSError:
        return False


def _checked(records: Sequence[Held], verdicts: Verdicts) -> Iterator[Held]:
    """Records with whoever made the signatures that were read with them."""
    claims = {
        number: Signed.over(held.data, held.signature, held.record.started_at)
        for number, held in enumerate(records)
        if held.signature is not None
    }
    signers = dict(zip(claims, verdicts.signers(tuple(claims.values())), strict=True))
    for number, held in enumerate(records):
        yield held._replace(signer=signers.get(number))


def _same(path: Path, data: bytes) -> bool:
    try:
        return read_regular(path, RECORD_CAP_BYTES, "record") == data
    except RecordError:
        return False


def _signature(record: Path) -> bytes | None:
    """What lies beside a record as its signature; empty, which signs nothing, where that is no such file."""
    path = signature_path(record)
    return _signature_bytes(path) if os.path.lexists(path) else None


def _signature_bytes(path: Path) -> bytes:
    """Empty, which signs nothing, where there is no such file."""
    try:
        return read_regular(path, SIGNATURE_CAP_BYTES, "signature")
    except RecordError:
        return b""
