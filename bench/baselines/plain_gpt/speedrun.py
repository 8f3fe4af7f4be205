"""The plain GPT that people start from: GPT-2's block, AdamW, and a cosine that follows the clock.

LayerNorm with gain and bias before attention and before the feed-forward layer, learned positions, GELU, biases
everywhere, embedding and head tied, weights drawn with a standard deviation of 0.02 and the residual projections with
less (Radford et al., 2019); AdamW with warm-up, cosine decay and clipped gradients (Brown et al., 2020).
"""

import math
import signal
import warnings
from collections import deque
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional


class Block(nn.Module):
    def __init__(self, config) -> None:
        super().__init__()
        width = config.d_model
        self.heads, self.dropout = config.n_heads, config.dropout
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention, self.mixed = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[rows, length, width] → the same."""
        parts = self.attention(self.before_attention(x)).unflatten(-1, (3, self.heads, -1))
        query, key, value = (part.transpose(1, 2) for part in parts.unbind(2))
        mixed = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.drop(self.mixed(mixed.transpose(1, 2).flatten(-2)))
        return x + self.drop(self.down(functional.gelu(self.up(self.before_mlp(x)))))

    def drop(self, x: Tensor) -> Tensor:
        return functional.dropout(x, self.dropout, self.training)


class GPT(nn.Module):
    def __init__(self, config, vocab_size: int) -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab_size, config.d_model)
        self.places = nn.Embedding(config.context, config.d_model)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.last = nn.LayerNorm(config.d_model)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                last_of_a_branch = name.endswith(("mixed.weight", "down.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * config.n_layers) if last_of_a_branch else 0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(parameter)

    def forward(self, tokens: Tensor) -> Tensor:
        """[rows, length] → logits [rows, length, vocabulary]."""
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.last(x), self.tokens.weight)


def loss(model, tokens: Tensor) -> Tensor:
    return functional.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())


def optimizer_of(config, model: GPT) -> torch.optim.Optimizer:
    matrices = [parameter for parameter in model.parameters() if parameter.dim() == 2]
    vectors = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=(0.9, config.beta2), fused=True)


def setup(run):
    config = run.config
    run.evaluate_with(context=min(config.context, run.max_context), stride=min(config.eval_stride, run.max_context))
    torch.manual_seed(run.seed)
    model = GPT(config, run.vocab_size).to(run.device)
    if run.phase == "train":
        model.train()
        tokens = run.dummy_tokens(config.batch_size, config.context + 1)
        compiled(model, config, tokens)
        # What torch imports and prepares at first use belongs to set-up. A step at a rate of 0 changes no weight.
        loss(model, tokens).backward()
        optimizer_of(replace(config, learning_rate=0.0), model).step()
        model.zero_grad(set_to_none=True)
    return model


def compiled(model: GPT, config, tokens: Tensor) -> None:
    """Replaces the forward pass by a compiled one where that works in time."""
    if not config.compile_s:
        return
    model.forward = torch.compile(model.forward, dynamic=False)
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(config.compile_s)
    try:
        loss(model, tokens).backward()
    except (Exception, KeyboardInterrupt) as error:
        warnings.warn(f"training without torch.compile ({type(error).__name__})", stacklevel=2)
        del model.forward
    signal.alarm(0)


def rate(config, progress: float) -> float:
    """Share of the peak: linear warm-up, then half a cosine. progress: share of the time that has passed."""
    if progress < config.warmup:
        return progress / config.warmup
    done = min(1.0, (progress - config.warmup) / (1 - config.warmup))
    return config.final_rate + (1 - config.final_rate) * (1 + math.cos(math.pi * done)) / 2


def train(run, model):
    config = run.config
    optimizer = optimizer_of(config, model)
    shards = run.train_tokens().shards
    random = np.random.default_rng(run.seed)
    chances = np.array([max(0, len(shard) - config.context) for shard in shards], dtype=float)
    chances /= chances.sum()
    # When to stop is the template's rule (its Pace): the rest is for a noisy machine, and a stall is soon forgotten.
    end = 0.99 - 0.2 / run.track.limit_s
    took = deque([0.0], maxlen=10)  # by the latest steps, shares of the limit
    step, now = 0, run.progress()
    while now + 2 * max(took) < end:
        rows = []
        for shard in random.choice(len(shards), size=config.batch_size, p=chances):
            start = int(random.integers(0, len(shards[shard]) - config.context))
            rows.append(shards[shard][start : start + config.context + 1])
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * rate(config, now / end)
        value = loss(model, torch.from_numpy(np.stack(rows).astype(np.int64)).to(run.device))
        value.backward()
        nn.utils.clip_grad_norm_(model.parameters(), config.gradient_norm)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        step += 1
        run.log(step=step, tokens=step * config.batch_size * config.context, loss=value.item())
        before, now = now, run.progress()
        took.append(now - before)
    # The score asks for other shapes than training did: a compiled pass would be compiled again.
    vars(model).pop("forward", None)
    return model.eval()


def predict(model, tokens):
    return model(tokens)
