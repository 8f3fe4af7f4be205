"""Every check with a record that is spoilt in exactly that way, and with one that is not."""

import hashlib
import json
import shutil
import subprocess
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from data.manifest import load_manifest
from harness import folder, twin
from harness.evaluation import Windows
from harness.result import (
    CurvePoint,
    Device,
    Downstream,
    DownstreamMetric,
    DownstreamTask,
    Level,
    Series,
    SourceFile,
    Tier,
    Verdict,
    encode,
    source_sha256,
)
from harness.track import find_track
from leaderboard import plausibility, rulings
from leaderboard.audit import audit, beside, files
from leaderboard.duel_store import LoadedDuels
from leaderboard.plausibility import Check, Data, Facts, Terms
from leaderboard.rulings import NO_RULINGS
from leaderboard.schema import decode
from leaderboard.signatures import LineFault
from leaderboard.store import READ_AHEAD_BYTES, Broken, Held, Store
from speedrun.commands.audit import audit as audit_command
from speedrun.fitness import accelerator_words, meets
from speedrun.workspace import Workspace, find_workspace
from tests.leaderboard.whole import read_all

ROOT = Path(__file__).resolve().parents[2]
NO_DUELS = LoadedDuels((), (), frozenset())

replace = msgspec.structs.replace


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


TERMS = Terms(
    version=1,
    sha256=sha256("cpu-smoke 1"),
    objective="lowest-loss",
    limit_s=8.0,
    target_nats=None,
    dataset="tales",
    targets=4096,
    max_context=256,
    threads=2,
    accelerators=0,
    accelerator="cpu",
    meets=lambda card: False,
    artifact_bytes=2_000_000,
    parameters=(0, 300_000),
    declared_tokens=1000,
    floors={4096: 1.0},
)
FACTS = Facts(
    tracks={"cpu-smoke": TERMS},
    datasets={"tales": Data(sha256=sha256("tales"), vocab_size=256)},
    now=datetime(2026, 11, 22, tzinfo=UTC),
)


@pytest.fixture
def honest(make_record):
    """A record that the harness could have written; each has losses and times of its own."""
    made = []

    def make(**fields):
        number = len(made)
        text = fields.pop("source", f"x = {number}\n")
        file = SourceFile(path="speedrun.py", text=text, sha256=sha256(text))
        curve = (CurvePoint(elapsed_s=1.0, loss_nats=3.0), CurvePoint(elapsed_s=7.0, loss_nats=1.5))
        fields = {"loss_nats": 1.5 + number / 1000, "train_s": 7.5 + number / 1000, "curve": curve} | fields
        record = make_record(**fields)
        source = replace(record.source, files=(file,), sha256=source_sha256((file,)))
        seeds = {} if record.twin is None else {"twin": replace(record.twin, seed=1000 + number)}
        made.append(replace(record, source=source, **seeds))
        return made[-1]

    return make


def held(record, signature=None, signer=None):
    return Held(record, f"{record.track.id}/{record.run_id}.json", encode(record), signature, signer)


def findings(*records, facts=FACTS):
    return audit([record if isinstance(record, Held) else held(record) for record in records], facts)


def part(record, name, **changes):
    return replace(record, **{name: replace(getattr(record, name), **changes)})


def test_honest_records_have_nothing_to_be_found(honest):
    practice = honest(ranked=False, overrides={"d_model": "64"})
    failed = honest(verdict=Verdict.CRASHED)
    reproduced = replace(
        honest(ranked=False),
        seed=practice.seed,
        unranked_because=("its seed was that of another run",),
        series=Series(id="20261121-141530-reproduce-mine-3f9a", purpose="reproduce"),
    )
    clean = part(replace(honest(), tier=Tier.VERIFIED), "source", git_commit="0" * 40, git_clean=True)
    signed = held(clean, b"a signature", "ada@example.org")
    assert findings(honest(), honest(entry="other", source="y(3)"), practice, failed, reproduced, signed) == ()


