"""A record is borne out by its own source, or it is not. The attacks: numbers edited by hand, alone and in company."""

import hashlib
import io
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest
from rich.console import Console

from data.manifest import load_manifest
from harness.environment import cpu_model, machine, packages
from harness.result import (
    Calibration,
    HardwareReport,
    Record,
    Source,
    SourceFile,
    Tier,
    Verdict,
    encode,
    source_sha256,
)
from harness.track import find_track
from leaderboard.schema import decode_summary
from leaderboard.signatures import Signer
from leaderboard.store import signature_path
from speedrun import answers
from speedrun.reproduce_page import axis, sentences, show
from speedrun.reproduction import digits, judge, runs_needed, unlike, verified_losses
from tests.speedrun.process import SPEEDRUN

# Instead of its own line: a loss that chance decides, as in every real entry, by some hundredths of a nat.
PLAIN = "    counts = torch.full_like(model.table, run.config.smoothing)\n"
CHANCE = """    torch.manual_seed(run.seed)
    counts = torch.full_like(model.table, run.config.smoothing * (1 + 9 * torch.rand(()).item()))
"""


def read(path: Path) -> Record:
    return msgspec.json.decode(path.read_bytes(), type=Record)


def edited(path: Path, **changes) -> Record:
    """The record in `path` with other values, as somebody's editor leaves it."""
    record = msgspec.structs.replace(read(path), **changes)
    path.write_bytes(encode(record))
    return record


def with_loss(record: Record, loss_nats: float) -> Record:
    return msgspec.structs.replace(record, score=msgspec.structs.replace(record.score, loss_nats=loss_nats))


def files(workspace) -> list[Path]:
    return sorted(workspace.results.glob("*/*.json"))


def source(**replaced: str) -> Source:
    """The bigram entry's, with other texts in place of some of its files."""
    found = []
    for path in sorted((Path(__file__).parent / "bigram").glob("*.*")):
        text = replaced.get(path.stem, path.read_text())
        found.append(SourceFile(path=path.name, text=text, sha256=hashlib.sha256(text.encode()).hexdigest()))
    return Source(files=tuple(found), sha256=source_sha256(found))


@pytest.fixture
def handed_in(workspace, make_record, blink) -> Callable[..., Record]:
    """Makes records as somebody hands them in, of the bigram entry with a loss that chance decides, made on a machine
    like this one as far as they say. The entry itself is nowhere here but in the record."""
    code = (Path(__file__).parent / "bigram" / "speedrun.py").read_text()
    assert PLAIN in code
    track = find_track(blink, workspace.tracks)
    threads = max(1, min(2, int(machine().usable_cores)))
    dataset = load_manifest(workspace.datasets / "letters.toml")

    def make(**fields) -> Record:
        made = make_record(
            **{"entry": "mine", "track_id": blink, "dataset_id": "letters", "cpu": cpu_model(), "threads": threads}
            | fields
        )
        return msgspec.structs.replace(
            made,
            source=source(speedrun=code.replace(PLAIN, CHANCE)),
            track=msgspec.structs.replace(made.track, sha256=track.sha256, limit_s=track.limits.train_s),
            dataset=msgspec.structs.replace(made.dataset, sha256=dataset.sha256),
            environment=msgspec.structs.replace(made.environment, packages=packages()),
        )

    return make


# ------------------------------------------------------------------------------------------------------- whole runs


