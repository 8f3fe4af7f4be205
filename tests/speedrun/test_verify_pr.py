"""verify-pr on real repositories: an honest change, every kind of dishonest one, and heads that would like to run."""

import itertools
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from data.manifest import load_manifest
from harness import submission
from harness.result import Artifact, DatasetRef, Series, Tier, TrackRef, Verdict, encode
from harness.track import load_track
from leaderboard.signatures import Signer
from tests.git_repository import LINK, PROGRAM, SUBMODULE, Held, Repository, lay_traps

BIGRAM = Path(__file__).parent / "bigram"
MINE = "speedrun/submissions/mine"
MAINTAINERS = "leaderboard/maintainers"


def card(name, based_on=None):
    based = f'based_on = "{based_on}"\n' if based_on else ""
    return f'title = "Entry {name}"\ntechnique = "counting"\n{based}\n[[authors]]\nname = "Ada"\n'


def entry(name="mine", based_on=None, code=""):
    """An entry's files; its code is another's unless some is added."""
    folder = f"speedrun/submissions/{name}"
    return {
        f"{folder}/config.py": (BIGRAM / "config.py").read_bytes(),
        f"{folder}/speedrun.py": (BIGRAM / "speedrun.py").read_bytes() + code.encode(),
        f"{folder}/submission.toml": card(name, based_on).encode(),
    }


CODE = "\n\ndef own(a, b):\n" + "".join(f"    a = [b for b in range(a)][{n}:]\n" for n in range(30)) + "    return a\n"


class Hub:
    """A repository whose base is a whole checkout, and pull requests to it."""

    def __init__(self, workspace, speedrun):
        self.root = workspace.root
        self.speedrun = speedrun
        self.files = {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for folder in ("template", "harness", "data/datasets")
            for path in sorted((self.root / folder).rglob("*"))
            if path.is_file()
        }
        self.files |= {**entry("clever", code=CODE), MAINTAINERS: b"# none\n", "README.md": b"read me\n"}
        self.repository = Repository(self.root)
        self.rebase()

    def rebase(self, **files):
        """Another base; it is a new beginning."""
        self.files |= files
        self.base = self.repository.commit(self.files)
        self.repository.branch("main", self.base)

    def propose(self, files, *, without=()):
        """A commit on the base with these files changed."""
        changed = {path: data for path, data in self.files.items() if path not in without} | files
        head = self.repository.commit(changed, self.base)
        self.repository.branch("change", head)
        return head

    def judge(self, *options, base="main", head="change"):
        said = self.speedrun("verify-pr", "--base", base, "--head", head, "--json", *options)
        return said, json.loads(said.out) if said.out else None

    def refused(self, files, *, without=()):
        """What speaks against a change: path and reason in a line each. Nothing of it may run."""
        self.propose(files, without=without)
        said, answer = self.judge()
        assert said.code == 1, said
        assert answer["accepted"] is False
        assert answer["trial"] is None
        return [f"{one['path']}: {one['reason']}" for one in answer["refusals"]]