def test_the_first_records_have_nothing_to_be_found():
    everything = read_all(Store(ROOT / "leaderboard" / "results"))
    assert everything.broken == ()
    terms, manifest = {}, load_manifest(ROOT / "data" / "datasets" / "tales.toml")
    for name in ("cpu-smoke", "cpu-1min"):
        track = find_track(name)
        terms[name] = TERMS._replace(
            version=track.version,
            sha256=track.sha256,
            limit_s=track.limits.train_s,
            targets=track.score.targets,
            max_context=track.score.max_context,
            artifact_bytes=int(track.limits.artifact_mib * 2**20),
            parameters=(0, float("inf")),
            floors={floor.targets: floor.nats for floor in manifest.splits["val"].floors},
        )
    facts = Facts(terms, {"tales": Data(manifest.sha256, manifest.vocab_size)}, datetime.now(UTC))
    assert len(everything.records) >= 8
    assert [one for one in audit(everything.records, facts) if one.grave] == []


SPOILT = {
    "another time in its id": (
        lambda run: replace(run, started_at="2026-11-21T10:00:00Z"), Check.RUN, "names another time"),
    "the future": (
        lambda run: replace(run, run_id="20270101-000000-baseline-3f9a", started_at="2027-01-01T00:00:00Z"),
        Check.RUN, "in the future"),
    "another track file": (lambda run: part(run, "track", sha256="0" * 64), Check.TRACK, "not those of the track's"),
    "another limit": (lambda run: part(run, "track", limit_s=9.0), Check.TRACK, "not those of the track's"),
    "a newer version": (lambda run: part(run, "track", version=2), Check.TRACK, "today's is 1"),
    "other data": (lambda run: part(run, "dataset", sha256="0" * 64), Check.DATA, "not the data of today's manifest"),
    "another vocabulary": (lambda run: part(run, "dataset", vocab_size=2), Check.DATA, "not the data of today's"),
    "another official set": (lambda run: part(run, "dataset", id="mine"), Check.DATA, "calls mine official"),
    "a lowered floor": (lambda run: part(run, "dataset", floor_nats=0.5), Check.DATA, "another floor"),
    "a changed text": (
        lambda run: part(run, "source", files=(replace(run.source.files[0], text="x = 'better'"),)),
        Check.SOURCE, "is not the one that its hash names"),
    "a changed total": (lambda run: part(run, "source", sha256="0" * 64), Check.SOURCE, "hash of its source"),
    "a path that climbs": (
        lambda run: part(run, "source", files=(replace(run.source.files[0], path="../x.py"),)),
        Check.SOURCE, "no path that an entry may have"),
    "a file twice": (lambda run: part(run, "source", files=run.source.files * 2), Check.SOURCE, "speedrun.py twice"),
    "no source": (lambda run: part(run, "source", files=()), Check.SOURCE, "no source"),
    "a target that it has not": (lambda run: part(run, "score", target_met=True), Check.SCORE, "says of the target"),
    "below the floor": (lambda run: part(run, "score", loss_nats=0.9), Check.SCORE, "no honest model passes"),
    "below zero": (lambda run: part(run, "score", loss_nats=-0.1), Check.SCORE, "not above zero"),
    "fewer targets": (
        lambda run: part(part(run, "score", targets=2048), "dataset", floor_nats=None), Check.SCORE, "not on 4,096"),
    "a longer context": (lambda run: part(run, "score", context_tokens=512), Check.SCORE, "not those that the track"),
    "no stride": (lambda run: part(run, "score", stride_tokens=0), Check.SCORE, "not those that the track"),
    "too many parameters": (lambda run: replace(run, parameters=400_000), Check.SCORE, "400000 parameters"),
    "uncounted parameters": (lambda run: replace(run, parameters=None), Check.SCORE, "None parameters"),
    "a large artifact": (lambda run: part(run, "artifact", bytes=3_000_000), Check.SCORE, "artifact is missing, or"),
    "no artifact": (lambda run: replace(run, artifact=None), Check.SCORE, "artifact is missing"),
    "too few tokens": (lambda run: part(run, "declared", tokens=10), Check.SCORE, "fewer training tokens"),
    "a curve that goes back": (
        lambda run: replace(run, curve=(CurvePoint(elapsed_s=2.0), CurvePoint(elapsed_s=1.0))),
        Check.CURVE, "go backwards"),
    "a curve beyond the end": (
        lambda run: replace(run, curve=(CurvePoint(elapsed_s=7.9),)), Check.CURVE, "after training had ended"),
    "a twin that found something": (
        lambda run: part(run, "twin", kind="looks-ahead"), Check.TWIN, "found it looks-ahead"),
    "a twin's p-value": (
        lambda run: part(run, "twin", p_value=1e-9, advantage_nats=0.1, high_nats=0.2, largest_nats=0.4),
        Check.TWIN, "not those of an honest run"),
    "a twin's largest difference": (lambda run: part(run, "twin", largest_nats=0.6), Check.TWIN, "not those of an"),
    "a blind twin": (lambda run: part(run, "twin", finds_advantage_nats=0.02), Check.TWIN, "not those of an honest"),
    "a twin's p-value and mean": (lambda run: part(run, "twin", p_value=0.4), Check.TWIN, "contradict each other"),
    "a twin's interval": (lambda run: part(run, "twin", low_nats=0.1, high_nats=0.2), Check.TWIN, "contradict"),
    "a twin's mean above its largest": (
        lambda run: part(run, "twin", largest_nats=-1.0), Check.TWIN, "contradict each other"),
    "a small sample": (lambda run: part(run, "twin", sampled=511), Check.TWIN, "compared 511 targets, 512 are due"),
    "a time below zero": (lambda run: part(run, "times", setup_s=-1.0), Check.TIMES, "setup_s is below zero"),
    "a short total": (lambda run: part(run, "times", total_s=9.0), Check.TIMES, "all of it 9.00 s"),
    "too long": (lambda run: part(run, "times", train_s=8.5, total_s=20.0), Check.TIMES, "trained longer than 8 s"),
    "no sandbox": (
        lambda run: part(run, "environment", sandbox=replace(run.environment.sandbox, level=Level.NONE)),
        Check.RANKED, "without a sandbox"),
    "overrides": (lambda run: replace(run, overrides={"a": "1"}), Check.RANKED, "set on the command line"),
    "its own data": (lambda run: part(run, "dataset", official=False), Check.RANKED, "not the track's"),
    "data without hashes": (lambda run: part(run, "dataset", pinned=False), Check.RANKED, "with pinned hashes"),
    "a reproduction": (
        lambda run: replace(run, series=Series(id="20261121-141530-reproduce-mine-3f9a", purpose="reproduce")),
        Check.RANKED, "made to reproduce"),
    "more threads": (lambda run: part(run, "environment", threads=4), Check.RANKED, "had 4 threads"),
    "an accelerator": (
        lambda run: part(run, "environment", devices=(Device(name="Test GPU", memory_gib=16.0),)),
        Check.RANKED, "had 1 accelerators"),
}  # fmt: skip


