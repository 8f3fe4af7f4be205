"""What to do next: one sentence for every way that a run may end, and for every reason against a place."""

import re
from pathlib import Path

import msgspec
import pytest

from data.manifest import Manifest, load_manifest
from harness import gates
from harness.result import Level, Tier, Verdict
from harness.track import find_track
from leaderboard.duels import RETIMING
from speedrun import next_step, session
from speedrun.answers import OnBoard, Ran
from speedrun.commands import reproduce
from speedrun.fitness import level_obstacles, obstacles

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def said(make_record):
    """The sentence after a run with these fields."""

    def said(wanted=1, interrupted=False, rank=1, missing=0, against="", **fields):
        record = make_record(entry="mine", **fields)
        there = OnBoard(rank=rank, missing_runs=missing, against=against) if record.ranked else None
        return next_step.after(
            Ran(records=(record,), files=("x.json",), runs_wanted=wanted, on_board=there, interrupted=interrupted)
        )

    return said


def real_reasons() -> dict[str, str]:
    """Every reason that the code itself gives, made by the code itself, and a word of its remedy."""
    machine = type("Machine", (), {"accelerators": (), "usable_cores": 0.5, "memory_gib": 0.5})()
    # As harness/open_record.py writes them at the end of a run.
    closing = (ROOT / "harness" / "open_record.py").read_text()
    ours = re.findall(r'against\.append\("([^"]+)"\)', closing)
    assert len(ours) == 3, "a reason was added: say here, and in speedrun/next_step.py, what to do about it"
    unpinned = load_manifest(ROOT / "data" / "datasets" / "cosmopedia-1k.toml")
    assert not unpinned.pinned
    found = {
        session.ASKED: "without --practice",
        session.OUTSIDE: "move it there",
        RETIMING: "",
        reproduce.REASON: "",
        "it is a trial": "",
        "no sandbox works here": "speedrun doctor",
    }
    assert '"it is a trial"' in (ROOT / "speedrun" / "commands" / "verify_pr.py").read_text()
    found |= dict(zip(sorted(ours), ("config.py", "--no-sandbox", "fresh"), strict=True))
    for track in ("cpu-smoke", "t4-5min", "h100x8-val-3.28"):
        (reason,) = obstacles(find_track(track), machine)
        found[reason] = "pull request"
    eight = find_track("h100x8-val-3.28")
    found |= dict.fromkeys(level_obstacles(eight, Level.UID) + level_obstacles(eight, None), "speedrun doctor")
    found |= dict.fromkeys(gates.data_obstacles(find_track("t4-5min"), unpinned), "docs/data.md")
    elsewhere = msgspec.structs.replace(unpinned, id="novels")
    assert isinstance(elsewhere, Manifest)
    found |= dict.fromkeys(gates.data_obstacles(find_track("t4-5min"), elsewhere), "--dataset")
    return found


def test_every_reason_against_a_place_has_its_remedy(said):
    for reason, remedy in real_reasons().items():
        words = said(ranked=False, unranked_because=(reason,))
        assert words.startswith("unranked: "), reason
        assert sum(bool(known.reason.fullmatch(reason)) for known in next_step.REMEDIES) >= 1, reason
        assert remedy in words
        assert bool(remedy) == (";" in words), words
        assert "\\" not in words


def test_the_words_are_those_of_a_person(said):
    needs = "the track needs 1 × Tesla T4 with 16 GiB (here: none), 8 CPU threads (here: 2)"
    options = "fields of Config were set on the command line; write them into config.py"
    assert said(ranked=False, unranked_because=(needs, session.ASKED)) == (
        "unranked: this machine has no Tesla T4 with 16 GiB; open a pull request with the entry (CONTRIBUTING.md): "
        "once it is merged, a maintainer's speedrun verify on the right machine gets it verified"
    )
    assert "does not have 8 × H100; open" in said(
        ranked=False, unranked_because=("the track needs 8 × H100 (here: 1 × A100, 80 GiB)", session.ASKED)
    )
    assert said(ranked=False, unranked_because=(session.ASKED, options)) == (
        "unranked: it was asked for as practice and fields of Config were set on the command line; write them into "
        "config.py, then run it without --practice"
    )
    assert said(ranked=False, unranked_because=("an older version's\x1b[2J words",)) == (
        "unranked: an older version's[2J words"
    )


def test_every_verdict_has_its_advice(said):
    assert set(next_step.ADVICE) == set(Verdict) - {Verdict.OK}
    for verdict in next_step.ADVICE:
        words = said(verdict=verdict)
        assert words
        assert "TRACK" not in words


def test_a_ranked_run_is_told_how_it_gets_verified(said):
    own = said()
    assert own.startswith("speedrun leaderboard --show --track cpu-smoke shows its place, number 1.")
    assert "speedrun/submissions/mine" in own
    assert "pull request" in own
    assert "speedrun verify-pr --base origin/main" in own
    assert said(tier=Tier.VERIFIED) == "speedrun leaderboard --show --track cpu-smoke"


def test_a_place_is_what_the_board_says(said):
    assert said(rank=None, missing=2) == (
        "a place on cpu-smoke takes 2 more runs of this source: speedrun run mine --track cpu-smoke --runs 2"
    )
    assert "takes 1 more run of" in said(rank=None, missing=1)
    assert said(rank=None, against="run 20261121-000000-mine-0000 ended as NOT_PREDICTIVE") == (
        "it has no place: run 20261121-000000-mine-0000 ended as NOT_PREDICTIVE; "
        "speedrun leaderboard --show --track cpu-smoke --all shows all of it"
    )


def test_a_missed_target_and_a_wrong_machine_are_both_said(said):
    missed = {"target_nats": 1.2, "loss_nats": 1.3, "objective": "fastest-to-loss"}
    assert said(**missed).startswith("train until the loss is below 1.2: ")
    both = said(ranked=False, unranked_because=("the track needs 1 × RTX 4090 (here: none)", session.ASKED), **missed)
    assert both.startswith("train until the loss is below 1.2: ")
    assert "; unranked: this machine has no RTX 4090; open a pull request" in both


def test_an_interruption_is_told_where_it_cost_runs(said):
    assert "interrupted" not in said(interrupted=True)  # while the model spoke: nothing is missing
    assert said(interrupted=True, wanted=3).endswith("; interrupted after 1 of 3 runs")
