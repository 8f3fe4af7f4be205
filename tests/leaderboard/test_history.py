"""Record histories, replayed from scenarios whose outcome is known."""

import math
import random
from itertools import pairwise
from types import SimpleNamespace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.result import Series, Tier, Verdict
from leaderboard.duels import RETIMING, Duel, Pair, Side
from leaderboard.history import current
from leaderboard.ranking import TrackRules
from leaderboard.replay import histories
from leaderboard.rulings import Rulings
from leaderboard.stats import p_less

RULES = {
    "cpu-smoke": TrackRules(version=1, runs=3, alpha=0.01, least_gain=0.005),
    "race": TrackRules(version=1, runs=3, alpha=0.01, least_gain=1.0),
}
RACE = {"track_id": "race", "objective": "fastest-to-loss", "target_nats": 3.28, "limit_s": 600.0}
BELOW = (3.271, 3.273, 3.272)  # shown to be below the target

OLD = (1.500, 1.501, 1.502)  # the record to beat, in most scenarios
BETTER = (1.400, 1.401, 1.402)
SLIGHTLY = (1.4965, 1.49651, 1.49652)


@pytest.fixture(scope="session")
def verified(make_summary):
    """A verification: `verified("a", 1.0, 1.1)` for the losses of its runs."""

    def make(entry, *losses, tier=Tier.VERIFIED, purpose="verify", **fields):
        runs = [make_summary(entry=entry, source=entry, loss_nats=loss, tier=tier, **fields) for loss in losses]
        series = Series(id=f"{runs[0].run_id}-series", purpose=purpose)
        return [msgspec.structs.replace(run, series=series) for run in runs]

    return make


@pytest.fixture(scope="session")
def race(verified):
    """Verified runs that meet the target: `race("a", 100.0, 101.0, 100.5)` for their times."""

    def make(entry, *times_s, losses=BELOW, **fields):
        return [
            msgspec.structs.replace(run, times=msgspec.structs.replace(run.times, train_s=time_s))
            for run, time_s in zip(verified(entry, *losses, **RACE, **fields), times_s, strict=True)
        ]

    return make


@pytest.fixture(scope="session")
def fight(make_summary):
    """A duel and its runs: `fight("a", "b", (90.0, 100.0), …)` for the times of each pair, in turns."""

    def make(a, b, *pairs_s, purpose="duel", tier=Tier.VERIFIED, alpha=0.01, **fields):
        first = make_summary(entry=a)
        duel_id = f"{first.run_id[:15]}-{purpose}-{a}-{len(pairs_s):04x}"
        named = {"series": Series(id=duel_id, purpose=purpose), "tier": tier}
        if purpose == "retime":
            named |= {"ranked": False, "unranked_because": (RETIMING,)}
        runs, pairs, sides = [], [], {}
        for number, times_s in enumerate(pairs_s):
            order = "ab" if number % 2 == 0 else "ba"
            made = {}
            for name in order:
                entry = a if name == "a" else b
                loss_nats = BELOW[len(runs) % 3]
                time_s = times_s["ab".index(name)]
                run = make_summary(
                    entry=entry, source=entry, loss_nats=loss_nats, train_s=time_s, **RACE, **named | fields
                )
                sides[name] = Side(entry=entry, source_sha256=run.source.sha256)
                made[name] = run.run_id
                runs.append(run)
            pairs.append(Pair(a=made["a"], b=made["b"], first=order[0]))
        duel = Duel(
            duel_id=duel_id,
            purpose=purpose,
            track=runs[0].track,
            started_at=f"{runs[0].started_at[:19]}Z",
            a=sides["a"],
            b=sides["b"],
            pairs=tuple(pairs),
            most_pairs=max(2, len(pairs)),
            alpha=alpha,
            tier=tier,
        )
        return duel, runs

    return make


FASTER = ((90.0, 100.0), (90.2, 100.1), (89.9, 100.2), (90.1, 99.8), (90.0, 100.1), (89.8, 99.9))  # a than b
EVEN = ((100.2, 100.0), (99.7, 100.1), (100.3, 100.2), (99.6, 99.8), (100.1, 100.1), (99.9, 99.9))


def the_history(runs, duels=(), rulings=None):
    (history,) = histories(runs, duels, RULES, rulings or Rulings({}, {}))
    return history


def told(history):
    return [(step.kind, step.number, step.entry) for step in history.steps]


