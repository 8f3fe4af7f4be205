"""A bigram table trained on the card that was granted, and no other may be there."""

import os

import torch
from torch import nn


class Bigram(nn.Module):
    """Logits from the current token alone."""

    def __init__(self, vocab):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocab, vocab))

    def forward(self, tokens):
        return self.table[tokens]


def setup(run):
    cards = [name for name in os.listdir("/dev") if name.removeprefix("nvidia").isdecimal()]
    print(f"{torch.cuda.device_count()} device(s), {len(cards)} node(s), {torch.cuda.get_device_name()}")
    assert run.device == "cuda:0"
    assert torch.cuda.device_count() == 1
    model = Bigram(run.vocab_size).to(run.device)
    compiled = torch.compile(lambda x: (x @ x).relu().sum())  # needs a compiler, its caches and a GPU's own
    compiled(torch.randn(256, 256, device=run.device))
    return model


def train(run, model):
    data = run.train_tokens().shards[0]
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.3)
    for step in range(20):
        piece = torch.from_numpy(data[step * 4096 : step * 4096 + 4097].astype("int64")).to(run.device)
        loss = nn.functional.cross_entropy(model(piece[:-1]), piece[1:])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        run.log(step=step + 1, tokens=(step + 1) * 4096, loss=loss)
    return model


def predict(model, tokens):
    return model(tokens)