@pytest.fixture
def hub(workspace, speedrun, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    return Hub(workspace, speedrun)


@pytest.fixture
def quick(workspace, blink):
    """cpu-smoke, as quick as a test needs it."""
    blinking = workspace.tracks / f"{blink}.toml"
    (workspace.tracks / "cpu-smoke.toml").write_text(
        blinking.read_text().replace('id = "cpu-blink"', 'id = "cpu-smoke"')
    )
    blinking.unlink()


@pytest.fixture
def record(hub, make_record, tmp_path):
    """A record of an entry as the harness would have written it: `record(files, **fields)`."""
    numbers = itertools.count(1000)

    def make(files, name="mine", **fields):
        folder = tmp_path / "source" / name
        folder.mkdir(parents=True, exist_ok=True)
        for path, data in files.items():
            (folder / Path(path).name).write_bytes(data)
        loaded = submission.load(folder, name)
        track = load_track(hub.root / "harness" / "tracks" / "cpu-smoke.toml")
        data = load_manifest(hub.root / "data" / "datasets" / f"{track.dataset}.toml")
        made = make_record(entry=name)
        floor_nats = data.floor_nats(track.score.split, track.score.targets)
        change = msgspec.structs.replace
        right = {
            "entry": loaded.entry,
            "track": TrackRef(
                id=track.id,
                version=track.version,
                sha256=track.sha256,
                objective=track.objective,
                limit_s=track.limits.train_s,
            ),
            "dataset": DatasetRef(
                id=data.id,
                sha256=data.sha256,
                vocab_size=data.vocab_size,
                official=True,
                pinned=True,
                floor_nats=floor_nats,
            ),
            "score": change(made.score, targets=track.score.targets, loss_nats=floor_nats + 0.5),
            "twin": change(made.twin, seed=next(numbers)),
            "source": change(loaded.source, git_commit="1" * 40, git_clean=True),
            "curve": (),
        }
        return change(made, **right | fields)

    return make


def path_of(record):
    return f"leaderboard/results/{record.track.id}/{record.run_id}.json"


# ------------------------------------------------------------------------------------------------------------- honest


@pytest.mark.sandbox
def test_an_honest_change_is_accepted(hub, quick, record, tmp_path, monkeypatch, speedrun):
    laid = ("harness/tracks/cpu-smoke.toml", "data/datasets/letters.toml")
    hub.rebase(**{path: (hub.root / path).read_bytes() for path in laid})
    files = entry(based_on="clever")
    made = record(files)
    hub.propose({**files, path_of(made): encode(made)})
    lay_traps(hub.repository, tmp_path / "mark")
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    said, answer = hub.judge()
    assert said.code == 0, said
    assert answer["accepted"] is True
    assert answer["refusals"] == answer["remarks"] == []
    assert (answer["entry"], answer["is_new"]) == ("mine", True)
    assert {one["path"]: one["done"] for one in answer["files"]} == dict.fromkeys(
        ("config.py", "speedrun.py", "submission.toml"), "added"
    )
    assert [one["run_id"] for one in answer["records"]] == [made.run_id]
    assert answer["trial"]["verdict"] == "ok"
    assert answer["trial"]["loss_nats"] < 3
    assert summary.read_text().startswith("## ✓ accepted: mine\n")
    assert "A trial run on `cpu-smoke`" in summary.read_text()
    assert not (tmp_path / "mark").exists(), (tmp_path / "mark").read_text()
    # Nothing of the trial stays: no record, no run to be recovered, no artifact.
    assert not (hub.root / "leaderboard").exists()
    assert list((hub.root / "data" / "cache" / "scratch").iterdir()) == []
    assert not list((hub.root / "data" / "cache").glob("runs/*"))


@pytest.mark.sandbox
def test_an_entry_that_does_not_work_is_refused(hub, quick):
    hub.propose(entry(based_on="clever", code="\nraise RuntimeError('::add-mask::x ##[error]no')\n"))
    said = hub.speedrun("verify-pr", "--base", "main", "--head", "change", "--quiet")
    assert said.code == 1
    assert "ended as CRASHED" in said.out
    assert "    │ " in said.out
    assert "##[" not in said.out
    assert not any(line.lstrip().startswith("::") for line in said.out.splitlines())
    assert not (hub.root / "leaderboard").exists()


def test_a_trial_that_can_not_be_made_is_no_acceptance(hub, workspace):
    (workspace.tracks / "cpu-smoke.toml").unlink()
    assert "could not be made: there is no track" in hub.refused(entry(based_on="clever"))[0]


def test_without_a_trial(hub):
    hub.propose(entry(based_on="clever"))
    said = hub.speedrun("verify-pr", "--base", "main", "--head", "change", "--no-run")
    assert said.code == 0
    assert said.out.startswith("## ✓ accepted: mine (without a trial run)\n")
    assert "left out" in said.out


def test_a_summary_that_can_not_be_written(hub, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "no" / "such" / "folder"))
    hub.propose(entry(based_on="clever"))
    said, _ = hub.judge("--no-run")
    assert said.code == 0
    assert "can't be written" in said.err


