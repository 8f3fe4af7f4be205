"""Runs as a table for other programs: csv, parquet or json, one row a run, every run whether ranked or not."""

import io
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import UserError
from harness.result import Downstream, Tier
from leaderboard import atomic
from leaderboard.alike import hardware
from leaderboard.schema import Summary
from leaderboard.text import plain

SUFFIXES = (".csv", ".parquet", ".json")

_TEXT_CAP = 500  # characters of a csv cell
# Where a cell begins, and behind a semicolon, which separates cells wherever the comma is for decimals.
_FORMULA = re.compile('(^|;[ "]*)(?=[-=+@＝＋－＠])')

Value = str | int | float | bool | None


@dataclass(frozen=True)
class Field:
    """A column of the export. The type is fixed, so that an export of no runs has the same columns as any other."""

    name: str
    dtype: Literal["string", "Int64", "Float64", "boolean"]  # of pandas, each with a missing value of its own
    value: Callable[[Summary], Value]


_RUN = (
    Field("run_id", "string", lambda run: run.run_id),
    Field("track", "string", lambda run: run.track.id),
    Field("track_version", "Int64", lambda run: run.track.version),
    Field("objective", "string", lambda run: run.track.objective),
    Field("limit_s", "Float64", lambda run: run.track.limit_s),
    Field("target_nats", "Float64", lambda run: run.track.target_nats),
    Field("dataset", "string", lambda run: run.dataset.id),
    Field("dataset_sha256", "string", lambda run: run.dataset.sha256),
    Field("floor_nats", "Float64", lambda run: run.dataset.floor_nats),
    Field("entry", "string", lambda run: run.entry.name),
    Field("title", "string", lambda run: run.entry.title),
    Field("authors", "string", lambda run: ", ".join(author.name for author in run.entry.authors)),
    Field("technique", "string", lambda run: run.entry.technique),
    Field("based_on", "string", lambda run: run.entry.based_on),
    Field("tier", "string", lambda run: run.tier.value),
    Field("started_at", "string", lambda run: run.started_at),
    Field("verdict", "string", lambda run: run.verdict.value),
    Field("scored", "boolean", lambda run: run.scored),
    Field("ranked", "boolean", lambda run: run.ranked),
    Field("unranked_because", "string", lambda run: "; ".join(run.unranked_because)),
    Field("loss_nats", "Float64", lambda run: run.score.loss_nats if run.score else None),
    Field("bits_per_byte", "Float64", lambda run: run.score.bits_per_byte if run.score else None),
    Field("targets", "Int64", lambda run: run.score.targets if run.score else None),
    Field("target_met", "boolean", lambda run: run.score.target_met if run.score else None),
    Field("context_tokens", "Int64", lambda run: run.score.context_tokens if run.score else None),
    Field("stride_tokens", "Int64", lambda run: run.score.stride_tokens if run.score else None),
    Field("train_s", "Float64", lambda run: run.times.train_s),
    Field("setup_s", "Float64", lambda run: run.times.setup_s),
    Field("save_s", "Float64", lambda run: run.times.save_s),
    Field("load_s", "Float64", lambda run: run.times.load_s),
    Field("score_s", "Float64", lambda run: run.times.score_s),
    Field("twin_s", "Float64", lambda run: run.times.twin_s),
    Field("sample_s", "Float64", lambda run: run.times.sample_s),
    Field("total_s", "Float64", lambda run: run.times.total_s),
    Field("twin_advantage_nats", "Float64", lambda run: run.twin.advantage_nats if run.twin else None),
    Field("twin_sampled", "Int64", lambda run: run.twin.sampled if run.twin else None),
    Field("artifact_bytes", "Int64", lambda run: run.artifact.bytes if run.artifact else None),
    Field("parameters", "Int64", lambda run: run.parameters),
    Field("declared_steps", "Int64", lambda run: run.declared.steps),
    Field("declared_tokens", "Int64", lambda run: run.declared.tokens),
    Field("declared_loss_nats", "Float64", lambda run: run.declared.loss_nats),
    Field("peak_memory_gib", "Float64", lambda run: run.peak_memory_gib),
    Field("downstream", "string", lambda run: _downstream(run.downstream)),
    Field("hardware", "string", lambda run: hardware(run.environment)),
    Field("sandbox", "string", lambda run: run.environment.sandbox.level.value),
    Field("seed", "Int64", lambda run: run.seed),
    Field(
        "overrides", "string", lambda run: "; ".join(f"{key}={value}" for key, value in sorted(run.overrides.items()))
    ),
    Field("source_sha256", "string", lambda run: run.source.sha256),
    Field("git_commit", "string", lambda run: run.source.git_commit),
    Field("series_purpose", "string", lambda run: run.series.purpose if run.series else None),
)