def holder(history):
    step = current(history)
    return step and step.entry


def test_the_first_that_qualifies_needs_no_predecessor(verified):
    history = the_history(verified("a", *OLD))
    (step,) = history.steps
    assert (step.kind, step.number, step.entry, step.tier) == ("record", 1, "a", Tier.VERIFIED)
    assert (step.measure, step.losses_nats) == (pytest.approx(1.501), OLD)
    assert step.measure_sd == pytest.approx(0.001)
    assert (step.since, step.last_run, step.torch) == ("2026-11-21", "2026-11-21", "2.13.0")
    assert step.evidence.words == "the first that qualifies"
    assert (history.hardware, history.current_version, history.marks) == ("Test CPU, 2 threads", True, ())


def test_a_record_is_beaten_by_the_least_gain_and_beyond_noise(verified):
    history = the_history(verified("a", *OLD) + verified("b", *BETTER))
    assert told(history) == [("record", 1, "a"), ("record", 2, "b")]
    evidence = history.steps[1].evidence
    assert evidence.gain == pytest.approx(0.1)
    # Welch: the means lie 0.1 apart, each standard error is 0.001 / √3; t = −122.5 at 4 degrees of freedom.
    assert evidence.p_value == pytest.approx(1.33e-8, rel=0.01)
    assert evidence.words == "0.1000 nats below record 1 (p = 1.3e-08)"


@pytest.mark.parametrize(
    "losses",
    [
        (1.40, 1.60, 1.42),  # lower by the least gain, and well within noise
        SLIGHTLY,  # beyond noise, and by less than the least gain
        (1.60, 1.601, 1.602),  # higher
        (1.40,),  # too few runs, however good
        (1.40, 1.401),
        (1.40, 1.40, 1.40),  # no scatter, no test
    ],
)
def test_whatever_falls_short_is_no_record(verified, losses):
    runs = verified("a", *(OLD if len(set(losses)) > 1 else (1.5, 1.5, 1.5))) + verified("b", *losses)
    assert told(the_history(runs)) == [("record", 1, "a")]


def test_what_is_slightly_better_is_so_beyond_noise():
    assert p_less(SLIGHTLY, OLD) < RULES["cpu-smoke"].alpha


@pytest.mark.parametrize(
    "fields",
    [
        {"tier": Tier.SELF_REPORTED},  # as one whose signature is not valid is read
        {"ranked": False},
        {"verdict": Verdict.CRASHED},
        {"purpose": "retime"},
        {"purpose": "reproduce"},
    ],
)
def test_only_verified_ranked_runs_make_records(verified, fields):
    assert holder(the_history(verified("a", *OLD) + verified("b", *BETTER, **fields))) == "a"
    assert all(not history.steps for history in histories(verified("b", *BETTER, **fields), (), RULES))


@pytest.mark.parametrize("fields", [{"cpu": "Another CPU"}, {"threads": 1}, {"version": 2}, {"official": False}])
def test_what_is_not_alike_has_a_history_of_its_own(verified, fields):
    found = histories(verified("a", *OLD) + verified("b", *BETTER, **fields), (), RULES)
    assert sorted(told(history)[0] for history in found) == [("record", 1, "a"), ("record", 1, "b")]


def test_another_track_file_is_another_track(verified):
    changed = [
        msgspec.structs.replace(run, track=msgspec.structs.replace(run.track, sha256="f" * 64))
        for run in verified("b", *BETTER)
    ]
    found = histories(verified("a", *OLD) + changed, (), RULES)
    assert sorted(history.marks for history in found) == [
        (f"track file {found[0].track.sha256[:8]}",),
        (f"track file {found[1].track.sha256[:8]}",),
    ]
    assert {holder(history) for history in found} == {"a", "b"}


def with_torch(runs, version):
    packages = {} if version is None else {"torch": version}
    return [
        msgspec.structs.replace(run, environment=msgspec.structs.replace(run.environment, packages=packages))
        for run in runs
    ]


def test_runs_of_another_torch_are_not_tested_against_the_record(verified):
    runs = verified("a", *OLD) + with_torch(verified("b", *BETTER), "2.14.0")
    history = the_history(runs)
    assert told(history) == [("record", 1, "a")]
    (claim,) = history.claims
    assert claim.evidence.words == (
        "0.1000 nats below record 1; "
        "waits for verified runs of record 1 with torch 2.14.0, which a signed duel with it makes"
    )
    # With runs of the record under that version there is something to test.
    history = the_history(runs + with_torch(verified("a", *OLD), "2.14.0"))
    assert (told(history), history.claims) == ([("record", 1, "a"), ("record", 2, "b")], ())


