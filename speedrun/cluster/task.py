"""What the engine runs on a node. Imported there from the code that the driver sent; nothing here imports the engine.

A run has a process of its own (speedrun.cluster.node): the engine's workers have threads and signals of theirs, and a
run that is killed must leave nothing behind.
"""

import collections
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from speedrun.cluster import orders
from speedrun.cluster.orders import Failed, Made, Refused

ROOT = Path(__file__).resolve().parents[2]
TAIL_LINES = 5  # of what the process printed, for the message when it dies


def carry_out(order: bytes, tell: Callable[[bytes], None]) -> bytes:
    """Makes one run. order: an encoded `Order`. Returns an encoded answer; `tell` gets what is said before."""
    with subprocess.Popen(
        [sys.executable, "-m", "speedrun.cluster.node", str(os.getpid())],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
            listener = threading.Thread(target=_listen, args=(process.stderr, tail, tell), daemon=True)
            listener.start()
            with contextlib.suppress(BrokenPipeError):  # it died as it started, and its last words say why
                process.stdin.write(order + b"\n")
                process.stdin.close()
            for line in process.stdout:
                said = line.rstrip(b"\n")
                if _is_answer(said):
                    return said
                tell(said)
            listener.join(timeout=10)
            ended = process.wait()
            return orders.encode(Failed(f"its process ended with {ended}: {' / '.join(tail) or 'nothing was said'}"))
        finally:
            process.kill()


def _is_answer(said: bytes) -> bool:
    """What else a library may print there is none."""
    try:
        return isinstance(orders.decode(said), Made | Refused | Failed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False


def _listen(stream: IO[bytes], tail: "collections.deque[str]", tell: Callable[[bytes], None]) -> None:
    for line in stream:
        words = line.decode(errors="replace").strip()[:500]
        if words:
            tail.append(words)
            tell(orders.encode(orders.Noted(words)))