def test_an_edited_entry(hub):
    mine = entry(based_on="clever")
    hub.rebase(**mine)
    toml = mine[f"{MINE}/submission.toml"].replace(b"Ada", b"Eve")
    hub.propose({f"{MINE}/submission.toml": toml, f"{MINE}/notes.md": b"what changed\n"})
    said, answer = hub.judge("--no-run")
    assert said.code == 0
    assert answer["is_new"] is False
    assert [(one["path"], one["done"]) for one in answer["files"]] == [
        ("notes.md", "added"),
        ("submission.toml", "edited"),
    ]
    assert answer["remarks"] == ["its authors were Ada and would be Eve"]


# ------------------------------------------------------------------------------------------------------------- refused


def test_a_foreign_file_is_refused_and_nothing_runs(hub):
    told = hub.refused({**entry(based_on="clever"), "harness/runner.py": b"# faster\n", "README.md": b"edited\n"})
    assert any(line.startswith("harness/runner.py: added in the harness") for line in told)
    assert any(line.startswith("README.md: edited in") for line in told)
    assert len(told) == 2


def test_links_submodules_programs_and_odd_names(hub):
    told = hub.refused(
        {
            **entry(based_on="clever"),
            f"{MINE}/link.py": Held(b"/etc/passwd", LINK),
            f"{MINE}/module": Held(hub.base.encode(), SUBMODULE),
            f"{MINE}/run.sh": Held(b"#!/bin/sh\n", PROGRAM),
            f"{MINE}/--output=x": b"x",
            f"{MINE}/two\nlines\u202e": b"x",
            f"{MINE}/.gitattributes": b"* filter=evil\n",
            ".gitmodules": b"x",
        }
    )
    for path, word in (
        (f"{MINE}/link.py", "link"),
        (f"{MINE}/module", "submodule"),
        (f"{MINE}/run.sh", "executable"),
        (f"{MINE}/--output=x", "letters"),
        (f"{MINE}/two\\nlines\\u202e", "letters"),
        (f"{MINE}/.gitattributes", "git would obey"),
        (".gitmodules", "git would obey"),
    ):
        assert any(line.startswith(f"{path}: ") and word in line for line in told), (path, told)


def test_names_that_differ_by_capitals(hub):
    told = hub.refused({**entry(based_on="clever"), f"{MINE}/CONFIG.py": b"x = 1\n"})
    assert any("capitals" in line for line in told)


def test_a_move_out_of_another_entry(hub):
    told = hub.refused(entry(), without=list(entry("clever")))
    assert any("2 entries are changed (clever, mine)" in line for line in told)


def test_a_deleted_entry(hub):
    assert "the entry is gone" in hub.refused({}, without=list(entry("clever")))[0]


def test_too_large_and_too_many(hub):
    assert "KiB" in hub.refused({**entry(based_on="clever"), f"{MINE}/large.md": b"word\n" * 60_000})[0]
    assert "53 files" in hub.refused({**entry(based_on="clever"), **{f"{MINE}/{n}.md": b"x" for n in range(50)}})[0]
    assert "more than 1,000 files" in hub.refused({f"{MINE}/{number}.md": b"x" for number in range(1_001)})[0]


def test_a_tree_with_a_path_in_a_name(hub):
    blob = hub.repository.blob(b"x")
    tree = hub.repository.raw_tree(("100644", f"{MINE}/config.py".encode(), blob))
    hub.repository.branch("change", hub.repository.commit(tree, hub.base))
    said, answer = hub.judge()
    assert said.code == 1
    assert "lists the name" in answer["refusals"][0]["reason"]


