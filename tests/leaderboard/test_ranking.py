import math
import random
import subprocess
import sys
from itertools import pairwise
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.result import Author, DatasetRef, Series, Tier, Verdict
from leaderboard.alike import by_place, hardware, place
from leaderboard.conduct import AGAINST
from leaderboard.ranking import Standing, TrackRules, rank, top
from leaderboard.rulings import Rulings


def rules(version=1, runs=1, alpha=0.01):
    return TrackRules(version=version, runs=runs, alpha=alpha, least_gain=0.005)


RULES = {"cpu-smoke": rules(version=1, runs=2), "cpu-1min": rules(version=1, runs=1)}


@pytest.fixture(scope="session")
def runs_of(make_summary):
    """Several runs of one entry: `runs_of("a", 1.0, 1.2)` for their losses."""

    def make(entry, *losses, **fields):
        return [make_summary(entry=entry, loss_nats=loss, **fields) for loss in losses]

    return make


def standings(section):
    return [(row.rank, row.entry, row.standing) for row in section.rows]


def only_section(board):
    (section,) = board.sections
    return section


def test_lowest_loss_is_ranked_by_the_mean_of_all_runs(runs_of):
    lucky = runs_of("lucky", 1.0, 1.5)
    steady = runs_of("steady", 1.2, 1.2, 1.2)
    section = only_section(rank(lucky + steady, RULES))
    assert standings(section) == [(1, "steady", Standing.RANKED), (2, "lucky", Standing.RANKED)]
    first, second = section.rows
    assert (first.loss_nats, first.loss_sd_nats, first.runs) == (pytest.approx(1.2), pytest.approx(0.0), 3)
    assert second.loss_nats == pytest.approx(1.25)
    assert second.loss_sd_nats == pytest.approx(0.5 / math.sqrt(2))
    assert second.floor_gap_nats == pytest.approx(0.25)
    assert second.run_ids == tuple(run.run_id for run in lucky)
    assert (section.current, section.runs_asked, section.hardware) == (True, 2, "Test CPU, 2 threads")


def test_too_few_runs_stand_below_the_line(runs_of):
    section = only_section(rank(runs_of("quick", 0.5) + runs_of("enough", 1.0, 1.0), RULES))
    assert standings(section) == [(1, "enough", Standing.RANKED), (None, "quick", Standing.TOO_FEW_RUNS)]
    assert section.rows[1].note == "needs 1 more run"
    assert section.rows[1].loss_sd_nats is None


RACE = {"objective": "fastest-to-loss", "target_nats": 3.28}


def test_fastest_to_loss_is_ranked_by_time_among_those_that_are_shown_to_meet_the_target(runs_of):
    runs = [
        *runs_of("slow", 3.200, 3.201, train_s=100.0, **RACE),
        *runs_of("fast", 3.250, 3.251, train_s=90.0, **RACE),
        *runs_of("unsure", 3.30, 3.24, train_s=80.0, **RACE),  # the mean is below, and no test shows it
        *runs_of("missed", 3.29, 3.28, train_s=10.0, **RACE),
        *runs_of("exact", 3.27, 3.29, train_s=95.0, **RACE),
    ]
    section = only_section(rank(runs, RULES))
    assert standings(section) == [
        (1, "fast", Standing.RANKED),
        (2, "slow", Standing.RANKED),
        (None, "unsure", Standing.TARGET_NOT_SHOWN),
        (None, "missed", Standing.TARGET_MISSED),
        (None, "exact", Standing.TARGET_MISSED),
    ]
    assert section.rows[3].note == "mean loss 3.2850 is not below the target of 3.28"
    assert section.rows[0].train_s == 90.0


def test_a_published_case_of_a_target_that_is_shown(runs_of):
    # Ten runs with mean 3.2787 and standard deviation 0.0013 against 3.28: t = −3.162, p = 0.0058.
    spread = 0.0013 * math.sqrt(9 / 10)
    losses = [3.2787 + sign * spread for sign in (1, -1)] * 5
    (row,) = only_section(rank(runs_of("a", *losses, **RACE), RULES)).rows
    assert (row.rank, row.loss_sd_nats) == (1, pytest.approx(0.0013))
    (row,) = only_section(rank(runs_of("a", *losses[:4], **RACE), RULES)).rows
    assert row.standing is Standing.TARGET_NOT_SHOWN
    assert row.note == (
        "mean loss 3.2787 is not shown to be below the target of 3.28 (p = 0.083, asked is p < 0.01); "
        "about 11 more runs would show it"
    )


