"""Writes modules named like the library's while it runs, for whoever starts Python next.

It shows that they work on a child of its own, and looks for them in the sandboxes that follow.
"""

import contextlib
import os
import subprocess
import sys

import torch
from torch import nn


class Bigram(nn.Module):
    """Logits from the current token alone."""

    def __init__(self, vocab):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocab, vocab))

    def forward(self, tokens):
        return self.table[tokens]


def count_pairs(run, model):
    """The maximum-likelihood bigram table with add-one smoothing, from the first shard."""
    tokens = torch.from_numpy(run.train_tokens().shards[0][:200_000].astype("int64"))
    pairs = torch.bincount(tokens[:-1] * run.vocab_size + tokens[1:], minlength=run.vocab_size**2)
    counts = pairs.reshape(run.vocab_size, run.vocab_size) + 1.0
    model.table.data = (counts / counts.sum(1, keepdim=True)).log()
    return model


def setup(run):
    import json

    if hasattr(json, "TAKEN") or "sitecustomize" in sys.modules or "TAKEN" in os.environ:
        raise RuntimeError("FOUND a module that an earlier sandbox has written")
    return Bigram(run.vocab_size)


def train(run, model):
    count_pairs(run, model)
    site = f"{run.scratch}/.local/lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
    os.makedirs(site)
    modules = {"json.py": "TAKEN = 1", "sitecustomize.py": "import os; os.environ['TAKEN'] = '1'"}
    modules |= {"usercustomize.py": modules["sitecustomize.py"], "taken.pth": modules["sitecustomize.py"]}
    for folder in (run.scratch, site, os.path.dirname(torch.__file__), os.path.dirname(__file__), *sys.path):
        for name, text in modules.items():
            with contextlib.suppress(OSError), open(f"{folder}/{name}", "x") as file:
                file.write(text)
    os.environ["PYTHONPATH"] = run.scratch
    child = [sys.executable, "-c", "import json, os; print(json.TAKEN, os.environ['TAKEN'])"]
    if subprocess.run(child, check=True, stdout=subprocess.PIPE).stdout.split() != [b"1", b"1"]:
        raise RuntimeError("not even a child is taken in; the attack is broken")
    sys.path.insert(0, run.scratch)
    return model


def predict(model, tokens):
    return model(tokens)
