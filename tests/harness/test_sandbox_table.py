"""Every row of the attack table, at every level that this machine offers, as root and as an ordinary user."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.result import Level
from harness.sandbox import Interpreter
from tests.harness.sandbox_ground import Ask, Column, Ground, Outcome
from tests.harness.sandbox_rig import CONFINED, folder_for_all, interpreter_for_all, run_as
from tests.harness.sandbox_table import ATTACKS, COLUMNS, UNSHOWN, Cell, claimed

ORDINARY_USER = 61_110
AS_ROOT = os.geteuid() == 0
USER = "root" if AS_ROOT else "user"
CASES = [
    pytest.param(column, attack, id=f"{column}-{attack.name}")
    for column in COLUMNS
    for attack in ATTACKS
    if attack.tried_at(column)
]


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    with folder_for_all() as folder:
        yield folder


@pytest.fixture(scope="module")
def interpreter(open_folder: Path) -> Interpreter:
    return interpreter_for_all(open_folder)


@pytest.fixture(scope="module")
def grounds(open_folder: Path, interpreter: Interpreter) -> Iterator[dict[Column, Ground]]:
    made = {column: Ground(column, open_folder, interpreter) for column in COLUMNS}
    with contextlib.ExitStack() as stack:
        for ground in made.values():
            stack.enter_context(ground)
        yield made


@pytest.mark.sandbox
@pytest.mark.redteam
@pytest.mark.parametrize(("column", "attack"), CASES)
def test_attack(column, attack, grounds, tally, monkeypatch):
    if attack.as_root and not AS_ROOT:
        pytest.skip("root's alone")
    if attack.polled:
        monkeypatch.setattr("harness.sandbox_process.Cgroup.create", lambda *limits: None)
    expected = attack.expected(column, as_root=AS_ROOT)
    got = attack.attempt(grounds[column])
    if (
        column.level is Level.NONE
        and (expected, got) == (Outcome.WORKS, Outcome.STOPPED)
        and isinstance(attack.attempt, Ask)
        and not attack.attempt.works_outside(grounds[column])
    ):
        pytest.skip("this machine refuses it to everybody")
    tally(attack.name, level=f"{column} ({USER})", expected=expected, got=got)
    assert got == expected


@pytest.mark.sandbox
@pytest.mark.redteam
@pytest.mark.skipif(not AS_ROOT, reason="this is the ordinary user")
def test_every_attack_again_as_an_ordinary_user(open_folder, interpreter, tally):
    again = run_as(ORDINARY_USER, Path(__file__), "test_attack", open_folder, interpreter)
    for row in again.rows:
        tally(row.attack, level=row.level, expected=row.expected, got=row.got)
    assert again.passed, again.said
    assert {row.attack for row in again.rows} == {attack.name for attack in ATTACKS if not attack.as_root}


def admitted(attack, level):
    return attack.cell(level) in (Cell.WORKS, Cell.FOR_ROOT)


def test_names_are_told_apart():
    assert len({attack.name for attack in ATTACKS}) == len(ATTACKS)


@pytest.mark.parametrize("level", Level)
def test_every_sentence_of_what_is_not_covered_is_shown_by_an_attack(level):
    shown = {sentence for attack in ATTACKS if admitted(attack, level) for sentence in attack.said}
    assert claimed(level) - shown == claimed(level) & UNSHOWN.keys()


@pytest.mark.parametrize("level", CONFINED)
def test_every_attack_that_works_is_admitted(level):
    for attack in ATTACKS:
        if admitted(attack, level):
            said = claimed(level).intersection(attack.said)
            assert said or attack.own_affair, f"{level} does not admit: {attack.name}"


def test_every_sentence_that_is_quoted_is_said_somewhere():
    said = set().union(*map(claimed, Level))
    quoted = UNSHOWN.keys() | {sentence for attack in ATTACKS for sentence in attack.said}
    assert quoted <= said, quoted - said
