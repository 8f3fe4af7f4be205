"""Frames, and whole conversations, from a worker that says anything: no crash, no wait without end, no memory."""

import socket
import struct
import tracemalloc
from collections import Counter
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import strategies as st

from harness import artifact, gates, start_line, twin
from harness.curve import Curve
from harness.dialogue import Dialogue, Ending
from harness.errors import UserError
from harness.evaluation import BadOutput, Windows, score
from harness.protocol import (
    CHUNK,
    HEADER_CAP,
    PREFIX,
    Closed,
    Connection,
    Cut,
    Distribution,
    Done,
    Expired,
    Failed,
    File,
    Go,
    Join,
    Locked,
    Log,
    LogProbs,
    ProtocolError,
    Ready,
    Save,
    Saved,
    Tokens,
    decode_from_worker,
    decode_to_worker,
)
from harness.result import Verdict
from harness.sandbox import Exit
from harness.track import Gates
from tests.fuzzing import amounts, edits, fuzz, spoil_bytes, tapes

WORDS = (
    *(b"NaN", b"1e999", b"-1", b"9" * 400, b'"', b"{", b"[" * 3000, b"\xff\xfe", b'\\ud800"', b"null", b"\\u0000"),
    *(
        PREFIX.pack(HEADER_CAP, 0),
        PREFIX.pack(HEADER_CAP + 1, 0),
        PREFIX.pack(2, 1 << 40),
        PREFIX.pack(0, 0),
        b"\0" * 12,
    ),
    *(b'{"type":"done"}', b'"type":"saved",', b'{"type":"failed","kind":"crash","message":"\\u001b[2J"}'),
)


def frame(message, payload=b"", size=None):
    header = msgspec.json.encode(message)
    return PREFIX.pack(len(header), len(payload) if size is None else size) + header + payload


FROM_WORKER = (
    Locked(landlock_abi=6, seccomp=True),
    Ready(parameters=None, context=8, stride=4, rows=4),
    Log(step=1, tokens=2, loss=1.5, metrics={"lr": 0.1}),
    Done(),
    LogProbs(),
    Distribution(),
    File(name="state.pt"),
    Saved(files=1),
    Failed(kind="crash", message="no", traceback="line 1"),
)
TO_WORKER = (Go(shards=("a.bin",)), Tokens(rows=1, width=2, keep=2), Cut(rows=1, width=2), Save())


class Clock:
    """Moves only when the test says so."""

    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time

    def tick(self):
        self.time += 1.0


