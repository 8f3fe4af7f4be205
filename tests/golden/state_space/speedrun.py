"""A selective diagonal recurrence, computed by doubling."""

import numpy as np
import torch
from torch import nn


class Selective(nn.Module):
    """state[t] = keep[t] · state[t − 1] + (1 − keep[t]) · new[t], where keep and new come from token t."""

    def __init__(self, width):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.enter, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        keep, new, gate = self.enter(self.norm(x)).chunk(3, dim=-1)
        keep = torch.sigmoid(keep + 2.0)
        state, reach = (1 - keep) * new, 1
        while reach < x.shape[1]:  # after each round a place holds the sum over 2 · reach places, itself the last
            state = torch.cat([state[:, :reach], state[:, reach:] + keep[:, reach:] * state[:, :-reach]], dim=1)
            keep = torch.cat([keep[:, :reach], keep[:, reach:] * keep[:, :-reach]], dim=1)
            reach *= 2
        return x + self.out(state * nn.functional.silu(gate))


class StateSpace(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.token = nn.Embedding(vocab, width)
        self.layers = nn.Sequential(Selective(width), Selective(width))
        self.head = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, vocab))

    def forward(self, tokens):
        return self.head(self.layers(self.token(tokens)))


def setup(run):
    return StateSpace(run.vocab_size, run.config.width)


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