@pytest.mark.parametrize("name", SPOILT)
def test_a_record_that_does_not_fit_together_is_found(honest, name):
    spoil, check, words = SPOILT[name]
    spoilt = spoil(honest())
    found = findings(honest(), spoilt, honest())
    assert {one.where for one in found} == {spoilt.run_id}
    assert any(one.check is check and one.grave and words in one.words for one in found), found


def test_a_target_must_be_met_where_it_is_said(honest):
    terms = TERMS._replace(objective="fastest-to-loss", target_nats=1.6)
    facts = FACTS._replace(tracks={"cpu-smoke": terms})
    met = honest(objective="fastest-to-loss", target_nats=1.6, loss_nats=1.5)
    assert findings(met, facts=facts) == ()
    for target_met in (False, None):
        (found,) = findings(part(met, "score", target_met=target_met), facts=facts)
        assert (found.check, found.grave) == (Check.SCORE, True)


def test_a_score_far_below_its_own_curve_is_worth_a_look(honest):
    def curve(*losses):
        return tuple(CurvePoint(elapsed_s=7.0 * n / len(losses), loss_nats=loss) for n, loss in enumerate(losses, 1))

    fits = honest(loss_nats=1.5, curve=curve(4.0, 3.0, 2.0, 1.9, 1.8, 1.7, 1.65, 1.55))
    better = honest(loss_nats=1.4, curve=curve(4.0, 3.0, 2.0, 1.9, 1.8, 1.7, 1.65, 1.55))
    silent = honest(curve=tuple(CurvePoint(elapsed_s=float(second)) for second in range(7)))
    (found,) = findings(fits, better, silent)
    assert (found.where, found.check, found.grave) == (better.run_id, Check.CURVE, False)
    assert "0.150 nats below" in found.words


