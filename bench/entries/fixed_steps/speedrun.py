"""A fixed amount of work in `train`, of the kind that entries do: read a memory map, step, log."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.up = nn.Linear(width, 4 * width, bias=False)
        self.down = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        rows, length, width = x.shape
        parts = self.attention(functional.rms_norm(x, (width,))).view(rows, length, 3, self.heads, width // self.heads)
        query, key, value = (part.transpose(1, 2) for part in parts.unbind(2))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.out(mixed.transpose(1, 2).reshape(rows, length, width))
        return x + self.down(functional.relu(self.up(functional.rms_norm(x, (width,)))).square())


class GPT(nn.Module):
    def __init__(self, config, vocab_size: int, longest: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(vocab_size, config.d_model)
        self.place = nn.Embedding(longest, config.d_model)
        self.blocks = nn.ModuleList(Block(config.d_model, config.n_heads) for _ in range(config.n_layers))
        self.head = nn.Linear(config.d_model, vocab_size, bias=False)
        nn.init.zeros_(self.head.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embed(tokens) + self.place.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return self.head(functional.rms_norm(x, (x.shape[-1],)))


def setup(run):
    config = run.config
    run.evaluate_with(context=config.eval_context, stride=config.eval_stride)
    model = GPT(config, run.vocab_size, max(config.context, config.eval_context))
    if run.phase == "train":
        warm_up(model, run.dummy_tokens(config.batch_size, config.context + 1))
    return model


def warm_up(model: GPT, tokens: Tensor) -> None:
    """What torch imports and prepares at first use belongs to set-up. A step at a rate of 0 changes no weight."""
    loss(model, tokens).backward()
    torch.optim.AdamW(model.parameters(), lr=0.0).step()
    model.zero_grad(set_to_none=True)


def loss(model: GPT, rows: Tensor) -> Tensor:
    logits = model(rows[:, :-1])
    return functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten())


def train(run, model):
    config = run.config
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate)
    shard = run.train_tokens().shards[0]
    random = np.random.default_rng(run.seed)
    for step in range(1, config.steps + 1):
        starts = random.integers(0, len(shard) - config.context, size=config.batch_size)
        rows = np.stack([shard[start : start + config.context + 1] for start in starts])
        value = loss(model, torch.from_numpy(rows.astype(np.int64)))
        value.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        run.log(step=step, tokens=step * config.batch_size * config.context, loss=value.item())
    return model


def predict(model, tokens):
    return model(tokens)
