"""Runs of 64 tokens, against brute force."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data import overlap
from data.overlap import RUN_TOKENS, HeldOut, window_hashes


def runs(rows: np.ndarray, run: int = RUN_TOKENS) -> set[bytes]:
    return {row[i : i + run].tobytes() for row in rows for i in range(len(row) - run + 1)}


def test_equal_windows_and_no_others_have_equal_hashes():
    random = np.random.default_rng(3)
    stream = random.integers(0, 2, 4000).astype(np.uint16)
    stream[1000:1200] = stream[3000:3200]
    hashes = window_hashes(stream)
    assert hashes.shape == (4000 - RUN_TOKENS + 1,)
    windows = [stream[i : i + RUN_TOKENS].tobytes() for i in range(hashes.size)]
    assert len(set(windows)) == len(set(hashes.tolist())) == len(set(zip(windows, hashes.tolist(), strict=True)))


@pytest.mark.parametrize("length", [0, 1, 63])
def test_a_short_stream_has_no_window(length):
    assert window_hashes(np.zeros(length, np.uint16)).shape == (0,)
    assert window_hashes(np.zeros((2, length), np.uint16)).shape == (2, 0)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 1 << 32),
    width=st.integers(64, 200),
    symbols=st.integers(1, 300),
    run=st.sampled_from([16, 64]),
    block=st.integers(1, 2000),
)
def test_what_shares_a_run_is_found_and_nothing_else(seed, width, symbols, run, block):
    """Among rows with planted runs that are just long enough or not; with one symbol everything is a repeat."""
    random = np.random.default_rng(seed)
    held = random.integers(0, symbols, (6, width)).astype(np.uint16)
    rows = random.integers(0, symbols, (30, width)).astype(np.uint16)
    for row in rows[::2]:
        length = min(width, run + int(random.integers(-2, 3)))
        to, start = random.integers(0, width - length + 1, 2)
        row[to : to + length] = held[random.integers(0, 6), start : start + length]
    forbidden = runs(held, run)
    due = [bool(runs(row[None], run) & forbidden) for row in rows]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlap, "_BLOCK_WINDOWS", block)
        assert HeldOut([held], run).shared_by(rows).tolist() == due


def test_memory_is_about_eight_bytes_a_held_out_token(monkeypatch):
    monkeypatch.setattr(overlap, "_BLOCK_WINDOWS", 1 << 16)
    tokens = np.random.default_rng(7).integers(0, 256, 4 << 20, dtype=np.uint8)
    tracemalloc.start()
    held_out = HeldOut([tokens[: 2 << 20]], 256)
    assert held_out.shared_by(tokens[None, -(2 << 20) - 255 :]).tolist() == [False]
    assert held_out.shared_by(tokens[None, -(2 << 20) - 256 :]).tolist() == [True]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * (2 << 20)


def test_documents_of_any_length():
    random = np.random.default_rng(5)
    texts = [random.integers(0, 256, length).astype(np.uint8) for length in (3, 40, 63, 64, 500)]
    held_out = HeldOut(texts)
    assert [held_out.shared_by(text[None]).tolist() for text in texts] == [[True]] * 5
    assert not held_out.shared_by(texts[2][None, :-1]).any()  # part of a short document is no run
    assert held_out.shared_by(np.concatenate([texts[0], texts[3]])[None]).all()


def test_without_held_out_text_nothing_repeats():
    assert not HeldOut([]).shared_by(np.zeros((2, 100), np.uint16)).any()
