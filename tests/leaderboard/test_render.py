import random
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.errors import UserError
from harness.result import Author, Tier
from leaderboard.published import Published, Result
from leaderboard.ranking import Board, TrackRules, rank
from leaderboard.render import BEGIN, END, LONG, escape, render_markdown, render_readme
from leaderboard.replay import histories
from leaderboard.rulings import Rulings
from leaderboard.table import COLUMNS, columns, count, heading, terms
from leaderboard.text import plain
from speedrun import standings
from speedrun.commands.leaderboard import pages
from speedrun.workspace import Workspace


def rules(version=1, runs=1):
    return TrackRules(version=version, runs=runs, alpha=0.01, least_gain=0.005)


RULES = {"cpu-smoke": rules(), "h100-5min": rules()}
PAGE = f"# Board\n\nWords before.\n\n{BEGIN}\nold\n{END}\n\nWords after.\n"

# What a stranger may try: markup, structure, links, hidden characters, and whatever hypothesis thinks of.
MARKUP = ["|", "\\", "`", "<b>", "<script>", "-->", "<!--", "&amp;", "&#124;", "*", "_", "~~", "**", "[^1]", BEGIN, END]
LINKS = [
    "[x](javascript:alert(1))",
    "![i](http://e.example/x.png)",
    "https://e.example",
    "www.e.example",
    "a@e.example",
]
GITHUB = ["@team", "#1", "$x$", ":rocket:", "{{x}}"]
HIDDEN = [" ", "a", "\n", "\r", "\u202e", "\u200b", "\x1b[2J", "\x00"]
HOSTILE = st.text(max_size=40) | st.lists(st.sampled_from([*MARKUP, *LINKS, *GITHUB, *HIDDEN]), max_size=8).map("".join)

markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])


@pytest.fixture(scope="session")
def board(make_summary):
    """Two ranked entries, one below the line, and a track without runs."""
    return rank(
        [
            make_summary(entry="first", loss_nats=1.25, train_s=7.5, tokens=1_234_567),
            make_summary(entry="first", loss_nats=1.27, train_s=7.5, tokens=1_234_567),
            make_summary(entry="second", loss_nats=1.5, authors=(Author(name="Bob"),), technique="a|b <i>c</i>"),
            make_summary(entry="second", loss_nats=1.51, authors=(Author(name="Bob"),), technique="a|b <i>c</i>"),
            make_summary(entry="third", track_id="gone", loss_nats=1.5, devices=("Tesla T4",), floor_nats=None),
        ],
        RULES,
    )


def cells(text):
    """The tables of a markdown page as a reader's program sees them: rows of (text, links) per cell."""
    tables, row = [], []
    for token in markdown.parse(text):
        if token.type == "table_open":
            tables.append([])
            row = []
        elif token.type == "tr_close":
            tables[-1].append(row)
            row = []
        elif token.type == "inline":
            shown = "".join(child.content for child in token.children if child.type == "text")
            links = [child.attrs["href"] for child in token.children if child.type == "link_open"]
            kinds = {child.type for child in token.children}
            row.append((shown, links, kinds))
    return tables


def test_a_board_reads_as_expected(board):
    assert render_markdown(board) == (
        "### cpu-smoke · version 1 · Test CPU, 2 threads\n"
        "\n"
        "Lowest loss within 8 s, ranked by the mean of at least 1 run; no model passes 1.0000 nats a token. "
        "Data set tales.\n"
        "\n"
        "| Rank | Entry | Authors | Loss (nats/token) | Above floor | Training (s) | Runs | Tokens (declared) | Tier "
        "| Last run | Technique |\n"
        "| ---: | :--- | :--- | ---: | ---: | ---: | ---: | ---: | :--- | :--- | :--- |\n"
        "| 1 | [first](../speedrun/submissions/first) | [Ada](https://example.org/ada) | 1.2600 ± 0.0141 | 0.2600 "
        "| 7.50 ± 0.00 | 2 | 1.23 M | self-reported | 2026-11-21 | a plain transformer |\n"
        "| 2 | [second](../speedrun/submissions/second) | Bob | 1.5050 ± 0.0071 | 0.5050 "
        "| 7.50 ± 0.00 | 2 | 100 k | self-reported | 2026-11-21 | a&#124;b &#60;i&#62;c&#60;/i&#62; |\n"
        "\n"
        "### gone · version 1 · 1 × Tesla T4 (unknown track)\n"
        "\n"
        "Lowest loss within 8 s. Data set tales.\n"
        "\n"
        "| Rank | Entry | Authors | Loss (nats/token) | Training (s) | Runs | Tokens (declared) | Tier "
        "| Last run | Technique | Note |\n"
        "| ---: | :--- | :--- | ---: | ---: | ---: | ---: | :--- | :--- | :--- | :--- |\n"
        "| – | [third](../speedrun/submissions/third) | [Ada](https://example.org/ada) | 1.5000 "
        "| 7.50 | 1 | 100 k | self-reported | 2026-11-21 | a plain transformer | the track is not known here |\n"
        "\n"
        "No ranked runs yet on h100-5min.\n"
    )


