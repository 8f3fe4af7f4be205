"""Runs and their curves as pandas' data frames, for analysis: `leaderboard.frame()`.

The columns of runs are those of the export (leaderboard/export.py), so that a notebook and a csv can't disagree; the
same rules hold as on the board: verified is who has a valid signature, and broken files are named. Every text is one
line without control characters, because a frame is printed on terminals.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from harness.errors import UserError
from harness.result import CurvePoint, Tier, Verdict
from leaderboard import rulings
from leaderboard.export import Field, Value, fields
from leaderboard.reading import read_regular
from leaderboard.schema import RECORD_CAP_BYTES, RecordError, Summary, decode
from leaderboard.store import Broken, Store
from leaderboard.text import plain

if TYPE_CHECKING:
    from pandas import DataFrame

_TEXT_CAP: Final = 500  # characters of a cell


class Frame(NamedTuple):
    """What a folder of results holds."""

    runs: "DataFrame"  # [runs, fields of the export but run_id]: indexed by run_id, in order of track and id
    curves: "DataFrame"  # [points, 7]: run_id, entry, track, elapsed_s, step, tokens, loss_nats, in the runs' order
    broken: tuple[Broken, ...]  # files that hold no record or no ruling, and why; paths relative to the leaderboard


def frame(results: Path | str | None = None) -> Frame:
    """Every run, ranked or not, and every point of its curve.

    In `runs`, `started_at` is a time in UTC, and `verdict`, `tier` and `hardware` are categories (the first two with
    every value that there is, in the order of harness.result). `retracted` holds the reason where there is one, and
    `signed` is False where a run says verified without a valid signature; it counts as self-reported then. In `curves`,
    `elapsed_s` is the parent's clock, and the rest is what the entry said of itself.

    Args:
        results: a folder of results, `<track>/<run id>.json`, with rulings and maintainers beside it. None: that of the
            checkout that SPEEDRUN_ROOT names, else of the one that this package lies in.

    Raises:
        UserError: there is no such folder, it can't be read, or signatures can't be checked.
    """
    folder = _default() if results is None else Path(results)
    if not folder.is_dir():
        raise UserError(f"there is no folder of results at {folder}; give frame() one that holds <track>/<run id>.json")
    loaded = Store(folder).load()
    ruled = rulings.load(folder.parent / "rulings")
    curves, broken = _curves(folder, loaded.records)
    return Frame(
        _run_table(loaded.records, fields(ruled.retracted, loaded.unsigned)),
        curves,
        (
            *(Broken(f"{folder.name}/{path}", reason) for path, reason in (*loaded.broken, *broken)),
            *(Broken(f"rulings/{path}", reason) for path, reason in ruled.broken),
        ),
    )


def _default() -> Path:
    named = os.environ.get("SPEEDRUN_ROOT")
    return (Path(named) / "leaderboard" if named else Path(__file__).parent) / "results"


def _run_table(runs: Sequence[Summary], columns: Sequence[Field]) -> "DataFrame":
    import numpy as np
    import pandas

    table = pandas.DataFrame(
        {field.name: pandas.Series([_text(field.value(run)) for run in runs], dtype=field.dtype) for field in columns}
    )
    # In seconds, which hold every year that a record can name; the store has checked that they are in UTC.
    started_at = np.array([run.started_at[: len("2026-11-21T14:15:30")] for run in runs], dtype="datetime64[s]")
    return table.assign(
        started_at=pandas.DatetimeIndex(started_at).tz_localize("UTC"),
        verdict=table["verdict"].astype(pandas.CategoricalDtype([str(verdict) for verdict in Verdict])),
        tier=table["tier"].astype(pandas.CategoricalDtype([str(tier) for tier in Tier])),
        hardware=table["hardware"].astype("category"),
    ).set_index("run_id")


def _text(value: Value) -> Value:
    return plain(value, _TEXT_CAP) if isinstance(value, str) else value


def _curves(folder: Path, runs: Sequence[Summary]) -> tuple["DataFrame", list[Broken]]:
    """Every point; and the records that a board can read, but not their curve or what else it leaves out."""
    import pandas

    lengths: list[int] = []
    points: list[CurvePoint] = []
    broken: list[Broken] = []
    for run in runs:
        place = f"{run.track.id}/{run.run_id}.json"  # where the store found it, or else it would be broken
        try:
            curve = decode(read_regular(folder / place, RECORD_CAP_BYTES, "record")).curve
        except RecordError as error:
            broken.append(Broken(place, f"its curve is left out: {error}"))
            curve = ()
        lengths.append(len(curve))
        points += curve

    def whose(names: list[str]) -> pandas.Categorical:
        return pandas.Categorical(pandas.array(names, dtype="string")).repeat(lengths)

    table = pandas.DataFrame(
        {
            "run_id": whose([run.run_id for run in runs]),
            "entry": whose([run.entry.name for run in runs]),
            "track": whose([run.track.id for run in runs]),
            "elapsed_s": pandas.array([point.elapsed_s for point in points], dtype="Float64"),
            "step": pandas.array([point.step for point in points], dtype="Int64"),
            "tokens": pandas.array([point.tokens for point in points], dtype="Int64"),
            "loss_nats": pandas.array([point.loss_nats for point in points], dtype="Float64"),
        }
    )
    return table, broken
