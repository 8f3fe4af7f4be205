"""How the tales talk."""

PHRASES = """\
the
a
and
of
was
to
for
in
A
The
had
they
and the
who
that
to the
her
with
by
was a
an
In
she
came
he
there
miles
when
from
of the
is
one
for a
it
lived
said:
about
were
by the
and a
but
At
said
him
heard
gave
They
In the
with a
came to
road
about the
It
from the
She
It was
asked
this
while
stone
told
one was
all
bought
led
been
had been
old
his
He
near
near the
three
crowns.
went
end
the end
when the
on
past
past the
And
sold
called
out
not
The road
road led
led by
talked
talked about
behind
of a
for the
died
A stone
stone said:
died in
One
way
been a
there was
dreamed
dreamed of
tale
Then
empty
day
back,
All
will
found
while the
that is
golden
never
left
told the
burnt
spoke
spoke of
who was
king
the king
from a
who heard
behind the
came back,
bought a
before
still
king of
took
once
why
say
And that
is why
why they
they say
say in
For
drunken
years
felt
saw
given
as
followed
heard this
this tale
tale said:
table
Then a
door
end a
named
found a
in the
at
There
An
best
met
When
When the
supper
you
crooked
cried
than
friend
After
On
white
only
muddy
the muddy
they had
shared
her a
hidden
the hidden
lower
the lower
windy
the windy
the old
name
iron
two
lost
haunted
the haunted
four
Her
five
home
the road
broken
after
seven
all that
Once
whose
Once there
whose name
name was
smelled
the empty
there lived
lived in
best friend
friend was
had once
away.
days.
At the
upper
the upper
nameless
one-eyed
a drunken
that she
days
the crooked
table with
was the
ruined
the ruined
retired
whispered
Nobody
liked
Nobody liked
deaf
On the
and spoke
no
royal
the royal
lonely
She and
the burnt
a golden
wise
father
let
sight.
father had
had left
never let
let it
it out
out of
wandering
evening
lay
grey-haired
him a
next
them
His
bells
word
nearest
the nearest
ran
toothless
From
thought
From the
thought of
owned
All that
owned was
That
song
exiled
the song
wait
to a
crying
put
rich
winter,
on a
would
Who
feet.
ragged
copper
has
once found
and given
given it
it to
was still
the bells
that he
greeted
sleeping
there.
were all
loved
six
So
watched
met a
supper they
cold
noticed
gave her
Near
Near the
went to
truth
He and
there were
should
hung
was an
Before
summer,
sleepy
By
great
How
velvet
The next
silver
far
For supper
shy
bells had
an iron
a sleeping
gave him
feet,
Later
Later that
poor,
and said:
paper
wooden
brave
feared
without
nor
feet
who gave
back
passed
feet and
singing
ivory
clay
bronze
into
who had
took the
Two
longer
back, no
no longer
longer poor,
poor, and
and gave
cried for
a one-eyed
glass
market
hid
After a
All of
heard of
of it
it from
a singing
a shy
opened
opened the
counted
sunrise
Before sunrise
back, and
leather
mossy
warm
a retired
at the
snow
The way
who took
moral:
The moral:
a wise
rung
had rung
remembered
and took
doors
proud
the way
a deaf
painted
is a
Soon
Two days
days after
that day
for she
summer
morning
next morning
knew
knew the
drew
noon
At noon
an exiled
midnight
At midnight
an old
hungry
promised.
salted
eight
a wandering
she was
beneath
stubborn
goose
sang:
walled
beside
a painted
a broken
Because
Because of
of this
a crying
a rich
door and
That evening
answer
a toothless
sweet
a grey-haired
ate
threw
takes
salt
go
rose,
asked him
for he
asked her
away
a while
a sleepy
boiled
seven miles
light
curious
when they
they threw
he was
song of
five miles
four miles
judge
stale
restless
fresh
penniless
donkey
winter
nine
red
a copper
storm
watched a
alone
heard a
quiet
north.
miles north.
bed
which
for an
Over
marble
set
They set
set out
out for
way takes
after that
later,
long
noticed a
two miles
saw a
sour
lazy
last
asked a
whitewashed
the whitewashed
south,
secret
the secret
stolen
this a
a ragged
greeted a
everywhere.
merry
book
She shared
shared her
her table
rope
ten
see
see the
a velvet
three miles
Her best
smoked
nobody
runaway
fear
fear of
yellow
cheerful
One winter,
winter, when
red-nosed
clever
stood
the fear
tell
story
They tell
tell this
this story
story in
liked her
her but
are
nun
tax
With
who loved
holy
the holy
locked
the locked
she came
foreign
fell
more
beneath the
west
miles west
west and
the mossy
forgetful
a silver
stern
blue
the door
tall
careful
black
hid the
end of
wait for
colour
colour of
bell
frost
green
young
a clay
Her father
left her
and she
she never
of her
her sight.
somebody
frozen
goat
the colour
to go
poor
silent
the silent
bearded
drum
the far
it.
years later,
later, when
they still
still spoke
of it.
feather
the great
word.
the nameless
history
gate
history of
the gate
could
passed a
a paper
a wooden
alone.
year,
that year,
year, and
His best
famous
gentle
lame
she owned
beside the
lived by
followed a
juggler
art
art of
the history
a runaway
a brave
a restless
asked for
miles south,
shepherd
sailor
the art
patient
clerk
an ivory
have
everything,
would have
have given
given everything,
everything, and
and one
one day
bought one
one from
toll
sunken
the sunken
taste
taste of
a lazy
a bronze
moon
a leather
stammering
the walled
a quiet
eleven
One summer,
summer, when
a stubborn
shape
shape of
six miles
To
and there
a curious
barefoot
a merry
busy
the busy
barking
east
miles east
east and
a tall
hooded
autumn,
he came
a glass
"""
