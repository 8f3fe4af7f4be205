"""A mixture of experts, router and all in bfloat16."""

import numpy as np
import torch
from torch import nn


class Experts(nn.Module):
    """Each token goes to the two of four experts that its own gate likes best, however full they are."""

    def __init__(self, width, experts=4):
        super().__init__()
        self.norm, self.gate = nn.LayerNorm(width), nn.Linear(width, experts)
        self.experts = nn.ModuleList(
            nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)) for _ in range(experts)
        )

    def forward(self, x):
        flat = self.norm(x).flatten(0, 1)
        likes, chosen = self.gate(flat).topk(2, dim=-1)
        weights, out = likes.softmax(-1), torch.zeros_like(flat)
        for number, expert in enumerate(self.experts):
            token, rank = (chosen == number).nonzero(as_tuple=True)
            out = out.index_add(0, token, weights[token, rank, None] * expert(flat[token]))
        return x + out.view_as(x)


class Mixture(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.token = nn.Embedding(vocab, width)
        self.recurrence = nn.GRU(width, width, batch_first=True)
        self.layers = nn.Sequential(Experts(width), Experts(width))
        self.head = nn.Linear(width, vocab)

    def forward(self, tokens):
        return self.head(self.layers(self.recurrence(self.token(tokens))[0]))


def setup(run):
    return Mixture(run.vocab_size, run.config.width).bfloat16()


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