@given(data=st.data())
def test_no_text_breaks_out_of_its_cell(board, data):
    def spoil(row):
        return msgspec.structs.replace(
            row,
            entry=data.draw(HOSTILE),
            technique=data.draw(HOSTILE),
            note=data.draw(HOSTILE),
            authors=tuple(Author(name=data.draw(HOSTILE), link=data.draw(HOSTILE)) for _ in range(2)),
        )

    section = board.sections[0]
    spoilt = msgspec.structs.replace(
        section, hardware=data.draw(HOSTILE), marks=(data.draw(HOSTILE),), rows=tuple(map(spoil, section.rows))
    )
    text = render_markdown(Board(sections=(spoilt,), tracks_without_runs=()))
    shown = columns(spoilt)
    assert len(text.splitlines()) == 6 + len(spoilt.rows)
    assert {len(re.findall(r"\|", line)) for line in text.splitlines()[4:]} == {len(shown) + 1}
    (table,) = cells(text)
    assert [len(row) for row in table] == [len(shown)] * (1 + len(spoilt.rows))
    for row, line in zip(spoilt.rows, table[1:], strict=True):
        for column, (words, links, kinds) in zip(shown, line, strict=True):
            # A reader sees the very words, as text or as the text of a link of ours.
            assert words == column.show(row)
            assert kinds <= {"text", "link_open", "link_close"}
            assert all(link.startswith(("https://", "http://", "../speedrun/submissions/")) for link in links)
    html = markdown.render(text)
    assert set(re.findall(r"<\s*/?([a-zA-Z!][^\s>/]*)", html)) <= {
        *("h3", "p", "table", "thead", "tbody", "tr", "th", "td", "a")
    }


@given(HOSTILE)
def test_escaped_text_is_shown_as_it_is(text):
    line = plain(text, 60)
    (inline,) = [token for token in markdown.parse(f"x {escape(line)} x") if token.type == "inline"]
    assert [child.type for child in inline.children] == ["text"]
    assert inline.content == f"x {escape(line)} x"
    assert inline.children[0].content == f"x {line} x"
    # GitHub's own additions look at the source: bare addresses, mail, emoji, formulas, mentions.
    assert not re.search(r"[:@$`<>\[\]|*_~]|(?i:www\.)", escape(line))


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://github.com/ada", True),
        ("http://example.org:8080/a?b=c&d=%20#e", True),
        ("https://example.org", True),
        ("", False),
        ("javascript:alert(1)", False),
        ("JaVaScRiPt:alert(1)", False),
        ("data:text/html,x", False),
        ("//example.org", False),
        ("https://example.org@evil.example/", False),
        ("https://example.org/)[x](javascript:alert(1)", False),
        ("https://example.org/<script>", False),
        ("https://example.org/a b", False),
        ("https://example.org/a|b", False),
        ("https://example.org/\n", False),
        ("https://exаmple.org", False),  # a Cyrillic а
        ("https://localhost", False),
        ("https://example.org/" + "a" * 200, False),
    ],
)
def test_only_plain_web_links_stay_links(make_summary, link, kept):
    runs = [make_summary(authors=(Author(name="Ada", link=link),))]
    (table,) = cells(render_markdown(rank(runs, {"cpu-smoke": RULES["cpu-smoke"]})))
    position = [column.key for column in COLUMNS].index("authors")
    words, links, _ = table[1][position]
    assert words == "Ada"
    assert len(links) == kept


def test_many_authors_are_cut_short(make_summary):
    runs = [make_summary(authors=tuple(Author(name=f"Author {number}") for number in range(9)))]
    (table,) = cells(render_markdown(rank(runs, {"cpu-smoke": RULES["cpu-smoke"]})))
    assert table[1][2][0] == "Author 0, Author 1, Author 2, Author 3 and 5 more"


def test_terminal_and_page_have_the_same_columns(board):
    for section, table in zip(board.sections, cells(render_markdown(board)), strict=True):
        shown = columns(section)
        assert [words for words, _, _ in table[0]] == [column.heading for column in shown]
        for row, line in zip(section.rows, table[1:], strict=True):
            assert [words for words, _, _ in line] == [column.show(row) for column in shown]


def test_keys_of_columns_are_unique():
    assert len({column.key for column in COLUMNS}) == len(COLUMNS)


