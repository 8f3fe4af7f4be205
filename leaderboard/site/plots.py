"""Plots as values: what Plotly draws, less colours and fonts, which the page's script takes from its style sheet.

A figure is the JSON object `{"traces": […], "axes": {"x": […]}, "layout": {…}}`. A trace has no `x` of its own: each of
the axes that a reader may choose from holds one list of values a trace, the first axis is drawn first. What a trace
is stands in its `meta.role`: ours, below (the line of the board), claim, elsewhere, score, floor, target; `meta.series`
counts the places that share a role. `layout.meta.log` says that a logarithmic y axis is worth a button.
"""

import datetime
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from leaderboard.history import History, Step
from leaderboard.published import Published, Result
from leaderboard.ranking import Row, Section
from leaderboard.site.drawing import (
    CUSTOM_WORDS,
    Axes,
    Drawing,
    Figure,
    Layout,
    LayoutAxis,
    LayoutMeta,
    Line,
    Marker,
    Meta,
    Role,
    Title,
    Trace,
    Value,
    XAxis,
    figure,
    known,
    markup,
    rounded,
    wrapped,
)
from leaderboard.stats import mean
from leaderboard.table import authors_text, number, with_sd
from leaderboard.text import plain
from leaderboard.timeline import ELSEWHERE

FEW_DAYS = datetime.timedelta(days=14)  # a time axis shows at least so many

ROWS_DRAWN = 30  # of a section: more would make a plot that is taller than a desk's screen

_LOG_RATIO = 5.0  # of the highest to the lowest record, from which on a logarithmic scale helps
_ROW_HEIGHT_PX, _FRAME_HEIGHT_PX = 30, 90  # of a strip of runs, and of what stands around the strips


class _Dot(NamedTuple):
    """A point in time: a record, or what stands beside the records."""

    date: str
    measure: float
    words: str  # pseudo-HTML


class _Row(NamedTuple):
    """The runs of one row of the board."""

    name: str
    ranked: bool
    values: tuple[float, ...]


def progression(histories: Sequence[History], published: Published | None) -> Figure | None:
    """A track's records over time, a step line for each place, with what was measured elsewhere beside them.

    histories: of one track. Those that had another objective than its newest version can't share an axis: not drawn.
    published: results without a date, or without the measure that this track decides by, are not drawn.
    None: there is nothing to draw.
    """
    newest = max(histories, key=lambda history: history.track.version, default=None)
    timed = _is_timed(newest, published)
    digits = 2 if timed else 4
    drawn = [history for history in histories if (history.track.objective == "fastest-to-loss") == timed]
    drawn.sort(key=lambda history: not history.steps)  # places with records first: theirs are the first colours
    traces: list[Trace] = []
    dates: list[tuple[Value, ...]] = []
    for series, history in enumerate(drawn):
        name = markup(_place(history), 80) if len(drawn) > 1 else ""
        for kind, role, what in _KINDS:
            steps = [*history.steps, *history.claims]
            dots = [_dot(step, digits, timed) for step in steps if step.kind == kind and known(step.measure)]
            if dots:
                full_name = f"{what}, {name}" if name else what
                traces.append(_timeline(kind, full_name, Meta(role=role, series=series), dots))
                dates.append(tuple(dot.date for dot in dots))
    for kind, what in (("record", ELSEWHERE), ("re-timing", "re-timed elsewhere")):
        dots = _elsewhere(published, kind, timed, digits)
        if dots:
            traces.append(_timeline(kind, what, Meta(role="elsewhere"), dots))
            dates.append(tuple(dot.date for dot in dots))
    if not traces:
        return None
    heights = [value for trace in traces for value in trace.y if isinstance(value, float)]
    layout = Layout(
        xaxis=LayoutAxis(type="date", range=_days(date for line in dates for date in line if isinstance(date, str))),
        yaxis=LayoutAxis(
            title=Title("Training time (s)" if timed else "Loss (nats/token)"),
            zeroline=False,
            range=(0.9 * heights[0], 1.1 * heights[0]) if len(set(heights)) == 1 and heights[0] > 0 else None,
        ),
        showlegend=len(traces) > 1 or not _is_records(traces[0]),
        meta=LayoutMeta(log=_log_helps((value for trace in traces for value in trace.y), _LOG_RATIO)),
    )
    axis = XAxis(key="date", title="Date", values=tuple(dates))
    label = _progression_label(drawn, published, timed, digits)
    return figure(label, Drawing(tuple(traces), Axes((axis,)), layout))


def _is_records(trace: Trace) -> bool:
    """What a plot's caption speaks of, so that it needs no name."""
    return trace.meta.role == "ours" and trace.line is not None


