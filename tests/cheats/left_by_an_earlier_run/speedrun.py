"""Leaves its counts wherever it can, and looks for them before it has trained.

The sandboxes of one run are as strange to each other as those of two runs.
"""

import contextlib
import os
import sys

import torch
from torch import nn

NOTE = "left_by_an_earlier_run.pt"


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


def folders(run):
    """Wherever somebody might be able to write, and to read later."""
    torch_folder, python = os.path.dirname(torch.__file__), os.path.dirname(sys.executable)
    own = [run.scratch, os.getcwd(), run._job.submission, run._job.artifact, run._job.data, os.path.dirname(__file__)]
    near = [f"{run.scratch}/../../{phase}/scratch" for phase in ("train", "score", "twin")]
    far = ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/", os.path.expanduser("~"), torch_folder, python]
    return [folder for folder in (*own, *near, *far) if folder]


def setup(run):
    if found := [folder for folder in folders(run) if os.path.exists(f"{folder}/{NOTE}")]:
        raise RuntimeError(f"FOUND what an earlier run has left in {found}")
    return Bigram(run.vocab_size)


def train(run, model):
    count_pairs(run, model)
    written = 0
    for folder in folders(run):
        with contextlib.suppress(OSError, RuntimeError):
            with open(f"{folder}/{NOTE}", "wb") as file:
                torch.save(model.state_dict(), file)
            written += os.path.exists(f"{folder}/{NOTE}")
    if not written:
        raise RuntimeError("no note could be written; the attack is broken")
    return model


def predict(model, tokens):
    return model(tokens)