def test_a_target_takes_a_test_and_a_test_takes_scatter(runs_of):
    (row,) = only_section(rank(runs_of("a", 3.1, 3.1, **RACE), RULES)).rows
    assert (row.rank, row.standing) == (None, Standing.TARGET_NOT_SHOWN)
    assert row.note.endswith("a test takes two runs, and losses that differ")


def test_a_waiver_covers_the_variant_and_stands_in_the_row(runs_of):
    runs = runs_of("a", 3.26, 3.299, **RACE)
    others = runs_of("b", 3.26, 3.299, **RACE) + runs_of("a", 3.26, 3.299, version=2, **RACE)
    waived = Rulings({}, {runs[0].run_id: "only a faster kernel"})
    today = {"cpu-smoke": rules(version=1, runs=2)}
    rows = [row for section in rank(runs + others, today, waived).sections for row in section.rows]
    assert [(row.entry, row.standing) for row in rows] == [
        ("a", Standing.TARGET_NOT_SHOWN),
        ("a", Standing.RANKED),
        ("b", Standing.TARGET_NOT_SHOWN),
    ]
    assert rows[1].note == "target test waived: only a faster kernel"
    too_high = runs_of("a", 3.40, **RACE)
    (row,) = only_section(rank(runs + too_high, today, waived)).rows
    assert row.standing is Standing.TARGET_MISSED
    void = Rulings({runs[0].run_id: "wrong"}, waived.waived)
    assert all(row.rank is None for row in only_section(rank(runs, today, void)).rows)


def test_a_lowest_loss_track_with_a_gate_holds_it_too(runs_of):
    section = only_section(rank(runs_of("high", 5.0, 5.0, target_nats=4.5), RULES))
    assert standings(section) == [(None, "high", Standing.TARGET_MISSED)]


def test_equal_means_share_a_place_and_the_earlier_stands_first(runs_of):
    runs = runs_of("a", 2.0, 2.0) + runs_of("c", 1.0, 1.0) + runs_of("b", 1.0, 1.0) + runs_of("d", 3.0, 3.0)
    section = only_section(rank(runs, RULES))
    assert [(row.rank, row.entry) for row in section.rows] == [(1, "c"), (1, "b"), (3, "a"), (4, "d")]


def test_different_hardware_is_never_mixed(runs_of):
    runs = [
        *runs_of("a", 1.0, 1.0, cpu="CPU one"),
        *runs_of("b", 2.0, 2.0, cpu="CPU two"),
        *runs_of("c", 3.0, 3.0, cpu="CPU one", threads=1),
        *runs_of("d", 4.0, cpu="CPU one"),
        *runs_of("d", 4.0, cpu="CPU two"),  # two runs in all, but not of a kind
        *runs_of("e", 5.0, 5.0, devices=("Tesla T4",)),
        *runs_of("f", 6.0, 6.0, devices=("H100", "H100")),
    ]
    board = rank(runs, RULES)
    assert {section.hardware: [(row.rank, row.entry) for row in section.rows] for section in board.sections} == {
        "1 × Tesla T4": [(1, "e")],
        "2 × H100": [(1, "f")],
        "CPU one, 1 thread": [(1, "c")],
        "CPU one, 2 threads": [(1, "a"), (None, "d")],
        "CPU two, 2 threads": [(1, "b"), (None, "d")],
    }


def test_accelerators_name_the_hardware(make_summary):
    # With accelerators the host's processor does not set runs apart.
    one = make_summary(devices=("H100", "T4", "H100"), cpu="CPU one").environment
    two = make_summary(devices=("T4", "H100", "H100"), cpu="CPU two").environment
    assert hardware(one) == hardware(two) == "2 × H100 + 1 × T4"