def _days(dates: Iterable[str]) -> tuple[str, str] | None:
    """A range of days around dates that lie close together, which Plotly would show in milliseconds; else None."""
    days = [datetime.date.fromisoformat(date[:10]) for date in dates]
    first, last = min(days), max(days)
    if last - first >= FEW_DAYS:
        return None
    around = (FEW_DAYS - (last - first)) / 2
    try:
        return (first - around).isoformat(), (last + around).isoformat()
    except OverflowError:  # a stranger's record may be of the year 1, or 9999
        return None


def spread(section: Section) -> Figure | None:
    """Every scored run of a section by its entry, best row on top, with the mean of each row.

    At most ROWS_DRAWN rows, in the order of the board; the label says how many there are. None: fewer than two runs
    were scored.
    """
    timed = section.track.objective == "fastest-to-loss"
    digits = 2 if timed else 4
    rows = _rows(section, timed)
    shown = rows[:ROWS_DRAWN]
    if sum(len(row.values) for row in shown) < 2:
        return None
    traces: list[Trace] = []
    values: list[tuple[Value, ...]] = []
    for role, name in _STANDINGS:
        of_role = [(place, row) for place, row in enumerate(shown) if row.ranked == (role == "ours")]
        if not of_role:
            continue
        dots = [
            (value, place, f"<b>{row.name}</b><br>{number(value, digits)} {_unit(timed)}")
            for place, row in of_role
            for value in row.values
        ]
        means = [
            (middle, place, f"<b>{row.name}</b><br>mean {number(middle, digits)} {_unit(timed)}")
            for place, row in of_role
            if known(middle := mean(row.values))
        ]
        for what, marker, those in (
            (name, _RUN, dots),
            (f"mean, {name}", _MEAN, means),
        ):
            traces.append(
                Trace(
                    name=what,
                    mode="markers",
                    meta=Meta(role=role),
                    y=tuple(place for _, place, _ in those),
                    hovertemplate=CUSTOM_WORDS,
                    customdata=tuple(words for _, _, words in those),
                    marker=marker,
                    cliponaxis=False,
                    showlegend=marker is _RUN,  # the figure's caption says what a stroke is
                )
            )
            values.append(tuple(rounded(value) for value, _, _ in those))
    layout = Layout(
        xaxis=LayoutAxis(zeroline=False),
        yaxis=LayoutAxis(
            tickvals=tuple(range(len(shown))),
            ticktext=tuple(row.name for row in shown),
            range=(len(shown) - 0.5, -0.5),
            zeroline=False,
        ),
        showlegend=len(traces) > 2 or traces[0].meta.role != "ours",
        meta=LayoutMeta(log=False),
        height=_FRAME_HEIGHT_PX + _ROW_HEIGHT_PX * max(2, len(shown)),
    )
    axis = XAxis(key="measure", title="Training time (s)" if timed else "Loss (nats/token)", values=tuple(values))
    label = _spread_label(section, rows, timed, digits)
    return figure(label, Drawing(tuple(traces), Axes((axis,)), layout))


_KINDS: tuple[tuple[str, Role, str], ...] = (
    ("record", "ours", "records"),
    ("re-timing", "ours", "re-timed"),
    ("retracted", "ours", "retracted"),
    ("claim", "claim", "claims, no records yet"),
)
_MARKERS = {
    "record": Marker(symbol="circle", size=9),
    "re-timing": Marker(symbol="diamond-open", size=10),
    "retracted": Marker(symbol="x", size=9),
    "claim": Marker(symbol="circle-open", size=9),
}
_RUN, _MEAN = Marker(symbol="circle", size=9), Marker(symbol="line-ns-open", size=20)
_STANDINGS: tuple[tuple[Role, str], ...] = (("ours", "on the board"), ("below", "below the line"))


def _is_timed(newest: History | None, published: Published | None) -> bool:
    """Whether seconds decide; where nobody ran yet, what was published elsewhere tells."""
    if newest is not None:
        return newest.track.objective == "fastest-to-loss"
    return published is None or any(result.loss_nats is None for result in published.results)


def _timeline(kind: str, name: str, meta: Meta, dots: Sequence[_Dot]) -> Trace:
    """Records are joined by steps, for one stands until the next; anything else is points alone."""
    joined = kind == "record"
    return Trace(
        name=name,
        mode="lines+markers" if joined else "markers",
        meta=meta,
        y=tuple(dot.measure for dot in dots),
        hovertemplate=CUSTOM_WORDS,
        customdata=tuple(dot.words for dot in dots),
        line=Line(shape="hv") if joined else None,
        marker=_MARKERS[kind],
    )


