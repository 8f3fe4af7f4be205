"""A recurrent net and a table of pairs, mixed as probabilities."""

import numpy as np
import torch
from torch import nn


class Mixture(nn.Module):
    """A recurrent net and a table of pairs: share · p(net) + (1 − share) · p(table), the share said by the net."""

    def __init__(self, vocab, width):
        super().__init__()
        self.token = nn.Embedding(vocab, width)
        self.recurrence = nn.GRU(width, width, batch_first=True)
        self.head, self.share = nn.Linear(width, vocab), nn.Linear(width, 1)
        self.register_buffer("table", torch.full((vocab, vocab), 1 / vocab).log())

    def forward(self, tokens):
        seen = self.recurrence(self.token(tokens))[0]
        share = self.share(seen)
        net = self.head(seen).log_softmax(-1) + nn.functional.logsigmoid(share)
        return torch.logaddexp(net, self.table[tokens] + nn.functional.logsigmoid(-share))


def setup(run):
    return Mixture(run.vocab_size, run.config.width)


def pieces(run):
    """int64 [rows, length + 1], a batch for each step, from random places of the first shard."""
    config, data = run.config, run.train_tokens().shards[0]
    random = np.random.default_rng(run.seed)
    for _ in range(config.steps):
        starts = random.integers(0, data.size - config.length, config.rows)
        yield torch.from_numpy(np.stack([data[start : start + config.length + 1] for start in starts]).astype(np.int64))


def train(run, model):
    tokens = torch.from_numpy(run.train_tokens().shards[0].astype(np.int64))
    pairs = torch.bincount(tokens[:-1] * run.vocab_size + tokens[1:], minlength=run.vocab_size**2)
    counts = pairs.view(run.vocab_size, run.vocab_size) + 0.1
    model.table.copy_((counts / counts.sum(1, keepdim=True)).log())
    optimizer = torch.optim.AdamW(model.parameters(), lr=run.config.rate)
    for step, piece in enumerate(pieces(run), start=1):
        loss = nn.functional.cross_entropy(model(piece[:, :-1]).flatten(0, 1), piece[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(step=step, tokens=step * piece[:, 1:].numel(), loss=loss)
    return model


def predict(model, tokens):
    return model(tokens)
