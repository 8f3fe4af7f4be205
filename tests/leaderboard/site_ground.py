"""A folder of records, the site that is built of it, and a reader of its pages."""

from collections.abc import Callable, Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from harness.result import Record, Verdict, encode
from leaderboard.published import Published
from leaderboard.ranking import TrackRules, rank
from leaderboard.replay import histories
from leaderboard.rulings import Rulings
from leaderboard.site.build import Built, Tools, build, find_tools
from leaderboard.site.contents import Contents, Fact, TrackCard
from leaderboard.store import Broken, Store

RULES = {
    track: TrackRules(version=1, runs=1, alpha=0.01, least_gain=0.005)
    for track in ("cpu-smoke", "h100-5min", "t4-5min")
}
ASSETS = {"assets/plotly.min.js", "assets/site.css", "assets/site.js"}

_INLINE = {"a", "span", "strong", "code", "ins", "del", "time"}  # what follows stands on the same line
_VOID = {"meta", "link", "input", "br", "img", "hr", "path", "circle"}  # SVG's two are closed in themselves


class Ground:
    """A checkout's results, without the checkout."""

    def __init__(self, folder: Path) -> None:
        self.results = folder / "results"
        self.site = folder / "site"
        self.rules: Mapping[str, TrackRules] = RULES
        self.retracted: dict[str, str] = {}
        self.waived: dict[str, str] = {}
        self.published: tuple[Published, ...] = ()
        self.title = "A title"
        self.tools = find_tools()

    def add(self, *records: Record) -> None:
        for record in records:
            self.put(record.track.id, record.run_id, encode(record))

    def put(self, track: str, run_id: str, data: bytes) -> None:
        path = self.results / track / f"{run_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def contents(self, broken: tuple[Broken, ...] = ()) -> Contents:
        loaded = Store(self.results).load()
        rulings = Rulings(self.retracted, self.waived)
        return Contents(
            tracks=tuple(
                TrackCard(
                    id=track,
                    title=self.title,
                    race="lowest loss",
                    brief=(Fact("limit", "8 s"),),
                    facts=(Fact("version", "1"),),
                    rules=("Train.", "And do not look."),
                )
                for track in self.rules
            ),
            runs=loaded.records,
            digests=loaded.digests,
            unsigned=loaded.unsigned,
            retracted=self.retracted,
            waived=self.waived,
            board=rank(loaded.records, self.rules, rulings, loaded.unsigned),
            histories=histories(loaded.records, (), self.rules, rulings),
            published=self.published,
            broken=(*loaded.broken, *broken),
            results=self.results,
        )

    def build(self, tools: Tools | None = None) -> Built:
        return build(self.site, self.contents(), tools or self.tools)

    def files(self) -> dict[str, bytes]:
        """Everything that lies in the site, but for its manifest."""
        found = {
            path.relative_to(self.site).as_posix(): path.read_bytes() for path in self.site.rglob("*") if path.is_file()
        }
        found.pop(".site.json", None)
        return found

    def page(self, path: str) -> "Page":
        return read(self.site / path)

    def pages(self) -> dict[str, "Page"]:
        return {path: self.page(path) for path in self.files() if path.endswith(".html")}


def crowd(make_record: Callable[..., Record]) -> Iterator[Record]:
    """Ranked, practice, failed runs of four entries on two tracks, one of them based on another."""
    for number, (entry, loss_nats) in enumerate((("baseline", 1.6), ("muon", 1.5), ("wide", 1.4))):
        based_on = {"based_on": "baseline"} if number else {}
        for again in range(2):
            record = make_record(
                entry=entry, loss_nats=loss_nats + again / 1000, source=f"WIDTH = {number}\n\ndef train():\n    pass\n"
            )
            yield _replaced(record, entry=_replaced(record.entry, **based_on))
    yield make_record(entry="wide", track_id="h100-5min", devices=("NVIDIA H100",), loss_nats=3.1)
    yield make_record(entry="tiny", ranked=False, loss_nats=1.9)
    yield make_record(entry="tiny", verdict=Verdict.TIME_LIMIT, log_tail="step 1\nstep 2\n")


def _replaced(value: Any, **fields: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(value, **fields)


class Element(NamedTuple):
    tag: str
    attributes: dict[str, str]


class Page(HTMLParser):
    """A page as a reader's program sees it. Raises AssertionError for elements that are not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self.words: list[str] = []  # of everything that is shown
        self.scripts: list[str] = []  # what script elements hold
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names), f"<{tag}> has an attribute twice"
        self.elements.append(Element(tag, {name: value or "" for name, value in attrs}))
        self._apart(tag)
        if tag not in _VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in _VOID
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        assert self._open.pop() == tag
        self._apart(tag)

    def _apart(self, tag: str) -> None:
        if tag not in _INLINE:
            self.words.append(" ")

    def handle_data(self, data: str) -> None:
        (self.scripts if self._open[-1:] == ["script"] else self.words).append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data[:80]}")

    @property
    def text(self) -> str:
        """What is shown, each run of white space as a blank."""
        return " ".join("".join(self.words).split())

    def all(self, tag: str) -> list[dict[str, str]]:
        return [element.attributes for element in self.elements if element.tag == tag]

    def links(self) -> set[str]:
        """Every address that the page names."""
        return {each.attributes[name] for each in self.elements for name in ("href", "src") if name in each.attributes}

    def ids(self) -> list[str]:
        return [each.attributes["id"] for each in self.elements if "id" in each.attributes]


def read(path: Path) -> Page:
    return Page(path.read_text(encoding="utf-8"))


def broken_links(pages: Mapping[str, Page], files: set[str]) -> list[str]:
    """Links to what is not on the site, or to a place that a page does not have."""
    faults = []
    for path, page in pages.items():
        for link in page.links():
            parts = urlsplit(link)
            if parts.scheme in ("http", "https", "data"):
                continue
            place = (Path("/") / path).parent / unquote(parts.path) if parts.path else Path("/") / path
            target = _resolved(place)
            if parts.scheme or parts.netloc or target not in files:
                faults.append(f"{path}: {link}")
            elif parts.fragment and parts.fragment not in pages[target].ids():
                faults.append(f"{path}: {link} (no such place)")
    return faults


def _resolved(place: Path) -> str:
    parts: list[str] = []
    for part in place.parts[1:]:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)
