import ast
import builtins
import keyword
import re
from pathlib import Path

import pytest

from harness.result import SourceFile
from leaderboard.likeness import CHARACTERS_CAP, code_sha256, likeness, shingles

ROOT = Path(__file__).resolve().parents[2]
UNRELATED = sorted(path.parent for path in (ROOT / "tests" / "golden").glob("*/speedrun.py"))


def source(**texts):
    return tuple(SourceFile(path=f"{stem}.py", text=text, sha256="") for stem, text in texts.items())


def read(folder):
    """Every text of a folder, as a record has it."""
    return tuple(
        SourceFile(path=path.name, text=path.read_text(), sha256="")
        for path in sorted(folder.iterdir())
        if path.suffix in (".py", ".md", ".toml")
    )


@pytest.fixture(scope="module")
def template():
    return read(ROOT / "template")


def changed(files, change):
    return tuple(
        SourceFile(path=file.path, text=change(file.text), sha256="") if file.path.endswith(".py") else file
        for file in files
    )


def renamed(text):
    """Every name that is no keyword is another one."""
    known = set(keyword.kwlist) | set(dir(builtins))
    names = re.compile(r"\b[A-Za-z_]\w*\b(?!['\"])")
    return names.sub(lambda found: found[0] if found[0] in known else f"v_{found[0][::-1]}", text)


def test_the_same_code_is_the_same(template):
    assert likeness(template, template) == 1.0
    assert likeness(template, template[::-1]) == 1.0
    without_prose = tuple(file for file in template if file.path.endswith(".py"))
    assert likeness(template, without_prose) == 1.0


def test_a_formatted_copy_is_the_same(template):
    """Other quotes, line breaks, brackets and trailing commas; comments are gone."""
    assert likeness(template, changed(template, lambda text: ast.unparse(ast.parse(text)))) >= 0.95


def test_a_copy_with_other_names_is_the_same(template):
    assert likeness(template, changed(template, renamed)) >= 0.95


def test_a_copy_with_other_layout_comments_and_values_is_the_same(template):
    def dressed(text):
        text = re.sub(r"(?m)^( +)", r"\1\1", text)  # twice the indentation
        text = re.sub(r"(?m)$", "  # mine", text, count=50)
        return re.sub(r"\b\d+\b", "7", text).replace("\n\n", "\n\n\n")

    assert likeness(template, changed(template, dressed)) >= 0.95


@pytest.mark.parametrize("folder", UNRELATED, ids=lambda folder: folder.name)
def test_other_entries_are_unlike(template, folder):
    assert likeness(template, read(folder)) < 0.2


def test_an_edited_copy_lies_between(template):
    def edited(text):
        lines = text.split("\n")
        return "\n".join(line for number, line in enumerate(lines) if number % 40)  # every 40th line is gone

    share = likeness(template, changed(template, edited))
    assert 0.5 < share < 0.95
    assert likeness(changed(template, edited), template) == share


def test_a_copy_inside_of_something_larger_still_shows(template):
    others = [
        SourceFile(path=f"{folder.name}_{file.path}", text=file.text, sha256="")
        for folder in UNRELATED[:10]
        for file in read(folder)
    ]
    larger = (*template, *others)
    assert likeness(template, larger) > 0.8


def test_code_hash_is_of_the_code(template):
    assert code_sha256(template) == code_sha256(changed(template, renamed))
    assert code_sha256(template) != code_sha256(changed(template, lambda text: text + "\nprint(1)\n"))
    assert code_sha256(source(a="x = 1", b="y(2)")) == code_sha256(source(b="x = 1", a="y(2)"))
    assert code_sha256(source(a="x = 1", b="y(2)")) != code_sha256(source(a="x = 1\ny(2)"))


def test_comments_and_strings_hide_no_code():
    code = "if run.elapsed() > 3:\n    stop(model, run)\n"
    assert code_sha256(source(a=code)) != code_sha256(source(a=f'"""\n{code}"""'))
    assert code_sha256(source(a=f'x = """#"""\n{code}')) == code_sha256(source(a=f"x = '#' # note\n{code}"))
    assert code_sha256(source(a=f"x = 'it\\'s'\n{code}")) == code_sha256(source(a=f'x = "it"\n{code}'))


def test_sources_without_code():
    assert likeness(source(a=""), source(a="x = 1")) == 0.0
    assert likeness((), source(a="x = 1")) == 0.0
    assert likeness(source(a="# only words"), source(a="x = 1")) == 0.0


HOSTILE = {
    "openers that never close": '"""\\' * 70_000,
    "openers at every other place": '"""\\"' * 60_000,
    "prefixes": 'ab"""' * 60_000,
    "backslashes": "\\" * 260_000,
    "quotes": "'" * 260_001,
    "both quotes": "'''\"\"\"" * 40_000,
    "one long name": "a" * 260_000,
    "numbers": "1e+" * 90_000,
    "letters before a quote": "rb" * 130_000,
    "not Python at all": "]}) \x0c\x1a def 0x 0b $ ? é\u2028" * 10_000,
    "brackets": "(" * 260_000,
    "blanks": " \t\x0b" * 90_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_text_costs_no_more_than_its_length(name):
    """Each takes a fraction of a second; what takes quadratic time would not end in this test's life."""
    hostile = source(a=HOSTILE[name])
    assert len(shingles(hostile)) <= CHARACTERS_CAP
    assert likeness(hostile, hostile) == 1.0
