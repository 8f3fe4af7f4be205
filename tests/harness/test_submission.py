"""The static rules: what a folder must hold, what it must not, and that hostile folders do nothing but get refused."""

import base64
import contextlib
import os
import random
import socket
import string
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import folder as folder_module
from harness import hidden_data, repository
from harness.errors import UserError
from harness.folder import MAX_BYTES, MAX_DEPTH, MAX_FILES, MAX_LISTED, safe_path
from harness.result import Source, SourceFile, source_sha256
from harness.submission import (
    ConfigField,
    Submission,
    check,
    check_name,
    find,
    load,
    parse_overrides,
    snapshot,
)

SPEEDRUN = '''"""An entry."""

import torch


def setup(run):
    return torch.nn.Linear(2, 2)


def train(run, model):
    return model


@torch.no_grad()
def predict(model, tokens):
    return model(tokens)
'''

CONFIG = """from dataclasses import dataclass
from typing import ClassVar, Optional


@dataclass(frozen=True)
class Config:
    lr: float = 3e-4  # a remark
    d_model: int = 128
    name: "str" = "gpt"
    fused: bool = True
    betas: tuple[float, float] = (0.9, 0.95)
    widths: tuple[int, ...] = ()
    limit: int | None = None
    share: Optional[float] = None
    kinds: ClassVar[int] = 3


def get_config(track_id):
    return Config()
"""

CARD = """title = "Small and quick"
technique = "Muon on everything"
based_on = "baseline"

[[authors]]
name = "Ada Ω"
link = "https://example.org/ada"

[[authors]]
name = "Bob"
link = "@bob"
"""


@pytest.fixture
def entry(tmp_path):
    """A folder that keeps every rule."""
    folder = tmp_path / "submissions" / "me"
    folder.mkdir(parents=True)
    (folder / "speedrun.py").write_text(SPEEDRUN)
    (folder / "config.py").write_text(CONFIG)
    (folder / "submission.toml").write_text(CARD)
    return folder


def told(folder, name="me"):
    return [str(problem) for problem in check(folder, name)]


def only(folder, *parts):
    """There is exactly one problem, and it says every part."""
    problems = told(folder)
    assert len(problems) == 1, problems
    assert "\n" not in problems[0]
    for part in parts:
        assert part in problems[0]


# -------------------------------------------------------------------------------------------------------- good ones


def test_a_good_entry_loads(entry):
    assert check(entry, "me") == ()
    submission = load(entry, "me")
    assert submission.entry.title == "Small and quick"
    assert [author.link for author in submission.entry.authors] == ["https://example.org/ada", "@bob"]
    assert submission.entry.based_on == "baseline"
    assert [file.path for file in submission.source.files] == ["config.py", "speedrun.py", "submission.toml"]
    assert submission.source.files[1].text == SPEEDRUN
    assert submission.source.sha256 == source_sha256(submission.source.files)
    assert submission.fields[0] == ConfigField("lr", "float", "0.0003")
    names = ["lr", "d_model", "name", "fused", "betas", "widths", "limit", "share"]
    assert [field.name for field in submission.fields] == names


def test_a_snapshot_is_the_source_byte_for_byte_and_nothing_else(entry, tmp_path):
    (entry / "layers").mkdir()
    (entry / "layers" / "norm.py").write_bytes(b"x = 1\r\ny = 2\n")
    (entry / "README.md").write_text("Größe, 大きさ\n")
    (entry / "__pycache__").mkdir()
    (entry / "__pycache__" / "config.cpython-311.pyc").write_bytes(b"\0\xff")
    (entry / "old.pyc").write_bytes(b"\0\xff")
    (entry / ".mypy_cache").mkdir()
    (entry / ".mypy_cache" / "x.db").write_bytes(b"\0\xff")
    submission = load(entry, "me")
    copy = tmp_path / "copy"
    old = os.umask(0o077)
    try:
        snapshot(submission, copy)
    finally:
        os.umask(old)
    written = {str(path.relative_to(copy)): path for path in copy.rglob("*") if path.is_file()}
    assert sorted(written) == ["README.md", "config.py", "layers/norm.py", "speedrun.py", "submission.toml"]
    for path, copied in written.items():
        assert copied.read_bytes() == (entry / path).read_bytes()
        assert copied.stat().st_mode & 0o777 == 0o644
    assert (copy / "layers").stat().st_mode & 0o777 == 0o755
    with pytest.raises(FileExistsError):
        snapshot(submission, copy)


