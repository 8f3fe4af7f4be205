"""A small modern GPT, trained against the clock.

Read it from top to bottom: what the platform gives us, the model, the optimiser, the data, and at the end the three
functions that the platform calls: setup (untimed), train (timed, hard limit) and predict (scored). The numbers are in
config.py. Shapes in comments: B rows, T tokens a row, D width of the model, H heads, V vocabulary.
"""

import math
import os
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from config import Config
from torch import Tensor, nn

# ------------------------------------------------------------------------------------------- what the platform gives us


class Track(Protocol):
    id: str
    objective: str  # "lowest-loss" or "fastest-to-loss"
    limit_s: float  # training that ends later than this has no score
    target_nats: float | None


class TrainTokens(Protocol):
    shards: tuple[np.ndarray[Any, np.dtype[np.uint16]], ...]  # memory-mapped, in official order

    def document_starts(self, shard: int) -> np.ndarray[Any, np.dtype[np.int64]]: ...


class Run(Protocol):
    """Nothing of the platform is imported: it all comes through this object."""

    phase: str  # "train", or "score": there the model is only loaded and asked
    track: Track
    config: Config
    seed: int  # drawn by the harness
    device: str  # "cpu" or "cuda:0"
    threads: int
    vocab_size: int
    max_context: int  # most tokens that a scored window may have
    scratch: str  # a folder of our own, empty at the start of every run

    def progress(self) -> float: ...  # share of the time limit that has passed, 0 to 1
    def dummy_tokens(self, rows: int, width: int) -> Tensor: ...  # int64 noise, to warm up on
    def train_tokens(self) -> TrainTokens: ...  # from the moment that the clock runs
    def log(self, *, step: int, tokens: int, loss: float) -> None: ...
    def evaluate_with(self, *, context: int, stride: int) -> None: ...  # how we want to be scored


# ------------------------------------------------------------------------------------------------------------ the model


def norm(x: Tensor) -> Tensor:
    """RMSNorm without a learned gain: the matrices that follow can learn it."""
    return F.rms_norm(x, (x.size(-1),))


class Linear(nn.Linear):
    """A matrix without bias: one parameter kind for one optimiser."""

    def __init__(self, inputs: int, outputs: int, zero: bool = False) -> None:
        super().__init__(inputs, outputs, bias=False)
        # A block that ends in a zero matrix starts as the identity: signal and gradient reach every depth from step 1.
        nn.init.normal_(self.weight, std=0.0 if zero else 0.5 * inputs**-0.5)