@contextmanager
def receiver(raw, *, closes=True):
    """The parent's end of a socket on which `raw` has arrived and nothing more will."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        theirs.setblocking(False)
        assert theirs.send(raw) == len(raw)
        if closes:
            theirs.shutdown(socket.SHUT_WR)
        clock = Clock()
        connection = Connection(ours, clock.now, idle=clock.tick)
        connection.SLICE_S = 0.0005  # nothing more will come
        yield connection, theirs


def heard(connection, decode, most=1 << 16):
    """Reads frames as every caller does, until the first end: the messages with their payloads, and that end."""
    found = []
    try:
        while True:
            header, size = connection.header(deadline=3.0)
            message = decode(header)
            if size > most:
                raise ProtocolError("not the size that is due")
            found.append((message, bytes(connection.exactly(size, deadline=3.0))))
    except (ProtocolError, Closed, Expired) as end:
        return found, end


@amounts
def test_fuzz_spoilt_frames(examples, tally):
    """As the parent hears the worker, and as the worker hears the parent."""
    ends: Counter[str] = Counter()
    sides = ((FROM_WORKER, decode_from_worker), (TO_WORKER, _declared(decode_to_worker)))
    streams = [b"".join(frame(message, b"abc" * (k % 3)) for k, message in enumerate(said)) for said, _ in sides]

    def check(tape):
        side = tape[1] % 2
        raw = spoil_bytes(streams[side], tape, WORDS)[: 1 << 17]
        with receiver(raw, closes=tape[0] % 4 > 0) as (connection, _):
            found, end = heard(connection, sides[side][1])
        assert len(str(end)) < 300
        assert sum(len(payload) for _, payload in found) <= len(raw)
        ends[type(end).__name__] += 1

    fuzz(examples, tapes, check)
    tally(f"frames: {examples:,} spoilt", expected="no crash", got="no crash")
    assert len(ends) == 3, ends  # every way to end was met


def _declared(decode):
    """What decode_to_worker may raise, as the other decoder says it."""

    def decoded(header):
        try:
            return decode(header)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ProtocolError(str(error)[:200]) from None

    return decoded


@amounts
def test_fuzz_any_bytes(examples, tally):
    """Nothing but noise; a header of noise; good words with payloads of noise, and then noise."""
    deep = 0

    def check(raw):
        nonlocal deep
        with receiver(raw) as (connection, _):
            found, end = heard(connection, decode_from_worker)
        assert isinstance(end, Closed | ProtocolError)
        deep += len(found) > 0

    body = st.binary(max_size=200)
    framed = st.tuples(body, st.integers(0, 300)).map(lambda pair: PREFIX.pack(len(pair[0]), pair[1]) + pair[0])
    said = st.tuples(st.sampled_from(FROM_WORKER), body, body).map(lambda parts: frame(*parts[:2]) + parts[2])
    fuzz(examples, body | framed | said, check)
    tally(f"frames: {examples:,} of any bytes", expected="no crash", got="no crash")
    assert deep > examples / 10


@amounts
def test_fuzz_a_stream_reads_the_same_however_it_is_cut(examples, tally):
    """The pieces arrive one by one, each before the next word is waited for."""

    def check(tape):
        sent = [
            ((FROM_WORKER + TO_WORKER)[what % 13], bytes([where & 255]) * (kind % 40))
            for kind, where, what in edits(tape)
        ]
        raw = b"".join(frame(message, payload) for message, payload in sent)
        places = sorted(where % len(raw) for _, where, _ in edits(tape[::-1])) if tape[0] % 8 else range(len(raw))
        pieces = [raw[start:end] for start, end in zip([0, *places], [*places, len(raw)], strict=True)]
        ours, theirs = socket.socketpair()
        with ours, theirs:
            waiting = iter(piece for piece in pieces if piece)

            def arrive():
                piece = next(waiting, None)
                theirs.sendall(piece) if piece else theirs.shutdown(socket.SHUT_WR)

            found, end = heard(Connection(ours, lambda: 0.0, watch=arrive), _either)
        assert found == sent
        assert isinstance(end, Closed)

    fuzz(examples, tapes, check)
    tally(f"frames: {examples:,} streams cut anywhere", expected="read as sent", got="read as sent")


def _either(header):
    try:
        return decode_to_worker(header)
    except msgspec.DecodeError:
        return decode_from_worker(header)


def test_a_join_is_for_ranks_alone():
    with pytest.raises(ProtocolError):
        decode_from_worker(msgspec.json.encode({"type": "join", "job": {}}))
    assert Join.__struct_config__.tag == "join"


@pytest.mark.parametrize("size", [HEADER_CAP, 1 << 40, (1 << 64) - 1])
def test_memory_grows_with_what_arrives_and_not_with_what_is_announced(size, tally):
    arrived = 1000
    with receiver(bytes(arrived)) as (connection, _):
        tracemalloc.start()
        try:
            with pytest.raises(Closed):
                connection.exactly(size, deadline=3.0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    got = "bounded" if peak < arrived + 2 * CHUNK else f"{peak:,} bytes"
    tally(f"frame that announces {size:,} bytes and sends 1,000", expected="bounded", got=got)
    assert got == "bounded"


# ------------------------------------------------------------------------------------------- the whole parent side

VOCAB, CONTEXT, TARGETS = 8, 8, 40
LIMIT_BYTES = 4096
WINDOWS = Windows(targets=TARGETS, context=CONTEXT, stride=CONTEXT)
READY = Ready(parameters=10, context=CONTEXT, stride=CONTEXT, rows=4)
SEED = 3


class Walls:
    """A sandbox that has ended by itself."""

    exit = Exit(code=0, signal=None, oom_killed=False)

    def breach(self):
        return None

    def kill(self):
        return None


@contextmanager
def dialogue(frames):
    """The parent in conversation with a worker that says these frames whatever it is asked."""
    with receiver(b"".join(frames), closes=False) as (connection, theirs):

        def watch():
            with suppress(BlockingIOError):
                theirs.recv(1 << 20)  # it reads whatever it is asked, and forgets it
            talk.look()

        clock = Clock()
        connection = Connection(connection._socket, clock.now, watch=watch, idle=lambda: talk.idle())
        connection.SLICE_S = 0.0005
        talk = Dialogue(connection, Walls(), clock)
        talk.until(1000.0, Verdict.TIME_LIMIT, "too late")
        yield talk


def numbers(count, value):
    return np.full(count, value, "<f4").tobytes()


def uniform(rows):
    return frame(Distribution(), numbers(rows * VOCAB, 0.0) + numbers(rows, -np.log(VOCAB)))


def honest():
    """What a worker of the three sandboxes says that knows nothing: every token is as likely as any other."""
    loss = -float(np.log(VOCAB))
    begin = [frame(Locked(landlock_abi=6, seccomp=True)), frame(READY)]
    train = [
        *begin,
        frame(LogProbs(), numbers(4 * CONTEXT, loss)),
        uniform(4),
        frame(Log(loss=2.0, metrics={"a": 1.0})),
    ]
    train += [frame(Log(tokens=5)), frame(Done()), frame(File(name="a/state"), b"x" * 100), frame(File(name="b"), b"y")]
    scored = [frame(LogProbs(), numbers(each.rows * each.keep, loss)) for each in WINDOWS.batches(READY.rows)]
    sample = twin.draw(WINDOWS, SEED)
    asked = [uniform(len(batch)) for batch in twin.questions(sample, WINDOWS, READY.rows)]
    repeated = frame(LogProbs(), numbers(4 * CONTEXT, loss))
    return [*train, frame(Saved(files=2))], [*begin, *scored], [*begin, *asked, repeated]


def run(conversations, folder):
    """A run as harness/runner.py holds it, without sandboxes; the loss, if everybody says what is due."""
    random = np.random.default_rng(1)
    stream, spare = (random.integers(0, VOCAB, size, dtype=np.uint16) for size in (TARGETS + 1, 100))
    train, scorer, second = conversations
    with dialogue(train) as talk:
        talk.bare(Locked)
        ready = talk.bare(Ready)
        gates.hold_to_parameters(ready.parameters, Gates(parameters_max=10))
        windows = gates.windows(ready, CONTEXT, TARGETS)
        start_line.check(talk, spare, windows, ready.rows, VOCAB)
        talk.tell(Go(shards=("a.bin",)))
        curve = Curve()
        while isinstance(message := talk.bare(Log, Done), Log):
            curve.add(message, 1.0)
        gates.hold_to_tokens(curve.declared().tokens, Gates(declared_tokens_min=5))
        talk.tell(Save())
        artifact.receive(talk, folder / "artifact", LIMIT_BYTES)
    with dialogue(scorer) as talk:
        talk.bare(Locked)
        talk.bare(Ready)
        answers = score(talk, stream, windows, ready.rows)
    with dialogue(second) as talk:
        talk.bare(Locked)
        talk.bare(Ready)
        sample = twin.draw(windows, SEED)
        said = twin.interrogate(
            talk, stream, spare, windows, answers, sample, rows=ready.rows, vocab_size=VOCAB, seed=SEED
        )
    return twin.compare(answers[np.array(sample) - 1].astype(np.float64), said, SEED)


HOSTILE_FILES = (
    "../up",
    "/tmp/up",
    "a/../../up",
    "a",
    "A/STATE",
    "a/state/x",
    "",
    "a\0b",
    ".",
    "x" * 300,
    "\x1b[2J",
    "b",
)
EVIL = (
    *(frame(message) for message in FROM_WORKER),
    *(frame(File(name=name), b"z") for name in HOSTILE_FILES),
    *(frame(Failed(kind=kind, message="\x1b]0;x\x07 no\n" * 50)) for kind in ("config", "missing", "memory", "output")),
    *(frame(LogProbs(), numbers(4 * CONTEXT, value)) for value in (np.nan, np.inf, -np.inf, 0.0, 3e38, -3e38)),
    *(frame(Distribution(), numbers(4 * (VOCAB + 1), value)) for value in (np.nan, np.inf, -np.inf, 3e38, -3e38)),
    *(frame(READY, size=1 << 40), frame(LogProbs(), size=1 << 63), frame(File(name="big"), size=1 << 40)),
    *(frame(File(name="most"), b"m" * LIMIT_BYTES), *(frame(Saved(files=count)) for count in (0, 3, 2**53))),
    *(frame(Ready(parameters=parameters, context=context, stride=stride, rows=rows))
      for parameters, context, stride, rows in (
          (None, 8, 8, 4), (11, 8, 8, 4), (10, 0, 0, 0), (10, 2**53, 1, 1), (10, 8, 9, 4), (10, 1, 1, 1),
          (10, 8, 1, 2**53), (0, 3, 2, 7), (10, 8, 8, 1))),
    *(frame(Log(loss=value, metrics={"\x1b[2J" * 9: value})) for value in (1e308, -1e308, 0.0)),
    PREFIX.pack(5, 0) + b"<xml>",
    PREFIX.pack(HEADER_CAP + 1, 0),
    struct.pack(">I", 7),
)  # fmt: skip


def spoilt_talks(tape):
    """The honest worker's words with some left out, said twice, exchanged, made up, or spoilt in number or byte."""
    talks = honest()
    for kind, where, what in edits(tape):
        talk = talks[where % 3]
        at = (where // 3) % len(talk) if talk else 0
        match kind % 7 if talk else 3:
            case 0:
                del talk[at]
            case 1:
                talk.insert(at, talk[what % len(talk)])
            case 2:
                talk[at], talk[what % len(talk)] = talk[what % len(talk)], talk[at]
            case 3:
                talk.insert(at, EVIL[what % len(EVIL)])
            case 4:
                talk[at] = EVIL[what % len(EVIL)]
            case 5 if alike := [each for each in EVIL if each[:30] == talk[at][:30]]:
                talk[at] = alike[what % len(alike)]
            case _:
                talk[at] = spoil_bytes(talk[at], bytes([what, where >> 8, where & 255, kind]), WORDS)
    return talks


def test_the_honest_worker_gets_through(tmp_path):
    assert run(honest(), tmp_path).kind == "honest"
    assert (tmp_path / "artifact" / "a" / "state").read_bytes() == b"x" * 100


@amounts
def test_fuzz_conversations(examples, tmp_path, tally):
    ends: Counter[str] = Counter()
    numbered = iter(range(10**9))
    (tmp_path / "beside").write_bytes(b"untouched")

    def check(tape):
        folder = tmp_path / str(next(numbered))
        folder.mkdir()
        try:
            end = run(spoilt_talks(tape), folder).kind
        except Ending as ending:
            assert ending.verdict is not Verdict.INTERNAL_ERROR
            assert "\x1b" not in ending.reason
            assert len(ending.reason) < 10_000
            end = str(ending.verdict)
        except BadOutput:
            end = "BAD_OUTPUT"
        except UserError as error:  # Failed(kind="config"): the runner tells whose mistake it was
            assert "\x1b" not in str(error)
            end = "config"
        _only_the_artifact(folder)
        ends[end] += 1

    count = examples // 4
    fuzz(count, st.binary(min_size=4, max_size=8), check)  # more than two edits end in the first sandbox
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.isdigit()) == ["beside"]
    tally(f"conversations: {count:,} spoilt", expected="a verdict", got="a verdict")
    assert {"honest", "RULE_VIOLATION"} <= ends.keys(), ends
    assert len(ends) >= (5 if count > 1000 else 2), ends


def _only_the_artifact(folder: Path):
    """Nothing lies beside the artifact's folder, nothing in it is a link, and it is not too large; all is removed."""
    assert {path.name for path in folder.iterdir()} <= {"artifact"}
    size = 0
    for path in sorted(folder.rglob("*"), reverse=True):
        assert not path.is_symlink()
        size += path.stat().st_size if path.is_file() else 0
        path.unlink() if path.is_file() else path.rmdir()
    folder.rmdir()
    assert size <= LIMIT_BYTES


def test_the_fuzz_knows_how_to_spoil():
    """A check of the checks: what is spoilt is rarely what it was."""
    tapes_tried = [bytes([kind, where, where, 7]) for kind in range(6) for where in range(40)]
    valid = b"".join(map(frame, FROM_WORKER))
    assert sum(spoil_bytes(valid, tape, WORDS) != valid for tape in tapes_tried) > 200