def test_static_rules_of_check(hub):
    files = entry(based_on="clever") | {f"{MINE}/config.py": b"import os\n", f"{MINE}/torch.py": b"x = 1\n"}
    told = hub.refused(files, without=())
    assert any(line.startswith(f"{MINE}/config.py: ") and "class Config" in line for line in told)
    assert any(line.startswith(f"{MINE}/torch.py: ") for line in told)


def test_another_entrys_code(hub):
    renamed = CODE.replace("own", "mine").replace("a =", "c =")
    told = hub.refused(entry(code=renamed))
    assert told == [
        f"{MINE}: its code is that of the entry clever, but for names, values and layout; "
        'say based_on = "clever" in submission.toml'
    ]
    hub.propose(entry(code=CODE + "\n\ndef more(a):\n    return a * 2\n"))
    said, answer = hub.judge("--no-run")
    assert said.code == 0
    assert answer["likeness"]["entry"] == "clever"
    assert answer["remarks"] == ["it is much like clever and does not say that it is based on it"]


def test_a_base_that_has_moved_on(hub):
    hub.rebase(**entry(based_on="clever"))
    hub.propose({f"{MINE}/notes.md": b"mine\n"})
    moved = hub.repository.commit(hub.files | {f"{MINE}/notes.md": b"theirs\n"}, hub.base)
    hub.repository.branch("main", moved)
    said, answer = hub.judge()
    assert said.code == 1
    assert "another state of it by now" in answer["refusals"][0]["reason"]


# ------------------------------------------------------------------------------------------------------------- records


def test_records_that_are_not_what_they_say(hub, record):
    files = entry(based_on="clever")
    right = record(files)
    change = msgspec.structs.replace
    future = datetime.now(UTC) + timedelta(days=2)
    other_source = record(files | {f"{MINE}/config.py": files[f"{MINE}/config.py"] + b"# edited\n"})
    record(files)  # the folder is as it was
    wrong = {
        "not a record": (right, b"{}"),
        "another entry's title": (change(right, entry=change(right.entry, title="Better")), None),
        "another source": (other_source, None),
        "another track": (change(record(files), track=change(right.track, sha256="0" * 64)), None),
        "an unknown track": (change(record(files), track=change(right.track, id="cpu-none")), None),
        "verified by nobody": (change(record(files), tier=Tier.VERIFIED), None),
        "in the future": (
            change(
                record(files),
                started_at=future.isoformat(timespec="seconds"),
                run_id=f"{future:%Y%m%d-%H%M%S}-mine-0001",
            ),
            None,
        ),
        "ranked, repeated": (change(record(files), series=Series(id="x", purpose="reproduce")), None),
        "below the floor": (change(record(files), score=change(right.score, loss_nats=0.2)), None),
        "padded": (right, encode(right) + b" " * 1000),
        "a name twice": (right, encode(right).replace(b'"verdict"', b'"verdict": "CRASHED",\n "verdict"', 1)),
        "large": (right, encode(change(right, log_tail="x" * 2**20))),
    }
    words = {
        "not a record": "no valid record",
        "another entry's title": "title, authors or technique",
        "another source": "another source than the folder holds (config.py)",
        "another track": "another state of cpu-smoke",
        "an unknown track": "the base does not have",
        "verified by nobody": "no signature",
        "in the future": "in the future",
        "ranked, repeated": "reproduce",
        "below the floor": "below",
        "padded": "byte for byte",
        "a name twice": "byte for byte",
        "large": "of at most 1,048,576",
    }
    for name, (made, data) in wrong.items():
        told = hub.refused({**files, path_of(made): encode(made) if data is None else data})
        assert any(line.startswith(path_of(made)) and words[name] in line for line in told), (name, told)


def test_a_record_in_anothers_place(hub, record):
    files = entry(based_on="clever")
    made = record(files)
    place = f"leaderboard/results/cpu-1min/{made.run_id}.json"
    assert "a record lies in" in hub.refused({**files, place: encode(made)})[0]


