"""The words of the tales. In every list the first half is twice as likely as the second."""

import itertools
import re

from data.grammar import Grammar, Words

GRAMMAR = Grammar()


def _options(text: str) -> tuple[str, ...]:
    """The options between bars; between stars, every one of the first list with every one of the next."""
    columns = [[re.sub(r"\s+", " ", word).strip() for word in column.split("|")] for column in text.split("*")]
    return tuple(" ".join(phrase) for phrase in itertools.product(*columns))


def _define(text: str) -> dict[str, Words]:
    """A table a paragraph: NAME: option | option …"""
    tables = (paragraph.partition(": ") for paragraph in re.split(r"\n(?=\w)", text.strip()))
    return {name: GRAMMAR.words(name, _options(options)) for name, _, options in tables}


def _pairs(text: str) -> dict[str, str]:
    """one: other | one: other …"""
    return {one.strip(): other.strip() for one, _, other in (pair.partition(": ") for pair in text.split("|"))}


# ----------------------------------------------------------------------------------------------- names and numbers

# The ending of a name tells he from she.
_PEOPLE = _options(
    """
    Mar | Al | Ber | Cor | Dor | El | Fen | Gret | Hild | Il | Jor | Kar | Lin | Mel | Nor | Or | Pet | Quen |
    Ros | Sel | Tam | Ul | Vel | Wil | Yv | Zel | Ad | Bran | Ced | Den | Er | Far | Gal | Hav | Ing | Jas |
    Kest | Lor | Mir | Ned | Os | Pel | Ris | Sib | Tor | Ur | Var | Wen | Xan | Yor
    """
)
_SHE = ("a", "ina", "elle", "ika", "ith", "enna", "olde")
_HE = ("o", "in", "ric", "us", "ard", "ulf", "emar")
MEN = frozenset(head + tail for head in _PEOPLE for tail in _HE)
NAME = GRAMMAR.words(
    "NAME", [head + tail for she, he in zip(_SHE, _HE, strict=True) for tail in (she, he) for head in _PEOPLE]
)
_PLACES = _options(
    """
    Harrow | Elder | Stone | Win | Black | Thorn | Mill | Ash | Oak | Fen | Grey | Lark | Raven | Salt |
    Amber | Wolf | Cold | Hollow | Birch | High | Marsh | Rook | Silver | Kings | Otter | Sand | Linden |
    Fox | Summer | Wind
    """
)
_KINDS_OF_PLACE = _options(
    """
    field | ford | bridge | ton | dale | wick | stead | mere | gate | combe | haven | brook | hurst | by |
    port | cliff | mouth | well
    """
)
TOWN = GRAMMAR.words("TOWN", [head + tail for tail in _KINDS_OF_PLACE for head in _PLACES])

_UNITS = _options(
    """
    zero | one | two | three | four | five | six | seven | eight | nine | ten | eleven | twelve | thirteen |
    fourteen | fifteen | sixteen | seventeen | eighteen | nineteen
    """
)
_TENS = ("twenty", "thirty", "forty", "fifty")
NUMBERS = (*_UNITS, *(tens + ("-" + unit if unit else "") for tens in _TENS for unit in ("", *_UNITS[1:10])))
VALUES = {word: value for value, word in enumerate(NUMBERS)}
GRAMMAR.words("START", NUMBERS[5:31])
STEP = GRAMMAR.words("STEP", NUMBERS[2:9])
GRAMMAR.words("AGE", NUMBERS[8:25])
SPAN = GRAMMAR.words("SPAN", NUMBERS[2:21])
GRAMMAR.words("MILES", NUMBERS[2:13])
GRAMMAR.words("FEET", NUMBERS[3:41])
GRAMMAR.words("NIGHTS", NUMBERS[2:12])
GRAMMAR.words("YEARS", ["one year", *(f"{number} years" for number in NUMBERS[2:6])])
GRAMMAR.words("YEAR", [str(year) for year in range(1100, 1900)])
GRAMMAR.words("SUM", [str(coins) for coins in range(11, 1000)])

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
GRAMMAR.words("DAY", DAYS)
OPPOSITE = {"north": "south", "south": "north", "east": "west", "west": "east"}
GRAMMAR.words("BEARING", tuple(OPPOSITE))
for _bearing in OPPOSITE:
    GRAMMAR.words(f"TURN.{_bearing}", [turn for turn in OPPOSITE if turn not in (_bearing, OPPOSITE[_bearing])])
GRAMMAR.words("SYLLABLE", [consonant + vowel for vowel in "aeiou" for consonant in "klmrtbndsvzgpf"])

# ------------------------------------------------------------------------------------------ words that belong together

