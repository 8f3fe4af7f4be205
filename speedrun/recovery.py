"""Runs whose harness died left their record in the cache: it goes where every record goes."""

from collections.abc import Callable

from harness import journal
from harness.errors import UserError
from leaderboard.store import Store, Unfit
from speedrun import console
from speedrun.workspace import Workspace


def recover(workspace: Workspace, say: Callable[[str], None] = console.note) -> None:
    """Stores what dead runs left behind, and says so.

    One that can never be stored is put aside: it stops nobody. One that the disk refuses today stays where it is, for
    the next command.
    """
    try:
        left_behind = journal.recover(workspace.cache)
    except PermissionError:  # somebody else's checkout, looked at: whoever may write to it recovers
        return
    for record in left_behind:
        try:
            Store(workspace.results).add(record)
        except Unfit as error:
            place = journal.put_aside(workspace.cache, record.run_id).relative_to(workspace.root)
            say(f"run {record.run_id} had ended without a word, and can't be stored ({error}); see {place}")
            continue
        except UserError as error:
            say(f"run {record.run_id} is not stored yet ({error}); the next command tries again")
            continue
        journal.settle(workspace.cache, record.run_id)
        say(f"run {record.run_id} had ended without a word; its record says {record.verdict}")
