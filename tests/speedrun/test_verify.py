"""A maintainer's verification: what is refused before anything runs, whole ones in the sandbox, and the rules alone."""

import json
import shutil

import msgspec
import numpy as np
import pytest

from harness.errors import UserError
from harness.result import Level, Score, Series, Tier, TrackRef, Verdict, encode
from leaderboard.schema import decode_summary
from leaderboard.signatures import Signer, signed_by
from leaderboard.store import Store, signature_path
from speedrun.verification import judge, record_news
from speedrun.vouching import Voucher
from tests.leaderboard.whole import read_all
from tests.maintained import git, maintain, make_keys

ALPHA = 0.01


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def checkout(workspace, blink, entry, keys):
    """The workspace as a git repository with a track, an entry and a maintainer, all of it committed."""
    entry("mine")
    return maintain(workspace, keys)


def edit_track(checkout, old, new):
    path = checkout.tracks / "cpu-blink.toml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    git(checkout.root, "commit", "-q", "-a", "-m", "another track")


# ------------------------------------------------------------------------------------------------- refused beforehand


def _dirty(checkout, keys):
    (checkout.template / "config.py").write_text("x = 1\n")


def _untracked(checkout, keys):
    (checkout.submissions / "mine" / "more.py").write_text("x = 1\n")


def _hidden(checkout, keys):
    with (checkout.root / ".git" / "info" / "exclude").open("a") as stream:
        stream.write("more.py\n")
    (checkout.submissions / "mine" / "more.py").write_text("x = 1\n")


def _ruling(checkout, keys):
    checkout.rulings.mkdir()
    (checkout.rulings / "20261121-141530-mine-3f9a.waiver.json").write_text("{}")


def _nested(checkout, keys):
    git(checkout.submissions / "mine", "init", "-q")
    git(checkout.submissions / "mine", "add", "-A")
    git(checkout.submissions / "mine", "commit", "-q", "-m", "a repository of its own")
    (checkout.submissions / "mine" / "more.py").write_text("x = 1\n")


def _no_repository(checkout, keys):
    shutil.rmtree(checkout.root / ".git")


def _no_maintainer(checkout, keys):
    (checkout.results.parent / "maintainers").write_text("# nobody\n")
    git(checkout.root, "commit", "-q", "-a", "-m", "nobody")


def _expired(checkout, keys):
    public = (keys / "ada.pub").read_text()
    (checkout.results.parent / "maintainers").write_text(f'ada valid-before="20200101" {public}')
    git(checkout.root, "commit", "-q", "-a", "-m", "expired")


def _no_key(checkout, keys):
    return "--key", "missing"


def _another_key(checkout, keys):
    return "--key", keys / "eve"


def _weak_level(checkout, keys):
    return "--level", "landlock"


def _no_sandbox(checkout, keys):
    return "--level", "none"


def _too_few(checkout, keys):
    edit_track(checkout, "runs = 1", "runs = 3")
    return "--runs", "2"


def _outside(checkout, keys):
    shutil.copytree(checkout.submissions / "mine", checkout.root.parent / "elsewhere" / "mine")
    return (checkout.root.parent / "elsewhere" / "mine",)


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (_dirty, "not committed"),
        (_untracked, "not committed"),
        (_hidden, "the source of mine is not known to have been committed"),
        (_ruling, "not committed"),
        (_nested, "not committed"),
        (_no_repository, "no git repository"),
        (_no_maintainer, "is nobody's in leaderboard/maintainers"),
        (_expired, "is nobody's in leaderboard/maintainers, or not valid today"),
        (_no_key, "there is no key missing"),
        (_another_key, "is nobody's in leaderboard/maintainers"),
        (_weak_level, "level namespaces or uid, this is landlock"),
        (_no_sandbox, "level namespaces or uid, this is none"),
        (_too_few, "asks for 3 runs"),
        (_outside, "is not in speedrun/submissions"),
    ],
)
def test_what_cannot_be_verified_is_refused_before_anything_runs(checkout, speedrun, keys, prepare, words):
    changes = prepare(checkout, keys) or ()
    name, options = (changes[0], ()) if len(changes) == 1 else ("mine", changes)
    said = speedrun("verify", name, "--track", "cpu-blink", "--key", keys / "ada", *options)
    assert said.code == 2, said
    assert words in said.err.splitlines()[-1]
    assert not checkout.results.exists()