SINGULAR = _pairs(
    """
    apples: apple | coins: coin | pears: pear | plums: plum | eggs: egg | nuts: nut | buns: bun | figs: fig |
    fishes: fish | candles: candle | beads: bead | onions: onion | marbles: marble | cherries: cherry |
    cakes: cake | buttons: button | acorns: acorn | shells: shell | lemons: lemon | turnips: turnip |
    pebbles: pebble | peaches: peach | loaves: loaf
    """
)
GRAMMAR.words("FRUITS", tuple(SINGULAR))
PAST = _pairs(
    """
    carry: carried | bring: brought | take: took | send: sent | sell: sold | roll: rolled | drag: dragged |
    lead: led | drive: drove | push: pushed | pull: pulled | throw: threw | lend: lent | give: gave |
    steer: steered | ship: shipped | return: returned | haul: hauled | deliver: delivered | show: showed
    """
)
GRAMMAR.words("VERB", tuple(PAST))
ANSWERS = _pairs(
    """
    What has teeth but never bites?: a comb | What has hands but cannot clap?: a clock |
    What gets wetter as it dries?: a towel | What has a neck but no head?: a bottle |
    What runs but never walks?: a river | What has one eye but cannot see?: a needle |
    What is full of holes and still holds water?: a sponge | What goes up and never comes down?: your age |
    What has keys but opens no door?: a piano | What can you catch but never throw?: a cold |
    What has a bed but never sleeps?: a stream | What breaks as soon as you name it?: silence |
    What has ears but hears nothing?: a field of corn | What grows when it eats and dies when it drinks?: fire |
    What has roots that nobody sees?: a mountain | What follows you by day and leaves you by night?: a shadow |
    What has leaves but is no tree?: a book | What flies without wings?: time |
    What has a tongue but cannot speak?: a shoe | What has feathers but never flew?: a pillow |
    What belongs to you and is used by others?: your name |
    What is bought by the yard and worn by the foot?: a carpet | What has a face and no mouth?: a coin |
    What is so light that no giant can hold it for an hour?: breath
    """
)
GRAMMAR.words("RIDDLE", tuple(ANSWERS))
_RHYMES = _pairs(
    """
    moon: spoon | tree: sea | hill: mill | night: light | stone: bone | rain: grain | road: load | sky: pie |
    hat: cat | door: floor | bell: well | day: hay | king: ring | snow: crow | bread: bed | fire: choir |
    house: mouse | tide: bride | sand: hand | gold: cold | wood: hood | star: jar | dew: shoe | boat: goat
    """
)
GRAMMAR.words("RHYME", (*_RHYMES, *_RHYMES.values()))
for _one, _other in _RHYMES.items():
    GRAMMAR.words(f"RHYMING.{_one}", [_other])
    GRAMMAR.words(f"RHYMING.{_other}", [_one])

# ----------------------------------------------------------------------------------------------------- the lists

