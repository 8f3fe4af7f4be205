"""The command line in a process that kills itself, as `kill -9` would, at a moment that is named.

Started as `python dies.py MOMENT ARGUMENTS…`. The numbers and birthdays of all processes below it are the last thing
that it says, in one JSON line on standard output.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psutil

from harness import calibration, dialogue, journal, runner
from harness.events import Event, Ticked
from speedrun import live
from speedrun.app import main


def die() -> None:
    below = [(process.pid, process.create_time()) for process in psutil.Process().children(recursive=True)]
    print(json.dumps(below), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)


class Deathwatch(live.Silent):
    """Dies in the middle of a phase: at its first tick, when the sandbox of the phase is at work."""

    def __init__(self, phase: str) -> None:
        self._phase = phase

    def observe(self, event: Event) -> None:
        if isinstance(event, Ticked) and event.phase == self._phase:
            die()


def in_phase(phase: str) -> None:
    runner.TICK_S = dialogue.LOOK_INTERVAL_S = 0.0  # the first look tells: a phase may be over within a second
    live.choose = lambda *arguments, **options: Deathwatch(phase)  # type: ignore[assignment]


def in_calibration(number: int) -> None:
    """While the program that measures is at work, for the first or the second time."""
    real, left = subprocess.run, [number]

    def run(command: list[str], **options: Any) -> Any:
        if str(calibration.YARDSTICK) not in command:
            return real(command, **options)
        left[0] -= 1
        if left[0]:
            return real(command, **options)
        del options["timeout"], options["check"]
        subprocess.Popen(command, **options)
        return die()

    subprocess.run = run  # type: ignore[assignment]


def before_renaming(folder: str, number: int) -> None:
    """When a record is written below a folder of this name and not yet there, for the nth time."""
    real, left = pathlib.Path.replace, [number]

    def replace(self: pathlib.Path, target: pathlib.Path) -> pathlib.Path:
        if folder in pathlib.Path(target).parts and pathlib.Path(target).suffix == ".json":
            left[0] -= 1
            if not left[0]:
                die()
        return real(self, target)

    pathlib.Path.replace = replace  # type: ignore[method-assign, assignment]


def before_settling() -> None:
    journal.settle = lambda cache, run_id: die()


MOMENTS: dict[str, Callable[[], None]] = {
    "calibration": lambda: in_calibration(1),
    **{
        phase: lambda phase=phase: in_phase(phase)
        for phase in ("setup", "train", "save", "load", "score", "twin", "sample")
    },
    "verdict": lambda: before_renaming("runs", 3),  # the first record was that of the start, the second that of GO
    "calibration afterwards": lambda: in_calibration(2),
    "store": lambda: before_renaming("results", 1),
    "settle": before_settling,
}


if __name__ == "__main__":
    MOMENTS[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
