"""The style sheet's colours, light and dark: contrast as WCAG 2.2 computes it (1.4.3 and 1.4.11)."""

import re
from pathlib import Path

import pytest

CSS = (Path(__file__).resolve().parents[2] / "leaderboard" / "site" / "assets" / "site.css").read_text()
PAIRS = {
    name: (light, dark)
    for name, light, dark in re.findall(r"--([\w-]+): light-dark\((#[0-9a-f]{6}), (#[0-9a-f]{6})\);", CSS)
}
GROUNDS = ("paper", "panel", "raised")
TEXTS = ("ink", "muted", "link", "best", "good", "bad")
TEXT, GRAPHIC = 4.5, 3.0  # least ratios


def luminance(colour):
    def linear(value):
        return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[at : at + 2], 16) / 255) for at in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one, other):
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def mixed(colour, share, ground):
    """CSS's color-mix in srgb."""
    channels = ((int(colour[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in channels)


def test_the_ratio_is_the_one_of_the_standard():
    assert ratio("#000000", "#ffffff") == pytest.approx(21)
    assert ratio("#777777", "#ffffff") == pytest.approx(4.48, abs=0.005)


def test_every_colour_is_a_variable():
    outside = re.sub(r"light-dark\([^)]*\)", "", CSS[CSS.index(":root {") : CSS.index("@media print")])
    assert set(re.findall(r"#[0-9a-f]{3,8}\b", outside)) <= {"#000"}  # on the amber of the skip link
    used = set(re.findall(r"var\(--([\w-]+)", CSS))
    assert used - {"fact"} <= set(PAIRS) | {"sans", "mono"}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_words_can_be_read(text, ground, theme):
    assert ratio(PAIRS[text][theme], PAIRS[ground][theme]) >= TEXT


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_words_can_be_read_on_the_band_in_source_and_on_marked_rows(theme):
    board, panel = PAIRS["board"][theme], PAIRS["panel"][theme]
    cases = [(name, board) for name in PAIRS if name.startswith("board-")]
    cases += [(name, panel) for name in PAIRS if name.startswith("t-")]
    shares = {name: int(share) / 100 for name, share in re.findall(r"color-mix\(in srgb, var\(--(\w+)\) (\d+)%", CSS)}
    assert set(shares) == {"best", "good", "bad"}
    for name, share in shares.items():
        behind = mixed(PAIRS[name][theme], share, panel)
        cases += [(text, behind) for text in (name, "ink", "link")]
    assert len(cases) > 15
    for name, behind in cases:
        assert ratio(PAIRS[name][theme], behind) >= TEXT, (name, behind)
    assert ratio("#000000", PAIRS["board-link"][theme]) >= TEXT


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_lines_and_bars_can_be_seen(theme):
    drawn = [name for name in PAIRS if name.startswith(("plot-", "phase-"))]
    assert len(drawn) > 15
    for name in drawn:
        assert ratio(PAIRS[name][theme], PAIRS["panel"][theme]) >= GRAPHIC, name
