"""Ready-made shards from the hub: training files as published, byte for byte; val and spare cut from one file."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from data import hub
from data.manifest import HubShards, Manifest, Shard, Split
from data.shards import TOKEN, ShardError, Tokens, map_tokens, shard_sha256, write_shard
from data.tokenizer import Tokenizer
from harness.errors import UserError

DOWNLOAD = "download"  # folder of what is on its way here


class ShardSource:
    """The publisher's files."""

    def __init__(
        self, manifest: Manifest, source: HubShards, repository: hub.Repository, tokenizer: Tokenizer, folder: Path
    ):
        self._manifest, self._source, self._repository = manifest, source, repository
        self._tokenizer, self._folder = tokenizer, folder

    def held_out(self, report: Callable[[int], None]) -> dict[str, Split]:
        """Writes val, the first tokens of the file, and spare, what follows from the next document on.

        Raises UserError for a file that isn't what the manifest says, OSError.
        """
        end = self._manifest.planned["val"]
        with self._published(self._source.val, report) as (_, stream):
            starts = np.flatnonzero(stream[end:] == self._manifest.separator)
            if not starts.size:
                raise ShardError(f"it has {stream.size:,} tokens: val takes {end:,}, spare the documents after it")
            parts = {"val": stream[:end], "spare": stream[end + int(starts[0]) :]}
            return {name: self._split(name, part) for name, part in parts.items()}

    def train_shard(self, before: tuple[Shard, ...], report: Callable[[int], None]) -> Shard | None:
        """The next published file. None: it was the last. Raises UserError for one that isn't a shard, OSError."""
        names = self._source.names()
        if len(before) == len(names):
            return None
        with self._published(names[len(before)], report) as (arrived, stream):
            shard = Shard(
                file=arrived.path.name,
                tokens=stream.size,
                sha256=arrived.sha256,
                documents=self._documents(stream),
                bytes=self._tokenizer.count_bytes(stream),
            )
        arrived.path.replace(self._folder / shard.file)
        return shard

    @contextlib.contextmanager
    def _published(self, file: str, report: Callable[[int], None]) -> Iterator[tuple[hub.Arrived, Tokens]]:
        """A file as it was published, with its tokens. One that is of no use goes away again, and a line says whose."""
        arrived = hub.download(
            self._repository, file, self._folder / DOWNLOAD, lambda count: report(count // TOKEN.itemsize)
        )
        try:
            yield arrived, map_tokens(arrived.path)
        except (ShardError, UserError) as fault:
            arrived.path.unlink()
            raise UserError(
                f"{file} of {self._source.repository} can't be used at commit {self._repository.commit[:12]}: "
                f"{fault}; it was deleted, check the manifest's source"
            ) from None

    def _documents(self, tokens: Tokens) -> int:
        count = int(np.count_nonzero(tokens == self._manifest.separator))
        if not count:
            raise ShardError(f"it has no token {self._manifest.separator}, which starts every document")
        return count

    def _split(self, name: str, tokens: Tokens) -> Split:
        path = self._folder / f"{self._manifest.id}_{name}_000000.bin"
        documents, text_bytes = self._documents(tokens), self._tokenizer.count_bytes(tokens)
        write_shard(path, tokens)
        shard = Shard(file=path.name, tokens=tokens.size, sha256=shard_sha256(path))
        return Split(documents=documents, tokens=tokens.size, bytes=text_bytes, shards=(shard,))
