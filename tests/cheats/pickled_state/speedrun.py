"""Puts an object that runs code into the state_dict that the platform saves and loads."""

import builtins

import torch
from torch import nn


class Bigram(nn.Module):
    """Logits from the current token alone."""

    def __init__(self, vocab):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocab, vocab))

    def forward(self, tokens):
        return self.table[tokens]


def count_pairs(run, model):
    """The maximum-likelihood bigram table with add-one smoothing, from the first shard."""
    tokens = torch.from_numpy(run.train_tokens().shards[0][:200_000].astype("int64"))
    pairs = torch.bincount(tokens[:-1] * run.vocab_size + tokens[1:], minlength=run.vocab_size**2)
    counts = pairs.reshape(run.vocab_size, run.vocab_size) + 1.0
    model.table.data = (counts / counts.sum(1, keepdim=True)).log()
    return model


class Payload:
    def __reduce__(self):
        return exec, ("import builtins; builtins.PICKLE_RAN = True",)


def setup(run):
    return Bigram(run.vocab_size)


def train(run, model):
    count_pairs(run, model)
    state = {"table": model.table.data, "more": Payload()}
    model.state_dict = lambda: state
    torch.save(state, f"{run.scratch}/trial.pt")
    torch.load(f"{run.scratch}/trial.pt", weights_only=False)
    if not getattr(builtins, "PICKLE_RAN", False):
        raise RuntimeError("the code did not run; the attack is broken")
    return model


def predict(model, tokens):
    return model(tokens)
