"""Every file of a results folder at once, where a test looks at all of them."""

from typing import NamedTuple

from leaderboard.store import Broken, Held, Store


class Everything(NamedTuple):
    records: tuple[Held, ...]
    broken: tuple[Broken, ...]  # strange signature files among them


def read_all(store: Store, track: str | None = None) -> Everything:
    found = tuple(store.each(track))
    return Everything(
        tuple(each for each in found if isinstance(each, Held)),
        tuple(each for each in found if isinstance(each, Broken)),
    )