def test_a_track_that_is_gone_is_worth_a_look(honest):
    (found,) = findings(honest(track_id="cpu-gone"))
    assert (found.check, found.grave, found.words) == (Check.TRACK, False, "there is no track cpu-gone any more")


def test_records_of_an_older_version_must_agree(honest):
    facts = FACTS._replace(tracks={"cpu-smoke": TERMS._replace(version=2)})
    older = [honest() for _ in range(3)]
    assert findings(*older, facts=facts) == ()
    (found,) = findings(*older, part(honest(), "track", sha256="0" * 64), facts=facts)
    assert (found.check, found.grave) == (Check.TRACK, True)
    (found,) = findings(*older, part(honest(), "dataset", sha256="0" * 64), facts=facts)
    assert (found.check, found.grave) == (Check.DATA, True)


# ---------------------------------------------------------------------------------------------------------- signatures


def vouched(record):
    return part(replace(record, tier=Tier.VERIFIED), "source", git_commit="0" * 40, git_clean=True)


def test_what_says_verified_must_be(honest):
    level = replace(honest().environment.sandbox, level=Level.LANDLOCK)
    task = DownstreamTask(
        name="arc_easy",
        version="1",
        lm_eval="0.4",
        level=Level.NONE,
        documents=9,
        metrics=(DownstreamMetric(name="acc", value=0.5),),
    )
    asked = Downstream(tasks=(task,))
    for spoilt, words in (
        (held(vouched(honest())), "has no signature"),
        (held(vouched(honest()), b"a signature"), "is not signed by a maintainer"),
        (held(replace(honest(), tier=Tier.VERIFIED), b"s", "ada"), "not known to have been committed"),
        (held(part(vouched(honest()), "environment", sandbox=level), b"s", "ada"), "ran at the sandbox level landlock"),
        (held(replace(vouched(honest()), downstream=asked), b"s", "ada"), "asked for tasks at the sandbox level none"),
    ):
        (found,) = findings(honest(), spoilt)
        assert (found.check, found.grave, found.where) == (Check.SIGNATURE, True, spoilt.record.run_id)
        assert words in found.words
    (found,) = findings(held(honest(), b"a signature"))
    assert (found.check, found.grave) == (Check.SIGNATURE, False)


def test_an_audit_of_many_records_takes_no_more_memory_than_one_of_few(honest, tmp_path):
    """Of 160 records with large logs and sources, all different, it holds as much at a time as of 40."""

    def peak_bytes(records):
        workspace = Workspace(tmp_path / str(records))
        shutil.copytree(find_workspace().tracks, workspace.tracks)
        shutil.copytree(find_workspace().datasets, workspace.datasets)
        (workspace.results / "cpu-smoke").mkdir(parents=True)
        for number in range(records):
            record = honest(source=f"# {number}\n" + 12_000 * "# a line\n", log_tail=100_000 * "x")
            (workspace.results / "cpu-smoke" / f"{record.run_id}.json").write_bytes(encode(record))
        tracemalloc.start()
        try:
            assert audit_command(workspace, None).records == records
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(1)  # whatever is imported
    few, many = peak_bytes(40), peak_bytes(160)
    assert few > READ_AHEAD_BYTES  # the records are so large that it counts
    assert many < 1.5 * few


