"""The trial in the middle of every tale, and what follows from it at the end: outcome and moral depend on the choice."""

from data.grammar import Tale, uniform
from data.vocabulary import GRAMMAR

VIRTUES = ("sharing", "honesty", "patience", "courage", "mercy", "modesty", "loyalty")

_TRIALS = {
    "sharing": (
        "{WHEN} {stranger=SPEAKER} came to the door and asked for {meal=MEAL}.",
        "By {PLACE} sat {stranger=SPEAKER} who had not eaten for {DAYS_LONG}. {Hero} had nothing but {meal=MEAL}.",
    ),
    "honesty": (
        "{WHEN} {stranger=SPEAKER} asked {him} who had broken the {broken=THING}. It had been {hero}.",
        "By {PLACE} lay the {broken=THING} of {stranger=SPEAKER}, and nobody saw {hero} pick it up.",
    ),
    "patience": (
        "{^stranger=SPEAKER} told {him} to wait for {DAYS_LONG} by {PLACE}.",
        "The {broken=THING} that {stranger=SPEAKER} was mending would take {DAYS_LONG}.",
    ),
    "courage": (
        "{WHEN} a storm broke, and {stranger=SPEAKER} cried for help from {danger=PLACE}.",
        "There was fire at {danger=PLACE}, and {stranger=SPEAKER} was still inside.",
    ),
    "mercy": (
        "{WHEN} they caught {stranger=SPEAKER} stealing {meal=MEAL}.",
        "In a trap by {PLACE} they found {stranger=SPEAKER}, who had once robbed {hero} of a {broken=THING}.",
    ),
    "modesty": (
        "{^stranger=SPEAKER} praised {hero} before all of {town} for a {broken=THING} that {friend} had made.",
        "{WHEN} {stranger=SPEAKER} wanted to know who was the wisest in {town}.",
    ),
    "loyalty": (
        "{^stranger=SPEAKER} offered {hero} a {broken=THING} and {meal=MEAL} to leave {friend} behind.",
        "{WHEN} {friend} fell ill by {PLACE}, and {stranger=SPEAKER} called {hero} to a feast.",
    ),
}

_CHOICES = {
    "sharing good": ("{He} gave half, and {DID}.", "{Hero} shared without a second thought."),
    "sharing bad": ("{He} hid the food and {DID}.", "{Hero} ate it all alone."),
    "honesty good": ('"It was I," said {hero} at once.', "{He} told the whole truth and was {FELT}."),
    "honesty bad": ('"I know nothing of it," said {hero}.', "{He} lied and {DID}."),
    "patience good": ("{Hero} sat down and waited, {FELT} but still.", "{He} counted the days and did not complain."),
    "patience bad": ("{Hero} would not wait a single hour.", "{He} grew {FELT} and snatched it away too soon."),
    "courage good": ("{Hero} ran in, though {he} was {FELT}.", "{He} did not stop to think, and went."),
    "courage bad": ("{Hero} hid behind {friend}.", "{He} was {FELT} and turned away."),
    "mercy good": ('"Go in peace," said {hero}.', "{He} untied the rope and {DID}."),
    "mercy bad": ('"Let them hang you," said {hero}.', "{He} called the guards and {DID}."),
    "modesty good": ('"It was {friend}," said {hero}.', "{He} blushed and spoke of others."),
    "modesty bad": ('"It is I, of course," said {hero}.', "{He} bowed and bragged till everybody {DID}."),
    "loyalty good": ("{Hero} stayed with {friend} and {DID}.", '"Never without {friend}," said {hero}.'),
    "loyalty bad": ("{Hero} went and did not look back.", '"Farewell, {friend}," said {hero} and {DID}.'),
}

_OUTCOMES = {
    "good": (
        "Then {stranger} came back, and was no longer poor: {he} was given {a gift=MATERIAL} {gift2=THING}.",
        "In the end {stranger} told the king of {town}, who gave {him} {a gift=MATERIAL} {gift2=THING}.",
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

_MORALS = {
    "sharing good": ("Half of {meal} is more than the whole.", "Who shares with {stranger} shares with a friend."),
    "sharing bad": ("Bread that is eaten alone turns to stone.", "Who will not share {meal} will go hungry."),
    "honesty good": (
        "The truth about a {broken} weighs less than a lie.",
        "An honest word is worth a house in {town}.",
    ),
    "honesty bad": ("A lie about a {broken} comes home in the evening.", "Who lies to {stranger} lies to the world."),
    "patience good": ("Those who wait are served by time itself.", "Even {a mood} {trade} can learn to wait."),
    "patience bad": ("Haste picks the fruit before it is ripe.", "Who cannot wait for {stranger} waits for ever."),
    "courage good": (
        "To be brave is to be afraid and to go to {danger} all the same.",
        "A small heart can hold a great deed.",
    ),
    "courage bad": ("Who hides from the storm meets it at home.", "Fear makes {danger} larger than it is."),
    "mercy good": ("Forgive {stranger}, and you free two.", "An open hand catches more than a fist."),
    "mercy bad": ("The rope that you tie for {stranger} will fit you too.", "A hard heart breaks like ice."),
    "modesty good": ("The full ear of corn bows its head.", "Praise {friend}, and {friend} will praise you."),
    "modesty bad": ("The drum that sounds the loudest is empty.", "Pride is {a mood} {trade} without a trade."),
    "loyalty good": ("One {kind} that stays is worth a hundred guests.", "Who keeps {friend} keeps the way home."),
    "loyalty bad": ("Who sells {a kind} for a feast dines alone.", "There is no road back to a friend like {friend}."),
}

GRAMMAR.words("DAYS_LONG", ("three days", "seven days", "a month", "forty days", "a winter", "nine weeks", "a year"))
for _virtue in VIRTUES:
    GRAMMAR.phrases(f"TRIAL.{_virtue}", _TRIALS[_virtue])
for _choice, _phrases in _CHOICES.items():
    GRAMMAR.phrases(f"CHOICE.{_choice}", _phrases)
    GRAMMAR.phrases(f"OUTCOME.{_choice}", _OUTCOMES[_choice.split()[1]])
    GRAMMAR.phrases(f"MORAL.{_choice}", _MORALS[_choice])

TRIAL = GRAMMAR.phrases("TRIAL", ("{TRIAL.virtue}",))
CHOICE = GRAMMAR.phrases("CHOICE", ("{CHOICE.choice}",))
OUTCOME = GRAMMAR.phrases("OUTCOME", ("{OUTCOME.choice}",))
ENDING = GRAMMAR.phrases(
    "ENDING",
    (
        "And that is why they say in {town}: {MORAL.choice}",
        "{^SPEAKER} who heard this tale said: {MORAL.choice}",
        "The moral: {MORAL.choice}",
        '{Friend} {DID} and said: "{MORAL.choice}"',
    ),
)


def trial(tale: Tale) -> None:
    """Somebody puts the hero to the test, and the hero chooses well or badly."""
    virtue = tale.draw(uniform(*VIRTUES))
    tale.recall("virtue", virtue)
    tale.one_of(TRIAL)
    tale.recall("choice", f"{virtue} {tale.draw(uniform('good', 'bad'))}")
    tale.one_of(CHOICE)


def ending(tale: Tale) -> None:
    """What the choice brought, and the moral that follows; the last line of every tale."""
    tale.one_of(OUTCOME)
    tale.one_of(ENDING)
