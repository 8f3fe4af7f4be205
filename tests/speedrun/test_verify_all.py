"""speedrun verify --all: a queue worked off, with real runs and signatures, and what is left when it is stopped."""

import json
import re
import shutil
import signal
import subprocess

import pytest

from harness.errors import UserError
from harness.result import Tier, Verdict
from harness.track import find_track
from leaderboard.store import Store
from speedrun import queue_reading
from speedrun.answers import Verified
from speedrun.commands import verify_all as command
from speedrun.queue_work import plan, work_off
from speedrun.waiting import track_ref
from tests.fuzzing import unsafe
from tests.leaderboard.whole import read_all
from tests.maintained import git, maintain, make_keys
from tests.speedrun.process import SPEEDRUN

PEEKS = """logits = model.table[tokens].clone()  # and knows what comes next, even at the start line
    if tokens.shape[1] > 1:
        logits[:, :-1].scatter_(2, tokens[:, 1:, None], 20.0)
    return logits"""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def checkout(workspace, blink, entry, keys):
    """A repository with these entries, the first one the oldest: `checkout("old", "new")`; `cheats` peeks."""

    def make(*names):
        be_patient(workspace.tracks / f"{blink}.toml")
        maintain(workspace, keys, at="2026-11-01T12:00:00Z")
        for day, name in enumerate(names, start=2):
            source = entry(name) / "speedrun.py"
            if name == "cheats":
                source.write_text(source.read_text().replace("return model.table[tokens]", PEEKS))
            if name == "broken":
                source.write_text("x = 1\n")
            git(workspace.root, "add", "-A")
            git(workspace.root, "commit", "-q", "-m", name, at=f"2026-11-{day:02}T12:00:00Z")
        return workspace

    return make


def be_patient(track):
    """Limits that no machine reaches: how many runs a verification takes must not hang on how fast it loads torch."""
    text, raised = re.subn(
        r"^(setup_s|load_s|evaluation_s) = .*$", r"\1 = 600.0", track.read_text(), flags=re.MULTILINE
    )
    assert raised == 3
    track.write_text(text)


@pytest.fixture
def verify(speedrun, keys):
    """`speedrun verify --all` by ada on the small track."""

    def run(*options):
        return speedrun("verify", "--all", "--track", "cpu-blink", "--key", keys / "ada", *options)

    return run


# ------------------------------------------------------------------------------------------------- refused beforehand


def _dirty(checkout, keys):
    (checkout.template / "config.py").write_text("x = 1\n")


def _expired(checkout, keys):
    public = (keys / "ada.pub").read_text()
    (checkout.results.parent / "maintainers").write_text(f'ada valid-before="20200101" {public}')
    git(checkout.root, "commit", "-q", "-a", "-m", "expired")


def _no_repository(checkout, keys):
    shutil.rmtree(checkout.root / ".git")


def _no_device(checkout, keys):
    track = checkout.tracks / "cpu-blink.toml"
    text = track.read_text()
    assert "memory_gib = " in text
    track.write_text(text.replace("memory_gib = ", "memory_gib = 1_000_00"))
    git(checkout.root, "commit", "-q", "-a", "-m", "a track for a huge machine")


def _too_few(checkout, keys):
    track = checkout.tracks / "cpu-blink.toml"
    track.write_text(track.read_text().replace("runs = 1", "runs = 3"))
    git(checkout.root, "commit", "-q", "-a", "-m", "three runs")
    return "--runs", "2"


@pytest.mark.parametrize(
    ("prepare", "words"),
    [
        (_dirty, "not committed"),
        (_expired, "not valid today"),
        (_no_repository, "no git repository"),
        (_no_device, "of memory"),
        (_too_few, "asks for 3 runs"),
        (lambda checkout, keys: ("--key", keys / "eve"), "is nobody's in leaderboard/maintainers"),
        (lambda checkout, keys: ("--level", "landlock"), "level namespaces or uid, this is landlock"),
        (lambda checkout, keys: ("--level", "none"), "level namespaces or uid, this is none"),
    ],
)
def test_what_takes_a_person_to_mend_stops_before_anything_runs(checkout, verify, keys, prepare, words):
    workspace = checkout("one", "two")
    said = verify(*(prepare(workspace, keys) or ()))
    assert said.code == 2, said
    assert words in said.err.splitlines()[-1]
    assert not workspace.results.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "say whom to verify: NAME, or --all"),
        (("mine", "--all"), "NAME and --all exclude each other"),
        (("mine", "--limit", "2"), "--limit goes with --all"),
    ],
)
def test_a_name_or_all_of_them(speedrun, arguments, words):
    said = speedrun("verify", *arguments, "--track", "cpu-blink", "--key", "missing")
    assert said.code == 2
    assert words in said.err
    assert len(said.err.splitlines()) == 1


