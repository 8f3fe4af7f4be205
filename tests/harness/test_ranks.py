"""Several ranks: the supervisor with stand-ins for the ranks, then real training over gloo in a real sandbox."""

import json
import os
import select
import socket
import sys
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import harness
from harness import ranks
from harness.protocol import (
    Closed,
    Connection,
    Done,
    Failed,
    File,
    Go,
    Hello,
    Job,
    Locked,
    Log,
    LogProbs,
    Ready,
    Save,
    Saved,
    Tokens,
    TrackView,
    decode_from_worker,
)
from harness.sandbox import RANKS_LEVELS, Exit, Limits, Mounts, Sandbox, choose, stage

MIB = 2**20
PATIENCE_S = 60

# A rank that acts out its script, a line of words an action, without torch: its own is overrides["<rank>"].
STANDIN = f"""
import os, socket, sys, time
from pathlib import Path
sys.path.insert(0, {str(Path(harness.__file__).parent.parent)!r})
from harness.protocol import *

parent = Connection(socket.socket(fileno=int(sys.argv[1])))
job = decode_to_worker(parent.header()[0]).job
here = Path(job.scratch)
(here / f"pid{{job.rank}}").write_text(str(os.getpid()))
for line in job.overrides[str(job.rank)].splitlines():
    word, _, rest = line.strip().partition(" ")
    match word:
        case "ready": parent.send(Ready(parameters=job.rank, context=1, stride=1, rows=1))
        case "done": parent.send(Done())
        case "log": parent.send(Log(step=int(rest)))
        case "fail": parent.send(Failed(kind="crash", message=rest)); sys.exit(1)
        case "config": parent.send(Failed(kind="config", message=rest)); sys.exit(1)
        case "raw": parent.forward(rest.encode(), 0, parent)
        case "hear": parent.exactly(parent.header()[1])
        case "echo": parent.send(LogProbs(), bytes(parent.exactly(parent.header()[1])))
        case "touch": (here / rest).touch()
        case "await":
            while not (here / rest).exists(): time.sleep(0.001)
        case "exit": os._exit(int(rest))
        case "kill": os.kill(os.getpid(), int(rest))
        case "child":
            if os.fork() == 0: time.sleep(1000)
try:
    while True: parent.exactly(parent.header()[1])
except Closed:
    pass
"""
GLOO = "RuntimeError: [/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:537] Read error: Connection reset by peer"


def job(**changes) -> Job:
    values = {
        "phase": "train",
        "submission": "/nowhere",
        "scratch": "/nowhere",
        "track": TrackView(id="tiny", objective="lowest-loss", limit_s=60.0),
        "seed": 1,
        "device": "cpu",
        "world_size": 2,
        "threads": 1,
        "vocab_size": 16,
        "max_context": 64,
    }
    return Job(**(values | changes))


class Cast:
    """A supervisor and its stand-ins; this is the parent."""

    def __init__(self, folder: Path, scripts: tuple[str, ...]) -> None:
        self.folder = folder
        (folder / "rank.py").write_text(STANDIN)
        ours, theirs = socket.socketpair()
        self.parent = Connection(ours)
        overrides = {str(number): script for number, script in enumerate(scripts)}
        work = job(world_size=len(scripts), scratch=str(folder), overrides=overrides)

        def run() -> None:
            self.code = ranks.supervise(work, Connection(theirs), str(folder / "rank.py"))
            theirs.close()

        self.thread = threading.Thread(target=run)
        self.thread.start()

    def hear(self):
        header, size = self.parent.header()
        self.parent.exactly(size)
        return decode_from_worker(header)

    def pidfds(self) -> list[int]:
        return [os.pidfd_open(int(path.read_text())) for path in sorted(self.folder.glob("pid*"))]

    def end(self) -> int:
        self.thread.join(PATIENCE_S)
        return self.code


@pytest.fixture
def play(tmp_path: Path):
    """`play("ready\\ndone", "ready\\ndone")`: one script a rank."""
    casts = []

    def begin(*scripts: str) -> Cast:
        casts.append(Cast(tmp_path, scripts))
        return casts[-1]

    yield begin
    for cast in casts:
        cast.parent.close()
        cast.thread.join(PATIENCE_S)