@pytest.mark.parametrize("path", ["../x.py", "/x.py", "a//b.py", "a/../b.py", ".", "..", "", "a\0b", "ä.py"])
def test_a_snapshot_never_leaves_its_folder(entry, tmp_path, path):
    honest = load(entry, "me")
    files = (SourceFile(path=path, text="x", sha256="0"),)
    forged = Submission(name="me", entry=honest.entry, source=Source(files=files, sha256="0"), fields=None)
    assert not safe_path(path)
    with pytest.raises(ValueError, match="not a path inside an entry"):
        snapshot(forged, tmp_path / "copy")


def test_nothing_is_imported_or_executed(entry, tmp_path):
    mark = tmp_path / "mark"
    trap = f"open({str(mark)!r}, 'w').close()\n"
    for name, text in (("speedrun.py", SPEEDRUN), ("config.py", CONFIG), ("__init__.py", ""), ("conftest.py", "")):
        (entry / name).write_text(text + trap)
    assert check(entry, "me") == ()
    load(entry, "me")
    assert not mark.exists()


# ------------------------------------------------------------------------------------------------------------ names


@pytest.mark.parametrize("name", ["me", "0", "a-b_c", "9lives", "x" * 40])
def test_names_that_are_allowed(name):
    check_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Me",
        "x" * 41,
        "a/b",
        "..",
        "a..b",
        ".me",
        "-me",
        "_me",
        "mé",
        "m\u0435",
        "me\n",
        "me ",
        "a\0",
        "\x1b[31m",
        "ⅿe",
        "me.py",
    ],
)
def test_names_that_are_not(entry, name):
    with pytest.raises(UserError) as error:
        check_name(name)
    assert "\n" not in str(error.value)
    assert "\x1b" not in str(error.value)
    assert any("cannot be an entry's name" in problem for problem in told(entry, name))


def test_finding_an_entry(entry):
    submissions = entry.parent
    assert find("me", submissions) == entry
    with pytest.raises(UserError, match="no entry 'mee': did you mean me"):
        find("mee", submissions)
    for bad in ("Me", "..", "", "me\0"):
        with pytest.raises(UserError):
            find(bad, submissions)
    with pytest.raises(UserError, match="there are none yet"):
        find("me", submissions / "nowhere")


def test_finding_an_entry_by_its_path(entry, monkeypatch):
    submissions = entry.parent
    assert find(str(entry), submissions / "elsewhere") == entry
    monkeypatch.chdir(entry)
    assert find(".", submissions) == entry
    assert find("./", submissions) == entry
    for bad, why in (("../me", "climbs"), ("a/b", "no folder"), ("./a\0b", "no folder"), ("/", "cannot be")):
        with pytest.raises(UserError, match=why):
            find(bad, submissions)
    (submissions / "Bad Name").mkdir()
    with pytest.raises(UserError, match="cannot be an entry's name"):
        find(str(submissions / "Bad Name"), submissions)


@pytest.mark.parametrize("twin", ["ME", "rne"])
def test_look_alikes_of_another_entry_are_refused(entry, twin):
    other = entry.parent / twin
    other.mkdir()
    assert told(entry) == []  # a folder that is no entry
    (other / "speedrun.py").write_text("")
    if twin == "ME":
        only(entry, "readers would take 'me' for the entry 'ME'")
    else:
        assert any("readers would take" in problem for problem in told(other, "rne"))


@pytest.mark.parametrize(("name", "other"), [("base1ine", "baseline"), ("g0", "go"), ("a_b", "a-b"), ("vv", "w")])
def test_confusable_letters(entry, name, other):
    for folder in (name, other):
        (entry.parent / folder).mkdir()
        (entry.parent / folder / "speedrun.py").write_text("")
    assert any("readers would take" in problem for problem in told(entry.parent / name, name))


