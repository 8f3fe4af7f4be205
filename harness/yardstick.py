"""The program that measures a device with work that never changes. Ours, and nothing of an entry is near it.

    python -I yardstick.py THREADS [CARDS]

measures the processor with numpy, then as many CUDA devices as are visible and asked for with torch, and prints a JSON
object on a line of its own for each, at once (harness.result.Calibration). A device that fails is told on standard
error and the next one is measured.

The work: a square matrix product (float32 on the processor; on a card bfloat16, float16 where it is older) and a copy
between two blocks of memory that no cache holds. Each is repeated for a set time and the median counts: the fastest
would hide a neighbour, the mean would count one hiccup.
"""

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

CPU_SIZE = 512  # rows and columns: 0.27 GFLOP, a few milliseconds on two threads
CPU_COPY_BYTES = 64 << 20
CARD_SIZE = 4096
CARD_COPY_BYTES = 512 << 20
MATMUL_S = 0.2
COPY_S = 0.15
CARD_WARM_S = 0.2  # until its clocks have risen
REPEATS = 5  # at least
BFLOAT16_CAPABILITY = (8, 0)


def cpu(threads: int) -> None:
    """Measures on the cores that a run with so many threads gets."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import numpy as np

    random = np.random.default_rng(0)
    left, right = (random.standard_normal((CPU_SIZE, CPU_SIZE), dtype=np.float32) for _ in range(2))
    product = np.empty_like(left)
    matmul_s = _median_s(_stopwatch(lambda: np.matmul(left, right, out=product)), MATMUL_S)
    source = np.ones(CPU_COPY_BYTES, dtype=np.uint8)
    copied = np.zeros_like(source)
    copy_s = _median_s(_stopwatch(lambda: np.copyto(copied, source)), COPY_S)
    _tell("cpu", CPU_SIZE, matmul_s, CPU_COPY_BYTES, copy_s)


def card(index: int) -> None:
    """Measures a CUDA device by events on its own clock."""
    import torch

    device = torch.device("cuda", index)
    capable = torch.cuda.get_device_capability(device) >= BFLOAT16_CAPABILITY
    kind = torch.bfloat16 if capable else torch.float16
    began, ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]

    def timed(work: Callable[[], object]) -> Callable[[], float]:
        def seconds() -> float:
            began.record()
            work()
            ended.record()
            ended.synchronize()
            return float(began.elapsed_time(ended)) / 1000

        return seconds

    with torch.cuda.device(device):
        left, right = (torch.randn(CARD_SIZE, CARD_SIZE, device=device, dtype=kind) for _ in range(2))
        product = torch.empty_like(left)
        matmul = timed(lambda: torch.matmul(left, right, out=product))
        _median_s(matmul, CARD_WARM_S)
        matmul_s = _median_s(matmul, MATMUL_S)
        source = torch.ones(CARD_COPY_BYTES, dtype=torch.uint8, device=device)
        copied = torch.zeros_like(source)
        copy_s = _median_s(timed(lambda: copied.copy_(source)), COPY_S)
    _tell(f"cuda:{index}", CARD_SIZE, matmul_s, CARD_COPY_BYTES, copy_s)


def _stopwatch(work: Callable[[], object]) -> Callable[[], float]:
    def seconds() -> float:
        began_s = time.perf_counter()
        work()
        return time.perf_counter() - began_s

    return seconds


def _median_s(seconds: Callable[[], float], budget_s: float) -> float:
    """Median of the repetitions that fit, after one that does not count."""
    seconds()
    samples: list[float] = []
    end_s = time.perf_counter() + budget_s
    while len(samples) < REPEATS or time.perf_counter() < end_s:
        samples.append(seconds())
    return statistics.median(samples)


def _tell(device: str, size: int, matmul_s: float, copied_bytes: int, copy_s: float) -> None:
    told = {
        "device": device,
        "matmul_tflops": round(2 * size**3 / matmul_s / 1e12, 4),
        "copy_gbps": round(2 * copied_bytes / copy_s / 1e9, 3),  # read once, written once
    }
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def main(threads: int, cards: int) -> None:
    for measure in (partial(cpu, threads), *(partial(card, index) for index in range(cards))):
        try:
            measure()
        except Exception as error:
            sys.stderr.write(f"{type(error).__name__}: {error}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