@pytest.mark.parametrize("forger", ["eve", "another run", "another byte"])
def test_a_forged_signature_is_found_in_the_files(honest, tmp_path, forger):
    from leaderboard.signatures import Signer
    from leaderboard.store import signature_path

    for name in ("ada", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    (tmp_path / "maintainers").write_text(f"ada {(tmp_path / 'ada.pub').read_text()}")
    store, ada, eve = Store(tmp_path / "results"), Signer(tmp_path / "ada"), Signer(tmp_path / "eve")
    good, spoilt = vouched(honest()), vouched(honest())
    store.add(good, ada.sign(encode(good)))
    path = store.add(spoilt, (eve if forger == "eve" else ada).sign(encode(spoilt)))
    if forger == "another run":
        signature_path(path).write_bytes(ada.sign(encode(good)))
    if forger == "another byte":
        path.write_bytes(path.read_bytes().replace(b'"title": "A title"', b'"title": "A Title"'))
    (found,) = audit(read_all(store).records, FACTS)
    assert (found.where, found.check, found.grave) == (spoilt.run_id, Check.SIGNATURE, True)


# -------------------------------------------------------------------------------------------------- accelerators, bytes


@pytest.mark.parametrize(
    ("name", "gib", "fits"),
    [
        ("NVIDIA H100 80GB HBM3", 79.6, True),
        ("NVIDIA H200", 79.6, False),
        ("Abacus", 1.0, False),
        ("NVIDIA H100 80GB HBM3", 40.0, False),
        ("NVIDIA H100 PCIe", 79.6, False),
    ],
)
def test_a_ranked_run_had_the_card_that_its_track_asks_for(honest, name, gib, fits):
    track = find_track("h100-5min")
    resources = replace(track.resources, accelerator_gib=80.0)
    terms = TERMS._replace(
        accelerators=1, accelerator=accelerator_words(resources), meets=lambda card: meets(resources, card)
    )
    facts = FACTS._replace(tracks={"cpu-smoke": terms})
    run = part(honest(), "environment", devices=(Device(name=name, memory_gib=gib),))
    found = findings(run, facts=facts)
    if fits:
        assert found == ()
    else:
        ((check, grave, words),) = [(one.check, one.grave, one.words) for one in found]
        assert (check, grave) == (Check.RANKED, True)
        assert words == f"is ranked, and ran on {name}, {gib:g} GiB; the track asks for H100 80GB HBM3 with 80 GiB"
    practice = part(honest(ranked=False), "environment", devices=(Device(name=name, memory_gib=gib),))
    assert findings(practice, facts=facts) == ()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda data: data.replace(b' "tier":', b' "seed": 5,\n "tier":'),  # a key twice; some readers take the first
        lambda data: data.replace(b' "tier":', b' "tier": "verified",\n "tier":'),
        lambda data: data + b" " * 4096,
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b'"d_model"', b'"d\\u005fmodel"'),
        lambda data: json.dumps(json.loads(data)).encode(),
        lambda data: json.dumps(dict(reversed(json.loads(data).items())), indent=1).encode() + b"\n",
        lambda data: data.replace(b'"limit_s": 8.0', b'"limit_s": 8'),
        lambda data: data.replace(b'"limit_s": 8.0', b'"limit_s": 80e-1'),
    ],
)
def test_bytes_that_the_harness_does_not_write_are_found(honest, spoil):
    run = honest(ranked=False, overrides={"d_model": "64"})
    data = spoil(encode(run))
    assert data != encode(run)
    (found,) = findings(held(decode(data))._replace(data=data))
    assert (found.check, found.grave, found.where) == (Check.FILE, True, run.run_id)
    assert "not those that the harness writes" in found.words


def test_a_field_that_an_older_harness_did_not_know_is_no_fault(honest):
    run = honest()
    fields = json.loads(encode(run))
    del fields["series"], fields["hardware"], fields["times"]["load_device_s"], fields["dataset"]["pinned"]
    data = msgspec.json.format(msgspec.json.encode(fields), indent=1) + b"\n"
    assert decode(data) == run
    assert findings(held(run)._replace(data=data)) == ()