def test_one_run_handed_in_twice(hub, record, make_record):
    files = entry(based_on="clever")
    theirs = make_record(entry="clever")
    hub.rebase(**{f"leaderboard/results/cpu-smoke/{theirs.run_id}.json": encode(theirs)})
    change = msgspec.structs.replace
    twin = record(files).twin
    fresh = {"seed": 99, "twin": change(twin, seed=98), "artifact": Artifact(sha256="f" * 64, bytes=1, files=1)}
    for field, word in (("seed", "has the seed"), ("twin", "twin's seed"), ("artifact", "has the artifact")):
        made = record(files, **fresh | {field: getattr(theirs, field)})
        (told,) = hub.refused({**files, path_of(made): encode(made)})
        assert word in told
        assert theirs.run_id in told


def test_a_run_added_to_what_a_maintainer_has_made(hub, record, make_record):
    """A duel and a verification are judged by their runs: nobody hands in one more."""
    duel = "20261121-000000-duel-clever-abcd"
    verified = make_record(entry="clever", tier=Tier.VERIFIED, series=Series(id="verified-once", purpose="verify"))
    theirs = make_record(entry="clever", series=Series(id="theirs", purpose="duel"))
    hub.rebase(
        **{f"leaderboard/results/cpu-smoke/{run.run_id}.json": encode(run) for run in (verified, theirs)},
        **{f"leaderboard/duels/cpu-smoke/{duel}.json": b"{}"},
    )
    files = entry(based_on="clever")
    for series, purpose in ((duel, "duel"), ("verified-once", "verify"), (duel, "verify")):
        made = record(files, series=Series(id=series, purpose=purpose))
        (told,) = hub.refused({**files, path_of(made): encode(made)})
        assert told.startswith(f"{path_of(made)}: says that it was made in {series}, which the base has already")
    for series in ("my-own", "theirs"):
        made = record(files, series=Series(id=series, purpose="duel"))
        hub.propose({**files, path_of(made): encode(made)})
        assert hub.judge("--no-run")[0].code == 0


def test_records_that_somebody_else_may_have_made(hub, record):
    """They are accepted, for nobody can tell; a reviewer reads what they would do to the entry."""
    files = entry(based_on="clever")
    there = record(files)
    hub.rebase(**files, **{path_of(there): encode(there)})
    change = msgspec.structs.replace
    bad = record(files, score=change(there.score, loss_nats=6.6))
    failed = record(
        files,
        verdict=Verdict.CRASHED,
        scored=False,
        ranked=False,
        unranked_because=("the verdict is CRASHED",),
        score=None,
        twin=None,
        artifact=None,
    )
    hub.propose({path_of(made): encode(made) for made in (bad, failed)})
    said, answer = hub.judge("--no-run")
    assert said.code == 0, answer["refusals"]
    alone, odd, enough = answer["remarks"]
    assert "only adds results of an entry that is there already" in alone
    assert odd == f"run {bad.run_id}: its loss of 6.6 nats is far above the 5.55 that guessing gives"
    assert "has 1 self-reported runs of this very source on cpu-smoke already, which asks for 1; 1 more" in enough


def test_more_runs_of_what_has_too_few_are_welcome(hub, record):
    track = hub.root / "harness/tracks/cpu-smoke.toml"
    track.write_text(track.read_text().replace("runs = 1", "runs = 2"))
    hub.rebase(**{"harness/tracks/cpu-smoke.toml": track.read_bytes()})
    files = entry(based_on="clever")
    there, more = record(files), record(files)
    hub.rebase(**files, **{path_of(there): encode(there)})
    hub.propose({path_of(more): encode(more)})
    assert not any("already, which asks for" in remark for remark in hub.judge("--no-run")[1]["remarks"])
    edited = {f"{MINE}/notes.md": b"what changed\n"}
    other = record(files | edited)  # of another source
    hub.rebase(**{path_of(more): encode(more)})
    hub.propose({**edited, path_of(other): encode(other)})
    said, answer = hub.judge("--no-run")
    assert (said.code, answer["remarks"]) == (0, [])


