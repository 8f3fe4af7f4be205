"""What a folder must hold and must not; hostile folders do nothing but get refused."""

import os
import socket
from pathlib import Path

import pytest

from harness import folder as folder_module
from harness.errors import UserError
from harness.folder import MAX_BYTES, MAX_DEPTH, MAX_FILES, MAX_LISTED
from harness.submission import load
from tests.harness.submission.folders import only, told


@pytest.mark.parametrize("missing", ["config.py", "speedrun.py", "submission.toml"])
def test_missing_files(entry, missing):
    (entry / missing).unlink()
    only(entry, f"{missing}: is missing")


def test_a_missing_folder_a_file_and_a_link_instead_of_a_folder(entry, tmp_path):
    assert "cannot be opened" in told(entry.parent / "nothing")[0]
    assert "cannot be opened" in told(entry / "config.py")[0]
    assert "cannot be opened" in told(Path("a\0b"))[0]
    (tmp_path / "link").symlink_to(entry)
    assert "the folder is a link" in told(tmp_path / "link")[0]
    with pytest.raises(UserError, match="entry me: the folder is a link"):
        load(tmp_path / "link", "me")


def test_load_tells_the_first_problem_and_how_many_more(entry):
    (entry / "config.py").write_text("x = (")
    (entry / "submission.toml").unlink()
    with pytest.raises(UserError, match=r"^entry me: submission.toml: is missing.*\(and 1 more: speedrun check me\)$"):
        load(entry, "me")


def test_links_of_every_kind(entry, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    (entry / "in.txt").symlink_to("config.py")
    (entry / "out.txt").symlink_to(secret)
    (entry / "dead.txt").symlink_to("nowhere")
    (entry / "dir").symlink_to(tmp_path)
    (entry / "loop").symlink_to("loop")
    os.link(secret, entry / "hard.txt")
    problems = told(entry)
    assert [problem.split(":")[0] for problem in problems] == [
        "dead.txt",
        "dir",
        "hard.txt",
        "in.txt",
        "loop",
        "out.txt",
    ]
    assert all("link" in problem for problem in problems)
    assert "the secret" not in "".join(problems)


def test_fifos_and_sockets_do_not_hang(entry, monkeypatch):
    os.mkfifo(entry / "pipe.py")
    monkeypatch.chdir(entry)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("sock.py")
        problems = told(entry)
    assert [problem.split(";")[0] for problem in problems] == ["pipe.py: is a FIFO", "sock.py: is a socket"]


@pytest.mark.parametrize("swap", ["link", "fifo", "folder", "hard link"])
def test_a_file_swapped_after_it_was_listed_is_not_read(entry, tmp_path, monkeypatch, swap):
    secret = tmp_path / "secret"
    secret.write_text("the secret")
    victim = entry / "notes.md"
    victim.write_text("honest")
    opened = os.open

    def swapping(path, flags, *args, **kwargs):
        if path == "notes.md":
            victim.unlink()
            match swap:
                case "link":
                    victim.symlink_to(secret)
                case "fifo":
                    os.mkfifo(victim)
                case "folder":
                    victim.mkdir()
                case "hard link":
                    os.link(secret, victim)
        return opened(path, flags, *args, **kwargs)

    monkeypatch.setattr(folder_module.os, "open", swapping)
    problems = told(entry)
    assert len(problems) == 1
    assert problems[0].startswith("notes.md: ")
    assert "notes.md" not in folder_module.read_folder(entry).texts


def test_a_folder_swapped_for_a_link_is_not_entered(entry, tmp_path, monkeypatch):
    (tmp_path / "private").mkdir()
    (tmp_path / "private" / "secret.txt").write_text("the secret")
    (entry / "layers").mkdir()
    opened = os.open

    def swapping(path, flags, *args, **kwargs):
        if path == "layers":
            (entry / "layers").rmdir()
            (entry / "layers").symlink_to(tmp_path / "private")
        return opened(path, flags, *args, **kwargs)

    monkeypatch.setattr(folder_module.os, "open", swapping)
    read = folder_module.read_folder(entry)
    assert not any("secret" in text for text in read.texts.values())
    assert [problem.path for problem in read.problems] == ["layers"]


def test_too_large(entry):
    (entry / "notes.md").write_text("a word \n" * (MAX_BYTES // 8 - 400))
    assert told(entry) == []
    (entry / "more.md").write_text("a word \n" * 400)
    only(entry, "larger than 256 KiB")
    with (entry / "more.md").open("wb") as sparse:
        sparse.truncate(1 << 40)
    only(entry, "larger than 256 KiB")


def test_too_many_files_names_and_folders(entry):
    for number in range(MAX_FILES - 3):
        (entry / f"n{number}.md").touch()
    assert told(entry) == []
    (entry / "one-more.md").touch()
    only(entry, f"more than {MAX_FILES} files")
    (entry / "many").mkdir()
    for number in range(MAX_LISTED):
        (entry / "many" / f"{number}.pyc").touch()
    only(entry, f"more than {MAX_LISTED} names")


def test_too_deep(entry):
    deep = entry.joinpath(*"abcdefgh"[:MAX_DEPTH])
    deep.mkdir(parents=True)
    (deep / "x.md").touch()
    assert told(entry) == []
    (deep / "e").mkdir()
    only(entry, "a/b/c/d/e: folders are nested more than")


@pytest.mark.parametrize(
    ("data", "line", "why"),
    [
        (b"one\ntwo\xff\n", 2, "not UTF-8"),
        ("è".encode("latin-1"), 1, "not UTF-8"),
        (b"a\nb\nc\0", 3, "NUL"),
        (b"\x7fELF\x02", 1, "U+007F"),
        (b"\x1b[2J", 1, "U+001B"),
        ("ok\n\u202eevil".encode(), 2, "U+202E"),
        ("\ufeffx".encode(), 1, "U+FEFF"),
        ("x\U000e0041".encode(), 1, "U+E0041"),
    ],
)
def test_binary_and_unseen_characters(entry, data, line, why):
    (entry / "notes.md").write_bytes(data)
    only(entry, f"notes.md:{line}: ", why)


def test_hostile_file_names(entry):
    for name in (b"new\nline.md", b"\xff.md", b"\x1b[31m.md", "е.md".encode(), b"a b.md", b"x" * 150):
        (entry / os.fsdecode(name)).touch()
    problems = told(entry)
    assert len(problems) == 6
    assert all(problem.isascii() and problem.isprintable() for problem in problems)


def test_names_that_differ_by_capitals(entry):
    (entry / "Config.py").touch()
    only(entry, "differ by capitals")


@pytest.mark.parametrize(
    "path", ["json.py", "numpy/__init__.py", "harness.py", "torch/x.md", "speedrun/a.py", "config/__init__.py"]
)
def test_files_that_pass_for_another_module(entry, path):
    (entry / path).parent.mkdir(exist_ok=True)
    (entry / path).touch()
    only(entry, path, "rename it")


def test_modules_of_its_own_and_below_are_fine(entry):
    (entry / "layers").mkdir()
    for path in ("layers/json.py", "attention.py", "README.md", "json.md"):
        (entry / path).touch()
    assert told(entry) == []
