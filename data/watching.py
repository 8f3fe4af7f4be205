"""Who waits for a data set: told in lines, and how far it is."""

from typing import Protocol


class Watcher(Protocol):
    """What a caller hands in to see the progress of a long preparation."""

    def note(self, line: str) -> None:
        """One line: what begins, or what is worth knowing."""

    def progress(self, done: int, total: int) -> None:
        """So many tokens of so many are there (two bytes of disk each); comes as often as there is something new."""


class Silent:
    """Watches nothing."""

    def note(self, line: str) -> None:
        pass

    def progress(self, done: int, total: int) -> None:
        pass


def size(count: float) -> str:
    """Bytes for people: 2_100_000_000 → "2.1 GB"."""
    for unit, of in (("GB", 1e9), ("MB", 1e6)):
        if count >= of:
            return f"{count / of:.1f} {unit}" if count < 100 * of else f"{count / of:,.0f} {unit}"
    return f"{count / 1e3:.0f} kB"