def test_what_the_base_has_broken_concerns_its_own_records_alone(hub, record):
    tracks = "harness/tracks"
    files = entry(based_on="clever")
    made = record(files)
    change = {**files, path_of(made): encode(made)}
    hub.rebase(**{f"{tracks}/cpu-1min.toml": b"id = \n", "data/datasets/blueberry-1b.toml": b"no toml"})
    hub.propose(change)
    said, answer = hub.judge("--no-run")
    assert (said.code, answer["remarks"]) == (0, [])
    hub.rebase(**{"data/datasets/tales.toml": b"no toml"})
    told = hub.refused(change)
    assert any("ran on cpu-smoke, which the base has broken (manifest tales.toml" in line for line in told)
    hub.propose(files)
    assert hub.judge("--no-run")[0].code == 0


def test_signatures(hub, record, tmp_path):
    """A verified record counts when the base knows the key; a maintainers file of the change's own helps nobody."""
    keys = {}
    for name in ("ada", "eve"):
        keys[name] = tmp_path / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(keys[name])]
        subprocess.run(command, check=True, timeout=60)
    line = {name: f'{name}@x namespaces="speedrun" {(tmp_path / f"{name}.pub").read_text()}' for name in keys}
    hub.rebase(**{MAINTAINERS: line["ada"].encode()})
    files = entry(based_on="clever")
    made = record(files, tier=Tier.VERIFIED)
    data, path = encode(made), path_of(made)

    hub.propose({**files, path: data, f"{path}.sig": Signer(keys["ada"]).sign(data)})
    said, answer = hub.judge("--no-run")
    assert said.code == 0, answer
    assert answer["records"][0]["signed_by"] == "ada@x"

    forged = {**files, path: data, f"{path}.sig": Signer(keys["eve"]).sign(data)}
    assert any("not signed by a maintainer" in told for told in hub.refused(forged))
    told = hub.refused({**forged, MAINTAINERS: (line["ada"] + line["eve"]).encode()})
    assert any("not signed by a maintainer" in line for line in told)
    assert any(line.startswith(f"{MAINTAINERS}: edited in the maintainers' keys") for line in told)
    other = {**files, path: data.replace(b'"seed"', b' "seed"', 1), f"{path}.sig": Signer(keys["ada"]).sign(data)}
    assert any("not over these bytes" in line for line in hub.refused(other))


def test_a_published_record_never_changes(hub, make_record):
    theirs = make_record(entry="clever")
    path = f"leaderboard/results/cpu-smoke/{theirs.run_id}.json"
    hub.rebase(**{path: encode(theirs)})
    mine = entry(based_on="clever")
    assert any("never change" in line for line in hub.refused({**mine, path: b"{}"}))
    assert any("records stay" in line for line in hub.refused(mine, without=[path]))


# ------------------------------------------------------------------------------------------------------------- attacks


