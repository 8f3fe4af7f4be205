"""What the template trains on every track: allowed there, within the memory of the card, and easy to change."""

import dataclasses
import importlib.util
import sys
import typing
import weakref
from pathlib import Path

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from harness.track import list_tracks

TEMPLATE = Path(__file__).resolve().parent.parent / "template"
TRACKS = {track.id: track for track in list_tracks()}
VOCABULARY = {"tales": 256, "cosmopedia-1k": 49_152, "blueberry-1b": 49_152, "fineweb10b-gpt2": 50_257}
ON_A_GPU = sorted(name for name, track in TRACKS.items() if track.resources.accelerator != "cpu")
GIB = 2**30


def _room_gib(accelerator):
    """Device memory that an entry may count on: a driver and its libraries take the rest."""
    for name, room_gib in (("T4", 14.0), ("4090", 21.0), ("H100", 72.0)):
        if name in accelerator:
            return room_gib
    raise AssertionError(f"how much memory has {accelerator}?")


def _load(name):
    spec = importlib.util.spec_from_file_location(name, TEMPLATE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def config():
    return _load("config")


@pytest.fixture(scope="module")
def entry(config):
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "config", config)
        return _load("speedrun")


def _parameters(entry, config, vocabulary):
    with torch.device("meta"):
        model = entry.GPT(config, vocabulary, config.context, torch.float32)
    return sum(parameter.numel() for parameter in model.parameters())


class _Memory(TorchDispatchMode):
    """The most bytes that tensors held at once."""

    def __init__(self):
        super().__init__()
        self.bytes = self.peak_bytes = 0
        self._seen = weakref.WeakSet()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        tensors = [leaf for leaf in torch.utils._pytree.tree_leaves(out) if isinstance(leaf, torch.Tensor)]
        for tensor in [part for each in tensors for part in self._dense(each)]:
            if (storage := tensor.untyped_storage()) not in self._seen:
                self._seen.add(storage)
                self.bytes += storage.nbytes()
                weakref.finalize(storage, self._freed, storage.nbytes())
        self.peak_bytes = max(self.peak_bytes, self.bytes)
        return out

    @staticmethod
    def _dense(tensor):
        """What a sparse tensor consists of."""
        return (tensor._indices(), tensor._values()) if tensor.is_sparse else (tensor,)

    def _freed(self, size):
        self.bytes -= size


def _memory_gib(entry, config, vocabulary, precision, experts=0):
    """Of one micro-batch forward and back, uncompiled, with nothing computed, and of the optimiser beside it.

    Experts choose by numbers that do not exist here, so a dense layer stands for those that see a token, and the
    weights, gradients and averages of the others are added.
    """
    with FakeTensorMode(), _Memory() as memory:
        model = entry.GPT(config, vocabulary, config.context, precision).train()
        tokens = torch.zeros(config.batch_size, config.context, dtype=torch.int64)
        model.loss(tokens, tokens)[0].backward()
        parameters = sum(parameter.numel() for parameter in model.parameters())
    # AdamW keeps two averages; Muon keeps one, and needs as much again while it steps.
    return (memory.peak_bytes + 12 * parameters + 20 * experts) / GIB


@pytest.mark.parametrize("name", [*TRACKS, "a-track-of-tomorrow"])
def test_every_track_has_a_config_of_plain_typed_fields(config, name):
    made = config.get_config(name)
    hints = typing.get_type_hints(type(made))
    fields = [field.name for field in dataclasses.fields(made)]
    assert all(hints[field] in (int, float, bool) for field in fields)
    assert all(type(getattr(made, field)) is hints[field] for field in fields)
    for field in ("d_model", "n_layers", "n_heads", "n_kv_heads", "num_experts", "top_k", "batch_size", "muon_lr"):
        assert field in fields
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.d_model = 1


def test_every_track_that_is_named_exists(config):
    assert set(config.TRACKS) | {"t4-5min"} == set(TRACKS)


@pytest.mark.parametrize("name", TRACKS)
def test_the_model_is_one_that_the_track_allows(entry, config, name):
    track, made = TRACKS[name], config.get_config(name)
    parameters = _parameters(entry, made, VOCABULARY[track.dataset])
    assert (track.gates.parameters_min or 0) <= parameters <= (track.gates.parameters_max or 2**62)
    assert 4 * parameters < track.limits.artifact_mib * 2**20 * 0.99
    assert made.eval_context <= track.score.max_context
    assert made.eval_context <= made.context  # positions that training never saw are worth nothing
    assert made.compile_s < track.limits.setup_s * 0.75


@pytest.mark.parametrize("name", TRACKS)
def test_training_ends_after_as_many_tokens_as_the_track_wants(config, name):
    track, made = TRACKS[name], config.get_config(name)
    if track.objective == "fastest-to-loss":
        assert made.tokens > 0
        assert made.tokens >= (track.gates.declared_tokens_min or 0)
    a_step = made.batch_size * made.context * made.accumulation * track.resources.count
    assert 0 < a_step <= (track.train_tokens or 10**9)
    assert made.tokens == 0 or made.tokens >= 100 * a_step  # rates fall in steps fine enough


