"""Two runs side by side: their numbers, what differs in how they were made, and what may be concluded. Pure."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import msgspec

from harness.result import CurvePoint, Record, Verdict
from leaderboard.alike import Condition, conditions
from speedrun.machine_words import hardware_of
from speedrun.pull_request import FileChange, file_changes

ALIKE_SHARE = 0.1  # a machine's speed differs by less from one minute to the next
SMOOTHED_SHARE = 0.05  # of a curve's points: a training loss is averaged over so many, for one batch is noise

Name = Literal["a", "b"]
Unit = Literal["nats/token", "bits/byte", "s", "GiB", "TFLOP/s", "1/s", ""]  # "": a count


class Amount(msgspec.Struct, frozen=True, kw_only=True):
    """A number of both runs; None: a run does not have it."""

    name: str
    unit: Unit
    declared: bool  # by the entries; nobody checked it
    a: int | float | None
    b: int | float | None
    difference: int | float | None  # b less a


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """Something about how the runs were made that is not the same; None: a run does not have it."""

    name: str
    a: str | None
    b: str | None


class Better(msgspec.Struct, frozen=True, kw_only=True):
    """Which run is better by what the track asks for."""

    run: Name
    why: Literal["loss", "time", "target"]  # target: it met it, the other one did not
    by: float | None  # nats a token, or seconds; None: the target tells


class Passing(msgspec.Struct, frozen=True, kw_only=True):
    """When the run whose training loss ended lower was where the other one ended. Declared by the entries."""

    run: Name
    elapsed_s: float
    loss_nats: float
    other_s: float  # when the other one was there


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What two runs say beside each other."""

    amounts: tuple[Amount, ...]
    settings: tuple[Setting, ...]
    files: tuple[FileChange, ...]  # of the source, from a to b
    incomparable: tuple[str, ...]  # why their results can't be held against each other; none: they can
    better: Better | None  # None: neither, or they can't be compared
    same_entry: bool  # one source with the same overrides, whatever its name
    practice: bool  # one of them had overrides or another data set than its track's, as no duel has
    unlike: tuple[str, ...]  # why not even the same entry need come out the same
    passing: Passing | None


def compare(a: Record, b: Record) -> Comparison:
    """Everything that can be said without any other run."""
    incomparable = tuple(_incomparable(a, b))
    same_entry = (a.source.sha256, a.overrides) == (b.source.sha256, b.overrides)
    return Comparison(
        amounts=tuple(_amounts(a, b)),
        settings=tuple(_settings(a, b)),
        files=file_changes(a.source.files, b.source.files),
        incomparable=incomparable,
        better=None if incomparable else _better(a, b),
        same_entry=same_entry,
        practice=any(run.overrides or not run.dataset.official for run in (a, b)),
        unlike=tuple(_unlike(a, b)),
        passing=None if incomparable or same_entry else _passing(a.curve, b.curve),
    )


def _amounts(a: Record, b: Record) -> Iterator[Amount]:
    """Those that at least one run has."""
    numbers: list[tuple[str, Unit, bool, Callable[[Record], float | None]]] = [
        ("loss", "nats/token", False, lambda run: run.score.loss_nats if run.score else None),
        ("bits a byte", "bits/byte", False, lambda run: run.score.bits_per_byte if run.score else None),
        ("training", "s", False, lambda run: run.times.train_s),
        ("set-up", "s", False, lambda run: run.times.setup_s),
        ("saving", "s", False, lambda run: run.times.save_s),
        ("scoring", "s", False, lambda run: run.times.score_s),
        ("twin", "s", False, lambda run: run.times.twin_s),
        ("in all", "s", False, lambda run: run.times.total_s),
        ("steps", "", True, lambda run: run.declared.steps),
        ("tokens", "", True, lambda run: run.declared.tokens),
        ("tokens a second", "1/s", True, _rate),
        ("last logged loss", "nats/token", True, lambda run: run.declared.loss_nats),
        ("parameters", "", False, lambda run: run.parameters),
        ("artifact bytes", "", False, lambda run: run.artifact.bytes if run.artifact else None),
        ("memory", "GiB", False, lambda run: run.peak_memory_gib),
        ("accelerator memory", "GiB", False, lambda run: run.hardware.peak_device_memory_gib if run.hardware else None),
        ("machine's speed", "TFLOP/s", False, _speed),
    ]
    for name, unit, declared, of in numbers:
        left, right = _finite(of(a)), _finite(of(b))
        if left is not None or right is not None:
            difference = None if left is None or right is None else _finite(right - left)
            yield Amount(name=name, unit=unit, declared=declared, a=left, b=right, difference=difference)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _rate(run: Record) -> float | None:
    tokens, train_s = run.declared.tokens, run.times.train_s
    return tokens / train_s if tokens is not None and train_s is not None and train_s > 0 else None


