"""Asks for more of the card's memory than there is."""

import torch


def setup(run):
    return torch.nn.Linear(1, 1).to(run.device)


def train(run, model):
    held = []
    while True:
        held.append(torch.ones(1 << 28, device=run.device))  # a GiB


def predict(model, tokens):
    return torch.zeros(*tokens.shape, 256, device=tokens.device)