def test_an_entry_gets_one_place_and_its_other_variants_stay_visible(runs_of):
    runs = [
        *runs_of("mine", 1.5, 1.5, source="old"),
        *runs_of("mine", 1.1, 1.1, source="new"),
        *runs_of("mine", 1.3, 1.3, source="new", overrides={"d_model": "512"}),
        *runs_of("mine", 0.5, source="lucky"),
        *runs_of("theirs", 1.2, 1.2),
    ]
    section = only_section(rank(runs, RULES))
    assert [(row.rank, row.entry, row.loss_nats, row.standing) for row in section.rows] == [
        (1, "mine", 1.1, Standing.RANKED),
        (2, "theirs", 1.2, Standing.RANKED),
        (None, "mine", 0.5, Standing.TOO_FEW_RUNS),
        (None, "mine", 1.3, Standing.OTHER_VARIANT),
        (None, "mine", 1.5, Standing.OTHER_VARIANT),
    ]
    assert "d_model=512" in section.rows[3].note
    assert section.rows[4].source_sha256[:8] in section.rows[4].note


def test_practice_is_listed_only_when_asked(runs_of, make_summary):
    counted = runs_of("a", 1.0, 1.0)
    practice = runs_of("a", 0.1, 0.3, ranked=False)
    other = runs_of("b", 0.2, 0.2, ranked=False, cpu="Another CPU")
    board = rank(counted + practice + other, RULES)
    assert standings(only_section(board)) == [(1, "a", Standing.RANKED)]
    assert only_section(board).rows[0].loss_nats == 1.0
    here, there = sorted(
        rank(counted + practice + other, RULES, include_unranked=True).sections,
        key=lambda section: section.hardware,
        reverse=True,
    )
    assert standings(here) == [(1, "a", Standing.RANKED), (None, "a", Standing.PRACTICE)]
    assert (here.rows[1].loss_nats, here.rows[1].note) == (0.2, "practice: practice")
    assert standings(there) == [(None, "b", Standing.PRACTICE)]


def test_failed_runs_are_counted_and_ours_are_not(runs_of, make_summary):
    failures = [
        make_summary(entry="a", verdict=verdict) for verdict in Verdict if verdict not in {Verdict.OK, *AGAINST}
    ]
    section = only_section(rank(runs_of("a", 1.0, 1.0) + failures, RULES))
    (row,) = section.rows
    assert (row.rank, row.runs, row.failed, row.loss_nats) == (1, 2, len(failures) - 1, 1.0)
    assert rank(failures, RULES).sections == ()
    section = only_section(rank(failures[:2], RULES, include_unranked=True))
    (row,) = section.rows
    assert (row.standing, row.runs, row.failed, row.loss_nats) == (Standing.NO_SCORE, 0, 2, None)
    assert row.note == "SETUP_TIMEOUT, TIME_LIMIT"


def test_old_versions_stay_and_are_marked(runs_of):
    today = {"cpu-smoke": rules(version=3, runs=1)}
    runs = runs_of("a", 1.0, version=2) + runs_of("b", 2.0, version=3) + runs_of("c", 2.0, version=4)
    sections = rank(runs, today).sections
    assert [(s.track.version, s.current, s.marks, s.rows[0].rank) for s in sections] == [
        (4, False, ("newer version",), 1),
        (3, True, (), 1),
        (2, False, ("old version",), 1),
    ]


def test_a_track_that_is_not_known_ranks_nobody(runs_of):
    section = only_section(rank(runs_of("a", 1.0, 1.0, track_id="gone"), RULES))
    assert standings(section) == [(None, "a", Standing.UNKNOWN_TRACK)]
    assert (section.current, section.runs_asked, section.marks) == (False, None, ("unknown track",))


def test_other_data_or_another_track_file_stands_apart(runs_of):
    official = runs_of("a", 2.0, 2.0)
    changed = [
        msgspec.structs.replace(run, track=msgspec.structs.replace(run.track, target_nats=9.0, sha256="f" * 64))
        for run in runs_of("b", 1.0, 1.0)
    ]
    own = runs_of("c", 0.5, 0.5, dataset_id="mine", official=False, floor_nats=None, ranked=False)
    swapped = [
        msgspec.structs.replace(run, dataset=DatasetRef(id="tales", sha256="e" * 64, vocab_size=2, official=True))
        for run in runs_of("d", 0.1, 0.1)
    ]
    board = rank(official + changed + own + swapped, RULES, include_unranked=True)
    assert {section.rows[0].entry: section.marks for section in board.sections} == {
        "a": (f"track file {official[0].track.sha256[:8]}", f"data {official[0].dataset.sha256[:8]}"),
        "b": ("track file ffffffff", f"data {official[0].dataset.sha256[:8]}"),
        "c": ("track file " + official[0].track.sha256[:8], "data set mine"),
        "d": (f"track file {official[0].track.sha256[:8]}", "data eeeeeeee"),
    }
    assert all(len(section.rows) == 1 for section in board.sections)


