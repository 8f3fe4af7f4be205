"""The template is what a contestant starts from: it must be right, causal, quick to read and never late."""

import ast
import dataclasses
import importlib.util
import os
import signal
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template"
VOCAB = 50
TINY = {
    "d_model": 32,
    "n_layers": 2,
    "n_heads": 4,
    "n_kv_heads": 4,
    "d_ff": 64,
    "ngram_rows": 64,
    "context": 32,
    "eval_context": 32,
    "eval_stride": 16,
    "batch_size": 8,
    "accumulation": 1,
    "compile_s": 0,
}
GROUPED_EXPERTS = {"n_kv_heads": 2, "num_experts": 4, "top_k": 2}


def _load(name):
    spec = importlib.util.spec_from_file_location(name, TEMPLATE / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Matrices this small gain nothing from a second thread, and lose much where other tests hold the processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def entry():
    """template/speedrun.py and its config, loaded as the worker loads them, beside the package `speedrun`."""
    before = sys.modules.get("config")
    sys.modules["config"] = config = _load("config")
    try:
        module = _load("speedrun")
    finally:
        if before is None:
            del sys.modules["config"]
        else:
            sys.modules["config"] = before
    module.config_module = config
    return module


class ReplayedRun:
    """What the worker hands over, with a clock that goes on by the next of `steps_s` whenever it is read."""

    def __init__(self, config, *, shards=(), limit_s=60.0, steps_s=None, phase="train", max_context=64, seed=5):
        self.phase, self.config, self.seed, self.device = phase, config, seed, "cpu"
        self.rank, self.world_size, self.threads = 0, 1, 1
        self.vocab_size, self.max_context = VOCAB, max_context
        self.track = types.SimpleNamespace(id="t", objective="lowest-loss", limit_s=limit_s, target_nats=None)
        self.logged = []
        self.windows = None
        self._shards = tuple(shards)
        self._steps_s = iter(steps_s or [])
        self.now_s = 0.0

    def elapsed(self):
        self.now_s += next(self._steps_s)
        return self.now_s

    def progress(self):
        return min(1.0, self.elapsed() / self.track.limit_s)

    def dummy_tokens(self, rows, length):
        return torch.randint(0, self.vocab_size, (rows, length))

    def train_tokens(self):
        return types.SimpleNamespace(shards=self._shards)

    def log(self, **point):
        self.logged.append(point)

    def evaluate_with(self, **windows):
        self.windows = windows


def tiny(entry, **changes):
    return dataclasses.replace(entry.Config(), **{**TINY, **changes})


def trained_looking(entry, config):
    """A model whose every weight matters: the zeros that training starts from would hide a leak."""
    model = entry.setup(ReplayedRun(config, phase="score"))
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model.eval()


def tokens_of(rows, width, seed=0):
    return torch.randint(0, VOCAB, (rows, width), generator=torch.Generator().manual_seed(seed))


def counting_text(tokens=4000):
    return (np.arange(tokens) * 7 % 11).astype(np.uint16)


VARIANTS = pytest.mark.parametrize(
    "changes", [{}, {"max_ngram": 4}, {"max_ngram": 1}, GROUPED_EXPERTS], ids=["dense", "4-grams", "no n-grams", "moe"]
)


@VARIANTS
def test_predict_gives_logits_of_every_position(entry, changes):
    model = trained_looking(entry, tiny(entry, **changes))
    logits = entry.predict(model, tokens_of(3, 17))
    assert logits.shape[:2] == (3, 17)
    assert logits.shape[2] >= VOCAB
    assert logits.dtype == torch.float32
    assert torch.isfinite(logits).all()


@VARIANTS
def test_later_tokens_change_nothing_before_them(entry, changes):
    model = trained_looking(entry, tiny(entry, **changes))
    tokens = tokens_of(2, 24)
    with torch.no_grad():
        honest = entry.predict(model, tokens)
        for cut in (1, 2, 12, 23):
            other = tokens.clone()
            other[:, cut:] = (other[:, cut:] + 1 + tokens_of(2, 24 - cut, seed=cut) % (VOCAB - 1)) % VOCAB
            changed = entry.predict(model, other)
            torch.testing.assert_close(changed[:, :cut], honest[:, :cut], rtol=0, atol=2e-5)
            assert (changed[:, cut] - honest[:, cut]).abs().max() > 1e-3  # and the token itself does change something


@VARIANTS
def test_rows_do_not_see_each_other(entry, changes):
    model = trained_looking(entry, tiny(entry, **changes))
    tokens = tokens_of(4, 20)
    with torch.no_grad():
        together = entry.predict(model, tokens)
        alone = torch.cat([entry.predict(model, row[None]) for row in tokens])
    torch.testing.assert_close(together, alone, rtol=0, atol=2e-5)


def test_positions_beyond_the_training_window_can_be_scored(entry):
    config = tiny(entry)
    model = trained_looking(entry, config)
    assert entry.predict(model, tokens_of(1, 64)).shape[1] == 64 > config.context


def test_grouped_queries_are_full_attention_with_shared_keys_and_values(entry):
    grouped = entry.Attention(tiny(entry, n_kv_heads=2))
    full = entry.Attention(tiny(entry))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        grouped.out.weight.normal_(generator=generator)
        full.query.weight.copy_(grouped.query.weight)
        full.out.weight.copy_(grouped.out.weight)
        for name in ("key", "value"):
            heads = getattr(grouped, name).weight.view(2, 8, 32)
            getattr(full, name).weight.copy_(heads.repeat_interleave(2, dim=0).reshape(32, 32))
        x = torch.randn(2, 9, 32, generator=generator)
        cos, sin = entry.rotary(8, 9)
        torch.testing.assert_close(grouped(x, cos, sin), full(x, cos, sin))


def test_rotation_depends_on_the_distance_alone(entry):
    cos, sin = entry.rotary(8, 20)
    generator = torch.Generator().manual_seed(3)
    q, k = torch.randn(2, 1, 1, 1, 8, generator=generator)

    def score(at, other):
        turned = [entry.rotate(x, cos[i : i + 1], sin[i : i + 1]) for x, i in ((q, at), (k, other))]
        return (turned[0] * turned[1]).sum()

    torch.testing.assert_close(score(7, 3), score(15, 11))
    assert (score(7, 3) - score(7, 4)).abs() > 1e-4


def test_each_token_goes_to_its_own_best_experts(entry):
    config = tiny(entry, num_experts=4, top_k=1)
    experts = entry.Experts(config)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in experts.parameters():
            parameter.normal_(generator=generator).mul_(0.3)
        x = torch.randn(2, 5, 32, generator=generator)
        out = experts(x)
        best = experts.router(x).argmax(-1)
        for row in range(2):
            for t in range(5):
                wanted = experts.experts[int(best[row, t])](x[row, t])
                torch.testing.assert_close(out[row, t], wanted, rtol=1e-4, atol=1e-5)
    assert experts.uneven > 1.0


def test_evenly_loaded_experts_count_as_one(entry):
    experts = entry.Experts(tiny(entry, num_experts=4, top_k=2))
    with torch.no_grad():
        experts.router.weight.zero_()  # every expert equally likely
        experts(torch.randn(2, 5, 32))
    assert float(experts.uneven) == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 24), (2, 24, 8)])
