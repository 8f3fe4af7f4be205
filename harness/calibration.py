"""How fast the machine is, measured before and after a run by a program of ours (harness/yardstick.py).

On a quiet machine two medians of the same work differ by 2 to 3 %, of a copy now and then by 7 %; a neighbour on the
same core, a lowered clock or a hot card costs far more. So SLOWER is a tenth.
"""

import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from harness.accelerators import Accelerator
from harness.result import Calibration

SLOWER = 0.10  # the loss of speed that counts
CPU_PATIENCE_S = 15.0
CARDS_PATIENCE_S = 60.0  # to import torch and start the driver
CARD_PATIENCE_S = 10.0  # more for each card
YARDSTICK = Path(__file__).with_name("yardstick.py")


def calibrate(
    accelerators: Sequence[Accelerator], threads: int, yardstick: Path = YARDSTICK
) -> tuple[Calibration, ...]:
    """Speed of the processor ("cpu") and of each accelerator ("cuda:<place in the sequence>").

    What fails or is late is left out. Takes half a second or so, with accelerators torch's start besides.

    Args:
        accelerators: those granted to the run.
        threads: of the processor, on the same cores that a run with so many threads gets; fewer where there are fewer.
        yardstick: the program that measures.
    """
    uuids = [accelerator.uuid for accelerator in accelerators]
    cards = len(uuids) if all(uuids) else 0  # without their names it would be anybody's card
    patience_s = CPU_PATIENCE_S + (CARDS_PATIENCE_S + CARD_PATIENCE_S * cards if cards else 0.0)
    if hasattr(os, "sched_getaffinity"):
        threads = min(threads, len(os.sched_getaffinity(0)))
    width = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    environment = {**os.environ, **width, "CUDA_VISIBLE_DEVICES": ",".join(uuids[:cards])}
    command = [sys.executable, "-I", str(yardstick), str(threads), str(cards)]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=patience_s,
            start_new_session=True,  # Ctrl-C reaches it through us alone
            check=False,
        )
        said = done.stdout
    except subprocess.TimeoutExpired as late:
        said = late.stdout or b""  # what was measured until then
    except OSError:
        return ()
    return tuple(told for line in said.splitlines() if (told := _parse(line)) is not None)


def slowed(before: Sequence[Calibration], after: Sequence[Calibration]) -> bool:
    """Whether anything measured before was more than SLOWER below that afterwards.

    A device that could not be measured afterwards counts as slowed: not being done in time is how a very slow one
    looks. One that could not be measured before has nothing to be compared with, and the record shows that.
    """
    later = {calibration.device: calibration for calibration in after}
    return not all(_as_fast(then, later.get(then.device)) for then in before)


def _as_fast(then: Calibration, now: Calibration | None) -> bool:
    least = 1 - SLOWER
    return (
        now is not None and now.matmul_tflops >= least * then.matmul_tflops and now.copy_gbps >= least * then.copy_gbps
    )


def _parse(line: bytes) -> Calibration | None:
    try:
        told = msgspec.json.decode(line, type=Calibration)
    except msgspec.DecodeError:
        return None
    return told if all(0 < speed < math.inf for speed in (told.matmul_tflops, told.copy_gbps)) else None