# ------------------------------------------------------------------------------------------------- files and folders


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


# ----------------------------------------------------------------------------------------------------------- Python


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("x = 1\nif x\n", "extra.py:2: syntax error"),
        ("\n\nreturn 1\n", "extra.py:3: syntax error"),
        ("def f(a, a): pass\n", "extra.py:1: syntax error"),
        ("x = " + "9" * 5000, "extra.py:1: syntax error"),
        ("x = " + "-" * 100_000 + "1", "extra.py: cannot be compiled"),
        ("x = a" + "+a" * 50_000, "extra.py: cannot be compiled"),
        ("x = " + "(" * 1000, "extra.py:1: syntax error"),
        ("# coding: latin-1\n", "extra.py:1: declares the encoding latin-1"),
        ("#!/bin/x\n# -*- coding: utf-7 -*-\n", "extra.py:2: declares the encoding utf-7"),
    ],
)
def test_python_that_does_not_compile(entry, text, place):
    (entry / "extra.py").write_text(text)
    assert any(place in problem for problem in told(entry))


@pytest.mark.parametrize(
    "text", ["# -*- coding: utf-8 -*-\n", "x = '\\d'\n", "\f\nx = 1\r\n", "from __future__ import annotations\n"]
)
def test_python_that_compiles(entry, text):
    (entry / "extra.py").write_text(text, newline="")
    assert told(entry) == []


@pytest.mark.parametrize("name", ["setup", "train", "predict"])
def test_a_missing_function(entry, name):
    (entry / "speedrun.py").write_text(SPEEDRUN.replace(f"def {name}(", f"def my_{name}("))
    only(entry, f"speedrun.py: does not define {name}(", "see template/")


@pytest.mark.parametrize(
    ("definition", "fine"),
    [
        ("def train(run, model, extra=None): pass", True),
        ("def train(*args): pass", True),
        ("def train(run, /, model, *, loud=False): pass", True),
        ("def train(run=None, model=None): pass", True),
        ("def train(run, model=None, *rest): pass", True),
        ("def train(run): pass", False),
        ("def train(run, model, extra): pass", False),
        ("def train(run, model, *, loud): pass", False),
        ("def train(**options): pass", False),
        ("async def train(run, model): pass", False),
    ],
)
def test_the_number_of_arguments(entry, definition, fine):
    (entry / "speedrun.py").write_text(f"{SPEEDRUN}\n\n{definition}\n")
    problems = told(entry)
    assert (problems == []) == fine
    if not fine:
        assert problems[0].startswith("speedrun.py:19: train must")


def test_save_and_load_come_together(entry):
    (entry / "speedrun.py").write_text(SPEEDRUN + "\ndef save(model, folder): pass\n")
    only(entry, "speedrun.py:18", "defines save without load")
    (entry / "speedrun.py").write_text(
        SPEEDRUN + "\ndef save(model, folder): pass\ndef load(run, model, folder): pass\n"
    )
    assert told(entry) == []


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("class Config", "class Settings", "does not define the class Config"),
        ("@dataclass(frozen=True)\n", "", "must be a frozen dataclass"),
        ("(frozen=True)", "", "must be a frozen dataclass"),
        ("frozen=True", "frozen=False", "must be a frozen dataclass"),
        ("def get_config", "def config_of", "does not define get_config(track_id)"),
        ("get_config(track_id)", "get_config()", "must take 1 positional"),
    ],
)
def test_config_rules(entry, old, new, why):
    (entry / "config.py").write_text(CONFIG.replace(old, new, 1))
    only(entry, "config.py", why)


@pytest.mark.parametrize(
    ("old", "new"),
    [("class Config:", "class Config(Base):"), ("d_model: int = 128", "d_model: int = field(init=False, default=1)")],
)
def test_fields_that_source_does_not_tell(entry, old, new):
    (entry / "config.py").write_text(CONFIG.replace(old, new))
    assert load(entry, "me").fields is None


