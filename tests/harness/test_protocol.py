"""Frames: what goes in comes out, and nothing that a hostile peer sends does harm."""

import socket
import struct
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.protocol import (
    HEADER_CAP,
    PREFIX,
    Closed,
    Connection,
    Done,
    Expired,
    Go,
    Log,
    LogProbs,
    ProtocolError,
    Ready,
    decode_from_worker,
    decode_to_worker,
    printable,
)


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Connection(ours), theirs


def test_a_frame_arrives_as_it_was_sent(pair):
    parent, raw = pair
    payload = bytes(range(256)) * 5000
    writer = threading.Thread(
        target=Connection(raw).send, args=(LogProbs(), payload[:1000], memoryview(payload)[1000:])
    )
    writer.start()
    header, size = parent.header()
    assert decode_from_worker(header) == LogProbs()
    assert size == len(payload)
    assert bytes(parent.exactly(size)) == payload
    writer.join()


def test_a_frame_is_forwarded_as_it_came():
    ends = [socket.socketpair() for _ in range(2)]
    (source, near), (far, sink) = ends
    payload = bytes(range(256)) * 9000
    writer = threading.Thread(target=Connection(source).send, args=(LogProbs(), payload))
    writer.start()
    arriving = Connection(near)
    header, size = arriving.header()
    forwarder = threading.Thread(target=Connection(far).forward, args=(header, size, arriving))
    forwarder.start()
    received = Connection(sink)
    assert received.header() == (header, size)
    assert bytes(received.exactly(size)) == payload
    writer.join()
    forwarder.join()
    for end in (source, near, far, sink):
        end.close()


def test_the_parents_words_are_not_the_workers(pair):
    parent, raw = pair
    parent.send(Go(shards=("a.bin",)))
    header, size = Connection(raw).header()
    assert (decode_to_worker(header), size) == (Go(shards=("a.bin",)), 0)
    with pytest.raises(ProtocolError):
        decode_from_worker(header)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b'{"type":"done","extra":1}',
        b'{"type":"ready","parameters":"many","context":1,"stride":1,"rows":1}',
        b'{"type":"log","loss":NaN}',
        b'{"type":"saved","files":1e99}',
        b'{"type":"hello"}',
        b'{"type":"log","step":1180591620717411303424}',
        b'{"type":"log","tokens":-5}',
        b'{"type":"log","loss":1e400}',
        b'{"type":"log","metrics":{"\\ud800":1}}',
        b"\xff\xfe",
        b"[" * 10_000,
        b'{"type":"ready","parameters":' + b"9" * 5000 + b"}",
    ],
)
def test_a_header_that_is_no_message_is_refused(header):
    with pytest.raises(ProtocolError):
        decode_from_worker(header)


@given(st.binary(max_size=300))
def test_no_bytes_crash_the_decoder(header):
    try:
        decode_from_worker(header)
    except ProtocolError as error:
        assert len(str(error)) < 300


def test_a_long_header_is_refused_before_it_is_read(pair):
    parent, raw = pair
    raw.sendall(PREFIX.pack(HEADER_CAP + 1, 0))
    with pytest.raises(ProtocolError, match="header of"):
        parent.header()


def test_a_terabyte_payload_is_only_a_number(pair):
    parent, raw = pair
    body = b'{"type":"logprobs"}'
    raw.sendall(PREFIX.pack(len(body), 1 << 40) + body)
    assert parent.header() == (body, 1 << 40)


def test_a_closed_peer_is_told_from_a_slow_one(pair):
    parent, raw = pair
    times = iter([0.0, 0.5, 1.5])
    slow = Connection(parent._socket, now=lambda: next(times), idle=lambda: None)
    with pytest.raises(Expired):
        slow.header(deadline=1.0)
    raw.sendall(struct.pack(">I", 12))
    raw.close()
    with pytest.raises(Closed):
        parent.header()


def test_waiting_calls_idle_which_may_end_the_wait(pair):
    class Enough(Exception):
        pass

    def idle():
        raise Enough

    parent, _ = pair
    with pytest.raises(Enough):
        Connection(parent._socket, idle=idle).header()


def test_a_peer_that_drips_can_not_keep_the_parent_from_looking(pair):
    parent, raw = pair
    looks = []
    watched = Connection(parent._socket, watch=lambda: looks.append(1))
    raw.sendall(bytes(PREFIX.pack(20, 0)))
    raw.sendall(b"x" * 20)
    for _ in range(5):
        watched.some(4)
    assert len(looks) == 5


def test_a_peer_that_reads_nothing_can_not_hold_a_send_for_ever(pair):
    parent, _ = pair
    times = iter([0.0] * 400 + [2.0] * 100)
    stuck = Connection(parent._socket, now=lambda: next(times), idle=lambda: None)
    stuck.SLICE_S = 0.001
    with pytest.raises(Expired):
        stuck.send(Done(), bytes(64 << 20), deadline=1.0)


@pytest.mark.parametrize("message", [Done(), Ready(parameters=3, context=4, stride=2, rows=1), Log(loss=1.5, step=3)])
def test_messages_are_values(message):
    with pytest.raises(AttributeError):
        message.anything = 1


@given(st.text(), st.integers(1, 50))
def test_printable_text_has_no_control_characters(text, limit):
    clean = printable(text, limit)
    assert len(clean) <= limit
    assert not any(ord(character) < 32 and character not in "\n\t" for character in clean)
    assert not any("\u202a" <= character <= "\u202e" or "\x7f" <= character <= "\x9f" for character in clean)
