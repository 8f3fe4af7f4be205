"""Documents of text from the hub: the first ones are trained on, the last ones held out, each tokenized here."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data.hub import Column, Repository
from data.manifest import HubText, Manifest, Shard, Split
from data.overlap import HeldOut
from data.shards import Tokens, shard_sha256, write_shard
from data.tokenizer import Tokenizer
from harness.errors import UserError


class _Document(NamedTuple):
    tokens: Tokens  # without the separator
    bytes: int


class TextSource:
    """Few enough documents to hold them all."""

    def __init__(self, manifest: Manifest, hub: HubText, repository: Repository, tokenizer: Tokenizer, folder: Path):
        self._manifest, self._hub, self._repository = manifest, hub, repository
        self._tokenizer, self._folder = tokenizer, folder

    def held_out(self, report: Callable[[int], None]) -> dict[str, Split]:
        """Writes val and spare. Raises UserError for a source that isn't what the manifest says, OSError."""
        val, spare = self._parts()
        return {name: self._split(name, part) for name, part in (("val", val), ("spare", spare))}

    def train_shard(self, before: tuple[Shard, ...], report: Callable[[int], None]) -> Shard | None:
        """The one shard of training: whole documents until the planned tokens are there. None after it."""
        if before:
            return None
        val, spare = self._parts()
        held_out = HeldOut([document.tokens for document in (*val, *spare)])
        pool = self._documents[: len(self._documents) - len(val) - len(spare)]
        chosen: list[_Document] = []
        tokens = rows_read = 0
        for document in pool:
            if tokens >= self._manifest.planned["train"]:
                break
            rows_read += 1
            if not held_out.shared_by(document.tokens[None]).any():
                chosen.append(document)
                tokens += 1 + document.tokens.size
                report(tokens)
        if not chosen:
            return None
        split = self._split("train", chosen)
        (shard,) = split.shards
        return Shard(
            file=shard.file,
            tokens=shard.tokens,
            sha256=shard.sha256,
            documents=split.documents,
            bytes=split.bytes,
            left_out=rows_read - split.documents,
            rows_read=rows_read,
        )

    def _parts(self) -> tuple[list[_Document], list[_Document]]:
        spare = len(self._documents) - self._hub.spare_documents
        val = spare - self._hub.val_documents
        return self._documents[val:spare], self._documents[spare:]

    @cached_property
    def _documents(self) -> list[_Document]:
        hub = self._hub
        found: list[_Document] = []
        for batch, _ in Column(self._repository, hub.config, hub.split, hub.column).batches(0):
            for text in batch[: hub.documents - len(found)].to_pylist():
                if not isinstance(text, str):
                    raise UserError(f"row {len(found)} of {hub.repository} has no text in its column {hub.column!r}")
                text = text[: hub.characters]
                tokens = self._tokenizer.encode(text)
                if np.any(tokens == self._manifest.separator):
                    raise UserError(f"{self._manifest.tokenizer} gives text the token of the separator; choose another")
                found.append(_Document(tokens, len(text.encode())))
            if len(found) == hub.documents:
                return found
        raise UserError(
            f"{hub.repository} ends after {len(found):,} documents where {self._manifest.id} takes {hub.documents:,}"
        )

    def _split(self, name: str, documents: list[_Document]) -> Split:
        separator = np.array([self._manifest.separator], dtype=np.uint16)
        stream = np.concatenate([part for document in documents for part in (separator, document.tokens)])
        path = self._folder / f"{self._manifest.id}_{name}_000000.bin"
        write_shard(path, stream)
        shard = Shard(file=path.name, tokens=stream.size, sha256=shard_sha256(path))
        text_bytes = sum(document.bytes for document in documents)
        return Split(documents=len(documents), tokens=stream.size, bytes=text_bytes, shards=(shard,))
