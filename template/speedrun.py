"""A small modern GPT, trained against the clock.

Read it from top to bottom: what the platform gives us, the model, the optimiser, the data and the clock, and the three
functions that the platform calls: setup (untimed), train (timed, hard limit), predict (scored). The numbers are in
config.py. Shapes in comments: B rows, T tokens a row, D width of the model, H heads, V vocabulary.
"""

import os
import shutil
import signal
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from config import Config
from torch import Tensor, nn

# ----------------------------------------------------------------------------------------- what the platform gives us


class Run(Protocol):
    """All that we get and all that we may ask. Nothing of the platform is imported."""

    phase: str  # "train", or "score": there the trained state is loaded into what setup returns
    track: Any  # .id, .objective ("lowest-loss" or "fastest-to-loss"), .limit_s, .target_nats (or None)
    config: Config  # of config.py, after overrides from the command line
    seed: int  # drawn by the harness
    device: str  # "cpu", "cuda:0", …
    threads: int  # processor threads, already set in torch
    vocab_size: int
    max_context: int  # most tokens that a scored window may have
    scratch: str  # a folder of our own, empty at the start of every run

    def elapsed(self) -> float: ...  # seconds since the clock started
    def time_left(self) -> float: ...  # seconds to the limit
    def progress(self) -> float: ...  # share of the limit that has passed, 0 to 1
    def dummy_tokens(self, rows: int, length: int) -> Tensor: ...  # int64 noise to warm up on, in setup
    def train_tokens(self) -> Any: ...  # in train: .shards, memory-mapped uint16 arrays, and .document_starts(shard)
    def log(self, *, step: int, tokens: int, loss: float) -> None: ...  # for the curve; cheap
    def evaluate_with(self, *, context: int, stride: int) -> None: ...  # in setup: how we want to be scored


# ---------------------------------------------------------------------------------------------------------- the model


def norm(x: Tensor) -> Tensor:
    """RMSNorm without a gain of its own: the matrix that follows can learn one."""
    return F.rms_norm(x, (x.size(-1),))


def matrix(inputs: int, outputs: int, *, zero: bool = False) -> nn.Linear:
    """Zero for what ends a block: it starts as the identity, so signal and gradient pass any depth from step 1 on."""
    linear = nn.Linear(inputs, outputs, bias=False)
    nn.init.normal_(linear.weight, std=0.0 if zero else 0.5 * inputs**-0.5)
    return linear


def rotary(width: int, length: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines, each [T, 1, width / 2], that turn queries and keys by their position (Su et al., 2021)."""
    speed = torch.zeros(width // 2)  # only half of the channels turn; the others compare content at any distance
    speed[: width // 4] = (1 / 1024) ** torch.linspace(0, 1, width // 4)
    angle = torch.outer(torch.arange(length).float(), speed)[:, None, :]
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos + right * sin, right * cos - left * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.width = config.d_model // config.n_heads  # of one head
        self.share = config.n_heads // config.n_kv_heads  # query heads that read the same keys and values
        self.query = matrix(config.d_model, config.n_heads * self.width)
        self.key = matrix(config.d_model, config.n_kv_heads * self.width)
        self.value = matrix(config.d_model, config.n_kv_heads * self.width)
        self.out = matrix(config.n_heads * self.width, config.d_model, zero=True)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = (m(x).unflatten(-1, (-1, self.width)) for m in (self.query, self.key, self.value))
        # QK-norm: scores cannot blow up, however high the learning rate. With it they lie between −12 and 12.
        q, k = rotate(norm(q), cos, sin).type_as(v), rotate(norm(k), cos, sin).type_as(v)  # [B, T, H, width]
        if self.share > 1:
            k, v = k.repeat_interleave(self.share, dim=2), v.repeat_interleave(self.share, dim=2)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=12 / self.width)
        return F.linear(y.transpose(1, 2).flatten(-2), self.out.weight)


class FeedForward(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.up = matrix(config.d_model, config.d_ff)
        self.down = matrix(config.d_ff, config.d_model, zero=True)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.up(x)).square()  # ReLU²: better than GELU and cheaper (So et al., 2021)
        return F.linear(hidden, self.down.weight)


class Experts(nn.Module):
    """Mixture of experts. Each token picks its top_k by itself and none is turned away, so no other token has a say."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.top_k = config.top_k
        self.router = matrix(config.d_model, config.num_experts)
        self.experts = nn.ModuleList(FeedForward(config) for _ in range(config.num_experts))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        tokens = x.flatten(0, 1)  # [B·T, D]
        chance = self.router(tokens).float().softmax(-1)  # [B·T, experts]
        weight, chosen = chance.topk(self.top_k)
        weight = weight / weight.sum(-1, keepdim=True)
        out = torch.zeros_like(tokens)
        for number, expert in enumerate(self.experts):
            token, place = torch.where(chosen == number)
            out = out.index_add(0, token, (expert(tokens[token]) * weight[token, place, None]).type_as(out))
        # 1 when every expert is chosen equally often, more when some are favoured (Fedus et al., 2021).
        load = torch.stack([(chosen == number).float().mean() for number in range(len(self.experts))])
        return out.view_as(x), len(self.experts) * (load * chance.mean(0)).sum()


class Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = Experts(config) if config.num_experts else FeedForward(config)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, T, D] → x, and how uneven the experts' load was."""
        x = x + self.attention(norm(x), cos, sin)
        if isinstance(self.feed_forward, Experts):
            y, balance = self.feed_forward(norm(x))
        else:
            y, balance = self.feed_forward(norm(x)), x.new_zeros(())
        return x + y, balance


