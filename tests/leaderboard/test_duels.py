"""Duels, judged from made records: what counts, what does not, and what a changed file gains nobody."""

import math
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.result import Score, Series, Tier, Times, Verdict
from leaderboard.duels import RETIMING, Duel, Pair, Side, decode, encode, judge, names
from leaderboard.schema import RecordError, Summary
from leaderboard.stats import look_alpha, mean_interval

DUEL_ID = "20261121-141530-duel-mine-3f9a"
A, B = "def train(run, model): ...\n", "def train(run, model): pass\n"
TIMED = {"objective": "fastest-to-loss", "target_nats": 3.28}

replace = msgspec.structs.replace


class Bout:
    """A duel and its runs, to be spoilt."""

    def __init__(self, duel: Duel, runs: list[Summary]) -> None:
        self.duel = duel
        self.runs = {run.run_id: run for run in runs}

    def judge(self):
        return judge(self.duel, self.runs)

    def change(self, pair: int, side: str, **fields):
        run_id = getattr(self.duel.pairs[pair], side)
        self.runs[run_id] = replace(self.runs[run_id], **fields)


@pytest.fixture(scope="session")
def make_duel(make_summary) -> Callable[..., Bout]:
    """`make_duel([(1.50, 1.60), …])`: losses of a and b; with `timed`, seconds, and losses just below the target."""

    def make(values, *, timed=False, purpose="duel", most_pairs=10, tier=Tier.SELF_REPORTED, loss_nats=3.27):
        series = Series(id=DUEL_ID.replace("duel", purpose), purpose=purpose)
        runs, pairs = [], []
        apart = {"ranked": False, "unranked_because": (RETIMING,)} if purpose == "retime" else {}
        for number, pair in enumerate(values):
            made = {}
            order = "ab" if number % 2 == 0 else "ba"
            for side in order:
                value = pair["ab".index(side)]
                numbers = {"train_s": value, "loss_nats": loss_nats, **TIMED} if timed else {"loss_nats": value}
                made[side] = make_summary(
                    entry={"a": "mine", "b": "theirs"}[side],
                    source={"a": A, "b": B}[side],
                    series=series,
                    tier=tier,
                    **numbers,
                    **apart,
                )
            runs += made.values()
            pairs.append(Pair(a=made["a"].run_id, b=made["b"].run_id, first=order[0]))
        some = {run.entry.name: run for run in reversed(runs)}
        duel = Duel(
            duel_id=series.id,
            purpose=purpose,
            track=runs[0].track,
            started_at="2026-11-21T14:15:30Z",
            a=Side(entry="mine", source_sha256=some["mine"].source.sha256),
            b=Side(entry="theirs", source_sha256=some["theirs"].source.sha256),
            pairs=tuple(pairs),
            most_pairs=most_pairs,
            alpha=0.01,
            tier=tier,
        )
        return Bout(duel, runs)

    return make


LOWER = [(1.500, 1.600), (1.501, 1.602), (1.499, 1.598), (1.500, 1.603)]
FASTER = [(90.0, 100.0), (90.2, 100.1), (89.9, 100.2), (90.1, 99.9)]


def test_a_lower_loss_is_settled_at_the_confidence_of_its_look(make_duel):
    outcome = make_duel(LOWER).judge()
    assert (outcome.measure, outcome.settled, outcome.left_out) == ("difference", "a", ())
    assert outcome.gain == pytest.approx(0.10075)
    expected = mean_interval([a - b for a, b in LOWER], 1 - look_alpha(4, 10, 0.01))
    assert outcome.interval == expected
    assert outcome.estimate == expected.estimate
    assert (outcome.practice, outcome.tier, outcome.counts) == (False, Tier.SELF_REPORTED, False)
    assert outcome.words.startswith("mine has a lower loss than theirs: difference of losses -0.1008 (")
    assert outcome.words.endswith("at 99.9259 %), 4 pairs")


def test_a_faster_entry_is_settled_by_the_ratio_and_swaps_with_the_sides(make_duel):
    outcome = make_duel(FASTER, timed=True).judge()
    assert (outcome.measure, outcome.settled) == ("ratio", "a")
    assert outcome.estimate == pytest.approx(0.9, abs=0.001)
    assert outcome.interval.low < 0.9 < outcome.interval.high < 1
    assert outcome.gain == pytest.approx(10.0)
    swapped = make_duel([(b, a) for a, b in FASTER], timed=True).judge()
    assert (swapped.settled, swapped.gain) == ("b", pytest.approx(-10.0))
    assert swapped.estimate == pytest.approx(1 / outcome.estimate)
    assert swapped.words.startswith("theirs is faster than mine: ratio of times 1.11")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([(1.50, 1.60)], "not settled: 1 pair counts, it takes two at least"),
        ([(1.50, 1.60), (1.61, 1.50)], "not settled after 2 pairs: difference of losses +0.0050 ("),
        ([(1.5, 1.75)] * 6, "not settled: all 6 pairs differ by exactly the same; nothing can be tested without"),
    ],
)
def test_what_is_not_shown_is_not_settled(make_duel, values, words):
    outcome = make_duel(values).judge()
    assert outcome.settled is None
    assert outcome.words.startswith(words)


