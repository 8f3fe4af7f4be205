"""What lies in the machine's memory of files: dropped so that the kernel itself says so, and no message any more."""

import ctypes
import mmap
import os
import subprocess
import sysconfig
from pathlib import Path

import pytest

from harness import page_cache
from harness.result import Verdict
from harness.sandbox import choose
from harness.sandbox_plan import SYSTEM_TREES, Interpreter

CHEATS = Path(__file__).resolve().parents[1] / "cheats"
PAGES = 64
TRIES = 5


@pytest.fixture
def large(tmp_path) -> Path:
    path = tmp_path / "deep" / "large"
    path.parent.mkdir()
    path.write_bytes(os.urandom(PAGES * mmap.PAGESIZE))
    subprocess.run(["sync", path], check=True)
    if subprocess.run(["stat", "-f", "-c", "%T", path], capture_output=True, text=True, check=True).stdout == "tmpfs\n":
        pytest.skip("temporary files lie in memory alone")
    return path


def in_memory(path: Path) -> int:
    """How many pages of the file the kernel holds in memory (mincore)."""
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        states = (ctypes.c_ubyte * PAGES)()
        address = ctypes.addressof(ctypes.c_char.from_buffer(view))
        libc = ctypes.CDLL(None, use_errno=True)
        assert libc.mincore(ctypes.c_void_p(address), ctypes.c_size_t(len(view)), states) == 0
        return sum(state & 1 for state in states)


def test_pages_are_dropped(large):
    large.read_bytes()
    assert in_memory(large) == PAGES
    page_cache.forget([large.parent.parent])
    assert in_memory(large) == 0
    large.read_bytes()
    page_cache.forget([large])  # a tree may be a file
    assert in_memory(large) == 0


def test_what_cannot_be_opened_is_no_error(tmp_path):
    (tmp_path / "dangling").symlink_to("nowhere")
    os.mkfifo(tmp_path / "fifo")
    page_cache.forget([tmp_path, tmp_path / "nowhere"])


def test_reading_from_disk_is_counted(large):
    page_cache.forget([large])
    before = page_cache.paged_in_kib()
    large.read_bytes()
    assert page_cache.paged_in_kib() - before >= PAGES * mmap.PAGESIZE / 1024


def test_a_few_pages_are_no_message_and_no_count_is_one():
    assert not page_cache.told(1000, 1000 + page_cache.LEAST_KIB)
    assert page_cache.told(1000, 1001 + page_cache.LEAST_KIB)
    assert page_cache.told(float("inf"), float("inf"))


@pytest.mark.sandbox
@pytest.mark.redteam
def test_without_it_the_twin_would_believe_a_whisper(run_folder, tally):
    """The control of tests/cheats/whispers_through_the_cache: the same entry, and nothing is dropped in between."""
    if choose(None) != "namespaces":
        pytest.skip("written for level namespaces")
    page_cache.forget((*SYSTEM_TREES, *Interpreter.current().trees))
    packages = Path(sysconfig.get_path("purelib"), "torch").rglob("*")
    plain = max(
        (path for path in packages if path.is_file() and ".so" not in path.name), key=lambda p: p.stat().st_size
    )
    before = page_cache.paged_in_kib()
    plain.read_bytes()
    if not page_cache.told(before, page_cache.paged_in_kib()):
        pytest.skip("this machine does not count what it reads from the libraries' file system")
    for _ in range(TRIES):  # whoever drops or reads these files meanwhile, another test too, spoils the note
        record, _ = run_folder(CHEATS / "whispers_through_the_cache")
        if record.verdict is Verdict.OK:
            break
        page_cache.forget((*SYSTEM_TREES, *Interpreter.current().trees))
    words = f"a whisper through the page cache, undefended, within {TRIES} tries"
    tally(words, level="namespaces", expected="ok", got=str(record.verdict))
    assert record.verdict is Verdict.OK, record.reason
    assert record.score.loss_nats < 2.4
