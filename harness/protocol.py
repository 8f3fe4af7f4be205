"""What the parent and the worker say to each other: frames, message types, caps. No pickle, no code.

A frame is a 12-byte prefix (big-endian: header length, payload length), a JSON header, and raw little-endian arrays
whose total size the receiver knows beforehand or bounds. The parent never believes a length: a header over
`HEADER_CAP` or a payload over what was asked for ends the conversation.

This file travels into the sandbox, so it imports msgspec and the standard library only.
"""

import re
import socket
import struct
import time
from collections.abc import Callable
from functools import partial
from typing import Annotated, Literal, TypeVar

import msgspec

PROTOCOL_VERSION = 1
HEADER_CAP = 256 * 1024  # bytes
PREFIX = struct.Struct(">IQ")
CHUNK = 1 << 20  # bytes read or written at a time


Moved = TypeVar("Moved", int, bytes)


class ProtocolError(Exception):
    """The other side broke the protocol: a foreign message, a wrong size, a header that is no JSON."""


class Closed(Exception):  # noqa: N818 - an ending, not an error
    """The other side closed its end."""


class Expired(Exception):  # noqa: N818 - an ending, not an error
    """The deadline passed before a whole frame arrived."""


class Message(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """Base of every message."""


# ---------------------------------------------------------------------------------------------- parent → worker


class Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the worker locks itself into before it imports the submission. Default deny: empty means nothing."""

    landlock: bool = False
    read: tuple[str, ...] = ()  # trees that may be read and executed
    write: tuple[str, ...] = ()  # trees that may be written
    devices: tuple[str, ...] = ()  # device nodes that may be opened, written and controlled
    seccomp: bool = False
    metadata: bool = False  # modes, owners, times and attributes of files may be changed
    loopback: bool = False  # TCP sockets may be opened; what they reach is the network namespace's affair
    rlimits: dict[str, int] = {}  # resource name without RLIMIT_, e.g. {"NOFILE": 1024}
    parent_pid: int | None = None  # a process that may not be signalled
    die_with_parent: bool = False
    drop_capabilities: bool = False


class TrackView(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a submission may know of its track (`run.track`)."""

    id: str
    objective: str
    limit_s: float
    target_nats: float | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One sandbox's work. Paths are as the worker sees them."""

    phase: Literal["train", "score"]
    submission: str
    scratch: str
    data: str | None = None  # train only: empty until GO
    artifact: str | None = None  # score only
    track: TrackView
    overrides: dict[str, str] = {}  # field of Config → text, converted to the field's type
    seed: int
    device: str  # "cpu", "cuda:0"; of rank i: "cuda:i"
    rank: int = 0
    world_size: int = 1  # processes that train together, in one sandbox
    threads: int  # a rank's
    vocab_size: int
    max_context: int
    separator: int | None = None  # token that starts every document; None: the data set has none
    row_tokens: int | None = None  # a document starts at every so many tokens of a shard; None: rows mean nothing


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    """First word: lock down as told, then set the entry up."""

    version: int = PROTOCOL_VERSION
    policy: Policy
    job: Job


class Join(Message, frozen=True, kw_only=True, tag="join"):
    """First word of a supervisor (harness/ranks.py) to one of its ranks, which is locked down from birth."""

    job: Job


class Go(Message, frozen=True, kw_only=True, tag="go"):
    """The clock runs; the training shards are in the data folder."""

    shards: tuple[str, ...]  # file names in official order


class Tokens(Message, frozen=True, kw_only=True, tag="tokens"):
    """Rows to be scored. Payload: uint16 [rows, width + 1]; answered by LogProbs of the last `keep` targets a row."""

    rows: int
    width: int
    keep: int
    greedy: bool = False  # asked besides: whether each target is the likeliest token at its place


class Cut(Message, frozen=True, kw_only=True, tag="cut"):
    """Rows for the twin. Payload: uint16 [rows, width + 1], then int32 [rows]: the position t whose next token's
    distribution is wanted. Answered by Distribution."""

    rows: int
    width: int


class Save(Message, frozen=True, kw_only=True, tag="save"):
    """Save the trained model and send its files. Answered by File … File, Saved."""


# ---------------------------------------------------------------------------------------------- worker → parent

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]  # what every reader of JSON can hold exactly


class Locked(Message, frozen=True, kw_only=True, tag="locked"):
    """The lock-down holds; nothing of the submission has been imported yet."""

    landlock_abi: int
    seccomp: bool


class Ready(Message, frozen=True, kw_only=True, tag="ready"):
    """Set-up is done. How the entry wants to be scored is fixed by this message of the training sandbox."""

    parameters: Count | None  # None: not a torch module
    context: Count  # tokens a window
    stride: Count  # tokens from one window to the next
    rows: Count  # most rows that one predict call gets


class Log(Message, frozen=True, kw_only=True, tag="log"):
    """Something the entry says about its training."""

    step: Count | None = None
    tokens: Count | None = None
    loss: float | None = None
    metrics: dict[str, float] = {}


class Done(Message, frozen=True, kw_only=True, tag="done"):
    """Training is over: the parent's clock stops when this arrives."""