def test_no_pair_settles_nothing(make_duel):
    bout = make_duel(LOWER)
    outcome = judge(replace(bout.duel, pairs=()), {})
    assert (outcome.settled, outcome.estimate, outcome.interval, outcome.gain) == (None, None, None, None)
    assert outcome.words == "not settled: no pair counts"


def test_a_wide_first_look_is_no_crash(make_duel):
    outcome = make_duel([(50.0, 100.0), (100.0, 50.0)], timed=True).judge()
    assert (outcome.interval, outcome.settled) == (None, None)
    assert outcome.estimate == pytest.approx(1.0)
    assert "(no interval yet)" in outcome.words


def test_it_says_how_many_pairs_would_settle_it(make_duel):
    outcome = make_duel([(1.50, 1.53), (1.53, 1.52), (1.49, 1.53), (1.52, 1.53)]).judge()
    assert outcome.settled is None
    assert 10 < outcome.pairs_needed < 60
    assert make_duel(LOWER).judge().pairs_needed is None


SPOILT = {
    "not there": lambda bout: bout.runs.pop(bout.duel.pairs[1].a),
    "was not made for this duel": lambda bout: bout.change(1, "a", series=None),
    "made for this duel": lambda bout: bout.change(1, "b", series=Series(id=DUEL_ID, purpose="retime")),
    "is not of mine's source": lambda bout: bout.change(1, "a", overrides={"lr": "0.5"}),
    "is not of theirs's source": lambda bout: bout.change(
        1, "b", source=replace(bout.runs[bout.duel.pairs[1].b].source, sha256="0" * 64)
    ),
    "is not of the duel's track": lambda bout: bout.change(1, "b", track=replace(bout.duel.track, version=2)),
    "other order": lambda bout: bout.change(1, "a", started_at="2026-11-20T00:00:00Z"),
    "not all made on the data": lambda bout: bout.change(
        1, "a", environment=replace(bout.runs[bout.duel.pairs[1].a].environment, cpu="Another CPU")
    ),
    "the machine and the software": lambda bout: bout.change(
        1, "b", environment=replace(bout.runs[bout.duel.pairs[1].b].environment, packages={"torch": "9"})
    ),
    "the machine": lambda bout: bout.change(
        1, "b", environment=replace(bout.runs[bout.duel.pairs[1].b].environment, threads=64)
    ),
    "the data": lambda bout: bout.change(
        1, "b", dataset=replace(bout.runs[bout.duel.pairs[1].b].dataset, sha256="0" * 64)
    ),
    "ended as CRASHED": lambda bout: bout.change(
        1, "b", verdict=Verdict.CRASHED, scored=False, ranked=False, unranked_because=("it crashed",)
    ),
    "ended as INTERNAL_ERROR": lambda bout: bout.change(
        1, "a", verdict=Verdict.INTERNAL_ERROR, scored=False, ranked=False, unranked_because=("ours",)
    ),
    "no number to compare": lambda bout: bout.change(
        1, "a", score=Score(loss_nats=1e300, targets=1, context_tokens=1, stride_tokens=1)
    ),
}


@pytest.mark.parametrize("why", SPOILT)
def test_a_pair_that_the_records_do_not_bear_out_is_left_out_and_named(make_duel, why):
    bout = make_duel(LOWER)
    SPOILT[why](bout)
    outcome = bout.judge()
    assert [pair.number for pair in outcome.pairs] == [1, 3, 4]
    assert [(left.number, why in left.why) for left in outcome.left_out] == [(2, True)]
    assert outcome.failed_b == (why == "ended as CRASHED")
    assert outcome.interval.confidence == 1 - look_alpha(3, 10, 0.01)


@pytest.mark.parametrize("strange", [0.0, -1.0, 1e-300, 1e300, math.inf])
def test_a_time_that_is_none_is_left_out(make_duel, strange):
    bout = make_duel(FASTER, timed=True)
    bout.change(2, "a", times=Times(train_s=strange))
    assert [left.number for left in bout.judge().left_out] == [3]


