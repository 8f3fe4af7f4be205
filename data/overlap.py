"""No run of a held-out document stands in training: what shares one is found by the hashes of its windows.

Every run of so many tokens has a 64-bit hash. Equal runs have equal hashes, so none is ever missed; two different runs
share one by chance only: over a billion training and four million held-out tokens, such a document is left out without
need with a probability of about 0.0002. The same data gives the same answer on every machine.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
Hashes = npt.NDArray[np.uint64]

RUN_TOKENS = 64
_BASE = 0x9E3779B97F4A7C15  # odd, so that multiplying by it loses nothing
_MIX = np.random.Generator(np.random.PCG64(20240520)).integers(1, 1 << 63, size=1 << 16, dtype=np.uint64)
_SLACK_BITS = 3  # of 8 to 16 places in the table of prefixes, one is taken
_BLOCK_WINDOWS = 1 << 20  # hashed at a time, so that a document may be of any size


def window_hashes(tokens: Tokens, run: int = RUN_TOKENS) -> Hashes:
    """The hash of each window of `run` along the last axis: uint16 [..., n] → uint64 [..., n − run + 1], or [..., 0].

    A polynomial modulo 2^64 over one random number a token, for windows of twice the length at each step: `run` is a
    power of two.
    """
    hashes = _MIX[tokens]
    length, power = 1, _BASE
    while length < run:
        width = hashes.shape[-1] - length
        if width <= 0:
            return np.empty((*tokens.shape[:-1], 0), dtype=np.uint64)
        ahead = hashes[..., length:]
        hashes = hashes[..., :width] * np.uint64(power)
        hashes += ahead
        length, power = 2 * length, power * power % (1 << 64)
    return hashes


class HeldOut:
    """What training must not repeat: every run of the held-out documents, and the documents too short to have one.

    Takes 8 bytes of memory for each held-out token, and 1 to 2 for the table.
    """

    def __init__(self, documents: Sequence[Tokens], run: int = RUN_TOKENS) -> None:
        """documents: uint16 [n] each, or [documents, n]; without separators. run: tokens, a power of two."""
        self._run = run
        short = [tokens for tokens in documents if tokens.shape[-1] < run]
        self._short = {row.tobytes() for tokens in short for row in np.atleast_2d(tokens)}
        windows = [
            max(0, tokens.shape[-1] - run + 1) * (tokens.size // max(1, tokens.shape[-1])) for tokens in documents
        ]
        self._runs = np.empty(sum(windows), dtype=np.uint64)
        filled = 0
        for tokens in documents:
            for block in _blocks(tokens, run):
                hashes = window_hashes(block, run).reshape(-1)
                self._runs[filled : filled + hashes.size] = hashes
                filled += hashes.size
        self._runs.sort()
        # Most windows are told apart from all of these by one bit of a table, which fits into the processor's cache
        # better than a search.
        bits = max(3, int(self._runs.size).bit_length() + _SLACK_BITS)
        self._shift = np.uint64(64 - bits)
        self._prefixes = np.zeros(1 << bits - 3, dtype=np.uint8)
        for start in range(0, self._runs.size, _BLOCK_WINDOWS):
            prefixes = self._runs[start : start + _BLOCK_WINDOWS] >> self._shift
            np.bitwise_or.at(self._prefixes, (prefixes >> np.uint64(3)).astype(np.intp), _bit(prefixes))

    def shared_by(self, tokens: Tokens) -> npt.NDArray[np.bool_]:
        """Which documents repeat held-out text: uint16 [documents, n] → bool [documents]."""
        if tokens.shape[-1] < self._run:
            return np.array([row.tobytes() in self._short for row in tokens], dtype=np.bool_)
        shared = np.zeros(len(tokens), dtype=np.bool_)
        if not self._runs.size:
            return shared
        for block in _blocks(tokens, self._run):
            hashes = window_hashes(block, self._run)
            prefixes = hashes >> self._shift
            rows, columns = np.nonzero(self._prefixes[(prefixes >> np.uint64(3)).astype(np.intp)] & _bit(prefixes))
            found = hashes[rows, columns]
            places = np.minimum(np.searchsorted(self._runs, found), self._runs.size - 1)
            shared[rows[self._runs[places] == found]] = True
        return shared


def _bit(prefixes: Hashes) -> npt.NDArray[np.uint8]:
    """The place of a prefix in its byte of the table."""
    return np.left_shift(np.uint8(1), (prefixes & np.uint64(7)).astype(np.uint8))


def _blocks(tokens: Tokens, run: int) -> Iterator[Tokens]:
    """Parts of [..., n] along the last axis that have every window once."""
    rows = tokens.size // max(1, tokens.shape[-1])
    step = max(1, _BLOCK_WINDOWS // max(1, rows))
    for start in range(0, tokens.shape[-1] - run + 1, step):
        yield tokens[..., start : start + step + run - 1]
