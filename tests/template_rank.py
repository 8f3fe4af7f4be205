"""One rank of the template, as tests/test_template_ranks.py starts it: `python template_rank.py JOB.json`.

Trains on a small text with a replayed clock and saves what it logged, its weights, and steps of Muon by themselves.
"""

import importlib.util
import json
import sys
import types
from pathlib import Path

import numpy as np
import torch

TEMPLATE = Path(__file__).resolve().parent.parent / "template"
VOCAB = 50
STACKS = ((1, 6, 4), (3, 4, 6), (4, 5, 5))  # count, rows, columns: fewer matrices than ranks, an odd and an even number


def load(name):
    spec = importlib.util.spec_from_file_location(name, TEMPLATE / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Run:
    """One second a step on rank 0's clock; nobody else's may matter."""

    phase, seed, device, vocab_size, max_context = "train", 5, "cpu", VOCAB, 64
    track = types.SimpleNamespace(id="t", objective="lowest-loss", limit_s=30.0, target_nats=None)

    def __init__(self, rank, world_size, config):
        self.rank, self.world_size, self.config = rank, world_size, config
        self.logged = []
        self.noise = torch.Generator().manual_seed(rank)
        self.now_s = -1.0

    def progress(self):
        self.now_s += 1.0 if self.rank == 0 else 1000.0
        return min(1.0, self.now_s / self.track.limit_s)

    def dummy_tokens(self, rows, length):
        return torch.randint(0, VOCAB, (rows, length), generator=self.noise)

    def train_tokens(self):
        return types.SimpleNamespace(shards=(np.random.default_rng(1).integers(0, VOCAB, 2000).astype(np.uint16),))

    def log(self, **point):
        self.logged.append(point)

    def evaluate_with(self, **windows):
        pass


def muon_steps(entry, run):
    """Weights after two steps; gradients are the same on all ranks, as after adding up."""
    generator = torch.Generator().manual_seed(7)
    shapes = [shape for count, *shape in STACKS for _ in range(count)]
    weights = [torch.nn.Parameter(torch.randn(*shape, generator=generator)) for shape in shapes]
    optimizer = entry.Muon(weights, run, torch.float32)
    for _ in range(2):
        for group in optimizer.param_groups:
            group["lr"] = 0.02
        for weight in weights:
            weight.grad = torch.randn(weight.shape, generator=generator)
        optimizer.step()
    return [weight.detach() for weight in weights]


def main(job):
    torch.set_num_threads(1)
    config, entry = load("config"), load("speedrun")
    run = Run(job["rank"], job["world_size"], config.Config(**job["config"]))
    model = entry.setup(run)
    set_up = {name: value.clone() for name, value in model.state_dict().items()}
    entry.train(run, model.train())
    result = {"logged": run.logged, "set_up": set_up, "trained": model.state_dict(), "muon": muon_steps(entry, run)}
    torch.save(result, job["result"])


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()))
