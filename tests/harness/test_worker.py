"""The inside: how an entry is loaded, configured, and told what it did wrong."""

import dataclasses
import socket
import sys

import numpy as np
import pytest
import torch

from harness.entry_config import ConfigError, configured, with_overrides
from harness.entry_failure import failure
from harness.entry_module import Entry, MissingError, load_entry
from harness.entry_run import Run, TrainingTokens
from harness.entry_scorer import OutputError, Scorer
from harness.protocol import Closed, Connection, Cut, Job, Log, Tokens, TrackView, decode_from_worker
from harness.worker import parameters


@dataclasses.dataclass(frozen=True)
class Config:
    width: int = 8
    rate: float = 0.1
    fast: bool = False
    name: str = "x"
    ratio: float | None = None
    sizes: tuple[int, ...] = (1, 2)
    pair: tuple[int, float] = (1, 0.5)


def job(**changes):
    values = {
        "phase": "train",
        "submission": "/nowhere",
        "scratch": "/nowhere",
        "track": TrackView(id="tiny", objective="lowest-loss", limit_s=10.0),
        "seed": 1,
        "device": "cpu",
        "threads": 1,
        "vocab_size": 5,
        "max_context": 64,
    }
    return Job(**(values | changes))


@pytest.fixture
def line():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours), Connection(theirs)


def run(connection=None, **changes):
    return Run(job(**changes), Config(), connection)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("width", "512", 512),
        ("rate", "1e-3", 1e-3),
        ("fast", "true", True),
        ("fast", "No", False),
        ("name", "7", "7"),
        ("ratio", "none", None),
        ("ratio", "0.5", 0.5),
        ("sizes", "3, 4,5", (3, 4, 5)),
        ("pair", "3,0.25", (3, 0.25)),
    ],
)
def test_a_text_becomes_the_fields_type(name, text, value):
    changed = with_overrides(Config(), {name: text})
    assert getattr(changed, name) == value
    assert type(getattr(changed, name)) is type(value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        ({"widht": "1"}, "no field 'widht'; its fields are: width, rate, fast, name, ratio, sizes, pair"),
        ({"width": "1.5"}, "width must be of type int, not '1.5'"),
        ({"fast": "maybe"}, "fast must be of type bool"),
        ({"sizes": "1,x"}, "must be of type int"),
        ({"pair": "1"}, "pair must be of type"),
    ],
)
def test_what_does_not_fit_is_named(overrides, words):
    with pytest.raises(ConfigError, match=words):
        with_overrides(Config(), overrides)


def test_a_config_that_is_no_dataclass():
    with pytest.raises(ConfigError, match="dataclass"):
        with_overrides({"width": 1}, {})


def test_what_a_config_refuses_by_itself_is_told():
    @dataclasses.dataclass(frozen=True)
    class Even:
        width: int = 2

        def __post_init__(self):
            if self.width % 2:
                raise ValueError(f"width ({self.width}) must be even")

    assert with_overrides(Even(), {"width": "4"}).width == 4
    with pytest.raises(ConfigError, match=r"Config refuses width: width \(3\) must be even"):
        with_overrides(Even(), {"width": "3"})


def config_file(source):
    """A config.py with `source`, as a module."""
    module = type(sys)("config")
    exec("from dataclasses import dataclass\n" + source, module.__dict__)
    return module


CONFIG = "@dataclass(frozen=True)\nclass Config:\n    width: int = 8\n"
PRESETS = CONFIG + (
    "def get_config(track_id, preset='default'):\n"
    "    if preset == 'strange':\n"
    "        raise ValueError('no preset strange; there are:\\n default, small')\n"
    "    return Config({'default': 8, 'small': 2}[preset])\n"
)


def test_a_preset_picks_the_values_that_overrides_change():
    module = config_file(PRESETS)
    assert configured(module, "tiny", {}).width == 8
    assert configured(module, "tiny", {"preset": "small"}).width == 2
    assert configured(module, "tiny", {"preset": "small", "width": "3"}).width == 3


def test_a_field_named_preset_is_a_field():
    source = CONFIG + "    preset: str = 'a'\ndef get_config(track_id):\n    return Config()\n"
    assert configured(config_file(source), "tiny", {"preset": "b"}).preset == "b"


