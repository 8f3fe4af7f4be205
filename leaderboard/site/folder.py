"""The folder that the site lies in: what of it is ours, what is up to date, and writing and removing the rest.

`.site.json` names every file that we wrote, with the digest of what it was made of and its size. It is written twice:
before the first page, with the pages that are about to be written marked as unknown, and after the last. So whoever is
killed in between leaves a site that the next build mends, and no page that the next build believes and should not.
Nothing else in the folder is ever removed, and no link in it is followed.

Pages are written whole or not at all, and not synced to the disk one by one: they can be made again. A power cut may
leave empty ones behind; their sizes give them away.
"""

import contextlib
import fcntl
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from harness.errors import UserError
from leaderboard import atomic
from leaderboard.reading import read_regular
from leaderboard.schema import ENTRY_NAME, RUN_ID, TRACK_ID, RecordError

MANIFEST: Final = ".site.json"
SUBFOLDERS: Final = ("assets", "entries", "runs", "tracks")

_MANIFEST_CAP_BYTES: Final = 256 * 2**20  # 20,000 records make 2 MB
_FORMAT: Final = 1
_SINGLE: Final = ("index.html", "compare.html", "assets/site.css", "assets/site.js", "assets/plotly.min.js")
_MANY: Final = {"tracks": TRACK_ID, "entries": re.compile(ENTRY_NAME), "runs": RUN_ID}  # names, less .html
_LEFTOVER: Final = re.compile(rf"\.(?P<name>.+)\.[0-9a-f]{{8}}{re.escape(atomic.TEMPORARY_SUFFIX)}")


class Known(NamedTuple):
    """What a file was made of, and what the file system said of it when it had been written."""

    digest: str  # UNKNOWN: nobody knows
    size_bytes: int
    changed_ns: int


UNKNOWN: Final = ""  # the digest of a file that must be written whenever it is asked for


class _Manifest(msgspec.Struct, frozen=True, kw_only=True):
    format: int
    files: dict[str, Known]


class SiteFolder:
    """A folder that is locked for us; see `opened`."""

    def __init__(self, folder: Path, known: Mapping[str, Known]) -> None:
        self._folder = folder
        self._root = os.fspath(folder)
        self._known = dict(known)
        self._seen = dict(_files(folder))

    @property
    def names(self) -> frozenset[str]:
        """The files that we wrote before."""
        return frozenset(self._known)

    def holds(self, path: str, digest: str) -> bool:
        """Whether this file lies there as it was written, made of this."""
        known = self._known.get(path)
        return known is not None and digest != UNKNOWN and known == (digest, *self._seen.get(path, ()))

    @contextlib.contextmanager
    def changing(self, paths: Iterable[str]) -> Iterator[None]:
        """Within, these files may be written and removed. Raises UserError."""
        self._known |= {path: Known(UNKNOWN, 0, 0) for path in paths}
        self._remember()
        try:
            yield
        finally:
            self._remember()

    def write(self, path: str, data: bytes, digest: str) -> Known:
        """Only inside `changing`; may be called in a child of this process, too. Raises UserError.

        As leaderboard.atomic.replace does it, less what thousands of small files would wait for.
        """
        folder, _, name = path.rpartition("/")
        temporary = Path(f"{self._root}/{folder}/.{name}.{secrets.token_hex(4)}{atomic.TEMPORARY_SUFFIX}")
        try:
            try:
                descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
                try:
                    left = memoryview(data)
                    while left:
                        left = left[os.write(descriptor, left) :]
                    facts = _facts(os.fstat(descriptor))
                finally:
                    os.close(descriptor)
                temporary.replace(f"{self._root}/{path}")
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
        except OSError as error:
            raise atomic.cannot_write(self._folder / path, error) from None
        return Known(digest, *facts)

    def written(self, path: str, known: Known) -> None:
        """Says what a file that was written is made of, so that it need not be written again."""
        self._known[path] = known

    def remove(self, path: str) -> None:
        """A file that we wrote; it may be gone already. Only inside `changing`. Raises UserError."""
        try:
            (self._folder / path).unlink(missing_ok=True)
        except OSError as error:
            raise UserError(f"cannot remove {self._folder / path}: {error.strerror}; take it away by hand") from None
        del self._known[path]

    def _remember(self) -> None:
        manifest = _Manifest(format=_FORMAT, files=dict(sorted(self._known.items())))
        atomic.replace(self._folder / MANIFEST, msgspec.json.encode(manifest) + b"\n")


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[SiteFolder]:
    """The folder, made where there is none, for this process alone.

    Raises:
        UserError: it can't be made or read, another process builds there, or it holds files and no site of ours.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileExistsError, NotADirectoryError):
        raise UserError(f"{folder} is no folder; name a new one or an empty one") from None
    except OSError as error:
        raise atomic.cannot_write(folder, error) from None
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"another process is building a site in {folder}; try again when it is done") from None
        except OSError as error:
            raise atomic.cannot_write(folder, error) from None
        yield _prepared(folder)
    finally:
        os.close(descriptor)


def _prepared(folder: Path) -> SiteFolder:
    try:
        present = {entry.name for entry in os.scandir(folder)}
        if present and MANIFEST not in present:
            raise UserError(f"{folder} holds files that are no site of ours; name a new folder or an empty one")
        known = _recalled(folder / MANIFEST)
        for name in SUBFOLDERS:
            (folder / name).mkdir(exist_ok=True)
            if (folder / name).is_symlink() or not (folder / name).is_dir():
                raise UserError(f"{folder / name} is no folder but a link; take it away")
        for each in (folder, *(folder / name for name in SUBFOLDERS)):
            _tidy(folder, each)
        return SiteFolder(folder, known)
    except OSError as error:
        raise atomic.cannot_write(folder, error) from None


def _recalled(manifest: Path) -> dict[str, Known]:
    """What the manifest says. Where it is none of ours, nothing: all is made anew, and nothing removed."""
    try:
        found = msgspec.json.decode(read_regular(manifest, _MANIFEST_CAP_BYTES, "manifest"), type=_Manifest)
    except (RecordError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    if found.format != _FORMAT:
        return {}
    return {path: known for path, known in found.files.items() if _is_ours(path)}


def _is_ours(path: str) -> bool:
    """Whether a file of this name, inside the site, could be one that we write."""
    folder, _, name = path.rpartition("/")
    if folder not in _MANY:
        return path in _SINGLE
    return name.endswith(".html") and _MANY[folder].fullmatch(name.removesuffix(".html")) is not None


def _facts(found: os.stat_result) -> tuple[int, int]:
    """What gives away that somebody else has changed a file: its size in bytes, and when it was written."""
    return found.st_size, found.st_mtime_ns


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Every regular file of the site, and its facts."""
    for name in ("", *SUBFOLDERS):
        with os.scandir(folder / name) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield (f"{name}/{entry.name}" if name else entry.name), _facts(entry.stat(follow_symlinks=False))


def _tidy(folder: Path, each: Path) -> None:
    """Takes away what a build that was killed had begun to write."""
    with os.scandir(each) as entries:
        names = [entry.name for entry in entries if entry.name.startswith(".")]
    for name in names:
        leftover = _LEFTOVER.fullmatch(name)
        if leftover is None:
            continue
        written = (each / leftover["name"]).relative_to(folder).as_posix()
        if written == MANIFEST or _is_ours(written):
            (each / name).unlink()
