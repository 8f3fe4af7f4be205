"""What a tale plants and comes back to: sums, lists, ways, words said again, promises, debts.

Each plot plants something with one sentence, keeps what follows from it in the tale's memory (a sum, a list backwards,
the day of arrival: nothing of that is drawn) and pays it off with another sentence later.
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

from data.grammar import Phrases, Tale, article, uniform
from data.vocabulary import ANSWERS, DAYS, GRAMMAR, NUMBERS, OPPOSITE, PAST, SINGULAR, SPAN, STEP, VALUES


@dataclass(frozen=True, eq=False)
class Plot:
    """Something planted, and what pays it off."""

    plant: Phrases
    payoff: Phrases
    consequence: Callable[[Tale], None] | None = None  # remembers what follows from the plant, or tells more of it
    choice: Callable[[Tale], None] | None = None  # what the payoff draws before it is told

    def begin(self, tale: Tale) -> None:
        tale.sentence(self.plant)
        if self.consequence:
            self.consequence(tale)

    def end(self, tale: Tale) -> None:
        if self.choice:
            self.choice(tale)
        tale.sentence(self.payoff)


def _enumeration(words: list[str]) -> str:
    """one, two and three"""
    return ", ".join(words[:-1]) + " and " + words[-1]


def _numbered(tale: Tale, letter: str) -> list[str]:
    """The words remembered as a1, a2 …; a tale has every plot once at most."""
    keys = itertools.takewhile(tale.words.__contains__, (f"{letter}{rank}" for rank in itertools.count(1)))
    return [tale.words[key] for key in keys]


# ------------------------------------------------------------------------------------------------------- a sum

_HOARD = GRAMMAR.phrases(
    "HOARD",
    "In {his} {holder=HOLDER} {hero} had {n=START} {fruits=FRUITS}.",
    "{Hero} put {n=START} {fruits=FRUITS} into {his} {holder=HOLDER}.",
    "{^SPEAKER} gave {him} {n=START} {fruits=FRUITS}, which {he} kept in {his} {holder=HOLDER}.",
    "There were {n=START} {fruits=FRUITS} in the {holder=HOLDER} that {hero} carried.",
)
_LESS = GRAMMAR.phrases(
    "LESS",
    "{He} gave {some} to {friend}.",
    "{He} ate {some} with {MEAL}.",
    "{He} lost {some} near {PLACE}.",
    "{^SPEAKER} begged for {some} and got them.",
    "A thief stole {some} by {PLACE}.",
    "{Some} went to {SPEAKER}.",
)
_MORE = GRAMMAR.phrases(
    "MORE",
    "{He} found {some} more by {PLACE}.",
    "{^SPEAKER} added {some}.",
    "{Friend} brought {him} another {some}.",
    "For mending {a THING} {he} was paid {some} more.",
)
_TOTAL = GRAMMAR.phrases("TOTAL", "Now there {were} {n}.", "That made {n}.", "So {n} {were} in the {holder}.")
_RECOUNT = GRAMMAR.phrases(
    "RECOUNT",
    "{WHEN} {hero} opened the {holder}: there {were} {n} {fruits} in it, just as there should be.",
    "{Friend} looked into the {holder}, and there {were} {n} {fruits}.",
    "{WHEN} {he} counted {his} {fruits} and came to {n}.",
)
_YES_OR_NO = uniform(True, False)


def _add_up(tale: Tale) -> None:
    """One to three changes, then the sum, with noun and verb in agreement; told at once or only at the end."""
    number = VALUES[tale.words["n"]]
    for change in range(3):
        if change and not tale.draw(_YES_OR_NO):
            break
        less = number > 2 and tale.draw(_YES_OR_NO)
        step = tale.draw(STEP, [step for step in STEP.options if less and VALUES[step] >= number])
        tale.words["some"] = step
        tale.sentence(_LESS if less else _MORE)
        number += -VALUES[step] if less else VALUES[step]
    tale.words["n"] = NUMBERS[number]
    tale.words["were"] = "were"
    if number == 1:
        tale.words["were"], tale.words["fruits"] = "was", SINGULAR[tale.words["fruits"]]
    if tale.draw(_YES_OR_NO):
        tale.sentence(_TOTAL)


# --------------------------------------------------------------------------------------------------------- lists

_LIST_OF_3 = "{i1=ITEM}, {i2=ITEM-i1} and {i3=ITEM-i1-i2}"
_LIST_OF_4 = "{i1=ITEM}, {i2=ITEM-i1}, {i3=ITEM-i1-i2} and {i4=ITEM-i1-i2-i3}"
_LIST_OF_5 = "{i1=ITEM}, {i2=ITEM-i1}, {i3=ITEM-i1-i2}, {i4=ITEM-i1-i2-i3} and {i5=ITEM-i1-i2-i3-i4}"
GRAMMAR.phrases("LIST", _LIST_OF_3, _LIST_OF_4, _LIST_OF_5)
_PACK = GRAMMAR.phrases(
    "PACK",
    "Into the {chest=CHEST} {he} put {list=LIST}, in that order.",
    "{Friend} packed a {chest=CHEST} with {list=LIST}.",
    "At the market by {PLACE} {hero} bought {list=LIST}, and laid everything into a {chest=CHEST}.",
    "{^SPEAKER} handed {him} a {chest=CHEST} with {list=LIST}.",
)
_UNPACK = GRAMMAR.phrases(
    "UNPACK",
    "What lay on top of the {chest} came out first: {reversed}.",
    "{WHEN} {friend} named all that was in the {chest}: {list}.",
    "{Hero} sorted the things from the {chest} by the alphabet: {sorted}.",
    "Out of the {chest} came, last things first, {reversed}.",
    "Nothing was missing from the {chest}: {list}.",
    "A clerk wrote down what was in the {chest}, from A to Z: {sorted}.",
)


def _copy(tale: Tale) -> None:
    items = _numbered(tale, "i")
    tale.words["reversed"] = _enumeration(items[::-1])
    tale.words["sorted"] = _enumeration(sorted(items))


GRAMMAR.phrases(
    "CHAIN",
    "{a g1=GOODS} for {a g2=GOODS-g1} and the {g2} for {a g3=GOODS-g1-g2}",
    "{a g1=GOODS} for {a g2=GOODS-g1}, the {g2} for {a g3=GOODS-g1-g2} and the {g3} for {a g4=GOODS-g1-g2-g3}",
)
_TRADE = GRAMMAR.phrases(
    "TRADED",
    "On the road {hero} traded {chain=CHAIN}.",
    "{WHEN} {friend} went to market and swapped {chain=CHAIN}.",
    "It was a day of bargains: {hero} changed {chain=CHAIN}.",
)
_TRADED = GRAMMAR.phrases(
    "TRADED_BACK",
    "{Friend} could not believe it: {back}.",
    "So in truth {back}.",
    "{WHEN} {he} told it backwards: {back}.",
)


def _undo(tale: Tale) -> None:
    swaps = list(itertools.pairwise(_numbered(tale, "g")))
    tale.words["back"] = _enumeration([f"the {new} had been {article(old)}" for old, new in swaps[::-1]])


GRAMMAR.phrases(
    "THREE_DOORS",
    "the {c1=COLOUR} one was {r1=ROOM}, the {c2=COLOUR-c1} one was {r2=ROOM-r1}"
    " and the {c3=COLOUR-c1-c2} one was {r3=ROOM-r1-r2}",
)
_DOORS = GRAMMAR.phrases(
    "DOORS",
    "{WHEN} they came to a house with three doors: behind {THREE_DOORS}.",
    "{^SPEAKER} warned them of three doors by {PLACE}: behind {THREE_DOORS}.",
    "{Hero} dreamed of three doors: behind {THREE_DOORS}.",
)
_OPENED = GRAMMAR.phrases(
    "OPENED",
    "Of the doors {hero} opened the {one} one and found {inside_one}; {friend} met {inside_two} at the {two} one.",
    "Behind the {one} door there was still {inside_one}, and behind the {two} one {inside_two}.",
    "{WHEN} the {one} door and the {two} door stood open: there was {inside_one}, and there was {inside_two}.",
)
_TWO_OF_THREE = uniform("12", "13", "21", "23", "31", "32")


def _open_two(tale: Tale) -> None:
    ranks = tale.draw(_TWO_OF_THREE)
    for word, rank in zip(("one", "two"), ranks, strict=True):
        tale.words[word] = tale.words[f"c{rank}"]
        tale.words[f"inside_{word}"] = tale.words[f"r{rank}"]


_TWO_STEPS = "{m1=MILES} miles {b1=BEARING} and {m2=MILES} miles {b2=TURN.b1}"
_THREE_STEPS = "{m1=MILES} miles {b1=BEARING}, {m2=MILES} miles {b2=TURN.b1} and {m3=MILES} miles {b3=TURN.b2}"
_FOUR_STEPS = _THREE_STEPS.replace(" and", ",") + " and {m4=MILES} miles {b4=TURN.b3}"
GRAMMAR.phrases("WAY", _THREE_STEPS, _TWO_STEPS, _FOUR_STEPS)
_ROUTE = GRAMMAR.phrases(
    "ROUTE",
    "The way led from {PLACE} {WAY}.",
    "{^SPEAKER} showed them the way: {WAY}.",
    "{Hero} and {friend} {WENT} {WAY}.",
)
_RETURN = GRAMMAR.phrases(
    "RETURN",
    "The way home was the same the other way round: {return}.",
    "To get back they had to go {return}.",
    "{WHEN} {friend} led them back, {return}.",
)


def _turn_round(tale: Tale) -> None:
    steps = zip(_numbered(tale, "m"), _numbered(tale, "b"), strict=True)
    back = [f"{miles} miles {OPPOSITE[bearing]}" for miles, bearing in steps]
    tale.words["return"] = _enumeration(back[::-1])


# --------------------------------------------------------------------------------------------- words said again

GRAMMAR.phrases(
    "ADVICE",
    "Never trust {SIGHT} near {PLACE}",
    "Whoever eats {MEAL} should not speak of {TOPIC}",
    "Go to {PLACE} only when you are {FELT}",
    "{^TOPIC} and {TOPIC} make bad company",
    "Look for {ROOM} where others look for {TOPIC}",
    "Better {MEAL} at home than {MEAL} at {PLACE}",
    "Ask {SPEAKER} about {TOPIC} and {SPEAKER} about {TOPIC}",
    "When you meet {SIGHT}, think of {TOPIC} and walk on {HOW}",
)
_SAYING = GRAMMAR.phrases(
    "SAYING",
    '{^SPEAKER} said to {him}: "{saying=ADVICE}."',
    '"{saying=ADVICE}," said {SPEAKER}.',
    'Over the door of {PLACE} was written: "{saying=ADVICE}."',
    '{Friend} had a saying: "{saying=ADVICE}."',
)
_SAID_AGAIN = GRAMMAR.phrases(
    "SAID_AGAIN",
    'Then {hero} remembered the words: "{saying}."',
    '"{saying}," whispered {hero}.',
    '{WHEN} {hero} and {friend} said together: "{saying}."',
    'Was it not said? "{saying}."',
)

GRAMMAR.phrases(
    "FIRST_LINE",
    "I {WENT} beside the {rhyme=RHYME}",
    "Oh, {COLOUR} and {COLOUR} was the {rhyme=RHYME}",
    "Nor {THING} nor {THING}, beneath the {rhyme=RHYME}",
    "Who {WENT} {HOW} to the {rhyme=RHYME}",
    "My {MOOD} love, behind the {rhyme=RHYME}",
)
GRAMMAR.phrases(
    "SECOND_LINE",
    "and {NAME} has lost the {RHYMING.rhyme}",
    "but who will bring me home the {RHYMING.rhyme}",
    "and {DID} to see the {COLOUR} {RHYMING.rhyme}",
    "for {MEAL} and for the {RHYMING.rhyme}",
    "till {NAME} and {NAME} find a {RHYMING.rhyme}",
)
GRAMMAR.phrases("VERSE", "{FIRST_LINE},\n{SECOND_LINE}.\n")
_SONG = GRAMMAR.phrases(
    "SONG",
    "{Friend} sang:\n{verse=VERSE}",
    "On the road they sang the song of {PLACE}:\n{verse=VERSE}",
    "{^SPEAKER} taught them a song:\n{verse=VERSE}",
)
_SUNG_AGAIN = GRAMMAR.phrases(
    "SUNG_AGAIN",
    "And again they sang:\n{verse}",
    "{WHEN} {hero} heard the song once more:\n{verse}",
    "Far away somebody was singing:\n{verse}",
)

GRAMMAR.phrases(
    "WORD",
    "{SYLLABLE}{SYLLABLE}{SYLLABLE}",
    "{SYLLABLE}{SYLLABLE}",
    "{SYLLABLE}{SYLLABLE}{SYLLABLE}{SYLLABLE}",
)
_GATE = GRAMMAR.phrases(
    "GATE",
    '"The word for the gate is {word=WORD}," whispered {SPEAKER}.',
    "{Friend} knew the secret word of {PLACE}: {word=WORD}.",
    "On the {material} {thing} a single word was scratched: {word=WORD}.",
)
_GATE_OPENED = GRAMMAR.phrases(
    "GATE_OPENED",
    '"{Word}," said {hero}, and the gate swung open.',
    "{Hero} had not forgotten the word. Letter by letter {he} spelled {letters}.",
    '"{Word}! {Word}!" cried {friend}, until somebody drew the bolt.',
    'The guard asked for the word. "{Word}," answered {hero}.',
    "Backwards, letter by letter, {friend} read from the wall: {mirrored}.",
)


def _spell(tale: Tale) -> None:
    tale.words["letters"] = "-".join(tale.words["word"])
    tale.words["mirrored"] = "-".join(tale.words["word"][::-1])


_RIDDLE = GRAMMAR.phrases(
    "RIDDLES",
    '"{riddle=RIDDLE}" asked {SPEAKER}, but neither {hero} nor {friend} knew.',
    '{Friend} loved riddles. "{riddle=RIDDLE}" {he2} asked.',
    'At {PLACE} they were stopped. "{riddle=RIDDLE}" said a voice, and then was silent.',
)
_ANSWER = GRAMMAR.phrases(
    "ANSWER",
    "{WHEN} {hero} knew the answer to the riddle: {answer}.",
    '"The answer is {answer}," said {friend} and {DID}.',
    '"{Answer}!" cried {hero}, for the riddle had gone round and round in {his} head.',
)


def _solve(tale: Tale) -> None:
    tale.words["answer"] = ANSWERS[tale.words["riddle"]]


_PROMISE = GRAMMAR.phrases(
    "PROMISE",
    '"I will {verb=VERB} the {load=LOAD} to {goal=PLACE} {BEFORE}," {hero} promised.',
    '{Friend} gave {SPEAKER} {his2} word: "I will {verb=VERB} your {load=LOAD} to {goal=PLACE} {BEFORE}."',
    '"Who will {verb=VERB} my {load=LOAD} to {goal=PLACE}?" asked {SPEAKER}, and {hero} said yes.',
)
_KEPT = GRAMMAR.phrases(
    "KEPT",
    "A promise is a promise: they {did} the {load} to {goal}.",
    "{WHEN} {hero} {did} the {load} to {goal}, as promised.",
    "And who {did} the {load} to {goal} {HOW}? It was {friend}.",
)


def _past(tale: Tale) -> None:
    tale.words["did"] = PAST[tale.words["verb"]]


_HIDE = GRAMMAR.phrases(
    "HIDE",
    "{WHEN} {hero} hid the {thing} {spot=SPOT} near {hideaway=PLACE}, for {he} feared thieves.",
    "{Friend} put the {material} {thing} {spot=SPOT} near {hideaway=PLACE} and told nobody.",
    "So that nobody should see the {thing}, {he} left it {spot=SPOT} near {hideaway=PLACE}.",
)
_FOUND = GRAMMAR.phrases(
    "FOUND",
    "The {material} {thing} was still {spot}.",
    "{WHEN} they went back to {hideaway}, and the {thing} lay {spot}.",
    '"Where is the {thing}?" asked {SPEAKER}. "Near {hideaway}, {spot}," said {hero}.',
)

# ------------------------------------------------------------------------------------- ages, days, feet, crowns

_AGES = GRAMMAR.phrases(
    "AGES",
    "{Hero} was {age=AGE} that year, and {friend} was {years=YEARS} {older=OLDER}.",
    "{Friend} was {years=YEARS} {older=OLDER} than {hero}, who was {age=AGE}.",
)
_AGED = GRAMMAR.phrases(
    "AGED",
    "{Span} years later, when {hero} was {age} and {friend} was {age2}, they still spoke of it.",
    "{Span} years went by. Now {hero} was {age} and {friend} {age2}.",
)


def _grow_older(tale: Tale) -> None:
    words = tale.words
    words["span"] = tale.draw(SPAN)
    age, span, years = (VALUES[word.split()[0]] for word in (words["age"], words["span"], words["years"]))
    words["age"] = NUMBERS[age + span]
    words["age2"] = NUMBERS[age + span + (years if words["older"] == "older" else -years)]


_DEPART = GRAMMAR.phrases(
    "DEPART",
    "They set out for {goal2=PLACE} on {a day=DAY}, and the way takes {nights=NIGHTS} days.",
    "It was {a day=DAY} when they left for {goal2=PLACE}, {nights=NIGHTS} days away.",
)
_ARRIVE = GRAMMAR.phrases(
    "ARRIVE",
    "They came to {goal2} on {a day}.",
    "It was {a day} when they saw {goal2}.",
    "On {day} they reached {goal2}, {felt=FELT} and {FELT-felt}.",
)


def _days_pass(tale: Tale) -> None:
    tale.words["day"] = DAYS[(DAYS.index(tale.words["day"]) + VALUES[tale.words["nights"]]) % len(DAYS)]


GRAMMAR.phrases(
    "THROWS",
    "{hero} {f1=FEET} feet, {friend} {f2=FEET-f1} feet and {rival=NAME-hero-friend} {f3=FEET-f1-f2} feet",
)
_CONTEST = GRAMMAR.phrases(
    "CONTEST",
    "At the fair they threw {a LOAD} for a prize: {THROWS}.",
    "There was a contest by {PLACE}, and they threw horseshoes: {THROWS}.",
    "{^SPEAKER} measured how far each could jump: {THROWS}.",
)
_PRIZE = GRAMMAR.phrases(
    "PRIZE",
    "So {first} had won the contest, before {second} and {third}.",
    "{WHEN} the prize went to {first}; {second} was second and {third} third.",
    "The last in the contest was {third}, the next {second}, and the best of all {first}.",
)


def _rank(tale: Tale) -> None:
    feet = [VALUES[word] for word in _numbered(tale, "f")]
    names = [tale.words[role] for role in ("hero", "friend", "rival")]
    ranked = [name for _, name in sorted(zip(feet, names, strict=True), reverse=True)]
    tale.words.update(zip(("first", "second", "third"), ranked, strict=True))


GRAMMAR.phrases("OWED", "{d1=NAME} {s1=SUM}, {d2=NAME-d1} {s2=SUM} and {d3=NAME-d1-d2} {s3=SUM}")
_DEBTS = GRAMMAR.phrases(
    "DEBTS",
    "In the book of debts stood {OWED}.",
    "Three people of {town} owed {him} money: {OWED}.",
    "{^SPEAKER} read out the debts: {OWED}.",
    "On the wall of {PLACE} somebody had written: {OWED}.",
)
_PAID = GRAMMAR.phrases(
    "PAID",
    "{WHEN} {debtor} came and paid {debt} crowns.",
    '"I owe {debt}," said {debtor} and {DID}.',
    "{Friend} asked {debtor} for {debt} crowns, and got them.",
)
_ONE_OF_THREE = uniform("1", "2", "3")


def _collect(tale: Tale) -> None:
    rank = tale.draw(_ONE_OF_THREE)
    tale.words["debtor"], tale.words["debt"] = tale.words[f"d{rank}"], tale.words[f"s{rank}"]


PLOTS = (
    Plot(_HOARD, _RECOUNT, consequence=_add_up),
    Plot(_PACK, _UNPACK, consequence=_copy),
    Plot(_TRADE, _TRADED, consequence=_undo),
    Plot(_DOORS, _OPENED, choice=_open_two),
    Plot(_ROUTE, _RETURN, consequence=_turn_round),
    Plot(_SAYING, _SAID_AGAIN),
    Plot(_SONG, _SUNG_AGAIN),
    Plot(_GATE, _GATE_OPENED, consequence=_spell),
    Plot(_RIDDLE, _ANSWER, consequence=_solve),
    Plot(_PROMISE, _KEPT, consequence=_past),
    Plot(_HIDE, _FOUND),
    Plot(_AGES, _AGED, choice=_grow_older),
    Plot(_DEPART, _ARRIVE, consequence=_days_pass),
    Plot(_CONTEST, _PRIZE, consequence=_rank),
    Plot(_DEBTS, _PAID, choice=_collect),
)
