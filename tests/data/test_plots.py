"""What a tale plants comes back as it must: sums are right, lists keep their order, promises are kept."""

import itertools
import random
import re
from collections import Counter
from typing import NamedTuple

import pytest

from data.grammar import Tale
from data.plots import PLOTS
from data.scenes import opening
from data.vocabulary import _RHYMES as RHYMES
from data.vocabulary import ANSWERS, DAYS, NUMBERS, OPPOSITE, PAST, SINGULAR, VALUES

KINDS = "sum, list, swaps, doors, way, saying, song, word, riddle, promise, hiding, ages, days, contest, debts"
PLOT = dict(zip(KINDS.split(", "), PLOTS, strict=True))


class Scenes(NamedTuple):
    """What a plot says, cut out of a tale."""

    planted: str
    paid_off: str
    words: dict[str, str]  # the cast

    def find(self, planted: str, paid_off: str) -> tuple[list[str], list[str]]:
        """The groups that matched in either."""
        one, other = re.search(planted, self.planted), re.search(paid_off, self.paid_off)
        assert one, self.planted
        assert other, self.paid_off
        return [*filter(None, one.groups())], [*filter(None, other.groups())]


def scenes(kind: str, count: int = 60) -> list[Scenes]:
    """The plot in `count` tales, each from its title on, so that it has its cast."""
    many = []
    for seed in range(count):
        tale = Tale(random.Random(seed).random)
        opening(tale)
        opened = len(tale.pieces)
        PLOT[kind].begin(tale)
        begun = len(tale.pieces)
        PLOT[kind].end(tale)
        many.append(Scenes("".join(tale.pieces[opened:begun]), "".join(tale.pieces[begun:]), dict(tale.words)))
    return many


def listed(text: str) -> list[str]:
    *first, last = text.split(", ")
    return [*first, *last.split(" and ")]


def test_sums_are_right():
    less, more = r"gave|ate|lost|for|stole", r"found|added|another|paid"
    change = re.compile(rf"\b(?P<verb>{less}|{more}) (?P<some>{'|'.join(NUMBERS[2:9])})\b|(?P<went>\w+) went to")
    totals = 0
    for told in scenes("sum", 200):
        (start,), (end, *_) = told.find(
            rf"\b({'|'.join(NUMBERS[30:4:-1])}) \w+", r"(?:there (?:was|were)|came to) ([\w-]+)"
        )
        number = VALUES[start]
        for sentence in re.split(r"(?<=\.) ", told.planted.strip())[1:]:
            if total := re.search(r"(?:Now there (?:was|were)|That made|So) ([\w-]+)", sentence):
                assert NUMBERS[number] == total[1]
                totals += 1
            else:
                match = change.search(sentence)
                assert match, sentence
                some = VALUES[(match["some"] or match["went"]).lower()]
                number += some if match["verb"] and re.fullmatch(more, match["verb"]) else -some
        assert NUMBERS[number] == end
        one = re.search(r"there (was|were) ([\w-]+) (\w+)", told.paid_off)
        if one:
            assert (one[1] == "was") == (one[2] == "one") == (one[3] in SINGULAR.values())
    assert totals >= 50


def test_lists_come_back_forwards_backwards_and_sorted():
    ways = Counter()
    for told in scenes("list"):
        (packed,), (way, again) = told.find(
            r"((?:[a-z]+, )+[a-z]+ and [a-z]+)", r"(alphabet|to Z|first|named|Nothing)(?:[^:]*:|,) (.+)\."
        )
        items = listed(packed)
        assert 3 <= len(set(items)) == len(items) <= 5
        ways[way] += 1
        expected = {"alphabet": sorted(items), "to Z": sorted(items), "first": items[::-1]}.get(way, items)
        assert listed(again) == expected
    assert len(ways) == 5


def test_swaps_are_told_backwards():
    for told in scenes("swaps"):
        (chain,), (back,) = told.find(r"(?:traded|swapped|changed) (.+)\.", r"(?:: |truth )(the .+)\.")
        swaps = [[re.sub("^(an?|the) ", "", thing) for thing in swap.split(" for ")] for swap in listed(chain)]
        undone = [[re.sub("^(an?|the) ", "", thing) for thing in swap.split(" had been ")] for swap in listed(back)]
        assert undone == [[new, old] for old, new in reversed(swaps)]
        assert all(one[1] == next_one[0] for one, next_one in itertools.pairwise(swaps))


