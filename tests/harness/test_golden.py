"""Every verdict is reached by an entry, every honest entry passes, every cheat gets its verdict: in real sandboxes.

A case is a folder under tests/golden or tests/cheats: a submission and its expect.toml. It is found by itself.
"""

import math
import socket
import tempfile
import tomllib
from pathlib import Path

import msgspec
import pytest

from data.manifest import Floor
from data.prepare import Prepared
from harness import journal
from harness.errors import UserError
from harness.events import Ended, Logged, Noted, PhaseBegan
from harness.result import Calibration, Level, Record, Verdict, encode
from harness.sandbox import RANKS_LEVELS, Sandbox, choose, try_levels
from leaderboard.schema import decode

TESTS = Path(__file__).parent.parent


def cases(kind):
    """Without the controls, which test_honest.py runs; those of several ranks are looked at more closely here, too."""
    found = {path.parent: tomllib.loads(path.read_text()) for path in sorted((TESTS / kind).glob("*/expect.toml"))}
    return [
        pytest.param(folder, expect, id=folder.name)
        for folder, expect in found.items()
        if "control" not in expect or "ranks" in expect
    ]


def check(record: Record, expect: dict) -> None:
    wanted = expect["verdict"] if isinstance(expect["verdict"], list) else [expect["verdict"]]
    assert record.verdict in wanted, record.reason
    assert expect.get("reason", "") in record.reason
    assert decode(encode(record)) == record
    written = encode(msgspec.structs.replace(record, samples=None)).decode()  # chance alone can spell a host's name
    for private in (str(Path.cwd()), str(Path.home()) + "/", socket.gethostname(), tempfile.gettempdir() + "/"):
        assert private not in written
    if record.verdict is Verdict.OK:
        assert record.ranked
        assert record.reason == ""
    else:
        assert not record.scored
        assert record.reason


@pytest.mark.sandbox
@pytest.mark.parametrize(("folder", "expect"), cases("golden"))
def test_golden(folder, expect, run_folder, tmp_path):
    ranks = expect.get("ranks", 1)
    if ranks > 1 and choose(None) not in RANKS_LEVELS:
        pytest.skip("no level here has a network of its own")
    laid_out = {}  # phase → the shards where the entry can't see them, and where it can, when the phase began

    def look(event):
        if isinstance(event, PhaseBegan):
            runs = tmp_path / "cache" / "runs"
            places = (runs.glob("*/shards/*"), runs.glob("*/data/*"))
            laid_out.setdefault(event.phase, tuple([path.name for path in place] for place in places))

    record, events = run_folder(folder, track=expect.get("track"), skip=expect.get("skip"), ranks=ranks, observe=look)
    check(record, expect)
    assert record.ranks == ranks
    assert events[-1] == Ended(record)
    if record.verdict is Verdict.OK:
        assert [event.phase for event in events if isinstance(event, PhaseBegan)] == [
            "setup", "train", "save", "load", "score", "load", "twin", "sample",
        ]  # fmt: skip
        shards = ["prose_train_000000.bin"]  # at GO they only change their place, and the clock runs already
        assert laid_out["setup"] == laid_out["train"] == (shards, [])
        assert laid_out["save"] == ([], shards)
        assert 0 < record.score.loss_nats < expect["below_nats"]
        assert record.score.targets == 8_192
        assert record.score.bits_per_byte == pytest.approx(record.score.loss_nats / math.log(2), rel=0.01)
        assert abs(record.twin.advantage_nats) < 1e-5
        assert record.twin.sampled == 512
        assert record.twin.kind == "honest"
        assert record.artifact.bytes > 0
        assert len(record.samples.items) == 3
        assert all(len(sample.prompt) > 50 and sample.text for sample in record.samples.items)
    if expect.get("logs"):
        assert any(isinstance(event, Logged) for event in events)
        assert record.curve[-1].step == record.declared.steps == 20
        assert record.declared.metrics["left"] > 0


def test_every_verdict_is_reached():
    reached = set()
    for kind in ("golden", "cheats"):
        for case in cases(kind):
            wanted = case.values[1]["verdict"]
            reached |= set(wanted if isinstance(wanted, list) else [wanted])
    here = {Verdict.INTERRUPTED, Verdict.INTERNAL_ERROR}  # by the tests below
    assert (reached - {"refused"}) | here == set(Verdict)


@pytest.mark.sandbox
def test_ctrl_c_leaves_an_interrupted_record(run_folder, tmp_path):
    def interrupt(event):
        if isinstance(event, PhaseBegan) and event.phase == "train":
            raise KeyboardInterrupt

    record, _ = run_folder(TESTS / "golden" / "endless_train", observe=interrupt)
    assert record.verdict is Verdict.INTERRUPTED
    assert record.reason == "interrupted during train"
    assert journal.recover(tmp_path / "cache") == (record,)


@pytest.mark.sandbox
def test_a_fault_of_our_own_is_never_the_contestants(run_folder):
    def launch(level, mounts, *rest):
        if mounts.artifact is not None:
            raise OSError(28, "No space left on device", "/secret/place")
        return Sandbox(level, mounts, *rest)

    record, _ = run_folder(TESTS / "golden" / "bigram", launch=launch)
    assert record.verdict is Verdict.INTERNAL_ERROR
    assert "No space left on device" in record.reason
    assert "secret" not in record.reason
    assert not record.ranked


