"""Runs whose harness died left their record in the cache: it goes where every record goes."""

from harness import journal
from leaderboard.store import Store
from speedrun import console
from speedrun.workspace import Workspace


def recover(workspace: Workspace) -> None:
    """Stores what dead runs left behind, and says so. Raises UserError when a record cannot be written."""
    for record in journal.recover(workspace.cache):
        Store(workspace.results).add(record)
        journal.settle(workspace.cache, record.run_id)
        console.note(f"run {record.run_id} had ended without a word; its record says {record.verdict}")