def dead(pidfd: int) -> bool:
    ended = bool(select.select([pidfd], [], [], PATIENCE_S)[0])
    os.close(pidfd)
    return ended


class TestSupervisor:
    def test_ready_and_done_wait_for_every_rank(self, play) -> None:
        cast = play("ready\nlog 1\nhear\ndone\nlog 2", "await a\nready\nhear\nawait b\ndone")
        assert cast.hear() == Log(step=1)  # rank 0 has been ready for long
        (cast.folder / "a").touch()
        assert cast.hear() == Ready(parameters=0, context=1, stride=1, rows=1)
        cast.parent.send(Go(shards=()))
        assert cast.hear() == Log(step=2)  # rank 0 is done
        first, second = cast.pidfds()
        (cast.folder / "b").touch()
        assert cast.hear() == Done()
        assert dead(second)
        assert not select.select([first], [], [], 0)[0]
        os.close(first)
        cast.parent.close()
        assert cast.end() == 0

    def test_what_goes_to_the_first_rank_and_comes_from_it_passes_through(self, play) -> None:
        cast = play("ready\necho", "ready")
        assert isinstance(cast.hear(), Ready)
        payload = bytes(range(256)) * 20_000
        sender = threading.Thread(target=cast.parent.send, args=(Tokens(rows=1, width=1, keep=1), payload))
        sender.start()
        header, size = cast.parent.header()
        assert decode_from_worker(header) == LogProbs()
        assert bytes(cast.parent.exactly(size)) == payload
        sender.join()

    @pytest.mark.parametrize(
        ("scripts", "message"),
        [
            (("ready", "ready\nfail ValueError: no"), "rank 1: ValueError: no"),
            (("fail ValueError: no", "ready"), "rank 0: ValueError: no"),
            (("ready", "exit 3"), "rank 1: its process ended without a word (exit code 3)"),
            (("ready", "exit 0"), "rank 1: its process ended without a word (exit code 0)"),
            (("ready", "ready", "kill 9"), "rank 2: its process ended without a word (killed by SIGKILL)"),
            (("ready", "kill 40"), "rank 1: its process ended without a word (killed by signal 40)"),
            (("ready", "child\nexit 4"), "rank 1: its process ended without a word (exit code 4)"),
            (("ready", "child\nfail late words"), "rank 1: late words"),
            (("ready", "log 1"), "rank 1: it spoke out of turn to the harness"),
            (("ready", "raw {}"), "rank 1: it spoke out of turn to the harness"),
            (("ready", "config no field"), "no field"),
        ],
    )
    def test_the_first_failure_ends_all_and_is_told(self, play, scripts, message) -> None:
        cast = play(*scripts)
        said = cast.hear()
        while isinstance(said, Ready):
            said = cast.hear()
        assert isinstance(said, Failed)
        assert said.message == message
        assert cast.end() == 1
        with pytest.raises(Closed):
            cast.hear()

    def test_an_echo_gives_way_to_its_cause(self, play) -> None:
        """A rank that loses its peer may be heard first: what it says would help nobody."""
        cast = play(f"touch heard\nfail {GLOO}", f"await heard\nfail {GLOO}", "await cause\nkill 11")
        while not (cast.folder / "heard").exists():
            pass
        (cast.folder / "cause").touch()
        assert cast.hear().message == "rank 2: its process ended without a word (killed by SIGSEGV)"
        assert cast.end() == 1

    def test_an_echo_without_a_cause_is_told_after_all(self, play, monkeypatch) -> None:
        monkeypatch.setattr(ranks, "ECHO_PATIENCE_S", 0.1)
        cast = play("ready", f"fail {GLOO}")
        assert cast.hear().message == f"rank 1: {GLOO}"
        assert cast.end() == 1

    def test_what_the_first_rank_forges_is_the_parents_to_judge(self, play) -> None:
        cast = play("ready\nraw nonsense", "ready")
        heard = [cast.parent.header()[0] for _ in range(2)]
        assert b"nonsense" in heard

    def test_all_ranks_end_when_the_parent_hangs_up(self, play) -> None:
        cast = play("ready", "ready", "ready")
        assert isinstance(cast.hear(), Ready)
        everybody = cast.pidfds()
        cast.parent.close()
        assert cast.end() == 0
        assert len(everybody) == 3
        assert all(dead(each) for each in everybody)

    def test_a_rank_that_cannot_be_started_is_named(self, tmp_path, monkeypatch) -> None:
        monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
        ours, theirs = socket.socketpair()
        with ours, theirs:
            assert ranks.supervise(job(), Connection(theirs), "rank.py") == 1
            failed = decode_from_worker(Connection(ours).header()[0])
        assert failed.message == "rank 0: it can't be started: No such file or directory"