def test_sections_follow_the_order_of_the_tracks(runs_of):
    runs = runs_of("a", 1.0, track_id="aaa") + runs_of("a", 1.0, track_id="cpu-1min") + runs_of("a", 1.0)
    board = rank(runs, RULES | {"h100-5min": rules(version=1, runs=1)})
    assert [section.track.id for section in board.sections] == ["cpu-smoke", "cpu-1min", "aaa"]
    assert board.tracks_without_runs == ("h100-5min",)


def test_what_is_shown_of_an_entry_comes_from_its_last_run(runs_of):
    runs = [
        *runs_of("a", 1.0, technique="first words", tokens=100, parameters=1),
        *runs_of("a", 1.0, technique="last words", tokens=301, authors=(Author(name="Eve"),), parameters=2),
        *runs_of("a", 1.0, technique="last words", tokens=None, authors=(Author(name="Eve"),), parameters=2),
    ]
    random.Random(3).shuffle(runs)
    row = only_section(rank(runs, RULES)).rows[0]
    assert (row.technique, row.authors[0].name, row.declared_tokens, row.parameters) == ("last words", "Eve", 200, 2)
    assert row.last_run == "2026-11-21"
    assert list(row.run_ids) == sorted(row.run_ids)


def test_verified_runs_are_never_averaged_with_others_and_take_the_place(runs_of):
    runs = [
        *runs_of("a", 1.30, 1.32, tier=Tier.VERIFIED),
        *runs_of("a", 1.00, 1.02),
        *runs_of("a", 1.10, 1.12, source="newer"),
        *runs_of("a", 0.9, source="newest", tier=Tier.VERIFIED),
        *runs_of("b", 1.20, 1.22),
        *runs_of("b", 1.90, tier=Tier.VERIFIED),  # too few to take the place
    ]
    rows = only_section(rank(runs, RULES)).rows
    assert [(row.rank, row.entry, row.loss_nats, row.tier.value, row.standing.value) for row in rows] == [
        (1, "b", 1.21, "self-reported", "ranked"),
        (2, "a", 1.31, "verified", "ranked"),
        (None, "a", 0.9, "verified", "too few runs"),
        (None, "b", 1.9, "verified", "too few runs"),
        (None, "a", 1.01, "self-reported", "another variant has the place"),
        (None, "a", 1.11, "self-reported", "another variant has the place"),
    ]
    assert rows[4].note.startswith("the verified runs of this variant have the place (this one: source ")
    assert rows[5].note.startswith("a verified variant has the place until this one is verified (this one: source ")


def test_a_signature_that_is_not_valid_is_marked(runs_of):
    runs = runs_of("a", 1.0, 1.1)  # the store has lowered their tier
    (row,) = only_section(rank(runs, RULES, unsigned={runs[1].run_id})).rows
    assert (row.rank, row.tier, row.unsigned) == (1, Tier.SELF_REPORTED, 1)
    assert row.note == "signature not valid: counts as self-reported"


@pytest.mark.parametrize(("purpose", "counts"), [("duel", 4), ("verify", 4), ("retime", 2), ("reproduce", 2)])
def test_retimings_and_reproductions_enter_no_mean(runs_of, purpose, counts):
    series = Series(id="20261121-000000-series", purpose=purpose)
    runs = runs_of("a", 1.0, 1.1) + runs_of("a", 0.1, 0.1, series=series)
    (row,) = only_section(rank(runs, RULES)).rows
    assert row.runs == counts
    rows = only_section(rank(runs, RULES, include_unranked=True)).rows
    assert sum(row.runs for row in rows) == 4
    if counts == 2:
        assert rows[1].standing is Standing.PRACTICE
        assert rows[1].note.startswith("practice: it re")


