"""The tracks in words: on a terminal, and in docs/tracks.md."""

import itertools
import json
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import data
from data.manifest import find
from harness.track import Gates, find_track, list_tracks
from leaderboard.text import plain
from speedrun.fitness import demand_data
from speedrun.track_docs import render
from speedrun.track_words import COLUMNS, duration, facts, paragraphs

ROOT = Path(__file__).resolve().parents[2]
DATASETS = Path(data.__file__).parent / "datasets"
TRACK = find_track("4090-100m-dash")

MARKUP = [
    "# ",
    "- ",
    "+ ",
    "1. ",
    "12) ",
    "===",
    "---",
    "> ",
    "```",
    "<b>",
    "<!--",
    "|",
    "*",
    "_",
    "[x](javascript:1)",
    "&amp;",
]
OTHERS = [" ", "\n", "\n\n", "    ", "\t", "\x1b[2J", "\u202e", "a", "https://e.example", "@team", "$x$"]
HOSTILE = st.text(max_size=40) | st.lists(st.sampled_from(MARKUP + OTHERS), max_size=8).map("".join)

# What a track's file takes for a title or a split.
NAMES = HOSTILE.filter(
    lambda text: text == text.strip() and "\n" not in text and plain(text, 60) not in ("", "train", "spare")
)

markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def kinds(text):
    """What a reader's program sees a page made of, inside its paragraphs and outside."""
    tokens = markdown.parse(text)
    return [(token.type, token.tag, [child.type for child in token.children or ()]) for token in tokens]


def with_words(title, rules, split):
    resources = msgspec.structs.replace(TRACK.resources, accelerator=split)
    score = msgspec.structs.replace(TRACK.score, split=split)
    return msgspec.structs.replace(TRACK, title=title, rules=rules, score=score, resources=resources)


def test_the_page_is_what_the_files_say():
    remedy = "docs/tracks.md is not what harness/tracks/*.toml say: run `speedrun tracks --render` and commit it"
    assert (ROOT / "docs" / "tracks.md").read_text() == render(list_tracks()), remedy


def test_render_writes_the_page(workspace, speedrun):
    page = workspace.root / "docs" / "tracks.md"
    for _ in range(2):  # the folder is there or not
        said = speedrun("tracks", "--render")
        assert (said.code, said.out, said.err) == (0, "wrote docs/tracks.md\n", "")
        assert page.read_text() == render(list_tracks(workspace.tracks))
    said = json.loads(speedrun("tracks", "--render", "--json").out)
    assert said["written"] == ["docs/tracks.md"]
    said = speedrun("tracks", "cpu-1min", "--render")
    assert (said.code, said.err) == (2, "error: --render writes every track; leave cpu-1min out\n")


def test_the_page_shows_every_track_and_leads_to_it():
    text = render(list_tracks())
    tokens = markdown.parse(text)
    links = [child.attrs["href"] for token in tokens for child in token.children or () if child.type == "link_open"]
    headings = [
        after.content
        for token, after in itertools.pairwise(tokens)
        if (token.type, token.tag) == ("heading_open", "h2")
    ]
    assert headings == [track.id for track in list_tracks()]
    # GitHub makes a heading's anchor out of its letters, digits and hyphens.
    assert [link for link in links if link[0] == "#"] == ["#" + re.sub(r"[^a-z0-9-]", "", one) for one in headings]
    assert len(set(links)) == len(links)


@given(NAMES, HOSTILE, NAMES)
def test_no_text_of_a_file_becomes_markup(name, rules, split):
    said = [line for line in (plain(part, 20_000) for part in re.split(r"\n[ \t]*\n", rules)) if line]
    wild = with_words(name, f"first\n\n{rules}", split)
    text = render([wild])
    assert kinds(text) == kinds(render([with_words("words", "\n\n".join(["words"] * (1 + len(said))), "words")]))
    inline = [token.children for token in markdown.parse(text) if token.type == "inline"]
    words = ["".join(child.content for child in children if child.type == "text") for children in inline]
    assert words.count(plain(name, 200)) >= 1
    assert all(paragraph in words for paragraph in said)
    assert any(plain(split, 60) in line for line in words)


def test_everything_that_a_file_fixes_is_told():
    told = dict(facts(TRACK))
    for label, words in {
        "race": "training time with a mean loss of at most 4.5 nats a token",
        "training on": "the first 100,001,792 training tokens of blueberry-1b",
        "scored on": "all of val, in windows of at most 2,048 tokens",
        "time": "training 1,800 s (30 min), set-up 900 s, loading 90 s, scoring and twin 600 s each",
        "saving": "free for 2 s",
        "artifact": "768 MiB",
        "hardware": "1 × RTX 4090 with 24 GiB (± 10 %), 4 CPU threads, 16 GiB of memory, 8,192 MiB of scratch, at most",
        "parameters": "143,450,000 to 158,550,000",
        "tokens": "at least 100,000,000, as the entry declares",
        "ranked by": "training time and loss over 3 runs or more",
        "new record": "faster by 10 s or more, and beyond noise at p < 0.01; mean loss below the target at p < 0.01",
        "version": "1",
    }.items():
        assert words in told[label]
    told = dict(facts(find_track("h100x8-val-3.28")))
    assert (
        "8 × H100 80GB HBM3 with 80 GiB (± 10 %), 8 processes that train together, 8 CPU threads each, 64"
        in told["hardware"]
    )
    assert told["scored on"].startswith("the first 10,485,760 predicted tokens of val")
    assert told["training on"] == "all training tokens of fineweb10b-gpt2"
    assert "parameters" not in told
    told = dict(facts(find_track("cpu-smoke")))
    assert told["hardware"].startswith("2 CPU threads, 4 GiB")
    assert told["ranked by"] == "the mean loss over 1 run or more"
    assert told["new record"] == "lower by 0.01 nats a token or more, and beyond noise at p < 0.01"


