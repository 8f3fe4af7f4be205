"""What runs inside a trial of a sandbox level: tries what must be refused, and says what happened.

Imported by the parent for its two messages, and started as a script inside the sandbox.
"""

import socket
import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import msgspec

from harness import lockdown
from harness.protocol import Policy


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """From the parent: lock down by this policy, then try to read this file."""

    policy: Policy
    secret: str


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What was possible after the lock-down."""

    read_secret: bool
    opened_network: bool
    landlock_abi: int


def _reads(path: str) -> bool:
    try:
        Path(path).read_bytes()
    except OSError:
        return False
    return True


def _opens_network() -> bool:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM).close()
    except OSError:
        return False
    return True


def main(fd: int) -> None:
    """One question, one answer, on the inherited socket."""
    with socket.socket(fileno=fd) as parent:
        question = msgspec.json.decode(parent.recv(1 << 16), type=Question)
        report = lockdown.apply(question.policy)
        findings = Findings(
            read_secret=_reads(question.secret),
            opened_network=_opens_network(),
            landlock_abi=report.landlock_abi,
        )
        parent.sendall(msgspec.json.encode(findings))


if __name__ == "__main__":
    main(int(sys.argv[1]))