def test_newton_schulz_keeps_the_directions_and_evens_the_lengths(entry, shape):
    generator = torch.Generator().manual_seed(6)
    count, rows, columns = shape
    least = min(rows, columns)
    u = torch.linalg.qr(torch.randn(count, rows, least, generator=generator)).Q
    v = torch.linalg.qr(torch.randn(count, columns, least, generator=generator)).Q
    lengths = torch.logspace(-1, 1, least)
    inside = u.mT @ entry.orthogonalise(u * lengths @ v.mT) @ v
    kept = inside.diagonal(dim1=-2, dim2=-1)
    assert ((kept > 0.5) & (kept < 1.3)).all()
    torch.testing.assert_close(inside, torch.diag_embed(kept), rtol=0, atol=1e-4)
    assert (entry.orthogonalise(torch.zeros(shape)) == 0).all()


def test_muon_steps_every_matrix_of_a_shape_as_if_it_were_alone(entry):
    run = ReplayedRun(tiny(entry, weight_decay=0.1))
    generator = torch.Generator().manual_seed(7)
    first = [torch.randn(6, 4, generator=generator), torch.randn(6, 4, generator=generator), torch.randn(4, 6)]
    gradients = [torch.randn(m.shape, generator=generator) for m in first]

    def stepped(matrices, gradients):
        weights = [torch.nn.Parameter(m.clone()) for m in matrices]
        optimizer = entry.Muon(weights, run, torch.float32)
        for _ in range(2):
            for group in optimizer.param_groups:
                group["lr"] = 0.02
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad = gradient.clone()
            optimizer.step()
        return [weight.detach() for weight in weights]

    together = stepped(first, gradients)
    for i, matrix in enumerate(together):
        torch.testing.assert_close(matrix, stepped([first[i]], [gradients[i]])[0])
        assert not torch.equal(matrix, first[i])


