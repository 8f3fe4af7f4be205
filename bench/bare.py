"""The other half of a pair: `train` of an entry in a plain Python process, without any of the platform around it.

Reads a BareJob as JSON from stdin, prints what `train` took: wall and processor seconds. Everything that the platform
grants is granted here, too: the same interpreter, as many threads and cores, the same shards.
"""

import dataclasses
import importlib.util
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import numpy as np
import torch

SHARD_HEADER_BYTES = 1024


class BareJob(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the bare loop."""

    folder: str
    overrides: dict[str, int]
    shards: tuple[str, ...]
    threads: int
    vocab_size: int
    seed: int


class BareRun:
    """As much of `run` as the benchmark's entry uses, and as little behind it as can be."""

    phase = "train"

    def __init__(self, job: BareJob, config: object) -> None:
        self.config = config
        self.seed = job.seed
        self.vocab_size = job.vocab_size
        self.shards = tuple(np.memmap(shard, dtype="<u2", mode="r", offset=SHARD_HEADER_BYTES) for shard in job.shards)

    def evaluate_with(self, **_: int) -> None:
        pass

    def dummy_tokens(self, rows: int, length: int) -> torch.Tensor:
        return torch.randint(0, self.vocab_size, (rows, length))

    def train_tokens(self) -> "BareRun":
        return self

    def log(self, **_: float) -> None:
        pass


def module(name: str, folder: str) -> ModuleType:
    """The entry's module, found by its file: `speedrun` is also the name of the installed package."""
    spec = importlib.util.spec_from_file_location(name, Path(folder) / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules[name] = loaded
    spec.loader.exec_module(loaded)
    return loaded


def measure(job: BareJob) -> tuple[float, float]:
    """Wall and processor seconds from before `train` to after it."""
    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    config: Any = dataclasses.replace(module("config", job.folder).get_config(""), **job.overrides)
    entry = module("speedrun", job.folder)
    run = BareRun(job, config)
    model = entry.setup(run)
    with torch.no_grad():  # the start-line check asks as much before GO
        entry.predict(model.eval(), run.dummy_tokens(8, 256))
    began_s, processor_s = time.monotonic(), time.process_time()
    model.train()
    entry.train(run, model)
    return time.monotonic() - began_s, time.process_time() - processor_s


if __name__ == "__main__":
    print(*measure(msgspec.json.decode(sys.stdin.buffer.read(), type=BareJob)))