class LogProbs(Message, frozen=True, kw_only=True, tag="logprobs"):
    """Payload: float32 [rows, keep], natural log-probability of every wanted target; then, where that was asked,
    uint8 [rows, keep]: 1 where greedy decoding would say the target, else 0."""


class Distribution(Message, frozen=True, kw_only=True, tag="distribution"):
    """Payload: float32 [rows, vocab], logits at each row's cut, which the parent normalises; then float32 [rows], the
    log-probability that the worker itself gives the row's token after the cut, as for Tokens."""


class File(Message, frozen=True, kw_only=True, tag="file"):
    """One file of the artifact. Payload: its bytes."""

    name: str


class Saved(Message, frozen=True, kw_only=True, tag="saved"):
    """The artifact is complete."""

    files: Count


class Failed(Message, frozen=True, kw_only=True, tag="failed"):
    """The entry ended with an error. `kind` is the worker's guess; the parent decides."""

    kind: Literal["config", "missing", "syntax", "crash", "memory", "output"]
    message: str
    traceback: str = ""


ToWorker = Hello | Join | Go | Tokens | Cut | Save
FromWorker = Locked | Ready | Log | Done | LogProbs | Distribution | File | Saved | Failed

_to_worker: msgspec.json.Decoder[ToWorker] = msgspec.json.Decoder(ToWorker)
_from_worker: msgspec.json.Decoder[FromWorker] = msgspec.json.Decoder(FromWorker)


def decode_from_worker(header: bytes) -> FromWorker:
    """Raises ProtocolError on anything but one of the worker's messages."""
    try:
        return _from_worker.decode(header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ProtocolError(f"not a message of the protocol: {printable(str(error), 200)}") from None


def decode_to_worker(header: bytes) -> ToWorker:
    """The parent's word; raises msgspec.DecodeError."""
    return _to_worker.decode(header)


_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f]"  # of shorthand, of music, and tags
)


def printable(text: str, limit: int) -> str:
    """`text` without control, bidi and zero-width characters, at most `limit` characters (newline and tab stay)."""
    clean = _CONTROL.sub("", text)
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


class Connection:
    """One end of the socket.

    Deadlines are on `now`, a monotonic clock in seconds. `watch` is called before every step, and `idle` about every
    `SLICE_S` while nothing moves, so that the parent can look at the sandbox; what they raise ends the wait.
    """

    SLICE_S = 0.1

    def __init__(
        self,
        sock: socket.socket,
        now: Callable[[], float] = time.monotonic,
        watch: Callable[[], None] | None = None,
        idle: Callable[[], None] | None = None,
    ) -> None:
        self._socket = sock
        self._now = now
        self._watch = watch
        self._idle = idle

    def send(self, message: Message, *arrays: bytes | memoryview, deadline: float | None = None) -> None:
        """One frame; arrays are sent as they are, one after the other. Raises Closed or Expired."""
        header = msgspec.json.encode(message)
        views = [memoryview(array).cast("B") for array in arrays if len(array)]
        prefix = PREFIX.pack(len(header), sum(view.nbytes for view in views))
        for view in (memoryview(prefix + header), *views):
            self._write(view, deadline)

    def forward(self, header: bytes, payload_bytes: int, source: "Connection") -> None:
        """A frame as it came from `source`, whose payload is still to be read there. Raises Closed."""
        self._write(memoryview(PREFIX.pack(len(header), payload_bytes) + header), None)
        left = payload_bytes
        while left:
            piece = source.some(left)
            self._write(memoryview(piece), None)
            left -= len(piece)

    def header(self, deadline: float | None = None) -> tuple[bytes, int]:
        """The next frame's JSON header and the payload's length, which the caller checks before it reads on."""
        header_bytes, payload_bytes = PREFIX.unpack(self.exactly(PREFIX.size, deadline))
        if header_bytes > HEADER_CAP:
            raise ProtocolError(f"a header of {header_bytes} bytes (at most {HEADER_CAP})")
        return bytes(self.exactly(header_bytes, deadline)), payload_bytes

    def exactly(self, size: int, deadline: float | None = None) -> bytearray:
        """`size` bytes; the caller bounds `size`, memory grows only as bytes arrive."""
        out = bytearray()
        while len(out) < size:
            out += self.some(size - len(out), deadline)
        return out

    def some(self, size: int, deadline: float | None = None) -> bytes:
        """At least one byte and at most `size`. Raises Closed or Expired."""
        piece: bytes = self._move(partial(self._socket.recv, min(CHUNK, size)), deadline)
        if not piece:
            raise Closed("the other side closed the connection")
        return piece

    def fileno(self) -> int:
        """For select."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def _write(self, view: memoryview, deadline: float | None) -> None:
        sent = 0
        while sent < view.nbytes:
            sent += self._move(partial(self._socket.send, view[sent : sent + CHUNK]), deadline)

    def _move(self, action: Callable[[], Moved], deadline: float | None) -> Moved:
        while True:
            if self._watch:
                self._watch()
            left = self.SLICE_S if deadline is None else deadline - self._now()
            if left <= 0:
                raise Expired
            self._socket.settimeout(min(left, self.SLICE_S) if self._idle or deadline is not None else None)
            try:
                return action()
            except TimeoutError:
                if self._idle:
                    self._idle()
            except OSError as error:
                raise Closed(str(error)) from None