@pytest.mark.parametrize("verdict", [Verdict.NOT_PREDICTIVE, Verdict.PRETRAINED, Verdict.RULE_VIOLATION])
def test_who_cheated_in_a_maintainers_hands_is_named(honest, verdict):
    record = vouched(honest(verdict=verdict))
    (found,) = findings(held(record, b"a signature", "ada"))
    assert (found.where, found.grave) == (record.run_id, False)
    assert f"ended as {verdict} for ada" in found.words
    assert findings(honest(verdict=verdict)) == ()


# ------------------------------------------------------------------------------------------------------ handed in twice


def test_one_id_in_two_folders_is_found(honest):
    first, second = honest(), honest()
    (found,) = findings(first, replace(second, run_id=first.run_id, started_at=first.started_at))
    assert (found.check, found.grave) == (Check.SEED, True)
    assert "has the id of" in found.words


@pytest.mark.parametrize(
    ("copy", "words"),
    [
        (lambda run, old: part(run, "twin", seed=old.twin.seed), "has its twin's seed from"),
        (
            lambda run, old: replace(
                run,
                score=old.score,
                times=old.times,
            ),
            "to the last digit, score and time of",
        ),
        (lambda run, old: replace(run, artifact=old.artifact), "has the artifact of"),
    ],
)
def test_a_run_under_another_name_is_found(honest, copy, words):
    old = honest()
    again = copy(honest(entry="thief", source="z[4]"), old)
    (found,) = findings(again, old)
    assert (found.where, found.check, found.grave) == (again.run_id, Check.SEED, True)
    assert f"{words} {old.run_id}, of baseline" in found.words


def test_a_seed_again_is_grave_in_one_entry_on_one_track_and_may_be_chance_elsewhere(honest):
    """Of 100,000 honest runs two pairs or three share one of 31 bits; seeds are picked for one entry on one track."""

    def again(entry):
        return replace(honest(entry=entry, source=f"{entry}[4]"), seed=old.seed)

    old = honest()
    other, own, later = again("other"), again("baseline"), again("other")
    (found,) = findings(old, other)
    assert (found.where, found.check, found.grave) == (other.run_id, Check.SEED, False)
    assert f"has the seed of {old.run_id}, of baseline" in found.words
    (found,) = findings(old, own)
    assert (found.where, found.check, found.grave) == (own.run_id, Check.SEED, True)
    picked, chance = findings(old, other, later)  # whoever had it first
    assert [(picked.where, picked.grave), (chance.where, chance.grave)] == [(later.run_id, True), (other.run_id, False)]
    assert f"has the seed of {other.run_id}, of other" in picked.words
    elsewhere = part(own, "track", id="cpu-1min")
    assert [found.grave for found in findings(old, elsewhere) if found.check is Check.SEED] == [False]


def test_the_same_artifact_again_is_worth_a_look_in_one_entry(honest):
    """What leaves nothing to chance saves the same, with every seed."""
    old = honest()
    (found,) = findings(old, replace(honest(), artifact=old.artifact))
    assert (found.check, found.grave) == (Check.SEED, False)


def test_the_same_code_under_two_names_is_worth_a_look(honest):
    code = "def f(a):\n    return a + 1  # plus one\n"
    old = honest(entry="first", source=code)
    copy = honest(entry="copy", source="def g( b ):\n\n    return b + 2\n")
    (found,) = findings(copy, old, honest(entry="first", source=code))
    assert (found.where, found.check, found.grave) == (copy.run_id, Check.LIKENESS, False)
    assert f"copy has the code of first, which ran first ({old.run_id})" in found.words
    assert findings(old, part(copy, "entry", based_on="first")) == ()
    assert findings(part(old, "entry", based_on="copy"), copy) == ()
    assert findings(old, honest(entry="other", source=code + "f(3)\n")) == ()


# -------------------------------------------------------------------------------------------------------------- files