def test_rows_that_were_not_seen_stay_and_the_others_step_as_rmsprop_does(entry):
    torch.manual_seed(0)
    table = torch.nn.Parameter(torch.randn(12, 4))
    before, square = table.detach().clone(), torch.zeros(12, 1)
    optimizer = entry.SeenRows([table], {"full_lr": 0.5, "lr": 0.5})
    for rows in ([[1, 3], [3, 7]], [[3, 0], [1, 1]]):
        bags = torch.tensor(rows)
        out = torch.nn.functional.embedding_bag(bags, table, mode="sum", sparse=True)
        weights = torch.randn(2, 4)
        (out * weights).sum().backward()
        slope = torch.zeros(12, 4)
        for bag, weight in zip(bags, weights, strict=True):
            for row in bag:
                slope[row] += weight
        seen = slope.abs().sum(1) > 0
        square[seen] = (0.95 * square + 0.05 * slope.square().mean(1, keepdim=True))[seen]
        before[seen] -= (0.5 * slope / square.sqrt())[seen]
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        torch.testing.assert_close(table.detach(), before)


@pytest.mark.parametrize("max_ngram", [1, 3])
def test_a_dense_gradient_of_the_tables_is_the_sparse_one(entry, max_ngram):
    """What several ranks add up, and what one alone learns from, are the same."""
    after = []
    for sparse in (True, False):
        run = ReplayedRun(tiny(entry, max_ngram=max_ngram), shards=[counting_text()])
        torch.manual_seed(0)
        model = entry.GPT(run.config, run.vocab_size, 32, torch.float32)
        torch.nn.init.normal_(model.head.weight)
        learner = entry.Learner(run, model)
        model.sparse = sparse
        learner.step(entry.batches(run), 1.0)
        after.append(torch.cat([parameter.detach().flatten() for parameter in model.parameters()]))
    torch.testing.assert_close(*after)


def test_training_learns_and_ends_before_the_limit(entry):
    config = tiny(entry, max_ngram=2, muon_lr=0.02, embed_lr=0.05, head_lr=0.01)
    run = ReplayedRun(config, shards=[counting_text()], limit_s=60.0, steps_s=[0.0] + [1.0] * 100)
    model = entry.train(run, entry.setup(run).train())
    assert run.windows == {"context": 32, "stride": 16}
    losses = [point["loss"] for point in run.logged]
    assert losses[0] == pytest.approx(np.log(64), abs=1e-4)  # the uniform guess over a vocabulary of whole tiles
    assert losses[-1] < 0.5
    assert 56 <= run.now_s < 60
    assert run.logged[-1]["tokens"] == run.logged[-1]["step"] * 8 * 32
    stream = torch.from_numpy(counting_text(64).astype(np.int64))[None]
    with torch.no_grad():
        logits = entry.predict(model.eval(), stream[:, :32])
    assert torch.nn.functional.cross_entropy(logits[0, 4:], stream[0, 5:33]) < 0.5


def test_experts_train_too(entry):
    config = tiny(entry, **GROUPED_EXPERTS, accumulation=2, muon_lr=0.02, embed_lr=0.05, head_lr=0.01)
    run = ReplayedRun(config, shards=[counting_text()], limit_s=20.0, steps_s=[0.0] + [1.0] * 100)
    entry.train(run, entry.setup(run))
    assert run.logged[-1]["loss"] < run.logged[0]["loss"] / 2
    assert run.now_s < 20


