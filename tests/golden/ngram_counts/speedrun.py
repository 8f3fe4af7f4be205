"""Kneser-Ney smoothed counts of three tokens, saved and loaded by the entry itself."""

import numpy as np
import torch


class Counts:
    """How often each token followed each pair, each token, and anything."""

    def __init__(self, vocab, discount):
        self.vocab, self.discount = vocab, discount
        self.pairs = np.zeros((vocab, vocab), dtype=np.float32)  # [before, token]
        self.triples = np.zeros((vocab * vocab, vocab), dtype=np.float32)  # [pair before, token]


def smoothed(counts, lower, discount):
    """Kneser and Ney: every count gives up a part, which goes where the shorter context says. Rows sum to one.

    counts: [contexts, vocab]. lower: [contexts, vocab].
    """
    total = counts.sum(-1, keepdims=True)
    freed = discount * (counts > 0).sum(-1, keepdims=True)
    mixed = (np.maximum(counts - discount, 0) + freed * lower) / np.maximum(total, 1)
    return np.where(total > 0, mixed, lower)


def setup(run):
    run.evaluate_with(context=64, stride=32, rows=64)
    return Counts(run.vocab_size, run.config.discount)


def train(run, model):
    tokens = run.train_tokens().shards[0].astype(np.int64)
    pairs = tokens[:-1] * model.vocab + tokens[1:]
    np.add.at(model.pairs.reshape(-1), pairs, 1)
    np.add.at(model.triples.reshape(-1), pairs[:-1] * model.vocab + tokens[2:], 1)
    run.log(step=1, tokens=tokens.size)
    return model


def save(model, folder):
    """Only what occurred: at most one triple a token."""
    for name in ("pairs", "triples"):
        counts = getattr(model, name).reshape(-1)
        (where,) = counts.nonzero()
        np.savez(f"{folder}/{name}.npz", where=where.astype(np.int32), counts=counts[where])


def load(run, model, folder):
    for name in ("pairs", "triples"):
        stored = np.load(f"{folder}/{name}.npz")
        getattr(model, name).reshape(-1)[stored["where"]] = stored["counts"]
    return model


def predict(model, tokens):
    now = tokens.numpy()
    before = np.concatenate([now[:, :1], now[:, :-1]], axis=1)  # the first place has one token: it stands for two
    single = (model.pairs > 0).sum(0) + 1.0  # after how many different tokens each one comes
    pairs = smoothed(model.pairs, (single / single.sum())[None], model.discount)
    triples = smoothed(model.triples[(before * model.vocab + now).reshape(-1)], pairs[now.reshape(-1)], model.discount)
    return torch.from_numpy(np.log(triples)).view(*tokens.shape, model.vocab)
