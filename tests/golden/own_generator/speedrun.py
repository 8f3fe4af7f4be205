"""A recurrent net with seeded noise while it trains."""

import numpy as np
import torch
from torch import nn


class Recurrent(nn.Module):
    def __init__(self, vocab, width):
        super().__init__()
        self.token = nn.Embedding(vocab, width)
        self.recurrence = nn.GRU(width, width, batch_first=True)
        self.head = nn.Linear(width, vocab)

    def forward(self, tokens, noise=0.0):
        return self.head(self.recurrence(self.token(tokens) + noise)[0])


def setup(run):
    return Recurrent(run.vocab_size, run.config.width)


def train(run, model):
    """Batches, and noise on what the net reads, both from a generator with the run's seed."""
    config = run.config
    chance = torch.Generator().manual_seed(run.seed)
    data = torch.from_numpy(run.train_tokens().shards[0].astype(np.int64))
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.rate)
    for step in range(1, config.steps + 1):
        starts = torch.randint(data.numel() - config.length, (config.rows, 1), generator=chance)
        piece = data[starts + torch.arange(config.length + 1)]
        noise = 0.1 * torch.randn(config.rows, config.length, config.width, generator=chance)
        loss = nn.functional.cross_entropy(model(piece[:, :-1], noise).flatten(0, 1), piece[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        run.log(step=step, tokens=step * piece[:, 1:].numel(), loss=loss)
    return model


def predict(model, tokens):
    return model(tokens)
