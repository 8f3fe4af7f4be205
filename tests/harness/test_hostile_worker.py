"""Whatever a worker does with its connection: the right verdict at the phase's limit, little memory, no traceback.

hostile_worker.py stands in for the worker in real sandboxes, facing_hostile_worker.py is the parent, in a process of
its own whose memory and standard error are looked at. Clocks jump past the limit of a phase in which nothing moves.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.result import Level, Verdict
from harness.sandbox import choose, try_levels
from harness.sandbox_output import TAIL_BYTES
from tests.harness import facing_hostile_worker

ROOT = Path(__file__).resolve().parents[2]
MOST_PARENT_BYTES = 500e6
PATIENCE_S = 300  # for all runs of one parent: far more than they take, so that a hang is a failure and no hang

PHASES = ("setup", "train", "save", "load", "score", "twin")
LATE = {
    "setup": Verdict.SETUP_TIMEOUT,
    "train": Verdict.TIME_LIMIT,
    "save": Verdict.TIME_LIMIT,
    "load": Verdict.SETUP_TIMEOUT,
    "score": Verdict.EVALUATION_TIMEOUT,
    "twin": Verdict.EVALUATION_TIMEOUT,
}
BROKEN = dict.fromkeys(PHASES, Verdict.RULE_VIOLATION)
GONE = dict.fromkeys(PHASES, Verdict.CRASHED)

SILENT = {
    "stops": LATE,
    "hears_no_more": {phase: LATE[phase] for phase in ("setup", "save", "score")},
    "sends_half_a_header": {phase: LATE[phase] for phase in ("train", "load", "twin")},
    "sends_half_a_payload": {phase: LATE[phase] for phase in ("save", "score", "twin")},
}
HANGS_UP = {
    "closes_its_socket": {phase: GONE[phase] for phase in ("setup", "save", "score")},
    "says_no_more": {phase: GONE[phase] for phase in ("train", "load", "twin")},
    "leaves_a_child_on_the_line": GONE,
}
BREAKS_THE_PROTOCOL = {
    "sends_garbage": BROKEN,
    "sends_no_json": BROKEN,
    "sends_an_empty_frame": BROKEN,
    "promises_a_terabyte": BROKEN | {"save": Verdict.ARTIFACT_LIMIT},
    "nests_its_header": BROKEN,
    "says_a_huge_number": BROKEN,
}
FLOODS = {
    "floods_its_output": dict.fromkeys(PHASES, Verdict.OUTPUT_LIMIT),
    "floods_logs": BROKEN | {"train": Verdict.OUTPUT_LIMIT},
    "complains_at_length": GONE,
}

Case = tuple[str, str, str | None]  # attack, phase, the phase whose clock jumps


@pytest.fixture
def face(prose, tmp_path):
    """`face([("stops", "train", "train")])`: what the parent of such workers says of each run, one after the other."""

    def face(cases: list[Case], level: Level | None = None) -> list[dict]:
        told = (level or choose(None), json.dumps(cases))
        child = subprocess.run(
            [sys.executable, facing_hostile_worker.__file__, prose.folder.parent, tmp_path, *told],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert child.returncode == 0, child.stderr
        assert child.stderr == ""
        return [json.loads(line) for line in child.stdout.splitlines()]

    return face


@pytest.mark.sandbox
def test_without_an_attack_the_same_worker_is_honest(face):
    (said,) = face([("nothing", "never", None)])
    assert (said["verdict"], said["reason"]) == (Verdict.OK, "")


@pytest.mark.sandbox
@pytest.mark.redteam
@pytest.mark.parametrize(
    "attacks",
    [
        pytest.param(SILENT, id="silent"),
        pytest.param(HANGS_UP, id="hangs-up"),
        pytest.param(BREAKS_THE_PROTOCOL, id="breaks-the-protocol"),
        pytest.param(FLOODS, id="floods"),
    ],
)
def test_every_attack_gets_its_verdict_in_every_phase(face, tally, attacks):
    cases = [
        (attack, phase, phase if attack in SILENT else None) for attack, phases in attacks.items() for phase in phases
    ]
    said = face(cases)
    for attack, phases in attacks.items():
        got = {each["when"]: each["verdict"] for each in said if each["attack"] == attack}
        tally(
            f"{attack.replace('_', ' ')} in {', '.join(phases)}",
            level=choose(None),
            expected=_in_words(phases),
            got=_in_words(got),
        )
    most_bytes = max(each["peak_bytes"] for each in said)
    tally(
        f"memory of the parent: {', '.join(attack.replace('_', ' ') for attack in attacks)}",
        expected="under 500 MB",
        got="under 500 MB" if most_bytes < MOST_PARENT_BYTES else f"{most_bytes / 1e6:.0f} MB",
    )
    assert [(each["attack"], each["when"], each["ended_in"], each["verdict"]) for each in said] == [
        (attack, phase, phase, verdict) for attack, phases in attacks.items() for phase, verdict in phases.items()
    ]
    assert most_bytes < MOST_PARENT_BYTES
    for each in said:
        assert 0 < len(each["reason"]) <= TAIL_BYTES
        assert each["reason"].replace("\n", "").isprintable()
        assert each["processes_left"] == 0


def _in_words(verdicts: dict[str, str]) -> str:
    """Each verdict once, in the order of the phases."""
    return ", ".join(dict.fromkeys(str(verdict) for verdict in verdicts.values()))


@pytest.mark.sandbox
@pytest.mark.redteam
@pytest.mark.parametrize("trial", [trial for trial in try_levels() if trial.works], ids=lambda trial: trial.level)
def test_a_stopped_tree_is_killed_at_every_level(face, tally, trial):
    (said,) = face([("stops", "save", "save")], trial.level)
    tally("stops with its children", level=trial.level, expected=Verdict.TIME_LIMIT, got=said["verdict"])
    assert said["verdict"] == Verdict.TIME_LIMIT
    assert said["processes_left"] == 0


STOPS_WITH_CHILDREN = '''
import os
import signal


def train(run, model):
    """Nothing of this process runs again, whoever asks it to end."""
    for _ in range(3):
        if os.fork() == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
            os._exit(0)
    run.log(step=1)
    os.kill(os.getpid(), signal.SIGSTOP)
    return model
'''


@pytest.mark.sandbox
@pytest.mark.redteam
def test_an_entry_that_stops_itself_and_its_children(run_folder, tally, tmp_path):
    folder = tmp_path / "sleeper"
    folder.mkdir()
    for name, text in facing_hostile_worker.FILES.items():
        (folder / name).write_text(text)
    code = "import torch\n\n\ndef setup(run):\n    return torch.nn.Embedding(run.vocab_size, run.vocab_size)\n"
    predict = "\n\ndef predict(model, tokens):\n    return model(tokens) * 0\n"
    (folder / "speedrun.py").write_text(code + STOPS_WITH_CHILDREN + predict)
    record, _ = run_folder(folder, skip="train")
    tally("a real entry stops itself and three children", expected=Verdict.TIME_LIMIT, got=record.verdict)
    assert record.verdict is Verdict.TIME_LIMIT, record.reason
    assert record.ran
