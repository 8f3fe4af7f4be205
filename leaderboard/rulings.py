"""What maintainers ruled on runs: a small file each beside the results, since a record is never changed.

`<rulings>/<run id>.retraction.json` takes a run out of every ranking; the run stays visible, with the reason.
`<rulings>/<run id>.waiver.json` lets the run's variant (entry, source, overrides) stand on that version of the track
with a mean loss at its target, without the test that it is below.

Everything fails closed: a retraction that can't be read retracts all the same, for its name says which run it is about;
a waiver that can't be read waives nothing. Both are named.
"""

import os
import re
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, get_args

import msgspec

from harness.errors import UserError
from leaderboard import atomic
from leaderboard.schema import RUN_ID, is_utc
from leaderboard.store import Broken
from leaderboard.text import plain

SCHEMA_VERSION: Final = 1
REASON_CAP: Final = 300  # characters

Kind = Literal["retraction", "waiver"]

_FILE_CAP_BYTES: Final = 16 * 1024
_FILE_NAME: Final = re.compile(rf"(?P<run>{RUN_ID.pattern})\.(?P<kind>{'|'.join(get_args(Kind))})\.json")


class Ruling(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was ruled on one run.

    Raises:
        ValueError: a value that makes no sense (msgspec turns it into a ValidationError on decoding).
    """

    schema: int = SCHEMA_VERSION
    run_id: str
    kind: Kind
    reason: str  # one line, for everybody to read
    made_at: str  # UTC, ISO 8601, whole seconds

    def __post_init__(self) -> None:
        if self.schema != SCHEMA_VERSION:
            raise ValueError(f"schema {self.schema} is not known (this version reads {SCHEMA_VERSION})")
        if RUN_ID.fullmatch(self.run_id) is None:
            raise ValueError("run_id must be a run id, such as 20261121-141530-baseline-3f9a")
        if not self.reason or plain(self.reason, REASON_CAP) != self.reason:
            raise ValueError(f"reason must be one line of 1 to {REASON_CAP} visible characters")
        if not is_utc(self.made_at):
            raise ValueError("made_at must be a time in UTC, such as 2026-11-21T14:15:30+00:00")


class Rulings(NamedTuple):
    """Everything that was ruled."""

    retracted: Mapping[str, str]  # run id → why
    waived: Mapping[str, str]  # run id → why
    broken: tuple[Broken, ...] = ()  # files that hold no valid ruling


NO_RULINGS: Final = Rulings(MappingProxyType({}), MappingProxyType({}))


def load(folder: Path) -> Rulings:
    """The rulings in a folder, which need not exist. Raises UserError when it can't be read."""
    retracted: dict[str, str] = {}
    waived: dict[str, str] = {}
    broken: list[Broken] = []
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except FileNotFoundError:
        paths = []
    except OSError as error:
        raise UserError(f"cannot read the rulings in {folder}: {error.strerror}") from None
    for path in paths:
        name = _FILE_NAME.fullmatch(path.name)
        if name is None:
            words = "not a ruling's name; they are called <run id>.retraction.json or <run id>.waiver.json"
            broken.append(Broken(plain(path.name, 200), words))
            continue
        try:
            ruling = _read(path, name["run"], name["kind"])
        except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError) as error:
            words = (error.strerror or "cannot be read") if isinstance(error, OSError) else str(error)
            broken.append(Broken(path.name, plain(words, 300)))
            if name["kind"] == "retraction":
                retracted[name["run"]] = "retracted; the file with the reason is broken"
            continue
        (retracted if ruling.kind == "retraction" else waived)[ruling.run_id] = ruling.reason
    return Rulings(retracted, waived, tuple(broken))


def add(folder: Path, ruling: Ruling) -> Path:
    """Writes the ruling, whole or not at all, and returns its file. Of two at once one is written.

    Raises:
        UserError: the run has one of this kind, broken or not; no space, no permission.
    """
    path = folder / f"{ruling.run_id}.{ruling.kind}.json"
    temporary = folder / f".{path.name}.{secrets.token_hex(4)}{atomic.TEMPORARY_SUFFIX}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise atomic.cannot_write(folder, error) from None
    atomic.replace(temporary, msgspec.json.format(msgspec.json.encode(ruling), indent=1) + b"\n")
    try:
        try:
            os.link(temporary, path)  # unlike a rename, it never takes the place of what is there
        finally:
            temporary.unlink()
        atomic.sync_folder(folder)
    except FileExistsError:
        words = f"run {ruling.run_id} has a {ruling.kind} already, in {folder.name}/{path.name}"
        raise UserError(words) from None
    except OSError as error:
        raise atomic.cannot_write(path, error) from None
    return path


def _read(path: Path, run_id: str, kind: str) -> Ruling:
    """Raises OSError, or ValueError and its kin for what is no ruling of this name."""
    facts = path.lstat()
    if not stat.S_ISREG(facts.st_mode):
        raise ValueError("not a regular file")
    if facts.st_size > _FILE_CAP_BYTES:
        raise ValueError(f"it has {facts.st_size:,} bytes; a ruling has at most {_FILE_CAP_BYTES:,}")
    ruling = msgspec.json.decode(path.read_bytes(), type=Ruling)
    if (ruling.run_id, ruling.kind) != (run_id, kind):
        raise ValueError("the file's name is about another run or another kind of ruling")
    return ruling