def fields(retracted: Mapping[str, str], unsigned: Collection[str]) -> tuple[Field, ...]:
    """The columns: what each record says, and what is known about it besides."""
    return (
        *_RUN,
        Field("retracted", "string", lambda run: retracted.get(run.run_id)),
        Field("signed", "boolean", lambda run: _signed(run, unsigned)),
    )


def export_runs(runs: Sequence[Summary], path: Path, retracted: Mapping[str, str], unsigned: Collection[str]) -> None:
    """Writes the runs to `path`, whole or not at all; its suffix chooses the format.

    Args:
        runs: in the order in which they are to be written.
        path: of the file.
        retracted: run id → why it was retracted.
        unsigned: ids of runs that say verified without a valid signature.

    Raises:
        UserError: another suffix, no space, no permission, no such folder.
    """
    columns = fields(retracted, unsigned)
    match path.suffix.lower():
        case ".csv":
            data = _csv(runs, columns)
        case ".parquet":
            data = _parquet(runs, columns)
        case ".json":
            data = _json(runs, columns)
        case suffix:
            ending = f"not {suffix}" if suffix else "and it has no ending"
            raise UserError(f"cannot export to {path}: the ending chooses among {', '.join(SUFFIXES)}, {ending}")
    atomic.replace(path, data)


def spreadsheet_text(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: one line, with an apostrophe before a dangerous start."""
    return _FORMULA.sub(r"\1'", plain(text, _TEXT_CAP))


def _downstream(downstream: Downstream | None) -> str | None:
    """`task metric=value; …` with every number, to be split by programs; None: there are none."""
    if downstream is None or not downstream.tasks:
        return None
    numbers = (
        (task.name + ("(own)" if task.own else ""), metric.name, metric.value)
        for task in downstream.tasks
        for metric in task.metrics
    )
    return "; ".join(f"{plain(task, 60)} {plain(metric, 60)}={value!r}" for task, metric, value in numbers)


def _signed(run: Summary, unsigned: Collection[str]) -> bool | None:
    """None: it does not say that it is."""
    if run.run_id in unsigned:
        return False
    return True if run.tier is Tier.VERIFIED else None


def _csv(runs: Sequence[Summary], columns: Sequence[Field]) -> bytes:
    import pandas

    series = {}
    for field in columns:
        values = [field.value(run) for run in runs]
        if field.dtype == "string":
            values = [spreadsheet_text(value) if isinstance(value, str) else value for value in values]
        series[field.name] = pandas.Series(values, dtype=field.dtype)
    return pandas.DataFrame(series).to_csv(index=False).encode()


def _parquet(runs: Sequence[Summary], columns: Sequence[Field]) -> bytes:
    import pandas

    frame = pandas.DataFrame(
        {field.name: pandas.Series([field.value(run) for run in runs], dtype=field.dtype) for field in columns}
    )
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


def _json(runs: Sequence[Summary], columns: Sequence[Field]) -> bytes:
    # Not by pandas, which rounds to at most 15 digits: a number read back is the number that was recorded.
    rows = [{field.name: field.value(run) for field in columns} for run in runs]
    return msgspec.json.format(msgspec.json.encode(rows), indent=1) + b"\n"
