"""What the commands answer: frozen values, printed as text by speedrun.pages or as JSON by speedrun.console.

In JSON every answer is one object with its kind and the version of the format first.

Every name here is imported from its module when it is first asked for: the answers of one command drag along what
those of another are made of, and showing a board should not wait for what judges a pull request.
"""

import importlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

_NAMES: Final[Mapping[str, tuple[str, ...]]] = {  # by module
    "auditing": ("Audited",),
    "base": ("VERSION", "Answer", "as_json"),
    "board": ("BrokenRecord", "Shown", "Site"),
    "comparing": ("Compared", "ComparedRun"),
    "dueling": ("Dueled", "Fought", "Retimed"),
    "entries": ("Checked", "Created", "Fault"),
    "evaluating": ("Evaluated",),
    "histories": ("Histories",),
    "judging": ("Ruled", "Verified"),
    "machine": ("DatasetReady", "DatasetState", "Datasets", "DeviceState", "Diagnosis", "LevelTrial", "TrackFit"),
    "proposing": ("JudgedChange", "Trial"),
    "queueing": ("Queue", "RefusedEntry", "VerifiedAll", "VerifiedEntry", "Waiting"),
    "reproducing": ("Noise", "Reproduced", "ReproductionOutcome"),
    "runs": ("OnBoard", "Ran", "ShownRun", "ShownSource"),
    "tracks": ("ShownTrack", "Tracks"),
}

if TYPE_CHECKING:
    from speedrun.answers.auditing import Audited as Audited
    from speedrun.answers.base import VERSION as VERSION
    from speedrun.answers.base import Answer as Answer
    from speedrun.answers.base import as_json as as_json
    from speedrun.answers.board import BrokenRecord as BrokenRecord
    from speedrun.answers.board import Shown as Shown
    from speedrun.answers.board import Site as Site
    from speedrun.answers.comparing import Compared as Compared
    from speedrun.answers.comparing import ComparedRun as ComparedRun
    from speedrun.answers.dueling import Dueled as Dueled
    from speedrun.answers.dueling import Fought as Fought
    from speedrun.answers.dueling import Retimed as Retimed
    from speedrun.answers.entries import Checked as Checked
    from speedrun.answers.entries import Created as Created
    from speedrun.answers.entries import Fault as Fault
    from speedrun.answers.evaluating import Evaluated as Evaluated
    from speedrun.answers.histories import Histories as Histories
    from speedrun.answers.judging import Ruled as Ruled
    from speedrun.answers.judging import Verified as Verified
    from speedrun.answers.machine import DatasetReady as DatasetReady
    from speedrun.answers.machine import Datasets as Datasets
    from speedrun.answers.machine import DatasetState as DatasetState
    from speedrun.answers.machine import DeviceState as DeviceState
    from speedrun.answers.machine import Diagnosis as Diagnosis
    from speedrun.answers.machine import LevelTrial as LevelTrial
    from speedrun.answers.machine import TrackFit as TrackFit
    from speedrun.answers.proposing import JudgedChange as JudgedChange
    from speedrun.answers.proposing import Trial as Trial
    from speedrun.answers.queueing import Queue as Queue
    from speedrun.answers.queueing import RefusedEntry as RefusedEntry
    from speedrun.answers.queueing import VerifiedAll as VerifiedAll
    from speedrun.answers.queueing import VerifiedEntry as VerifiedEntry
    from speedrun.answers.queueing import Waiting as Waiting
    from speedrun.answers.reproducing import Noise as Noise
    from speedrun.answers.reproducing import Reproduced as Reproduced
    from speedrun.answers.reproducing import ReproductionOutcome as ReproductionOutcome
    from speedrun.answers.runs import OnBoard as OnBoard
    from speedrun.answers.runs import Ran as Ran
    from speedrun.answers.runs import ShownRun as ShownRun
    from speedrun.answers.runs import ShownSource as ShownSource
    from speedrun.answers.tracks import ShownTrack as ShownTrack
    from speedrun.answers.tracks import Tracks as Tracks
else:

    def __getattr__(name: str) -> object:
        for module, names in _NAMES.items():
            if name in names:
                return getattr(importlib.import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