@pytest.mark.parametrize(
    ("gates", "cell", "fact"),
    [
        (Gates(), "any", None),
        (Gates(parameters_min=10_000_000), "≥ 10 M", "at least 10,000,000"),
        (Gates(parameters_max=10_000_000), "≤ 10 M", "at most 10,000,000"),
        (Gates(parameters_min=9_000_000, parameters_max=10_000_000), "9 M to 10 M", "9,000,000 to 10,000,000"),
    ],
)
def test_gates_of_one_side(gates, cell, fact):
    track = msgspec.structs.replace(TRACK, gates=gates)
    assert cell in [column.show(track) for column in COLUMNS]
    told = dict(facts(track)).get("parameters")
    assert told == (None if fact is None else f"{fact}, shared ones counted once")


def test_several_processes_on_a_processor_are_told():
    resources = msgspec.structs.replace(TRACK.resources, accelerator="cpu", accelerator_gib=None, count=2, threads=1)
    told = dict(facts(msgspec.structs.replace(TRACK, resources=resources)))
    assert told["hardware"].startswith("2 × 1 CPU thread, 2 processes that train together, 16 GiB")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (8.0, "8 s"),
        (60.0, "1 min"),
        (90.0, "90 s"),
        (300.0, "5 min"),
        (14_400.0, "4 h"),
        (5_400.0, "90 min"),
        (0.5, "0.5 s"),
    ],
)
def test_durations_as_they_are_spoken_of(seconds, words):
    assert duration(seconds) == words


@pytest.mark.parametrize("width", [64, 80, 120, 200])
def test_the_table_fits_the_terminal(speedrun, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    said = speedrun("tracks")
    assert (said.code, said.err) == (0, "")
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[2 : 2 + len(list_tracks())]] == [track.id for track in list_tracks()]
    assert ("not shown for want of width" in said.out) == (width < 100)
    assert ("fineweb10b-gpt2" in said.out) == (width >= 80)


@pytest.mark.parametrize("width", [60, 80, 200])
def test_one_track_fits_the_terminal_with_all_its_words(speedrun, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for track in list_tracks():
        said = speedrun("tracks", track.id)
        assert (said.code, said.err) == (0, "")
        assert max(map(len, said.out.splitlines())) <= min(width, 100)
        once = " ".join(said.out.split())
        assert " ".join(track.rules.split()) in once
        assert all(words in once for _, words in facts(track))
        assert track.sha256[:12] in once


def test_what_a_file_says_cannot_drive_the_terminal(workspace, speedrun):
    path = workspace.tracks / "cpu-smoke.toml"
    text = path.read_text()
    path.write_text(
        text.replace('"Eight seconds', '"[red]\\u001b[2J\\u202eEight seconds').replace('"tales"', '"taels"')
    )
    said = speedrun("tracks", "cpu-smoke")
    assert "[red][2JEight seconds" in said.out
    assert "taels" in said.out


def test_what_a_track_shows_of_ready_made_rows_is_whole_rows():
    for track in list_tracks():
        dataset = find(track.dataset, DATASETS, DATASETS)
        demand_data(track, dataset)
        if track.train_tokens is not None and dataset.row_tokens is not None:
            assert track.train_tokens % dataset.row_tokens == 0, track.id


def test_rules_are_told_in_paragraphs():
    track = msgspec.structs.replace(TRACK, rules="\none\ntwo \n \t\nthree\x1b\n\n\n")
    assert paragraphs(track) == ["one two", "three"]
    assert all(paragraph == plain(paragraph, 20_000) for one in list_tracks() for paragraph in paragraphs(one))


def test_every_race_of_others_says_how_it_differs():
    for track in list_tracks():
        if track.resources.accelerator != "cpu":
            said = paragraphs(track)
            assert said[-1].startswith("Where it comes from: ")
            assert any("free: " in words.lower() and "Not free: " in words for words in said)
            assert any("reviewer" in words for words in said)


def test_a_page_that_cannot_be_written(workspace, speedrun):
    (workspace.root / "docs" / "tracks.md").mkdir(parents=True)
    said = speedrun("tracks", "--render")
    assert said.code == 2
    assert re.fullmatch(r"error: cannot write .*tracks\.md: .*\n", said.err)
