"""A table of pairs whose logits are huge, or minus infinity."""

import torch
from torch import nn


class Wild(nn.Module):
    """A table of pairs. What never came in training is impossible; every other place is shifted far up or down."""

    def __init__(self, vocab):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocab, vocab))

    def forward(self, tokens):
        far = 1e4 - 2e4 * (torch.arange(tokens.shape[1]) % 2)
        return self.table[tokens] + far[:, None]


def setup(run):
    return Wild(run.vocab_size)


def train(run, model):
    tokens = torch.from_numpy(run.train_tokens().shards[0].astype("int64"))
    pairs = torch.bincount(tokens[:-1] * run.vocab_size + tokens[1:], minlength=run.vocab_size**2)
    counts = pairs.view(run.vocab_size, run.vocab_size)
    came = counts.sum(0) > 0
    smoothed = (counts + run.config.smoothing) * came
    model.table.data = (smoothed / smoothed.sum(1, keepdim=True)).log()
    run.log(step=1, tokens=tokens.numel())
    return model


def predict(model, tokens):
    return model(tokens)
