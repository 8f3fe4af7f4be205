"""Tracks, data sets and the cards of entries with anything in them: one clear line, or values that make sense."""

import json
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path

import pytest
import tomli_w

from data.manifest import load_manifest, to_toml
from harness import submission
from harness.errors import UserError
from harness.track import TRACKS, load_track
from speedrun import answers, track_docs
from tests.fuzzing import PIECES, amounts, fuzz, overwrite, spoil_bytes, spoil_tree, tapes, unsafe

ROOT = Path(__file__).resolve().parents[2]
VALUES = (
    *(True, False, 0, -1, 1, 2, 2**31, 2**63, 10**30, -(10**400), 1e308, -1e308, 5e-324, 0.5),
    *(float("nan"), float("inf"), "", "cpu", "train", "val", "lowest-loss", "fastest-to-loss", "../up", "9" * 5000),
    *([], {}, [[]], {"a": 1}, ["a"] * 300, {"\n": 1}, *PIECES),
)  # fmt: skip
WORDS = (
    *(b"nan", b"inf", b"1e999", b"9" * 5000, b"[" * 2000, b"[[a]]\n", b"[limits]\n", b"a.b.c = 1\n", b"a." * 300),
    b"\xff",
    *(b'"""', b"'''", b"\\u0000", b"\\ud800", b"\0", b"\r", b"\xef\xbb\xbf", b"#", b"=", b'"\\n" = 1\n', b"\n" * 3000),
    *(b"1979-05-27", b"0000-99-99", b"0x" + b"f" * 5000, b"\xe2\x80\xae", b"{a=1}", b"version = 2\n", b"_" * 1000),
)  # fmt: skip


def one_line(words):
    assert len(words.splitlines()) == 1, words
    assert len(words) < 700
    assert not unsafe(words)


def written(good, tape):
    """As TOML, with values changed; or spoilt by the byte."""
    if tape[-1] % 2:
        return spoil_bytes(good, tape, WORDS)
    try:
        return tomli_w.dumps(spoil_tree(tomllib.loads(good.decode()), tape, VALUES)).encode()
    except (ValueError, TypeError, AttributeError):  # no TOML says that
        return spoil_bytes(good, tape, WORDS)


def numbers(value):
    if isinstance(value, dict):
        for item in value.values():
            yield from numbers(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield value


@amounts
def test_fuzz_tracks(examples, tmp_path, tally):
    files = sorted(TRACKS.glob("*.toml"))
    assert len(files) == 12
    good = {path.name: path.read_bytes() for path in files}
    ends: Counter[str] = Counter()

    def check(tape):
        name = files[tape[0] % 12].name
        path = tmp_path / name
        overwrite(path, written(good[name], tape))
        try:
            track = load_track(path)
        except UserError as error:
            one_line(str(error))
            ends["refused"] += 1
            return
        ends["accepted"] += 1
        assert f"{track.id}.toml" == name
        for number in numbers(json.loads(answers.as_json(answers.ShownTrack(track=track)))):
            assert 0 <= number <= 1e12
        page = track_docs.render([track])
        assert not unsafe(page)

    fuzz(examples, tapes, check)
    tally(f"tracks: {examples:,} spoilt", expected="one line or read", got="one line or read")
    assert ends["refused"] > ends["accepted"] > examples / 100, ends


@amounts
def test_fuzz_manifests(examples, tmp_path, tally):
    files = sorted((ROOT / "data" / "datasets").glob("*.toml"))
    good = {path.name: path.read_bytes() for path in files}
    ends: Counter[str] = Counter()

    def check(tape):
        name = files[tape[0] % len(files)].name
        path = tmp_path / name
        overwrite(path, written(good[name], tape))
        try:
            manifest = load_manifest(path)
        except UserError as error:
            one_line(str(error))
            ends["refused"] += 1
            return
        ends["accepted"] += 1
        overwrite(path, to_toml(manifest).encode())
        assert load_manifest(path) == manifest
        assert len(manifest.sha256) == 64
        for split in manifest.splits.values():
            assert all(shard.file == Path(shard.file).name for shard in split.shards)
            assert split.tokens >= 1

    fuzz(examples // 2, tapes, check)
    tally(f"data sets: {examples // 2:,} spoilt", expected="one line or read", got="one line or read")
    assert ends["refused"] > ends["accepted"] > examples / 100, ends


@amounts
def test_fuzz_cards(examples, tmp_path, tally):
    """submission.toml beside good code."""
    folder = tmp_path / "mine"
    shutil.copytree(ROOT / "tests" / "speedrun" / "bigram", folder, ignore=shutil.ignore_patterns("__pycache__"))
    path = folder / "submission.toml"
    good = path.read_bytes()
    ends: Counter[str] = Counter()

    def check(tape):
        overwrite(path, written(good, tape))
        problems = submission.check(folder, "mine")
        for problem in problems:
            one_line(problem.message)
        if problems:
            ends["refused"] += 1
            return
        entry = submission.load(folder, "mine").entry
        ends["accepted"] += 1
        for words in (
            entry.title,
            entry.technique,
            *(part for author in entry.authors for part in (author.name, author.link)),
        ):
            assert len(words) <= 200
            assert not unsafe(words)
            assert not set(words) & {"\n", "\t"}

    fuzz(examples // 4, tapes, check)
    tally(f"cards: {examples // 4:,} spoilt", expected="one line or read", got="one line or read")
    assert ends["refused"] > ends["accepted"] > examples / 100, ends


@pytest.mark.parametrize(
    "unseen", ["\u202e", "\u061c", "\u00ad", "\u180e", "\u200b", "\u206a", "\U000e0041"], ids=ascii
)
def test_a_source_holds_nothing_that_a_reviewer_cannot_see(unseen, tmp_path):
    folder = tmp_path / "mine"
    shutil.copytree(ROOT / "tests" / "speedrun" / "bigram", folder, ignore=shutil.ignore_patterns("__pycache__"))
    with (folder / "speedrun.py").open("a") as source:
        source.write(f"# a{unseen}b\n")
    (problem,) = submission.check(folder, "mine")
    assert problem.path == "speedrun.py"
    assert "unseen character" in problem.message


def test_a_wrong_key_is_found_in_time_that_grows_with_the_file(tally):
    """The search for its line once began anew at every empty line: half an hour for this file."""
    search = """
from harness.strict_toml import TomlError, decode
from harness.track import TrackFile
try:
    decode("\\n" * 300_000 + '"\\\\u0061b" = 1', TrackFile)
except TomlError as error:
    print(error)
"""
    found = subprocess.run([sys.executable, "-c", search], capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert "unknown key ab" in found.stdout, found.stderr
    tally("300,000 empty lines before a wrong key", expected="one line", got="one line")