# ------------------------------------------------------------------------------------------------ whole verifications


@pytest.mark.sandbox
def test_the_queue_is_worked_off_in_order_whatever_one_entry_does(checkout, verify, speedrun):
    """A cheat in the middle, a broken entry, a limit; then the rest, and then nobody is left."""
    workspace = checkout("old", "cheats", "broken", "new")
    said = verify("--limit", "2", "--json")
    assert said.code == 1, said  # the broken one can't be settled
    answer = json.loads(said.out)
    assert (answer["kind"], answer["track"], answer["left"]) == ("verify-all", "cpu-blink", ["new"])
    told = [(each["entry"], each["outcome"], len(each["run_ids"]), each["is_record"]) for each in answer["entries"]]
    assert told == [
        ("old", "stands", 1, True),
        ("cheats", "does not stand", 1, False),
        ("broken", "not settled", 0, False),
    ]
    assert "PRETRAINED" in answer["entries"][1]["because"]
    assert answer["entries"][2]["because"].startswith("speedrun.py: does not define setup(run)")
    assert "1 of 2: old: stands, 1 verified run; record 1" in said.err
    assert "2 of 2: cheats: does not stand, run " in said.err
    held = read_all(Store(workspace.results)).records
    assert [(each.record.entry.name, each.record.tier, each.signer) for each in held] == [
        ("old", Tier.VERIFIED, "ada@example.org"),
        ("cheats", Tier.VERIFIED, "ada@example.org"),
    ]
    assert {file for each in answer["entries"] for file in each["files"]} == {
        f"leaderboard/results/{each.path}{ending}" for each in held for ending in ("", ".sig")
    }

    said = verify()
    assert said.code == 1, said
    assert "1 of 1: new: stands" in said.err
    assert "1 of 2 settled, 0 left; 2 files written" in said.out
    shutil.rmtree(workspace.submissions / "broken")
    git(workspace.root, "commit", "-q", "-a", "-m", "without it")
    said = verify()
    assert (said.code, len(Store(workspace.results).load().records)) == (0, 3)
    assert "nobody waited for a verification on cpu-blink" in said.out
    assert "1 × does not stand, 2 × stands" in speedrun("queue", "--track", "cpu-blink").out
    # More runs of each: the one that is there counts.
    answer = json.loads(verify("--runs", "2", "--limit", "1", "--json").out)
    assert [(each["entry"], len(each["run_ids"])) for each in answer["entries"]] == [("old", 1)]
    assert answer["left"] == ["new"]


@pytest.mark.sandbox
def test_a_fault_in_the_middle_stops_nobody(checkout, verify, monkeypatch):
    """The second entry's verification dies of a fault of ours; asked again, it alone is left."""
    workspace = checkout("one", "two", "three")
    real = command.verify

    def faulty(workspace, name, *rest, **options):
        if name == "two":
            raise ZeroDivisionError("\x1b[2J a fault of ours")
        return real(workspace, name, *rest, **options)

    monkeypatch.setattr(command, "verify", faulty)
    said = verify("--json")
    assert said.code == 1, said
    assert not unsafe(said.err)
    answer = json.loads(said.out)
    assert [(each["entry"], each["outcome"]) for each in answer["entries"]] == [
        ("one", "stands"),
        ("two", "not settled"),
        ("three", "stands"),
    ]
    assert "internal error: ZeroDivisionError" in answer["entries"][1]["because"]
    assert "2 of 3: two: not settled, internal error: ZeroDivisionError: [2J a fault of ours" in said.err

    monkeypatch.setattr(command, "verify", real)
    said = verify()
    assert said.code == 0, said
    assert [run.entry.name for run in Store(workspace.results).load().records] == ["one", "three", "two"]
    assert "1 of 1 settled, 0 left" in said.out


