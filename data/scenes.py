"""How a tale begins, what happens on the way, the trial in its middle and the moral at its end."""

from collections.abc import Sequence

from data.grammar import Table, Tale, Words, uniform
from data.vocabulary import GRAMMAR, MEN, NAME, TOWN, WORDS

# --------------------------------------------------------------------------------------------------- the opening

_TITLES = GRAMMAR.phrases(
    "TITLES",
    "{hero=NAME} and the {material=MATERIAL} {thing=THING}",
    "The {material=MATERIAL} {thing=THING} of {town=TOWN}",
    "How {hero=NAME} came to {town=TOWN}",
    "{hero=NAME} of {town=TOWN}",
    "The {mood=MOOD} {trade=TRADE} and the {kind=KIND}",
    "The {kind=KIND} with the {material=MATERIAL} {thing=THING}",
    "A tale of {season=SEASON} in {town=TOWN}",
)
_OPENINGS = GRAMMAR.phrases(
    "OPENINGS",
    "In the {season} of {YEAR}, when {WEATHER.season}, there lived in {town} {a mood} {trade} named {hero}.",
    "Once there was {a mood} {trade} in {town} whose name was {hero}. It was {season}, and {WEATHER.season}.",
    "{Hero} was {a mood} {trade}. One {season}, when {WEATHER.season}, {he} came to {town}.",
    "It was {season} in {town}, {YEAR}, and {WEATHER.season}. There {hero}, {a mood} {trade}, lived by {PLACE}.",
    "They tell this story in {town}. One {season}, when {WEATHER.season}, {a mood} {trade} called {hero} felt {FELT}.",
)
_COMPANIONS = GRAMMAR.phrases(
    "COMPANIONS",
    "{His} best friend was {friend=NAME-hero}, {a mood2=MOOD-mood} {kind}.",
    "{He} shared {his} table with {a mood2=MOOD-mood} {kind} called {friend=NAME-hero}.",
    "Nobody liked {him} but {friend=NAME-hero} the {kind}, who was {mood2=MOOD-mood}.",
    "{friend=NAME-hero}, {a mood2=MOOD-mood} {kind}, followed {him} everywhere.",
    "With {him} lived {friend=NAME-hero}, {a mood2=MOOD-mood} {kind} who loved {MEAL}.",
)
_TREASURES = GRAMMAR.phrases(
    "TREASURES",
    "All that {he} owned was {a material} {thing}.",
    "{His} father had left {him} {a material} {thing}, and {he} never let it out of {his} sight.",
    "{Friend} had once found {a material} {thing} near {PLACE} and given it to {him}.",
    "Over {his} bed hung {a material} {thing}, a gift from {SPEAKER}.",
    "For {a material} {thing} {he} would have given everything, and one day {he} bought one from {SPEAKER}.",
    "People whispered about {his} {material} {thing}, which had come from {PLACE}.",
)


def _settle(tale: Tale, key: str, table: Words) -> None:
    """Draws the word `key`, unless the title has used it already."""
    if key not in tale.words:
        tale.words[key] = tale.draw(table)


def _cast(tale: Tale, role: str, suffix: str) -> None:
    """Remembers the pronouns of whoever plays `role`, as he, him and his with the suffix."""
    pronouns = ("he", "him", "his") if tale.words[role] in MEN else ("she", "her", "her")
    for key, word in zip(("he", "him", "his"), pronouns, strict=True):
        tale.words[key + suffix] = word


def opening(tale: Tale) -> None:
    """The title, then who, where and when, with whom and with what."""
    tale.sentence(_TITLES)
    tale.gap = "\n\n"
    _settle(tale, "hero", NAME)
    _settle(tale, "town", TOWN)
    for key in ("season", "mood", "trade"):
        _settle(tale, key, WORDS[key.upper()])
    _cast(tale, "hero", "")
    tale.sentence(_OPENINGS)
    _settle(tale, "kind", WORDS["KIND"])
    tale.sentence(_COMPANIONS)
    _cast(tale, "friend", "2")
    for key in ("material", "thing"):
        _settle(tale, key, WORDS[key.upper()])
    tale.sentence(_TREASURES)


# ---------------------------------------------------------------------------------------------------- on the way

