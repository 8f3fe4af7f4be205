"""What the engine runs on a node. Imported there from the code that the driver sent; nothing here imports the engine.

Runs are made by a process of their own (speedrun.cluster.node): the engine's workers have threads and signals of
theirs, and a run that is killed must leave nothing behind. It makes one run after another, as a command does on a
machine without a cluster: starting Python and trying the sandbox would cost each of them a second. It dies with the
engine's worker, which ends with the driver.
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
from speedrun.cluster.orders import Answer, Failed, Lost, Made, Mistaken, Refused, Said

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 10.0  # with the end of a process that says nothing any more
TAIL_LINES = 5  # of what the process printed, for the message when it dies

Tell = Callable[[bytes], None]

_waiting: "list[_Maker]" = []  # for another run: the latest process that has answered


def carry_out(order: bytes, tell: Tell) -> bytes:
    """Makes one run. order: an encoded `Order`. Returns an encoded answer; `tell` gets what is said before."""
    waited = bool(_waiting)
    maker = _waiting.pop() if waited else _Maker()
    try:
        answer = maker.make(order, tell)
        if answer is None and waited and not maker.spoke:  # what waits may die at any moment, even as it is asked
            maker.end()
            maker = _Maker()
            answer = maker.make(order, tell)
        if answer is None:
            return orders.encode(maker.obituary())
        if _goes_on(orders.decode(answer)):
            _waiting.append(maker)
        return answer
    finally:
        if maker not in _waiting:
            maker.end()


class _Maker:
    """A process that makes runs. It must have been started by the thread that lives longest: it dies with that."""

    def __init__(self) -> None:
        self.spoke = False  # about its latest order
        self._environment = dict(os.environ)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "speedrun.cluster.node", str(os.getpid())],
            cwd=ROOT,
            env={**self._environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._orders, self._answers = self._process.stdin, self._process.stdout
        self._tell: Tell = _nobody
        self._tail: collections.deque[str] = collections.deque(maxlen=TAIL_LINES)
        self._listener = threading.Thread(target=self._listen, args=(self._process.stderr,), daemon=True)
        self._listener.start()

    def make(self, order: bytes, tell: Tell) -> bytes | None:
        """One run's encoded answer; None: the process has ended, says nothing any more, or has what is granted no more.

        Which cards and how many threads the engine grants stands in the environment.
        """
        self.spoke = False
        if self._environment != dict(os.environ):
            return None
        self._tell = tell
        self._tail.clear()
        try:
            with contextlib.suppress(BrokenPipeError):  # it died as it started, and its last words say why
                self._orders.write(order + b"\n")
                self._orders.flush()
            for line in self._answers:
                self.spoke = True
                said = line.rstrip(b"\n")
                if _is_answer(said):
                    return said
                tell(said)
            return None
        finally:
            self._tell = _nobody

    def obituary(self) -> Lost | Failed:
        """How it ended, which it has, or is about to."""
        try:
            code = self._process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return Failed(self._last_words("its process said nothing any more"))
        if code < 0:
            return Lost(self._last_words(f"its process was killed by signal {-code}"))
        return Failed(self._last_words(f"its process ended with {code}"))

    def _last_words(self, ended: str) -> str:
        self._listener.join(timeout=PATIENCE_S)
        return f"{ended}: {' / '.join(self._tail) or 'no word before that'}"

    def end(self) -> None:
        self._process.kill()
        self._process.wait()
        for stream in (self._orders, self._answers):
            with contextlib.suppress(BrokenPipeError):  # of an order that it did not take
                stream.close()

    def _listen(self, stream: IO[bytes]) -> None:
        with stream:
            for line in stream:
                words = line.decode(errors="replace").strip()[:500]
                if words:
                    self._tail.append(words)
                    with contextlib.suppress(Exception):  # words on the way are worth no run
                        self._tell(orders.encode(orders.Noted(words)))


def _nobody(said: bytes) -> None:
    """Between two runs nobody listens."""


def _goes_on(answer: Said) -> bool:
    """Whether the process that gave it can be trusted with another order."""
    return isinstance(answer, Refused | Mistaken) or (isinstance(answer, Made) and not answer.told_to_stop)


def _is_answer(said: bytes) -> bool:
    """What else a library may print there is none."""
    try:
        return isinstance(orders.decode(said), Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return False