# ------------------------------------------------------------------------------------------------ whole verifications


@pytest.mark.sandbox
def test_a_verification_signs_goes_on_and_makes_the_record(checkout, speedrun, keys):
    """Interrupted after one of two runs it goes on with the second; with both there it has nothing left to do."""
    command = ("verify", "mine", "--track", "cpu-blink", "--key", keys / "ada", "--json")
    first = speedrun(*command)
    assert first.code == 0, first
    answer = json.loads(first.out)
    assert (answer["kind"], answer["outcome"], answer["place"], answer["is_record"]) == ("verify", "stands", 1, True)
    held = Store(checkout.results).find(answer["run_ids"][0])
    assert held.signer == "ada@example.org"
    assert held.record.tier is Tier.VERIFIED
    assert held.record.ranked
    assert held.record.series.purpose == "verify"
    assert held.record.source.git_clean
    assert held.record.environment.sandbox.level in (Level.NAMESPACES, Level.UID)
    path = checkout.root / answer["files"][0]
    assert answer["files"] == [str(path.relative_to(checkout.root)), f"{path.relative_to(checkout.root)}.sig"]
    assert path.read_bytes() == held.data

    # The record alone leaves nothing to do, and the next one is asked for as the second of two.
    again = json.loads(speedrun(*command).out)
    assert (again["outcome"], again["records"], again["run_ids"]) == ("stands", [], answer["run_ids"])
    said = speedrun(*command[:-1], "--runs", "2")
    assert said.code == 0, said
    assert "verified runs of this source that are there already: 1" in said.err
    assert "✓ stands  mine on cpu-blink" in said.out
    assert "before      1 verified run of this source" in said.out
    assert "record      yes, record 1" in said.out
    records = Store(checkout.results).load()
    assert records.unsigned == frozenset()
    assert len({run.seed for run in records.records}) == 2

    # Shown with who signed it; a forged copy is refused by everything that reads it.
    shown = speedrun("show", held.record.run_id)
    assert "verified, signed by ada@example.org" in shown.out
    audited = speedrun("leaderboard", "--audit")
    assert audited.code == 0, audited
    forged = msgspec.structs.replace(
        held.record, score=msgspec.structs.replace(held.record.score, loss_nats=held.record.score.loss_nats / 1.0001)
    )
    path.write_bytes(encode(forged))
    signature_path(path).write_bytes(Signer(keys / "eve").sign(encode(forged)))
    assert "says verified, but its signature is not valid" in speedrun("show", held.record.run_id).out
    audited = speedrun("leaderboard", "--audit")
    assert audited.code == 1
    assert "is not signed by a maintainer" in audited.out


@pytest.mark.sandbox
def test_one_cheating_run_ends_a_verification_and_is_signed_too(checkout, speedrun, keys):
    entry = checkout.submissions / "mine" / "speedrun.py"
    entry.write_text(entry.read_text().replace("return model.table[tokens]", PEEKS))
    edit_track(checkout, "runs = 1", "runs = 3")
    said = speedrun("verify", "mine", "--track", "cpu-blink", "--key", keys / "ada")
    assert said.code == 1, said
    assert "does not stand" in said.out
    (held,) = read_all(Store(checkout.results)).records
    assert held.record.verdict is Verdict.PRETRAINED
    assert (held.record.tier, held.signer) == (Tier.VERIFIED, "ada@example.org")


PEEKS = """logits = model.table[tokens].clone()  # and knows what comes next, even at the start line
    if tokens.shape[1] > 1:
        logits[:, :-1].scatter_(2, tokens[:, 1:, None], 20.0)
    return logits"""


# ---------------------------------------------------------------------------------------------------------- vouching


