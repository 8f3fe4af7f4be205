"""Whatever a stranger writes into a record is words on the board's pages, and words in an export."""

import csv
import io
import itertools
import json
import re

import msgspec
import pandas
import pytest
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from harness.result import Author, encode
from leaderboard.export import export_runs, fields, spreadsheet_text
from leaderboard.published import Published, Result
from leaderboard.ranking import TrackRules, rank
from leaderboard.render import BEGIN, END, render_readme
from leaderboard.replay import histories
from leaderboard.schema import decode_summary
from tests.fuzzing import amounts, fuzz, strangers, unsafe, written_over

RULES = {"cpu-smoke": TrackRules(version=1, runs=1, alpha=0.01, least_gain=0.005)}
PAGE = f"# Board\n\nWords before.\n\n{BEGIN}\nold\n{END}\n\nWords after.\n"
LONG = "x" * 50_000

markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
several = st.lists(strangers, min_size=7, max_size=7)


@pytest.fixture(scope="session")
def hostile(make_record):
    """A summary with these words in it, at every place that takes any."""
    plain = [
        encode(
            make_record(entry=name, authors=(Author(name="A", link="b"), Author(name="C", link="d")), loss_nats=loss)
        )
        for name, loss in (("first", 1.25), ("second", 1.5))
    ]

    def make(number, words):
        tree = written_over(json.loads(plain[number]), itertools.cycle(words))
        tree["entry"]["name"], tree["track"]["id"] = ("first", "second")[number], "cpu-smoke"
        tree["environment"]["packages"]["torch"] = "2.13.0"  # runs of unknown software claim nothing
        return decode_summary(json.dumps(tree).encode())

    return make


def published(words):
    """Another project's results: one line each, as the loader asks; which may be markup all the same."""
    text = " ".join(re.sub(r"[^\x20-\x7e]", "", words[0]).split())[:200] or "x"
    result = Result(
        number=1, kind="record", date="2026-01-01", train_s=60.0, authors=(text,), technique=text, note=text
    )
    return Published(track="cpu-smoke", source=text, read_on="2026-01-02", results=(result,))


@amounts
def test_the_board_shows_words_as_words(examples, hostile, tally):
    def check(words):
        runs = [hostile(0, words), hostile(1, words[::-1])]
        held = histories(runs, (), RULES)
        assert sum(len(history.claims) for history in held) >= 1  # so that they are on the page
        page = render_readme(PAGE, rank(runs, RULES), histories=held, published=[published(words)])
        assert render_readme(page, rank(runs, RULES), histories=held, published=[published(words)]) == page
        assert not unsafe(page)
        assert max(map(len, page.splitlines())) < 30_000
        tables = len(re.findall(r"^\| -|^\| :", page, re.MULTILINE))
        _only_ours(page, tables)

    fuzz(examples // 10, several, check)
    check([LONG, "|" * 10_000, "\n" * 10_000, "[" * 10_000, "e" + "\u0301" * 9000, "@" * 1000, "<" * 9000])
    tally(f"the board's page: {examples // 10:,} of strangers' words", expected="words", got="words")


def _only_ours(page, tables):
    """What a reader's program finds in the page is what we put there, and no more."""
    tokens = markdown.parse(page)
    kinds = {token.type for token in tokens}
    assert not kinds & {"fence", "code_block", "blockquote_open", "bullet_list_open", "ordered_list_open", "hr"}
    html = [token.content.strip() for token in tokens if token.type == "html_block"]
    assert set(html) <= {BEGIN, END}
    assert [html.count(marker) for marker in (BEGIN, END)] == [1, 1]
    assert sum(token.type == "table_open" for token in tokens) == tables
    headings = [token.content for before, token in itertools.pairwise(tokens) if before.type == "heading_open"]
    assert headings[0] == "Board"
    assert all(
        re.match(r"cpu-smoke · version 1|Record history|Claims|Published results", each) for each in headings[1:]
    )
    for token in tokens:
        for child in token.children or ():
            assert child.type in ("text", "link_open", "link_close"), child
            if child.type == "link_open":
                assert re.match(r"https?://[a-z]|\.\./speedrun/submissions/(first|second)$", str(child.attrs["href"]))


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "https://e.example/a b", "https://e.example)", "//e.example", "@ada"]
)
def test_a_link_that_is_none_stays_a_word(hostile, link):
    board = rank([hostile(0, [link])], RULES)
    page = render_readme(PAGE, board)
    assert f"]({link})" not in page
    _only_ours(page, 1)


@amounts
def test_an_export_reads_back_whatever_is_in_it(examples, hostile, tmp_path, tally):
    runs = []
    fuzz(examples // 10, several, lambda words: runs.extend((hostile(0, words), hostile(1, words[::-1]))))
    runs.append(hostile(0, [LONG, "a\0b", "=1", '"', "\r\n", ";=1", ",-1"]))
    columns = fields({}, ())
    for suffix in (".csv", ".parquet", ".json"):
        export_runs(runs, tmp_path / f"runs{suffix}", {}, ())
    frame = pandas.read_parquet(tmp_path / "runs.parquet")
    decoded = msgspec.json.decode((tmp_path / "runs.json").read_bytes())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text(), newline="")))
    assert len(frame) == len(decoded) == len(rows) == len(runs)
    assert (tmp_path / "runs.csv").read_bytes().count(b"\n") == len(runs) + 1  # one run, one line
    for column in columns:
        if column.dtype != "string":
            continue
        meant = [column.value(run) for run in runs]
        assert [row[column.name] for row in decoded] == meant
        assert [None if pandas.isna(value) else value for value in frame[column.name]] == meant
        for row, text in zip(rows, meant, strict=True):
            cell = row[column.name]
            assert cell == spreadsheet_text(text or "")
            assert not unsafe(cell)
            assert len(cell) <= 1000
    tally(f"exports: {len(runs):,} runs of strangers' words", expected="read back", got="read back")


@amounts
def test_no_program_finds_a_formula(examples, tally):
    """Read with commas, or with semicolons where the comma is for decimals: no cell begins as a formula does."""
    starts = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
    pieces = st.lists(st.sampled_from([*starts, ";", ",", '"', "'", " ", "\n", "a", "\u00a0", "\ufeff"]), max_size=9)

    def check(text):
        line = io.StringIO()
        csv.writer(line).writerow(["first", spreadsheet_text(text), "last"])
        for separator in (",", ";"):
            for cell in next(csv.reader([line.getvalue()], delimiter=separator)):
                assert not cell.lstrip(" ").startswith(starts), (text, cell)
        for cell in line.getvalue().split(";"):  # a program that knows no quotes
            assert not cell.lstrip(" ").startswith(starts), (text, cell)

    fuzz(examples // 4, pieces.map("".join) | strangers, check)
    assert spreadsheet_text("a;=1") == "a;'=1"
    tally(f"csv cells: {examples // 4:,} like formulas", expected="words", got="words")
