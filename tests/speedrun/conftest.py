"""A checkout of its own for every test of the command line, and the command itself."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from data.shards import shard_sha256, write_shard
from harness import page_cache
from harness.result import Record, encode
from speedrun.app import main
from speedrun.workspace import Workspace

ROOT = Path(__file__).resolve().parents[2]


class Said(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


@pytest.fixture
def workspace(tmp_path, monkeypatch) -> Workspace:
    """A small checkout with the real template, tracks and data sets, and nothing else; the current one."""
    root = tmp_path / "checkout"
    for folder in ("template", "harness/tracks", "data/datasets"):
        shutil.copytree(ROOT / folder, root / folder)
    monkeypatch.setenv("SPEEDRUN_ROOT", str(root))
    monkeypatch.setenv("SPEEDRUN_LOCKS", str(tmp_path / "locks"))
    monkeypatch.setenv("COLUMNS", "220")
    monkeypatch.delenv("SPEEDRUN_DEBUG", raising=False)
    monkeypatch.setattr(page_cache, "told", lambda before, after: False)  # other tests read the disk, too
    monkeypatch.chdir(root)
    return Workspace(root)


@pytest.fixture
def blink(workspace) -> str:
    """A track on a small data set of letters, both as official as any. Its limit is never reached, on no machine."""
    random = np.random.default_rng(7)
    splits = ""
    for split, tokens in (("train", 60_000), ("val", 4_097), ("spare", 8_192)):
        path = workspace.cache / "letters" / f"{split}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        walk = np.cumsum(random.integers(-2, 3, tokens)) % 26 + ord("a")
        write_shard(path, walk.astype(np.uint16))
        splits += (
            f"[splits.{split}]\ndocuments = 1\ntokens = {tokens}\nbytes = {tokens}\n"
            f'[[splits.{split}.shards]]\nfile = "{path.name}"\ntokens = {tokens}\nsha256 = "{shard_sha256(path)}"\n'
        )
    (workspace.datasets / "letters.toml").write_text(
        'id = "letters"\ntitle = "A walk through the alphabet"\nversion = 1\ntokenizer = "bytes"\nvocab_size = 256\n'
        f'[source]\nkind = "generator"\nseed = 7\n{splits}'
        "[[splits.val.floors]]\ntargets = 4096\nnats = 1.6094379124341003\n"  # ln 5: one of five steps
    )
    track = (workspace.tracks / "cpu-smoke.toml").read_text()
    for old, new in (
        ('id = "cpu-smoke"', 'id = "cpu-blink"'),
        ('dataset = "tales"', 'dataset = "letters"'),
        ("train_s = 8.0", "train_s = 600.0"),
        ("load_s = 20.0", "load_s = 600.0"),
        ("targets = 65_536", "targets = 4_096"),
    ):
        assert old in track
        track = track.replace(old, new)
    (workspace.tracks / "cpu-blink.toml").write_text(track)
    return "cpu-blink"


@pytest.fixture
def speedrun(workspace, capfd) -> Callable[..., Said]:
    """Runs a command line in this process and in the test's own checkout."""

    def run(*arguments: str | os.PathLike[str]) -> Said:
        capfd.readouterr()
        code = main([str(argument) for argument in arguments])
        return Said(code, *capfd.readouterr())

    return run


@pytest.fixture
def stored(workspace) -> Callable[[Record], Path]:
    """Puts a record where records lie."""

    def store(record: Record) -> Path:
        path = workspace.results / record.track.id / f"{record.run_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(record))
        return path

    return store


@pytest.fixture
def entry(workspace) -> Callable[..., Path]:
    """Makes a small entry that keeps every static rule: `entry("mine")`."""

    def make(name: str, **files: str) -> Path:
        folder = workspace.submissions / name
        shutil.copytree(Path(__file__).parent / "bigram", folder)
        for stem, text in files.items():
            (folder / f"{stem}.py").write_text(text)
        return folder

    return make
