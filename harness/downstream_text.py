"""Text to the tokens of a data set."""

from collections.abc import Callable

import numpy as np

from data.fetching import TOKENIZER
from data.manifest import BYTES
from data.prepare import Prepared
from data.tokenizer import Tokenizer
from harness.errors import UserError
from harness.evaluation import Stream


def encoder(data: Prepared) -> Callable[[str], Stream]:
    """What turns a text into tokens, uint16 [n], nothing added.

    Raises UserError where the tokenizer does not lie beside the shards.
    """
    manifest = data.manifest
    if manifest.tokenizer == BYTES:
        return lambda text: np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8).astype(np.uint16)
    path = data.folder / TOKENIZER
    if not path.is_file():
        raise UserError(
            f"the tokenizer of {manifest.id} does not lie beside its shards; speedrun data prepare {manifest.id}"
        )
    return Tokenizer(path, manifest.tokenizer, manifest.vocab_size).encode
