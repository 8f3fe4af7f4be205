"""What submission.toml must say."""

import pytest

from tests.harness.submission.folders import CARD, only, told


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
