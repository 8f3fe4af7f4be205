"""What a twin's report comes to, in words: for the terminal and for the pages."""

from collections.abc import Mapping
from typing import Final

OUTCOMES: Final[Mapping[str, str]] = {
    "honest": "honest: without the future it says the same",
    "too-noisy": "its answers differ so wildly that an advantage could hide among them",
    "looks-ahead": "it knew what came next: its answers are worth more with the future in sight",
    "not-normalised": "its probabilities do not sum to one",
    "unrepeatable": "it does not say the same twice: state, randomness, or one row changes another's answer",
}