_IDLE = GRAMMAR.phrases(
    "IDLE",
    "{WHEN}, while {SIGN.season}, {hero} {WENT} past {PLACE} and {SAW} {SIGHT} and {SIGHT}.",
    "They {SAW} {SPEAKER}, {mood3=MOOD} and {MOOD-mood3}, with {a MATERIAL} {THING}.",
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
    "Near {PLACE} they {SAW} {SIGHT}, and {hero} felt {felt=FELT} and {FELT-felt}.",
    "For supper they had {MEAL} with {MEAL}, and {friend} {DID}.",
    "{Hero} {DID}, for {he} was {felt=FELT} and {FELT-felt}.",
    "{WHEN} {SIGN.season}, and {friend} was {FELT}.",
    "From {PLACE} to {PLACE} they {WENT} {HOW}, and {hero} thought of {TOPIC}.",
    "{^SPEAKER} asked {him} about {TOPIC}, but {he} only {DID}.",
    "{WHEN} {friend} {SAW} {SIGHT} by {PLACE}.",
    "The {kind} smelled {MEAL} from {PLACE} and {WENT} there {HOW}.",
    "{^SIGHT}, {SIGHT} and {SIGHT} were all that {he} {SAW} there.",
    "{^SPEAKER} gave {friend} {MEAL} for {a MATERIAL} {THING}.",
)


def idle(tale: Tale) -> None:
    """Something that nothing follows from."""
    tale.sentence(_IDLE)


# -------------------------------------------------------------------------------------------- the trial, the moral


def _choices(virtue: str, trials: Sequence[str], good: Sequence[str], bad: Sequence[str]) -> None:
    """Defines what a virtue is tried by, and for either choice two ways to make it and two morals."""
    GRAMMAR.phrases(f"TRIAL.{virtue}", *trials)
    for choice, (one, other, *morals) in (("good", good), ("bad", bad)):
        GRAMMAR.phrases(f"CHOICE.{virtue} {choice}", one, other)
        GRAMMAR.phrases(f"OUTCOME.{virtue} {choice}", *_OUTCOMES[choice])
        GRAMMAR.phrases(f"MORAL.{virtue} {choice}", *morals)


