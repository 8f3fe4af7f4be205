"""What an entry gets from the platform: `run`, its clock, its data, its log. Travels into the sandbox."""

import time
import typing
from pathlib import Path

from harness.protocol import Connection, Job, Log, TrackView

if typing.TYPE_CHECKING:
    import numpy as np
    import torch

SHARD_HEADER_BYTES = 1024  # 256 little-endian int32, then uint16 tokens
LOG_INTERVAL_S = 0.1  # points logged faster than this are merged into the next
ROW_TOKENS = 16_384  # default size of one predict call
STRIDE = 512  # default: at most so many tokens from window to window, so that each target has some past
METRICS_CAP = 32  # metrics a point


class TrainingTokens:
    """The training shards, memory-mapped, in official order: `shards` is a tuple of uint16 arrays [tokens]."""

    def __init__(
        self, folder: Path, names: tuple[str, ...], separator: int | None = None, row_tokens: int | None = None
    ) -> None:
        import numpy as np

        self._separator = separator
        self._row_tokens = row_tokens
        self.shards: tuple[np.ndarray, ...] = tuple(
            np.memmap(folder / name, dtype="<u2", mode="r", offset=SHARD_HEADER_BYTES) for name in names
        )

    def document_starts(self, shard: int) -> "np.ndarray":
        """int64 [documents], ascending: where in a shard a text begins that owes nothing to the one before it.

        That is at every separator, where the data set puts one before each document; at every row, where it is made of
        rows of equal length (a shard holds whole rows, the first begins at 0); nowhere, where it says neither.
        """
        import numpy as np

        tokens = self.shards[shard]
        starts = np.empty(0, dtype=np.int64)
        if self._separator is not None:
            starts = np.flatnonzero(tokens == self._separator)
        if self._row_tokens is not None:
            starts = np.union1d(starts, np.arange(0, tokens.size, self._row_tokens, dtype=np.int64))
        return starts


class Run:
    """Everything that a submission gets from the platform.

    Where a track has several processes, each is one `rank` of `world_size`, with the same seed and the card
    cuda:`rank`; torch.distributed finds RANK, WORLD_SIZE, MASTER_ADDR and the like set, so `init_process_group` needs
    nothing but the backend. Every rank calls `setup` and `train`, and collectives belong there alone: `predict` and
    `save` run on rank 0, the other ranks are ended when the last `train` has returned, and what is sharded must have
    been gathered on rank 0 by then. Scoring has one process, with a `world_size` of 1.
    """

    def __init__(self, job: Job, config: object, connection: Connection) -> None:
        self.phase = job.phase
        self.track: TrackView = job.track
        self.config = config
        self.seed = job.seed
        self.device = job.device
        self.rank = job.rank
        self.world_size = job.world_size
        self.threads = job.threads
        self.vocab_size = job.vocab_size
        self.max_context = job.max_context
        self.scratch = job.scratch
        self._job = job
        self._connection = connection
        self._began_s: float | None = None
        self._training = False
        self._tokens: TrainingTokens | None = None
        self._pending: Log | None = None
        self._logged_s = 0.0
        self.windows = (job.max_context, min(STRIDE, job.max_context), max(1, ROW_TOKENS // job.max_context))

    def evaluate_with(self, *, context: int | None = None, stride: int | None = None, rows: int | None = None) -> None:
        """How this entry wants to be scored; only in `setup`.

        context: tokens a window, at most and by default `max_context`. stride: tokens from one window to the next, at
        most `context`, by default 512 (every target but those of the first window is then predicted from at least
        context − stride tokens). rows: most rows that one `predict` call gets. T may be shorter than the context.
        """
        context = self.max_context if context is None else context
        if not 1 <= context <= self.max_context:
            raise ValueError(f"context must be between 1 and {self.max_context} (run.max_context), not {context}")
        stride = min(STRIDE, context) if stride is None else stride
        rows = max(1, ROW_TOKENS // context) if rows is None else rows
        if not 1 <= stride <= context:
            raise ValueError(f"stride must be between 1 and the context ({context}), not {stride}")
        if not 1 <= rows <= 4096:
            raise ValueError(f"rows must be between 1 and 4096, not {rows}")
        self.windows = (int(context), int(stride), int(rows))

    def elapsed(self) -> float:
        """Seconds since GO, as seen from here; the parent's clock decides. 0.0 before GO."""
        return 0.0 if self._began_s is None else time.monotonic() - self._began_s

    def time_left(self) -> float:
        """Seconds to the hard limit."""
        return self.track.limit_s - self.elapsed()

    def progress(self) -> float:
        """Share of the time limit that has passed, 0 to 1."""
        return min(1.0, self.elapsed() / self.track.limit_s)

    def dummy_tokens(self, rows: int, length: int) -> "torch.Tensor":
        """int64 [rows, length] on the device: random tokens of the vocabulary, for warming up."""
        import torch

        return torch.randint(0, self.vocab_size, (rows, length), device=self.device)

    def train_tokens(self) -> TrainingTokens:
        """The training data; it exists from GO on, so in `train` only."""
        if self._tokens is None:
            raise RuntimeError("the training tokens exist only while train() runs")
        return self._tokens

    def log(
        self, *, step: int | None = None, tokens: int | None = None, loss: typing.Any = None, **metrics: typing.Any
    ) -> None:
        """Say how training goes; outside of `train` nobody listens, nor to any rank but the first. Points that follow
        each other too fast are merged, and the last one always arrives."""
        if not self._training or self.rank != 0:
            return
        named = list(metrics.items())[:METRICS_CAP]
        self._pending = Log(
            step=_count(step),
            tokens=_count(tokens),
            loss=_finite(loss),
            metrics={name[:64]: value for name, raw in named if (value := _finite(raw)) is not None},
        )
        if time.monotonic() - self._logged_s >= LOG_INTERVAL_S:
            self.flush_log()

    def finish_log(self) -> None:
        """The platform calls this before DONE."""
        self._training = False
        self.flush_log()

    def flush_log(self) -> None:
        if self._pending is not None:
            self._connection.send(self._pending)
            self._pending = None
            self._logged_s = time.monotonic()

    def begin(self, shards: tuple[str, ...]) -> None:
        """The platform calls this at GO."""
        self._began_s = time.monotonic()
        self._training = True
        assert self._job.data is not None
        self._tokens = TrainingTokens(Path(self._job.data), shards, self._job.separator, self._job.row_tokens)


def _count(value: typing.Any) -> int | None:
    """A whole number that every reader of JSON can hold; None for what is none."""
    return int(value) if value is not None and 0 <= value <= 2**53 else None


def _finite(value: typing.Any) -> float | None:
    """A number for JSON, which knows no NaN; tensors with one element count as numbers."""
    if value is None:
        return None
    number = float(value)
    return number if -1e300 < number < 1e300 else None