def test_a_machine_that_becomes_slow_ends_training_earlier(entry):
    run = ReplayedRun(tiny(entry), limit_s=60.0, steps_s=[0.0] + [1.0] * 50 + [4.0] * 50)
    pace = entry.Pace(run)
    while pace.time_for_another():
        pass
    assert 50 < run.now_s <= 60 - 4


def test_tokens_end_training_before_the_time_does(entry):
    config = tiny(entry, tokens=10_000, accumulation=2)  # 512 a step
    run = ReplayedRun(config, shards=[counting_text()], limit_s=60.0, steps_s=[0.0] + [0.01] * 100)
    entry.train(run, entry.setup(run))
    assert [point["step"] for point in run.logged] == list(range(1, 21))
    assert run.logged[-1]["tokens"] == 20 * 512 >= 10_000 > 19 * 512


def test_the_time_ends_training_before_the_tokens_do(entry):
    run = ReplayedRun(tiny(entry, tokens=10**9), limit_s=60.0, steps_s=[0.0] + [1.0] * 100)
    pace = entry.Pace(run)
    while pace.time_for_another():
        pass
    assert 56 <= run.now_s < 60


def test_learning_rates_follow_the_tokens_where_they_come_first(entry):
    run = ReplayedRun(tiny(entry, tokens=256 * 100, cooldown=0.5), limit_s=60.0, steps_s=[0.0] + [0.001] * 200)
    pace = entry.Pace(run)
    rates = [pace.rate()]
    while pace.time_for_another():
        rates.append(pace.rate())
    assert len(rates) == 100
    assert rates[:51] == [1.0] * 51
    assert rates[75] == pytest.approx(0.5)
    assert rates[99] == pytest.approx(0.02)


def test_learning_rates_start_full_and_end_at_nothing(entry):
    run = ReplayedRun(tiny(entry, cooldown=0.5), limit_s=100.0, steps_s=[0.0] + [1.0] * 100)
    pace = entry.Pace(run)
    rates = [pace.rate()]
    while pace.time_for_another():
        rates.append(pace.rate())
    assert rates[:40] == [1.0] * 40
    assert rates == sorted(rates, reverse=True)
    assert rates[75] == pytest.approx(0.5, abs=0.05)
    assert 0 <= rates[-1] < 0.06


