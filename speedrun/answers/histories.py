"""About who held the records."""

from leaderboard.history import History
from leaderboard.published import Published
from speedrun.answers.base import Answer
from speedrun.answers.board import BrokenRecord


class Histories(Answer, frozen=True, kw_only=True, tag="history"):
    """Who held the records, and what was published elsewhere."""

    tracks: tuple[str, ...]  # that were asked about, in order
    histories: tuple[History, ...]
    published: tuple[Published, ...]  # measured elsewhere
    broken: tuple[BrokenRecord, ...]

    @property
    def exit_code(self) -> int:
        return 1 if self.broken else 0