class TestAttacks:
    """A duel's file is edited: it is judged without whatever the records do not say, too."""

    def test_a_good_pair_twice(self, make_duel):
        bout = make_duel([(1.50, 1.60), (1.55, 1.54), (1.54, 1.55)])
        bout.duel = replace(bout.duel, pairs=(bout.duel.pairs[0],) * 3)
        outcome = bout.judge()
        assert outcome.pairs == ()
        assert all("named more than once" in left.why for left in outcome.left_out)

    def test_one_run_paired_with_several(self, make_duel):
        bout = make_duel(LOWER)
        one, two, *rest = bout.duel.pairs
        bout.duel = replace(bout.duel, pairs=(one, replace(two, a=one.a), *rest))
        assert [pair.number for pair in bout.judge().pairs] == [3, 4]

    def test_runs_of_another_duel(self, make_duel):
        bout, better = make_duel([(1.60, 1.60), (1.61, 1.60)]), make_duel(LOWER)
        for run_id, run in better.runs.items():
            bout.runs[run_id] = replace(run, series=Series(id=DUEL_ID.replace("3f9a", "beef"), purpose="duel"))
        bout.duel = replace(bout.duel, pairs=better.duel.pairs)
        assert bout.judge().pairs == ()

    def test_sources_swapped(self, make_duel):
        bout = make_duel(LOWER)
        a, b = bout.duel.a, bout.duel.b
        swapped = replace(a, source_sha256=b.source_sha256), replace(b, source_sha256=a.source_sha256)
        bout.duel = replace(bout.duel, a=swapped[0], b=swapped[1])
        assert bout.judge().pairs == ()

    def test_sides_swapped(self, make_duel):
        bout = make_duel(LOWER)
        pairs = tuple(Pair(a=pair.b, b=pair.a, first=pair.first) for pair in bout.duel.pairs)
        with pytest.raises(ValueError, match="must name a run of each side's entry"):
            replace(bout.duel, pairs=pairs)
        with pytest.raises(ValueError, match="duel_id must be like"):
            replace(bout.duel, a=bout.duel.b, b=bout.duel.a, pairs=pairs)

    def test_another_track(self, make_duel):
        bout = make_duel(LOWER)
        bout.duel = replace(bout.duel, track=replace(bout.duel.track, id="cpu-1min"))
        assert bout.judge().pairs == ()

    def test_pairs_left_unsaid(self, make_duel):
        bout = make_duel([*LOWER, (1.70, 1.60), (1.71, 1.59)])
        assert bout.judge().settled is None
        dropped = bout.duel.pairs[4:]
        bout.duel = replace(bout.duel, pairs=bout.duel.pairs[:4])
        outcome = bout.judge()
        assert outcome.settled is None
        assert outcome.words.endswith("but 2 of its runs of this duel are in no pair")
        bout.runs = {run_id: run for run_id, run in bout.runs.items() if run_id != dropped[0].a}
        assert bout.judge().settled == "a"  # one is what a duel that was stopped leaves behind

    def test_fewer_looks_than_were_allowed_for_after_the_fact(self, make_duel):
        values = [(1.50, 1.53), (1.52, 1.53), (1.50, 1.53), (1.51, 1.535)]
        assert make_duel(values, most_pairs=200).judge().settled is None
        with pytest.raises(ValueError, match="not below the number of pairs"):
            replace(make_duel(values).duel, most_pairs=3)


def test_who_failed_twice_wins_nothing_even_where_the_file_does_not_say_so(make_duel, make_summary):
    bout = make_duel(LOWER)
    failed = [
        make_summary(entry=name, source=source, verdict=Verdict.TIME_LIMIT, series=Series(id=DUEL_ID, purpose="duel"))
        for name, source in (("mine", A), ("theirs", B), ("theirs", B), ("mine", A))
    ]
    for run in failed[:3]:
        bout.runs[run.run_id] = run
    outcome = bout.judge()
    assert (outcome.settled, outcome.failed_a, outcome.failed_b) == ("a", 1, 2)
    bout.runs[failed[3].run_id] = failed[3]
    outcome = bout.judge()
    assert (outcome.settled, outcome.failed_a) == (None, 2)
    assert outcome.words == "not settled: mine has a lower loss than theirs by 4 pairs, but it failed 2 times"


def test_faster_than_the_target_allows_is_not_settled(make_duel):
    assert make_duel(FASTER, timed=True, loss_nats=3.28).judge().settled == "a"
    outcome = make_duel(FASTER, timed=True, loss_nats=3.2801).judge()
    assert outcome.settled is None
    assert outcome.words.endswith("but its mean loss of 3.2801 misses the target of 3.28")


def test_practice_is_judged_and_counts_for_nothing(make_duel):
    bout = make_duel(LOWER, tier=Tier.VERIFIED)
    assert bout.judge().counts
    bout.change(0, "b", ranked=False, unranked_because=("it was asked for as practice",))
    outcome = bout.judge()
    assert (outcome.settled, outcome.practice, outcome.counts) == ("a", True, False)


