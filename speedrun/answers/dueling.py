"""About duels."""

from leaderboard.duels import Duel, Outcome
from speedrun.answers.base import Answer, Part


class Fought(Part, frozen=True, kw_only=True):
    """A duel that was run, and what it shows."""

    duel: Duel
    outcome: Outcome
    because: str  # why it ended
    files: tuple[str, ...]  # the duel's, then the runs'
    broken_off: str = ""  # the same, where another run could not be made; empty: any could


class Dueled(Answer, frozen=True, kw_only=True, tag="duel"):
    """Two entries, compared. Good when it is settled, whoever is better."""

    command: str  # that asks for it again
    fought: Fought
    interrupted: bool

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if self.fought.outcome.settled is not None else 1


class Retimed(Answer, frozen=True, kw_only=True, tag="retime"):
    """Every record against the one before it, oldest first. Good when each of them is the better one here, too."""

    fought: tuple[Fought, ...]
    left_out: tuple[str, ...]  # which record could not be run again, and why
    interrupted: bool
    broken_off: str = ""  # why duels are missing; empty: none is

    @property
    def exit_code(self) -> int:
        if self.interrupted:
            return 130
        return 0 if not self.broken_off and all(one.outcome.settled == "a" for one in self.fought) else 1
