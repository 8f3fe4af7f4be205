"""A small modern GPT, trained against the clock.

Read it from top to bottom; the platform calls setup (untimed), train (timed, hard limit) and predict (scored) at the
end. The numbers are in config.py. Shapes: B rows, T tokens a row, D width of the model, H heads, V vocabulary.
"""

import functools
import itertools
import math
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
from torch import Tensor, distributed, nn
from torch.utils.checkpoint import checkpoint


# ----------------------------------------------------------------------------------------- what the platform gives us
class Run(Protocol):
    """What we use of what the platform gives; README.md has the rest. Nothing of the platform is imported."""

    phase: str  # "train", or "score": there the trained state is loaded into what setup returns
    track: Any  # .id, .objective ("lowest-loss" or "fastest-to-loss"), .limit_s, .target_nats (or None)
    config: Config  # of config.py, after overrides from the command line
    seed: int  # drawn by the harness
    device: str  # "cpu", "cuda:0", …
    rank: int  # which of world_size processes this is; all of them set up and train, the first alone is scored
    world_size: int
    vocab_size: int
    max_context: int  # most tokens that a scored window may have

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


def rotary(width: int, length: int) -> Tensor:
    """Cosines and sines [2, T, 1, width / 2] that turn queries and keys by their position (Su et al., 2021)."""
    speed = torch.zeros(width // 2)  # only half of the channels turn; the others compare content at any distance
    speed[: width // 4] = (1 / 1024) ** torch.linspace(0, 1, width // 4)
    angle = torch.outer(torch.arange(length).float(), speed)[:, None, :]
    return torch.stack((angle.cos(), angle.sin()))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    left, right = x.chunk(2, dim=-1)
    return torch.cat((left * cos + right * sin, right * cos - left * sin), dim=-1)


class Attention(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.width = config.d_model // config.n_heads  # of one head
        kv_heads = config.n_kv_heads or config.n_heads
        self.grouped = kv_heads < config.n_heads  # several query heads read the same keys and values
        self.query = matrix(config.d_model, config.d_model)
        self.key = matrix(config.d_model, kv_heads * self.width)
        self.value = matrix(config.d_model, kv_heads * self.width)
        self.out = matrix(config.d_model, config.d_model, zero=True)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        q, k, v = (m(x).unflatten(-1, (-1, self.width)) for m in (self.query, self.key, self.value))
        # QK-norm: scores cannot blow up, however high the learning rate. With it they lie between −12 and 12.
        q, k = rotate(norm(q), cos, sin).type_as(v), rotate(norm(k), cos, sin).type_as(v)  # [B, T, H, width]
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=12 / self.width, enable_gqa=self.grouped)
        return F.linear(y.transpose(1, 2).flatten(-2), self.out.weight)


class FeedForward(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        hidden = config.d_ff or 4 * config.d_model
        self.up = matrix(config.d_model, hidden)
        self.down = matrix(hidden, config.d_model, zero=True)

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

    def forward(self, x: Tensor) -> Tensor:
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
        self.uneven = len(self.experts) * (load * chance.mean(0)).sum()
        return out.view_as(x)


class Block(nn.Module):
    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention = Attention(config)
        self.feed_forward = Experts(config) if config.num_experts else FeedForward(config)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.dropout(self.attention(norm(x), cos, sin))
        y: Tensor = self.dropout(self.feed_forward(norm(x)))
        return x + y


class GPT(nn.Module):
    def __init__(self, config: Config, vocab_size: int, longest: int, precision: torch.dtype) -> None:
        super().__init__()
        self.config = config
        self.precision = precision  # of the matrix products; weights and their sums stay in float32
        width = -(-vocab_size // 64) * 64  # GPUs like whole tiles; what is too many is never a target and soon unlikely
        self.embed = nn.Embedding(width, config.d_model)
        if config.max_ngram > 1:
            self.ngrams = nn.Parameter(torch.zeros((config.max_ngram - 1) * config.ngram_rows, config.d_model))
        self.sparse = True  # gradients of the n-grams; not where ranks add them up
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))
        self.head = matrix(config.d_model, width, zero=True)  # zero: training starts at the uniform guess, loss = ln V
        self.register_buffer("turns", rotary(config.d_model // config.n_heads, longest), persistent=False)
        self.run_block: Callable[..., Tensor] = Block.forward  # setup may put compiled ones here, which
        self.run_loss: Callable[..., Tensor] = GPT.head_loss  # serve training: they are for its one shape

    def mixed(self) -> torch.autocast:
        return torch.autocast(self.embed.weight.device.type, self.precision, enabled=self.precision != torch.float32)

    def look_up(self, tokens: Tensor) -> Tensor:
        """tokens [B, T] → x [B, T, D]. The last 2, 3, … tokens together are hashed into rows of tables: phrases, learnt
        at the cost of a look-up. Two that share a row disturb each other little: the blocks see which it must be."""
        x: Tensor = self.embed(tokens)
        key, rows, count = tokens, list[Tensor](), self.config.ngram_rows
        for n in range(1, self.config.max_ngram):
            earlier = F.pad(tokens, (n, 0))[:, : tokens.size(1)]  # the token n places back, 0 before the row's first
            key = (key * 1_000_003 + earlier + 1) & 0x7FFF_FFFF
            rows.append((key ^ key >> 15) % count + (n - 1) * count)
        if rows:  # all lengths in one look-up, whose gradient holds the rows that were seen and no others
            together = torch.stack(rows, -1).flatten(0, 1)
            x = x + F.embedding_bag(together, self.ngrams, mode="sum", sparse=self.sparse).view_as(x)
        return x

    def features(self, tokens: Tensor, run_block: Callable[..., Tensor] = Block.forward) -> Tensor:
        """tokens [B, T] → the last block's output [B, T, D]."""
        cos, sin = self.get_buffer("turns")[:, : tokens.size(1)]
        x = norm(self.look_up(tokens))
        for block in self.blocks:
            x = run_block(block, x, cos, sin)
        return x

    def logits(self, x: Tensor) -> Tensor:
        cap = self.config.softcap  # keeps the model from betting everything on one token early in training
        return cap * torch.tanh(self.head(norm(x)).float() / cap)

    def head_loss(self, x: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(self.logits(x), targets)

    def loss(self, tokens: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """tokens and targets [B, T] → what to minimise, and the cross-entropy in it, nats a token."""
        with self.mixed():
            count, x = self.config.loss_pieces, self.features(tokens, self.run_block).flatten(0, 1)
            # Of several pieces the logits, which take most of the memory, are computed again in the backward pass.
            run_loss = (
                self.run_loss if count == 1 else functools.partial(checkpoint, self.run_loss, use_reentrant=False)
            )
            pieces = zip(x.chunk(count), targets.flatten().chunk(count), strict=True)
            loss = torch.stack([run_loss(self, *piece) for piece in pieces]).mean()
        uneven = sum(module.uneven for module in self.modules() if isinstance(module, Experts))
        return loss + self.config.balance_weight * uneven, loss.detach()


# ------------------------------------------------------------------------------------------- ranks, and the optimiser
def add_up(run: Run, tensors: Iterable[Any]) -> None:
    """Replaces every tensor by its sum over the ranks."""
    if run.world_size > 1:
        for work in [distributed.all_reduce(tensor, async_op=True) for tensor in tensors]:
            work.wait()


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
    """Momentum whose step is made orthogonal for every matrix: all directions learn at the same pace. Matrices of one
    shape are stacked: a handful of batched products instead of hundreds. Each rank works on its share of a stack."""

    def __init__(self, matrices: Iterable[nn.Parameter], run: Run, precision: torch.dtype) -> None:
        by_shape: dict[torch.Size, list[nn.Parameter]] = {}
        for weight in matrices:
            by_shape.setdefault(weight.shape, []).append(weight)
        super().__init__([{"params": same} for same in by_shape.values()], {"full_lr": run.config.muon_lr})
        self.run, self.precision = run, precision

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        momentum, decay = self.run.config.momentum, self.run.config.weight_decay
        mine = slice(self.run.rank, None, self.run.world_size)
        for group in self.param_groups:
            same = group["params"]
            update = torch.stack([weight.grad for weight in same])
            average = group["average"] = group.get("average", torch.zeros_like(update[mine]))
            average.lerp_(update[mine], 1 - momentum)
            # Nesterov: look ahead along the average. Tall matrices step further, to change their output as much.
            update.zero_()[mine] = orthogonalise(update[mine].lerp(average, momentum), self.precision)
            add_up(self.run, [update])  # zeros and the others' shares: twice an all-gather's traffic, half its code
            rows, columns = same[0].shape
            torch._foreach_mul_(same, 1 - group["lr"] * decay)
            torch._foreach_add_(same, list(update.unbind()), alpha=-group["lr"] * max(1, rows / columns) ** 0.5)


class SeenRows(torch.optim.Optimizer):
    """RMSprop with one scale a row, for the rows of a table that were seen: the size of the table costs no time."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        group = self.param_groups[0]
        (table,) = group["params"]
        seen = (table.grad if table.grad.is_sparse else table.grad.to_sparse(1)).coalesce()
        rows, slope = seen.indices()[0], seen.values()
        square = group["square"] = group.get("square", torch.zeros_like(table[:, :1]))
        square[rows] = now = square[rows].lerp(slope.square().mean(-1, keepdim=True), 0.05)
        table.index_add_(0, rows, slope / (now.sqrt() + 1e-10), alpha=-group["lr"])


class Learner:
    """Muon for the matrices of the blocks; AdamW for the embeddings and the head, whose rows learn one by one. A scaler
    keeps small gradients from vanishing in float16."""

    def __init__(self, run: Run, model: GPT) -> None:
        self.run, self.model, config = run, model, run.config
        rates = {model.embed.weight: config.embed_lr, model.head.weight: config.head_lr}
        groups = [{"params": [weight], "full_lr": rate} for weight, rate in rates.items()]
        adam = torch.optim.AdamW(groups, betas=(config.adam_momentum, 0.95), eps=1e-10, weight_decay=0.0, fused=True)
        self.optimizers = [adam, Muon(model.blocks.parameters(), run, model.precision)]
        if config.max_ngram > 1:
            model.sparse = run.world_size == 1
            self.optimizers.append(SeenRows([model.ngrams], {"full_lr": config.ngram_lr}))
        self.scaler = torch.amp.GradScaler(run.device.split(":")[0], enabled=model.precision == torch.float16)

    def step(self, data: Iterator[tuple[Tensor, Tensor]], rate: float) -> Tensor:
        """One step of all ranks, at a share of the full rates. Returns their mean loss, nats a token."""
        parts = self.run.config.accumulation * self.run.world_size
        total = torch.zeros((), device=self.run.device)
        for tokens, targets in itertools.islice(data, self.run.config.accumulation):
            loss, nats = self.model.loss(tokens, targets)
            torch.autograd.backward(self.scaler.scale(loss / parts))
            total += nats / parts
        add_up(self.run, [total, *(parameter.grad for parameter in self.model.parameters())])
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group["full_lr"]
            self.scaler.step(optimizer)
            optimizer.zero_grad(set_to_none=True)
        self.scaler.update()
        return total


# ---------------------------------------------------------------------------------------------- the data and the clock
def batches(run: Run) -> Iterator[tuple[Tensor, Tensor]]:
    """Tokens and their next tokens, int64 [B, T]: windows, none again before all have been seen. All ranks have the
    same order, and each takes its own part of every batch."""
    config, shards = run.config, run.train_tokens().shards
    rng = np.random.default_rng(run.seed)
    together = config.batch_size * run.world_size
    while True:
        offset = 0 if config.in_order else int(rng.integers(config.context))  # every epoch cuts the text elsewhere
        ends = np.cumsum([max(0, len(shard) - offset - 1) // config.context for shard in shards])
        order = np.arange(ends[-1]) if config.in_order else rng.permutation(ends[-1])
        order = np.resize(order, max(len(order), together))  # a very short text repeats within its one batch
        for first in range(0, len(order) - together + 1, together):
            mine = order[first + run.rank * config.batch_size :][: config.batch_size]
            which = np.searchsorted(ends, mine, side="right")
            starts = offset + config.context * (mine - np.append(0, ends)[which])
            rows = [shards[i][start : start + config.context + 1] for i, start in zip(which, starts, strict=True)]
            window = torch.from_numpy(np.stack(rows).astype(np.int64)).to(run.device, non_blocking=True)
            yield window[:, :-1], window[:, 1:]


class Pace:
    """How far training has come, and whether there is time for another step."""

    def __init__(self, run: Run) -> None:
        self.run, config = run, run.config
        self.end: float = 0.99 - 0.2 / run.track.limit_s  # share of the limit to use; the rest is for a noisy machine
        self.step = self.tokens = 0  # done
        self.step_tokens = config.batch_size * config.context * config.accumulation * run.world_size
        self.now = self.clock()
        self.took: deque[float] = deque(maxlen=10)  # by the latest steps, shares of the limit

    def clock(self) -> float:
        """Share of the limit that has passed for rank 0: all choose the same rates and stop after the same step."""
        now = torch.tensor(0.0 if self.run.rank else self.run.progress(), dtype=torch.float64)
        add_up(self.run, [now])
        return float(now)

    def rate(self) -> float:
        """What part of the full learning rates to use now: all of them, then down to zero at the end."""
        done = max(self.now / self.end, self.tokens / (self.run.config.tokens or math.inf))
        return max(0.0, min(1.0, (1 - done) / self.run.config.cooldown))

    def time_for_another(self) -> bool:
        """Call after each step. On a GPU one may still be running, so there must be room for two of the slowest."""
        self.step, self.tokens = self.step + 1, self.tokens + self.step_tokens
        before, self.now = self.now, self.clock()
        self.took.append(self.now - before)
        return self.tokens < (self.run.config.tokens or math.inf) and self.now + 2 * max(self.took) < self.end


def precision_for(device: str) -> torch.dtype:
    """What it multiplies fastest: bfloat16 since Ampere (capability 8.0), float16 since Volta (a T4 is 7.5)."""
    capability = torch.cuda.get_device_capability(device) if device.startswith("cuda") else (0, 0)
    return torch.bfloat16 if capability >= (8, 0) else torch.float16 if capability >= (7, 0) else torch.float32


# ------------------------------------------------------------------------------- the functions that the platform calls
def setup(run: Run) -> GPT:
    """Build and warm up. Untimed, so everything that needs no training data belongs here."""
    config = run.config
    context = min(config.eval_context, run.max_context)
    run.evaluate_with(context=context, stride=min(config.eval_stride, context))
    if run.device.startswith("cuda"):
        torch.cuda.set_device(run.device)
    if run.world_size > 1:  # the environment says where the others are; tensors meet by NCCL on GPUs, by gloo elsewhere
        distributed.init_process_group()
    torch.manual_seed(run.seed)  # the same on all ranks, so all begin with the same weights
    model = GPT(config, run.vocab_size, max(config.context, run.max_context), precision_for(run.device)).to(run.device)
    if run.phase == "train":
        if config.compile_s and not config.num_experts:  # experts get other shapes at every step
            compile_parts(run, model)
        # A step on noise at a rate of 0: nothing is learned, and nothing is imported, compiled or tuned on the clock.
        Learner(run, model).step(itertools.repeat(noise(run)), rate=0.0)
    return model


def noise(run: Run) -> tuple[Tensor, Tensor]:
    tokens = run.dummy_tokens(run.config.batch_size, run.config.context + 1)
    return tokens[:, :-1], tokens[:, 1:]


def compile_parts(run: Run, model: GPT) -> None:
    """Fuses what lies between the matrix products; one compiled block serves all layers. With no compiler, or a slow
    one, we go on without: the ranks do not meet in here."""
    model.run_block = torch.compile(Block.forward, dynamic=False)
    model.run_loss = torch.compile(GPT.head_loss, dynamic=False)
    signal.signal(signal.SIGALRM, signal.default_int_handler)  # KeyboardInterrupt: no `except Exception` swallows it
    signal.alarm(run.config.compile_s)
    try:
        torch.autograd.backward(model.loss(*noise(run))[0])
    except (Exception, KeyboardInterrupt) as error:
        warnings.warn(f"training without torch.compile ({type(error).__name__})", stacklevel=2)
        model.run_block, model.run_loss = Block.forward, GPT.head_loss
    signal.alarm(0)


def train(run: Run, model: GPT) -> GPT:
    """The clock runs."""
    learner, data, pace, loss = Learner(run, model), batches(run), Pace(run), None
    while loss is None or pace.time_for_another():
        previous, loss = loss, learner.step(data, pace.rate())
        if previous is not None:
            # Reading a loss waits for its step. Reading the one before keeps a GPU busy and our clock honest to a step.
            run.log(step=pace.step, tokens=pace.tokens, loss=previous.item())
    run.log(step=pace.step, tokens=pace.tokens, loss=loss.item())
    return model


def predict(model: GPT, tokens: Tensor) -> Tensor:
    """tokens int64 [B, T] → logits [B, T, V]; those at t come from tokens up to t alone."""
    with model.mixed():
        return model.logits(model.features(tokens))


if __name__ == "__main__":
    # `python speedrun.py --track cpu-1min` is `speedrun run <this folder> --track cpu-1min`. The installed command is
    # started and not imported: in this folder, `import speedrun` would find this very file.
    search = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    command = shutil.which("speedrun", path=search) or sys.exit("not installed: `pip install -e .` in the repository")
    os.execv(command, [command, "run", str(Path(__file__).resolve().parent), *sys.argv[1:]])
