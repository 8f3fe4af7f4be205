"""The tales: the same everywhere, true in what they count and copy, and worth exactly what they are said to cost."""

import hashlib
import itertools
import re
from collections import Counter

import numpy as np
import pytest

from data import tales
from data.manifest import SPLITS
from data.vocabulary import MEN

GOLDEN_START = "The golden cup of Millfield"
GOLDEN_SHA256 = "9f9d0924d05858a7be21219ae78ef3f7e49ed30565f7428756400c1389ab577a"
SEED = 11
COUNT = 2_500


@pytest.fixture(scope="module")
def many() -> list[str]:
    return [tales.text(SEED, number) for number in range(COUNT)]


# ----------------------------------------------------------------------------------------------------- the same bytes


def test_the_first_tales_are_pinned():
    assert tales.text(20240520, 0).startswith(GOLDEN_START)
    digest = hashlib.sha256("".join(tales.text(20240520, number) for number in range(50)).encode())
    assert digest.hexdigest() == GOLDEN_SHA256


def test_a_tale_depends_on_seed_and_number_only():
    assert tales.text(1, 5) == tales.document(1, 5).text == tales.text(1, 5)
    assert len({tales.text(seed, number) for seed, number in itertools.product(range(1, 4), range(3))}) == 9


def test_texts_are_plain(many):
    for text in many:
        assert re.fullmatch(r"[ -~\n]+", text)
        assert 600 < len(text) < 3_000
        assert text.endswith("\n")
        assert "  " not in text
        assert " \n" not in text
    assert 1_200 < sum(map(len, many)) / len(many) < 1_900


def test_no_two_tales_are_alike(many):
    assert len(set(many)) == len(many)


def test_tokens_are_the_bytes_after_a_separator_each():
    told = tales.tokens(SEED, range(3, 6))
    assert told.dtype == np.uint16
    documents = bytes(told.astype(np.uint8)).split(b"\0")
    assert documents == [b"", *(tales.text(SEED, number).encode() for number in range(3, 6))]


# ----------------------------------------------------------------------------------------------------------- the floor


@pytest.mark.parametrize("number", range(6))
def test_exactly_one_sequence_of_choices_tells_a_tale(number, derivations):
    """So the charges sum to −ln p(text): no other derivation adds to the text's probability."""
    document = tales.document(SEED, number)
    assert derivations(document.text) == [pytest.approx(document.nats, rel=1e-12)]


def test_a_text_that_the_grammar_does_not_tell_has_no_derivation(derivations):
    assert derivations(tales.text(SEED, 0).replace("a", "e", 1)) == []


def test_prices_stand_at_the_bytes_where_choices_begin():
    documents = [tales.document(SEED, number) for number in range(4)]
    prices = tales.prices(SEED, range(4))
    stream = tales.tokens(SEED, range(4))
    assert prices.size == stream.size
    assert np.all(prices[stream == tales.SEPARATOR] == 0)
    assert prices.sum() == pytest.approx(sum(document.nats for document in documents))
    first = prices[1 : 1 + len(documents[0].text)]
    assert {int(at) for at in np.flatnonzero(first)} <= {offset for offset, _ in documents[0].charges}


def test_there_is_something_to_learn_and_something_to_guess(many):
    """The floor lies far below what counting bytes gives, and far above nothing."""
    nats = sum(tales.document(SEED, number).nats for number in range(300)) / sum(map(len, many[:300]))
    counts = np.array(list(Counter("".join(many)).values()))
    bytes_alone = -np.sum(counts / counts.sum() * np.log(counts / counts.sum()))
    assert 0.2 < nats < 0.3
    assert bytes_alone > 2.5


# ----------------------------------------------------------------------------------------------------- whole tales


def test_people_are_he_or_she_by_name(many):
    checked = 0
    for text in many:
        for name, pronoun in re.findall(r"\b([A-Z]\w+) (?:\w+), for (he|she) was", text):
            assert pronoun == ("he" if name in MEN else "she")
            checked += 1
    assert checked >= 100


def test_a_and_an(many):
    assert not re.search(r"\b[Aa] (?!one-)[aeiou]|\b[Aa]n (?!hour|honest)[^aeiou]", "".join(many))


def test_outcome_and_moral_follow_from_the_choice(many):
    for choice, moral in (
        ("gave half|shared without", "Half of|Who shares"),
        ("hid the food|ate it all", "Bread that|Who will not share"),
        ("Never without|stayed with", "that stays|Who keeps"),
        ("did not look back|Farewell", "Who sells|no road back"),
    ):
        texts = [text for text in many if re.search(rf"\b(?:{choice})\b", text)]
        assert len(texts) >= 50
        assert all(re.search(moral, text.splitlines()[-1]) for text in texts)


# --------------------------------------------------------------------------------------------------- the pinned set


def test_the_pinned_set_is_what_the_tracks_need(prepared_tales):
    splits = prepared_tales.manifest.splits
    assert splits["val"].documents >= 1_000
    assert splits["val"].tokens >= 1_048_577
    assert splits["train"].bytes >= 8_000_000
    assert splits["spare"].bytes >= 300_000


def test_no_document_is_in_two_splits_or_twice_in_one(prepared_tales):
    documents = [
        document
        for split in SPLITS
        for document in bytes(prepared_tales.tokens(split).astype(np.uint8)).split(b"\0")[1:]
    ]
    assert len(documents) == sum(split.documents for split in prepared_tales.manifest.splits.values())
    assert len(set(documents)) == len(documents)


def test_counts_are_those_of_the_shards(prepared_tales):
    for name, split in prepared_tales.manifest.splits.items():
        stream = prepared_tales.tokens(name)
        assert stream.size == split.tokens
        assert stream[0] == tales.SEPARATOR
        assert np.count_nonzero(stream == tales.SEPARATOR) == split.documents == split.tokens - split.bytes


def test_the_pinned_floors_are_what_the_tales_cost(prepared_tales):
    """A target costs what begins with it: the tales are taken one by one, beside the code that pinned the floors."""
    manifest = prepared_tales.manifest
    val = manifest.splits["val"]
    assert [floor.targets for floor in val.floors] == [65_536, 262_144, 524_288, 1_048_576, val.tokens - 1]
    total, position = 0.0, 0
    for number in itertools.count(manifest.first_document("val")):
        document = tales.document(manifest.source.seed, number)
        total += sum(nats for offset, nats in document.charges if position + 1 + offset <= 65_536)
        position += 1 + len(document.text)
        if position > 65_536:
            break
    assert manifest.floor_nats("val", 65_536) == pytest.approx(total / 65_536, rel=1e-9)
    assert all(0.2 < floor.nats < 0.3 for floor in val.floors)
    assert manifest.floor_nats("val", 65_537) is None
    assert manifest.floor_nats("train", 65_536) is None