def test_every_rank_gets_its_number_and_its_card() -> None:
    assert ranks.job_of(job(device="cuda:0"), 3) == job(device="cuda:3", rank=3)
    assert ranks.job_of(job(), 1) == job(rank=1)
    assert ranks.environment(3, 8, 2900) == {
        "RANK": "3",
        "LOCAL_RANK": "3",
        "WORLD_SIZE": "8",
        "LOCAL_WORLD_SIZE": "8",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": "2900",
    }


# ------------------------------------------------------------------------------------------------ real training

CONFIG = """
from dataclasses import dataclass

@dataclass(frozen=True)
class Config:
    fault: str = ""

def get_config(track_id):
    return Config()
"""
ENTRY = """
import json, os, signal
import torch
import torch.distributed as dist
from pathlib import Path

ROWS, WIDTH = 8, 32

class Bigram(torch.nn.Module):
    def __init__(self, vocab):
        super().__init__()
        self.table = torch.nn.Parameter(torch.randn(vocab, vocab))

def sockets():
    folder = Path("/proc/self/fd")
    return sum(link.is_socket() for link in folder.iterdir())

def reach_for_the_supervisor():
    "Its memory, its files and its variables, which only its own children could read."
    for name in ("mem", "fd/0", "environ"):
        try:
            open(f"/proc/{os.getppid()}/{name}", "rb").close()
        except PermissionError:
            continue
        yield name

def setup(run):
    Path(run.scratch, f"rank{run.rank}with{sockets()}").touch()
    if run.world_size > 1:
        assert not list(reach_for_the_supervisor())
    if run.world_size > 1:
        dist.init_process_group("gloo")
        numbers = torch.tensor([run.rank + 1.0])
        dist.all_reduce(numbers)
        assert numbers.item() == 3.0
    return Bigram(run.vocab_size)

def train(run, model):
    if run.rank == 1:
        match run.config.fault:
            case "raise":
                print("about to fail")
                raise RuntimeError("the flux is wrong")
            case "exit": os._exit(3)
            case "kill": os.kill(os.getpid(), signal.SIGKILL)
    tokens = torch.from_numpy(run.train_tokens().shards[0].astype("int64")).reshape(-1, ROWS, WIDTH + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    share = ROWS // run.world_size
    for step, batch in enumerate(tokens):
        mine = batch[run.rank * share : (run.rank + 1) * share]
        logits = model.table[mine[:, :-1]]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), mine[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        if run.world_size > 1:
            dist.all_reduce(model.table.grad)
            model.table.grad /= run.world_size
        optimizer.step()
        run.log(step=step + 1, loss=loss)
    Path(run.scratch, f"returned{run.rank}").touch()
    return model

def predict(model, tokens):
    return model.table[tokens]

def save(model, folder):
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR", "GLOO_SOCKET_IFNAME")
    facts = {name: os.environ.get(name) for name in names}
    facts["returned"] = sorted(path.name for path in Path(folder).parent.glob("returned*"))
    facts["began"] = sorted(path.name for path in Path(folder).parent.glob("rank*"))
    facts["threads"] = torch.get_num_threads()
    facts["table"] = model.table.tolist()
    Path(folder, "facts.json").write_text(json.dumps(facts))

def load(run, model, folder):
    return model
"""
RAISING_LINE = ENTRY[: ENTRY.index("raise RuntimeError")].count("\n") + 1


class Heard(NamedTuple):
    messages: list
    facts: dict
    exit: Exit
    printed: str


