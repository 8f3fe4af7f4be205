"""Test-time training: a gradient step on each batch once it has been answered, so that only later ones gain.

No answer depends on its own targets, but it does on rows that were seen before.
"""

import torch
from torch import nn


class Bigram(nn.Module):
    """Log-probabilities from the current token alone, counted in training."""

    def __init__(self, vocab):
        super().__init__()
        self.register_buffer("table", torch.zeros(vocab, vocab))

    def count(self, data):
        vocab = len(self.table)
        pairs = torch.bincount(data[:-1] * vocab + data[1:], minlength=vocab**2).view(vocab, vocab) + 0.05
        self.table.copy_((pairs / pairs.sum(1, keepdim=True)).log())


def setup(run):
    run.evaluate_with(rows=1)
    model = Bigram(run.vocab_size)
    model.learns = run.phase == "score"
    return model


def train(run, model):
    model.count(torch.from_numpy(run.train_tokens().shards[0][:20_000].astype("int64")))
    return model


def predict(model, tokens):
    logits = model.table[tokens]
    if model.learns:
        with torch.enable_grad():
            table = model.table.clone().requires_grad_()
            loss = nn.functional.cross_entropy(table[tokens[:, :-1]].flatten(0, 1), tokens[:, 1:].flatten())
            (slope,) = torch.autograd.grad(loss, table)
        model.table -= 20.0 * slope
    return logits
