"""docs/analysis.md: its code runs, on other records too, and what it says came out of it."""

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[1]
BENCH = ROOT / "bench"
FIGURE_CAP_BYTES = 100_000
REMEDY = "run python bench/analysis.py (it needs the extra bench)"

drawing = pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")


def load(name: str) -> ModuleType:
    """bench is no package."""
    spec = importlib.util.spec_from_file_location(name, BENCH / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


analysis = load("analysis")
TEXT = analysis.PAGE.read_text()


@pytest.fixture
def named_records(tmp_path, monkeypatch):
    """The page's own records, wherever the repository's have got to since."""
    analysis.copy_records(TEXT, tmp_path / "checkout")
    monkeypatch.setenv("SPEEDRUN_ROOT", str(tmp_path / "checkout"))


@pytest.fixture(scope="module")
def other_records(tmp_path_factory):
    """A checkout with other tracks, entries and machines, failed runs, practice and retracted ones."""
    checkout = tmp_path_factory.mktemp("made") / "checkout"
    load("made_records").make_workspace(checkout, 600)
    return checkout


@pytest.fixture
def no_window():
    """Figures are drawn in memory, and forgotten."""
    import matplotlib as mpl

    mpl.use("agg")
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_the_numbers_are_those_that_come_out(named_records):
    assert analysis.rewritten(TEXT, None) == TEXT, REMEDY


def test_a_number_that_is_wrong_is_seen(named_records):
    stale = re.sub(r"are 0\.\d\d\d nats better", "are 0.999 nats better", TEXT)
    stale = re.sub(r"^8 runs, .*$", "9 runs", stale, flags=re.M)
    assert stale.count("0.999") == stale.count("9 runs") == 1
    assert analysis.rewritten(stale, None) == TEXT


def test_no_number_stands_where_nothing_makes_it():
    made = r"^```(?:python|text)\n.*?^```$|^<!-- say: .*?^<!-- said -->$|<!--.*?-->"
    prose = re.sub(made, "", TEXT, flags=re.M | re.S)
    assert "Good to know" in prose
    assert "import leaderboard" not in prose
    assert re.findall(r"\d[.,]\d|\d ?%", prose) == []


def test_the_code_runs_on_other_records(other_records, monkeypatch):
    monkeypatch.setenv("SPEEDRUN_ROOT", str(other_records))
    page = analysis.rewritten(TEXT, None)
    assert page != TEXT
    assert "600 runs, 120000 points" in page
    assert "Card of a benchmark" in page


@drawing
def test_the_figures_are_drawn(named_records, no_window, tmp_path):
    assert analysis.rewritten(TEXT, tmp_path) == TEXT, REMEDY
    assert sorted(path.name for path in tmp_path.glob("*.svg")) == sorted(each.name for each in analysis.figures(TEXT))
    lines = (tmp_path / "analysis-loss.svg").read_text()
    assert len(re.findall(r"<path d=\"M [^\"]{500,}", lines)) == 6  # a run each


@drawing
def test_the_figures_are_drawn_of_other_records(other_records, monkeypatch, no_window, tmp_path):
    monkeypatch.setenv("SPEEDRUN_ROOT", str(other_records))
    analysis.rewritten(TEXT, tmp_path)
    assert len(list(tmp_path.glob("*.svg"))) == len(analysis.figures(TEXT)) == 3


def test_the_figures_beside_the_page_are_those_of_its_code():
    """By a mark in each: what matplotlib makes of the code differs from version to version."""
    committed = {path.name: path.read_bytes() for path in analysis.PAGE.parent.glob("analysis-*.svg")}
    assert {each.name for each in analysis.figures(TEXT)} == set(committed)
    for each in analysis.figures(TEXT):
        drawn = committed[each.name]
        assert each.made_from.encode() in drawn, REMEDY
        assert len(drawn) < FIGURE_CAP_BYTES
        assert b"<dc:date>" not in drawn
        assert str(ROOT).encode() not in drawn


def test_a_figure_is_stale_when_its_code_has_changed():
    (before, *_), (after, *_) = analysis.figures(TEXT), analysis.figures(TEXT.replace("linewidth=1)", "linewidth=2)"))
    assert before.name == after.name
    assert before.made_from != after.made_from


def test_a_record_that_is_gone_is_named(tmp_path):
    text = TEXT.replace("20261121-033620-baseline-e01f", "20261121-033620-baseline-0000")
    with pytest.raises(FileNotFoundError, match="20261121-033620-baseline-0000"):
        analysis.copy_records(text, tmp_path)