def test_who_crashes_when_he_is_retimed_keeps_his_place_and_who_cheats_does_not(runs_of, make_summary):
    """A crash under a later torch says nothing of the record; one verdict that no accident explains does."""
    runs = runs_of("a", 1.0, 1.1, tier=Tier.VERIFIED)
    series = Series(id="20261121-000000-series", purpose="retime")

    def again(*verdicts):
        return [make_summary(entry="a", verdict=each, tier=Tier.VERIFIED, series=series) for each in verdicts]

    (row,) = only_section(rank(runs + again(*[Verdict.CRASHED] * 2), RULES)).rows
    assert (row.rank, row.failed) == (1, 0)
    (row,) = only_section(rank(runs + again(Verdict.RULE_VIOLATION), RULES)).rows
    assert row.standing is Standing.DISPROVED
    # Nor do those that went well make room for failures of the entry's own.
    crashes = [make_summary(entry="a", verdict=Verdict.CRASHED, tier=Tier.VERIFIED) for _ in range(2)]
    retimed = runs_of("a", *[1.0] * 10, tier=Tier.VERIFIED, series=series)
    assert only_section(rank(runs + crashes + retimed, RULES)).rows[0].standing is Standing.DISPROVED


def test_retracted_runs_stand_apart_with_the_reason(runs_of):
    runs = runs_of("a", 1.0, 1.1, 0.1) + runs_of("b", 0.2, 0.2)
    why = {runs[2].run_id: "it read the clock wrong", **{run.run_id: "copied" for run in runs[3:]}}
    section = only_section(rank(runs, RULES, Rulings(why, {})))
    assert [(row.rank, row.entry, row.runs, row.standing, row.note) for row in section.rows] == [
        (1, "a", 2, Standing.RANKED, ""),
        (None, "a", 1, Standing.RETRACTED, "retracted: it read the clock wrong"),
        (None, "b", 2, Standing.RETRACTED, "retracted: copied"),
    ]


def test_a_row_that_no_test_tells_from_the_one_above_says_so(runs_of):
    runs = [
        *runs_of("clear", 1.000, 1.001, 1.002),
        *runs_of("first", 1.10, 1.12, 1.14),
        *runs_of("second", 1.11, 1.13, 1.15),
        *runs_of("far", 1.5, 1.501),
        *runs_of("flat", 1.6, 1.6),
    ]
    rows = only_section(rank(runs, RULES)).rows
    assert [(row.rank, row.entry, row.near is not None) for row in rows] == [
        (1, "clear", False),
        (2, "first", False),
        (3, "second", True),
        (4, "far", False),
        (5, "flat", True),
    ]
    near = rows[2].near
    # t = −0.01 / √(2 · 0.02² / 3) = −0.612, 4 degrees of freedom, on both sides
    assert near.p_value == pytest.approx(2 * 0.2868, abs=0.001)
    assert near.more_runs > 30
    assert rows[2].note == near.because
    assert near.because.startswith("not told apart from the row above (p = 0.57); about ")
    assert near.because.endswith(" more runs of each would tell")
    assert rows[4].near.because == "not told apart from the row above: their runs show no scatter"


def test_one_run_is_not_enough_to_tell_rows_apart(runs_of):
    runs = runs_of("a", 1.0, 1.1, track_id="cpu-1min") + runs_of("b", 9.0, track_id="cpu-1min")
    rows = only_section(rank(runs, RULES)).rows
    assert rows[1].near.because == "not told apart from the row above: a test takes two runs of each"


@pytest.mark.parametrize("packages", [{"torch": "2.14.0"}, {}])
def test_rows_of_another_torch_are_not_tested_against_each_other(runs_of, packages):
    other = [
        msgspec.structs.replace(run, environment=msgspec.structs.replace(run.environment, packages=packages))
        for run in runs_of("b", 9.0, 9.1)
    ]
    rows = only_section(rank(runs_of("a", 1.0, 1.1) + other, RULES)).rows
    assert "another version of torch" in rows[1].near.because
    mixed = rank([*runs_of("a", 1.0, 1.1), other[0], *runs_of("b", 9.0)], RULES)
    assert "another version of torch" in only_section(mixed).rows[1].near.because


def test_times_of_different_days_are_not_tested(runs_of):
    def race(entry, *times_s):
        return [run for time_s in times_s for run in runs_of(entry, 3.20 + time_s / 1e6, train_s=time_s, **RACE)]

    rows = only_section(rank(race("a", 90.0, 99.1, 90.2) + race("b", 95.0, 95.1, 95.2), RULES)).rows
    assert [(row.entry, row.near) for row in rows] == [("a", None), ("b", None)]


