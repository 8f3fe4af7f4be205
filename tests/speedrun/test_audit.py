"""speedrun leaderboard --audit, from files to lines and an exit code."""

import json
import shutil
from pathlib import Path

import pytest

from harness.result import Device
from harness.track import list_tracks
from speedrun.known_facts import known_facts

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def shipped(workspace):
    """The records of the project, with its tracks and data sets."""
    shutil.copytree(ROOT / "leaderboard" / "results", workspace.results)
    return sorted(workspace.results.glob("cpu-1min/*.json"))


def test_the_records_of_the_project_fit(speedrun, shipped):
    said = speedrun("leaderboard", "--audit")
    assert said.code == 0, said
    assert said.err == ""
    assert "everything fits" in said.out


def test_what_does_not_fit_is_named_by_check_and_fails(speedrun, workspace, shipped):
    path = shipped[0]
    path.write_bytes(path.read_bytes().replace(b'"tier": "self-reported"', b'"tier": "verified"'))
    record = json.loads(shipped[1].read_bytes())
    record["score"]["loss_nats"] = 0.1
    shipped[1].write_text(json.dumps(record))
    shipped[2].write_text("{")
    (workspace.results / "cpu-1min" / "20261121-141530-gone-3f9a.json.sig").write_text("a signature")
    workspace.rulings.mkdir()
    (workspace.rulings / "notes.json").write_text("{}")
    said = speedrun("leaderboard", "--audit")
    assert said.code == 1
    lines = said.out.splitlines()
    for check, where, words in (
        ("files", "20261121-141530-gone-3f9a.json.sig", "signature of a record that is not there"),
        ("files", shipped[2].name, "truncated"),
        ("signatures", path.stem, "says verified, and has no signature"),
        ("score", shipped[1].stem, "which no honest model passes"),
        ("rulings", "notes.json", "not a ruling's name"),
    ):
        found = next(number for number, line in enumerate(lines) if where in line and words in line)
        assert lines[found].startswith("  ✗ ")
        assert check in lines[:found]
    assert "that no honest run leaves" in lines[-1]
    # Another track has nothing of it, but for the rulings, which belong to none.
    assert speedrun("leaderboard", "--audit", "--track", "cpu-smoke").out.count("✗") == 1
    answer = json.loads(speedrun("leaderboard", "--audit", "--json").out)
    readable = len(list(workspace.results.rglob("*.json"))) - 1
    assert (answer["kind"], answer["records"]) == ("audit", readable)
    assert all(finding["where"] and finding["words"] for finding in answer["findings"])


def test_a_key_without_bounds_and_broken_published_results_are_found(speedrun, workspace, shipped):
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF1kXBf0HAumKj95S5peVd1S7jffvz1SUJxlYIX3CvNY"
    (workspace.results.parent / "maintainers").write_text(f"# the maintainers\nada {key}\n")
    workspace.published.mkdir()
    (workspace.published / "cpu-1min.json").write_text("{")
    said = speedrun("leaderboard", "--audit")
    assert said.code == 1
    assert said.err == ""
    assert "✗ maintainers, line 2: its key is not bound" in said.out
    assert "✗ published: the published results cpu-1min.json are broken" in said.out


def test_an_audit_stands_alone(speedrun):
    for option in (("--show",), ("--history",), ("--top", "3"), ("--all",), ("--render",), ("--export", "x.csv")):
        said = speedrun("leaderboard", "--audit", *option)
        assert said.code == 2
        assert "leave the other options out" in said.err
    assert speedrun("leaderboard", "--audit", "--track", "nothing").code == 2


def test_every_track_of_the_project_has_its_terms(workspace):
    facts = known_facts(list_tracks(workspace.tracks), workspace.datasets, workspace.cache)
    assert facts.tracks.keys() == {path.stem for path in workspace.tracks.glob("*.toml")}
    assert "tales" in facts.datasets
    assert facts.tracks["cpu-1min"].floors[1_048_576] == pytest.approx(0.2296, abs=1e-4)
    card = Device(name="Tesla T4", memory_gib=14.6)
    assert [track for track, terms in facts.tracks.items() if terms.meets(card)] == ["t4-5min"]
    assert not facts.tracks["t4-5min"].meets(Device(name="Tesla T4", memory_gib=1.0))
    assert facts.tracks["t4-5min"].accelerator == "Tesla T4 with 15 GiB"