def test_the_spelling_dataclasses_dot_dataclass(entry):
    text = CONFIG.replace("@dataclass(", "@dataclasses.dataclass(").replace(
        "from dataclasses import dataclass", "import dataclasses"
    )
    (entry / "config.py").write_text(text)
    assert len(load(entry, "me").fields) == 8


# -------------------------------------------------------------------------------------------------- submission.toml


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("title =", "tittle =", "submission.toml:1: unknown key tittle"),
        ('link = "@bob"', 'url = "@bob"', "submission.toml:11: unknown key authors[1].url"),
        ('technique = "Muon on everything"\n', "", "the key technique is missing"),
        ('"Small and quick"', "3", "submission.toml:1: title: Expected `str`, got `int`"),
        ('"Small and quick"', '"Small', "submission.toml:1: not valid TOML"),
        ('"Small and quick"', '""', "title: one line of 1 to 100"),
        ('"Small and quick"', '"' + "x" * 101 + '"', "title: one line of 1 to 100"),
        ('"Small and quick"', '"two\\nlines"', "title: one line"),
        ('"Small and quick"', '"red \\u001B[31m"', "title: one line"),
        ('"Small and quick"', '"\\u202Eevil"', "title: one line"),
        ('"Small and quick"', '" x"', "title: one line"),
        ('"Small and quick"', "2026-02-30", "not valid TOML"),
        ('"Muon on everything"', '"' + "x" * 201 + '"', "technique: one line of 1 to 200"),
        ('"Ada Ω"', '"' + "x" * 81 + '"', "name of author 1"),
        ('"@bob"', '"javascript:alert(1)"', "link of author 2: write https://"),
        ('"@bob"', '"http://example.org"', "link of author 2"),
        ('"@bob"', '"https://e.org/)[x](y"', "link of author 2"),
        ('"@bob"', '"https://e.org/<b>"', "link of author 2"),
        ('"@bob"', '"https://e.org/' + "x" * 200 + '"', "link of author 2"),
        ('"@bob"', '"@b ob"', "link of author 2"),
        ('"baseline"', '"../baseline"', "based_on: give the name"),
        ('"baseline"', '"me"', "based_on: give the name of another"),
    ],
)
def test_card_rules(entry, old, new, why):
    assert old in CARD
    (entry / "submission.toml").write_text(CARD.replace(old, new, 1))
    only(entry, "submission.toml", why)


def test_a_card_needs_authors_and_is_short(entry):
    head = CARD.partition("[[authors]]")[0]
    (entry / "submission.toml").write_text(head + "authors = []\n")
    only(entry, "authors: name 1 to 20 authors")
    (entry / "submission.toml").write_text(head + '[[authors]]\nname = "x"\n' * 21)
    only(entry, "authors: name 1 to 20 authors")
    (entry / "submission.toml").write_text(CARD + "# a remark\n" * 2000)
    only(entry, "is longer than 16,384 characters")
    (entry / "submission.toml").write_text("x = " + "[" * 5000)
    only(entry, "not valid TOML")


def test_every_problem_of_a_card_is_told_at_once(entry):
    (entry / "submission.toml").write_text(CARD.replace("Small and quick", "").replace("@bob", "ftp://x"))
    assert len(told(entry)) == 2


# ------------------------------------------------------------------------------------------------------ hidden data

RANDOM = random.Random(20240520)
BYTES = bytes(RANDOM.randrange(256) for _ in range(2048))
BASE64 = base64.b64encode(BYTES).decode()
LETTERS = "".join(RANDOM.choice(string.ascii_lowercase) for _ in range(3000))