def test_runs_that_do_not_say_their_torch_make_no_record(verified):
    assert histories(with_torch(verified("a", *OLD), None), (), RULES) == ()


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_no_record(verified, strange):
    class Spoilt:
        """A real summary refuses to be made with such a loss."""

        def __init__(self, run):
            self._run = run
            self.score = SimpleNamespace(loss_nats=strange)

        def __getattr__(self, name):
            return getattr(self._run, name)

    spoilt = verified("b", *BETTER)
    assert holder(the_history([*verified("a", *OLD), *spoilt[:2], Spoilt(spoilt[2])])) == "a"
    assert histories([*spoilt[:2], Spoilt(spoilt[2])], (), RULES) == ()


def test_the_numbers_of_a_record_are_of_all_its_runs_until_it_was_beaten(verified):
    runs = verified("a", *OLD) + verified("a", 1.503, 1.504) + verified("b", *BETTER) + verified("a", 9.0)
    first, second = the_history(runs).steps
    assert first.losses_nats == (*OLD, 1.503, 1.504)
    assert second.evidence.gain == pytest.approx(1.502 - 1.401)


def test_luck_half_way_through_a_verification_does_not_count(verified):
    # The first three runs alone would beat the record; the series of five does not.
    runs = verified("a", *OLD) + verified("b", *BETTER, 1.7, 1.8)
    assert told(the_history(runs)) == [("record", 1, "a")]


def test_a_verification_that_goes_on_counts_with_what_was_there(verified):
    runs = verified("a", *OLD) + verified("b", *BETTER[:2])
    assert holder(the_history(runs)) == "a"
    assert holder(the_history(runs + verified("b", BETTER[2]))) == "b"


def test_who_comes_later_has_to_beat_who_stands_by_then(verified):
    middle = (1.450, 1.451, 1.452)
    later = verified("a", *OLD) + verified("c", *BETTER) + verified("b", *middle)
    assert told(the_history(later)) == [("record", 1, "a"), ("record", 2, "c")]
    earlier = verified("a", *OLD) + verified("b", *middle) + verified("c", *BETTER)
    assert told(the_history(earlier)) == [("record", 1, "a"), ("record", 2, "b"), ("record", 3, "c")]


def test_a_retraction_brings_the_record_before_back(verified):
    first, second = verified("a", *OLD), verified("b", *BETTER)
    ruled = Rulings({run.run_id: "it read the clock wrong" for run in second}, {})
    history = the_history(first + second, rulings=ruled)
    assert told(history) == [("record", 1, "a"), ("retracted", None, "b")]
    assert holder(history) == "a"
    words = history.steps[1].evidence.words
    assert words.startswith("retracted: it read the clock wrong; 0.1000 nats below record 1")
    # And the history goes on as if it had not been.
    third = verified("c", 1.450, 1.451, 1.452)
    history = the_history(first + second + third, rulings=ruled)
    assert told(history) == [("record", 1, "a"), ("retracted", None, "b"), ("record", 2, "c")]


def test_one_retracted_run_takes_a_record_away_until_there_are_enough(verified):
    first, second = verified("a", *OLD), verified("b", *BETTER)
    ruled = Rulings({second[0].run_id: "a wrong clock"}, {})
    assert told(the_history(first + second, rulings=ruled)) == [("record", 1, "a"), ("retracted", None, "b")]
    again = verified("b", 1.403)
    assert told(the_history(first + second + again, rulings=ruled))[-1] == ("record", 2, "b")
    assert holder(the_history(first + second + verified("a", 1.5), rulings=Rulings({}, {}))) == "b"


def test_what_would_be_no_record_anyway_is_not_shown_as_a_retracted_one(verified):
    first, second = verified("a", *OLD), verified("b", 1.6, 1.601, 1.602)
    ruled = Rulings({run.run_id: "no matter" for run in second}, {})
    assert told(the_history(first + second, rulings=ruled)) == [("record", 1, "a")]