def test_equal_entries_are_told_apart_no_more_often_than_alpha_says(make_summary):
    """Rows are sorted by their means before they are tested, so either may be the lower one."""
    random = np.random.default_rng(5)
    template = [make_summary(entry=entry) for entry in "abcd" for _ in range(5)]
    apart = rows = 0
    for _ in range(200):
        runs = [
            msgspec.structs.replace(run, score=msgspec.structs.replace(run.score, loss_nats=float(loss)))
            for run, loss in zip(template, random.normal(1.5, 0.01, len(template)), strict=True)
        ]
        by_pair = [runs[:10], runs[10:]]
        for pair in by_pair:
            rows += 1
            apart += only_section(rank(pair, {"cpu-smoke": rules(runs=5, alpha=0.1)})).rows[1].near is None
    assert 0 < apart / rows <= 0.1 + 3 * math.sqrt(0.1 * 0.9 / rows)


@pytest.mark.parametrize("verdict", sorted(AGAINST))
@pytest.mark.parametrize("tier", list(Tier))
def test_a_run_that_cheated_takes_the_place_away(runs_of, make_summary, verdict, tier):
    runs = runs_of("mine", 1.0, 1.0, tier=tier) + runs_of("other", 2.0, 2.0)
    cheat = make_summary(entry="mine", verdict=verdict, tier=tier)
    section = only_section(rank([*runs, cheat], RULES))
    assert standings(section) == [(1, "other", Standing.RANKED), (None, "mine", Standing.DISPROVED)]
    assert section.rows[1].note == f"run {cheat.run_id} ended as {verdict}"
    # One of another source says nothing of this one, and one that was retracted says nothing at all.
    other = make_summary(entry="mine", verdict=verdict, tier=tier, source="another")
    assert standings(only_section(rank([*runs, other], RULES)))[0] == (1, "mine", Standing.RANKED)
    retracted = Rulings({cheat.run_id: "the machine was at fault"}, {})
    assert standings(only_section(rank([*runs, cheat], RULES, retracted)))[0] == (1, "mine", Standing.RANKED)


def test_a_maintainers_runs_speak_against_every_row_of_a_source_and_a_contestants_against_his_own(
    runs_of, make_summary
):
    reported, verified = runs_of("mine", 1.0, 1.0), runs_of("mine", 1.0, 1.0, tier=Tier.VERIFIED)
    crashes = [make_summary(entry="mine", verdict=Verdict.CRASHED, tier=Tier.VERIFIED) for _ in range(2)]
    rows = only_section(rank(reported + verified + crashes, RULES)).rows
    assert {row.standing for row in rows} == {Standing.DISPROVED}
    assert rows[0].note.startswith("it failed 2 times: CRASHED")
    assert only_section(rank(verified + crashes[:1], RULES)).rows[0].rank == 1
    spoiler = make_summary(entry="mine", verdict=Verdict.NOT_PREDICTIVE)
    assert only_section(rank([*verified, spoiler], RULES)).rows[0].rank == 1


class Spoilt:
    """A run whose loss is no number: a real summary refuses to be made with one."""

    def __init__(self, run, loss_nats):
        self._run = run
        self.score = SimpleNamespace(loss_nats=loss_nats)

    def __getattr__(self, name):
        return getattr(self._run, name)