HIDDEN = {
    "base64": f"x = {BASE64!r}",
    "base85": f"x = {base64.b85encode(BYTES).decode()!r}",
    "base32": f"x = {base64.b32encode(BYTES).decode()!r}",
    "hexadecimal": f"x = bytes.fromhex({BYTES.hex()!r})",
    "escapes": f"x = {BYTES!r}",
    "lower-case letters": f"x = {LETTERS!r}",
    "integers": f"x = {[RANDOM.randrange(50_000) for _ in range(2000)]}",
    "small integers": f"x = {[RANDOM.randrange(10) for _ in range(2000)]}",
    "bits": f"x = {[RANDOM.randrange(2) for _ in range(2000)]}",
    "bits in a string": f"x = {''.join(str(RANDOM.randrange(2)) for _ in range(8000))!r}",
    "floats": f"x = {[RANDOM.gauss(0, 1) for _ in range(2000)]}",
    "short floats": f"x = {[round(RANDOM.gauss(0, 1), 2) for _ in range(2000)]}",
    "one number a line": "x = [\n" + "".join(f"    {RANDOM.random()},\n" for _ in range(2000)) + "]",
    "ideographs": f"x = {''.join(chr(0x4E00 + RANDOM.randrange(20_000)) for _ in range(1000))!r}",
    "accented letters": f"x = {''.join(chr(0x100 + byte) for byte in BYTES)!r}",
    "Cyrillic letters": f"x = {''.join(chr(0x400 + byte) for byte in BYTES)!r}",
    "Braille": f"x = {''.join(chr(0x2800 + byte) for byte in BYTES)!r}",
    "emoji": f"x = {''.join(chr(0x1F300 + byte) for byte in BYTES)!r}",
    "short literals in a list": f"x = ''.join({[BASE64[i : i + 4] for i in range(0, len(BASE64), 4)]})",
    "pairs in a list": f"x = ''.join({[BASE64[i : i + 2] for i in range(0, len(BASE64), 2)]})",
    "characters in a list": f"x = ''.join({list(BASE64)})",
    "lines of a sum": "x = (" + "\n + ".join(repr(BASE64[i : i + 20]) for i in range(0, len(BASE64), 20)) + ")",
    "many assignments": "\n".join(f"weight_{i} = {RANDOM.getrandbits(64)}" for i in range(256)),
    "comments": "\n".join(f"# {BASE64[i : i + 60]}" for i in range(0, len(BASE64), 60)),
    "a docstring": '"""\n' + "\n".join(BASE64[i : i + 70] for i in range(0, len(BASE64), 70)) + '\n"""',
    "many small tables": "\n".join(f"t{i} = {[i % 2] * 500}" for i in range(5)),
    "a table of words": f"x = {['alpha', 'beta', 'gamma'] * 200}",
    # Below the allowance of every window; the entry's own allowance bounds it.
    "thin among words": "\n".join(
        f"v = '{RANDOM.getrandbits(64):016x}'  # why this matters to all of us here" for _ in range(1000)
    ),
}


@pytest.mark.parametrize("kind", HIDDEN)
def test_hidden_data_is_refused_with_its_line(entry, kind):
    (entry / "extra.py").write_text('"""Honest words come first."""\n\n' + HIDDEN[kind] + "\n")
    problems = [problem for problem in check(entry, "me") if "no weights and no data" in problem.message]
    assert problems, told(entry)
    assert all(problem.path == "extra.py" and problem.line >= 3 for problem in problems)


@pytest.mark.parametrize("kind", ["base64", "hexadecimal", "integers", "floats", "ideographs"])
@pytest.mark.parametrize("name", ["README.md", "data.txt", "table.csv", "vocab.json"])
def test_hidden_data_in_files_of_any_kind(entry, kind, name):
    (entry / name).write_text(HIDDEN[kind][4:])
    assert any(problem.path == name for problem in check(entry, "me"))


def prose():
    from pydoc_data import topics

    return "\n".join(topics.topics[name] for name in sorted(topics.topics))[:200_000]


def standard_library(*names):
    import sysconfig

    folder = Path(sysconfig.get_path("stdlib"))
    return [(folder / f"{name}.py").read_text() for name in names]


