"""Every answer as text: which page shows it. Each is imported when it is shown, for it knows a command's own things."""

import importlib
from collections.abc import Mapping
from typing import Final

from rich.console import Console

from speedrun.answers.base import Answer

PAGES: Final[Mapping[str, tuple[str, str]]] = {  # kind of an answer → the module of its page, and what shows it
    "new": ("entry_page", "show_created"),
    "check": ("entry_page", "show_checked"),
    "run": ("verdict_page", "show"),
    "duel": ("duel_page", "show_duel"),
    "retime": ("duel_page", "show_retimed"),
    "leaderboard": ("board_page", "show"),
    "history": ("history_page", "show"),
    "ruling": ("ruling_page", "show"),
    "verify": ("verify_page", "show"),
    "audit": ("audit_page", "show"),
    "record": ("run_page", "show"),
    "evaluate": ("evaluate_page", "show"),
    "compare": ("compare_page", "show"),
    "tracks": ("track_page", "show_tracks"),
    "track": ("track_page", "show_track"),
    "datasets": ("dataset_page", "show_datasets"),
    "dataset": ("dataset_page", "show_ready"),
    "doctor": ("doctor_page", "show"),
    "reproduce": ("reproduce_page", "show"),
    "verify-pr": ("pull_request_page", "show"),
    "queue": ("queue_page", "show_queue"),
    "verify-all": ("queue_page", "show_verified"),
}


def show(value: Answer, console: Console) -> None:
    """Prints any answer but a source, which is printed as it is."""
    module, function = PAGES[str(value.__struct_config__.tag)]
    getattr(importlib.import_module(f"speedrun.{module}"), function)(value, console)