@pytest.mark.parametrize(
    ("source", "preset", "words"),
    [
        (CONFIG + "def get_config(track_id):\n    return Config()\n", "small", "takes no preset"),
        (PRESETS, "strange", "refuses the preset 'strange': no preset strange; there are: default, small$"),
        (PRESETS, "other", "refuses the preset 'other': it is unknown$"),
    ],
)
def test_an_unknown_preset_is_one_line(source, preset, words):
    with pytest.raises(ConfigError, match=words):
        configured(config_file(source), "tiny", {"preset": preset})


def test_a_mistake_without_a_preset_stays_what_it_is():
    with pytest.raises(ValueError, match="mine"):
        configured(config_file("def get_config(track_id):\n    raise ValueError('mine')\n"), "tiny", {})


def test_how_an_entry_wants_to_be_scored():
    mine = run()
    assert mine.windows == (64, 64, 256)
    mine.evaluate_with(context=32)
    assert mine.windows == (32, 32, 512)
    mine.evaluate_with(context=32, stride=8, rows=3)
    assert mine.windows == (32, 8, 3)
    for bad in ({"context": 65}, {"context": 0}, {"context": 8, "stride": 9}, {"stride": 0}, {"rows": 0}):
        with pytest.raises(ValueError, match="must be between"):
            mine.evaluate_with(**bad)


def test_before_go_there_is_no_time_and_no_data():
    mine = run()
    assert (mine.elapsed(), mine.time_left(), mine.progress()) == (0.0, 10.0, 0.0)
    assert mine.dummy_tokens(3, 7).shape == (3, 7)
    assert int(mine.dummy_tokens(30, 70).max()) < 5
    with pytest.raises(RuntimeError, match="only while train"):
        mine.train_tokens()


def test_shards_and_their_documents(tmp_path):
    tokens = np.array([0, 3, 4, 0, 0, 2], dtype="<u2")
    (tmp_path / "a.bin").write_bytes(bytes(1024) + tokens.tobytes())
    found = TrainingTokens(tmp_path, ("a.bin",), 0)
    assert found.shards[0].tolist() == tokens.tolist()
    assert found.document_starts(0).tolist() == [0, 3, 4]
    assert TrainingTokens(tmp_path, ("a.bin",)).document_starts(0).tolist() == []
    assert TrainingTokens(tmp_path, ("a.bin",), row_tokens=2).document_starts(0).tolist() == [0, 2, 4]
    both = TrainingTokens(tmp_path, ("a.bin",), 0, 2).document_starts(0)
    assert both.tolist() == [0, 2, 3, 4]
    assert both.dtype == np.int64
    with pytest.raises(ValueError, match="read-only"):
        found.shards[0][0] = 1


def test_the_last_logged_point_arrives(line):
    parent, theirs = line
    mine = run(theirs)
    mine.log(step=-1, loss=9.0)  # nobody listens before GO
    mine._training = True
    for step in range(1000):
        mine.log(step=step, loss=torch.tensor(1.5), lr=0.1, bad=float("nan"))
    mine.finish_log()
    mine.log(step=1001, loss=9.0)  # nor after DONE
    mine.flush_log()
    theirs.close()
    logs = []
    with pytest.raises(Closed):
        while True:
            header, size = parent.header()
            assert size == 0
            logs.append(decode_from_worker(header))
    assert logs[0] == Log(step=0, loss=1.5, metrics={"lr": 0.1})
    assert logs[-1].step == 999
    assert len(logs) < 200


def test_only_the_first_rank_is_heard(line):
    parent, theirs = line
    other = run(theirs, rank=1, world_size=2)
    other._training = True
    other.log(step=1, loss=1.0)
    other.finish_log()
    theirs.close()
    with pytest.raises(Closed):
        parent.header()


class Uniform(torch.nn.Module):
    def forward(self, tokens):
        return torch.zeros(*tokens.shape, 8)


def scorer(predict):
    module = type(sys)("speedrun")
    module.setup = module.train = lambda *_: None
    module.predict = predict
    return Scorer(Entry(module, run()), Uniform(), 5)


def payload(rows):
    return np.array(rows, dtype="<u2").tobytes()


def test_padding_beyond_the_vocabulary_is_cut_before_the_softmax():
    _, answer = scorer(lambda model, tokens: model(tokens)).answer_tokens(
        Tokens(rows=2, width=3, keep=2), payload([[0, 1, 2, 3], [4, 3, 2, 1]])
    )
    assert np.allclose(np.asarray(answer), -np.log(5))
    assert np.asarray(answer).shape == (2, 2)


