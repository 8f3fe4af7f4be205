"""Every answer has a place, a page, and no more behind it than it needs."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from speedrun import answers, pages

FOLDER = Path(answers.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def structs():
    """Every answer and part of one, with the module that it is defined in."""
    for module in MODULES:
        loaded = importlib.import_module(f"speedrun.answers.{module}")
        for name, value in vars(loaded).items():
            if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == loaded.__name__:
                yield module, name, value


def kinds():
    return {
        str(value.__struct_config__.tag): value
        for _, _, value in structs()
        if issubclass(value, answers.Answer) and value is not answers.Answer
    }


def test_every_name_is_found_in_its_module():
    for module, names in answers._NAMES.items():
        for name in names:
            assert getattr(answers, name) is getattr(importlib.import_module(f"speedrun.answers.{module}"), name)
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = answers.Nonsense


def test_no_answer_is_left_out():
    assert sorted(answers._NAMES) == MODULES
    for module, name, _ in structs():
        assert name in answers._NAMES[module] or name == "Part"


def test_type_checkers_see_the_same_names():
    told = {}
    for node in ast.walk(ast.parse((FOLDER / "__init__.py").read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("speedrun.answers."):
            told.setdefault(node.module.rpartition(".")[2], set()).update(alias.asname for alias in node.names)
    assert told == {module: set(names) for module, names in answers._NAMES.items()}


def test_every_answer_has_a_page_that_takes_it():
    """But for a source, which is printed as it is."""
    assert kinds().keys() - {"source"} == pages.PAGES.keys()
    for kind, (module, function) in pages.PAGES.items():
        show = getattr(importlib.import_module(f"speedrun.{module}"), function)
        value, *_ = inspect.signature(show).parameters.values()
        assert value.annotation is kinds()[kind]


def test_every_answer_can_be_read_back():
    for value in kinds().values():
        msgspec.json.Decoder(value)  # its annotations are names that can be found


OTHERS = (
    "speedrun.pull_request", "speedrun.comparison", "speedrun.verdict_page", "speedrun.run_page", "leaderboard.audit",
    "leaderboard.published", "harness.environment", "harness.sandbox", "psutil", "scipy",
)  # fmt: skip


def test_showing_a_board_waits_for_nothing_of_other_commands(workspace):
    code = (
        "import sys; from speedrun.app import main; main(['leaderboard', '--show']);"
        f"print([name for name in {OTHERS!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("[]\n")