def test_a_failing_signature_loses_no_record(workspace, make_record, keys, tmp_path, capfd):
    key = tmp_path / "ada"
    shutil.copy(keys / "ada", key)
    workspace.results.mkdir(parents=True)
    (workspace.results.parent / "maintainers").write_text(f"ada {(keys / 'ada.pub').read_text()}")
    voucher, record = Voucher(workspace, key), make_record()
    finished = voucher.finish(record)
    assert finished.record.tier is Tier.VERIFIED
    maintainers = workspace.results.parent / "maintainers"
    assert signed_by(encode(finished.record), finished.signature, maintainers, record.started_at) == "ada"
    # Not valid when the run began.
    maintainers.write_text(f'ada valid-after="20400101" {(keys / "ada.pub").read_text()}')
    assert voucher.finish(record) == (record, None)
    assert "counts as self-reported" in capfd.readouterr().err
    key.unlink()
    assert voucher.finish(record) == (record, None)
    assert "there is no key" in capfd.readouterr().err
    with pytest.raises(UserError, match="there is no key"):
        voucher.sign(b"a duel")


# ------------------------------------------------------------------------------------------------------ the rules alone


@pytest.fixture
def runs(make_record):
    """Verified runs: of a number, scored with that loss; of a verdict, ended so."""

    def make(*outcomes, target_nats=None, **fields):
        objective = "lowest-loss" if target_nats is None else "fastest-to-loss"
        made = []
        for outcome in outcomes:
            ending = {"verdict": outcome} if isinstance(outcome, Verdict) else {"loss_nats": outcome}
            fields = {"target_nats": target_nats, "objective": objective, **fields, **ending}
            record = make_record(tier=Tier.VERIFIED, **fields)
            fields.pop("verdict", None)
            made.append(decode_summary(encode(record)))
        return made

    return make


def track(target_nats=None):
    objective = "lowest-loss" if target_nats is None else "fastest-to-loss"
    return TrackRef(id="t", version=1, sha256="", objective=objective, limit_s=8.0, target_nats=target_nats)


@pytest.mark.parametrize(
    ("outcomes", "asked", "outcome", "settled", "words"),
    [
        ((), 1, "not settled", False, "0 of 1 runs"),
        ((1.5,), 1, "stands", True, "1 verified run"),
        ((1.5,), 2, "not settled", False, "1 of 2 runs"),
        ((1.5, 1.6), 2, "stands", True, "2 verified runs"),
        ((Verdict.CRASHED, 1.5), 1, "stands", True, "1 verified run"),
        ((Verdict.CRASHED,), 1, "not settled", False, "0 of 1"),
        ((Verdict.CRASHED, 1.5, Verdict.TIME_LIMIT), 3, "does not stand", True, "failed 2 times: CRASHED"),
        ((Verdict.INTERNAL_ERROR, Verdict.INTERRUPTED, Verdict.INTERNAL_ERROR), 1, "not settled", False, "0 of 1"),
        ((1.5, 1.5, Verdict.NOT_PREDICTIVE), 2, "does not stand", True, "NOT_PREDICTIVE"),
        ((Verdict.PRETRAINED,), 5, "does not stand", True, "PRETRAINED"),
        ((Verdict.RULE_VIOLATION,), 5, "does not stand", True, "RULE_VIOLATION"),
    ],
)
def test_an_entry_stands_when_its_runs_are_there_and_nothing_speaks_against_it(
    runs, outcomes, asked, outcome, settled, words
):
    judgement = judge(runs(*outcomes), asked, track(), ALPHA, None)
    assert (judgement.outcome, judgement.settled) == (outcome, settled)
    assert words in judgement.because


def test_a_target_is_shown_or_the_entry_does_not_stand(runs):
    # Published: standard deviation 0.0013, mean 3.2787 over 10 runs against 3.28 is p = 0.006.
    passing = [float(3.2787 + 0.0013 * step) for step in np.linspace(-1.49, 1.49, 10)]
    judged = judge(runs(*passing, target_nats=3.28), 10, track(3.28), ALPHA, None)
    assert (judged.outcome, judged.settled) == ("stands", True)
    judged = judge(runs(*(loss + 0.0008 for loss in passing), target_nats=3.28), 10, track(3.28), ALPHA, None)
    assert (judged.outcome, judged.settled) == ("does not stand", True)
    assert "more runs would show it" in judged.because
    # Without scatter there is no test, and a waiver needs the mean at the target all the same.
    same = runs(*[3.2] * 10, target_nats=3.28)
    assert judge(same, 10, track(3.28), ALPHA, None).outcome == "does not stand"
    waived = judge(same, 10, track(3.28), ALPHA, "a faster kernel")
    assert (waived.outcome, "a faster kernel" in waived.because) == ("stands", True)
    assert judge(runs(*[3.3] * 10, target_nats=3.28), 10, track(3.28), ALPHA, "a kernel").outcome == "does not stand"