@pytest.mark.parametrize("strange", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("objective", ["lowest-loss", "fastest-to-loss"])
def test_what_is_no_number_never_gets_a_place(runs_of, strange, objective):
    # No file can hold such a number; the ranking does not rely on that.
    fine = runs_of("fine", 3.0, 3.001, objective=objective, target_nats=4.0)
    spoilt = runs_of("spoilt", 1.0, 1.0, objective=objective, target_nats=4.0)
    train = msgspec.structs.replace(spoilt[0].times, train_s=strange)
    for runs in (
        [msgspec.structs.replace(spoilt[0], times=train), spoilt[1]],
        [Spoilt(spoilt[0], strange), spoilt[1]],
    ):
        assert standings(only_section(rank(fine + runs, RULES))) == [
            (1, "fine", Standing.RANKED),
            (None, "spoilt", Standing.NO_NUMBER),
        ]


@pytest.fixture(scope="session")
def pool(make_summary):
    """Runs of a few entries, sources, machines and endings, among which a property test picks."""
    random_numbers = random.Random(1)
    return [
        make_summary(
            entry=random_numbers.choice("abc"),
            source=random_numbers.choice("xy"),
            cpu=random_numbers.choice(["one", "two"]),
            loss_nats=random_numbers.choice([1.0, 1.5, 2.0]),
            verdict=random_numbers.choice([Verdict.OK, Verdict.OK, Verdict.OK, Verdict.CRASHED]),
            ranked=random_numbers.random() < 0.8,
        )
        for _ in range(60)
    ]


@given(data=st.data())
def test_every_run_is_accounted_for_in_any_order(pool, data):
    runs = data.draw(st.lists(st.sampled_from(pool), unique_by=lambda run: run.run_id))
    board = rank(runs, RULES, include_unranked=True)
    assert board == rank(data.draw(st.permutations(runs)), RULES, include_unranked=True)
    rows = [row for section in board.sections for row in section.rows]
    assert sum(row.runs for row in rows) == sum(run.scored for run in runs)
    assert sum(row.failed for row in rows) == sum(not run.scored for run in runs)
    for section in board.sections:
        ranked = [row for row in section.rows if row.rank is not None]
        assert section.rows[: len(ranked)] == tuple(ranked)
        assert len({row.entry for row in ranked}) == len(ranked)
        assert all(row.runs >= 2 and row.note == (row.near.because if row.near else "") for row in ranked)
        assert all(row.note for row in section.rows[len(ranked) :])
        for better, worse in pairwise(ranked):
            assert better.loss_nats <= worse.loss_nats
            assert (better.rank == worse.rank) == (better.loss_nats == worse.loss_nats)


def test_top_keeps_the_first_rows_of_every_section(runs_of):
    runs = [run for name in "abc" for run in runs_of(name, 1.0, 1.0)] + runs_of("d", 1.0, cpu="Another CPU")
    board = top(rank(runs, RULES), 2)
    assert sorted(len(section.rows) for section in board.sections) == [1, 2]


def test_a_board_is_json(runs_of):
    board = rank(runs_of("a", 1.0), RULES)
    row = msgspec.json.decode(msgspec.json.encode(board))["sections"][0]["rows"][0]
    assert (row["rank"], row["entry"], row["loss_nats"], row["loss_sd_nats"]) == (None, "a", 1.0, None)


def test_a_huge_loss_does_not_stop_the_board(runs_of):
    section = only_section(rank(runs_of("huge", 1.7e308, 1.7e308) + runs_of("fine", 1.0, 1.0), RULES))
    assert standings(section) == [(1, "fine", Standing.RANKED), (None, "huge", Standing.NO_NUMBER)]


def test_records_from_before_a_field_of_the_data_set_stand_with_later_ones(runs_of):
    older, later = runs_of("a", 1.0), runs_of("a", 1.2)
    told = msgspec.structs.replace(later[0].dataset, pinned=True, train_tokens=9, revision="4f2c")
    section = only_section(rank([*older, msgspec.structs.replace(later[0], dataset=told)], RULES))
    assert (section.rows[0].runs, section.marks) == (2, ())


def test_a_close_call_is_made_without_scipy():
    """Importing it takes longer than reading a thousand records."""
    code = (
        "import sys; from leaderboard.ranking import target_standing;"
        "print(target_standing((3.27, 3.29, 3.275), 3.28, 0.01, None)[0], 'scipy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "target not shown False\n"


@given(picks=st.lists(st.tuples(*[st.integers(0, 1)] * 6), max_size=12))
def test_runs_are_sorted_into_the_places_that_they_say(make_summary, picks):
    runs = [
        msgspec.structs.replace(
            make_summary(
                version=1 + version,
                dataset_id=("tales", "mine")[dataset],
                cpu=("One CPU", "Another")[cpu],
                threads=1 + threads,
                devices=("Card",) * card,
            ),
            dataset=msgspec.structs.replace(
                make_summary(dataset_id=("tales", "mine")[dataset]).dataset, pinned=bool(pinned), revision=str(pinned)
            ),
        )
        for version, dataset, cpu, threads, card, pinned in picks
    ]
    plainly = {}
    for run in runs:
        plainly.setdefault(place(run), []).append(run)
    assert by_place(runs) == plainly
    assert list(by_place(runs)) == list(plainly)
