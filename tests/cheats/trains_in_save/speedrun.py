"""Trains for a moment on the clock, and for an hour in save(), which the clock does not see."""

import torch
from torch import nn


class Bigram(nn.Module):
    """Logits from the current token alone."""

    def __init__(self, vocab):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocab, vocab))

    def forward(self, tokens):
        return self.table[tokens]


def learn(model, tokens, steps):
    """Gradient steps on the pairs of a text."""
    optimizer = torch.optim.Adam(model.parameters(), lr=0.2)
    for _ in range(steps):
        at = torch.randint(0, tokens.numel() - 1, (4096,))
        loss = nn.functional.cross_entropy(model(tokens[at]), tokens[at + 1])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def setup(run):
    return Bigram(run.vocab_size)


def train(run, model):
    model.text = torch.from_numpy(run.train_tokens().shards[0].astype("int64"))
    return model


def save(model, folder):
    learn(model, model.text, steps=10_000_000)
    torch.save(model.state_dict(), f"{folder}/state.pt")


def load(run, model, folder):
    model.load_state_dict(torch.load(f"{folder}/state.pt", weights_only=True))
    return model


def predict(model, tokens):
    return model(tokens)
