"""About entries as they lie in their folders."""

from speedrun.answers.base import Answer, Part


class Created(Answer, frozen=True, kw_only=True, tag="new"):
    """A new entry."""

    name: str
    folder: str


class Fault(Part, frozen=True, kw_only=True):
    """A static rule that an entry breaks."""

    path: str  # inside the entry's folder; empty: the folder itself
    line: int | None
    message: str


class Checked(Answer, frozen=True, kw_only=True, tag="check"):
    """The static rules, applied to an entry."""

    name: str
    problems: tuple[Fault, ...]

    @property
    def exit_code(self) -> int:
        return 1 if self.problems else 0
