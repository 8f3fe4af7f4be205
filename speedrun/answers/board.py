"""About the board."""

from leaderboard.ranking import Board
from speedrun.answers.base import Answer, Part


class BrokenRecord(Part, frozen=True, kw_only=True):
    """A file among the results that holds no valid record."""

    path: str
    reason: str


class Site(Part, frozen=True, kw_only=True):
    """The board as a site in a folder."""

    folder: str
    written: int  # files that were made now
    unchanged: int
    removed: int  # pages of what is not there any more


class Shown(Answer, frozen=True, kw_only=True, tag="leaderboard"):
    """The board, and what was written."""

    board: Board | None  # None: it was not asked for
    broken: tuple[BrokenRecord, ...]
    written: tuple[str, ...]  # files
    rows_shown: int | None = None  # of each section, where text is printed; None: all
    practice: bool = False  # practice runs are listed too
    site: Site | None = None  # None: it was not asked for

    @property
    def exit_code(self) -> int:
        return 1 if self.broken else 0