WORDS = _define(
    """
TRADE: baker | weaver | fisher | shepherd | miller | potter | carpenter | gardener | tailor | smith | cobbler
  | sailor | painter | clockmaker | hunter | cook | beekeeper | ferryman's child | goatherd | scribe | piper
  | glassblower | lamplighter | tinker | saddler | basketmaker | woodcutter | innkeeper | mason | printer
  | ropemaker | candlemaker | dyer | cheesemaker | bookbinder | messenger | toymaker | charcoal burner | astronomer
  | gravedigger
MOOD: poor | young | clever | quiet | cheerful | lonely | patient | stubborn | curious | proud | shy | restless
  | lazy | careful | merry | brave | gentle | forgetful | hungry | warm-hearted | tired | dreamy | nervous | gloomy
  | bold | thrifty | talkative | sleepy | grumpy | nimble | earnest | absent-minded | eager | awkward | solemn
KIND: fox | hare | crow | dog | goat | owl | cat | donkey | hedgehog | badger | goose | mouse | raven | otter
  | squirrel | heron | mole | pony | toad | magpie | wolf | weasel | swan | tortoise | sparrow | lynx | stork
  | beaver | marten
MATERIAL: silver | copper | wooden | golden | glass | iron | stone | ivory | leather | paper | clay | velvet
  | bronze | amber | crystal | tin | woollen | pewter | marble | bone | jade | linen | brass | oaken | silken
THING: ring | key | lamp | bell | cup | box | coat | flute | mirror | crown | knife | clock | book | mask | lantern
  | feather | drum | needle | comb | harp | candle | hammer | map | spoon | kettle | button | whistle | compass
  | thimble | anchor | ladder | glove | chain | saddle | basin | fiddle | pitcher | buckle | egg | wheel | statue
  | arrow
SEASON: winter | summer | autumn | spring
WEATHER.winter: snow lay on every roof | the lake was frozen | frost covered the windows | the wind howled all night
  | icicles hung from the eaves | the wells were ice to the bottom | it was dark before supper
  | nobody left the fire
WEATHER.summer: the fields were dry | the bees were loud | the river ran low | the nights were short and warm
  | thunder rolled over the hills | the roads were white with dust | the corn stood high | even the shade was hot
WEATHER.autumn: the leaves were falling | fog hung over the meadows | the geese flew south | the apples were ripe
  | rain beat on the shutters | the barns were full | smoke rose from the gardens | mushrooms grew along the paths
WEATHER.spring: the snow was melting | the streams ran high | the cherry trees were in bloom | the lambs were born
  | the swallows came back | warm rain fell for days | the ploughs were out | every hedge was full of nests
SIGN.winter: the snow began to fall again | the frost bit | the ice cracked on the pond | a cold moon rose
  | the drifts grew deeper | their breath hung in the air
SIGN.summer: the sun burned | the dust rose | the grasshoppers sang | a warm moon rose | the air smelled of hay
  | lightning flickered far away
SIGN.autumn: the leaves blew about | the fog came down | the rain began again | a red moon rose
  | the crows gathered in the stubble | the wind smelled of smoke
SIGN.spring: the blossoms drifted down | the mud was deep | the larks rose | a pale moon rose | the buds opened
  | the meadows steamed in the sun
PLACE: the * old | ruined | empty | windy | burnt | lower | upper | hidden | royal | muddy | crooked | haunted
  | nearest | holy | rotten | great | silent | lonely | busy | nameless | sunken | walled | whitewashed | far
  | mossy | locked * mill | forest | river | market | bridge | tower | harbour | church | inn | orchard | well
  | castle | marsh | quarry | crossroads | meadow | barn | lighthouse | graveyard | vineyard | smithy | cave | wall
  | ferry | school | hilltop | gallows | salt pans | tollhouse | dovecote | hermitage | waterfall | stables | pond
  | watchtower | moor | fairground | shipyard | granary | abbey | kiln | brewery | cellar | garden | palace | prison
  | chapel | tannery
WENT: walked | ran | went | hurried | wandered | crept | rode | strolled | limped | climbed | marched | trudged
  | rushed | stumbled | drifted | tiptoed | raced | staggered | slipped | strode | plodded | hastened
HOW: slowly | quickly | quietly | happily | alone | sadly | without a word | in silence | with a light heart
  | carefully | all day long | whistling | half asleep | in great haste | barefoot | without looking back
  | arm in arm with hope | as if in a dream | with heavy steps | on tired feet | before anyone woke
  | against the wind | empty-handed | with a lump in the throat | through the long grass | keeping to the shade
WHEN: The next morning | That evening | At noon | Soon | After a while | Before sunrise | At midnight
  | Later that day | Two days after that | When the bells had rung | By candlelight | At dusk | After supper
  | In the early hours | When the road was empty | Not long after | Towards evening | At the first cockcrow
  | An hour later | At last
SAW: saw | noticed | heard | met | passed | followed | greeted | watched | remembered | counted | drew | pitied
  | feared | envied | surprised | startled
SIGHT: a blind | a tall | a lost | a white | a sleeping | a broken | a lame | a golden | a barking | a drunken
  | a singing | a frozen | a painted | a runaway | an empty | an angry | a tiny | a limping | a dancing | a headless
  | a gigantic | a shy | a stolen | a forgotten | an ancient | a smiling | a hungry | a burning * piper | rider
  | lamb | cart | nun | stag | boat | guard | plough | pedlar | kite | woman | procession | fire | wedding
  | milestone | hawk | mule | mushroom | funeral | juggler | scarecrow | bear | door | soldier | heron | star | hat
  | bell | snail | wagon | puppet | tailor | statue | swan | bishop | clown | bull | bride | ghost | beetle
  | rainbow
FELT: glad | afraid | cold | hungry | hopeful | ashamed | calm | uneasy | proud | thirsty | homesick | wide awake
  | lucky | foolish | grateful | angry | weary | puzzled | light as a feather | older than before | jealous
  | content
TOPIC: the * price | colour | taste | end | fear | love | history | smell | weight | art | depth | shape | names
  | number | beauty | use | secret | danger | sound | sorrow | speed | birth | truth | loss | age | song * of * salt
  | the moon | old songs | ghosts | the king | the harvest | dreams | eggs | brothers | war | the sea | bees
  | clouds | roads | shoes | whales | snow | horses | Mondays | debts | thieves | stars | money | sleep | wine
  | lightning | giants | children | iron | wolves | honey | letters | rain | dust | kings | kisses
DID: laughed | sighed | yawned | nodded | sneezed | smiled | hummed | shivered | grumbled | danced a little | wept
  | fell asleep | blushed | clapped | snored | whistled | muttered | shrugged | trembled | giggled | groaned
  | hiccuped
MEAL: cold | fresh | burnt | smoked | sour | salted | warm | stale | boiled | sweet | roasted | raw | spiced | dried
  | thin | buttered | bitter | mouldy | stolen | pickled * bread | cheese | soup | beans | chestnuts | porridge
  | fish | barley | turnips | toast | leeks | apples | peas | goose | milk | herring | pancakes | eggs | cabbage
  | lentils | ham | pears | noodles | dumplings | carrots | plums
SPEAKER: an old | a wandering | a grey-haired | a retired | a ragged | a wise | a one-eyed | a toothless | a deaf
  | an exiled | a rich | a drunken | a crying | a laughing | a bearded | a nameless | a hooded | a famous
  | a penniless | a sleepy | a foreign | a red-nosed | a barefoot | a stern | a stammering | a sunburnt * ferryman
  | monk | aunt | captain | beggar | shepherd | widow | judge | sailor | soldier | midwife | hermit | bell-ringer
  | juggler | washerwoman | ratcatcher | abbess | duke | nightwatchman | actor | uncle | mayor | nun | giant
  | toll keeper | tax collector | cook | organist | acrobat | clerk | pilgrim | doctor | poet | gambler | thief
  | teacher
SPOT: under | behind | inside | beneath | beside | close to * a loose | the hollow | the third | a cracked | the old
  | a mossy | the tallest | a rusty | the smallest | a crooked * stone | stove | tree | floorboard | jug | chimney
  | doorstep | log | boot | painting | sack | beehive | stair | nest | altar | clock | mattress | barrel | hen
  | millwheel | scarecrow | loaf | bench | bucket
ITEM: arrows | bacon | barley | bells | beeswax | bottles | bricks | brooms | butter | coal | cups | feathers
  | flour | forks | grapes | gunpowder | hay | herbs | jam | lamps | maps | pearls | plates | rice | rings | silk
  | spoons | tea | tin | rope | bread | candles | nails | salt | honey | string | ink | soap | wool | matches
  | apples | cheese | chalk | glue | garlic | lace | needles | oats | paint | quills | ribbon | sugar | tar
  | vinegar | wax | yarn | almonds | buttons | cloves | dates | eggs | figs | ginger | hooks | ivy | juniper
  | knives | linen | mustard | nuts | onions | pepper | raisins | sponges | thread | walnuts | zinc
GOODS: goat | cow | rope | barrel | blanket | pig | wagon | sack of flour | pair of boots | axe | rooster | cheese
  | net | plough | fur cap | bucket | donkey | table | oar | wheelbarrow | jar of honey | parrot | scythe
  | feather bed | stove | inkwell | umbrella | goose | millstone | rowing boat | puppet | trumpet | anvil | ham
  | spinning wheel
COLOUR: red | blue | green | white | black | yellow | grey | brown | purple | orange | pink | golden | scarlet
ROOM: a sleeping | a steep | a mirrored | a bottomless | a ticking | a stuffed | an endless | a singing | an iron
  | a glittering | a walled | a painted | a weeping | a marble | a dusty | a whispering | an enormous | a spinning
  * bear | staircase | hall | well | clock | whale | table | bird | stove | treasure | garden | cradle | chessboard
  | library | knight | echo | kitchen | sundial | ceiling | dove | throne | spider | candle | statue | organ | loom
  | fountain | wolf | horse | globe
HOLDER: basket | bag | pocket | hat | apron | bucket | satchel | bowl | chest | wheelbarrow | sack | drawer | sleeve
  | jar | saddlebag | trunk | handkerchief
LOAD: lamb | letter | cart | barrel | bell | bride's chest | calf | beehive | ladder | harp | grindstone | parcel
  | pony | crate of hens | coffin | plough | bundle of reeds | boat | carpet | bathtub | sleeping child | telescope
  | mattress
BEFORE: before the moon is full | before the first snow | within a week | before Sunday | tonight
  | before the bells ring | as soon as the rain stops | after the harvest | without asking why | by the longest road
  | before my birthday | when the geese are gone | at my own cost | even if it takes all year
CHEST: chest | sledge | hamper | knapsack | crate | saddlebag | suitcase | cart | tub
OLDER: older | younger
WAIT: three days | seven days | a month | forty days | a winter | nine weeks | a year
"""
)
