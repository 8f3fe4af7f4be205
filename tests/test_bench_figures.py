"""What bench/startup.py, bench/board.py and at_scale.py make of what was measured."""

import importlib
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
# What `python -X importtime` says of: a imports b, which imports c, and d; then e.
IMPORTS = """import time: self [us] | cumulative | imported package
import time:       100 |        100 |     c
import time:       200 |        300 |   b
import time:       400 |        400 |   d.x
import time:       800 |       1500 | a
import time:      1600 |       1600 | d
"""


@pytest.fixture
def load(monkeypatch):
    """bench is no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return importlib.import_module


def test_the_tree_of_imports_puts_each_module_above_those_that_it_imported(load):
    startup = load("startup")
    tree = startup.tree(startup.read_imports(IMPORTS))
    assert [(each.module, each.depth) for each in tree] == [("a", 0), ("b", 1), ("c", 2), ("d.x", 1), ("d", 0)]
    assert [each.whole_s for each in tree] == pytest.approx([0.0015, 0.0003, 0.0001, 0.0004, 0.0016])


def test_packages_count_their_own_time(load):
    startup = load("startup")
    found = startup.packages(startup.read_imports(IMPORTS))
    assert [(each.name, each.modules) for each in found] == [("d", 2), ("a", 1), ("b", 1), ("c", 1)]
    assert found[0].self_s == pytest.approx(0.002)


def test_small_records_are_compared_with_a_tenth_as_many_small_ones(load):
    board = load("board")
    found = [str(each) for each in board.boards([100, 10_000, 100_000])]
    assert found == ["100", "10,000", "10,000 small", "100,000 small"]
    assert [str(each) for each in board.boards([100])] == ["100"]


@pytest.mark.parametrize(
    ("seconds", "megabytes", "verdict"), [(10, 10, "in step"), (10.1, 1, "missed"), (1, 10.1, "missed")]
)
def test_growth_in_step_with_the_records_is_the_goal(load, seconds, megabytes, verdict):
    at_scale = load("at_scale")
    told = at_scale.growth(at_scale.Measured(10, 1.0, 1.0), at_scale.Measured(100, seconds, megabytes))
    assert told.endswith(f": {verdict}")
