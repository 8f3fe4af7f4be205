"""A recurrent net with `bidirectional=True`, which reads the row from its end as well."""

import torch
from torch import nn

CONTEXT = 32


class Reader(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, 64)
        self.recurrent = nn.GRU(64, 96, batch_first=True, bidirectional=True)
        self.head = nn.Linear(192, vocab)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens):
        return self.head(self.recurrent(self.embed(tokens))[0])


def setup(run):
    run.evaluate_with(context=CONTEXT)
    return Reader(run.vocab_size)


def train(run, model):
    data = torch.from_numpy(run.train_tokens().shards[0][:200_000].astype("int64"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(60):
        rows = data[torch.randint(len(data) - CONTEXT, (16, 1)) + torch.arange(CONTEXT + 1)]
        loss = nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def predict(model, tokens):
    return model(tokens)