def test_a_self_reported_variant_that_would_beat_the_record_is_a_claim(verified):
    claimed = verified("b", *BETTER, tier=Tier.SELF_REPORTED)
    slow = verified("c", *OLD, tier=Tier.SELF_REPORTED)
    history = the_history(verified("a", *OLD) + claimed + slow)
    (claim,) = history.claims
    assert (claim.kind, claim.number, claim.entry, claim.tier) == ("claim", None, "b", Tier.SELF_REPORTED)
    assert claim.evidence.words == "0.1000 nats below record 1 (p = 1.3e-08); waits for verification"
    # Once it is verified and falls short, the claim is gone.
    assert the_history(verified("a", *OLD) + claimed + verified("b", 1.6, 1.61, 1.62)).claims == ()


def test_without_a_record_the_best_self_reported_variant_is_the_claim(verified):
    runs = verified("a", *OLD, tier=Tier.SELF_REPORTED) + verified("b", *BETTER, tier=Tier.SELF_REPORTED)
    history = the_history(runs)
    assert (history.steps, current(history)) == ((), None)
    assert [claim.entry for claim in history.claims] == ["b"]
    assert history.claims[0].evidence.words == "the best so far; waits for verification"
    retracted = Rulings({runs[-1].run_id: "no"}, {})
    assert [claim.entry for claim in the_history(runs, rulings=retracted).claims] == ["a"]


def test_a_race_needs_its_target_shown(race):
    (step,) = the_history(race("a", 100.0, 100.5, 101.0)).steps
    assert (step.measure, step.loss_nats) == (pytest.approx(100.5), pytest.approx(3.272))
    # t = (3.272 − 3.28) / (0.001 / √3) = −13.86 at 2 degrees of freedom
    assert step.evidence.target_p == pytest.approx(0.002584, rel=0.001)
    assert step.evidence.words == "the first that qualifies; mean loss 3.2720 below 3.28 (p = 0.0026)"
    assert histories(race("a", 100.0, 100.5, 101.0, losses=(3.2, 3.27, 3.28)), (), RULES) == ()


def test_a_waiver_stands_for_the_test_and_not_for_the_mean(race):
    runs = race("a", 100.0, 100.5, 101.0, losses=(3.27, 3.28, 3.29))
    ruled = Rulings({}, {runs[1].run_id: "only a faster kernel"})
    (step,) = the_history(runs, rulings=ruled).steps
    assert step.evidence.words == "the first that qualifies; target test waived: only a faster kernel"
    assert histories(race("b", 100.0, 100.5, 101.0, losses=(3.27, 3.28, 3.30)), (), RULES, ruled) == ()
    # A waiver of a retracted run waives nothing, and one of another entry's run neither.
    gone = Rulings({runs[1].run_id: "wrong"}, ruled.waived)
    assert all(not history.steps for history in histories(runs, (), RULES, gone))
    assert histories(race("b", 100.0, 100.5, 101.0, losses=(3.27, 3.28, 3.29)), (), RULES, ruled) == ()


def test_a_race_without_a_duel_is_a_claim_only(race):
    history = the_history(race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0))
    assert told(history) == [("record", 1, "old")]
    (claim,) = history.claims
    assert (claim.entry, claim.tier) == ("new", Tier.VERIFIED)
    assert claim.evidence.words == (
        "10.00 s faster than record 1 by the means; mean loss 3.2720 below 3.28 (p = 0.0026); "
        "waits for a verified duel with record 1"
    )
    reported = race("own", 80.0, 80.5, 81.0, tier=Tier.SELF_REPORTED)
    history = the_history(race("old", 100.0, 100.5, 101.0) + reported)
    assert history.claims[0].evidence.words.endswith("waits for verification; waits for a verified duel with record 1")
    assert the_history(race("old", 100.0, 100.5, 101.0) + race("new", 99.5, 100.0, 100.5)).claims == ()


@pytest.mark.parametrize("swapped", [False, True])
def test_a_duel_makes_the_record(race, fight, swapped):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 200.0, 200.5, 201.0)  # on a slow day
    if swapped:
        duel, fought = fight("old", "new", *((b, a) for a, b in FASTER))
    else:
        duel, fought = fight("new", "old", *FASTER)
    history = the_history(runs + fought, [duel])
    assert told(history) == [("record", 1, "old"), ("record", 2, "new")]
    evidence = history.steps[1].evidence
    assert (evidence.duel_id, evidence.gain) == (duel.duel_id, pytest.approx(10.017, abs=0.01))
    assert evidence.interval.high < 1
    assert evidence.interval.estimate == pytest.approx(0.9, abs=0.002)
    assert "in a duel of 6 pairs, 0.900 (0.89" in evidence.words


