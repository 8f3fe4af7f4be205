"""The entry that waits, so that several runs on one machine do not take time from each other."""

import time

from torch import nn


def setup(run):
    model = nn.Embedding(run.vocab_size, run.vocab_size)
    model.config = run.config
    return model


def train(run, model):
    while run.elapsed() < model.config.wait_s:
        time.sleep(0.01)
    return model


def predict(model, tokens):
    return model(tokens)
