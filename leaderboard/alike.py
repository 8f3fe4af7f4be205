"""What must be the same before two runs are compared, and what before they are averaged."""

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import msgspec

from harness.result import DatasetRef, Record, TrackRef
from leaderboard.schema import Machine, Summary

_APART = {"retime": "it re-times a record", "reproduce": "it reproduces a run"}  # purposes that never enter a mean


class Place(NamedTuple):
    """What the runs of a section share. The whole references, so that one that was tampered with stands alone."""

    track: TrackRef
    dataset: DatasetRef
    hardware: str


class Condition(NamedTuple):
    """Something that two runs must share, by name, and what is said of two that don't."""

    name: str
    value: str
    unlike: str


class Variant(NamedTuple):
    """An entry with one source and one set of overrides."""

    entry: str
    source_sha256: str
    overrides: tuple[tuple[str, str], ...]


def hardware(machine: Machine) -> str:
    """What must be the same before two runs are compared: the accelerators, or the processor and its threads."""
    if machine.devices:
        names = sorted(device.name for device in machine.devices)
        return " + ".join(f"{len(list(same))} × {name}" for name, same in groupby(names))
    return f"{machine.cpu}, {machine.threads} {'thread' if machine.threads == 1 else 'threads'}"


def conditions(run: Record, on: str) -> tuple[Condition, ...]:
    """What two runs must share before their results can be held against each other, the weightiest first.

    on: the run's `hardware`.
    """
    return (
        Condition("track", run.track.id, "they ran on different tracks"),
        Condition("track's version", str(run.track.version), "they ran under different versions of the track"),
        Condition("track's file", run.track.sha256, "the track's file was not the same"),
        Condition("data set", run.dataset.id, "they were scored on different data sets"),
        Condition("data", run.dataset.sha256, "the data set was not the same"),
        Condition("hardware", on, "they ran on different hardware"),
        Condition(
            "torch", run.environment.packages.get("torch", "unknown"), "they ran with different versions of torch"
        ),
        Condition("processes", str(run.ranks), "they were trained by different numbers of processes"),
    )


def place(run: Summary) -> Place:
    """The section that a run belongs to."""
    # Older records lack these fields; what they say follows from the track and from the data's hash.
    dataset = msgspec.structs.replace(run.dataset, pinned=None, revision="", train_tokens=None)
    return Place(run.track, dataset, hardware(run.environment))


def by_place(runs: Iterable[Summary]) -> dict[Place, list[Summary]]:
    """The runs of each section, in the order in which they come."""
    found: dict[Place, list[Summary]] = {}
    known: dict[tuple[object, ...], list[Summary]] = {}  # what a place follows from, which is quicker than the place
    for run in runs:
        machine = run.environment
        told = (run.track, run.dataset, machine.cpu, machine.threads, machine.devices)
        if told not in known:
            known[told] = found.setdefault(place(run), [])
        known[told].append(run)
    return found


def variant(run: Summary) -> Variant:
    return Variant(run.entry.name, run.source.sha256, tuple(sorted(run.overrides.items())))


def torch(run: Summary) -> str:
    """The version of torch that a run was made with; "" where its record does not say."""
    return run.environment.packages.get("torch", "")


def set_apart(run: Summary) -> str:
    """Why a run never enters a mean, whatever it says of itself; "" where nothing speaks against it."""
    return "" if run.series is None else _APART.get(run.series.purpose, "")


def in_order(runs: Iterable[Summary]) -> list[Summary]:
    """Oldest first, and one order for runs of the same second."""
    return sorted(runs, key=lambda run: (run.started_at[:19], run.run_id))
