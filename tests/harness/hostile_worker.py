"""A worker that is in hostile hands from its first line: it says what an honest one says, until `WHEN`, and then acts.

Copied into the sandbox's boot folder in place of harness/worker.py, as what an entry can make of the worker whose
process it shares. Its model is the uniform one, so without an attack its run is scored and honest. It needs no torch,
so a run of it takes a second.

Started as `python -B -I <boot>/harness/hostile_worker.py FD`. ATTACK and WHEN stand in the file attack.json beside it.
"""

import contextlib
import json
import math
import os
import random
import signal
import socket
import struct
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from harness import lockdown
from harness.protocol import HEADER_CAP, Closed, Connection, Cut, Go, Hello, Locked, Save, Tokens, decode_to_worker

PREFIX = struct.Struct(">IQ")
VOCAB = 256
TERABYTE = 1 << 40


def frame(header: bytes, payload: bytes = b"", payload_bytes: int | None = None) -> bytes:
    return PREFIX.pack(len(header), len(payload) if payload_bytes is None else payload_bytes) + header + payload


def floats(values: int, value: float) -> bytes:
    return struct.pack("<f", value) * values


class Worker:
    def __init__(self, sock: socket.socket, attack: str, when: str) -> None:
        self.sock = sock
        self.connection = Connection(sock)
        self.attack = attack
        self.when = when

    def say(self, phase: str, header: str, payload: bytes = b"") -> None:
        """The honest word of a phase, unless this is the phase of the attack."""
        if phase == self.when:
            getattr(self, self.attack)(header.encode(), payload)
        self.sock.sendall(frame(header.encode(), payload))

    def serve(self) -> None:
        setting_up = "setup"
        while True:
            header, size = self.connection.header()
            message, _ = decode_to_worker(header), self.connection.exactly(size)
            match message:
                case Hello(policy=policy, job=job):
                    report = lockdown.apply(policy)
                    self.connection.send(Locked(landlock_abi=report.landlock_abi, seccomp=report.seccomp))
                    setting_up = "setup" if job.phase == "train" else "load"
                    self.say(setting_up, '{"type":"ready","parameters":null,"context":256,"stride":256,"rows":64}')
                case Tokens(rows=rows, keep=keep):
                    phase = "start line" if setting_up == "setup" else "score"
                    self.say(phase, '{"type":"logprobs"}', floats(rows * keep, -math.log(VOCAB)))
                case Cut(rows=rows):
                    phase = "cut" if setting_up == "setup" else "twin"
                    uniform = floats(rows * VOCAB, 0.0) + floats(rows, -math.log(VOCAB))
                    self.say(phase, '{"type":"distribution"}', uniform)
                case Go():
                    self.say("train", '{"type":"done"}')
                case Save():
                    self.say("save", '{"type":"file","name":"state.pt"}', b"uniform")
                    self.say("saved", '{"type":"saved","files":1}')

    # ------------------------------------------------------------------------------------------- the attacks

    def stops(self, header: bytes, payload: bytes) -> None:
        """Sleeps for ever, with a child that does, too; the whole tree is stopped as by a debugger."""
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)
        os.waitpid(child, os.WUNTRACED)
        os.kill(os.getpid(), signal.SIGSTOP)

    def closes_its_socket(self, header: bytes, payload: bytes) -> None:
        self.sock.close()
        self._for_ever()

    def says_no_more(self, header: bytes, payload: bytes) -> None:
        self.sock.shutdown(socket.SHUT_WR)
        self._for_ever()

    def hears_no_more(self, header: bytes, payload: bytes) -> None:
        self.sock.shutdown(socket.SHUT_RD)
        self._for_ever()

    def leaves_a_child_on_the_line(self, header: bytes, payload: bytes) -> None:
        if os.fork() == 0:
            self._for_ever()
        os._exit(7)

    def sends_garbage(self, header: bytes, payload: bytes) -> None:
        self._flood(random.Random(5).randbytes(1 << 16))

    def sends_no_json(self, header: bytes, payload: bytes) -> None:
        self._flood(frame(b"\xff" * 1000))

    def sends_an_empty_frame(self, header: bytes, payload: bytes) -> None:
        self._flood(frame(b""))

    def sends_half_a_header(self, header: bytes, payload: bytes) -> None:
        self.sock.sendall(frame(header, payload)[: PREFIX.size + len(header) // 2])
        self._for_ever()

    def sends_half_a_payload(self, header: bytes, payload: bytes) -> None:
        self.sock.sendall(frame(header, payload)[: PREFIX.size + len(header) + len(payload) // 2])
        self._for_ever()

    def promises_a_terabyte(self, header: bytes, payload: bytes) -> None:
        """And begins to deliver it."""
        self.sock.sendall(frame(header, payload_bytes=TERABYTE))
        self._flood(bytes(1 << 20))

    def nests_its_header(self, header: bytes, payload: bytes) -> None:
        """As deep as a header can, where the reader has to walk through it to find the message's type."""
        deep = (HEADER_CAP - len(header) - 10) // 2
        self._flood(frame(b'{"deep":' + b"[" * deep + b"]" * deep + b"," + header[1:]))

    def says_a_huge_number(self, header: bytes, payload: bytes) -> None:
        self._flood(frame(b'{"type":"saved","files":' + b"9" * (HEADER_CAP - 100) + b"}"))

    def complains_at_length(self, header: bytes, payload: bytes) -> None:
        text = json.dumps("\x1b[2J\u202e" * 20_000)[: HEADER_CAP - 1000].rsplit("\\", 1)[0] + '"'
        self._flood(frame(b'{"type":"failed","kind":"crash","message":' + text.encode() + b"}"))

    def floods_its_output(self, header: bytes, payload: bytes) -> None:
        while True:
            os.write(1, b"flood\n" * 10_000)

    def floods_logs(self, header: bytes, payload: bytes) -> None:
        points = frame(b'{"type":"log","step":1,"loss":2.0,"metrics":{"a":1.0}}') * 1000
        for _ in range(1000):
            self._send(points)
        self._for_ever()

    def _send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError:
            self._for_ever()

    def _flood(self, data: bytes) -> None:
        while True:
            self._send(data)

    def _for_ever(self) -> None:
        while True:
            time.sleep(3600)


def main() -> None:
    plan = json.loads(Path(__file__).with_name("attack.json").read_text())
    with contextlib.suppress(Closed):
        Worker(socket.socket(fileno=int(sys.argv[1])), plan["attack"], plan["when"]).serve()


if __name__ == "__main__":
    main()
