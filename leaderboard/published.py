"""What other projects published for the races that our tracks carry on: `leaderboard/published/<track>.json`.

Facts for the reader, copied by hand and marked wherever they are shown: other clocks, other machines and, in part,
other rules. Nothing here is ranked or tested; where it is drawn beside what this harness measured, it is a series of
its own that says so.
"""

import math
import re
from datetime import date
from pathlib import Path
from typing import Final, Literal

import msgspec

from harness.errors import UserError
from leaderboard.schema import TRACK_ID
from leaderboard.text import plain

SCHEMA_VERSION: Final = 1

_TEXT_CAP: Final = 300  # characters
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A piece of a file: immutable, by keyword only, and no unknown field passes."""


class Result(_Part, frozen=True, kw_only=True):
    """One published figure.

    Raises:
        ValueError: a value that makes no sense (msgspec turns it into a ValidationError on decoding).
    """

    number: int  # of the record, as its project counts; of a re-timing: of the record that was timed again
    kind: Literal["record", "re-timing"]
    date: str | None  # None: not published
    train_s: float
    loss_nats: float | None = None  # where it is what counted
    tokens: int | None = None  # trained on
    steps: int | None = None
    repeats_s: tuple[float, ...] = ()  # times of the single runs behind it
    to_beat_s: float | None = None  # what a new record had to stay within, by its project's rule
    authors: tuple[str, ...]
    technique: str
    note: str = ""  # what a reader should know of it, such as a doubt

    def __post_init__(self) -> None:
        _require(self.number >= 1, "number must be at least 1")
        _require(self.date is None or _is_date(self.date), "date must be like 2026-01-16")
        for seconds in (self.train_s, *self.repeats_s, 1.0 if self.to_beat_s is None else self.to_beat_s):
            _require(0 < seconds < math.inf, "times must be seconds above zero")
        for value in (self.loss_nats, self.tokens, self.steps):
            _require(value is None or 0 < value < math.inf, "losses, tokens and steps must be above zero")
        for text in (self.technique, *self.authors):
            _require(bool(text) and _is_plain(text), f"texts must be one line of 1 to {_TEXT_CAP} visible characters")
        _require(_is_plain(self.note), f"note must be one line of at most {_TEXT_CAP} visible characters")


class Published(_Part, frozen=True, kw_only=True):
    """What one project published for one track, oldest first.

    Raises:
        ValueError: as `Result`.
    """

    schema: int = SCHEMA_VERSION
    track: str
    source: str  # whose results these are
    read_on: str  # date on which they were read there
    results: tuple[Result, ...]

    def __post_init__(self) -> None:
        _require(self.schema == SCHEMA_VERSION, f"schema {self.schema} is not known (this one reads {SCHEMA_VERSION})")
        _require(TRACK_ID.fullmatch(self.track) is not None, "track must be a track's id")
        _require(bool(self.source) and _is_plain(self.source), "source must say whose results these are, in one line")
        _require(_is_date(self.read_on), "read_on must be like 2026-01-16")
        numbers = [result.number for result in self.results if result.kind == "record"]
        _require(numbers == list(range(1, len(numbers) + 1)), "records must be numbered from 1, in order")
        later = [result for result in self.results if result.date is not None and result.date > self.read_on]
        _require(not later, "a result is younger than read_on")


def load(folder: Path) -> tuple[Published, ...]:
    """Everything in the folder, which need not exist, by track.

    Raises:
        UserError: a file that can't be read or makes no sense. They are ours, so that none is skipped.
    """
    found = []
    for path in sorted(folder.glob("*.json")):
        try:
            published = msgspec.json.decode(path.read_bytes(), type=Published)
        except OSError as error:
            raise UserError(f"the published results {path.name} can't be read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise UserError(f"the published results {path.name} are broken: {plain(str(error), 300)}") from None
        if path.stem != published.track:
            raise UserError(f"the published results {path.name} are of {published.track}; rename the file")
        found.append(published)
    return tuple(found)


def _require(holds: bool, otherwise: str) -> None:
    """Written so that a comparison with NaN is refused."""
    if not holds:
        raise ValueError(otherwise)


def _is_plain(text: str) -> bool:
    return plain(text, _TEXT_CAP) == text


def _is_date(text: str) -> bool:
    if _DATE.fullmatch(text) is None:
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True