def test_doors_hide_what_they_hid():
    for told in scenes("doors"):
        behind = dict(re.findall(r"the (\w+) one was (an? \w+ \w+)", told.planted))
        colours = [colour for colour in re.findall(r"the (\w+) (?:one|door)", told.paid_off) if colour in behind]
        rooms = [room for room in re.findall(r"\ban? \w+ \w+", told.paid_off) if room in behind.values()]
        assert len(behind) == 3
        assert len(set(colours)) == 2
        assert [behind[colour] for colour in colours] == rooms


def test_the_way_back_is_the_way_there_turned_round():
    step = re.compile(r"([\w-]+) miles (\w+)")
    for told in scenes("way"):
        there = step.findall(told.planted)
        assert step.findall(told.paid_off) == [(miles, OPPOSITE[bearing]) for miles, bearing in reversed(there)]
        for one, other in itertools.pairwise(bearing for _, bearing in there):
            assert other not in (one, OPPOSITE[one])


@pytest.mark.parametrize(
    ("kind", "pattern"),
    [
        ("saying", r'"(.+?)[.,]"'),
        ("song", r":\n(.+,\n.+\.\n)"),
        ("hiding", r"((?:under|behind|inside|beneath|beside|close to) (?:an? |the )?\w+ \w+)"),
    ],
)
def test_what_is_said_again_is_said_to_the_letter(kind, pattern):
    for told in scenes(kind):
        one, other = told.find(pattern, pattern)
        assert one == other


def test_songs_rhyme():
    for told in scenes("song"):
        first, second = told.planted.strip().splitlines()[-2:]
        assert {first.split()[-1].strip(",."), second.split()[-1].strip(",.")} in [
            {one, other} for one, other in RHYMES.items()
        ]


def test_secret_words_are_spelled_as_told():
    for told in scenes("word"):
        (word,), (again,) = told.find(r"(?:is|: )\s*([a-z]+)[,.]", r'"([A-Z][a-z]+)[,!]|([a-z](?:-[a-z])+)')
        spelled = again.replace("-", "").lower()
        assert word == (spelled[::-1] if told.paid_off.lstrip().startswith("Backwards") else spelled)


def test_riddles_have_their_answer():
    for told in scenes("riddle"):
        (riddle,), _ = told.find(r'"(.+\?)"', "")
        assert ANSWERS[riddle] in told.paid_off.lower()


def test_promises_are_kept_in_the_past_tense():
    for told in scenes("promise"):
        (verb, load), (did, thing) = told.find(
            r"will (\w+) (?:the|my|your) (.+?) to", rf"\b({'|'.join(PAST.values())}) the (.+?) to"
        )
        assert (PAST[verb], load) == (did, thing)


def test_people_grow_older_together():
    for told in scenes("ages"):
        hero, friend = told.words["hero"], told.words["friend"]
        (age,), (span, age_then, friends_age_then) = told.find(
            rf"{hero},? (?:was|who was) ([\w-]+)",
            rf"([\w-]+) years .*{hero} was ([\w-]+) and {friend} (?:was )?([\w-]+)",
        )
        (years, older), _ = told.find(r"(\w+) years? (older|younger)", "")
        assert VALUES[age_then] == VALUES[age] + VALUES[span.lower()]
        gap = VALUES[years] if older == "older" else -VALUES[years]
        assert VALUES[friends_age_then] == VALUES[age_then] + gap


def test_days_pass():
    for told in scenes("days"):
        (day, days), (then,) = told.find(r"(\w+day).*?([\w-]+) days", r"(\w+day)")
        assert then == DAYS[(DAYS.index(day) + VALUES[days]) % 7]


def test_the_best_throw_wins():
    for told in scenes("contest"):
        throws = re.findall(r"(\w+) ([\w-]+) feet", told.planted)
        order = [name for name, _ in sorted(throws, key=lambda throw: -VALUES[throw[1]])]
        names = [name for name in re.findall(r"[A-Z]\w+", told.paid_off) if name in order]
        assert names == (order[::-1] if "last in the contest" in told.paid_off else order)


def test_debts_are_paid_in_full():
    for told in scenes("debts"):
        owed = dict(re.findall(r"([A-Z]\w+) (\d+)", told.planted))
        (debt,) = re.findall(r"\d+", told.paid_off)
        assert any(name in told.paid_off and owed[name] == debt for name in owed)