def _speed(run: Record) -> float | None:
    """Of the slowest accelerator, before the run; of the processor where there is none."""
    before = run.hardware.before if run.hardware else ()
    cards = [one for one in before if one.device != "cpu"] or before
    return min((one.matmul_tflops for one in cards), default=None)


def _conditions(run: Record) -> tuple[Condition, ...]:
    return conditions(run, hardware_of(run))


def _settings(a: Record, b: Record) -> Iterator[Setting]:
    # Hashes say nothing to a reader where a name has said it all.
    silent = {"track's file"} if a.track.version != b.track.version or a.track.id != b.track.id else set()
    silent |= {"data"} if a.dataset.id != b.dataset.id else set()
    for left, right in zip(_conditions(a), _conditions(b), strict=True):
        if left.value != right.value and left.name not in silent:
            short = 12 if left.name in ("track's file", "data") else None
            yield Setting(name=left.name, a=left.value[:short], b=right.value[:short])
    here, there = a.environment, b.environment
    for name, one, other in (
        ("python", here.python, there.python),
        ("sandbox", here.sandbox.level.value, there.sandbox.level.value),
    ):
        if one != other:
            yield Setting(name=name, a=one, b=other)
    for name in sorted({*a.overrides, *b.overrides}):
        if a.overrides.get(name) != b.overrides.get(name):
            yield Setting(name=f"--set {name}", a=a.overrides.get(name), b=b.overrides.get(name))


def _unlike(a: Record, b: Record) -> Iterator[str]:
    """What may have made one of them better besides what an entry is and chance."""
    for name, run in (("A", a), ("B", b)):
        if run.hardware is not None and run.hardware.slowed:
            yield f"{name}'s machine was slower after the run than before it"
    left, right = _speed(a), _speed(b)
    if left and right and not abs(math.log(right / left)) <= math.log(1 + ALIKE_SHARE):
        yield "the machine was not equally fast"
    if a.environment.sandbox.level is not b.environment.sandbox.level:
        yield "the sandbox levels differ"


def _incomparable(a: Record, b: Record) -> Iterator[str]:
    for left, right in zip(_conditions(a), _conditions(b), strict=True):
        if left.value != right.value:
            yield left.unlike
            if left.name in ("track", "data set"):
                break  # the rest follows
    for name, run in (("A", a), ("B", b)):
        if run.verdict is not Verdict.OK:
            yield f"{name} has no valid score: its verdict is {run.verdict}"


def _better(a: Record, b: Record) -> Better | None:
    """By loss, or by training time where that is the race and both met the target."""
    assert a.score is not None
    assert b.score is not None
    if a.track.objective == "fastest-to-loss" and a.score.target_met != b.score.target_met:
        return Better(run="a" if a.score.target_met else "b", why="target", by=None)
    if a.track.objective == "fastest-to-loss" and a.score.target_met:
        assert a.times.train_s is not None
        assert b.times.train_s is not None
        return _lower("time", a.times.train_s, b.times.train_s)
    return _lower("loss", a.score.loss_nats, b.score.loss_nats)


def _lower(why: Literal["loss", "time"], a: float, b: float) -> Better | None:
    by = _finite(abs(a - b))
    return Better(run="a" if a < b else "b", why=why, by=by) if by else None


def _passing(a: Sequence[CurvePoint], b: Sequence[CurvePoint]) -> Passing | None:
    curves: dict[Name, list[tuple[float, float]]] = {"a": _smoothed(a), "b": _smoothed(b)}
    if not all(curves.values()):
        return None
    ends = {name: curve[-1] for name, curve in curves.items()}
    run: Name = "a" if ends["a"][1] < ends["b"][1] else "b"
    other_s, loss_nats = ends["b" if run == "a" else "a"]
    if not ends[run][1] < loss_nats:
        return None
    elapsed_s = next(point_s for point_s, loss in curves[run] if loss <= loss_nats)
    return Passing(run=run, elapsed_s=elapsed_s, loss_nats=loss_nats, other_s=other_s)


def _smoothed(curve: Sequence[CurvePoint]) -> list[tuple[float, float]]:
    """(elapsed_s, mean training loss of the last few points), for as many points as there are full means."""
    known = [(point.elapsed_s, point.loss_nats) for point in curve if point.loss_nats is not None]
    number = max(1, round(SMOOTHED_SHARE * len(known)))
    means = [
        (known[last][0], sum(loss for _, loss in known[last + 1 - number : last + 1]) / number)
        for last in range(number - 1, len(known))
    ]
    return [(elapsed_s, mean) for elapsed_s, mean in means if math.isfinite(mean)]
