"""Tracks: every file in the repository loads, and every mistake in one is told in one line."""

import contextlib
import hashlib
import math
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.manifest import load_manifest
from harness.errors import UserError
from harness.gates import MOST_CALL_TOKENS
from harness.strict_toml import TomlError, decode
from harness.track import TRACKS, TrackFile, find_track, list_tracks, load_track

DATASETS = Path(__file__).resolve().parents[2] / "data" / "datasets"

GPU = """id = "h100x8-val-3.28"
version = 2
title = "Eight H100, to 3.28"
rules = '''
Two lines
of words.
'''
objective = "fastest-to-loss"
dataset = "fineweb10b-gpt2"
train_tokens = 1_000_000_000

[limits]
train_s = 1800
setup_s = 2400.0
load_s = 300.0
evaluation_s = 600.0
artifact_mib = 2048.0

[resources]
accelerator = "NVIDIA H100"
count = 8
threads = 12
memory_gib = 512.0
processes = 4096
scratch_mib = 65_536

[score]
split = "val"
targets = 10_485_760
max_context = 65_536
target_nats = 3.28

[gates]
parameters_min = 143_450_000
parameters_max = 158_550_000
declared_tokens_min = 100_000_000

[ranking]
runs = 5
alpha = 0.01
least_gain_s = 0.5
"""


@pytest.fixture
def load(tmp_path):
    """Loads a track from text, out of a file named as its id should be."""

    def from_text(text, name="h100x8-val-3.28.toml"):
        (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_track(tmp_path / name)

    return from_text


@pytest.fixture(scope="module")
def tracks():
    return {track.id: track for track in list_tracks()}


def test_the_tracks_of_the_repository_load(tracks):
    assert set(tracks) == {
        *("cpu-smoke", "cpu-1min", "t4-5min", "h100-5min", "h100x8-val-3.28", "h100x8-val-2.92"),
        *("4090-train-4.5", "4090-train-3.5", "4090-100m-dash", "4090-100m-val", "4090-val-3.0", "4090-1b-marathon"),
    }
    for track_id, track in tracks.items():
        assert track == find_track(track_id)
        assert track.sha256 == hashlib.sha256((TRACKS / f"{track_id}.toml").read_bytes()).hexdigest()
    assert tracks["cpu-smoke"].limits.train_s == 8
    assert tracks["cpu-1min"].limits.train_s == 60
    assert tracks["cpu-1min"].ranking.runs == 3


def test_every_track_has_its_data(tracks):
    for track in tracks.values():
        manifest = load_manifest(DATASETS / f"{track.dataset}.toml")
        tokens = manifest.planned | {name: split.tokens for name, split in manifest.splits.items()}
        assert track.score.split in tokens, track.id
        assert (track.score.targets or 1) < tokens[track.score.split], track.id
        assert (track.train_tokens or 1) <= tokens["train"], track.id


def test_a_target_stands_in_the_name_of_its_track(tracks):
    for track_id in ("4090-train-4.5", "4090-train-3.5", "4090-val-3.0", "h100x8-val-3.28", "h100x8-val-2.92"):
        assert tracks[track_id].score.target_nats == float(track_id.rpartition("-")[2])
    assert tracks["4090-100m-dash"].score.target_nats == 4.5


def test_only_training_losses_are_taken_on_the_slice(tracks):
    on_the_slice = {track.id for track in tracks.values() if track.score.split == "train-slice"}
    assert on_the_slice == {"4090-train-4.5", "4090-train-3.5"}


def test_151_million_parameters_give_or_take_five_per_cent(tracks):
    gated = {track.id for track in tracks.values() if track.gates.parameters_min is not None}
    assert gated == {"4090-train-4.5", "4090-train-3.5", "4090-100m-dash"}
    for track_id in gated:
        gates = tracks[track_id].gates
        assert (gates.parameters_min, gates.parameters_max) == (151_000_000 * 95 // 100, 151_000_000 * 105 // 100)
        for number in (gates.parameters_min, gates.parameters_max):
            assert f"{number:,}" in tracks[track_id].rules  # in words, too


def test_a_model_of_the_largest_size_fits_into_its_artifact(tracks):
    for track in tracks.values():
        if track.gates.parameters_max is not None:
            assert track.gates.parameters_max * 4 < track.limits.artifact_mib * 2**20, track.id


def test_a_window_of_the_longest_context_fits_into_a_call(tracks):
    assert max(track.score.max_context for track in tracks.values()) <= MOST_CALL_TOKENS


def test_a_track_for_gpus(load):
    track = load(GPU)
    assert track.resources.count == 8
    assert track.limits.train_s == 1800.0
    assert track.limits.save_s == 2.0
    assert track.score.target_nats == 3.28
    assert track.train_tokens == 1_000_000_000
    assert track.gates.parameters_max == 158_550_000
    assert track.gates.declared_tokens_min == 100_000_000
    assert track.ranking.least_gain_s == 0.5
    assert track.ranking.least_gain_nats is None
    assert track.sha256 == hashlib.sha256(GPU.encode()).hexdigest()


def test_absent_targets_and_gates(load):
    track = load(GPU.replace("targets = 10_485_760\n", "").replace("parameters_max = 158_550_000\n", ""))
    assert track.score.targets is None
    assert track.gates.parameters_max is None


def test_tasks_to_go_on_to(load):
    assert load(GPU).downstream is None
    rules = load(GPU + '\n[downstream]\ntasks = ["hellaswag", "arc_easy"]\ncap_s = 60.0\n').downstream
    assert (rules.tasks, rules.limit, rules.cap_s) == (("hellaswag", "arc_easy"), None, 60.0)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("tasks = []\ncap_s = 1.0", "tasks must name 1 to 32 tasks"),
        ('tasks = ["a", "a"]\ncap_s = 1.0', "every task once"),
        ('tasks = ["../a"]\ncap_s = 1.0', "tasks must be names"),
        ('tasks = ["a"]', "downstream.cap_s is missing"),
        ('tasks = ["a"]\ncap_s = 0.0', "cap_s must be above zero"),
        ('tasks = ["a"]\ncap_s = nan', "cap_s must be above zero"),
        ('tasks = ["a"]\ncap_s = 1.0\nlimit = 0', "limit must be at least 1"),
        ('tasks = ["a"]\ncap_s = 1.0\nshots = 5', "unknown key downstream.shots"),
    ],
)
def test_tasks_that_make_no_sense(table, said, load):
    with pytest.raises(UserError, match=said) as error:
        load(f"{GPU}\n[downstream]\n{table}\n")
    assert "\n" not in str(error.value)


