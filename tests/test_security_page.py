"""docs/security.md says what the tests show: no cheat is missing, no name leads nowhere, nothing untold is left out."""

import re

import pytest

from tests.harness import sandbox_table
from tests.security_page import EXPLOITS, FOUND_HERE, PAGE, ROOT, between, cheats, rewritten, rows, tried_by, untold

TEXT = PAGE.read_text()
REMEDY = "run python -m tests.security_page"


def test_every_exploit_has_a_row_and_somebody_who_tries_it():
    assert list(rows(TEXT)) == [*map(str, EXPLOITS), FOUND_HERE]
    untried = [number for number, cells in rows(TEXT).items() if number != FOUND_HERE and not any(cells)]
    assert untried == []


@pytest.mark.parametrize("cheat", cheats(), ids=lambda cheat: cheat.name)
def test_every_cheat_belongs_to_exploits_of_the_list(cheat):
    assert set(cheat.exploits) <= set(EXPLOITS)


def test_the_cheats_of_an_exploit_are_those_that_say_so():
    known = cheats()
    wrong = {number: tried_by(number, known) for number, (tried, _) in rows(TEXT).items()}
    wrong = {number: cell for number, cell in wrong.items() if cell != rows(TEXT)[number][0]}
    assert wrong == {}, REMEDY


def test_the_untold_are_exactly_these():
    assert between(TEXT, "untold") == untold(cheats()), REMEDY


def test_the_sandbox_table_is_the_one_that_is_tried():
    assert between(TEXT, "sandbox table") == list(sandbox_table.markdown()), REMEDY


def test_every_name_leads_somewhere():
    named = re.findall(r"`(tests/[\w./]+)(?:::(\w+))?`", TEXT)
    assert len(named) > 30
    for path, function in named:
        assert (ROOT / path).exists(), path
        if function:
            assert f"def {function}(" in (ROOT / path).read_text(), f"{path}::{function}"


def test_rewriting_changes_nothing():
    assert rewritten(TEXT) == TEXT, REMEDY