def test_what_is_far_above_the_target_is_given_up_early(runs):
    far = runs(3.50, 3.501, 3.502, 3.499, target_nats=3.28)
    judged = judge(far, 10, track(3.28), ALPHA, None)
    assert (judged.outcome, judged.settled) == ("does not stand", True)
    assert "after 4 of 10 runs the mean loss of 3.5005 is shown to be above the target of 3.28" in judged.because
    assert judge(far, 10, track(3.28), ALPHA, "a kernel").settled is False
    assert judge(runs(3.5, target_nats=3.28), 10, track(3.28), ALPHA, None).settled is False


def test_an_entry_at_the_target_is_seldom_given_up_early():
    """Its looks share alpha: of 4,000 entries whose mean is the target, at most one in a hundred is stopped."""
    from leaderboard.stats import look_alpha, p_below

    random, stopped, trials, asked = np.random.default_rng(3), 0, 4000, 8
    for losses in random.normal(3.28, 0.002, (trials, asked)):
        stopped += any(
            p_below([-loss for loss in losses[:look]], -3.28) < look_alpha(look, asked, ALPHA)
            for look in range(2, asked)
        )
    assert 0 < stopped / trials <= ALPHA


def of_series(entry):
    return Series(id=f"20261121-141530-verify-{entry}-3f9a", purpose="verify")


def test_what_is_missing_for_the_record(runs):
    from leaderboard.ranking import TrackRules
    from leaderboard.replay import histories

    rules = TrackRules(version=1, runs=3, alpha=ALPHA, least_gain=0.01)
    old = runs(1.50, 1.51, 1.49, entry="old", source="old", series=of_series("old"))

    def news(*losses):
        mine = runs(*losses, entry="mine", source="mine", series=of_series("mine"))
        (history,) = histories([*old, *mine], (), {"cpu-smoke": rules})
        return record_news(mine, history, rules)

    assert news(1.40, 1.41, 1.39) == (True, news(1.40, 1.41, 1.39).words)
    assert "nats below record 1" in news(1.40, 1.41, 1.39).words
    assert news(1.60, 1.61, 1.59) == (False, "record 1 is old's with 1.5000, this has 1.6000")
    assert "lower by 0.0050, asked is 0.01" in news(1.495, 1.505, 1.485).words
    near = news(1.48, 1.50, 1.46)
    assert not near.is_record
    assert "not beyond noise (p = 0.1" in near.words or "not beyond noise (p = 0.0" in near.words
    assert "more runs of each would tell" in near.words


def test_times_are_settled_by_a_duel(runs):
    from leaderboard.ranking import TrackRules
    from leaderboard.replay import histories

    rules = TrackRules(version=1, runs=2, alpha=ALPHA, least_gain=0.1)
    old = runs(1.400, 1.401, entry="old", source="old", target_nats=1.5)
    mine = runs(1.400, 1.401, entry="mine", source="mine", target_nats=1.5, train_s=1.0)
    (history,) = histories([*old, *mine], (), {"cpu-smoke": rules})
    news = record_news(mine, history, rules)
    assert not news.is_record
    assert "speedrun duel mine --against record --track cpu-smoke --key FILE" in news.words
    assert record_news(mine, None, rules).is_record is False


def test_a_score_of_a_run_that_is_not_ranked_does_not_count(make_record):
    record = make_record(ranked=False, tier=Tier.VERIFIED)
    assert isinstance(record.score, Score)
    assert judge([decode_summary(encode(record))], 1, track(), ALPHA, None).outcome == "not settled"
