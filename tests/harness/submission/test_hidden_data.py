"""Source in which data hides is refused; honest source is not."""

import base64
import random
import string
from pathlib import Path

import pytest

from harness import hidden_data
from harness.submission import check
from tests.harness.submission.folders import told

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
    repository_root = Path(__file__).parents[3]
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