def test_a_race_says_its_target(make_summary):
    runs = [make_summary(objective="fastest-to-loss", target_nats=3.28, limit_s=14_400.0)]
    section = rank(runs, {"cpu-smoke": rules(version=2, runs=3)}).sections[0]
    assert heading(section) == "cpu-smoke · version 1 · Test CPU, 2 threads (old version)"
    assert terms(section) == (
        "Fastest to the target within 14,400 s, target 3.28 nats a token, ranked by the mean of at least 3 runs; "
        "no model passes 1.0000 nats a token. Data set tales."
    )


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (999, "999"), (12_345, "12.3 k"), (1_048_576, "1.05 M"), (2**62, "4,611,686,018 B")]
)
def test_counts_are_short(value, text):
    assert count(value) == text


def test_rendering_twice_changes_nothing(board):
    once = render_readme(PAGE, board)
    assert once.startswith(f"# Board\n\nWords before.\n\n{BEGIN}\n\n### cpu-smoke")
    assert once.endswith(f"{END}\n\nWords after.\n")
    assert "old" not in once
    assert render_readme(once, board) == once
    empty = Board(sections=(), tracks_without_runs=())
    assert render_readme(once, empty) == render_readme(PAGE, empty)


@given(technique=HOSTILE, name=HOSTILE)
def test_rendering_twice_changes_nothing_whatever_the_text(board, technique, name):
    section = board.sections[0]
    row = msgspec.structs.replace(section.rows[0], technique=technique, authors=(Author(name=name, link=name),))
    hostile = Board(sections=(msgspec.structs.replace(section, rows=(row,)),), tracks_without_runs=(name,))
    once = render_readme(PAGE, hostile)
    assert render_readme(once, hostile) == once


@pytest.mark.parametrize(
    ("page", "words"),
    [
        ("", "0 times"),
        (f"{BEGIN}\n", "end --> 0 times"),
        (f"{END}\n", "begin --> 0 times"),
        (PAGE + PAGE, "2 times"),
        (f"{END}\n{BEGIN}\n", "swap them"),
    ],
)
def test_a_page_without_its_markers_is_refused(page, words):
    with pytest.raises(UserError, match=words):
        render_readme(page, Board(sections=(), tracks_without_runs=()))


@pytest.fixture(scope="session")
def runs(make_summary):
    """Two records, a claim, a retracted run, and whatever stands around them."""
    return [
        make_summary(entry=entry, source=entry, loss_nats=loss_nats, tier=tier)
        for entry, losses, tier in (
            ("first", (1.50, 1.51, 1.52), Tier.VERIFIED),
            ("second", (1.40, 1.41, 1.42), Tier.VERIFIED),
            ("third", (1.20, 1.21, 1.22), Tier.SELF_REPORTED),
            ("fourth", (1.21, 1.22, 1.23), Tier.SELF_REPORTED),
            ("cheat", (1.10, 1.11, 1.12), Tier.VERIFIED),
        )
        for loss_nats in losses
    ]


@pytest.fixture(scope="session")
def rulings(runs):
    return Rulings({run.run_id: "it looked | ahead" for run in runs if run.entry.name == "cheat"}, {})


ELSEWHERE = Published(
    track="cpu-smoke",
    source="some other race",
    read_on="2026-11-20",
    results=(
        Result(number=1, kind="record", date="2025-01-01", train_s=9.5, authors=("@them",), technique="a plain one"),
        Result(number=1, kind="re-timing", date=None, train_s=9.25, authors=(), technique="again", note="doubtful"),
    ),
)


def page_of(runs, rulings, elsewhere=(ELSEWHERE,)):
    today = {"cpu-smoke": rules(runs=3), "h100-5min": rules()}
    found = histories(runs, (), today, rulings)
    return render_markdown(rank(runs, today, rulings), "../", found, elsewhere)