def test_the_distribution_at_the_cut():
    def predict(model, tokens):
        return torch.nn.functional.one_hot(tokens, 5).float().cumsum(1)

    cuts = np.array([0, 2], dtype="<i4").tobytes()
    _, logits, own = scorer(predict).answer_cut(Cut(rows=2, width=3), payload([[0, 1, 2, 3], [4, 3, 4, 1]]) + cuts)
    assert np.asarray(logits).tolist() == [[1, 0, 0, 0, 0], [0, 0, 0, 1, 2]]
    expected = torch.log_softmax(torch.tensor([[1.0, 0, 0, 0, 0], [0, 0, 0, 1, 2]]), -1)
    assert np.allclose(np.asarray(own)[:, 0], [expected[0, 1], expected[1, 1]])


@pytest.mark.parametrize(
    ("predict", "words"),
    [
        (lambda model, tokens: None, "NoneType"),
        (lambda model, tokens: torch.zeros(1, 3, 5), r"shape \[1, 3, 5\]"),
        (lambda model, tokens: torch.zeros(2, 3, 4), "5 or more"),
        (lambda model, tokens: torch.zeros(2, 3, 5, dtype=torch.int64), "int64"),
    ],
)
def test_what_are_no_logits_is_said(predict, words):
    with pytest.raises(OutputError, match=words):
        scorer(predict).answer_tokens(Tokens(rows=2, width=3, keep=3), payload([[0, 1, 2, 3], [4, 3, 2, 1]]))


def write(folder, **files):
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)


@pytest.fixture
def clean_imports():
    path, modules = list(sys.path), dict(sys.modules)
    yield
    sys.path[:] = path
    for name in ("config", "speedrun", "json_beside"):
        sys.modules.pop(name, None)
    sys.modules.update({name: modules[name] for name in ("speedrun",) if name in modules})


def test_a_file_beside_the_entry_never_stands_in_for_the_library(tmp_path, clean_imports):
    write(
        tmp_path, config="", speedrun="import json, statistics", json="raise SystemExit", statistics="raise SystemExit"
    )
    sys.modules.pop("statistics", None)
    load_entry(str(tmp_path))


def test_functions_that_are_missing_are_named(tmp_path, clean_imports):
    with pytest.raises(MissingError, match=r"config\.py is missing"):
        load_entry(str(tmp_path))
    write(tmp_path, config="", speedrun="setup = train = print\nsave = print\n")
    _, module = load_entry(str(tmp_path))
    with pytest.raises(MissingError, match=r"must define predict\(\)"):
        Entry(module, run())
    module.predict = print
    with pytest.raises(MissingError, match="both save"):
        Entry(module, run())


def test_an_error_is_told_from_the_entrys_own_line_on(tmp_path, clean_imports):
    write(tmp_path, config="", speedrun="def boom():\n    return {}['key']\n")
    _, module = load_entry(str(tmp_path))
    with pytest.raises(KeyError) as caught:
        module.boom()
    failed = failure(caught.value, str(tmp_path))
    assert failed.kind == "crash"
    assert failed.message == "KeyError: 'key' (speedrun.py, line 2)"
    assert str(tmp_path) not in failed.traceback
    assert "boom" in failed.traceback
    assert "test_worker" not in failed.traceback


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (MemoryError(), "memory", "out of memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory", "allocate"),
        (SystemExit(3), "crash", "exit(3)"),
        (SyntaxError("bad", ("config.py", 7, 1, "x")), "syntax", "config.py, line 7: bad"),
        (ConfigError("no field"), "config", "no field"),
        (ValueError("\x1b[2Jgone"), "crash", "[2Jgone"),
    ],
)
def test_errors_have_kinds(error, kind, words):
    failed = failure(error, "/submission")
    assert failed.kind == kind
    assert words in failed.message
    assert "\x1b" not in failed.message


def test_parameters_are_counted_once():
    model = torch.nn.Sequential(torch.nn.Linear(3, 3, bias=False), torch.nn.Linear(3, 3, bias=False))
    model[1].weight = model[0].weight
    assert parameters(model) == 9
    assert parameters(object()) is None
