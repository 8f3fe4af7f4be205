"""The entry that does nothing, so that what is left is the platform's."""

from torch import nn


def setup(run):
    return nn.Embedding(run.vocab_size, run.vocab_size)


def train(run, model):
    return model


def predict(model, tokens):
    return model(tokens)
