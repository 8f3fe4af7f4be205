"""The scenes of the tales: most plant something that a later scene comes back to.

A scene is a function that tells a piece of a tale. What it plants (a sum, a list, a saying, a hiding place …) it leaves
in the tale's memory, and names the function that pays it off.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations

from data.grammar import Table, Tale, Words, article, uniform
from data.vocabulary import (
    COINS,
    COLOURS,
    DAYS,
    FRUIT,
    FRUITS,
    GOODS,
    GRAMMAR,
    ITEMS,
    KIND,
    MATERIAL,
    MEN,
    MOOD,
    NAME,
    NUMBERS,
    OPPOSITE,
    RHYME,
    RHYMES,
    RIDDLES,
    ROOMS,
    SEASON,
    SYLLABLES,
    THING,
    TOWN,
    TRADE,
    VALUES,
    VERBS,
)


@dataclass(frozen=True, eq=False)
class Plot:
    """A scene that plants something, and the one that comes back to it."""

    plant: Callable[[Tale], None]
    payoff: Callable[[Tale], None]


def enumeration(words: Sequence[str]) -> str:
    """One, two and three."""
    return ", ".join(words[:-1]) + " and " + words[-1]


def cast(tale: Tale, role: str, suffix: str) -> None:
    """Remembers the pronouns of whoever plays `role`: he, him and his with the suffix, whatever the gender."""
    pronouns = ("he", "him", "his") if tale.words[role] in MEN else ("she", "her", "her")
    for key, word in zip(("he", "him", "his"), pronouns, strict=True):
        tale.recall(key + suffix, word)


def several(tale: Tale, table: Words, count: int) -> list[str]:
    """`count` different options, in the order drawn."""
    chosen: list[str] = []
    for _ in range(count):
        chosen.append(tale.draw(table, chosen))
    return chosen


# -------------------------------------------------------------------------------------------------- opening

TITLES = GRAMMAR.phrases(
    "TITLES",
    (
        "{hero=NAME} and the {material=MATERIAL} {thing=THING}",
        "The {material=MATERIAL} {thing=THING} of {town=TOWN}",
        "How {hero=NAME} came to {town=TOWN}",
        "{hero=NAME} of {town=TOWN}",
        "The {mood=MOOD} {trade=TRADE} and the {kind=KIND}",
        "The {kind=KIND} with the {material=MATERIAL} {thing=THING}",
        "A tale of {season=SEASON} in {town=TOWN}",
    ),
)
OPENINGS = GRAMMAR.phrases(
    "OPENINGS",
    (
        "In the {season} of {YEAR}, when {WEATHER.season}, there lived in {town} {a mood} {trade} named {hero}.",
        "Once there was {a mood} {trade} in {town} whose name was {hero}. It was the {season} of {YEAR}, and {WEATHER.season}.",
        "{Hero} was {a mood} {trade}. One {season}, when {WEATHER.season}, {he} came to {town}.",
        "It was {season} in {town}, {YEAR}, and {WEATHER.season}. There {hero}, {a mood} {trade}, kept a house by {PLACE}.",
        "They tell this story in {town}. One {season}, when {WEATHER.season}, {a mood} {trade} called {hero} was {FELT}.",
    ),
)
COMPANIONS = GRAMMAR.phrases(
    "COMPANIONS",
    (
        "{His} best friend was {friend}, {a mood2} {kind}.",
        "{He} shared {his} table with {a mood2} {kind} called {friend}.",
        "Nobody liked {him} but {friend} the {kind}, who was {mood2}.",
        "{Friend}, {a mood2} {kind}, followed {him} everywhere.",
        "With {him} lived {friend}, {a mood2} {kind} who loved {MEAL}.",
    ),
)
TREASURES = GRAMMAR.phrases(
    "TREASURES",
    (
        "All that {he} owned was {a material} {thing}.",
        "{His} father had left {him} {a material} {thing}, and {he} never let it out of {his} sight.",
        "{Friend} had once found {a material} {thing} near {PLACE} and given it to {him}.",
        "Over {his} bed hung {a material} {thing}, a gift from {SPEAKER}.",
        "For {a material} {thing} {he} would have given everything, and one day {he} bought one from {SPEAKER}.",
        "People whispered about {his} {material} {thing}, which had come from {PLACE}.",
    ),
)


def settle(tale: Tale, key: str, table: Words, without: Sequence[str] = ()) -> None:
    """Draws the word `key` from `table`, unless the tale has used it already."""
    if key not in tale.words:
        tale.recall(key, tale.draw(table, without))


def open_tale(tale: Tale) -> None:
    """The title, then who, where, when, with whom and with what."""
    tale.one_of(TITLES)
    tale.gap = "\n\n"
    settle(tale, "hero", NAME)
    settle(tale, "town", TOWN)
    settle(tale, "season", SEASON)
    settle(tale, "mood", MOOD)
    settle(tale, "trade", TRADE)
    cast(tale, "hero", "")
    tale.one_of(OPENINGS)
    settle(tale, "friend", NAME, (tale.words["hero"],))
    settle(tale, "mood2", MOOD, (tale.words["mood"],))
    settle(tale, "kind", KIND)
    cast(tale, "friend", "2")
    tale.one_of(COMPANIONS)
    settle(tale, "material", MATERIAL)
    settle(tale, "thing", THING)
    tale.one_of(TREASURES)


# -------------------------------------------------------------------------------------------------- on the way

IDLE = GRAMMAR.phrases(
    "IDLE",
    (
        "{WHEN}, while {SIGN.season}, {hero} {WENT} past {PLACE} and {SAW} {SIGHT} and {SIGHT}.",
        "They {SAW} {SPEAKER}, {MOOD} and {MOOD}, with {a MATERIAL} {THING}.",
        "In {TOWN} lived {NAME}, {a MOOD} {TRADE}, who {SAW} {hero} {HOW}.",
        "{NAME} of {TOWN} {SAW} {SIGHT}.",
        "{NAME}, {NAME} and {NAME} {DID}.",
        "{Friend} bought {a MATERIAL} {THING} for {SUM} crowns.",
        "A stone said: {NAME} of {TOWN}, {TRADE}, died in {YEAR}.",
        "The road led by {TOWN}, {TOWN} and {TOWN}.",
        "{NAME} of {TOWN} sold {SUM} {ITEM} and {SUM} {ITEM} to {NAME}.",
        "The {kind} dreamed of {a MOOD} {KIND}, {a MOOD} {KIND} and {MEAL}.",
        "{He} and {friend} talked about {TOPIC}, {TOPIC} and {TOPIC}.",
        "{WHEN} {he} {WENT} to {PLACE} {HOW}.",
        "{Friend} {DID} and spoke of {TOPIC}.",
        "Near {PLACE} they {SAW} {SIGHT}, and {hero} felt {FELT} and {FELT}.",
        "For supper they had {MEAL} with {MEAL}, and {friend} {DID}.",
        "{Hero} {DID}, for {he} was {FELT}, {FELT} and {FELT}.",
        "{WHEN} {SIGN.season}, and {friend} was {FELT}.",
        "From {PLACE} to {PLACE} they {WENT} {HOW}, and {hero} thought of {TOPIC}.",
        "{^SPEAKER} asked {him} about {TOPIC}, but {he} only {DID}.",
        "{WHEN} {friend} {SAW} {SIGHT} by {PLACE}.",
        "The {kind} smelled {MEAL} from {PLACE} and {WENT} there {HOW}.",
        "{^SIGHT}, {SIGHT} and {SIGHT} were all that {he} {SAW} there.",
        "{^SPEAKER} gave {friend} {MEAL} for {a MATERIAL} {THING}.",
    ),
)


def idle(tale: Tale) -> None:
    """A sentence or two in which nothing of weight happens."""
    tale.one_of(IDLE)


# -------------------------------------------------------------------------------------------------- counting

HOARD = GRAMMAR.phrases(
    "HOARD",
    (
        "In {his} {holder=HOLDER} {hero} had {n} {fruits}.",
        "{Hero} put {n} {fruits} into {his} {holder=HOLDER}.",
        "{^SPEAKER} gave {him} {n} {fruits}, which {he} kept in {his} {holder=HOLDER}.",
        "There were {n} {fruits} in the {holder=HOLDER} that {hero} carried.",
    ),
)
LESS = GRAMMAR.phrases(
    "LESS",
    (
        "{He} gave {some} to {friend}.",
        "{He} ate {some} with {MEAL}.",
        "{He} lost {some} near {PLACE}.",
        "{^SPEAKER} begged for {some} and got them.",
        "A thief stole {some} by {PLACE}.",
        "{Some} went to {SPEAKER}.",
    ),
)
MORE = GRAMMAR.phrases(
    "MORE",
    (
        "{He} found {some} more by {PLACE}.",
        "{^SPEAKER} added {some}.",
        "{Friend} brought {him} another {some}.",
        "For mending a fence {he} was paid {some} more.",
    ),
)
TOTAL = GRAMMAR.phrases("TOTAL", ("Now there {were} {n}.", "That made {n}.", "So {n} {were} in the {holder}."))
RECOUNT = GRAMMAR.phrases(
    "RECOUNT",
    (
        "{WHEN} {hero} opened the {holder}: there {were} {n} {fruits} in it, just as there should be.",
        "{Friend} looked into the {holder}, and there {were} {n} {fruits}.",
        "{WHEN} {he} counted {his} {fruits} and came to {n}.",
    ),
)
START = Table(NUMBERS[5:31])
STEP = Table(NUMBERS[2:9])


def count(tale: Tale, number: int, plural: str) -> None:
    """Remembers how many there are, with the noun and the verb in agreement."""
    tale.recall("n", NUMBERS[number])
    tale.recall("fruits", FRUITS[plural] if number == 1 else plural)
    tale.recall("were", "was" if number == 1 else "were")


def hoard(tale: Tale) -> None:
    """A number of things, and what becomes of it; every sum is right."""
    number = VALUES[tale.draw(START)]
    plural = tale.draw(FRUIT)
    count(tale, number, plural)
    tale.one_of(HOARD)
    changes = 0
    while changes == 0 or (changes < 3 and tale.draw(uniform(True, False))):
        changes += 1
        too_many = [step for step in NUMBERS[2:9] if VALUES[step] >= number]
        if number > 2 and tale.draw(uniform(True, False)):
            step = tale.draw(STEP, too_many)
            tale.recall("some", step)
            tale.one_of(LESS)
            number -= VALUES[step]
        else:
            step = tale.draw(STEP)
            tale.recall("some", step)
            tale.one_of(MORE)
            number += VALUES[step]
    count(tale, number, plural)
    if tale.draw(uniform(True, False)):
        tale.one_of(TOTAL)


def recount(tale: Tale) -> None:
    tale.one_of(RECOUNT)


# -------------------------------------------------------------------------------------------------- lists

PACK = GRAMMAR.phrases(
    "PACK",
    (
        "Into the {chest} {he} put {list}, in that order.",
        "{Friend} packed a {chest} with {list}.",
        "At the market by {PLACE} {hero} bought {list}, and laid everything into a {chest}.",
        "{^SPEAKER} handed {him} a {chest} with {list}.",
    ),
)
UNPACK = GRAMMAR.phrases(
    "UNPACK",
    (
        "What lay on top of the {chest} came out first: {reversed}.",
        "{WHEN} {friend} named all that was in the {chest}: {list}.",
        "{Hero} sorted the things from the {chest} by the alphabet: {sorted}.",
        "Out of the {chest} came, last things first, {reversed}.",
        "Nothing was missing from the {chest}: {list}.",
        "A clerk wrote down what was in the {chest}, from A to Z: {sorted}.",
    ),
)
CHEST = Table(("chest", "sledge", "hamper", "knapsack", "crate", "saddlebag", "suitcase", "cart", "tub"))


def pack(tale: Tale) -> None:
    """A list; it comes back as it was, backwards or in alphabetical order."""
    tale.recall("chest", tale.draw(CHEST))
    items = several(tale, ITEMS, tale.draw(uniform(3, 4, 5)))
    tale.recall("list", enumeration(items))
    tale.recall("reversed", enumeration(items[::-1]))
    tale.recall("sorted", enumeration(sorted(items)))
    tale.one_of(PACK)


def unpack(tale: Tale) -> None:
    tale.one_of(UNPACK)


TRADED = GRAMMAR.phrases(
    "TRADED",
    (
        "On the road {hero} traded {chain}.",
        "{WHEN} {friend} went to market and swapped {chain}.",
        "It was a day of bargains: {hero} changed {chain}.",
    ),
)
TRADED_BACK = GRAMMAR.phrases(
    "TRADED_BACK",
    (
        "{Friend} could not believe it: {back}.",
        "So in truth {back}.",
        "{WHEN} {he} told it backwards: {back}.",
    ),
)


def trade(tale: Tale) -> None:
    """A chain of swaps; it is told backwards later."""
    goods = several(tale, GOODS, tale.draw(uniform(3, 4)))
    links = [f"the {one} for {article(other)}" for one, other in pairwise(goods)]
    links[0] = f"{article(goods[0])} for {article(goods[1])}"
    back = [f"the {other} had been {article(one)}" for one, other in pairwise(goods)]
    tale.recall("chain", enumeration(links))
    tale.recall("back", enumeration(back[::-1]))
    tale.one_of(TRADED)


def trade_back(tale: Tale) -> None:
    tale.one_of(TRADED_BACK)


DOORS = GRAMMAR.phrases(
    "DOORS",
    (
        "{WHEN} they came to a house with three doors. Behind {doors}.",
        "{^SPEAKER} warned them of three doors by {PLACE}: behind {doors}.",
        "{Hero} dreamed of three doors. Behind {doors}.",
    ),
)
DOORS_OPENED = GRAMMAR.phrases(
    "DOORS_OPENED",
    (
        "Of the three doors {hero} opened the {one} one and found {inside_one}; {friend} tried the {two} one and met {inside_two}.",
        "Behind the {one} door there was still {inside_one}, and behind the {two} one {inside_two}.",
        "{WHEN} the {one} door and the {two} door stood open: there was {inside_one}, and there was {inside_two}.",
    ),
)


def doors(tale: Tale) -> None:
    """Which thing is behind which door; two of the doors are opened later."""
    colours = several(tale, COLOURS, 3)
    rooms = several(tale, ROOMS, 3)
    tale.recall(
        "doors", enumeration([f"the {colour} one was {room}" for colour, room in zip(colours, rooms, strict=True)])
    )
    for colour, room in zip(colours, rooms, strict=True):
        tale.recall("behind " + colour, room)
    tale.recall("colours", "|".join(colours))
    tale.one_of(DOORS)


def doors_opened(tale: Tale) -> None:
    one, two = tale.draw(uniform(*permutations(tale.words["colours"].split("|"), 2)))
    tale.recall("one", one)
    tale.recall("two", two)
    tale.recall("inside_one", tale.words["behind " + one])
    tale.recall("inside_two", tale.words["behind " + two])
    tale.one_of(DOORS_OPENED)


ROUTE = GRAMMAR.phrases(
    "ROUTE",
    (
        "The way went from {PLACE} {route}.",
        "{^SPEAKER} showed them the way: {route}.",
        "{Hero} and {friend} {WENT} {route}.",
    ),
)
RETURN = GRAMMAR.phrases(
    "RETURN",
    (
        "The way home was the same the other way round: {return}.",
        "To get back they had to go {return}.",
        "{WHEN} {friend} led them back, {return}.",
    ),
)
MILES = Table(NUMBERS[2:13])
BEARING = Table(tuple(OPPOSITE))


def route(tale: Tale) -> None:
    """A way there; the way back has the steps backwards and every bearing turned round."""
    steps: list[tuple[str, str]] = []
    for _ in range(tale.draw(uniform(2, 3, 4))):
        miles = tale.draw(MILES)
        last = steps[-1][1] if steps else None
        steps.append((miles, tale.draw(BEARING, (last, OPPOSITE[last]) if last else ())))
    tale.recall("route", enumeration([f"{miles} miles {bearing}" for miles, bearing in steps]))
    tale.recall("return", enumeration([f"{miles} miles {OPPOSITE[bearing]}" for miles, bearing in steps[::-1]]))
    tale.one_of(ROUTE)


def way_back(tale: Tale) -> None:
    tale.one_of(RETURN)


# -------------------------------------------------------------------------------------------------- words said again

ADVICE = GRAMMAR.phrases(
    "ADVICE",
    (
        "Never trust {SIGHT} near {PLACE}",
        "Whoever eats {MEAL} should not speak of {TOPIC}",
        "Go to {PLACE} only when you are {FELT}",
        "{^TOPIC} and {TOPIC} make bad company",
        "Look for {ROOM} where others look for {TOPIC}",
        "Better {MEAL} at home than {MEAL} at {PLACE}",
        "Ask {SPEAKER} about {TOPIC} and {SPEAKER} about {TOPIC}",
        "When you meet {SIGHT}, think of {TOPIC} and walk on {HOW}",
    ),
)
SAYING = GRAMMAR.phrases(
    "SAYING",
    (
        '{^SPEAKER} said to {him}: "{saying=ADVICE}."',
        '"{saying=ADVICE}," said {SPEAKER}.',
        'Over the door of {PLACE} was written: "{saying=ADVICE}."',
        '{Friend} had a saying: "{saying=ADVICE}."',
    ),
)
SAYING_AGAIN = GRAMMAR.phrases(
    "SAYING_AGAIN",
    (
        'Then {hero} remembered the words: "{saying=ADVICE}."',
        '"{saying=ADVICE}," whispered {hero}.',
        '{WHEN} {hero} and {friend} said together: "{saying}."',
        'Was it not said? "{saying}."',
    ),
)


def saying(tale: Tale) -> None:
    """Words that are said again later, exactly."""
    tale.one_of(SAYING)


def saying_again(tale: Tale) -> None:
    tale.one_of(SAYING_AGAIN)


FIRST_LINE = GRAMMAR.phrases(
    "FIRST_LINE",
    (
        "I {WENT} beside the {rhyme1}",
        "Oh, {COLOUR} and {COLOUR} was the {rhyme1}",
        "{THING} and {THING}, beneath the {rhyme1}",
        "Who {WENT} {HOW} to the {rhyme1}",
        "My {MOOD} love, behind the {rhyme1}",
    ),
)
SECOND_LINE = GRAMMAR.phrases(
    "SECOND_LINE",
    (
        "and {NAME} has lost the {rhyme2}",
        "but who will bring me home the {rhyme2}",
        "and {DID} to see the {COLOUR} {rhyme2}",
        "for {MEAL} and for the {rhyme2}",
        "till {NAME} and {NAME} find a {rhyme2}",
    ),
)
VERSE = GRAMMAR.phrases("VERSE", ("{FIRST_LINE},\n{SECOND_LINE}",))
SONG = GRAMMAR.phrases(
    "SONG",
    (
        "{Friend} sang:\n{verse=VERSE}.",
        "On the road they sang the song of {PLACE}:\n{verse=VERSE}.",
        "{^SPEAKER} taught them a song:\n{verse=VERSE}.",
    ),
)
SONG_AGAIN = GRAMMAR.phrases(
    "SONG_AGAIN",
    (
        "And again they sang:\n{verse}.",
        "{WHEN} {hero} heard the song once more:\n{verse}.",
        "Far away somebody was singing:\n{verse}.",
    ),
)


def song(tale: Tale) -> None:
    """Two lines that rhyme; they are sung again, exactly."""
    one = tale.draw(RHYME)
    rhyming = (one, RHYMES[one])
    first = tale.draw(uniform(0, 1))
    tale.recall("rhyme1", rhyming[first])
    tale.recall("rhyme2", rhyming[1 - first])
    tale.one_of(SONG)
    tale.gap = "\n"


def song_again(tale: Tale) -> None:
    tale.one_of(SONG_AGAIN)
    tale.gap = "\n"


GATE = GRAMMAR.phrases(
    "GATE",
    (
        '"The word for the gate is {word}," whispered {SPEAKER}.',
        "{Friend} knew the secret word of {PLACE}: {word}.",
        "On the {material} {thing} a single word was scratched: {word}.",
    ),
)
GATE_OPENED = GRAMMAR.phrases(
    "GATE_OPENED",
    (
        '"{Word}," said {hero}, and the gate swung open.',
        "{Hero} had not forgotten the word. Letter by letter {he} spelled {letters}.",
        '"{Word}! {Word}!" cried {friend}, until somebody drew the bolt.',
        'The guard asked for the word. "{Word}," answered {hero}.',
        "Backwards, letter by letter, {friend} read from the wall: {mirrored}.",
    ),
)
SYLLABLE = Table(SYLLABLES, [1] * len(SYLLABLES))


def gate(tale: Tale) -> None:
    """A word that nobody has heard before; it is said or spelled later."""
    word = "".join(tale.draw(SYLLABLE) for _ in range(tale.draw(uniform(2, 3, 4))))
    tale.recall("word", word)
    tale.recall("letters", "-".join(word))
    tale.recall("mirrored", "-".join(word[::-1]))
    tale.one_of(GATE)


def gate_opened(tale: Tale) -> None:
    tale.one_of(GATE_OPENED)


QUESTION = GRAMMAR.phrases(
    "QUESTION",
    (
        '"{riddle=RIDDLE}" asked {SPEAKER}, but neither {hero} nor {friend} knew.',
        '{Friend} loved riddles. "{riddle=RIDDLE}" {he2} asked.',
        'At {PLACE} they were stopped. "{riddle=RIDDLE}" said a voice, and then was silent.',
    ),
)
ANSWER = GRAMMAR.phrases(
    "ANSWER",
    (
        "{WHEN} {hero} knew the answer to the riddle: {answer}.",
        '"The answer is {answer}," said {friend} and {DID}.',
        '"{Answer}!" cried {hero}, for the riddle had gone round and round in {his} head.',
    ),
)


def question(tale: Tale) -> None:
    """A riddle; every riddle has one answer, in all tales."""
    tale.one_of(QUESTION)
    tale.recall("answer", RIDDLES[tale.words["riddle"]])


def answer(tale: Tale) -> None:
    tale.one_of(ANSWER)


PROMISE = GRAMMAR.phrases(
    "PROMISE",
    (
        '"I will {verb=VERB} the {load=LOAD} to {goal=PLACE} {BEFORE}," {hero} promised.',
        '{Friend} gave {SPEAKER} {his2} word: "I will {verb=VERB} your {load=LOAD} to {goal=PLACE} {BEFORE}."',
        '"Who will {verb=VERB} my {load=LOAD} to {goal=PLACE}?" asked {SPEAKER}, and {hero} said yes.',
    ),
)
KEPT = GRAMMAR.phrases(
    "KEPT",
    (
        "A promise is a promise: they {did} the {load} to {goal}.",
        "{WHEN} {hero} {did} the {load} to {goal}, as promised.",
        "And who {did} the {load} to {goal} {HOW}? It was {friend}.",
    ),
)


def promise(tale: Tale) -> None:
    """A promise in the future tense; it is kept in the past tense."""
    tale.one_of(PROMISE)
    tale.recall("did", VERBS[tale.words["verb"]])


def kept(tale: Tale) -> None:
    tale.one_of(KEPT)


HIDE = GRAMMAR.phrases(
    "HIDE",
    (
        "{WHEN} {hero} hid the {thing} {spot=SPOT} near {hideaway=PLACE}, for {he} feared thieves.",
        "{Friend} put the {material} {thing} {spot=SPOT} near {hideaway=PLACE} and told nobody.",
        "So that nobody should see the {thing}, {he} left it {spot=SPOT} near {hideaway=PLACE}.",
    ),
)
FOUND = GRAMMAR.phrases(
    "FOUND",
    (
        "The {material} {thing} was still {spot}.",
        "{WHEN} they went back to {hideaway}, and the {thing} lay {spot}.",
        '"Where is the {thing}?" asked {SPEAKER}. "Near {hideaway}, {spot}," said {hero}.',
    ),
)


def hide(tale: Tale) -> None:
    """The treasure is hidden; it is found at the same place."""
    tale.one_of(HIDE)


def found(tale: Tale) -> None:
    tale.one_of(FOUND)


# -------------------------------------------------------------------------------------------------- numbers and days

AGES = GRAMMAR.phrases(
    "AGES",
    (
        "{Hero} was {age} that year, and {friend} was {years} {older}.",
        "{Friend} was {years} {older} than {hero}, who was {age}.",
    ),
)
AGED = GRAMMAR.phrases(
    "AGED",
    (
        "{Span} years later, when {hero} was {age_then} and {friend} was {age2_then}, they still spoke of it.",
        "{Span} years went by. Now {hero} was {age_then} and {friend} {age2_then}.",
    ),
)
AGE = Table(NUMBERS[8:25])
YEARS = Table(NUMBERS[1:6])
SPAN = Table(NUMBERS[2:21])


def ages(tale: Tale) -> None:
    """How old they are; years later the difference is the same."""
    age, years = tale.draw(AGE), tale.draw(YEARS)
    older = tale.draw(uniform("older", "younger"))
    tale.recall("age", age)
    tale.recall("years", years + (" year" if years == "one" else " years"))
    tale.recall("older", older)
    tale.recall("age2", NUMBERS[VALUES[age] + (VALUES[years] if older == "older" else -VALUES[years])])
    tale.one_of(AGES)


def aged(tale: Tale) -> None:
    span = tale.draw(SPAN)
    tale.recall("span", span)
    tale.recall("age_then", NUMBERS[VALUES[tale.words["age"]] + VALUES[span]])
    tale.recall("age2_then", NUMBERS[VALUES[tale.words["age2"]] + VALUES[span]])
    tale.one_of(AGED)


DEPART = GRAMMAR.phrases(
    "DEPART",
    (
        "They set out for {goal2=PLACE} on {a day}, and the way takes {nights} days.",
        "It was {a day} when they left for {goal2=PLACE}, {nights} days away.",
    ),
)
ARRIVE = GRAMMAR.phrases(
    "ARRIVE",
    (
        "They came to {goal2} on {a day_then}.",
        "It was {a day_then} when they saw {goal2}.",
        "On {day_then} they reached {goal2}, {FELT} and {FELT}.",
    ),
)
DAY = Table(DAYS)
NIGHTS = Table(NUMBERS[2:12])


def depart(tale: Tale) -> None:
    """They leave on one day of the week; the day on which they arrive follows."""
    day, nights = tale.draw(DAY), tale.draw(NIGHTS)
    tale.recall("day", day)
    tale.recall("nights", nights)
    tale.recall("day_then", DAYS[(DAYS.index(day) + VALUES[nights]) % 7])
    tale.one_of(DEPART)


def arrive(tale: Tale) -> None:
    tale.one_of(ARRIVE)


CONTEST = GRAMMAR.phrases(
    "CONTEST",
    (
        "At the fair they threw {a load2=LOAD} for a prize: {throws}.",
        "There was a contest by {PLACE}, and they threw horseshoes: {throws}.",
        "{^SPEAKER} measured how far each could jump: {throws}.",
    ),
)
PRIZE = GRAMMAR.phrases(
    "PRIZE",
    (
        "So {first} had won the contest, before {second} and {third}.",
        "{WHEN} the prize went to {first}; {second} was second and {third} third.",
        "The last in the contest was {third}, the next {second}, and the best of all {first}.",
    ),
)
FEET = Table(NUMBERS[3:41])


def contest(tale: Tale) -> None:
    """Three numbers; the order of the three follows."""
    rival = tale.draw(NAME, (tale.words["hero"], tale.words["friend"]))
    names = (tale.words["hero"], tale.words["friend"], rival)
    feet = several(tale, FEET, 3)
    by_feet = sorted(zip(feet, names, strict=True), key=lambda throw: -VALUES[throw[0]])
    tale.recall("throws", enumeration([f"{name} {far} feet" for far, name in zip(feet, names, strict=True)]))
    for place, (_, name) in zip(("first", "second", "third"), by_feet, strict=True):
        tale.recall(place, name)
    tale.one_of(CONTEST)


def prize(tale: Tale) -> None:
    tale.one_of(PRIZE)


DEBTS = GRAMMAR.phrases(
    "DEBTS",
    (
        "In the book of debts stood {debts}.",
        "Three people of {town} owed {him} money: {debts}.",
        "{^SPEAKER} read out the debts: {debts}.",
        "On the wall of {PLACE} somebody had written: {debts}.",
    ),
)
DEBT_PAID = GRAMMAR.phrases(
    "DEBT_PAID",
    (
        "{WHEN} {debtor} came and paid {debt} crowns.",
        '"I owe {debt}," said {debtor} and {DID}.',
        "{Friend} asked {debtor} for {debt} crowns, and got them.",
    ),
)


def debts(tale: Tale) -> None:
    """Who owes how much; one of the three pays."""
    names = several(tale, NAME, 3)
    coins = [tale.draw(COINS) for _ in names]
    tale.recall("debts", enumeration([f"{name} {sum_}" for name, sum_ in zip(names, coins, strict=True)]))
    tale.recall("debtors", "|".join(names))
    for name, sum_ in zip(names, coins, strict=True):
        tale.recall("debt of " + name, sum_)
    tale.one_of(DEBTS)


def debt_paid(tale: Tale) -> None:
    debtor = tale.draw(uniform(*tale.words["debtors"].split("|")))
    tale.recall("debtor", debtor)
    tale.recall("debt", tale.words["debt of " + debtor])
    tale.one_of(DEBT_PAID)


PLOTS = (
    Plot(hoard, recount),
    Plot(pack, unpack),
    Plot(trade, trade_back),
    Plot(doors, doors_opened),
    Plot(route, way_back),
    Plot(saying, saying_again),
    Plot(song, song_again),
    Plot(gate, gate_opened),
    Plot(question, answer),
    Plot(promise, kept),
    Plot(hide, found),
    Plot(ages, aged),
    Plot(depart, arrive),
    Plot(contest, prize),
    Plot(debts, debt_paid),
)
