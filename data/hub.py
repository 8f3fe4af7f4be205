"""The Hugging Face hub: which commit a revision is, whole files that go on where they stopped, rows in a stream.

The one place that knows huggingface_hub and datasets. What they raise leaves here as one line; what our own disk
refuses stays an OSError. Where the hub is, and who asks, is for the libraries' environment to say (HF_ENDPOINT,
HF_TOKEN).
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import msgspec

from harness.errors import UserError

if TYPE_CHECKING:
    from huggingface_hub import RepoFile

BLOCK_BYTES = 8 << 20  # of one request, and so the most that a broken download loses
BATCH_ROWS = 1000
_COMMIT = re.compile(r"[0-9a-f]{40}")
STREAM_RETRIES = 3  # of datasets itself, some seconds each: what is whole is kept, so nobody needs to wait long


class Repository(NamedTuple):
    """A repository of the hub at one commit."""

    name: str
    commit: str
    kind: str  # "dataset" or "model"


def at_commit(name: str, revision: str, kind: str) -> Repository:
    """Ask the hub which commit a revision is. Raises UserError: no connection, an unknown or gated repository."""
    from huggingface_hub import HfApi

    with _in_one_line(name, revision):
        commit = HfApi().repo_info(name, revision=revision, repo_type=kind).sha
    if commit is None or not _COMMIT.fullmatch(commit):
        raise UserError(f"the hub doesn't say which commit {revision} of {name} is; check HF_ENDPOINT")
    return Repository(name, commit, kind)


class Arrived(NamedTuple):
    """A file that is whole, and is what the hub says it is."""

    path: Path
    sha256: str


def download(
    repository: Repository, file: str, folder: Path, progress: Callable[[int], None] = lambda count: None
) -> Arrived:
    """Fetch a file into a folder of its commit below `folder`.

    What a broken download has fetched stays there and is where the next one goes on: what has begun to arrive of
    another commit is of no use. `progress` is told how many bytes are there. The caller moves the file away.

    Raises UserError: no such file, no connection, fewer bytes than the hub names or other ones; OSError: full disk.
    """
    from huggingface_hub import HfApi, RepoFile

    name, commit, kind = repository
    with _in_one_line(name, commit):
        found = HfApi().get_paths_info(name, [file], revision=commit, repo_type=kind)
    described = next((info for info in found if isinstance(info, RepoFile) and info.path == file), None)
    if described is None:
        raise UserError(f"{name} has no file {file} at commit {commit[:12]}; check the manifest's source")
    path = folder / commit / file
    path.parent.mkdir(parents=True, exist_ok=True)
    digests = _Digests(described)
    if not path.exists() or path.stat().st_size != described.size:
        with path.open("ab+") as out:
            if out.tell() > described.size:
                out.truncate(0)
            done = digests.take(out)
            for block in _blocks(repository, file, done, described.size):
                progress(done)
                out.write(block)
                digests.update(block)
                done += len(block)
            out.flush()
            os.fsync(out.fileno())
    else:
        with path.open("rb") as whole:
            digests.take(whole)
    progress(described.size)
    if not digests.agree():
        path.unlink()
        raise UserError(f"{file} of {name} arrived with another hash than the hub names, and was deleted; try again")
    path.chmod(0o444)  # a run links it into a sandbox, whose user must be able to read it
    return Arrived(path, digests.sha256)


def _blocks(repository: Repository, file: str, done: int, total: int) -> Iterator[bytes]:
    """What follows the first `done` of `total` bytes. Raises UserError: no connection, fewer or more bytes."""
    from huggingface_hub import HfFileSystem

    name, commit, kind = repository
    prefix = "datasets/" if kind == "dataset" else ""
    with _in_one_line(name, commit):
        remote = HfFileSystem().open(f"{prefix}{name}@{commit}/{file}", block_size=BLOCK_BYTES, cache_type="none")
    with remote:
        remote.seek(done)
        while done < total:
            wanted = min(BLOCK_BYTES, total - done)
            with _in_one_line(name, commit):
                block = remote.read(wanted)
            if not block:
                raise UserError(
                    f"{file} of {name} is truncated: the hub names {total:,} bytes and sends {done:,}; try again later"
                )
            if len(block) > wanted:
                raise UserError(
                    f"{len(block):,} bytes of {file} came where {wanted:,} were asked for: something between here and "
                    "the hub, a proxy perhaps, ignores ranges; go around it"
                )
            yield block
            done += len(block)


class _Digests:
    """The hashes of a file as it arrives: its sha256 and, where git keeps the file itself, git's own."""

    def __init__(self, described: "RepoFile") -> None:
        self._due = described.blob_id if described.lfs is None else described.lfs.sha256
        self._sha256 = hashlib.sha256()
        # Source: git-hash-object(1). LFS files are pointers in git, and named by the sha256 of what they point to.
        header = b"blob %d\0" % described.size
        self._blob = hashlib.sha1(header, usedforsecurity=False) if described.lfs is None else None

    def take(self, stream: BinaryIO) -> int:
        """Take a file from its beginning; how many bytes it has."""
        stream.seek(0)
        while block := stream.read(1 << 20):
            self.update(block)
        return stream.tell()

    def update(self, block: bytes) -> None:
        self._sha256.update(block)
        if self._blob is not None:
            self._blob.update(block)

    def agree(self) -> bool:
        """Whether these are the bytes that the hub names."""
        return self._due == (self._sha256 if self._blob is None else self._blob).hexdigest()

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()