@pytest.mark.sandbox
def test_an_honest_record_is_borne_out_and_a_better_one_made_by_hand_is_not(
    workspace, speedrun, handed_in, stored, tmp_path
):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    workspace.results.mkdir(parents=True)
    (workspace.results.parent / "maintainers").write_text(f'ada namespaces="speedrun" {public}')
    for loss_nats in (1.66, 1.71):  # some runs that a maintainer had made
        record = handed_in(loss_nats=loss_nats, tier=Tier.VERIFIED)
        signature_path(stored(record)).write_bytes(Signer(key).sign(encode(record)))

    # The attack: a loss that can't be, among others of its kind that bear it out and call themselves verified.
    path = stored(handed_in(loss_nats=1.0))
    for loss_nats in (0.6, 0.8, 1.2, 1.4):
        stored(handed_in(loss_nats=loss_nats, tier=Tier.VERIFIED))
    said = speedrun("reproduce", path.stem)
    assert said.code == 1
    assert said.out.startswith(f"✗ not borne out  mine on cpu-blink, run {path.stem}\n")
    assert "The record's loss is better than this source gives when it is run again" in said.out
    assert "by 4 runs that are verified or were made here" in said.out
    assert "With the record's seed the loss differs by +" in said.out
    assert "run 1 of 2 with the record's seed: ok, loss" in said.err
    first, second = (record for record in map(read, files(workspace)) if record.series is not None)
    assert first.seed == read(path).seed != second.seed
    assert "its seed was that of another run" in first.unranked_because
    assert 1.6 < first.score.loss_nats != second.score.loss_nats

    # The loss that this seed really gives.
    path.write_bytes(encode(with_loss(read(path), first.score.loss_nats)))
    said = speedrun("reproduce", path.stem, "--json", "--quiet")
    assert (said.code, said.err) == (0, "")
    answer = msgspec.json.decode(said.out, type=answers.Reproduced)
    assert (answer.outcome, answer.same_seed_nats) == ("borne out", 0)
    assert answer.noise.runs == 4
    assert answer.original == read(path)
    assert len({run.series.id for run in answer.runs}) == 1
    for run, file in zip(answer.runs, answer.files, strict=True):
        assert run == read(workspace.root / file)
        assert run.source == answer.original.source
        assert run.series.purpose == "reproduce"
        assert (run.tier, run.ranked) == (Tier.SELF_REPORTED, False)
        assert "it reproduces a run" in run.unranked_because
    assert list((workspace.cache / "scratch").iterdir()) == []