def test_runs_of_a_retiming_are_unranked_for_that_reason_alone(make_duel):
    bout = make_duel(FASTER, timed=True, purpose="retime")
    assert (bout.judge().settled, bout.judge().practice) == ("a", False)
    bout.change(0, "a", unranked_because=(RETIMING, "it was asked for as practice"))
    assert bout.judge().practice
    bout = make_duel(LOWER)
    bout.change(0, "a", ranked=False, unranked_because=(RETIMING,))
    assert bout.judge().practice


def test_verified_takes_every_run(make_duel):
    bout = make_duel(LOWER, tier=Tier.VERIFIED)
    assert bout.judge().tier is Tier.VERIFIED
    bout.change(3, "a", tier=Tier.SELF_REPORTED)
    assert (bout.judge().tier, bout.judge().counts) == (Tier.SELF_REPORTED, False)
    bout = make_duel(LOWER, tier=Tier.VERIFIED)
    bout.duel = replace(bout.duel, tier=Tier.SELF_REPORTED)
    assert not bout.judge().counts


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=6), st.booleans())
def test_no_number_makes_it_raise_or_say_something_strange(make_duel, values, timed):
    bout = make_duel([(1.0, 1.0)] * max(1, len(values)), timed=timed)
    for number, pair in enumerate(values):
        for side, value in zip("ab", pair, strict=True):
            run = bout.runs[getattr(bout.duel.pairs[number], side)]
            # As no decoder would give it: a summary checks itself when it is made.
            spoilt = run.times if timed else run.score
            msgspec.structs.force_setattr(spoilt, "train_s" if timed else "loss_nats", value)
    outcome = bout.judge()
    for number in (outcome.estimate, outcome.gain, *(pair.effect for pair in outcome.pairs)):
        assert number is None or math.isfinite(number)
    assert outcome.settled is None or outcome.interval is not None


def test_two_sides_of_one_name_are_told_apart(make_duel):
    duel = make_duel(LOWER).duel
    one, other = Side(entry="mine", source_sha256="ab" * 32), Side(entry="mine", source_sha256="cd" * 32)
    assert names(replace(duel, pairs=(), a=one, b=other)) == ("mine abababab", "mine cdcdcdcd")
    set_up = replace(one, overrides={"lr": "0.1", "depth": "2"})
    assert names(replace(duel, pairs=(), a=one, b=set_up)) == ("mine (as it is)", "mine (depth=2, lr=0.1)")


def test_it_comes_back_as_it_was_written(make_duel):
    duel = make_duel(LOWER).duel
    assert decode(encode(duel)) == duel


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("schema",), 2, "schema 2 is not known"),
        (("duel_id",), "../../etc/passwd", "duel_id must be like"),
        (("duel_id",), "20261121-141530-retime-mine-3f9a", "duel_id must be like"),
        (("duel_id",), "20261121-141530-duel-theirs-3f9a", "duel_id must be like"),
        (("track", "id"), "../x", "track.id must be"),
        (("started_at",), "2026-11-21T14:15:30+02:00", "does not match"),
        (("started_at",), "2026-1-21T14:15:30Z", "must be a time in UTC"),
        (("a", "entry"), "Mine/..", "an entry's name"),
        (("b", "source_sha256"), "abc", "64 hexadecimal digits"),
        (("pairs", 0, "a"), "/etc/passwd", "must name a run of each side's entry"),
        (("pairs", 0, "a"), "20261121-141530-other-3f9a", "must name a run of each side's entry"),
        (("pairs", 0, "first"), "c", "Invalid enum value"),
        (("most_pairs",), 3, "not below the number of pairs"),
        (("most_pairs",), 501, "most_pairs must be from 2 to 500"),
        (("alpha",), 0.5, "alpha must lie between"),
        (("alpha",), 0, "alpha must lie between"),
        (("tier",), "honest", "Invalid enum value"),
        (("note",), "x", "unknown field"),
    ],
)
def test_a_broken_duel_says_what_is_broken(make_duel, path, value, words):
    plain = msgspec.json.decode(encode(make_duel(LOWER).duel))
    inner = plain
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    with pytest.raises(RecordError, match=words):
        decode(msgspec.json.encode(plain))


def test_both_sides_the_same_are_no_duel(make_duel):
    duel = make_duel(LOWER).duel
    with pytest.raises(ValueError, match="the same source with the same settings"):
        replace(duel, pairs=(), b=replace(duel.a, entry="theirs"))


@pytest.mark.parametrize("data", [b"", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * 2**19, b'{"schema": 1}'])
def test_what_is_no_duel_at_all_is_one_line(data):
    with pytest.raises(RecordError) as caught:
        decode(data)
    assert "\n" not in str(caught.value)
