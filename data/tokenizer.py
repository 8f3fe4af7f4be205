"""A byte-level tokenizer of the hub: text to tokens, and how many bytes of text each token stands for."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from data.shards import Tokens
from harness.errors import UserError

if TYPE_CHECKING:
    import tokenizers

_BLOCK_TOKENS = 1 << 22


class _Model(msgspec.Struct):
    vocab: dict[str, int]


class _Decoder(msgspec.Struct):
    type: str


class _Added(msgspec.Struct):
    id: int
    content: str
    special: bool


class _File(msgspec.Struct):
    """What is looked at of a tokenizer.json."""

    model: _Model
    decoder: _Decoder | None = None
    added_tokens: tuple[_Added, ...] = ()


class Tokenizer:
    """One tokenizer.json whose decoder is byte-level."""

    def __init__(self, path: Path, name: str, vocab_size: int) -> None:
        """Raises UserError for a file that is none, is not byte-level or has tokens beyond `vocab_size`."""
        try:
            content = msgspec.json.decode(path.read_bytes(), type=_File)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise UserError(f"the tokenizer.json of {name} can't be read; check its revision") from None
        if content.decoder is None or content.decoder.type != "ByteLevel":
            raise UserError(f"the tokenizer {name} is not byte-level, so the bytes of its tokens aren't known")
        ids = [*content.model.vocab.values(), *(token.id for token in content.added_tokens)]
        if not ids or min(ids) < 0 or max(ids) >= vocab_size:
            raise UserError(f"the tokenizer {name} has tokens beyond the vocabulary of {vocab_size:,} that is due")
        self.name = name
        self._path = path
        self._encoder: tokenizers.Tokenizer | None = None
        # Byte-level vocabularies spell every byte as one character, so the length of a token is its number of bytes.
        self.token_bytes: npt.NDArray[np.int64] = np.zeros(vocab_size, dtype=np.int64)
        for text, token in content.model.vocab.items():
            self.token_bytes[token] = len(text)
        for added in content.added_tokens:
            self.token_bytes[added.id] = 0 if added.special else len(added.content.encode())

    def encode(self, text: str) -> Tokens:
        """The tokens of a text as it stands, uint16 [n]: nothing is added, and words that look special are text.

        Raises UserError for a tokenizer.json that the library refuses.
        """
        return np.array(self._library().encode(text, add_special_tokens=False).ids, dtype=np.uint16)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text that these tokens stand for; special ones, such as a separator, stand for none.

        Raises UserError as `encode`.
        """
        return str(self._library().decode(list(tokens), skip_special_tokens=True))

    def _library(self) -> "tokenizers.Tokenizer":
        if self._encoder is None:
            import tokenizers

            try:
                self._encoder = tokenizers.Tokenizer.from_file(str(self._path))
            except Exception as error:  # the library has no narrower one
                raise UserError(
                    f"the tokenizer.json of {self.name} can't be used ({str(error)[:200]}); check its revision"
                ) from None
            self._encoder.no_truncation()
            self._encoder.no_padding()
            self._encoder.encode_special_tokens = True
        return self._encoder

    def count_bytes(self, tokens: Tokens) -> int:
        """Bytes of text that uint16 [n] tokens stand for. Raises UserError for a token beyond the vocabulary."""
        counts = np.zeros(1 << 16, dtype=np.int64)
        for start in range(0, tokens.size, _BLOCK_TOKENS):
            counts += np.bincount(tokens[start : start + _BLOCK_TOKENS], minlength=1 << 16)
        if counts[self.token_bytes.size :].any():
            raise UserError(f"there are tokens beyond the vocabulary of {self.token_bytes.size:,} of {self.name}")
        return int(counts[: self.token_bytes.size] @ self.token_bytes)
