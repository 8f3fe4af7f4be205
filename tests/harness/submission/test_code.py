"""What speedrun.py and config.py must be as Python, without being run."""

import pytest

from harness.submission import load
from tests.harness.submission.folders import CONFIG, SPEEDRUN, only, told


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x = 1\nif x\n", "extra.py:2: syntax error"),
        ("\n\nreturn 1\n", "extra.py:3: syntax error"),
        ("def f(a, a): pass\n", "extra.py:1: syntax error"),
        ("x = " + "9" * 5000, "extra.py:1: syntax error"),
        ("x = " + "-" * 100_000 + "1", "extra.py: cannot be compiled"),
        ("x = a" + "+a" * 50_000, "extra.py: cannot be compiled"),
        ("x = " + "(" * 1000, "extra.py:1: syntax error"),
        ("# coding: latin-1\n", "extra.py:1: declares the encoding latin-1"),
        ("#!/bin/x\n# -*- coding: utf-7 -*-\n", "extra.py:2: declares the encoding utf-7"),
    ],
)
def test_python_that_does_not_compile(entry, text, place):
    (entry / "extra.py").write_text(text)
    assert any(place in problem for problem in told(entry))


@pytest.mark.parametrize(
    "text", ["# -*- coding: utf-8 -*-\n", "x = '\\d'\n", "\f\nx = 1\r\n", "from __future__ import annotations\n"]
)
def test_python_that_compiles(entry, text):
    (entry / "extra.py").write_text(text, newline="")
    assert told(entry) == []


@pytest.mark.parametrize("name", ["setup", "train", "predict"])
def test_a_missing_function(entry, name):
    (entry / "speedrun.py").write_text(SPEEDRUN.replace(f"def {name}(", f"def my_{name}("))
    only(entry, f"speedrun.py: does not define {name}(", "see template/")


@pytest.mark.parametrize(
    ("definition", "fine"),
    [
        ("def train(run, model, extra=None): pass", True),
        ("def train(*args): pass", True),
        ("def train(run, /, model, *, loud=False): pass", True),
        ("def train(run=None, model=None): pass", True),
        ("def train(run, model=None, *rest): pass", True),
        ("def train(run): pass", False),
        ("def train(run, model, extra): pass", False),
        ("def train(run, model, *, loud): pass", False),
        ("def train(**options): pass", False),
        ("async def train(run, model): pass", False),
    ],
)
def test_the_number_of_arguments(entry, definition, fine):
    (entry / "speedrun.py").write_text(f"{SPEEDRUN}\n\n{definition}\n")
    problems = told(entry)
    assert (problems == []) == fine
    if not fine:
        assert problems[0].startswith("speedrun.py:19: train must")


def test_save_and_load_come_together(entry):
    (entry / "speedrun.py").write_text(SPEEDRUN + "\ndef save(model, folder): pass\n")
    only(entry, "speedrun.py:18", "defines save without load")
    (entry / "speedrun.py").write_text(
        SPEEDRUN + "\ndef save(model, folder): pass\ndef load(run, model, folder): pass\n"
    )
    assert told(entry) == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("class Config", "class Settings", "does not define the class Config"),
        ("@dataclass(frozen=True)\n", "", "must be a frozen dataclass"),
        ("(frozen=True)", "", "must be a frozen dataclass"),
        ("frozen=True", "frozen=False", "must be a frozen dataclass"),
        ("def get_config", "def config_of", "does not define get_config(track_id)"),
        ("get_config(track_id)", "get_config()", "must take 1 positional"),
    ],
)
def test_config_rules(entry, old, new, why):
    (entry / "config.py").write_text(CONFIG.replace(old, new, 1))
    only(entry, "config.py", why)


@pytest.mark.parametrize(
    ("old", "new"),
    [("class Config:", "class Config(Base):"), ("d_model: int = 128", "d_model: int = field(init=False, default=1)")],
)
def test_fields_that_source_does_not_tell(entry, old, new):
    (entry / "config.py").write_text(CONFIG.replace(old, new))
    assert load(entry, "me").fields is None


def test_the_spelling_dataclasses_dot_dataclass(entry):
    text = CONFIG.replace("@dataclass(", "@dataclasses.dataclass(").replace(
        "from dataclasses import dataclass", "import dataclasses"
    )
    (entry / "config.py").write_text(text)
    assert len(load(entry, "me").fields) == 8
