"""The parts of a plot, as Plotly's JSON has them, and how strangers' words get into it.

Plotly reads a kind of HTML, templates and formulas in every text. What a stranger wrote is written with character
references here, which Plotly shows as the very characters, and nothing of it may stand in a template.
"""

import textwrap
from typing import Literal, NamedTuple, TypeGuard

import msgspec

from leaderboard.text import plain

FARTHEST = 1e100  # from zero: the differences of what lies farther out may be no numbers, and an entry may log anything

CUSTOM_WORDS = "%{customdata}<extra></extra>"  # a hover template: a point's own words, and nothing beside them

_DECIMALS = 5  # of a drawn number: more than any axis shows
_HOVER_WIDTH = 44  # characters: a telephone's screen

Role = Literal["ours", "below", "claim", "elsewhere", "score", "floor", "target"]
Value = float | str | None  # of an axis; None: this point has no place on it

_PSEUDO_HTML = str.maketrans({mark: f"&#{ord(mark)};" for mark in "&<>%$"})
_SCRIPT = tuple((mark.encode(), f"\\u{ord(mark):04x}".encode()) for mark in "<>&\u2028\u2029")


class Figure(NamedTuple):
    """One plot."""

    label: str  # one sentence with the numbers that matter, for whoever can't see it; plain text
    json: str  # for a script element: holds no character that could end it


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    role: Role
    series: int = 0


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    shape: str = "linear"
    dash: str = "solid"


class Marker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    symbol: str = "circle"
    size: int = 8  # pixels


class Trace(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="scatter"):
    """What Plotly calls a scatter trace; names and texts are pseudo-HTML by now."""

    name: str
    mode: str
    meta: Meta
    y: tuple[Value, ...]
    hovertemplate: str
    customdata: tuple[str, ...] = ()
    line: Line | None = None
    marker: Marker | None = None
    connectgaps: bool = False
    cliponaxis: bool = True
    showlegend: bool = True


class XAxis(msgspec.Struct, frozen=True, kw_only=True):
    """One choice of what runs to the right."""

    key: str
    title: str
    values: tuple[tuple[Value, ...], ...]  # one for each trace, as long as its y


class Axes(msgspec.Struct, frozen=True):
    x: tuple[XAxis, ...]


class Title(msgspec.Struct, frozen=True):
    text: str


class LayoutAxis(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    title: Title | None = None
    type: str = ""
    range: tuple[float, float] | tuple[str, str] | None = None
    tickvals: tuple[float, ...] = ()
    ticktext: tuple[str, ...] = ()
    zeroline: bool = True


class LayoutMeta(msgspec.Struct, frozen=True):
    log: bool


class Layout(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    xaxis: LayoutAxis
    yaxis: LayoutAxis
    showlegend: bool
    meta: LayoutMeta
    height: int | None = None  # pixels; None: the style sheet's


class Drawing(msgspec.Struct, frozen=True):
    traces: tuple[Trace, ...]
    axes: Axes
    layout: Layout


def known(value: float | None) -> TypeGuard[float]:
    """Whether it can be drawn; false for NaN."""
    return value is not None and -FARTHEST <= value <= FARTHEST


def rounded(value: float) -> float:
    """With as many decimals as can be seen; a count stays as it is."""
    return round(value, _DECIMALS)


def markup(text: str, limit: int) -> str:
    """A stranger's text as one line of Plotly's pseudo-HTML that shows just this text."""
    return plain(text, limit).translate(_PSEUDO_HTML)


def wrapped(line: str) -> list[str]:
    """A plain line in as many lines of pseudo-HTML as a hover label needs."""
    return [piece.translate(_PSEUDO_HTML) for piece in textwrap.wrap(line, _HOVER_WIDTH)]


def figure(label: str, drawing: Drawing) -> Figure:
    """The finished plot."""
    json = msgspec.json.encode(drawing)
    for mark, written in _SCRIPT:
        json = json.replace(mark, written)
    return Figure(label, json.decode())