def test_a_duel_that_shows_nothing_makes_no_record(race, fight):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    slower = tuple((b, a) for a, b in FASTER)
    hair = tuple((99.5 + number / 1000, 100.0) for number in range(6))  # settled, by less than the least gain
    for pairs, fields in (
        (EVEN, {}),
        (slower, {}),
        (hair, {}),
        (FASTER[:1], {}),
        (FASTER, {"tier": Tier.SELF_REPORTED}),
        (FASTER, {"cpu": "Another CPU"}),
        (FASTER, {"version": 2}),
        (FASTER, {"purpose": "retime"}),
        (FASTER, {"alpha": 0.05}),  # it asked for less than the track does
        (FASTER, {"ranked": False, "unranked_because": ("practice",)}),
    ):
        duel, fought = fight("new", "old", *pairs, **fields)
        found = histories(runs + fought, [duel], RULES)
        assert sum(("record", 1, "old") in told(each) for each in found) == 1
        assert all(holder(each) != "new" for each in found if each.hardware.startswith("Test") and each.current_version)


def test_a_duel_with_another_torch_says_nothing_about_these_runs(race, fight):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    duel, fought = fight("new", "old", *FASTER[:2])  # settled, with too few runs to stand by themselves
    assert holder(the_history(runs + fought, [duel])) == "new"
    assert holder(the_history(runs + with_torch(fought, "2.14.0"), [duel])) == "old"


def test_one_duel_lost_stands_against_one_won(race, fight):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    lost, first = fight("new", "old", *((b, a) for a, b in FASTER))
    won, second = fight("new", "old", *FASTER)
    assert holder(the_history([*runs, *first, *second], [lost, won])) == "old"
    assert holder(the_history([*runs, *second], [won])) == "new"


