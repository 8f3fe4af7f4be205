"""Whether an entry waits on a track: every reason for it and against it, from records alone."""

import hashlib

import msgspec
import pytest

from harness.result import Series, Tier, Times, Verdict
from leaderboard.alike import Variant
from speedrun.waiting import Terms, Why, claim, first_told, overhead_s, verified_runs, why

NOW, BEFORE = "the source as it is", "the source as it was"


def sha256(source):
    """As `make_record` has it."""
    return hashlib.sha256(hashlib.sha256(source.encode()).hexdigest().encode()).hexdigest()


@pytest.fixture
def run(make_summary):
    """A self-reported run of mine's source as it is; fields as `make_record` takes them."""

    def make(**fields):
        return make_summary(**{"entry": "mine", "source": NOW, **fields})

    return make


@pytest.fixture
def verified(run):
    def make(**fields):
        return run(tier=Tier.VERIFIED, **fields)

    return make


@pytest.fixture
def terms(run):
    """Two verified runs settle an entry on cpu-smoke, version 1."""

    def make(*, retracted=(), waived=None, asked=2, **fields):
        return Terms(run(**fields).track, "tales", asked, 0.01, frozenset(retracted), waived or {})

    return make


def test_its_own_scored_runs_ask_until_verified_ones_answer(run, verified, terms):
    own = [run(), run()]
    assert why(sha256(NOW), own, terms()) is Why.RESULTS
    assert why(sha256(NOW), [*own, verified()], terms()) is Why.RESULTS
    assert why(sha256(NOW), [*own, verified(), verified()], terms()) is Why.STANDS
    assert why(sha256(NOW), [*own, verified(), verified()], terms(asked=3)) is Why.RESULTS
    assert not Why.STANDS.waits
    assert Why.RESULTS.waits


def test_what_does_not_stand_waits_no_more(run, verified, terms):
    cheated = [run(), verified(), verified(verdict=Verdict.NOT_PREDICTIVE)]
    assert why(sha256(NOW), cheated, terms()) is Why.FELL
    failed = [run(), verified(verdict=Verdict.CRASHED), verified(verdict=Verdict.TIME_LIMIT)]
    assert why(sha256(NOW), failed, terms()) is Why.FELL
    assert why(sha256(NOW), failed[:2], terms()) is Why.RESULTS  # one failure is forgiven
    target = {"objective": "fastest-to-loss", "target_nats": 3.28}
    above = [verified(loss_nats=loss, **target) for loss in (3.5, 3.501)]
    assert why(sha256(NOW), [run(loss_nats=3.2, **target), *above], terms(**target)) is Why.FELL


def test_another_torch_or_machine_answers_only_by_itself(run, verified, terms):
    elsewhere = verified(cpu="Another CPU")
    assert why(sha256(NOW), [run(), verified(), elsewhere], terms()) is Why.RESULTS
    assert why(sha256(NOW), [run(), elsewhere, verified(cpu="Another CPU")], terms()) is Why.STANDS
    later = verified()
    newer = {**later.environment.packages, "torch": "9.0"}
    later = msgspec.structs.replace(later, environment=msgspec.structs.replace(later.environment, packages=newer))
    assert why(sha256(NOW), [run(), verified(), later], terms()) is Why.RESULTS
    assert verified_runs(sha256(NOW), [run(), verified(), later, elsewhere], terms()) == 1
    # What speaks against it does so whatever the torch.
    cheated = verified(verdict=Verdict.PRETRAINED)
    cheated = msgspec.structs.replace(cheated, environment=later.environment)
    assert why(sha256(NOW), [run(), verified(), cheated], terms()) is Why.FELL


def test_a_waiver_answers_for_the_test_of_a_target(run, verified, terms):
    target = {"objective": "fastest-to-loss", "target_nats": 3.28}
    same = [verified(loss_nats=3.28, **target) for _ in range(2)]
    assert why(sha256(NOW), [run(**target), *same], terms(**target)) is Why.FELL
    waived = {(same[0].track, Variant("mine", sha256(NOW), ())): "a kernel"}
    assert why(sha256(NOW), [run(**target), *same], terms(waived=waived, **target)) is Why.STANDS


def test_practice_on_another_machine_asks_as_well(run, terms):
    practice = run(ranked=False)
    assert why(sha256(NOW), [practice], terms()) is Why.RESULTS
    told = claim(sha256(NOW), [practice], terms())
    assert (told.practice, told.runs) == (True, 1)
    # But not on other data, and neither does what re-times or reproduces.
    other = run(ranked=False, dataset_id="diary", official=False)
    again = [run(series=Series(id="20261121-141530-x-mine-3f9a", purpose=what)) for what in ("retime", "reproduce")]
    assert why(sha256(NOW), [other], terms()) is Why.ELSEWHERE
    assert not why(sha256(NOW), again, terms()).waits


def test_what_was_begun_goes_on(verified, terms):
    assert why(sha256(NOW), [verified()], terms()) is Why.BEGUN
    assert why(sha256(NOW), [verified(verdict=Verdict.INTERNAL_ERROR)], terms()) is Why.BEGUN
    assert Why.BEGUN.waits