def test_several_processes_on_a_processor(load):
    resources = load(GPU.replace('"NVIDIA H100"', '"cpu"')).resources
    assert (resources.accelerator, resources.count, resources.threads) == ("cpu", 8, 12)


def test_the_least_gain_is_of_what_is_raced_for(load):
    lowest = GPU.replace("fastest-to-loss", "lowest-loss").replace("target_nats = 3.28\n", "")
    assert load(lowest.replace("least_gain_s", "least_gain_nats")).ranking.least_gain_nats == 0.5
    with pytest.raises(UserError, match=r"lowest-loss needs ranking\.least_gain_nats and takes no least_gain_s"):
        load(lowest)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("version = 2", "version = 2\ncolour = 3", "line 3: unknown key colour"),
        ("train_s = 1800", "train_s = 1800\ntrain_ms = 3", "unknown key limits.train_ms"),
        ("train_s = 1800", "train_s = 1800\nsha256 = 'x'", "unknown key limits.sha256"),
        ("version = 2", "version = 2\nsha256 = 'x'", "unknown key sha256"),
        ("train_s = 1800\n", "", "the key limits.train_s is missing"),
        ("load_s = 300.0\n", "", "the key limits.load_s is missing"),
        ("[ranking]", "[rankings]", "unknown key rankings"),
        ("train_s = 1800", "train_s = 'long'", "line 13: limits.train_s: Expected `float`, got `str`"),
        ("train_s = 1800", "train_s = 0", "limits: train_s must be above zero"),
        ("train_s = 1800", "train_s = -1", "limits: train_s must be above zero"),
        ("train_s = 1800", "train_s = nan", "limits: train_s must be above zero"),
        ("train_s = 1800", "train_s = inf", "limits: train_s must be above zero"),
        ("setup_s = 2400.0", "setup_s = 0.0", "setup_s must be above zero"),
        ("load_s = 300.0", "load_s = 0", "limits: load_s must be above zero"),
        ("evaluation_s = 600.0", "evaluation_s = 0", "evaluation_s must be above zero"),
        ("artifact_mib = 2048.0", "artifact_mib = 0", "artifact_mib must be above zero"),
        ("artifact_mib = 2048.0", "artifact_mib = 8\nsave_s = -1", "save_s must be zero or more"),
        ('"NVIDIA H100"', '" "', "accelerator must be"),
        ("count = 8", "count = 0", "count must be at least 1"),
        ("threads = 12", "threads = 0", "threads must be at least 1"),
        ("processes = 4096", "processes = 95", "processes must be at least threads × count"),
        ("memory_gib = 512.0", "memory_gib = 0", "memory_gib must be above zero"),
        ("scratch_mib = 65_536", "scratch_mib = 0", "scratch_mib must be at least 1"),
        ('split = "val"\n', "", "the key score.split is missing"),  # a target without a split
        ('split = "val"', 'split = ""', "split must name a split"),
        ('split = "val"', 'split = "train"', "split must be one that is not trained on"),
        ('split = "val"', 'split = "spare"', "split must be one that is not trained on"),
        ("targets = 10_485_760", "targets = 0", "targets must be at least 1"),
        ("max_context = 65_536", "max_context = 1", "max_context must be at least 2"),
        ("target_nats = 3.28\n", "", "fastest-to-loss, and no other, needs score.target_nats"),
        ("fastest-to-loss", "lowest-loss", "fastest-to-loss, and no other, needs score.target_nats"),
        ("fastest-to-loss", "shortest", "objective: Invalid enum value 'shortest'"),
        ("target_nats = 3.28", "target_nats = nan", "target_nats must be above zero"),
        ("parameters_min = 143_450_000", "parameters_min = 0", "parameters_min must be at least 1"),
        ("parameters_max = 158_550_000", "parameters_max = 7", "parameters_max must be at least 1 and not below"),
        ("runs = 5", "runs = 0", "runs must be at least 1"),
        ("alpha = 0.01", "alpha = 0", "alpha must lie between"),
        ("alpha = 0.01", "alpha = nan", "alpha must lie between"),
        ("least_gain_s = 0.5", "least_gain_s = -0.1", "ranking: least_gain_s must be zero or more"),
        ("least_gain_s = 0.5", "least_gain_s = nan", "ranking: least_gain_s must be zero or more"),
        ("least_gain_s = 0.5", "least_gain_nats = -0.1", "ranking: least_gain_nats must be zero or more"),
        ("least_gain_s = 0.5", "least_gain_nats = 0.5", "fastest-to-loss needs ranking.least_gain_s and takes no"),
        ("least_gain_s = 0.5\n", "", "fastest-to-loss needs ranking.least_gain_s"),
        ("least_gain_s = 0.5", "least_gain_s = 1\nleast_gain_nats = 1", "takes no least_gain_nats"),
        ("train_tokens = 1_000_000_000", "train_tokens = 0", "train_tokens must be at least 1, or absent"),
        ("train_tokens = 1_000_000_000", "train_tokens = 1.5", "line 10: train_tokens: Expected `int"),
        ("declared_tokens_min = 100_000_000", "declared_tokens_min = 0", "gates: declared_tokens_min must be at least"),
        ("declared_tokens_min = 100_000_000", "declared_tokens = 1", "unknown key gates.declared_tokens"),
        ("version = 2", "version = 0", "version must be at least 1"),
        ('"fineweb10b-gpt2"', '"../x"', "dataset must be the id"),
        ('id = "h100x8-val-3.28"', 'id = "H100"', "id must be at most 40"),
        ('id = "h100x8-val-3.28"', 'id = "other"', "the file must be called other.toml"),
        ('"Eight H100, to 3.28"', '"a\\nb"', "title must be one line"),
        ("Two lines\nof words.\n", "", "rules must say"),
        ("[limits]", "[limits", "line 12: not valid TOML"),
    ],
)
def test_a_mistake_is_one_line_that_names_file_and_key(load, old, new, why):
    assert old in GPU
    with pytest.raises(UserError) as error:
        load(GPU.replace(old, new, 1))
    assert str(error.value).startswith("track file h100x8-val-3.28.toml")
    assert why in str(error.value)
    assert "\n" not in str(error.value)