def test_a_duel_with_another_than_the_record_says_nothing(race, fight):
    runs = race("old", 100.0, 100.5, 101.0) + race("other", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    duel, fought = fight("new", "other", *FASTER)
    assert holder(the_history(runs + fought, [duel])) == "old"


def test_a_duel_whose_runs_are_retracted_shows_nothing(race, fight):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    duel, fought = fight("new", "old", *FASTER)
    ruled = Rulings({run.run_id: "another job on the card" for run in fought if run.entry.name == "old"}, {})
    history = the_history(runs + fought, [duel], ruled)
    assert holder(history) == "old"


def test_a_retiming_stands_beside_the_record_and_changes_nothing(race, fight):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    duel, fought = fight("new", "old", *FASTER)
    before = the_history(runs + fought, [duel])
    again, timed = fight("new", "old", *((a / 2, b / 2) for a, b in FASTER), purpose="retime")
    history = the_history(runs + fought + timed, [duel, again])
    assert told(history) == [("record", 1, "old"), ("record", 2, "new"), ("re-timing", 2, "new")]
    assert history.steps[:2] == before.steps
    step = history.steps[2]
    assert (step.measure, len(step.run_ids)) == (pytest.approx(45.0), 6)
    assert step.evidence.words.startswith("measured again, in turns with record 1, 6 pairs: 0.900 (0.89")


def test_old_versions_keep_their_histories_marked(verified):
    rules = {"cpu-smoke": TrackRules(version=2, runs=3, alpha=0.01, least_gain=0.005)}
    found = histories(verified("a", *OLD) + verified("b", *OLD, version=2), (), rules)
    assert [(history.track.version, history.current_version, history.marks) for history in found] == [
        (2, True, ()),
        (1, False, ("old version",)),
    ]
    assert histories(verified("a", *OLD, track_id="gone"), (), RULES) == ()


def test_equal_times_have_one_order(verified):
    first, second = verified("a", *OLD), verified("b", *BETTER)
    at = "2026-11-21T00:00:00+00:00"
    runs = [msgspec.structs.replace(run, started_at=at) for run in first + second]
    for order in (runs, runs[::-1]):
        assert told(the_history(order)) == told(the_history(runs))


@pytest.fixture(scope="session")
def world(verified, race, fight):
    """Many runs and duels of every kind, among which a property test picks."""
    chance = random.Random(5)
    runs, duels = [], []
    for entry in "abcde":
        centre = chance.uniform(1.2, 1.6)
        for tier in (Tier.VERIFIED, Tier.VERIFIED, Tier.SELF_REPORTED):
            runs += verified(entry, *(centre + chance.gauss(0, 0.002) for _ in range(3)), tier=tier)
        runs += race(entry, *(centre * 100 + chance.gauss(0, 1) for _ in range(3)))
    for a, b in ("ba", "cb", "dc", "ad"):
        duel, fought = fight(a, b, *FASTER)
        duels.append(duel)
        runs += fought
    return runs, duels


@given(data=st.data())
@settings(max_examples=25)
def test_the_order_of_what_is_given_never_matters(world, data):
    runs, duels = world
    retracted = data.draw(st.lists(st.sampled_from(runs), max_size=5))
    rulings = Rulings({run.run_id: "a reason" for run in retracted}, {})
    ours = data.draw(st.lists(st.sampled_from(runs), min_size=30, unique_by=lambda run: run.run_id))
    found = histories(ours, duels, RULES, rulings)
    chance = data.draw(st.randoms())
    shuffled, turned = list(ours), list(duels)
    chance.shuffle(shuffled)
    chance.shuffle(turned)
    assert histories(shuffled, turned, RULES, rulings) == found
    for history in found:
        records = [step for step in history.steps if step.kind == "record"]
        assert [step.number for step in records] == list(range(1, len(records) + 1))
        assert len({(step.entry, step.source_sha256) for step in records}) == len(records)
        assert not {run.run_id for run in retracted} & {run_id for step in records for run_id in step.run_ids}
        if history.track.objective == "lowest-loss":
            assert all(earlier.measure > later.measure for earlier, later in pairwise(records))


def test_a_history_is_json(verified):
    history = the_history(verified("a", *OLD) + verified("b", *BETTER))
    steps = msgspec.json.decode(msgspec.json.encode(history))["steps"]
    assert [step["entry"] for step in steps] == ["a", "b"]


# -------------------------------------------------------------------------------------------------- what speaks against


def failing(make_summary, entry, *verdicts, **fields):
    """Verified runs of an entry that ended so."""
    named = {"tier": Tier.VERIFIED, "series": Series(id="20261121-141530-verify-x-3f9a", purpose="verify")} | fields
    return [make_summary(entry=entry, source=entry, verdict=verdict, **named) for verdict in verdicts]


@pytest.mark.parametrize("verdict", [Verdict.NOT_PREDICTIVE, Verdict.PRETRAINED, Verdict.RULE_VIOLATION])
def test_one_verified_run_that_cheated_takes_the_record_whenever_it_came(verified, make_summary, verdict):
    before = failing(make_summary, "b", verdict)
    runs = verified("a", *OLD) + verified("b", *BETTER)
    after = failing(make_summary, "b", verdict)
    history = the_history(before + runs)
    assert (told(history), history.claims) == ([("record", 1, "a")], ())
    history = the_history(runs + after)
    assert (told(history), history.claims) == ([("record", 1, "a"), ("retracted", None, "b")], ())
    assert f"run {after[0].run_id} ended as {verdict}" in history.steps[-1].evidence.words
    retracted = Rulings({after[0].run_id: "a broken driver"}, {})
    assert holder(the_history(runs + after, rulings=retracted)) == "b"


def test_lucky_runs_between_crashes_make_no_record(verified, make_summary):
    crashes = failing(make_summary, "b", *[Verdict.CRASHED] * 2)
    runs = verified("a", *OLD) + verified("b", *BETTER)
    assert holder(the_history(runs + crashes[:1])) == "b"
    history = the_history(verified("a", *OLD) + crashes + verified("b", *BETTER))
    assert (holder(history), history.claims) == ("a", ())


def test_a_record_that_crashes_when_it_is_retimed_stands_undoubted(verified, make_summary):
    again = {"series": Series(id="20261121-141530-retime-b-3f9a", purpose="retime")}
    runs = verified("a", *OLD) + verified("b", *BETTER)
    history = the_history(runs + failing(make_summary, "b", *[Verdict.CRASHED] * 2, **again))
    assert history == the_history(runs)
    history = the_history(runs + failing(make_summary, "b", Verdict.NOT_PREDICTIVE, **again))
    assert told(history) == [("record", 1, "a"), ("retracted", None, "b")]


def test_a_claim_falls_with_a_run_that_cheated(verified, make_summary):
    reported = verified("c", *BETTER, tier=Tier.SELF_REPORTED)
    runs = verified("a", *OLD) + reported
    assert [claim.entry for claim in the_history(runs).claims] == ["c"]
    assert the_history(runs + failing(make_summary, "c", Verdict.NOT_PREDICTIVE)).claims == ()


def test_records_that_anybody_can_write_do_not_touch_a_signed_duel(race, fight, make_summary):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    duel, fought = fight("new", "old", *FASTER)
    named = {"series": Series(id=duel.duel_id, purpose="duel"), **RACE}
    for verdict in (Verdict.CRASHED, Verdict.OK):
        spoilers = [make_summary(entry="new", source="new", loss_nats=3.2, verdict=verdict, **named) for _ in range(3)]
        assert holder(the_history([*runs, *fought, *spoilers], [duel])) == "new"
        signed = [msgspec.structs.replace(run, tier=Tier.VERIFIED) for run in spoilers]
        assert holder(the_history([*runs, *fought, *signed], [duel])) == "old"


def test_taking_failed_runs_back_wins_nobody_a_duel(race, fight, make_summary):
    duel, fought = fight("new", "old", *FASTER)
    named = {"series": Series(id=duel.duel_id, purpose="duel"), **RACE}
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0) + fought
    crashes = failing(make_summary, "new", *[Verdict.CRASHED] * 2, **named)
    retracted = Rulings({run.run_id: "bad luck" for run in crashes}, {})
    assert holder(the_history(runs, [duel])) == "new"
    assert holder(the_history(runs + crashes, [duel], retracted)) == "old"
    # Nor does it the record's holder.
    other, fought = fight("old", "new", *FASTER)
    named = {"series": Series(id=other.duel_id, purpose="duel"), **RACE}
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0) + fought
    crashes = failing(make_summary, "old", *[Verdict.CRASHED] * 2, **named)
    retracted = Rulings({run.run_id: "bad luck" for run in crashes}, {})
    assert the_history(runs, [other]).lost != ()
    assert the_history(runs + crashes, [other], retracted).lost == ()


