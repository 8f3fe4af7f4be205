"""Asks for more of the processor than the track grants, once the clock runs."""

import contextlib
import os
import time

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


def setup(run):
    return Bigram(run.vocab_size)


def train(run, model):
    torch.set_num_threads(64)
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, range(os.cpu_count()))
    if len(os.sched_getaffinity(0)) > run.threads:
        raise RuntimeError(f"FOUND {len(os.sched_getaffinity(0))} cores where {run.threads} are granted")
    began_s, used_s = time.perf_counter(), time.process_time()
    square = torch.ones(512, 512)
    for _ in range(20):
        square = (square @ square).clamp(max=1.0)
    used_s, took_s = time.process_time() - used_s, time.perf_counter() - began_s
    if used_s > 1.5 * run.threads * took_s + 0.1:
        raise RuntimeError(f"FOUND {used_s:.2f} processor seconds in {took_s:.2f} s")
    return count_pairs(run, model)


def predict(model, tokens):
    return model(tokens)