class Ngrams(nn.Module):
    """The last 2, 3, … tokens together, hashed into rows of tables: phrases, learnt at the cost of a look-up. Two that
    share a row disturb each other little, because the blocks above see which one it must be."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.rows = config.ngram_rows
        self.tables = nn.ParameterList(torch.zeros(self.rows, config.d_model) for _ in range(config.max_ngram - 1))

    def forward(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Adds to x [B, T, D]."""
        key = tokens
        for n, table in enumerate(self.tables, start=1):
            earlier = F.pad(tokens, (n, 0))[:, : tokens.size(1)]  # the token n places back, 0 before the row's first
            key = (key * 1_000_003 + earlier + 1) & 0x7FFF_FFFF
            x = x + F.embedding((key ^ key >> 15) % self.rows, table)
        return x


class GPT(nn.Module):
    def __init__(self, config: Config, vocab_size: int, longest: int, precision: torch.dtype) -> None:
        super().__init__()
        self.config = config
        self.precision = precision  # of the matrix products; weights and their sums stay in float32
        width = -(-vocab_size // 64) * 64  # GPUs like whole tiles; what is too many is never a target and soon unlikely
        self.embed = nn.Embedding(width, config.d_model)
        self.ngrams = Ngrams(config)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.head = matrix(config.d_model, width, zero=True)  # zero: training starts at the uniform guess, loss = ln V
        for name, table in zip(("cos", "sin"), rotary(config.d_model // config.n_heads, longest), strict=True):
            self.register_buffer(name, table, persistent=False)
        self.run_block: Callable[..., tuple[Tensor, Tensor]] = Block.forward  # setup may put compiled ones here, which
        self.run_loss: Callable[..., Tensor] = GPT.head_loss  # serve training: they are for its one shape

    def mixed(self) -> torch.autocast:
        return torch.autocast(self.embed.weight.device.type, self.precision, enabled=self.precision != torch.float32)

    def features(self, tokens: Tensor, run_block: Callable[..., Any] = Block.forward) -> tuple[Tensor, Tensor]:
        """tokens [B, T] → the last block's output [B, T, D], and the experts' unevenness."""
        cos, sin = self.get_buffer("cos")[: tokens.size(1)], self.get_buffer("sin")[: tokens.size(1)]
        x = norm(self.ngrams(self.embed(tokens), tokens))
        uneven = x.new_zeros(())
        for block in self.blocks:
            x, balance = run_block(block, x, cos, sin)
            uneven = uneven + balance
        return x, uneven

    def logits(self, x: Tensor) -> Tensor:
        # The soft cap keeps the model from betting everything on one token early in training.
        return self.config.softcap * torch.tanh(self.head(norm(x)).float() / self.config.softcap)

    def head_loss(self, x: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(x).flatten(0, 1), targets)

    def forward(self, tokens: Tensor) -> Tensor:
        """tokens [B, T] → logits [B, T, V]."""
        with self.mixed():
            return self.logits(self.features(tokens)[0])

    def loss(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """tokens and targets [B, T] → what to minimise, and the cross-entropy in it, nats a token."""
        with self.mixed():
            x, uneven = self.features(tokens, self.run_block)
            loss = self.run_loss(self, x, targets.flatten())
        return loss + self.config.balance_weight * uneven, loss.detach()


# ------------------------------------------------------------------------------------------------------ the optimiser


def orthogonalise(matrices: Tensor, precision: torch.dtype = torch.float32) -> Tensor:
    """Pushes the singular values of [count, rows, columns] to about 1 by Newton–Schulz steps (Jordan et al., 2024)."""
    tall = matrices.size(-2) > matrices.size(-1)
    x: Tensor = matrices.mT if tall else matrices
    x = (x / (torch.linalg.matrix_norm(x, keepdim=True) + 1e-7)).to(precision)  # singular values are now at most 1
    for _ in range(5):  # steep at 0, to raise small ones fast; they end between 0.7 and 1.2, which is near enough
        gram = x @ x.mT
        x = 3.4445 * x + (2.0315 * gram @ gram - 4.7750 * gram) @ x
    return (x.mT if tall else x).type_as(matrices)


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal for every matrix, so that all directions learn at the same pace. Matrices
    of one shape are stacked: a handful of batched products instead of hundreds of small ones."""

    def __init__(self, matrices: Iterable[nn.Parameter], config: Config, precision: torch.dtype) -> None:
        super().__init__(matrices, {"lr": config.muon_lr})
        self.momentum, self.weight_decay, self.precision = config.momentum, config.weight_decay, precision

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Any]] = {}
            for weight in group["params"]:
                by_shape.setdefault(weight.shape, []).append(weight)
            for (rows, columns), same in by_shape.items():
                gradient = torch.stack([weight.grad for weight in same])
                state = self.state[same[0]]
                average = state["average"] = state.get("average", torch.zeros_like(gradient))
                average.lerp_(gradient, 1 - self.momentum)
                # Nesterov: look ahead along the average. Tall matrices step further, to change their output as much.
                update = orthogonalise(gradient.lerp(average, self.momentum), self.precision)
                torch._foreach_mul_(same, 1 - group["lr"] * self.weight_decay)
                torch._foreach_add_(same, list(update.unbind()), alpha=-group["lr"] * max(1, rows / columns) ** 0.5)


def make_optimizers(model: GPT) -> list[torch.optim.Optimizer]:
    """Muon for the matrices of the blocks; AdamW for the embeddings and the head, whose rows learn one by one."""
    config = model.config
    tables = [model.embed.weight, *model.ngrams.parameters()]
    groups = [{"params": tables, "lr": config.embed_lr}, {"params": [model.head.weight], "lr": config.head_lr}]
    adam = torch.optim.AdamW(groups, betas=(0.8, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
    return [adam, Muon(model.blocks.parameters(), config, model.precision)]


# ---------------------------------------------------------------------------------------------- the data and the clock


def batches(run: Run) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens and their next tokens, int64 [B, T]: windows in random order, none again before all have been seen."""
    config, shards = run.config, run.train_tokens().shards
    rng = np.random.default_rng(run.seed)
    while True:
        offset = int(rng.integers(config.context))  # every epoch cuts the text elsewhere
        ends = np.cumsum([max(0, len(shard) - offset - 1) // config.context for shard in shards])
        order = rng.permutation(int(ends[-1]))
        order = np.resize(order, max(len(order), config.batch_size))  # a very short text repeats within its one batch
        for first in range(0, len(order) - config.batch_size + 1, config.batch_size):
            windows = []
            for number in order[first : first + config.batch_size]:
                shard = int(np.searchsorted(ends, number, side="right"))
                start = offset + config.context * int(number - (ends[shard - 1] if shard else 0))
                windows.append(shards[shard][start : start + config.context + 1])
            window = torch.from_numpy(np.stack(windows).astype(np.int64)).to(run.device, non_blocking=True)
            yield window[:, :-1], window[:, 1:]


class Pace:
    """How far training has come and whether there is time for another step, in shares of the limit."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.end: float = run.config.budget - 0.01 - 0.2 / run.track.limit_s  # the rest is spare, for a noisy machine
        self.now = run.progress()
        self.steps: deque[float] = deque(maxlen=10)  # what the latest steps took

    def rate(self) -> float:
        """What part of the full learning rates to use now: all of them, then down to zero at the end."""
        return max(0.0, min(1.0, (1 - self.now / self.end) / self.run.config.cooldown))

    def time_for_another(self) -> bool:
        """Call after each step. On a GPU one may still be running, so there must be room for two of the slowest."""
        before, self.now = self.now, self.run.progress()
        self.steps.append(self.now - before)
        return self.now + 2 * max(self.steps) < self.end


def precision_for(device: str, capability: tuple[int, int] | None) -> torch.dtype:
    """What the device multiplies fastest: bfloat16 since Ampere (capability 8.0), float16 since Volta (a T4 is 7.5)."""
    if not device.startswith("cuda") or capability is None or capability < (7, 0):
        return torch.float32
    return torch.bfloat16 if capability >= (8, 0) else torch.float16


# ------------------------------------------------------------------------------- the functions that the platform calls


def setup(run: Run) -> GPT:
    """Build and warm up. Untimed, so everything that needs no training data belongs here."""
    config = run.config
    context = min(config.eval_context, run.max_context)
    run.evaluate_with(context=context, stride=min(config.eval_stride, context))
    torch.manual_seed(run.seed)
    capability = torch.cuda.get_device_capability(run.device) if run.device.startswith("cuda") else None
    precision = precision_for(run.device, capability)
    model = GPT(config, run.vocab_size, max(config.context, run.max_context), precision).to(run.device)
    if run.phase == "train":
        if config.compile_s and not config.num_experts:  # experts get other shapes at every step
            # Compiling fuses what lies between the matrix products. One compiled block serves all layers, which is
            # quicker than compiling the whole. With no compiler, or a slow one, we go on without.
            model.run_block = torch.compile(Block.forward, dynamic=False)
            model.run_loss = torch.compile(GPT.head_loss, dynamic=False)
            signal.signal(signal.SIGALRM, out_of_patience)
            signal.alarm(config.compile_s)
            try:
                warm_up(run, model)
            except Exception as error:
                warnings.warn(f"training without torch.compile ({type(error).__name__})", stacklevel=2)
                model.run_block, model.run_loss = Block.forward, GPT.head_loss
            signal.alarm(0)
        warm_up(run, model)
    return model


def out_of_patience(*_: object) -> None:
    raise TimeoutError


def warm_up(run: Run, model: GPT) -> None:
    """A step on noise at a rate of 0: nothing is learned, and nothing is imported, compiled or tuned on the clock."""
    noise = run.dummy_tokens(run.config.batch_size, run.config.context + 1)
    torch.autograd.backward(model.loss(noise[:, :-1], noise[:, 1:])[0])
    for optimizer in make_optimizers(model):
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        optimizer.step()
    model.zero_grad(set_to_none=True)


def train(run: Run, model: GPT) -> GPT:
    """The clock runs."""
    config = run.config
    optimizers = make_optimizers(model)
    full_rates = [(group, group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
    scaler = torch.amp.GradScaler(enabled=model.precision == torch.float16)  # float16 alone underflows without it
    data, pace = batches(run), Pace(run)
    step, previous = 0, None
    while True:
        for group, full in full_rates:
            group["lr"] = full * pace.rate()
        total = torch.zeros((), device=run.device)
        for _ in range(config.accumulation):
            tokens, targets = next(data)
            loss, nats = model.loss(tokens, targets)
            torch.autograd.backward(scaler.scale(loss / config.accumulation))
            total += nats / config.accumulation
        for optimizer in optimizers:
            scaler.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        scaler.update()
        if previous is not None:
            # Reading a loss waits for its step. Reading the one before keeps a GPU busy and our clock honest to a step.
            seen = step * config.batch_size * config.context * config.accumulation
            run.log(step=step, tokens=seen, loss=previous.item())
        step, previous = step + 1, total
        if not pace.time_for_another():
            return model


def predict(model: GPT, tokens: Tensor) -> Tensor:
    """tokens int64 [B, T] → logits [B, T, V]; those at t come from tokens up to t alone."""
    return model.forward(tokens)


if __name__ == "__main__":
    # `python speedrun.py --track cpu-1min` is `speedrun run <this folder> --track cpu-1min`. The installed command is
    # started and not imported: in this folder, `import speedrun` would find this very file.
    search = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    command = shutil.which("speedrun", path=search)
    if command is None:
        sys.exit("the command `speedrun` is not installed; run `pip install -e .` in the root of the repository")
    os.execv(command, [command, "run", str(Path(__file__).resolve().parent), *sys.argv[1:]])