def test_a_section_has_its_ranking_its_history_its_claims_and_what_was_measured_elsewhere(runs, rulings):
    text = page_of(runs, rulings)
    assert re.findall(r"^###.*$", text, re.MULTILINE) == [
        "### cpu-smoke · version 1 · Test CPU, 2 threads",
        "#### Record history",
        "#### Claims",
        "#### Published results",
    ]
    ranking, history, claims, elsewhere = cells(text)
    assert [line[0][0] for line in ranking[1:]] == ["1", "2 ≈", "3", "4", "–"]
    assert "≈ no test at p &#60; 0.01 tells this row from the one above it." in text
    assert ranking[2][-1][0].startswith("not told apart from the row above (p = 0.29); about ")
    assert ranking[5][-1][0] == "retracted: it looked | ahead"
    assert [[cell[0] for cell in line[:4]] for line in history[1:]] == [
        ["1", "record", "2026-11-21", "first"],
        ["2", "record", "2026-11-21", "second"],
        ["–", "retracted", "2026-11-21", "cheat"],
    ]
    assert history[2][-1][0].startswith("0.1000 nats below record 1 (p = ")
    assert history[3][-1][0].startswith("retracted: it looked | ahead; 0.3000 nats below record 2")
    assert [line[3][0] for line in claims[1:]] == ["third", "fourth"]
    assert "2 claims, which are no records yet." in text
    assert "2 results measured elsewhere, not by this harness&#58; some other race, as read on 2026-11-20." in text
    assert [[cell[0] for cell in line] for line in elsewhere[1:]] == [
        ["1", "record", "2025-01-01", "9.50", "@them", "a plain one", ""],
        ["1", "re-timing", "–", "9.25", "–", "again", "doubtful"],
    ]
    assert "No ranked runs yet on h100-5min." in text


def test_a_page_depends_on_nothing_but_what_is_in_it(runs, rulings):
    text = page_of(runs, rulings)
    assert page_of(runs[::-1], rulings) == text
    assert page_of(random.Random(1).sample(runs, len(runs)), rulings) == text


def test_results_of_a_track_without_runs_are_shown_all_the_same(runs, rulings):
    far = msgspec.structs.replace(ELSEWHERE, track="h100-5min")
    text = page_of(runs, rulings, (far,))
    assert "\n\n### h100-5min\n\n#### Published results\n" in text


def many_of(published):
    again = published.results[1:] * (2 * LONG - 1)
    return msgspec.structs.replace(published, results=(published.results[0], *again))


def test_long_lists_are_folded_and_say_how_many_they_are(make_summary):
    many = many_of(ELSEWHERE)
    runs = [make_summary(entry=f"entry-{number}", loss_nats=1.5) for number in range(LONG + 1)]
    text = page_of(runs, Rulings({}, {}), (many,))
    assert f"<summary>{2 * LONG} results measured elsewhere, not by this harness&#58; some other race" in text
    assert f"<summary>{LONG + 1} rows below the line</summary>" in text
    assert len(cells(text)) == 2
    assert text.count("<details>") == text.count("</details>") == 2
    short = page_of(runs[:LONG], Rulings({}, {}))
    assert "<details>" not in short


@given(data=st.data())
@settings(max_examples=30)
def test_no_text_breaks_out_of_a_history(runs, rulings, data):
    def spoil(step):
        words = msgspec.structs.replace(step.evidence, words=data.draw(HOSTILE))
        authors = (Author(name=data.draw(HOSTILE), link=data.draw(HOSTILE)),)
        technique, overrides = data.draw(HOSTILE), ((data.draw(HOSTILE), data.draw(HOSTILE)),)
        return msgspec.structs.replace(
            step, evidence=words, authors=authors, technique=technique, overrides=overrides, entry=data.draw(HOSTILE)
        )

    today = {"cpu-smoke": rules(runs=3)}
    (history,) = histories(runs, (), today, rulings)
    spoilt = msgspec.structs.replace(
        history, steps=tuple(map(spoil, history.steps)), claims=tuple(map(spoil, history.claims))
    )
    text = render_markdown(rank(runs, today, rulings), "../", (spoilt,))
    _, steps, claims = cells(text)
    assert (len(steps), len(claims)) == (4, 3)
    for line, step in zip(steps[1:] + claims[1:], spoilt.steps + spoilt.claims, strict=True):
        assert len(line) == len(steps[0])
        assert line[3][0] == plain(step.entry, 40)
        assert line[-1][0] == plain(step.evidence.words, 500)
        assert all(kinds <= {"text", "link_open", "link_close"} for _, _, kinds in line)
    html = markdown.render(text)
    assert set(re.findall(r"<\s*/?([a-zA-Z!][^\s>/]*)", html)) <= {
        *("h3", "h4", "p", "table", "thead", "tbody", "tr", "th", "td", "a")
    }


def test_a_summary_of_a_folded_table_is_harmless(runs, rulings):
    many = msgspec.structs.replace(many_of(ELSEWHERE), source="</summary><b>&")
    assert "<summary>20 results measured elsewhere, not by this harness&#58; &#60;/summary&#62;&#60;b&#62;&#38;" in (
        page_of(runs, rulings, (many,))
    )


def test_the_pages_of_the_repository_show_its_records():
    workspace = Workspace(Path(__file__).parents[2])
    for page, text in pages(workspace, standings.read(workspace)):
        name = page.relative_to(workspace.root).as_posix()
        assert page.read_text(encoding="utf-8") == text, f"{name} is stale: run speedrun leaderboard --render"
