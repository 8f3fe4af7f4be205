import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaderboard.text import plain


@given(st.text(max_size=200), st.integers(1, 60))
def test_it_is_one_harmless_line(text, limit):
    line = plain(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1
    assert line == line.strip()
    assert not any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn") for character in line)
    assert plain(line, limit) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Muon, RMSNorm & QK-norm", "Muon, RMSNorm & QK-norm"),
        ("naïve — 日本語 Ω", "naïve — 日本語 Ω"),
        ("a\r\nb\tc\u2028d\x0be", "a b c d e"),
        ("\x1b[31mred\x1b[0m", "[31mred[0m"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\ud800 half", "half"),
    ],
)
def test_known_texts(text, line):
    assert plain(text, 40) == line


def test_long_text_is_cut():
    assert plain("x" * 50, 10) == "x" * 9 + "…"
    assert plain(" " * 10_000_000 + "x", 10) == ""
