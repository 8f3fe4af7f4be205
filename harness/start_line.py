"""The check before the clock starts: does predict work, and does the model know nothing yet?"""

import math
import secrets

import numpy as np

from harness import twin
from harness.dialogue import Dialogue, Ending
from harness.evaluation import Stream, Windows, ask_log_probs, mean_loss
from harness.protocol import Cut, Distribution
from harness.result import Verdict

ROWS = 8
WIDTH = 256  # tokens a row, at most
KNOWS_THE_LANGUAGE_NATS = 0.5  # an untrained model's loss lies no further below ln V


def check(dialogue: Dialogue, spare: Stream, windows: Windows, most_rows: int, vocab_size: int) -> None:
    """Ask for a few spare rows, as the scorer and as the twin will be asked.

    Raises:
        Ending: PRETRAINED, or whatever ends the dialogue.
        BadOutput: numbers that can't be scored.
    """
    random = np.random.default_rng(secrets.randbits(48))
    rows, width = min(ROWS, most_rows), min(WIDTH, windows.context)
    tokens = twin.foreign_rows(spare, rows, width + 1, random)
    loss = mean_loss(ask_log_probs(dialogue, tokens, width).reshape(-1))
    cuts = np.full(rows, width // 2, dtype="<i4")
    size = 4 * rows * (vocab_size + 1)
    dialogue.ask(Cut(rows=rows, width=width), tokens.data, cuts.data, answer=Distribution, size=size)
    least = math.log(vocab_size) - KNOWS_THE_LANGUAGE_NATS
    if not loss >= least:
        raise Ending(
            Verdict.PRETRAINED,
            f"before training, the model already has a loss of {loss:.3f} nats a token on text of this data set; "
            f"one that knows nothing has {math.log(vocab_size):.3f} (at least {least:.3f} is asked)",
        )