def test_files_that_are_no_tracks(load, tmp_path):
    for data, why in (
        (b"\xff", "not UTF-8"),
        (b"# " * 40_000, "larger than"),
        (b"x = " + b"[" * 9000, "not valid TOML"),
    ):
        with pytest.raises(UserError, match=why):
            load(data)
    with pytest.raises(UserError, match=r"x\.toml cannot be read: No such file"):
        load_track(tmp_path / "x.toml")
    with pytest.raises(UserError, match="cannot be read: Is a directory"):
        load_track(tmp_path)


def test_unknown_tracks_get_the_nearest_names(tmp_path):
    with pytest.raises(UserError, match="there is no track 'cpu-1mn': did you mean cpu-1min"):
        find_track("cpu-1mn")
    for hostile in ("../tracks/cpu-1min", "/etc/passwd", "", "CPU-1MIN", "a\0b", "x" * 5000):
        with pytest.raises(UserError, match="there is no track"):
            find_track(hostile)
    with pytest.raises(UserError, match="there are none yet"):
        find_track("cpu-1min", tmp_path)
    assert list_tracks(tmp_path) == ()


@settings(max_examples=100)
@given(st.integers(0, len(GPU)), st.integers(0, 60), st.text(max_size=20))
def test_a_damaged_file_is_a_track_or_an_error_and_nothing_else(start, cut, text):
    with contextlib.suppress(TomlError):
        track = decode(GPU[:start] + text + GPU[start + cut :], TrackFile)
        assert 0 < track.limits.train_s < math.inf
        assert msgspec.convert(msgspec.to_builtins(track), TrackFile) == track
