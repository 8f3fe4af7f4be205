"""docs/redteam.md is whole and as expected, and README quotes it."""

import re
import tomllib
from pathlib import Path

import pytest
from _pytest.reports import TestReport

from tests.tally import Row, merged, page, quoted, rows_of, rows_on, totals

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def text() -> str:
    return (ROOT / "docs" / "redteam.md").read_text()


def expectations(kind: str) -> dict[str, dict]:
    found = sorted((ROOT / "tests" / kind).glob("*/expect.toml"))
    return {path.parent.name: tomllib.loads(path.read_text()) for path in found}


def test_a_page_can_be_read_again():
    rows = [Row("cheats", "peeks", "namespaces", "NOT_PREDICTIVE", "ok"), Row("faults", "a full disk", "", "a", "a")]
    assert rows_on(page(rows)) == rows
    assert [str(total) for total in totals(rows)] == ["cheats: 0 of 1 as expected", "faults: 1 of 1 as expected"]


def test_everything_came_as_expected(text):
    rows = rows_on(text)
    assert page(rows) == text
    assert [row for row in rows if row.expected != row.got] == []


def test_every_cheat_is_on_the_page_with_what_its_folder_expects(text):
    wanted = {
        name: expect["outcome"] if expect["verdict"] == "ok" else expect["verdict"]
        for name, expect in expectations("cheats").items()
    }
    assert {row.attack: row.expected for row in rows_on(text) if row.group == "cheats"} == wanted


def test_every_honest_control_is_on_the_page_and_none_was_flagged(text):
    controls = {name for name, expect in expectations("golden").items() if "control" in expect}
    rows = [row for row in rows_on(text) if row.group == "honest"]
    assert {row.attack for row in rows} == controls
    for row in rows:
        passed, made = map(int, re.fullmatch(r"ok, (\d+) of (\d+)", row.got).groups())
        assert passed == made >= 20, row


def test_every_attack_on_the_sandbox_is_on_the_page(text):
    from tests.harness.sandbox_table import ATTACKS

    assert {row.attack for row in rows_on(text) if row.group == "sandbox table"} == {each.name for each in ATTACKS}


def test_every_module_that_tallies_is_on_the_page(text):
    modules = {path.stem for path in (ROOT / "tests").rglob("test_*.py") if re.search(r"\btally\(", path.read_text())}
    groups = {total.group for total in totals(rows_on(text))}
    assert groups == {module.removeprefix("test_").replace("_", " ") for module in modules}


def test_a_failed_test_is_no_success():
    report = TestReport(
        "a", ("a", 0, "a"), {}, "failed", None, "call", user_properties=[("red team", ("g", "a", "", "x", "x"))]
    )
    assert rows_of([report])[0].got == "FAILED (x)"


def test_a_run_of_some_keeps_the_others():
    old = [Row("cheats", "a", "", "x", "x"), Row("honest", "b", "", "y", "y")]
    new = [Row("honest", "b", "", "z", "z"), Row("honest", "c", "", "z", "z")]
    assert merged(page(old), new) == [old[0], *new]


def test_readme_quotes_the_totals(text):
    readme = (ROOT / "README.md").read_text()
    assert quoted(readme, rows_on(text)) == readme
    assert quoted(readme, rows_on(text)[1:]) != readme
