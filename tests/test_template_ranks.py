"""Several ranks of the template do together what one does alone. Real processes, which meet by gloo on loopback."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

CHILD = Path(__file__).with_name("template_rank.py")
CONFIG = {
    "d_model": 32,
    "n_layers": 3,  # an odd number of matrices of one shape
    "n_heads": 4,
    "d_ff": 64,
    "ngram_rows": 64,
    "context": 16,
    "eval_context": 16,
    "eval_stride": 16,
    "accumulation": 2,
    "embed_lr": 0.05,
    "head_lr": 0.01,
    "compile_s": 0,
}


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _run(folder, ranks, batch_size):
    """What each rank saved."""
    port = str(_free_port())
    started, results = [], []
    for rank in range(ranks):
        job, result = folder / f"{ranks}-{rank}.json", folder / f"{ranks}-{rank}.pt"
        config = {**CONFIG, "batch_size": batch_size}
        job.write_text(json.dumps({"rank": rank, "world_size": ranks, "config": config, "result": str(result)}))
        place = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(ranks)}
        meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"} if ranks > 1 else {}
        started.append(
            subprocess.Popen(
                [sys.executable, "-B", CHILD, job],
                env={**os.environ, **place, **meeting},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
        results.append(result)
    try:
        for process in started:
            printed, _ = process.communicate(timeout=120)
            assert process.returncode == 0, printed
    finally:
        for process in started:
            process.kill()
    return [torch.load(result, weights_only=True) for result in results]


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("alone"), ranks=1, batch_size=6)[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return _run(tmp_path_factory.mktemp("pair"), ranks=2, batch_size=3)


def test_all_ranks_begin_and_end_with_the_same_weights(pair):
    for stage in ("set_up", "trained"):
        for name, weight in pair[0][stage].items():
            assert torch.equal(weight, pair[1][stage][name]), name


def test_two_ranks_learn_what_one_learns_from_the_same_batches(alone, pair):
    assert len(alone["logged"]) > 20
    assert [point["step"] for point in pair[0]["logged"]] == [point["step"] for point in alone["logged"]]
    assert [point["tokens"] for point in pair[0]["logged"]] == [point["tokens"] for point in alone["logged"]]
    losses = [[point["loss"] for point in run["logged"]] for run in (alone, *pair)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)
    assert losses[2] == losses[1]
    assert losses[0][-1] < losses[0][0] - 0.01
    for name, weight in alone["trained"].items():
        torch.testing.assert_close(pair[0]["trained"][name], weight, rtol=1e-3, atol=1e-3, msg=name)


def test_muon_shared_out_is_muon(alone, pair):
    for together in pair:
        torch.testing.assert_close(together["muon"], alone["muon"], rtol=1e-6, atol=1e-6)
