"""Trains on fewer tokens than its track asks for, and says so."""

import torch
from torch import nn


class Bigram(nn.Module):
    """Logits from the current token alone."""

    def __init__(self, vocab):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocab, vocab))

    def forward(self, tokens):
        return self.table[tokens]


def setup(run):
    return Bigram(run.vocab_size)


def train(run, model):
    run.log(step=1, tokens=4096)
    return model


def predict(model, tokens):
    return model(tokens)