def test_honest_text_passes(entry):
    repository_root = Path(__file__).parents[2]
    texts = [
        *standard_library(
            "argparse", "dataclasses", "inspect", "typing", "ast", "tokenize", "random", "heapq", "textwrap"
        ),
        *standard_library(
            "_pydecimal", "datetime", "tarfile", "subprocess", "unittest/mock", "turtle", "difflib", "re/_parser"
        ),
        prose(),
        (repository_root / "LICENSE").read_text(),
        *(path.read_text() for path in sorted((repository_root / "template").glob("*.py"))),
        *(path.read_text() for path in sorted((repository_root / "harness").glob("*.py"))),
        "R = re.compile(r'(?:[a-zA-Z0-9_.+-]{1,64}|\\d{3}-\\d{4}|[^\\W\\d_]+)"
        + "|(?P<word>\\w+(?:'\\w+)?)|\\s+(?!\\S)" * 20
        + "')",
        "rates = [" + ", ".join(f"{0.02 * (1 - i / 100):.6f}" for i in range(100)) + "]",
        "| width | loss | time |\n|---|---|---|\n"
        + "".join(f"| {64 * i} | {4 - i / 50:.4f} | {i * 1.7:.1f} s |\n" for i in range(60)),
        "─" * 5000,
        "Das Übergrößenträgerflugzeug läuft über weiße Straßen und grüßt höflich. " * 50,
        "Chúng tôi huấn luyện một mô hình nhỏ trước, rồi thử lại với tốc độ học lớn hơn để xem kết quả. " * 50,
        "Быстрая коричневая лиса прыгает через ленивую собаку, и никто не знает почему. " * 50,
        "我们先训练一个小模型，然后用更大的学习率再训练一次，看看验证损失会不会下降。" * 50,
    ]
    for text in texts:
        assert hidden_data.findings({"text": text}, {}) == [], text[:80]


def test_code_of_the_standard_library_has_no_tables_to_refuse(entry):
    (text,) = standard_library("argparse")
    (entry / "extra.py").write_text(text)
    assert told(entry) == []


# -------------------------------------------------------------------------------------------------------- overrides

FIELDS = (
    ConfigField("lr", "float", "0.1"),
    ConfigField("d_model", "int", "128"),
    ConfigField("name", "str", "'x'"),
    ConfigField("fused", "bool", "True"),
    ConfigField("limit", "int | None", "None"),
    ConfigField("share", "Optional[float]", "None"),
    ConfigField("either", "typing.Union[int, bool]", "1"),
    ConfigField("widths", "tuple[int, ...]", "()"),
    ConfigField("betas", "tuple[float, float]", "(0.9, 0.95)"),
    ConfigField("other", "torch.dtype", "None"),
    ConfigField("broken", "][", None),
)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lr", ["1e-3", "3", "-.5"]),
        ("d_model", ["512", "1_024", "-1"]),
        ("name", ["a=b", ""]),
        ("fused", ["true", "False", "0", "no"]),
        ("limit", ["None", "3"]),
        ("share", ["none", "0.5"]),
        ("either", ["true", "7"]),
        ("widths", ["", "1,2, 3"]),
        ("betas", ["0.9,0.99"]),
        ("other", ["anything"]),
        ("broken", ["anything"]),
    ],
)
def test_overrides_that_fit(name, values):
    for value in values:
        assert parse_overrides([f"{name}={value}"], FIELDS) == {name: value}
        assert parse_overrides([f"{name}={value}"], None) == {name: value}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lr", ["fast", ""]),
        ("d_model", ["3.5", "1e3"]),
        ("fused", ["maybe"]),
        ("limit", ["some"]),
        ("share", ["x"]),
        ("either", ["2.5"]),
        ("widths", ["1,a"]),
        ("betas", ["0.9"]),
    ],
)
def test_overrides_of_the_wrong_type(name, values):
    for value in values:
        with pytest.raises(UserError, match=rf"the config field {name} is of type"):
            parse_overrides([f"{name}={value}"], FIELDS)
        parse_overrides([f"{name}={value}"], None)


def test_overrides_of_unknown_fields_list_the_fields():
    with pytest.raises(UserError) as error:
        parse_overrides(["d_modle=3"], FIELDS)
    assert "no field 'd_modle' (did you mean d_model" in str(error.value)
    assert "lr: float, d_model: int" in str(error.value)


@pytest.mark.parametrize(
    "pairs",
    [["lr"], ["=3"], ["a b=3"], ["lr=1", "lr=2"], ["name=a\nb"], ["name=\x1b"], ["name=" + "x" * 1001], ["__é=1"]],
)
def test_overrides_that_are_malformed(pairs):
    for fields in (FIELDS, None):
        with pytest.raises(UserError) as error:
            parse_overrides(pairs, fields)
        assert "\n" not in str(error.value)
        assert "\x1b" not in str(error.value)