def test_an_epoch_shows_every_window_once_and_targets_are_the_next_tokens(entry):
    config = tiny(entry, context=8, batch_size=4)
    shards = [np.arange(0, 100, dtype=np.uint16), np.arange(1000, 1200, dtype=np.uint16)]
    windows = (100 - 8 - 1) // 8 + (200 - 8 - 1) // 8  # whatever the offset, at least so many
    data = entry.batches(ReplayedRun(config, shards=shards))
    starts = []
    for _ in range(windows // 4):
        tokens, targets = next(data)
        assert tokens.shape == targets.shape == (4, 8)
        assert tokens.dtype == torch.int64
        assert torch.equal(targets, tokens + 1)
        starts += tokens[:, 0].tolist()
    assert len(set(starts)) == len(starts)
    assert min(starts) < 100 <= 1000 <= max(starts)


def test_in_order_the_text_is_read_from_its_beginning(entry):
    config = tiny(entry, context=8, batch_size=4, in_order=True)
    shards = [np.arange(0, 100, dtype=np.uint16), np.arange(1000, 1200, dtype=np.uint16)]
    data = entry.batches(ReplayedRun(config, shards=shards))
    read = torch.cat([next(data)[0] for _ in range(9)])
    assert read[:12].flatten().tolist() == list(range(96))
    assert read[12:].flatten().tolist() == list(range(1000, 1192))
    assert next(data)[0][0].tolist() == list(range(8))  # and then once more


def test_every_rank_has_its_own_part_of_the_same_batches(entry):
    shards = [np.arange(0, 1000, dtype=np.uint16), np.arange(5000, 6100, dtype=np.uint16)]
    alone = ReplayedRun(tiny(entry, context=8, batch_size=6), shards=shards)
    ranks = [ReplayedRun(tiny(entry, context=8, batch_size=2), shards=shards) for _ in range(3)]
    for number, run in enumerate(ranks):
        run.rank, run.world_size = number, 3
    whole, parts = entry.batches(alone), [entry.batches(run) for run in ranks]
    for _ in range(60):  # more than an epoch
        tokens, targets = next(whole)
        shared = [next(part) for part in parts]
        assert torch.equal(torch.cat([part[0] for part in shared]), tokens)
        assert torch.equal(torch.cat([part[1] for part in shared]), targets)


def test_a_text_shorter_than_one_batch_repeats(entry):
    run = ReplayedRun(tiny(entry, context=8, batch_size=16), shards=[np.arange(40, dtype=np.uint16)])
    tokens, _ = next(entry.batches(run))
    assert tokens.shape == (16, 8)


@VARIANTS
def test_the_saved_state_loads_into_a_fresh_setup(entry, changes, tmp_path):
    config = tiny(entry, **changes)
    model = trained_looking(entry, config)
    torch.save(model.state_dict(), tmp_path / "state.pt")
    fresh = entry.setup(ReplayedRun(config, phase="score", seed=99))
    fresh.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    tokens = tokens_of(2, 10)
    assert torch.equal(entry.predict(model, tokens), entry.predict(fresh.eval(), tokens))


def test_compiled_parts_change_neither_the_state_nor_what_is_predicted(entry, monkeypatch):
    calls = []

    def compiled(function, **options):
        def call(*arguments):
            calls.append(function.__name__)
            return function(*arguments)

        return call

    monkeypatch.setattr(torch, "compile", compiled)
    plain, fast = (entry.setup(ReplayedRun(tiny(entry, compile_s=wanted))) for wanted in (0, 60))
    assert set(calls) == {"forward", "head_loss"}
    assert plain.state_dict().keys() == fast.state_dict().keys()
    tokens = tokens_of(2, 8)
    assert torch.equal(entry.predict(plain, tokens), entry.predict(fast, tokens))


def _no_compiler(*arguments):
    raise RuntimeError("no compiler")


def _slow_compiler(*arguments):
    assert signal.alarm(0) > 0  # the alarm was set
    signal.raise_signal(signal.SIGALRM)


@pytest.mark.parametrize(
    ("compiler", "named"), [(_no_compiler, "RuntimeError"), (_slow_compiler, "KeyboardInterrupt")], ids=["none", "slow"]
)
def test_without_a_quick_compiler_setup_goes_on(entry, monkeypatch, compiler, named):
    monkeypatch.setattr(torch, "compile", lambda function, **options: compiler)
    run = ReplayedRun(tiny(entry, compile_s=60), shards=[counting_text()], limit_s=9.0, steps_s=[0.0] + [1.0] * 9)
    with pytest.warns(UserWarning, match=named):
        model = entry.setup(run)
    assert signal.alarm(0) == 0  # and no alarm is left to go off in training
    entry.train(run, model)
    assert run.logged


@pytest.mark.parametrize(
    ("device", "capability", "wanted"),
    [
        ("cpu", None, torch.float32),
        ("cuda:0", (6, 1), torch.float32),
        ("cuda:0", (7, 0), torch.float16),
        ("cuda:0", (7, 5), torch.float16),  # T4
        ("cuda:0", (8, 0), torch.bfloat16),
        ("cuda:1", (8, 9), torch.bfloat16),  # 4090
        ("cuda:0", (9, 0), torch.bfloat16),  # H100
    ],
)
def test_precision_follows_the_device(entry, monkeypatch, device, capability, wanted):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda asked: {device: capability}[asked])
    assert entry.precision_for(device) is wanted


@pytest.mark.parametrize("precision", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
def test_training_in_low_precision_learns(entry, monkeypatch, precision):
    """The path of a GPU, on the processor. In float16 the scaler starts too high and skips steps until it fits."""
    monkeypatch.setattr(entry, "precision_for", lambda device: precision)
    config = tiny(entry, muon_lr=0.02, embed_lr=0.05, head_lr=0.01)
    run = ReplayedRun(config, shards=[counting_text()], limit_s=30.0, steps_s=[0.0] + [1.0] * 100)
    model = entry.train(run, entry.setup(run))
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert run.logged[-1]["loss"] < 0.5


def test_steps_whose_gradients_overflow_are_skipped(entry):
    config = tiny(entry)
    run = ReplayedRun(config, shards=[counting_text()])
    torch.manual_seed(0)
    learner = entry.Learner(run, entry.GPT(config, VOCAB, 64, torch.float16))
    learner.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120, growth_interval=10**6)
    before = [parameter.detach().clone() for parameter in learner.model.parameters()]
    data = entry.batches(run)
    learner.step(data, rate=1.0)
    assert all(map(torch.equal, before, learner.model.parameters()))
    assert learner.scaler.get_scale() == 2.0**119


