"""The engine: what a template says, what a choice costs."""

import math
import random
from collections import Counter

import pytest

from data.grammar import Grammar, Table, Tale, uniform


def told(grammar: Grammar, *sentences: str, seed: int = 1) -> Tale:
    tale = Tale(random.Random(seed).random)
    for number, sentence in enumerate(sentences):
        tale.sentence(grammar.phrases(f"S{number}", sentence))
    return tale


@pytest.fixture
def grammar() -> Grammar:
    grammar = Grammar()
    grammar.words("OWL", ["owl"])
    grammar.words("FOX", ["fox"])
    grammar.words("NIGHT.owl", ["wakes"])
    grammar.words("NIGHT.fox", ["hunts"])
    grammar.words("TWO", ["salt", "rope"])
    return grammar


def test_every_kind_of_slot(grammar):
    tale = told(grammar, "{^OWL} and {a FOX}: {a beast=OWL} {NIGHT.beast}.", "{Beast}, {beast}, {a beast}.")
    assert "".join(tale.pieces) == "Owl and a fox: an owl wakes. Owl, owl, an owl."


def test_a_remembered_phrase_comes_back_as_it_was_said(grammar):
    grammar.phrases("LIST", "{one=TWO}, {TWO-one}")
    for seed in range(10):
        text = "".join(told(grammar, "<{list=LIST}>", "<{list}>", seed=seed).pieces)
        first, again = text[1:-1].split("> <")
        assert first == again in {"salt, rope", "rope, salt"}


@pytest.mark.parametrize("source", ["{ OWL}", "{OWL", "OWL}", "{}", "{a}{"])
def test_a_slot_that_cannot_be_read_is_an_error(grammar, source):
    with pytest.raises(ValueError):
        grammar.phrases("BAD", source)


def test_a_table_that_is_not_there_is_an_error(grammar):
    with pytest.raises(KeyError):
        grammar.phrases("BAD", "{WOLF}")


@pytest.mark.parametrize(("options", "weights"), [([], []), (["a", "a"], None), (["a"], [0]), (["a", "b"], [1])])
def test_a_table_without_sense_is_an_error(options, weights):
    with pytest.raises(ValueError):
        Table(options, weights)


def test_a_choice_costs_its_probability():
    table = Table("abc", [5, 3, 2])
    tale = Tale(random.Random(7).random)
    drawn = Counter(tale.draw(table) for _ in range(20_000))
    for option, share in (("a", 0.5), ("b", 0.3), ("c", 0.2)):
        assert drawn[option] / 20_000 == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 20_000))
    entropy = -sum(share * math.log(share) for share in (0.5, 0.3, 0.2))
    assert math.fsum(nats for _, nats in tale.charges) / 20_000 == pytest.approx(entropy, abs=0.02)


def test_leaving_out_renormalises():
    table = Table("abcd", [4, 3, 2, 1])
    tale = Tale(random.Random(7).random)
    drawn = Counter(tale.draw(table, ("a", "d")) for _ in range(20_000))
    assert set(drawn) == {"b", "c"}
    assert drawn["b"] / 20_000 == pytest.approx(0.6, abs=0.02)
    assert {round(nats, 12) for _, nats in tale.charges} == {round(-math.log(0.6), 12), round(-math.log(0.4), 12)}


def test_choices_are_charged_where_they_begin(grammar):
    tale = told(grammar, "The {TWO} and {TWO}.")
    starts = [sum(map(len, tale.pieces[:piece])) for piece, _ in tale.charges]
    assert starts == [0, 4, 13]  # the sentence itself, then its two words of four letters
    share = {"salt": 2 / 3, "rope": 1 / 3}
    assert [nats for _, nats in tale.charges] == pytest.approx(
        [0.0, -math.log(share[tale.pieces[1]]), -math.log(share[tale.pieces[3]])]
    )


def test_uniform_is_uniform():
    assert set(uniform("a", "b", "c").share.values()) == {1 / 3}
