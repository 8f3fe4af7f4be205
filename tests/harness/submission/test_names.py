"""How an entry may be called, and how it is found."""

import pytest

from harness.errors import UserError
from harness.submission import check_name, find
from tests.harness.submission.folders import only, told


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