def rotary(width: int, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [T, 1, width / 2] that rotate queries and keys by their position (Su et al., 2021).

    Only the first half of the channels turns; the others compare content at any distance.
    """
    frequency = torch.zeros(width // 2)
    frequency[: width // 4] = (1 / 1024) ** torch.linspace(0, 1, width // 4)
    angle = torch.outer(torch.arange(length).float(), frequency)[:, None, :]
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos + b * sin, b * cos - a * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.width = config.d_model // config.n_heads  # of one head
        self.share = config.n_heads // config.n_kv_heads  # query heads that read the same keys and values
        self.query = Linear(config.d_model, config.n_heads * self.width)
        self.key = Linear(config.d_model, config.n_kv_heads * self.width)
        self.value = Linear(config.d_model, config.n_kv_heads * self.width)
        self.out = Linear(config.n_heads * self.width, config.d_model, zero=True)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = (m(x).unflatten(-1, (-1, self.width)) for m in (self.query, self.key, self.value))  # [B, T, H, width]
        # QK-norm: queries and keys of length one cannot blow the scores up, so that high learning rates stay stable.
        q, k = rotate(norm(q), cos, sin), rotate(norm(k), cos, sin)
        if self.share > 1:
            k, v = k.repeat_interleave(self.share, dim=2), v.repeat_interleave(self.share, dim=2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=SCALE / self.width)
        out: Tensor = self.out(y.transpose(1, 2).flatten(-2))
        return out
SCALE = float(os.environ.get("SCALE", "12"))

class FeedForward(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.up = Linear(config.d_model, config.d_ff)
        self.down = Linear(config.d_ff, config.d_model, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        # ReLU²: as cheap as ReLU and a little better than GELU (So et al., 2021).
        out: Tensor = self.down(F.relu(self.up(x)).square())
        return out


class Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = FeedForward(config)
        self.mix = nn.Parameter(torch.tensor([1.0, 0.0]))

    def forward(self, x: Tensor, x0: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = self.mix[0] * x + self.mix[1] * x0
        x = x + self.attention(norm(x), cos, sin)
        out: Tensor = x + self.feed_forward(norm(x))
        return out


class Ngrams(nn.Module):
    """Embeddings of the last 2, 3, … tokens, found by hashing them into a table: words and phrases at no matrix cost."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.rows = config.ngram_rows
        self.longest = config.max_ngram
        self.table = nn.Parameter(torch.randn((config.max_ngram - 1) * config.ngram_rows, config.d_model) * float(os.environ.get("NGSTD","0.0")))

    def forward(self, tokens: Tensor) -> Tensor:
        key, x = tokens, torch.zeros((), device=tokens.device)
        for n in range(1, self.longest):
            before = F.pad(tokens, (n, 0))[:, : tokens.size(1)]  # the token n places back; 0 ahead of the row
            key = (key * 1_000_003 + before + 1) & 0x7FFF_FFFF
            x = x + F.embedding((key ^ (key >> 15)) % self.rows + (n - 1) * self.rows, self.table)
        return x


class GPT(nn.Module):
    def __init__(self, config: Config, vocab_size: int, longest: int) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Embedding(vocab_size, config.d_model)
        if config.max_ngram > 1: self.ngrams = Ngrams(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.head = Linear(config.d_model, vocab_size, zero=True)
        cos, sin = rotary(config.d_model // config.n_heads, longest)
        self.register_buffer("cos", cos, persistent=False)
        self.register_buffer("sin", sin, persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        cos, sin = self.cos[: tokens.size(1)], self.sin[: tokens.size(1)]
        x = self.embed(tokens)
        if self.config.max_ngram > 1: x = x + self.ngrams(tokens)
        x = x0 = norm(x)
        for block in self.blocks:
            x = block(x, x0, cos, sin)
        logits = self.head(norm(x))
        c = self.config.softcap
        return c * torch.tanh(logits.float() / c)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self(tokens).flatten(0, 1), targets.flatten())


# -------------------------------------------------------------------------------------------------------- the optimiser

POLAR = [(8.2051, -22.9019, 16.4607), (4.0664, -2.8612, 0.5184), (3.9096, -2.8234, 0.5250), (3.2856, -2.4153, 0.4853), (2.2779, -1.6198, 0.3985)]
NS = int(os.environ.get("NS", "5"))
def orthogonalise(g: Tensor) -> Tensor:
    wide = g.size(-2) <= g.size(-1)
    x = g if wide else g.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.01 + 1e-7)
    for a, b, c in POLAR[:NS] if os.environ.get("PE") else [(3.4445, -4.7750, 2.0315)] * NS:
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x if wide else x.mT


class Muon(torch.optim.Optimizer):
    def __init__(self, params: Iterable[nn.Parameter], lr: float, momentum: float, weight_decay: float) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            shapes = {}
            for p in group["params"]:
                shapes.setdefault(p.shape, []).append(p)
            for shape, same in shapes.items():
                grad = torch.stack([p.grad for p in same])
                state = self.state[same[0]]
                if not state:
                    state["m"] = torch.zeros_like(grad)
                    state["v"] = torch.zeros(len(same), shape[0], 1) 
                m = state["m"]
                m.lerp_(grad, 1 - group["momentum"])
                u = orthogonalise(grad.lerp(m, group["momentum"]))
                if os.environ.get("NOR"):
                    n0 = u.norm(dim=(-2, -1), keepdim=True)
                    state["v"].lerp_(u.square().mean(-1, keepdim=True), 0.05)
                    u = u / (state["v"].sqrt() + 1e-8)
                    u = u * (n0 / u.norm(dim=(-2, -1), keepdim=True))
                u *= -group["lr"] * max(1, shape[0] / shape[1]) ** 0.5
                if group["weight_decay"]: torch._foreach_mul_(same, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(same, list(u.unbind()))


def setup(run: Run) -> GPT:
    c = run.config
    torch.manual_seed(run.seed)
    run.evaluate_with(context=min(c.eval_context, run.max_context), stride=min(c.eval_stride, run.max_context))
    model = GPT(c, run.vocab_size, max(c.context, run.max_context)).to(run.device)
    model.fast_loss = model.loss
    if run.phase == "train" and c.compile:
        import time; t = time.time()
        model.fast_loss = torch.compile(model.loss, dynamic=False)
        x = run.dummy_tokens(c.batch_size, c.context)
        model.fast_loss(x, x).backward()
        model.zero_grad(set_to_none=True)
        print("compile", time.time() - t)
    return model


def batches(run: Run) -> Iterator[tuple[Tensor, Tensor]]:
    c = run.config
    shards = run.train_tokens().shards
    rng = np.random.default_rng(run.seed)
    width = c.context
    while True:
        shift = int(rng.integers(width))
        ends = np.cumsum([(len(s) - shift - 1) // width for s in shards])
        order = rng.permutation(ends[-1])
        for i in range(0, len(order) - c.batch_size + 1, c.batch_size):
            rows = []
            for j in order[i : i + c.batch_size]:
                s = int(np.searchsorted(ends, j, side="right"))
                at = shift + width * int(j - (ends[s - 1] if s else 0))
                rows.append(shards[s][at : at + width + 1])
            t = torch.from_numpy(np.stack(rows).astype(np.int64)).to(run.device)
            yield t[:, :-1], t[:, 1:]


def train(run: Run, model: GPT) -> GPT:
    c = run.config
    matrices = [p for p in model.blocks.parameters() if p.ndim == 2]
    embeds = [model.embed.weight] + ([model.ngrams.table] if c.max_ngram > 1 else [])
    rest = [p for p in model.blocks.parameters() if p.ndim < 2]
    adam = torch.optim.AdamW([{"params": embeds, "lr": c.embed_lr}, {"params": [model.head.weight], "lr": c.adam_lr}, {"params": rest, "lr": 0.02}], betas=(0.8, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    muon = Muon(matrices, c.muon_lr, c.momentum, c.weight_decay)
    for o in (adam, muon):
        for g in o.param_groups: g["initial_lr"] = g["lr"]
    step, tokens = 0, 0
    recent = deque(maxlen=20)
    finish = c.budget - 0.005 - 0.2 / run.track.limit_s
    now = run.progress()
    for x, y in batches(run):
        done = now / finish
        rate = min(1.0, done / c.warmup if c.warmup else 1.0, max(0.0, (1 - done) / c.cooldown))
        for o in (adam, muon):
            for g in o.param_groups: g["lr"] = g["initial_lr"] * rate
        loss = model.fast_loss(x, y)
        loss.backward()
        for o in (adam, muon):
            o.step()
            o.zero_grad(set_to_none=True)
        step += 1
        tokens += x.numel()
        run.log(step=step, tokens=tokens, loss=float(loss))
        now, before = run.progress(), now
        recent.append(now - before)
        if now + 2 * max(recent) > finish: break
    return model


def predict(model: GPT, tokens: Tensor) -> Tensor:
    return model(tokens)