def test_broken_files_and_orphans_are_found(honest, tmp_path):
    run = honest()
    for of in (run.run_id, "20261121-141530-gone-3f9a"):
        rulings.add(
            tmp_path,
            rulings.Ruling(run_id=of, kind="retraction", reason="why", made_at="2026-11-21T14:15:30+00:00"),
        )
    (tmp_path / "20261121-141530-gone-3f9a.waiver.json").write_text("{")
    broken = (Broken("cpu-smoke/x.json", "Input data was truncated"),)
    duels = LoadedDuels((), (Broken("cpu-smoke/d.json", "nonsense"),), frozenset({"20261121-141530-duel-mine-3f9a"}))
    found = files(broken, duels, rulings.load(tmp_path), [run.run_id])
    assert [(one.check, one.grave) for one in found] == [
        (Check.FILE, True),
        (Check.DUEL, True),
        (Check.DUEL, True),
        (Check.RULING, True),
        (Check.RULING, False),
    ]
    assert files((), NO_DUELS, NO_RULINGS, []) == ()


def test_what_lies_beside_the_records_is_looked_at():
    found = beside([LineFault(3, "it is not of the form: x")], "the published results a.json are broken: truncated")
    assert [(one.check, one.grave, one.where) for one in found] == [
        (Check.FILE, True, "published"),
        (Check.SIGNATURE, True, "maintainers, line 3"),
    ]
    assert beside((), None) == ()


def test_words_of_strangers_reach_no_terminal(honest):
    spoilt = honest()
    evil = replace(spoilt.source.files[0], path="\x1b[2J\n../x")
    for one in findings(part(spoilt, "source", files=(evil,))):
        assert one.words.isprintable()


# ------------------------------------------------------------------------------------------ what is said in two places


def test_the_twins_limits_are_the_harnesss():
    assert (
        plausibility.TWIN_SAMPLE_LEAST,
        plausibility.TWIN_ROWS_A_TARGET,
        plausibility.TWIN_MEAN_NATS,
        plausibility.TWIN_MEAN_ALPHA,
        plausibility.TWIN_SINGLE_NATS,
        plausibility.TWIN_BLIND_NATS,
    ) == (
        twin.SAMPLE_LEAST,
        twin.ROWS_A_TARGET,
        twin.MEAN_LIMIT_NATS,
        twin.MEAN_ALPHA,
        twin.SINGLE_LIMIT_NATS,
        twin.BLIND_LIMIT_NATS,
    )


@pytest.mark.parametrize(
    ("targets", "context", "stride"),
    [(65_536, 256, 256), (1_048_576, 256, 192), (10_485_760, 1024, 64), (100, 256, 256), (4096, 64, 1), (513, 512, 1)],
)
def test_the_twins_sample_is_as_large_as_the_harnesss(honest, targets, context, stride):
    windows = Windows(targets=targets, context=min(context, targets), stride=min(stride, context, targets))
    score = replace(honest().score, targets=targets, context_tokens=windows.context, stride_tokens=windows.stride)
    assert plausibility._sample_size(score) == twin.sample_size(windows)


@pytest.mark.parametrize(
    "path",
    ["a.py", "a/b/c/d/e.py", "a/b/c/d/e/f.py", "", ".", "..", "a/../b", "/a", "a//b", "a b", "-a", ".a", "é", "a" * 101,
     "a\n", "a\\b", "a/.", "A_1-x.py"],
)  # fmt: skip
def test_safe_paths_are_the_harnesss(path):
    assert plausibility.safe_path(path) == folder.safe_path(path)


def test_a_reason_of_the_harness_is_known_by_its_words():
    """Runs with a given seed are told apart by what the harness says of them."""
    from leaderboard.audit import _REPEATED

    assert _REPEATED in (ROOT / "harness" / "open_record.py").read_text()


def test_findings_can_be_told_in_json(honest):
    (found,) = findings(replace(honest(), overrides={"a": "1"}))
    assert json.loads(msgspec.json.encode(found)).keys() == {"check", "grave", "where", "words"}