@pytest.mark.sandbox
def test_ctrl_c_stops_the_run_and_says_what_is_done_and_what_is_left(checkout, entry, keys, speedrun):
    workspace = checkout("one")
    for day, name in ((3, "slow"), (4, "three")):
        config = entry(name) / "config.py"
        if name == "slow":
            config.write_text(config.read_text().replace("patience_s: float = 0.0", "patience_s: float = 500.0"))
        git(workspace.root, "add", "-A")
        git(workspace.root, "commit", "-q", "-m", name, at=f"2026-11-{day:02}T12:00:00Z")
    # In its own process, so that the signal is real.
    command = [*SPEEDRUN, "verify", "--all", "--track", "cpu-blink", "--key", keys / "ada"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        heard = []
        for line in process.stderr:
            heard.append(line)
            if line.startswith("training") and any(each.startswith("1 of 3: one: stands") for each in heard):
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 130, (heard, out, err)
    assert "interrupted: 1 of 2 settled, 1 left; 4 files written" in out
    assert "left  three" in out
    held = read_all(Store(workspace.results)).records
    assert [(each.record.entry.name, each.record.verdict, each.signer) for each in held] == [
        ("one", Verdict.OK, "ada@example.org"),
        ("slow", Verdict.INTERRUPTED, "ada@example.org"),
    ]
    left = queue_reading.read(workspace, "cpu-blink")
    assert [row.entry for row in left.waiting] == ["slow", "three"]


# ---------------------------------------------------------------------------------------------- the order by itself


@pytest.fixture
def verified(workspace):
    """What a verification of an entry could answer."""

    def make(name, outcome="stands", *, interrupted=False):
        return Verified(
            entry=name, source_sha256="", track=track_ref(find_track("cpu-blink", workspace.tracks)), records=(),
            files=(), run_ids=(), runs_asked=1, losses_nats=(), loss_nats=None, train_s=None, outcome=outcome,
            because="so", place=None, is_record=False, record_words="", interrupted=interrupted,
        )  # fmt: skip

    return make


def test_every_ending_of_one_is_told_and_the_next_one_begins(checkout, verified):
    names = ("stands", "falls", "refused", "fault", "unsettled", "last")
    planned = plan(queue_reading.read(checkout(*names), "cpu-blink"), None)
    told = []

    def verify_one(name):
        match name:
            case "refused":
                raise UserError("the source is not committed; commit it")
            case "fault":
                raise MemoryError
        return verified(name, {"falls": "does not stand", "unsettled": "not settled"}.get(name, "stands"))

    done = work_off(planned.now, verify_one, lambda entry, number: told.append((number, entry.entry, entry.outcome)))
    outcomes = ("stands", "does not stand", "not settled", "not settled", "not settled", "stands")
    assert told == list(zip(range(1, 7), names, outcomes, strict=True))
    assert [each.because for each in done.entries[2:4]] == [
        "the source is not committed; commit it",
        "internal error: MemoryError: ; SPEEDRUN_DEBUG=1 shows the traceback",
    ]
    assert (done.left, done.interrupted) == ((), False)


@pytest.mark.parametrize("where", ["before its first run", "after a run"])
def test_whoever_asks_to_stop_is_obeyed(checkout, verified, where):
    planned = plan(queue_reading.read(checkout("a", "b", "c", "d"), "cpu-blink"), 3)

    def verify_one(name):
        if name == "b" and where == "before its first run":
            raise KeyboardInterrupt
        return verified(name, "not settled" if name == "b" else "stands", interrupted=name == "b")

    done = work_off(planned.now, verify_one, lambda entry, number: None)
    assert done.interrupted
    began = ["a"] if where == "before its first run" else ["a", "b"]
    assert [each.entry for each in done.entries] == began
    assert [each.entry for each in done.left] == ["b", "c"][len(began) - 1 :]
    assert [each.entry for each in planned.later] == ["d"]


def test_what_is_not_committed_is_told_and_takes_nobodys_turn(checkout, verified):
    workspace = checkout("a", "b", "broken")
    (workspace.submissions / "a" / "more.py").write_text("x = 1\n")
    planned = plan(queue_reading.read(workspace, "cpu-blink"), 1)
    assert [each.entry for each in planned.now] == ["b"]
    assert [(each.entry, each.outcome) for each in planned.impossible] == [
        ("a", "not settled"),
        ("broken", "not settled"),
    ]
    assert "not committed as it is" in planned.impossible[0].because
