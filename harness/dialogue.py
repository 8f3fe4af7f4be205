"""The parent's side of the talk with one worker: deadlines, limits, and what each way of going wrong is called.

Everything that ends a run on the contestant's account is raised as an `Ending`, a verdict with its reason.
"""

import signal
import time
from collections.abc import Callable
from typing import NoReturn, Protocol, TypeVar

from harness.clock import Clock
from harness.errors import UserError
from harness.protocol import (
    Closed,
    Connection,
    Expired,
    Failed,
    FromWorker,
    Message,
    ProtocolError,
    decode_from_worker,
    printable,
)
from harness.result import Verdict
from harness.sandbox import Breach, Exit

LOOK_INTERVAL_S = 0.4  # how often memory, scratch and output are looked at

Answer = TypeVar("Answer", bound=Message)

_FAILED = {
    "missing": Verdict.RULE_VIOLATION,
    "syntax": Verdict.CRASHED,
    "crash": Verdict.CRASHED,
    "memory": Verdict.OUT_OF_MEMORY,
    "output": Verdict.BAD_OUTPUT,
}
_BREACH = {"memory": Verdict.OUT_OF_MEMORY, "scratch": Verdict.OUTPUT_LIMIT, "output": Verdict.OUTPUT_LIMIT}


class Ending(Exception):  # noqa: N818 - an ending, not an error
    """The run is over, with this verdict, for this reason."""

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(reason)
        self.verdict = verdict
        self.reason = reason


class Watched(Protocol):
    """What a dialogue needs of a sandbox."""

    def breach(self) -> Breach | None: ...
    def kill(self) -> object: ...
    @property
    def exit(self) -> Exit | None: ...


class Dialogue:
    """One worker on the other end of a connection.

    `until` sets the deadline that every later word keeps to; passing it is `Ending(verdict, reason)`. While the parent
    waits, it looks at the sandbox's limits and calls `tick`.
    """

    def __init__(
        self, connection: Connection, sandbox: Watched, clock: Clock, tick: Callable[[], None] = lambda: None
    ) -> None:
        self.connection = connection
        self._sandbox = sandbox
        self._clock = clock
        self._tick = tick
        self._deadline: float | None = None
        self._late = Ending(Verdict.INTERNAL_ERROR, "no deadline was set")
        self._looked_s = clock.now()

    def until(self, deadline: float, verdict: Verdict, reason: str) -> None:
        """From here on, everything must be over at `deadline` (on the clock)."""
        self._deadline = deadline
        self._late = Ending(verdict, reason)

    def tell(self, message: Message, *arrays: bytes | memoryview) -> None:
        """Say something that is not answered, or not at once."""
        try:
            self.connection.send(message, *arrays, deadline=self._deadline)
        except Expired:
            raise self._late from None
        except Closed:
            self._farewell()

    def hear(self, *wanted: type[Answer]) -> tuple[Answer, int]:
        """The next message, one of the wanted types, and the size of its payload, which is still to be read."""
        try:
            header, size = self.connection.header(self._deadline)
            message = decode_from_worker(header)
        except Expired:
            raise self._late from None
        except Closed:
            self._farewell()
        except ProtocolError as error:
            raise Ending(Verdict.RULE_VIOLATION, f"the entry broke the harness's protocol: {error}") from None
        if isinstance(message, Failed):
            self._raise_breach()  # an entry that runs into a limit often trips over it, too
            raise self._failed(message)
        if not isinstance(message, wanted):
            names = " or ".join(kind.__name__ for kind in wanted)
            said = type(message).__name__
            raise Ending(Verdict.RULE_VIOLATION, f"the entry broke the harness's protocol: {said} where {names} is due")
        return message, size

    def payload(self, size: int) -> bytes:
        """The payload of the message just heard, whole."""
        pieces = bytearray()
        while len(pieces) < size:
            pieces += self.piece(size - len(pieces))
        return bytes(pieces)

    def piece(self, size: int) -> bytes:
        """At least one byte and at most `size` of the payload."""
        try:
            return self.connection.some(size, self._deadline)
        except Expired:
            raise self._late from None
        except Closed:
            self._farewell()

    def bare(self, *wanted: type[Answer]) -> Answer:
        """The next message, which must come without payload."""
        message, size = self.hear(*wanted)
        if size:
            raise Ending(
                Verdict.RULE_VIOLATION, f"the entry broke the harness's protocol: {size} bytes where none are due"
            )
        return message

    def ask(self, message: Message, *arrays: bytes | memoryview, answer: type[FromWorker], size: int) -> bytes:
        """One question, one answer with a payload of exactly `size` bytes (harness.evaluation.Exchange)."""
        self.tell(message, *arrays)
        _, got = self.hear(answer)
        if got != size:
            raise Ending(
                Verdict.RULE_VIOLATION, f"the entry broke the harness's protocol: {got} bytes where {size} are due"
            )
        return self.payload(size)

    def look(self) -> None:
        """Now and then: has the sandbox passed a limit?"""
        now = self._clock.now()
        if now - self._looked_s < LOOK_INTERVAL_S:
            return
        self._looked_s = now
        self._raise_breach()
        self._tick()

    def idle(self) -> None:
        """While nothing arrives: look, and notice a worker that is gone while its children hold its socket open."""
        self.look()
        if self._sandbox.exit is not None:
            self._farewell()

    def _raise_breach(self) -> None:
        breach = self._sandbox.breach()
        if breach is not None:
            raise Ending(_BREACH[breach.kind], breach.sentence) from None

    def _failed(self, message: Failed) -> Exception:
        reason = printable(message.message, 1000)
        if message.kind == "config":
            return UserError(reason)
        return Ending(_FAILED[message.kind], f"{reason}\n{printable(message.traceback, 8000)}".strip())

    def _farewell(self) -> NoReturn:
        """The worker is gone without a word: say how it died."""
        self._raise_breach()
        for _ in range(50):  # its own way of ending arrives a moment after its socket has closed
            if self._sandbox.exit is not None:
                break
            time.sleep(0.02)
        lives = self._sandbox.exit is None
        self._sandbox.kill()
        ended = self._sandbox.exit
        if ended is not None and ended.oom_killed:
            raise Ending(Verdict.OUT_OF_MEMORY, "the system stopped the entry at its memory limit") from None
        if lives and (ended is None or ended.signal == signal.SIGKILL):  # that was us
            raise Ending(Verdict.CRASHED, "the entry closed its connection to the harness") from None
        raise Ending(Verdict.CRASHED, f"the entry's process ended without a word ({how(ended)})") from None


def how(ended: Exit | None) -> str:
    """How a process ended, in words."""
    if ended is None:
        return "it is not known how"
    if ended.signal is not None:
        try:
            return f"killed by {signal.Signals(ended.signal).name}"
        except ValueError:
            return f"killed by signal {ended.signal}"
    return f"exit code {ended.code}"