# -------------------------------------------------------------------------------------------------------------- git


def git(folder, *arguments):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=clean, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def committed(entry):
    root = entry.parent.parent
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--no-verify", "-m", "first")
    return entry


def test_the_commit_is_recorded(committed):
    source = load(committed, "me").source
    assert source.git_commit == git(committed, "rev-parse", "HEAD").strip()
    assert source.git_clean is True
    (committed / "new.md").touch()
    assert load(committed, "me").source.git_clean is False


def test_no_repository_no_commit_yet_no_git(entry, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(entry.parent))
    assert repository.state(entry) == (None, None)
    git(entry.parent.parent, "init", "--quiet")
    assert repository.state(entry) == (None, None)
    assert repository.state(entry / "nowhere") == (None, None)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert repository.state(entry) == (None, None)


def test_nothing_of_a_hostile_repository_runs(committed, tmp_path, monkeypatch):
    root, mark = committed.parent.parent, tmp_path / "mark"
    trap = tmp_path / "trap.sh"
    trap.write_text(f"#!/bin/sh\necho $0 $* >> {mark}\ncat\n")
    trap.chmod(0o755)
    (root / ".gitattributes").write_text("* filter=evil diff=evil\n*.py filter=worse.with.dots\n")
    (root / ".git" / "info").mkdir(exist_ok=True)
    (root / ".git" / "info" / "attributes").write_text("* filter=evil\n")
    for hook in ("post-index-change", "pre-auto-gc", "fsmonitor-watchman", "reference-transaction"):
        (root / ".git" / "hooks").mkdir(exist_ok=True)
        (root / ".git" / "hooks" / hook).write_text(trap.read_text())
        (root / ".git" / "hooks" / hook).chmod(0o755)
    for key in (
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "core.askPass",
        "diff.evil.textconv",
        "diff.external",
    ):
        git(root, "config", key, str(trap))
    for driver in ("evil", "worse.with.dots"):
        for key in ("clean", "smudge", "process"):
            git(root, "config", f"filter.{driver}.{key}", str(trap))
        git(root, "config", f"filter.{driver}.required", "true")
    (committed / "config.py").write_text(CONFIG.replace("0.95", "0.96"))  # git must look at its content
    os.utime(committed / "speedrun.py", (1, 1))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    mark.unlink(missing_ok=True)  # git's own set-up above may have run it
    for state in (repository.state(committed), repository.checkout(root)):
        assert not mark.exists(), mark.read_text()
        assert state.commit is not None
        assert state.clean is False
    # What is ignored is asked for only where all else is clean.
    (committed / "config.py").write_text(CONFIG)
    (root / ".gitattributes").unlink()
    (root / ".git" / "info" / "exclude").write_text("/trap.sh\n")
    assert repository.state(committed).clean is True
    assert not mark.exists(), mark.read_text()


@pytest.mark.parametrize("folder", ["results", "duels", "rulings"])
def test_what_runs_and_judgements_leave_behind_is_no_change_of_the_source(committed, folder):
    root = committed.parent.parent
    (root / "leaderboard" / folder).mkdir(parents=True)
    (root / "leaderboard" / folder / "one.json").touch()
    assert repository.state(committed).clean is True
    # Who vouches takes only what counts by its signature: a ruling that nobody merged may decide who holds the record.
    assert repository.checkout(root).clean is (folder != "rulings")
    (root / "leaderboard" / "store.py").touch()
    assert repository.state(committed).clean is False
    assert repository.checkout(root).clean is False