def test_nothing_of_a_head_is_executed(hub, tmp_path, monkeypatch):
    mark = tmp_path / "mark"
    python = f"open({str(mark)!r}, 'a').write(__file__)\n".encode()
    traps = {
        "sitecustomize.py": python,
        "usercustomize.py": python,
        "conftest.py": python,
        "tests/conftest.py": python,
        "setup.py": python,
        "harness/__init__.py": python,
        "harness/submission.py": python,
        "speedrun/app.py": python,
        "torch.py": python,
        "Makefile": f"all:\n\techo make >> {mark}\n$(shell echo make >> {mark})\n".encode(),
        "pyproject.toml": b'[build-system]\nbuild-backend = "evil"\nbackend-path = ["."]\n',
        "evil.py": python,
        ".gitattributes": b"* filter=evil diff=evil merge=evil\n",
        ".gitmodules": b'[submodule "x"]\n\tpath = x\n\turl = ext::sh -c touch% mark\n\tupdate = !touch mark\n',
        ".github/workflows/evil.yml": b"on: push\n",
        f"{MINE}/torch.py": python,
        f"{MINE}/json.py": python,
        f"{MINE}/conftest.py": python,
        f"{MINE}/sitecustomize.py": python,
    }
    files = {**entry(based_on="clever"), **traps}
    files[f"{MINE}/speedrun.py"] = python + files[f"{MINE}/speedrun.py"]
    files[f"{MINE}/config.py"] = python + files[f"{MINE}/config.py"]
    before = sorted(path for path in hub.root.rglob("*") if ".git" not in path.parts)
    head = hub.propose(files)
    lay_traps(hub.repository, mark)
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", str(hub.root / ".git" / "trap.sh"))
    said, answer = hub.judge()
    assert said.code == 1
    assert answer["head"] == head
    assert {one["path"] for one in answer["refusals"]} >= set(traps) - {
        f"{MINE}/conftest.py",
        f"{MINE}/sitecustomize.py",
    }
    assert not mark.exists(), mark.read_text()
    assert sorted(path for path in hub.root.rglob("*") if ".git" not in path.parts) == before  # no checkout, no rest


def test_a_replaced_head_is_judged_as_it_is(hub):
    evil = hub.propose({**entry(based_on="clever"), "harness/runner.py": b"evil\n"})
    honest = hub.repository.commit(hub.files | entry(based_on="clever"), hub.base)
    hub.repository.git("replace", evil, honest)
    said, answer = hub.judge()
    assert said.code == 1
    assert answer["refusals"][0]["path"] == "harness/runner.py"


def test_histories_merged_crosswise(hub):
    mine = hub.files | entry(based_on="clever")
    change = hub.repository.commit(mine, hub.base)
    other = hub.repository.commit(hub.files | {"NEWS": b"n"}, hub.base)
    hub.repository.branch("main", hub.repository.commit(mine | {"NEWS": b"n"}, other, change))
    hub.repository.branch("change", hub.repository.commit(mine | {"NEWS": b"n", f"{MINE}/a.md": b"x"}, change, other))
    said, answer = hub.judge()
    assert said.code == 1
    assert "rebase" in answer["refusals"][0]["reason"]


# ------------------------------------------------------------------------------------------------------------ mistakes


@pytest.mark.parametrize(
    ("base", "word"),
    [
        ("--output=x", "plain name"),
        ("HEAD@{upstream}", "plain name"),
        ("origin/main", "git fetch"),
        ("0" * 40, "git fetch"),
    ],
)
def test_refs_that_are_none(hub, base, word):
    hub.propose(entry())
    said = hub.speedrun("verify-pr", f"--base={base}", "--head", "change")
    assert (said.code, said.out) == (2, "")
    assert word in said.err
    assert said.err.count("\n") == 1
    assert not (hub.root / "x").exists()


def test_nothing_to_judge(hub):
    ahead = hub.repository.commit(hub.files | {"NEWS": b"n"}, hub.base)
    hub.repository.branch("ahead", ahead)
    hub.repository.branch("empty", hub.repository.commit(hub.files, hub.base))
    hub.repository.branch("stranger", hub.repository.commit({"a": b"a"}))
    for base, head, word in (
        ("main", "main", "is the base itself"),
        ("ahead", "main", "is part of the base already"),
        ("main", "empty", "change no file"),
        ("main", "stranger", "no common history"),
    ):
        said = hub.speedrun("verify-pr", "--base", base, "--head", head)
        assert (said.code, said.out) == (2, "")
        assert word in said.err


def test_no_repository(workspace, speedrun):
    said = speedrun("verify-pr", "--base", "main")
    assert said.code == 2
    assert "repository" in said.err