@pytest.fixture
def train(tmp_path: Path):
    """`train(world_size=2, fault="raise")`: one training in the strongest sandbox; what the parent hears."""

    def run(world_size: int, fault: str = "") -> Heard:
        level = choose(None)
        if level not in RANKS_LEVELS:
            pytest.skip(f"level {level}, the strongest here, has no network of its own")
        top = tmp_path / f"{world_size}{fault}"
        for name in ("entry", "run", "data"):
            (top / name).mkdir(parents=True)
        (top / "entry" / "config.py").write_text(CONFIG)
        (top / "entry" / "speedrun.py").write_text(ENTRY)
        stage(top / "boot")
        tokens = np.random.default_rng(1).integers(0, 16, 40 * 8 * 33).astype("<u2")
        (top / "data" / "train.bin").write_bytes(bytes(1024) + tokens.tobytes())
        limits = Limits(
            memory_bytes=3072 * MIB,
            processes=128,
            scratch_bytes=64 * MIB,
            shm_bytes=64 * MIB,
            open_files=1024,
            threads=world_size,
            output_bytes=1 * MIB,
            ranks=world_size,
        )
        mounts = Mounts(top / "boot", top / "entry", top / "run", top / "data")
        with Sandbox(level, mounts, limits) as sandbox:
            sandbox.start()
            sandbox.socket.settimeout(PATIENCE_S)
            inside = sandbox.inside
            work = job(
                submission=inside.submission,
                scratch=inside.scratch,
                data=inside.data,
                world_size=world_size,
                overrides={"fault": fault},
            )
            heard = _converse(Connection(sandbox.socket), Hello(policy=sandbox.policy, job=work))
            sandbox.kill()
            assert sandbox.exit is not None
            return Heard(*heard, sandbox.exit, sandbox.output.tail)

    return run


def _converse(parent: Connection, hello: Hello) -> tuple[list, dict]:
    """Everything that is said until the artifact is whole or the worker hangs up."""
    answers = {Ready: Go(shards=("train.bin",)), Done: Save()}
    messages, facts = [], {}
    parent.send(hello)
    try:
        while not messages or not isinstance(messages[-1], Saved):
            header, size = parent.header()
            payload = parent.exactly(size)
            messages.append(decode_from_worker(header))
            if isinstance(messages[-1], File):
                facts = json.loads(payload)
            elif type(messages[-1]) in answers:
                parent.send(answers[type(messages[-1])])
    except Closed:
        pass
    return messages, facts


@pytest.mark.sandbox
def test_two_ranks_train_as_one(train) -> None:
    alone, together = train(1), train(2)
    kinds = [type(message) for message in together.messages if not isinstance(message, Log)]
    assert kinds == [Locked, Ready, Done, File, Saved]
    facts = together.facts
    assert {name: facts[name] for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR")} == {
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "2",
        "LOCAL_WORLD_SIZE": "2",
        "MASTER_ADDR": "127.0.0.1",
    }
    assert facts["threads"] == 1
    assert facts["began"] == ["rank0with1", "rank1with1"]  # a socket each, and it isn't the parent's
    assert facts["returned"] == ["returned0", "returned1"]  # DONE came when both were, not before
    steps = [message.step for message in together.messages if isinstance(message, Log)]
    assert steps == sorted(set(steps))  # of rank 0 alone
    assert steps[-1] == 40
    before, after = np.array(alone.facts["table"]), np.array(facts["table"])
    assert np.abs(before).max() > 0.5
    np.testing.assert_allclose(after, before, atol=1e-4)


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raise", f"rank 1: RuntimeError: the flux is wrong (speedrun.py, line {RAISING_LINE})"),
        ("exit", "rank 1: its process ended without a word (exit code 3)"),
        ("kill", "rank 1: its process ended without a word (killed by SIGKILL)"),
    ],
)
def test_a_rank_that_dies_while_the_other_waits_for_it_ends_the_run(train, fault, message) -> None:
    heard = train(2, fault)
    failed = heard.messages[-1]
    assert isinstance(failed, Failed)
    assert failed.kind == "crash"
    assert failed.message == message
    assert ("the flux is wrong" in failed.traceback) == (fault == "raise")
    assert ("about to fail" in heard.printed) == (fault == "raise")
    assert heard.exit.code == 1
