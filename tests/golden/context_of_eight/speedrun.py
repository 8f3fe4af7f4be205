"""The next token from the last eight, in windows of eight, one for every target."""

import numpy as np
import torch
from torch import nn


class Eight(nn.Module):
    """The next token from the last eight, each with weights of its own for how long ago it was."""

    def __init__(self, vocab, width):
        super().__init__()
        self.token, self.past = nn.Embedding(vocab, width), nn.Linear(8 * width, width)
        self.head = nn.Linear(width, vocab)

    def forward(self, tokens):
        padded = nn.functional.pad(self.token(tokens), (0, 0, 7, 0))
        last_eight = padded.unfold(1, 8, 1).flatten(2)
        return self.head(torch.relu(self.past(last_eight)))


def setup(run):
    run.evaluate_with(context=8, stride=1, rows=500)
    return Eight(run.vocab_size, run.config.width)


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
