"""The parts of pages that no template writes: every text in them is a text, wherever it stands."""

import sys

import markupsafe
import pytest

from leaderboard.site import markup
from leaderboard.site.contents import Fact
from leaderboard.site.phases import Phase
from leaderboard.site.rendering import Templates
from leaderboard.site.source_view import DiffLine
from leaderboard.site.tables import Cell, Filter, Heading, Piece, Table, TableRow
from tests.leaderboard.site_ground import Page

EVIL = """</td><script>alert(1)</script>"' onload='x' &amp; &lt;"""
ROW = TableRow((Cell((Piece(EVIL), Piece(EVIL, EVIL)), True, EVIL),), EVIL, EVIL, EVIL)


def test_texts_are_escaped_as_jinja_escapes_them():
    for number in range(sys.maxunicode + 1):
        text = f"a{chr(number)}b"
        assert markup.escape(text) == str(markupsafe.escape(text))
    assert markup.escape(EVIL) == str(markupsafe.escape(EVIL))


@pytest.mark.parametrize(
    ("part", "texts"),
    [
        (markup.crumbs([Piece(EVIL, EVIL)], EVIL), 2),
        (markup.diff([DiffLine(kind, EVIL) for kind in ("added", "removed", "place", "same")]), 4),
        (markup.facts([Fact(EVIL, EVIL)]), 2),
        (markup.filters(Filter(EVIL, EVIL, (EVIL,), (EVIL, "b"), (EVIL, "d"))), 2),
        (markup.phase_rows([Phase("k", EVIL, EVIL, EVIL, "1", EVIL, EVIL)], True, True), 5),
        (markup.pieces([Piece(EVIL), Piece(EVIL, EVIL)]), 2),
        (markup.table(Table(EVIL, EVIL, (Heading(EVIL, "text", True),), (ROW,))), 4),
    ],
)
def test_a_text_ends_no_tag_and_no_attribute(part, texts):
    page = Page(part)  # which fails for an element that is not closed
    shown = " ".join(EVIL.split())
    assert page.text.count(shown) == texts
    assert not page.all("script")
    for element in page.elements:
        assert set(element.attributes) <= {
            "aria-current", "aria-hidden", "aria-label", "autocomplete", "class", "data-hardware", "data-key",
            "data-sort", "data-tables", "data-tier", "data-value", "hidden", "href", "id", "name", "role", "scope",
            "tabindex", "type", "value",
        }  # fmt: skip
        hostile = {value for value in element.attributes.values() if "script" in value}
        assert hostile <= {EVIL, f"Filter: {EVIL}"}


def test_every_part_is_a_filter_of_the_templates_and_says_that_it_is_html(tmp_path):
    for part in markup.PARTS:
        assert part.__annotations__["return"] is markupsafe.Markup
    (tmp_path / "page.html").write_text("{{ page|pieces }}{{ page[0].text }}")
    assert Templates(tmp_path).render("page.html", [Piece("<b>", "x")]) == b'<a href="x">&lt;b&gt;</a>&lt;b&gt;'


def test_a_choice_is_offered_where_there_is_one():
    form = Filter("key", "runs", ("a", "b"), ("verified",), ("cpu", "gpu"))
    page = Page(markup.filters(form))
    assert [each["name"] for each in page.all("select")] == ["hardware"]
    assert [each["value"] for each in page.all("option")] == ["", "cpu", "gpu"]
    assert page.all("form")[0]["data-tables"] == "a b"