class Position(msgspec.Struct, frozen=True):
    """A place in a stream of rows, to come back to without reading what lies before it."""

    rows: int
    commit: str  # of the repository
    library: str  # whose state it is
    state: dict[str, Any]


class Column:
    """One column of a repository's parquet files, streamed in order."""

    def __init__(self, repository: Repository, config: str | None, split: str, column: str) -> None:
        """Raises UserError: no such configuration, split or column, files that are no parquet, no connection."""
        import datasets

        datasets.config.STREAMING_READ_MAX_RETRIES = STREAM_RETRIES
        datasets.config.STREAMING_OPEN_MAX_RETRIES = STREAM_RETRIES
        datasets.logging.set_verbosity_error()
        datasets.disable_progress_bars()
        self._library = f"datasets {datasets.__version__}"
        self.repository, self.column = repository, column
        with _in_one_line(repository.name, repository.commit):
            stream = datasets.load_dataset(
                repository.name,
                config,
                split=split,
                revision=repository.commit,
                streaming=True,
                columns=[column],
                batch_size=BATCH_ROWS,  # by itself it takes the size of a file's first row group, which may be 0
            )
            columns = stream.column_names or ()
        if column not in columns:
            raise UserError(
                f"{repository.name} has no column {column!r} in its {split} split; check the manifest's source"
            )
        self._stream = stream.with_format("arrow")
        self._start = self._stream.state_dict()

    def batches(self, first: int, near: Position | None = None) -> Iterator[tuple[Any, Position]]:
        """The rows from number `first` on: pyarrow arrays, and the place where each began.

        near: a place at or before `first`, as an earlier stream of the same repository told it.
        """
        start = Position(0, self.repository.commit, self._library, self._start)
        if near is None or (near.commit, near.library) != (start.commit, start.library) or near.rows > first:
            near = start
        rows = near.rows
        with _in_one_line(self.repository.name, self.repository.commit):
            self._stream.load_state_dict(near.state)
            batches = iter(self._stream.iter(batch_size=BATCH_ROWS))
        while True:
            place = Position(rows, self.repository.commit, self._library, self._stream.state_dict())
            with _in_one_line(self.repository.name, self.repository.commit):
                table = next(batches, None)
            if table is None:
                return
            skipped = min(max(first - rows, 0), len(table))
            rows += len(table)
            if skipped < len(table):
                yield table.column(self.column).combine_chunks()[skipped:], place


@contextlib.contextmanager
def _in_one_line(name: str, revision: str) -> Iterator[None]:
    """Around calls of the libraries alone: whatever they raise is about the hub or the way to it."""
    from huggingface_hub import errors

    try:
        yield
    except errors.GatedRepoError:
        raise UserError(
            f"{name} is gated: accept its terms on its page, then set HF_TOKEN to a token that may read it"
        ) from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"the hub has no repository {name}, or doesn't show it without a token that may read it (HF_TOKEN)"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{name} has no revision {revision}; check the manifest") from None
    except errors.EntryNotFoundError:
        raise UserError(f"{name} lacks a file that it lists at revision {revision[:12]}; check the manifest") from None
    except Exception as error:
        if _is_of_the_network(error):
            raise UserError(
                f"no connection to the hub ({_first_line(error)}); try again: what has arrived of {name} is kept"
            ) from None
        raise UserError(
            f"{name} can't be read from the hub at revision {revision[:12]}: {_first_line(error)}"
        ) from None


def _is_of_the_network(error: BaseException) -> bool:
    """Whether a connection failed. The hub's HTTP library has changed its name before, its exceptions have not."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, (ConnectionError, TimeoutError)):
            return True
        if any(kind.__name__ in ("TransportError", "RequestException") for kind in type(seen).__mro__):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:200]}" if lines else type(error).__name__
