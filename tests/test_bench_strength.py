"""The pure parts of bench/strength.py and bench/sweep.py; their runs are the harness's own."""

import importlib
import sys
from pathlib import Path

import pytest

BENCH = Path(__file__).parent.parent / "bench"
TEMPLATE = BENCH.parent / "template"


@pytest.fixture
def load(monkeypatch):
    """bench is no package."""
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def load(name):
        return importlib.import_module(name)

    return load


def results(load, *pairs):
    trials = load("trials")
    return tuple(trials.Result(loss_nats=loss, train_s=seconds, tokens=1, steps=1) for seconds, loss in pairs)


def round_of(load, plain, *template):
    strength = load("strength")
    (it,) = results(load, plain)
    return strength.Round(it, it, results(load, *template))


def test_the_time_to_equal_loss_lies_between_the_runs_around_it(load):
    found = load("strength").speedup(round_of(load, (60.0, 1.5), (60.0, 1.0), (15.0, 1.0), (6.0, 1.4), (3.0, 1.6)))
    assert not found.bound
    assert found.times == pytest.approx(60 / (3 * 6) ** 0.5)  # halfway between the losses: halfway in log time


def test_a_template_that_is_better_at_once_gives_a_bound(load):
    found = load("strength").speedup(round_of(load, (60.0, 2.0), (60.0, 1.0), (15.0, 1.1), (6.0, 1.4), (3.0, 1.6)))
    assert (found.times, found.bound) == (20.0, True)


def test_a_template_that_never_gets_there_has_no_time(load):
    assert load("strength").speedup(round_of(load, (60.0, 0.9), (60.0, 1.0), (15.0, 1.1), (6.0, 1.4))) is None


def test_the_template_without_muon_differs_in_one_line(load, tmp_path):
    strength = load("strength")
    strength.without_muon(TEMPLATE, tmp_path / "modern")
    ours, theirs = ((folder / "speedrun.py").read_text().splitlines() for folder in (TEMPLATE, tmp_path / "modern"))
    differing = [(a, b) for a, b in zip(ours, theirs, strict=True) if a != b]
    assert len(differing) == 1
    assert "Muon(" in differing[0][0]
    assert "AdamW(" in differing[0][1]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "speedrun.py").write_text("pass")
    with pytest.raises(ValueError, match="does not have this once"):
        strength.without_muon(tmp_path / "other", tmp_path / "again")


def test_a_sweep_tries_the_defaults_each_change_and_every_combination(load, tmp_path):
    tried = load("sweep").contestants(tmp_path, ["a=1,b=2"], ["x=1,2", "y=3,4"])
    assert [dict(each.overrides) for each in tried] == [
        {},
        {"a": "1", "b": "2"},
        {"x": "1", "y": "3"},
        {"x": "1", "y": "4"},
        {"x": "2", "y": "3"},
        {"x": "2", "y": "4"},
    ]
    for words in ("a", "a=", "=1"):
        with pytest.raises(ValueError, match="field=value"):
            load("sweep").contestants(tmp_path, [words], [])


def test_a_sweep_refuses_a_wrong_field_before_it_runs_anything(load, monkeypatch):
    sweep = load("sweep")
    monkeypatch.setattr(sys, "argv", ["sweep.py", str(TEMPLATE), "--each", "n_layer=2"])
    monkeypatch.setattr(load("trials").Trials, "run", lambda *told: pytest.fail("a run was made"))
    with pytest.raises(SystemExit, match="has no field 'n_layer'"):
        sweep.main()
