"""Weights and activations quantised to eight bits."""

import numpy as np
import torch
from torch import nn


class Layer(nn.Module):
    """A linear layer; once `scale` is there, with whole numbers from −127 to 127 on both sides."""

    def __init__(self, width, out):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.randn(out, width) / width**0.5), nn.Parameter(torch.zeros(out))
        self.scale = None  # [out, 1]

    def forward(self, x):
        if self.scale is None:
            return nn.functional.linear(x, self.weight, self.bias)
        own = x.abs().amax(-1, keepdim=True).clamp(min=1e-9) / 127  # each place its own: no place sees another
        return nn.functional.linear((x / own).round(), self.weight) * own * self.scale[:, 0] + self.bias


class Eight(nn.Module):
    """The next token from the last eight."""

    def __init__(self, vocab, width):
        super().__init__()
        self.token = nn.Embedding(vocab, width)
        self.past, self.deep, self.head = Layer(8 * width, width), Layer(width, width), Layer(width, vocab)

    def forward(self, tokens):
        padded = nn.functional.pad(self.token(tokens), (0, 0, 7, 0))
        x = torch.relu(self.past(padded.unfold(1, 8, 1).flatten(2)))
        return self.head(x + torch.relu(self.deep(x)))


def setup(run):
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


def save(model, folder):
    arrays = {"token": model.token.weight.detach().half().numpy()}
    for name in ("past", "deep", "head"):
        layer = getattr(model, name)
        scale = layer.weight.detach().abs().amax(1, keepdim=True) / 127
        arrays[f"{name}_weight"] = (layer.weight.detach() / scale).round().to(torch.int8).numpy()
        arrays[f"{name}_scale"], arrays[f"{name}_bias"] = scale.numpy(), layer.bias.detach().numpy()
    np.savez(f"{folder}/weights.npz", **arrays)


def load(run, model, folder):
    arrays = {name: torch.from_numpy(array).float() for name, array in np.load(f"{folder}/weights.npz").items()}
    model.token.weight.data = arrays["token"]
    for name in ("past", "deep", "head"):
        layer = getattr(model, name)
        layer.weight.data, layer.scale = arrays[f"{name}_weight"], arrays[f"{name}_scale"]
        layer.bias.data = arrays[f"{name}_bias"]
    return model


def predict(model, tokens):
    return model(tokens)