def test_without_any_results_it_waits_anywhere(run, terms):
    assert why(sha256(NOW), [], terms()) is Why.NO_RESULTS
    nobodys = [run(verdict=verdict) for verdict in (Verdict.INTERRUPTED, Verdict.INTERNAL_ERROR)]
    assert why(sha256(NOW), nobodys, terms()) is Why.NO_RESULTS
    assert Why.NO_RESULTS.waits
    assert why(sha256(NOW), [run(track_id="cpu-1min")], terms()) is Why.ELSEWHERE
    assert not Why.ELSEWHERE.waits


def test_a_changed_source_waits_again(run, verified, terms):
    for before in ([run(source=BEFORE)], [verified(source=BEFORE)] * 2, [run(source=BEFORE, verdict=Verdict.CRASHED)]):
        assert why(sha256(NOW), before, terms()) is Why.OLDER_SOURCE
    withdrawn = run(source=BEFORE)
    assert why(sha256(NOW), [withdrawn], terms(retracted=[withdrawn.run_id])) is Why.OLDER_SOURCE
    assert why(sha256(NOW), [run(source=BEFORE), verified(), verified()], terms()) is Why.STANDS
    assert Why.OLDER_SOURCE.waits
    assert claim(sha256(NOW), [run(source=BEFORE)], terms()) is None
    assert first_told(sha256(NOW), [run(source=BEFORE)], terms()) is None


def test_settings_of_the_command_line_are_not_the_source(run, terms):
    wider = run(ranked=False, overrides={"width": "3"})
    assert why(sha256(NOW), [wider], terms()) is Why.SETTINGS
    assert Why.SETTINGS.waits
    assert claim(sha256(NOW), [wider], terms()) is None
    # Too large for the machine at hand, and scored when it was made smaller: somebody without the track's device.
    assert why(sha256(NOW), [run(verdict=Verdict.OUT_OF_MEMORY), wider], terms()) is Why.SETTINGS
    assert why(sha256(NOW), [wider, run()], terms()) is Why.RESULTS


@pytest.mark.parametrize("verdict", [Verdict.CRASHED, Verdict.TIME_LIMIT, Verdict.OUT_OF_MEMORY])
def test_who_never_was_scored_does_not_wait(run, terms, verdict):
    assert why(sha256(NOW), [run(verdict=verdict)], terms()) is Why.NOT_SCORED
    assert not Why.NOT_SCORED.waits


def test_whose_own_run_cheated_does_not_wait(run, terms):
    assert why(sha256(NOW), [run(), run(verdict=Verdict.NOT_PREDICTIVE)], terms()) is Why.AGAINST_ITSELF
    assert not Why.AGAINST_ITSELF.waits


def test_what_is_retracted_does_not_ask(run, verified, terms):
    own = [run(), run()]
    ids = [each.run_id for each in own]
    assert why(sha256(NOW), own, terms(retracted=ids[:1])) is Why.RESULTS
    assert why(sha256(NOW), own, terms(retracted=ids)) is Why.WITHDRAWN
    assert not Why.WITHDRAWN.waits
    made = [verified(), verified()]
    assert why(sha256(NOW), [*own, *made], terms(retracted=[made[0].run_id])) is Why.RESULTS


def test_a_new_version_of_the_track_brings_back_only_what_was_not_settled(run, verified, terms):
    old = [run(version=1), verified(version=1), verified(version=1)]
    assert why(sha256(NOW), old, terms(version=2)) is Why.STANDS
    assert why(sha256(NOW), old[:2], terms(version=2)) is Why.RESULTS
    assert why(sha256(NOW), [*old, run(version=2)], terms(version=2)) is Why.RESULTS
    assert why(sha256(NOW), [*old[:2], verified(version=2), verified(version=2)], terms(version=2)) is Why.STANDS
    assert claim(sha256(NOW), [run(version=1)], terms(version=2)).version == 1
    assert claim(sha256(NOW), [run(version=1), run(version=2)], terms(version=2)).version == 2


def test_the_claim_is_that_of_the_best_run(run, verified, terms):
    told = claim(sha256(NOW), [run(loss_nats=1.6), run(loss_nats=1.4), verified(loss_nats=1.0)], terms())
    assert (told.loss_nats, told.runs, told.practice, told.target_met) == (1.4, 2, False, None)
    assert claim(sha256(NOW), [run(loss_nats=1.6), run(loss_nats=1.4, ranked=False)], terms()).loss_nats == 1.6
    target = {"objective": "fastest-to-loss", "target_nats": 3.28}
    timed = [run(loss_nats=loss, train_s=time, **target) for loss, time in ((3.27, 9.0), (3.26, 10.0), (3.4, 2.0))]
    told = claim(sha256(NOW), timed, terms(**target))
    assert (told.train_s, told.loss_nats, told.target_met) == (9.0, 3.27, True)
    told = claim(sha256(NOW), timed[2:], terms(**target))
    assert (told.train_s, told.loss_nats, told.target_met) == (2.0, 3.4, False)


def test_what_a_run_takes_besides_its_training(run):
    times = [Times(train_s=8.0, total_s=8.0 + rest) for rest in (5.0, 7.0, 1e9)]
    assert overhead_s([run(times=each) for each in times], "cpu-smoke") == 7.0
    assert overhead_s([run(times=Times(train_s=8.0, total_s=0.0))], "cpu-smoke") == 0.0
    assert overhead_s([run()], "cpu-1min") is None
