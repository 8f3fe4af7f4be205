"""Ready-made rows of tokens from the hub: the first ones are held out, the others trained on, in shards of many rows.

Held-out rows come first, so that they are the same however much is trained on. A shard is whole before the next one is
begun, and a small file remembers where in the stream that was.
"""

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from data.hub import Column, Position, Repository
from data.manifest import HELD_OUT, HubRows, Manifest, Shard, Split, replace_text
from data.overlap import HeldOut
from data.shards import Tokens, open_shard, shard_sha256, write_shard
from data.tokenizer import Tokenizer
from harness.errors import UserError

POSITION = "position.json"


class RowSource:
    """A stream of rows, read in order."""

    def __init__(self, manifest: Manifest, hub: HubRows, repository: Repository, tokenizer: Tokenizer, folder: Path):
        assert manifest.row_tokens is not None
        self._manifest, self._hub, self._repository = manifest, hub, repository
        self._tokenizer, self._folder = tokenizer, folder
        self._width = manifest.row_tokens
        self._held_rows = {name: manifest.planned[name] // self._width for name in HELD_OUT if name in manifest.planned}
        self._first_row = sum(self._held_rows.values())  # of training
        self._batches: Iterator[tuple[Any, Position]] | None = None
        self._rows = np.empty((0, self._width), dtype=np.uint16)  # the batch at hand
        self._rows_first = 0  # number of its first row
        self._place: Position | None = None  # where it began

    def held_out(self, report: Callable[[int], None]) -> dict[str, Split]:
        """Writes the held-out splits. Raises UserError for a source that isn't what the manifest says, OSError."""
        splits: dict[str, Split] = {}
        row = 0
        for name, count in self._held_rows.items():
            path = self._folder / self._file(name, 0)
            tokens = np.empty((count, self._width), dtype=np.uint16)
            filled = 0
            while filled < count:
                rows = self._from(row + filled)
                if rows is None:
                    raise UserError(
                        f"{self._hub.repository} ends after {row + filled:,} rows, before there is anything to train on"
                    )
                part = rows[: count - filled]
                tokens[filled : filled + len(part)] = part
                filled += len(part)
                report((row + filled) * self._width)
            row += count
            write_shard(path, tokens.reshape(-1))
            shard = Shard(file=path.name, tokens=tokens.size, sha256=shard_sha256(path))
            text_bytes = self._tokenizer.count_bytes(tokens.reshape(-1))
            splits[name] = Split(documents=count, tokens=tokens.size, bytes=text_bytes, shards=(shard,))
        return splits

    def train_shard(self, before: tuple[Shard, ...], report: Callable[[int], None]) -> Shard | None:
        """The shard after `before`: the next rows that share no run with a held-out one. None: the source has ended.

        Raises UserError for rows that aren't what the manifest says, OSError.
        """
        if self._place is not None:
            # Where the last shard ended. Only now is that shard in the manifest, and a place beyond what the manifest
            # lists would be of no use to whoever goes on from there.
            replace_text(self._folder / POSITION, msgspec.json.encode(self._place).decode())
        kept = np.empty((self._hub.shard_rows, self._width), dtype=np.uint16)
        filled = 0
        first = before[-1].rows_read if before else self._first_row
        assert first is not None
        row = first
        while filled < len(kept) and (rows := self._from(row)) is not None:
            chosen = np.flatnonzero(~self._held_out.shared_by(rows))[: len(kept) - filled]
            kept[filled : filled + len(chosen)] = rows[chosen]
            filled += len(chosen)
            row += int(chosen[-1]) + 1 if filled == len(kept) else len(rows)
            report(filled * self._width)
        if not filled:
            return None
        path = self._folder / self._file("train", len(before))
        tokens = kept[:filled].reshape(-1)
        write_shard(path, tokens)
        return Shard(
            file=path.name,
            tokens=tokens.size,
            sha256=shard_sha256(path),
            documents=filled,
            bytes=self._tokenizer.count_bytes(tokens),
            left_out=row - first - filled,
            rows_read=row,
        )

    def _file(self, split: str, number: int) -> str:
        return f"{self._manifest.id}_{split}_{number:06}.bin"

    @cached_property
    def _held_out(self) -> HeldOut:
        return HeldOut(
            [open_shard(self._folder / self._file(name, 0)).reshape(-1, self._width) for name in self._held_rows]
        )

    @cached_property
    def _column(self) -> Column:
        return Column(self._repository, None, self._hub.split, self._hub.column)

    def _from(self, row: int) -> Tokens | None:
        """What is at hand from row number `row` on, at least one row; None: the source has ended before it."""
        end = self._rows_first + len(self._rows)
        if self._batches is None or not self._rows_first <= row <= end:
            self._batches = self._column.batches(row, self._remembered())
            end = row
        if row == end:
            found = next(self._batches, None)
            if found is None:
                return None
            batch, self._place = found
            self._rows, self._rows_first = self._tokens(batch, row), row
        return self._rows[row - self._rows_first :]

    def _remembered(self) -> Position | None:
        try:
            return msgspec.json.decode((self._folder / POSITION).read_bytes(), type=Position)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _tokens(self, batch: Any, first: int) -> Tokens:
        """A pyarrow array of lists as uint16 [rows, row_tokens]."""
        import pyarrow
        import pyarrow.compute

        place = f"{self._hub.repository}, rows from {first:,}, column {self._hub.column!r}"
        kind = batch.type
        if not (hasattr(kind, "value_type") and pyarrow.types.is_integer(kind.value_type)):
            raise UserError(f"{place}: it holds {kind}, not rows of tokens; check the manifest's source")
        lengths = pyarrow.compute.unique(pyarrow.compute.list_value_length(batch)).to_pylist()
        values = batch.flatten()
        if lengths != [self._width] or values.null_count:
            raise UserError(f"{place}: there are rows that are not {self._width} tokens long; check the manifest")
        tokens: npt.NDArray[np.integer[Any]] = values.to_numpy(zero_copy_only=False)
        if tokens.min() < 0 or tokens.max() >= self._manifest.vocab_size:
            raise UserError(
                f"{place}: there are tokens beyond the vocabulary of {self._manifest.vocab_size:,}; check the manifest"
            )
        return tokens.astype(np.uint16).reshape(-1, self._width)
