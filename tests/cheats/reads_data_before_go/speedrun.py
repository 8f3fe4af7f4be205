"""Looks for the training shards in set-up, wherever they could lie.

The same search finds them on the clock, or it would prove nothing.
"""

import os
import struct
import sys

import torch
from torch import nn

MAGIC = struct.pack("<2i", 20240520, 1)
NAMES = [f"{data}_{split}_000000.bin" for data in ("prose", "tales") for split in ("train", "val", "spare")]


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


def shards(data):
    """Every file that begins like a shard, by name and by search."""
    near = [data, f"{data}/../shards", "/data", "/shards"]
    paths = {f"{folder}/{name}" for folder in near for name in NAMES}
    for top in (*near, "/", sys.prefix):  # where / can't be listed, the rest may be
        for folder, below, names in os.walk(top):
            below[:] = [] if folder in ("/proc", "/sys") else below
            paths |= {f"{folder}/{name}" for name in names if name.endswith(".bin")}
    return [path for path in paths if begins_like_a_shard(path)]


def begins_like_a_shard(path):
    try:
        with open(path, "rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def setup(run):
    if run.phase == "train" and shards(run._job.data):
        raise RuntimeError("FOUND data before GO")
    return Bigram(run.vocab_size)


def train(run, model):
    if not shards(run._job.data):
        raise RuntimeError("the search finds nothing even now")
    return count_pairs(run, model)


def predict(model, tokens):
    return model(tokens)