@pytest.mark.sandbox
def test_data_that_is_gone_is_told_and_leaves_no_record(run_folder, prose, tmp_path):
    for path in prose.folder.glob("*.bin"):
        if "train" not in path.name:
            (tmp_path / path.name).hardlink_to(path)
    with pytest.raises(UserError, match="is gone; prepare the data set again"):
        run_folder(TESTS / "golden" / "bigram", data=Prepared(prose.manifest, tmp_path))
    assert journal.recover(tmp_path / "cache") == ()


class Speeds:
    """A calibration that answers with one speed after the other; an exception among them is raised."""

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, accelerators, threads):
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return (Calibration(device="cpu", matmul_tflops=answer, copy_gbps=10.0),)


@pytest.mark.sandbox
@pytest.mark.parametrize(("after", "slowed"), [(MemoryError(), True), (KeyboardInterrupt(), None)])
def test_what_is_calibrated_after_a_run_never_costs_it(run_folder, tmp_path, after, slowed):
    speeds, on_disk = Speeds(1.0, after), []

    def calibrate(accelerators, threads):
        (written,) = (tmp_path / "cache" / "runs").glob("*/record.json")
        on_disk.append(decode(written.read_bytes()).verdict)
        return speeds(accelerators, threads)

    record, _ = run_folder(TESTS / "golden" / "bigram", calibrate=calibrate)
    assert on_disk == [Verdict.INTERRUPTED, Verdict.OK]  # what a kill at these moments leaves
    assert record.verdict is Verdict.OK, record.reason
    assert record.ranked
    assert record.hardware.slowed is slowed
    assert [one.matmul_tflops for one in record.hardware.before] == [1.0]


@pytest.mark.sandbox
def test_a_run_that_was_late_is_calibrated_too(run_folder):
    record, _ = run_folder(TESTS / "golden" / "endless_train", skip="train", calibrate=Speeds(1.0, 0.5))
    assert record.verdict is Verdict.TIME_LIMIT
    assert record.hardware.slowed is True
    assert record.times.save_processor_s is None


@pytest.mark.sandbox
def test_an_artifact_that_can_not_be_kept_costs_no_result(run_folder, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "artifacts").write_text("in the way")
    record, events = run_folder(TESTS / "golden" / "bigram")
    assert record.verdict is Verdict.OK
    assert any(isinstance(event, Noted) and "could not be kept" in event.text for event in events)


@pytest.mark.sandbox
def test_a_viewer_that_fails_changes_nothing(run_folder):
    seen = []

    def fail(event):
        seen.append(event)
        raise OverflowError("can't draw that")

    record, _ = run_folder(TESTS / "golden" / "bigram", observe=fail)
    assert record.verdict is Verdict.OK, record.reason
    assert len(seen) == 1


@pytest.mark.sandbox
@pytest.mark.parametrize("trial", [trial for trial in try_levels() if trial.works], ids=lambda trial: trial.level)
def test_a_run_at_every_level_that_this_machine_has(trial, run_folder, tmp_path):
    for folder in (tmp_path, *tmp_path.parents):  # pytest's own are closed to the other user of level uid
        if Path(tempfile.gettempdir()) not in folder.parents:
            break
        folder.chmod(folder.stat().st_mode | 0o055)
    record, _ = run_folder(TESTS / "golden" / "gradient_steps", level=trial.level)
    assert record.verdict is Verdict.OK, record.reason
    assert record.environment.sandbox.level is trial.level
    assert record.ranked == (trial.level is not Level.NONE)
    assert record.score.loss_nats < 4.5


@pytest.mark.sandbox
def test_a_loss_below_the_floor_is_no_score(run_folder, prose):
    """As if the text's own writer had a loss of 5 nats: whoever is better knows the text."""
    splits = dict(prose.manifest.splits)
    splits["val"] = msgspec.structs.replace(splits["val"], floors=(Floor(targets=8_192, nats=5.0),))
    known = Prepared(msgspec.structs.replace(prose.manifest, splits=splits), prose.folder)
    record, _ = run_folder(TESTS / "golden" / "bigram", data=known)
    assert record.verdict is Verdict.RULE_VIOLATION
    assert "the entry knows the text itself" in record.reason
    assert record.twin.kind == "honest"


@pytest.mark.sandbox
def test_the_score_is_the_plain_cross_entropy_of_the_artifact(run_folder, tmp_path, prose):
    """The same artifact, loaded here and evaluated in float64 without windows, gives the same number."""
    import numpy as np
    import torch

    record, _ = run_folder(TESTS / "golden" / "gradient_steps")
    state = torch.load(tmp_path / "cache" / "artifacts" / record.run_id / "state.pt", weights_only=True)
    stream = torch.from_numpy(np.asarray(prose.tokens("val", record.score.targets + 1)).astype(np.int64))
    logits = state["table"].double()[stream[:-1]]
    expected = torch.nn.functional.cross_entropy(logits, stream[1:]).item()
    assert record.score.loss_nats == pytest.approx(expected, abs=1e-6)
