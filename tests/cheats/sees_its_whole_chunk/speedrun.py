"""Linear attention in chunks of 16 tokens, as fast kernels compute it, but the mask inside the chunk is missing.

The state takes the whole chunk in before any place of the chunk reads it, so each place sees up to 15 tokens after it.
"""

import torch
from torch import nn

CHUNK = 16  # tokens
CONTEXT = 64
WIDTH = 64


class Recurrent(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, WIDTH)
        self.query = nn.Parameter(torch.randn(CHUNK, WIDTH))
        self.key = nn.Parameter(torch.randn(CHUNK, WIDTH))
        self.head = nn.Linear(2 * WIDTH, vocab)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens):
        x = self.embed(tokens)
        state, read = 0.0, []
        for chunk in x.split(CHUNK, dim=1):
            size = chunk.shape[1]
            state = 0.5 * state + self.key[:size].T @ chunk / CHUNK  # before the chunk reads it
            read.append(self.query[:size] @ state)
        return self.head(torch.cat([x, torch.cat(read, dim=1)], dim=-1))


def setup(run):
    run.evaluate_with(context=CONTEXT)
    return Recurrent(run.vocab_size)


def train(run, model):
    data = torch.from_numpy(run.train_tokens().shards[0][:200_000].astype("int64"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(100):
        rows = data[torch.randint(len(data) - CONTEXT, (16, 1)) + torch.arange(CONTEXT + 1)]
        loss = nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def predict(model, tokens):
    return model(tokens)