def test_the_last_duel_won_decides_by_how_much(race, fight):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    large, first = fight("new", "old", *FASTER)
    hair = tuple((99.5 + number / 1000, 100.0) for number in range(6))
    small, second = fight("new", "old", *hair)
    assert holder(the_history([*runs, *second], [small])) == "old"
    history = the_history([*runs, *first, *second], [large, small])
    assert told(history)[1:] == [("record", 2, "new")]  # won when the first one was over
    assert "10.0" in history.steps[1].evidence.words
    large, again = fight("new", "old", *FASTER)
    assert holder(the_history([*runs, *second, *again], [small, large])) == "new"


def test_who_lost_a_duel_waits_for_none(race, fight):
    runs = race("old", 100.0, 100.5, 101.0) + race("new", 90.0, 90.5, 91.0)
    duel, fought = fight("new", "old", *((b, a) for a, b in FASTER))
    history = the_history(runs + fought, [duel])
    assert (holder(history), history.claims) == ("old", ())
    (lost,) = history.lost
    assert (lost.entry, lost.duel_id) == ("new", duel.duel_id)
    assert lost.words == f"it lost duel {duel.duel_id} to that record, which stands unless retracted"


def test_what_later_runs_say_against_a_record_stands_beside_it(verified, race):
    far = race("a", 100.0, 100.5, 101.0) + race("a", 100.0, 100.5, 101.0, losses=(3.35, 3.36, 3.34))
    (step,) = the_history(far).steps
    assert step.evidence.words.endswith("by all of its 6 runs this is no longer shown")
    runs = verified("a", *OLD) + verified("b", *BETTER) + verified("b", *[loss + 0.3 for loss in OLD])
    step = the_history(runs).steps[-1]
    assert (step.entry, step.kind) == ("b", "record")
    assert "by all of its 6 runs it is -0.1" in step.evidence.words


def test_what_the_record_scored_is_told_for_each_torch(verified):
    runs = verified("a", *OLD) + with_torch(verified("a", *BETTER), "2.14.0")
    losses = dict(the_history(runs).record_losses)
    assert losses["2.14.0"] == BETTER
    assert len(losses) == 2
