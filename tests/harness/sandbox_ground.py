"""Where an attack of sandbox_table.py is tried, and what can come of it."""

import contextlib
import itertools
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from harness.result import Level
from harness.sandbox import Interpreter, Limits
from tests.harness.sandbox_rig import LIMITS, STANDIN, Rig, rig_at

names = itertools.count()  # of folders and files, so that no two attacks meet


class Outcome(StrEnum):
    """What came of an attack."""

    STOPPED = "stopped"
    LIMITED = "limited"  # it goes on as far as its limit
    WORKS = "works"


class Column(NamedTuple):
    """Where an attack is tried."""

    level: Level
    filtered: bool = True  # False: as on a system that takes no seccomp filter

    def __str__(self) -> str:
        return str(self.level) if self.filtered else f"{self.level}, no filter"


class Ground:
    """Sandboxes of one column: one for all attacks that leave it standing, fresh ones for the others."""

    def __init__(self, column: Column, folder: Path, interpreter: Interpreter) -> None:
        self.column = column
        self._folder = folder
        self._interpreter = interpreter
        self._rig: Rig | None = None

    def __enter__(self) -> "Ground":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._rig is not None:
            self._rig.__exit__()

    @property
    def rig(self) -> Rig:
        """The shared one."""
        if self._rig is None:
            self._rig = self.another()
            self._rig.start(filtered=self.column.filtered)
        return self._rig

    def another(self, limits: Limits = LIMITS) -> Rig:
        """One that is not started. Skips the test where the level does not work."""
        return rig_at(self.column.level, self._folder / f"{self.column}-{next(names)}", self._interpreter, limits)

    @contextlib.contextmanager
    def fresh(self, limits: Limits = LIMITS) -> Iterator[Rig]:
        with self.another(limits) as rig:
            yield rig.start(filtered=self.column.filtered)


def works(condition: bool) -> Outcome:
    return Outcome.WORKS if condition else Outcome.STOPPED


@dataclass(frozen=True)
class Ask:
    """One request to the stand-in, which is refused or not."""

    request: Callable[[Rig], tuple[Any, ...]]  # the stand-in's function, and its arguments

    def __call__(self, ground: Ground) -> Outcome:
        return works("value" in ground.rig.ask(*self.request(ground.rig)))

    def works_outside(self, ground: Ground) -> bool:
        """Whether this machine lets a process of the same user do it that nobody confines."""
        code = (
            "import json, runpy, sys; name, *arguments = json.loads(sys.argv[2]);"
            "runpy.run_path(sys.argv[1])[name](*arguments)"
        )
        request = json.dumps(self.request(ground.rig))
        done = subprocess.run([sys.executable, "-c", code, STANDIN, request], capture_output=True, check=False)
        return done.returncode == 0