def _dot(step: Step, digits: int, timed: bool) -> _Dot:
    measured = with_sd(step.measure, step.measure_sd, digits)
    what = {"record": f"record {step.number}", "re-timing": f"record {step.number}, re-timed"}.get(step.kind, step.kind)
    words = [
        f"<b>{markup(step.entry, 40)}</b> · {what}",
        f"{measured} {_unit(timed)} · {markup(step.since, 10)}",
        *wrapped(authors_text(step.authors)),
        *wrapped(plain(step.technique, 160)),
    ]
    return _Dot(step.since, rounded(step.measure), "<br>".join(words))


def _elsewhere(published: Published | None, kind: str, timed: bool, digits: int) -> list[_Dot]:
    """The results of a kind that have a date and the measure."""

    def dot(result: Result, date: str, measure: float) -> _Dot:
        what = f"record {result.number}" + (", re-timed" if result.kind == "re-timing" else "")
        words = [
            f"<b>{what}</b>, {ELSEWHERE}",
            f"{number(measure, digits)} {_unit(timed)} · {markup(date, 10)}",
            *wrapped(plain(", ".join(result.authors), 160)),
            *wrapped(plain(result.technique, 160)),
        ]
        return _Dot(date, rounded(measure), "<br>".join(words))

    found = []
    for result in published.results if published else ():
        measure = result.train_s if timed else result.loss_nats
        if result.kind == kind and result.date is not None and known(measure):
            found.append(dot(result, result.date, measure))
    return found


def _rows(section: Section, timed: bool) -> list[_Row]:
    """The rows that have values; several of one entry are told apart by their source."""
    measured: list[tuple[Row, tuple[float, ...]]] = []
    for row in section.rows:
        values = row.times_s if timed else row.losses_nats
        if values and all(map(known, values)):
            measured.append((row, values))
    entries = Counter(row.entry for row, _ in measured)
    return [
        _Row(
            name=markup(row.entry if entries[row.entry] == 1 else f"{row.entry} · {row.source_sha256[:6]}", 48),
            ranked=row.rank is not None,
            values=values,
        )
        for row, values in measured
    ]


def _progression_label(drawn: Sequence[History], published: Published | None, timed: bool, digits: int) -> str:
    told = []
    for history in drawn:
        records = [step for step in history.steps if step.kind == "record" and known(step.measure)]
        if records:
            first, last = records[0], records[-1]
            told.append(
                f"{len(records)} {'record' if len(records) == 1 else 'records'} on {_place(history)}"
                f" from {number(first.measure, digits)} to {number(last.measure, digits)} {_unit(timed)},"
                f" the last by {plain(last.entry, 40)} on {plain(last.since, 10)}"
            )
        elif history.claims:
            best = history.claims[0]
            told.append(
                f"no record on {_place(history)} yet; the best claim is {number(best.measure, digits)} {_unit(timed)}"
                f" by {plain(best.entry, 40)}"
            )
    dots = _elsewhere(published, "record", timed, digits)
    if published is not None and dots:
        undated = sum(result.date is None for result in published.results)
        words = f"{len(dots)} {ELSEWHERE}, from {dots[0].measure:,g} to {dots[-1].measure:,g} {_unit(timed)}"
        told.append(words + (f" ({undated} more without a date are not drawn)" if undated else ""))
    return f"Records over time: {'; '.join(told) or 'marked points only'}."


def _spread_label(section: Section, rows: Sequence[_Row], timed: bool, digits: int) -> str:
    values = [value for row in rows[:ROWS_DRAWN] for value in row.values]
    many = f"the first {ROWS_DRAWN} of {len(rows)} rows" if len(rows) > ROWS_DRAWN else f"{len(rows)} rows"
    told = "1 row" if len(rows) == 1 else many
    return (
        f"Every scored run on {plain(section.hardware, 80)}: {len(values)} {'run' if len(values) == 1 else 'runs'}"
        f" in {told}, from {number(min(values), digits)} to {number(max(values), digits)} {_unit(timed)}."
    )


def _place(history: History) -> str:
    marks = f" ({', '.join(history.marks)})" if history.marks else ""
    return plain(f"{history.hardware}{marks}", 120)


def _unit(timed: bool) -> str:
    return "s" if timed else "nats a token"


def _log_helps(values: Iterable[Value], ratio: float) -> bool:
    numbers = [value for value in values if isinstance(value, int | float)]
    return bool(numbers) and min(numbers) > 0 and max(numbers) / min(numbers) > ratio