def test_ranks_read_the_stream_as_the_track_asks(config):
    assert all(config.get_config(name).in_order for name, track in TRACKS.items() if track.resources.count > 1)


def test_eight_cards_take_the_published_step(config):
    made = config.get_config("h100x8-val-3.28")
    assert made.batch_size * made.context * made.accumulation * 8 == 524_288


@pytest.mark.parametrize("name", ON_A_GPU)
def test_training_fits_the_card(entry, config, name):
    track = TRACKS[name]
    precision = torch.float16 if "T4" in track.resources.accelerator else torch.bfloat16
    made = config.get_config(name)
    needed = _memory_gib(entry, made, VOCABULARY[track.dataset], precision)
    assert needed < _room_gib(track.resources.accelerator)


def test_the_memory_that_is_foretold_holds_what_must_be_there(entry, config):
    made = dataclasses.replace(config.T4, n_layers=1)
    tokens = made.batch_size * made.context
    least = 16 * _parameters(entry, made, 49_152) + 2 * 4 * tokens * 49_152  # logits and their gradients in float32
    assert least / GIB < _memory_gib(entry, made, 49_152, torch.float16) < 3 * least / GIB


def test_presets_of_the_t4_differ_in_what_they_are_called_for(entry, config):
    default, balanced, memory, performance = (
        config.get_config("t4-5min", preset=preset) for preset in ("default", "balanced", "memory", "performance")
    )
    assert default == balanced == config.get_config("t4-5min")
    needed = [_memory_gib(entry, made, 49_152, torch.float16) for made in (memory, balanced, performance)]
    assert needed[0] < needed[1] / 2
    assert needed[1] < needed[2] < 14
    assert memory.batch_size * memory.accumulation == balanced.batch_size * balanced.accumulation
    assert _parameters(entry, performance, 49_152) > _parameters(entry, balanced, 49_152)


@pytest.mark.parametrize("name", ["t4-5min", "cpu-smoke", "a-track-of-tomorrow"])
def test_a_preset_that_is_not_there_names_those_that_are(config, name):
    with pytest.raises(ValueError, match=r"no preset 'fast'; .* has default") as caught:
        config.get_config(name, preset="fast")
    assert ("memory" in str(caught.value)) == (name == "t4-5min")


def test_presets_belong_to_the_t4(config):
    with pytest.raises(ValueError, match="no preset 'memory'; cpu-1min has default"):
        config.get_config("cpu-1min", preset="memory")
    assert config.get_config("cpu-1min", preset="default") == config.get_config("cpu-1min")


def test_a_custom_t4_config_has_what_was_asked_for_and_fits(entry, config):
    custom = config.create_custom_t4_config(
        d_model=512, n_layers=8, n_heads=8, batch_size=32, num_experts=16, muon_lr=0.005
    )
    asked = ("d_model", "n_layers", "n_heads", "batch_size", "num_experts", "muon_lr")
    assert [getattr(custom, field) for field in asked] == [512, 8, 8, 32, 16, 0.005]
    assert _parameters(entry, custom, 49_152) * 4 < TRACKS["t4-5min"].limits.artifact_mib * 2**20
    dense = dataclasses.replace(custom, num_experts=0, d_ff=custom.top_k * custom.d_ff)
    others = _parameters(entry, custom, 49_152) - _parameters(entry, dense, 49_152)
    assert _memory_gib(entry, dense, 49_152, torch.float16, experts=others) < 14
    assert config.create_custom_t4_config() == config.get_config("t4-5min")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"n_heads": 3}, r"d_model \(512\) must be a multiple of 4 × n_heads \(12\)"),
        ({"d_model": 100}, r"d_model \(100\) must be a multiple of 4 × n_heads \(32\)"),
        ({"n_kv_heads": 3}, r"n_heads \(8\) must be a multiple of n_kv_heads \(3\)"),
        ({"n_layers": 0}, "n_layers must be at least 1"),
        ({"n_heads": 0}, "n_heads must be at least 1"),
        ({"num_experts": 1}, r"num_experts \(1\) must be 0, or at least top_k \(2\)"),
        ({"tokens": -1}, "tokens must be at least 0"),
        ({"eval_stride": 2000}, r"eval_stride must be at most eval_context \(1024\)"),
        ({"loss_pieces": 3}, "loss_pieces must divide batch_size × context"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"cooldown": 0.0}, "cooldown must be above 0"),
        ({"muon_lr": float("nan")}, "muon_lr must be at least 0"),
        ({"softcap": 0.0}, "softcap must be above 0"),
    ],
)
def test_sizes_that_do_not_go_together_are_refused_by_name(config, changes, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(config.Config(), **changes)


@pytest.mark.parametrize("name", TRACKS)
def test_the_width_alone_may_be_changed(config, name):
    made = config.get_config(name)
    assert dataclasses.replace(made, d_model=2 * made.d_model).d_model == 2 * made.d_model