@pytest.mark.sandbox
def test_ctrl_c_keeps_what_ran_and_decides_nothing(workspace, handed_in, stored):
    original = handed_in(overrides={"patience_s": "500"})
    path = stored(original)
    # In its own process, so that the signal is real.
    with subprocess.Popen(
        [*SPEEDRUN, "reproduce", original.run_id], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for line in process.stderr:
            if line.startswith("training"):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert out.startswith("? undecided  mine on cpu-blink")
    (rerun,) = (file for file in files(workspace) if file != path)
    record = read(rerun)
    assert record.verdict is Verdict.INTERRUPTED
    assert record.overrides == {"patience_s": "500"}
    assert record.seed == original.seed
    assert f"Run {record.run_id} ended as INTERRUPTED and has no score." in out
    assert f"wrote leaderboard/results/cpu-blink/{rerun.name}" in out


# ------------------------------------------------------------------------------------------------ before anything runs


def refused(workspace, speedrun, path: Path) -> str:
    before = files(workspace)
    said = speedrun("reproduce", path.stem)
    assert (said.code, said.out) == (2, ""), said
    assert said.err.count("\n") == 1
    assert files(workspace) == before
    return said.err


def test_a_source_that_its_hash_does_not_name_is_refused(workspace, speedrun, handed_in, stored):
    """The attack: somebody's good loss, and a tamer source in its place."""
    original = handed_in()
    path = stored(original)
    edited(path, source=msgspec.structs.replace(source(), sha256=original.source.sha256))
    assert "is not the one its hash names" in refused(workspace, speedrun, path)


def test_another_track_or_other_data_is_refused(workspace, speedrun, handed_in, stored):
    original = handed_in()
    path = stored(original)
    edited(path, track=msgspec.structs.replace(original.track, sha256="0" * 64))
    err = refused(workspace, speedrun, path)
    assert "ran under version 1 of cpu-blink (file 00000000), today's is version 1" in err
    edited(path, track=original.track, dataset=msgspec.structs.replace(original.dataset, sha256="0" * 64))
    assert "was made on other shards of letters (hash 00000000" in refused(workspace, speedrun, path)


def test_a_run_without_a_score_is_refused(workspace, speedrun, handed_in, stored):
    path = stored(handed_in(verdict=Verdict.CRASHED))
    assert "ended as CRASHED: it has no score that could be reproduced" in refused(workspace, speedrun, path)


@pytest.mark.sandbox
def test_other_hardware_is_refused_before_anything_runs(workspace, speedrun, handed_in, stored):
    path = stored(handed_in(cpu="An Abacus"))
    err = refused(workspace, speedrun, path)
    assert "can't be judged on this machine: it ran on An Abacus, 2 threads, here it is" in err
    assert "--practice" in err


# ------------------------------------------------------------------------------------------------------- judgements


def losses(make_record, *values, **fields) -> list[Record]:
    return [make_record(entry="mine", loss_nats=value, **fields) for value in values]


def test_the_noise_is_the_prediction_interval_of_what_can_be_believed(make_record):
    original = make_record(entry="mine", loss_nats=1.5)
    reruns = losses(make_record, 1.49, 1.50, 1.51, 1.52)
    judged = judge(original, reruns, (), alpha=0.01)
    assert judged.outcome == "borne out"
    # mean 1.505, standard deviation 0.01291, t(0.995; 3) = 5.8409: 1.505 ± 5.8409 · 0.01291 · √1.25
    assert judged.noise.mean_nats == pytest.approx(1.505)
    assert judged.noise.low_nats == pytest.approx(1.505 - 0.084308, abs=3e-6)
    assert judged.noise.high_nats == pytest.approx(1.505 + 0.084308, abs=3e-6)
    assert (judged.noise.runs, judged.noise.confidence) == (4, 0.99)
    verified = (1.49, 1.50, 1.51, 1.52)
    assert judge(original, reruns[:2], verified, alpha=0.01).noise.runs == 6


@pytest.mark.parametrize(
    ("loss_nats", "outcome"), [(1.40, "not borne out"), (1.43, "borne out"), (1.58, "borne out"), (1.60, "worse")]
)
def test_only_a_better_record_is_not_borne_out(make_record, loss_nats, outcome):
    original = make_record(entry="mine", loss_nats=loss_nats)
    assert judge(original, losses(make_record, 1.49, 1.50, 1.51, 1.52), (), alpha=0.01).outcome == outcome


def test_an_entry_without_any_chance_must_give_the_very_same_loss(make_record):
    reruns = losses(make_record, 1.5, 1.5, 1.5, 1.5)
    assert judge(make_record(loss_nats=1.5), reruns, (), alpha=0.01).outcome == "borne out"
    assert judge(make_record(loss_nats=1.5 - 1e-5), reruns, (), alpha=0.01).outcome == "not borne out"


def test_too_few_runs_failed_ones_and_other_machines_decide_nothing(make_record):
    original = make_record(entry="mine", loss_nats=1.5)
    few = judge(original, losses(make_record, 1.49, 1.50, 1.51), (), alpha=0.01)
    assert (few.outcome, few.noise) == ("undecided", None)
    assert few.because == "3 runs do not show how much the loss scatters; it takes 4"
    assert judge(original, [], (), alpha=0.01).outcome == "undecided"
    failed = [*losses(make_record, 1.5, 1.51, 1.52, 1.49), make_record(verdict=Verdict.NOT_PREDICTIVE)]
    assert "ended as NOT_PREDICTIVE" in judge(original, failed, (), alpha=0.01).because
    elsewhere = make_record(entry="mine", cpu="An Abacus", loss_nats=1.5)
    against = unlike(elsewhere, decode_summary(encode(original)))
    assert against == ("it ran on An Abacus, 2 threads, here it is Test CPU, 2 threads",)
    assert judge(elsewhere, failed[:4], (), alpha=0.01, against=against).outcome == "undecided"


def test_only_verified_runs_of_the_same_kind_are_believed(make_record):
    def summary(**fields):
        return decode_summary(encode(make_record(**{"entry": "mine", "tier": Tier.VERIFIED} | fields)))

    original = make_record(entry="mine")
    runs = [
        decode_summary(encode(original)),
        summary(loss_nats=1.51),
        summary(loss_nats=2.0, tier=Tier.SELF_REPORTED),
        summary(loss_nats=2.1, entry="yours"),
        summary(loss_nats=2.2, source="other"),
        summary(loss_nats=2.3, overrides={"lr": "1"}),
        summary(loss_nats=2.4, version=2),
        summary(loss_nats=2.5, dataset_id="letters"),
        summary(loss_nats=2.6, cpu="An Abacus"),
        summary(loss_nats=2.7, environment=msgspec.structs.replace(original.environment, packages={"torch": "1.0"})),
        summary(verdict=Verdict.CRASHED),
        summary(loss_nats=1.52, ranked=False),
    ]
    assert verified_losses(original, runs) == (1.51, 1.52)
    assert verified_losses(original, runs, {runs[1].run_id: "why"}) == (1.52,)
    assert [runs_needed([1.5] * known) for known in (0, 1, 2, 9)] == [4, 3, 2, 2]


def test_the_false_alarms_are_as_rare_as_alpha_says(make_record):
    """1,000 honest records among 4 runs of their own entry: at most one in a hundred is called better or worse."""
    random = np.random.default_rng(11)
    base = make_record(entry="mine", loss_nats=3.0)
    wrong = 0
    for _ in range(1000):
        values = random.normal(3.0, 0.01, 5)
        original, *reruns = (
            msgspec.structs.replace(base, score=msgspec.structs.replace(base.score, loss_nats=float(value)))
            for value in values
        )
        wrong += judge(original, reruns, (), alpha=0.01).outcome != "borne out"
    assert wrong <= 20  # 10 are due; more than 20 come by chance once in 600 times


def test_a_slower_machine_is_told_beside_the_verdict(make_record):
    def hardware(tflops: float) -> HardwareReport:
        return HardwareReport(before=(Calibration(device="cpu", matmul_tflops=tflops, copy_gbps=10.0),))

    original = make_record(entry="mine", loss_nats=1.0, hardware=hardware(1.0))
    slow = losses(make_record, 1.49, 1.50, 1.51, 1.52, hardware=hardware(0.7))
    assert "30% slower than the record's" in judge(original, slow, (), alpha=0.01).because
    alike = losses(make_record, 1.49, 1.50, 1.51, 1.52, hardware=hardware(0.95))
    assert "slower" not in judge(original, alike, (), alpha=0.01).because


# ------------------------------------------------------------------------------------------------------------- page


def reproduced(make_record, loss_nats: float, values=(1.49, 1.50, 1.51, 1.52), **fields) -> answers.Reproduced:
    original = make_record(entry="mine", loss_nats=loss_nats, **fields)
    runs = tuple(losses(make_record, *values, **fields))
    judged = judge(original, runs, (), alpha=0.01)
    return answers.Reproduced(
        original=original,
        runs=runs,
        files=(),
        outcome=judged.outcome,
        because=judged.because,
        noise=judged.noise,
        same_seed_nats=values[0] - loss_nats,
        interrupted=False,
    )


def page(value: answers.Reproduced, width: int) -> str:
    out = io.StringIO()
    show(value, Console(file=out, width=width, highlight=False, markup=False))
    return out.getvalue()


def test_the_axis_shows_the_record_beside_the_noise(make_record):
    noise, runs, record, ends = axis(reproduced(make_record, 1.3), 49)
    assert record == "record  ▲"
    assert noise.index("├") > record.index("▲")
    assert len(noise) == len(ends) == 8 + 41
    assert runs.count("•") == 4
    assert ends.split() == ["1.3000", "1.5893", "nats/token"]
    assert axis(reproduced(make_record, 1.3, values=(1.5, 1.5)), 49) == []  # too few runs to know the noise


@pytest.mark.parametrize("width", [60, 80])
def test_an_entry_without_chance_is_shown_in_the_digits_that_tell_it_apart(make_record, width):
    """The attack: an edit by ten millionths of a nat, which four digits hide."""
    value = reproduced(make_record, 1.5 - 1e-5, values=(1.5,) * 4)
    said = page(value, width)
    assert said.startswith("✗ not borne out")
    assert "1.4999990 to 1.5000010 nats/token" in " ".join(said.split())
    assert "1.4999900" in said
    assert said.count("+0.0000100") == 5  # four rows, and the sentence on the record's seed
    (ends,) = (
        line for line in said.splitlines() if line.endswith("nats/token") and "├" not in line and "▲" not in line
    )
    assert ends.split() == ["1.4999900", "1.5000010", "nats/token"]
    assert all(len(line.rstrip()) <= width for line in said.splitlines()[1:])


def test_a_record_at_the_edge_of_the_noise_does_not_look_like_the_edge(make_record):
    low = reproduced(make_record, 1.5).noise.low_nats
    for loss_nats, outcome in ((low - 2e-6, "not borne out"), (low + 2e-6, "borne out")):
        value = reproduced(make_record, loss_nats)
        assert value.outcome == outcome
        shown = digits(value.original, value.noise)
        assert f"{loss_nats:.{shown}f}" != f"{low:.{shown}f}"
        assert f"{low:.{shown}f} to " in value.because


def test_exit_codes_and_words(make_record):
    assert reproduced(make_record, 1.5).exit_code == 0
    assert reproduced(make_record, 1.3).exit_code == 1
    worse = reproduced(make_record, 1.7)
    assert worse.exit_code == 0
    assert "that speaks against nobody" in sentences(worse)[0]
    assert "Training times are shown and not judged" not in " ".join(sentences(worse))
    timed = reproduced(make_record, 1.5, objective="fastest-to-loss", target_nats=2.0)
    assert "Training times are shown and not judged" in sentences(timed)[-1]
    assert page(timed, 120).startswith("✓ borne out  mine on cpu-smoke, run ")
