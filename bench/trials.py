"""Runs of entries on variants of a CPU track, through the real harness: what strength.py and sweep.py compare.

Runs that are compared are made in turns, so that a machine that slows down slows down all of them.
"""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from measure import say

from data.importing import import_dataset
from data.manifest import find
from data.prepare import Prepared, prepare
from harness import journal, submission
from harness.events import Event
from harness.result import Level, Verdict
from harness.run_request import RunRequest
from harness.runner import run_entry
from harness.sandbox import choose
from harness.track import Track, find_track
from speedrun.workspace import find_workspace

TRACK = "cpu-1min"
TARGETS = 262_144  # scored: a quarter of the track's, whose standard error is far below what seeds make


class Contestant(NamedTuple):
    """An entry with the settings that it is tried with."""

    name: str
    folder: Path
    overrides: Mapping[str, str] = {}


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    loss_nats: float
    train_s: float
    tokens: int  # that the entry says it trained on
    steps: int


class Text(NamedTuple):
    """A data set that runs are made with."""

    name: str
    data: Prepared


class Trials:
    """Makes runs; everything they leave behind lies in a folder that is gone afterwards."""

    def __init__(self, cache: Path) -> None:
        self._workspace = find_workspace()
        self._cache = cache
        self._level: Level = choose(None)

    def text(self, file: Path | None) -> Text:
        """The track's own data set, or an imported file. Raises UserError."""
        workspace = self._workspace
        if file is None:
            dataset = find_track(TRACK, workspace.tracks).dataset
            return Text(dataset, prepare(find(dataset, workspace.datasets, workspace.cache), workspace.cache))
        import_dataset("imported", [file], self._cache)
        return Text(file.name, prepare(find("imported", workspace.datasets, self._cache), self._cache))

    def check(self, who: Contestant) -> None:
        """Raises UserError: its folder holds no entry, or its config has no such field."""
        entry = submission.load(who.folder, who.folder.name)
        submission.parse_overrides([f"{field}={value}" for field, value in who.overrides.items()], entry.fields)

    def run(self, who: Contestant, text: Text, train_s: float) -> Result:
        """One run of `train_s` seconds. Ends the benchmark when it has no score."""
        track = self._track(train_s, text)
        request = RunRequest(
            submission=submission.load(who.folder, who.folder.name),
            track=track,
            data=text.data,
            cache=self._cache,
            level=self._level,
            overrides=dict(who.overrides),
            keep=0,
        )
        record = run_entry(request, _unheard)
        journal.settle(self._cache, record.run_id)
        if record.verdict is not Verdict.OK or record.score is None or record.times.train_s is None:
            raise SystemExit(f"{who.name} ended as {record.verdict}: {record.reason}")
        declared = record.declared
        result = Result(
            loss_nats=record.score.loss_nats,
            train_s=record.times.train_s,
            tokens=declared.tokens or 0,
            steps=declared.steps or 0,
        )
        say(f"{who.name}, {text.name}, {train_s:g} s: {result.loss_nats:.4f} nats, {result.tokens:,} tokens")
        return result

    def _track(self, train_s: float, text: Text) -> Track:
        track = find_track(TRACK, self._workspace.tracks)
        # What is not measured gets room: a busy machine must not end the benchmark.
        limits = msgspec.structs.replace(track.limits, train_s=train_s, setup_s=600.0, load_s=120.0, save_s=5.0)
        held_out = sum(shard.tokens for shard in text.data.manifest.splits[track.score.split].shards) - 1
        rules = msgspec.structs.replace(track.score, targets=min(TARGETS, held_out))
        return msgspec.structs.replace(track, limits=limits, score=rules)


@contextmanager
def trials() -> Iterator[Trials]:
    with tempfile.TemporaryDirectory() as folder:
        yield Trials(Path(folder))


def _unheard(event: Event) -> None:
    """Nobody looks on."""