def test_a_loss_in_pieces_is_the_same_loss(entry):
    tokens, targets = tokens_of(8, 32), tokens_of(8, 32, seed=1)
    gradients = []
    for pieces in (1, 4):
        model = trained_looking(entry, tiny(entry, loss_pieces=pieces))
        loss, nats = model.loss(tokens, targets)
        loss.backward()
        gradients.append([loss.detach(), nats, *(parameter.grad for parameter in model.parameters())])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_dropout_is_for_training_alone(entry):
    model = trained_looking(entry, tiny(entry, dropout=0.5))
    tokens = tokens_of(2, 16)
    with torch.no_grad():
        assert torch.equal(entry.predict(model, tokens), entry.predict(model, tokens))
        assert not torch.equal(entry.predict(model.train(), tokens), entry.predict(model, tokens))


def test_low_precision_trains(entry):
    """The path of a GPU, on the processor: bfloat16 products around float32 weights."""
    config = tiny(entry, **GROUPED_EXPERTS)
    torch.manual_seed(0)
    model = entry.GPT(config, VOCAB, 64, torch.bfloat16)
    loss, nats = model.loss(tokens_of(2, 16), tokens_of(2, 16, seed=1))
    loss.backward()
    assert nats.dtype == torch.float32
    assert all(parameter.grad.dtype == torch.float32 for parameter in model.parameters())
    assert entry.predict(model, tokens_of(2, 16)).dtype == torch.float32


def test_the_template_reads_in_one_sitting():
    assert len((TEMPLATE / "speedrun.py").read_text().splitlines()) <= 420


def test_the_template_imports_nothing_but_the_library_numpy_torch_and_its_config():
    allowed = {*sys.stdlib_module_names, "numpy", "torch", "config"}
    for path in TEMPLATE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert {alias.name.split(".")[0] for alias in node.names} <= allowed
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0
                assert node.module.split(".")[0] in allowed


@pytest.mark.parametrize("name", ["config.py", "speedrun.py"])
def test_the_baseline_is_the_template(name):
    baseline = ROOT / "speedrun" / "submissions" / "baseline"
    assert (baseline / name).read_bytes() == (TEMPLATE / name).read_bytes()


def _run_as_script(tmp_path, *arguments):
    """`python speedrun.py …` with an interpreter of our own, so that we choose which commands lie beside it."""
    (tmp_path / "python").symlink_to(sys.executable)
    environment = {
        "PATH": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if "site-packages" in path),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    return subprocess.run(
        [tmp_path / "python", TEMPLATE / "speedrun.py", *arguments],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_running_the_file_hands_over_to_the_command(tmp_path):
    command = tmp_path / "speedrun"
    command.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    command.chmod(0o755)
    done = _run_as_script(tmp_path, "--track", "cpu-smoke", "--d-model", "64")
    assert done.stdout.splitlines() == ["run", str(TEMPLATE), "--track", "cpu-smoke", "--d-model", "64"]
    assert done.returncode == 0


def test_from_any_folder_the_file_hands_over_to_the_installed_command(tmp_path):
    entry = ROOT / "speedrun" / "submissions" / "baseline" / "speedrun.py"
    done = subprocess.run(
        [sys.executable, "-B", entry, "--track", "no-such-track"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 2
    assert "no-such-track" in done.stderr
    assert "cpu-smoke" in done.stderr  # the tracks that there are
    assert "Traceback" not in done.stderr


def test_running_the_file_without_the_platform_says_what_to_do(tmp_path):
    done = _run_as_script(tmp_path)
    assert done.returncode == 1
    assert "pip install -e ." in done.stderr
    assert "Traceback" not in done.stderr
