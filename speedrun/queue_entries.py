"""The entries of a checkout as their folders have them: text that is read, and rules that are checked; nothing runs."""

import hashlib
import multiprocessing
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness import submission
from harness.folder import read_folder
from harness.result import Author, SourceFile, source_sha256
from harness.strict_toml import TomlError, decode
from harness.submission import Problem

# A whole entry takes about 0.1 s to check, a process about 0.3 s to start.
WORTH_A_PROCESS = 32  # entries


class _Card(msgspec.Struct, frozen=True):
    """What a list shows of submission.toml; whether the file keeps the rules, the check says."""

    title: str = ""
    authors: tuple[Author, ...] = ()


class FoundEntry(NamedTuple):
    """An entry's folder. Texts are as a stranger wrote them, and no rule has been checked."""

    name: str
    folder: Path
    title: str
    authors: tuple[Author, ...]
    source_sha256: str
    texts: Mapping[str, str]  # path → content


def each(submissions: Path) -> Iterator[FoundEntry]:
    """The entries by name, one at a time: all their texts together may be large. Raises OSError."""
    try:
        names = sorted(entry.name for entry in submissions.iterdir() if entry.is_dir() and entry.name[0] not in "._")
    except FileNotFoundError:
        names = []
    for name in names:
        texts = read_folder(submissions / name).texts
        card = _card(texts.get("submission.toml", ""))
        yield FoundEntry(name, submissions / name, card.title, card.authors, _sha256(texts), texts)


def problems(folders: Sequence[Path]) -> list[tuple[Problem, ...]]:
    """Every static rule that each of the entries breaks; many are looked at side by side."""
    workers = min(len(folders) // WORTH_A_PROCESS, len(os.sched_getaffinity(0)))
    if workers < 2:
        return [_check(folder) for folder in folders]
    # A fresh interpreter each: a fork of a process with threads may hang.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_leave_interrupts_to_the_parent) as pool:
        return list(pool.map(_check, folders, chunksize=8))


def _check(folder: Path) -> tuple[Problem, ...]:
    return submission.check(folder, folder.name)


def _leave_interrupts_to_the_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _card(text: str) -> _Card:
    if len(text) > submission.MAX_CARD:
        return _Card()
    try:
        return decode(text, _Card)
    except TomlError:
        return _Card()


def _sha256(texts: Mapping[str, str]) -> str:
    """As a record of this source names it."""
    return source_sha256(
        SourceFile(path=path, text="", sha256=hashlib.sha256(text.encode()).hexdigest()) for path, text in texts.items()
    )