_OUTCOMES = {
    "good": (
        "Then {stranger} came back, no longer poor, and gave {him} {a MATERIAL} {THING}.",
        "In the end {stranger} told the king of {town}, who gave {him} {a MATERIAL} {THING}.",
        "Because of this {stranger} saved {hero} when {SIGN.season}.",
        "All of {town} heard of it from {stranger}, and {hero} never lacked {MEAL} again.",
    ),
    "bad": (
        "Then {stranger} came back, and took the {material} {thing} away.",
        "In the end {stranger} told the king of {town}, who took {his} {material} {thing}.",
        "Because of this {stranger} turned away when {hero} cried for help, and {SIGN.season}.",
        "All of {town} heard of it from {stranger}, and {hero} ate {MEAL} alone ever after.",
    ),
}
_choices(
    "sharing",
    (
        "{WHEN} {stranger=SPEAKER} came to the door and asked for {meal=MEAL}.",
        "By {PLACE} sat {stranger=SPEAKER} who had not eaten for {WAIT}. {Hero} had nothing but {meal=MEAL}.",
    ),
    (
        "{He} gave half, and {DID}.",
        "{Hero} shared without a second thought.",
        "Half of {meal} is more than the whole.",
        "Who shares with {stranger} shares with a friend.",
    ),
    (
        "{He} hid the food and {DID}.",
        "{Hero} ate it all alone.",
        "Bread that is eaten alone turns to stone.",
        "Who will not share {meal} will go hungry.",
    ),
)
_choices(
    "honesty",
    (
        "{WHEN} {stranger=SPEAKER} asked {him} who had broken the {broken=THING}. It had been {hero}.",
        "By {PLACE} lay the {broken=THING} of {stranger=SPEAKER}, and nobody saw {hero} pick it up.",
    ),
    (
        '"It was I," said {hero} at once.',
        "{He} told the whole truth and was {FELT}.",
        "The truth about a broken thing weighs less than a lie.",
        "An honest word is worth a house in {town}.",
    ),
    (
        '"I know nothing of it," said {hero}.',
        "{He} lied and {DID}.",
        "A lie about {a broken} comes home in the evening.",
        "Who lies to {stranger} lies to the world.",
    ),
)
_choices(
    "patience",
    (
        "{^SPEAKER} told {him} to wait for {stranger=SPEAKER} by {PLACE}, for {WAIT}.",
        "The {THING} that {stranger=SPEAKER} was mending would take {WAIT}.",
    ),
    (
        "{Hero} sat down and waited, {FELT} but still.",
        "{He} counted the days and did not complain.",
        "Those who wait are served by time itself.",
        "Even {a mood} {trade} can learn to wait.",
    ),
    (
        "{Hero} would not wait a single hour.",
        "{He} grew {FELT} and went away too soon.",
        "Haste picks the fruit before it is ripe.",
        "Who cannot wait for {stranger} waits for ever.",
    ),
)
_choices(
    "courage",
    (
        "{WHEN} a storm broke, and {stranger=SPEAKER} cried for help from {danger=PLACE}.",
        "There was fire at {danger=PLACE}, and {stranger=SPEAKER} was still inside.",
    ),
    (
        "{Hero} ran in, though {he} was {FELT}.",
        "{He} did not stop to think, and went.",
        "To be brave is to be afraid and to go to {danger} all the same.",
        "A small heart can hold a great deed.",
    ),
    (
        "{Hero} hid behind {friend}.",
        "{He} was {FELT} and turned away.",
        "Who hides from the storm meets it at home.",
        "Fear makes {danger} larger than it is.",
    ),
)
_choices(
    "mercy",
    (
        "{WHEN} they caught {stranger=SPEAKER} stealing {meal=MEAL}.",
        "In a trap by {PLACE} they found {stranger=SPEAKER}, who had once robbed {hero} of {a THING}.",
    ),
    (
        '"Go in peace," said {hero}.',
        "{He} untied the rope and {DID}.",
        "Forgive {stranger}, and you free two.",
        "An open hand catches more than a fist.",
    ),
    (
        '"Let the judge hang you," said {hero}.',
        "{He} called the guards and {DID}.",
        "The rope that you tie for {stranger} will fit you too.",
        "A hard heart breaks like ice.",
    ),
)
_choices(
    "modesty",
    (
        "{^stranger=SPEAKER} praised {hero} before all of {town} for {a THING} that {friend} had made.",
        "{WHEN} {stranger=SPEAKER} wanted to know who was the wisest in {town}.",
    ),
    (
        '"It was {friend}," said {hero}.',
        "{He} blushed and spoke of others.",
        "The full ear of corn bows its head.",
        "Praise {friend}, and {friend} will praise you.",
    ),
    (
        '"It is I, of course," said {hero}.',
        "{He} bowed and bragged till everybody {DID}.",
        "The drum that sounds the loudest is empty.",
        "Pride is {a trade} without tools.",
    ),
)
_choices(
    "loyalty",
    (
        "{^stranger=SPEAKER} offered {hero} {a THING} and {meal=MEAL} to leave {friend} behind.",
        "{WHEN} {friend} fell ill by {PLACE}, and {stranger=SPEAKER} called {hero} to a feast.",
    ),
    (
        "{Hero} stayed with {friend} and {DID}.",
        '"Never without {friend}," said {hero}.',
        "One {kind} that stays is worth a hundred guests.",
        "Who keeps {friend} keeps the way home.",
    ),
    (
        "{Hero} went and did not look back.",
        '"Farewell, {friend}," said {hero} and {DID}.',
        "Who sells {a kind} for a feast dines alone.",
        "There is no road back to a friend like {friend}.",
    ),
)

_VIRTUE = uniform("sharing", "honesty", "patience", "courage", "mercy", "modesty", "loyalty")
_CHOICE: Table[str] = uniform("good", "bad")
_TRIAL = GRAMMAR.phrases("TRIAL", "{TRIAL.virtue}")
_CHOOSING = GRAMMAR.phrases("CHOOSING", "{CHOICE.choice}")
_OUTCOME = GRAMMAR.phrases("OUTCOME", "{OUTCOME.choice}")
_MORAL = GRAMMAR.phrases(
    "MORAL",
    "And that is why they say in {town}: {MORAL.choice}",
    "{^SPEAKER} who heard this tale said: {MORAL.choice}",
    "The moral: {MORAL.choice}",
    '{Friend} {DID} and said: "{MORAL.choice}"',
)


def trial(tale: Tale) -> None:
    """Somebody puts the hero to the test, and the hero chooses well or badly."""
    virtue = tale.draw(_VIRTUE)
    tale.words["virtue"] = virtue
    tale.sentence(_TRIAL)
    tale.words["choice"] = f"{virtue} {tale.draw(_CHOICE)}"
    tale.sentence(_CHOOSING)


def ending(tale: Tale) -> None:
    """What the choice brought, and the moral that follows from it: the last line of every tale."""
    tale.sentence(_OUTCOME)
    tale.sentence(_MORAL)
