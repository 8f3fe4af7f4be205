"""Dilated convolutions, padded on the left alone."""

import numpy as np
import torch
from torch import nn


class Causal(nn.Module):
    """A convolution whose last tap is the place itself."""

    def __init__(self, width, dilation):
        super().__init__()
        self.past = 2 * dilation
        self.taps = nn.Conv1d(width, width, kernel_size=3, dilation=dilation)

    def forward(self, x):
        return x + torch.relu(self.taps(nn.functional.pad(x, (self.past, 0))))


class Convolutions(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.token = nn.Embedding(vocab, width)
        self.layers = nn.Sequential(*(Causal(width, dilation) for dilation in (1, 2, 4, 8)))
        self.head = nn.Linear(width, vocab)

    def forward(self, tokens):
        return self.head(self.layers(self.token(tokens).transpose(1, 2)).transpose(1, 2))


def setup(run):
    return Convolutions(run.vocab_size, run.config.width)


def pieces(run):
    """int64 [rows, length + 1], a batch for each step, from random places of the first shard."""
    config, data = run.config, run.train_tokens().shards[0]
    random = np.random.default_rng(run.seed)
    for _ in range(config.steps):
        starts = random.integers(0, data.size - config.length, config.rows)
        yield torch.from_numpy(np.stack([data[start : start + config.length + 1] for start in starts]).astype(np.int64))


def train(run, model):
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
