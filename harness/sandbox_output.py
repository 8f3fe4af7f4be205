"""What a sandbox prints: drained by a thread, counted, and only its end kept."""

import contextlib
import os
import threading

TAIL_BYTES = 64 * 1024
_CHUNK_BYTES = 64 * 1024


class Output:
    """The reading end of the sandbox's stdout and stderr.

    A thread empties the pipe, so that an entry that prints never waits for the parent, until `cap_bytes` have come;
    then it stops reading for good, so that a flood costs neither memory nor processor time.
    """

    def __init__(self, fd: int, cap_bytes: int) -> None:
        self._fd = fd
        self._cap_bytes = cap_bytes
        self._lock = threading.Lock()
        self._tail = bytearray()
        self._bytes = 0
        self._thread = threading.Thread(target=self._drain, name="sandbox output", daemon=True)
        self._thread.start()

    @property
    def bytes(self) -> int:
        """How much has come, at most a chunk beyond the cap."""
        return self._bytes

    @property
    def exceeded(self) -> bool:
        return self._bytes > self._cap_bytes

    @property
    def tail(self) -> str:
        """The last 64 KiB at most, as text; control characters are still in it."""
        with self._lock:
            return self._tail.decode("utf-8", "replace")

    def finish(self, patience_s: float) -> None:
        """Read what is left once every writer is dead, and stop."""
        self._thread.join(patience_s)

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while not self.exceeded and (piece := os.read(self._fd, _CHUNK_BYTES)):
                with self._lock:
                    self._bytes += len(piece)
                    self._tail += piece
                    del self._tail[:-TAIL_BYTES]
        os.close(self._fd)