@pytest.mark.parametrize("where", [".gitignore", ".git/info/exclude", "submissions/me/.gitignore"])
def test_an_ignored_file_that_takes_part_is_not_committed(entry, where):
    root = entry.parent.parent
    git(root, "init", "--quiet")
    with (root / where).open("a") as stream:
        stream.write("*.pyc\n__pycache__/\nsecret.py\nmore/\n")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "--no-verify", "-m", "first")
    for left_behind in ("__pycache__/a.cpython-311.pyc", "deep/__pycache__/b.py", "c.pyc"):
        (entry / left_behind).parent.mkdir(parents=True, exist_ok=True)
        (entry / left_behind).write_bytes(b"x")
    if entry not in (root / where).parents:
        (root / "secret.py").write_text("x = 1\n")  # of no entry
    assert load(entry, "me").source.git_clean is True
    for hidden in ("secret.py", "more/config.py"):
        (entry / hidden).parent.mkdir(exist_ok=True)
        (entry / hidden).write_text("x = 1\n")
        source = load(entry, "me").source
        assert hidden in [file.path for file in source.files]
        assert source.git_clean is False
        assert source.git_commit is not None
        assert repository.checkout(root).clean is True  # git itself sees nothing
        (entry / hidden).unlink()


def test_a_bare_repository_in_disguise_is_none(committed, tmp_path):
    git(tmp_path, "clone", "--quiet", "--bare", str(committed.parent.parent), "disguise")
    disguise = tmp_path / "disguise"
    git(tmp_path, "config", "--file", str(disguise / "config"), "core.bare", "false")
    git(tmp_path, "config", "--file", str(disguise / "config"), "core.worktree", str(disguise))
    assert repository.state(disguise) == (None, None)


def test_a_repository_of_another_owner_is_none(committed, monkeypatch):
    monkeypatch.setenv("HOME", str(committed))  # no safe.directory of the user
    run = subprocess.run

    def as_a_stranger(arguments, **options):
        return run(arguments, **(options | {"env": options["env"] | {"GIT_TEST_ASSUME_DIFFERENT_OWNER": "1"}}))

    monkeypatch.setattr(repository.subprocess, "run", as_a_stranger)
    assert repository.state(committed) == (None, None)


# --------------------------------------------------------------------------------------------- whatever is in there

names = st.one_of(
    st.sampled_from(
        ["config.py", "speedrun.py", "submission.toml", "README.md", "json.py", "a.pyc", "__pycache__", "a/b.py"]
    ),
    st.binary(min_size=1, max_size=12).filter(
        lambda name: b"\0" not in name and b"/" not in name and name not in (b".", b"..")
    ),
)
contents = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([SPEEDRUN, CONFIG, CARD]).map(str.encode),
    st.sampled_from([SPEEDRUN, CONFIG, CARD]).flatmap(
        lambda text: st.tuples(st.integers(0, len(text)), st.integers(0, 40), st.text(max_size=20)).map(
            lambda cut: (text[: cut[0]] + cut[2] + text[cut[0] + cut[1] :]).encode("utf-8", "surrogatepass")
        )
    ),
)
pieces = st.one_of(contents, st.sampled_from(["link", "fifo", "folder"]))


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(st.dictionaries(names, pieces, max_size=6), st.text(max_size=45))
def test_no_folder_makes_check_raise(tmp_path_factory, files, name):
    folder = tmp_path_factory.mktemp("any")
    for path, piece in files.items():
        target = folder / (path if isinstance(path, str) else os.fsdecode(path))
        try:
            target.parent.mkdir(exist_ok=True)
            match piece:
                case "link":
                    target.symlink_to("/etc/passwd")
                case "fifo":
                    os.mkfifo(target)
                case "folder":
                    target.mkdir()
                case bytes():
                    target.write_bytes(piece)
        except OSError:
            continue  # such a file cannot be made here
    problems = check(folder, name)
    for problem in problems:
        assert str(problem).isprintable()
    if problems:
        with pytest.raises(UserError):
            load(folder, name)
    else:
        load(folder, name)


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=300))
def test_measures_take_any_text(text):
    hidden_data.findings({"a.py": text}, {})


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=30), max_size=3), st.text(max_size=20))
def test_overrides_raise_nothing_but_user_errors(pairs, kind):
    fields = (ConfigField("x", kind, None),)
    for candidates in (pairs, [f"x={pair}" for pair in pairs[:1]]):
        with contextlib.suppress(UserError):
            parse_overrides(candidates, fields)
