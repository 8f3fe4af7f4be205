"""speedrun queue: who waits, in which order, with what beside it; from folders, records and git alone."""

import json
import subprocess

import msgspec
import pytest

from harness import submission
from harness.result import Author, Tier, encode
from harness.track import find_track
from leaderboard.rulings import Ruling
from leaderboard.signatures import Signer
from leaderboard.store import Store
from speedrun import queue_entries, queue_history, queue_reading, queue_words
from speedrun.waiting import track_ref
from tests.fuzzing import unsafe
from tests.git_repository import Repository, lay_traps
from tests.maintained import git, maintain, make_keys

DAY = "2026-11-{:02}T12:00:00Z"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def told(workspace, blink, make_record):
    """Stores a record of an entry's source as it lies there; `told("mine", loss_nats=1.2)` returns it."""

    def store(name, track_id=blink, *, key=None, **fields):
        track = find_track(track_id, workspace.tracks)
        source = submission.load(workspace.submissions / name, name).source
        record = make_record(entry=name, dataset_id=track.dataset, **fields)
        tier = Tier.SELF_REPORTED if key is None else Tier.VERIFIED
        record = msgspec.structs.replace(record, source=source, track=track_ref(track), tier=tier)
        Store(workspace.results).add(record, None if key is None else Signer(key).sign(encode(record)))
        return record

    return store


@pytest.fixture
def queue(blink, speedrun):
    """The answer of `speedrun queue`."""

    def ask(*options):
        said = speedrun("queue", *options, "--json")
        assert said.err == "", said
        return json.loads(said.out)

    return ask


def edit(workspace, name, text="\n"):
    with (workspace.submissions / name / "speedrun.py").open("a") as stream:
        stream.write(text)


# --------------------------------------------------------------------------------------------------------- who waits


def test_the_oldest_source_comes_first(workspace, entry, told, queue, keys):
    """By the commit that brought the source in, whatever the records say, and whatever was edited since."""
    entry("zoe")
    maintain(workspace, keys, at=DAY.format(1))
    for day, name in ((2, "ben"), (3, "ada"), (4, "cat")):
        entry(name)
        git(workspace.root, "add", "-A")
        git(workspace.root, "commit", "-q", "-m", name, at=DAY.format(day))
    edit(workspace, "ben")
    git(workspace.root, "commit", "-q", "-a", "-m", "ben again", at=DAY.format(5))
    for name in ("cat", "ben", "ada", "zoe"):
        told(name)
    rows = queue("--track", "cpu-blink")["waiting"]
    assert [(row["place"], row["entry"], row["since"][:10]) for row in rows] == [
        (1, "zoe", "2026-11-01"),
        (2, "ada", "2026-11-03"),
        (3, "cat", "2026-11-04"),
        (4, "ben", "2026-11-05"),
    ]
    assert {(row["since_by"], row["verifiable"], row["note"]) for row in rows} == {("commit", True, "")}


def test_a_merge_counts_and_not_the_dates_of_what_it_brings(workspace, entry, queue, keys):
    """Whoever dates his commits back jumps no queue."""
    maintain(workspace, keys, at=DAY.format(1))
    entry("first")
    git(workspace.root, "add", "-A")
    git(workspace.root, "commit", "-q", "-m", "first", at=DAY.format(3))
    git(workspace.root, "checkout", "-q", "-b", "theirs", "HEAD~1")
    entry("sly")
    git(workspace.root, "add", "-A")
    git(workspace.root, "commit", "-q", "-m", "sly", at="2020-01-01T12:00:00Z")
    git(workspace.root, "checkout", "-q", "main")
    git(workspace.root, "merge", "-q", "--no-ff", "-m", "merge", "theirs", at=DAY.format(4))
    rows = queue("--track", "cpu-blink")["waiting"]
    assert [(row["entry"], row["since"]) for row in rows] == [("first", DAY.format(3)), ("sly", DAY.format(4))]


def test_what_a_row_says(workspace, entry, told, queue, keys, speedrun):
    entry("mine")
    maintain(workspace, keys, at=DAY.format(2))
    told("mine", loss_nats=1.6)
    told("mine", loss_nats=1.4)
    (row,) = queue("--track", "cpu-blink")["waiting"]
    assert row["authors"] == [{"name": "Ada", "link": "https://example.org/ada"}]
    assert (row["title"], row["why"]) == ("Bigram table", "its own results are not verified")
    assert (row["claim"]["loss_nats"], row["claim"]["runs"], row["claim"]["practice"]) == (1.4, 2, False)
    assert (row["runs_made"], row["runs_asked"]) == (0, 1)
    assert row["expected_s"] == pytest.approx(600.0 + 5.5)  # the track's limit, and what its records took besides
    page = speedrun("queue", "--track", "cpu-blink").out
    assert "1  mine   Bigram table  Ada      2026-11-02   loss 1.4000, 2 runs    0 of 1         10 min" in page
    assert "next  speedrun verify --all --track cpu-blink --key FILE" in page


def test_verified_runs_count_and_whoever_is_settled_waits_no_more(workspace, entry, told, queue, keys, speedrun):
    track = workspace.tracks / "cpu-blink.toml"
    track.write_text(track.read_text().replace("runs = 1", "runs = 2"))
    for name in ("half", "done", "cheat", "forged"):
        entry(name)
    maintain(workspace, keys)
    for name in ("half", "done", "cheat", "forged"):
        told(name)
    told("half", key=keys / "ada")
    for _ in range(2):
        told("done", key=keys / "ada")
        told("forged", key=keys / "eve")  # signed by nobody who counts: one more that he made himself
    told("cheat", key=keys / "ada", verdict="PRETRAINED")
    answer = queue("--track", "cpu-blink")
    assert [(row["entry"], row["runs_made"], row["runs_asked"]) for row in answer["waiting"]] == [
        ("forged", 0, 2),
        ("half", 1, 2),
    ]
    assert answer["not_waiting"] == {"does not stand": 1, "stands": 1}
    assert "not waiting on cpu-blink: 1 × does not stand, 1 × stands" in speedrun("queue", "--track", "cpu-blink").out


def test_retracted_runs_ask_for_nothing(workspace, entry, told, queue, keys):
    entry("mine")
    maintain(workspace, keys)
    record = told("mine")
    ruling = Ruling(run_id=record.run_id, kind="retraction", reason="wrong", made_at="2026-11-22T12:00:00Z")
    workspace.rulings.mkdir()
    (workspace.rulings / f"{record.run_id}.retraction.json").write_bytes(msgspec.json.encode(ruling))
    answer = queue("--track", "cpu-blink")
    assert (answer["waiting"], answer["not_waiting"]) == ([], {"withdrawn": 1})


def test_without_results_it_waits_on_whichever_track_is_named(workspace, entry, told, queue, keys, speedrun):
    for name in ("blank", "other"):
        entry(name)
    maintain(workspace, keys, at=DAY.format(2))
    told("other", "cpu-smoke")
    (row,) = queue("--track", "cpu-blink")["waiting"]
    assert (row["entry"], row["track"], row["note"]) == ("blank", "cpu-blink", "it has no results yet")
    assert (row["claim"], row["runs_asked"]) == (None, 1)
    # Named none, it is listed once and not on every track; the other one where its results are.
    rows = queue()["waiting"]
    assert [(row["entry"], row["track"], row["expected_s"] is None) for row in rows] == [
        ("blank", None, True),
        ("other", "cpu-smoke", False),
    ]
    assert "Track" in speedrun("queue").out


def test_a_source_that_changed_waits_and_says_so(workspace, entry, told, queue, keys):
    entry("mine")
    maintain(workspace, keys, at=DAY.format(2))
    told("mine")
    told("mine", key=keys / "ada")
    assert queue("--track", "cpu-blink")["not_waiting"] == {"stands": 1}
    edit(workspace, "mine")
    git(workspace.root, "commit", "-q", "-a", "-m", "mine again", at=DAY.format(7))
    (row,) = queue("--track", "cpu-blink")["waiting"]
    assert (row["note"], row["since"][:10], row["claim"], row["runs_made"]) == (
        "its source changed since its results",
        "2026-11-07",
        None,
        0,
    )


# ----------------------------------------------------------------------------------------------- what is not in order


def _edited(workspace):
    edit(workspace, "mine")


def _added(workspace):
    (workspace.submissions / "mine" / "more.py").write_text("x = 1\n")


def _ignored(workspace):
    with (workspace.root / ".git" / "info" / "exclude").open("a") as stream:
        stream.write("more.py\n")
    _added(workspace)


def _deleted(workspace):
    (workspace.submissions / "mine" / "README.md").unlink()


def _staged(workspace):
    _edited(workspace)
    git(workspace.root, "add", "-A")


@pytest.mark.parametrize("spoil", [_edited, _added, _ignored, _deleted, _staged])
def test_what_is_not_committed_as_it_is_cannot_be_verified_yet(workspace, entry, told, queue, keys, spoil):
    folder = entry("mine")
    (folder / "README.md").write_text("A table.\n")
    maintain(workspace, keys)
    assert queue("--track", "cpu-blink")["waiting"][0]["verifiable"]
    spoil(workspace)
    record = told("mine")
    (row,) = queue("--track", "cpu-blink")["waiting"]
    assert (row["verifiable"], row["note"]) == (False, "not committed as it is, so it can't be verified yet")
    assert (row["since"], row["since_by"]) == (record.started_at, "record")


def test_left_behind_by_python_and_editors_is_no_change(workspace, entry, queue, keys):
    folder = entry("mine")
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "speedrun.cpython-311.pyc").write_bytes(b"x")
    maintain(workspace, keys)
    (folder / "__pycache__" / "speedrun.cpython-311.pyc").write_bytes(b"y")
    assert queue("--track", "cpu-blink")["waiting"][0]["verifiable"]


def test_without_git_it_goes_by_the_records(workspace, entry, told, queue, speedrun):
    for name in ("one", "two", "none"):
        entry(name)
    later = told("two", started_at="2026-11-22T12:00:00Z")
    earlier = told("one", started_at="2026-11-21T12:00:00Z")
    told("one", started_at="2026-11-23T12:00:00Z")
    answer = queue("--track", "cpu-blink")
    assert [(row["entry"], row["since"], row["since_by"]) for row in answer["waiting"]] == [
        ("one", earlier.started_at, "record"),
        ("two", later.started_at, "record"),
        ("none", None, "nothing"),
    ]
    assert not any(row["verifiable"] for row in answer["waiting"])
    assert "no git repository" in answer["remark"]
    assert "without git's dates: this checkout is no git repository" in speedrun("queue").out


def test_the_end_of_a_history_tells_no_dates(workspace, entry, told, queue, keys, tmp_path, monkeypatch):
    entry("mine")
    maintain(workspace, keys)
    git(workspace.root, "commit", "-q", "--allow-empty", "-m", "nothing")
    record = told("mine")
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", "--depth", "1", workspace.root.as_uri(), clone], check=True)
    workspace.results.rename(clone / "leaderboard" / "results")
    monkeypatch.setenv("SPEEDRUN_ROOT", str(clone))
    answer = queue("--track", "cpu-blink")
    assert [(row["since"], row["verifiable"]) for row in answer["waiting"]] == [(record.started_at, True)]
    assert "git fetch --unshallow" in answer["remark"]


def test_who_breaks_a_rule_is_listed_with_why_at_the_end(workspace, entry, told, keys, speedrun):
    entry("fine")
    entry("broken", config="x = 1\n")
    (workspace.submissions / "Odd Name").mkdir()
    (workspace.submissions / "link").symlink_to(workspace.submissions / "fine")
    (workspace.submissions / "_notes").mkdir()
    (workspace.submissions / "file.txt").write_text("x\n")
    maintain(workspace, keys)
    said = speedrun("queue", "--track", "cpu-blink", "--json")
    assert said.code == 1
    answer = json.loads(said.out)
    assert [row["entry"] for row in answer["waiting"]] == ["fine"]
    refused = {row["entry"]: row["because"] for row in answer["refused"]}
    assert refused.keys() == {"Odd Name", "broken", "link"}
    assert refused["broken"].startswith("config.py: ")
    assert "the folder is a link" in refused["link"]
    lines = speedrun("queue").out.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("✗ broken breaks a rule: config.py: "))
    assert at > next(number for number, line in enumerate(lines) if " fine " in line)


def test_nothing_of_an_entry_is_imported(workspace, entry, queue, keys, tmp_path):
    mark = tmp_path / "mark"
    entry("mine", config=f"open({str(mark)!r}, 'w')\n", speedrun=f"open({str(mark)!r}, 'w')\n")
    maintain(workspace, keys)
    assert queue_entries.problems([workspace.submissions / "mine"])[0]
    assert not mark.exists()


def test_a_broken_record_is_named_and_the_others_count(workspace, entry, told, keys, speedrun):
    entry("mine")
    maintain(workspace, keys)
    told("mine")
    (workspace.results / "cpu-blink" / "20261121-141530-mine-3f9a.json").write_text("{")
    said = speedrun("queue", "--track", "cpu-blink")
    assert said.code == 1
    assert "broken file results/cpu-blink/20261121-141530-mine-3f9a.json" in said.err
    assert "mine" in said.out


def test_an_unknown_track_is_one_line(speedrun):
    said = speedrun("queue", "--track", "cpu-1mn")
    assert said.code == 2
    assert "there is no track 'cpu-1mn': did you mean cpu-1min" in said.err


def test_nobody_waits(workspace, blink, speedrun):
    said = speedrun("queue", "--track", blink)
    assert said.code == 0
    assert "nobody waits for a verification on cpu-blink" in said.out


# ------------------------------------------------------------------------------------------------- strangers, and many


CARD = """title = "[bold]x[/bold] \\u001b[2J ::error::x"
technique = "none"
[[authors]]
name = "\\u202eeve\\u200b ##[error]x"
[[authors]]
name = "{long}"
"""


def test_hostile_titles_and_authors_are_text(workspace, blink, entry, queue, keys, speedrun, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    folder = entry("mine")
    (folder / "submission.toml").write_text(CARD.format(long="x" * 5000))
    maintain(workspace, keys)
    said = speedrun("queue", "--track", blink)
    assert not unsafe(said.out + said.err)
    assert said.code == 1  # no such card passes the rules
    # Where it would pass them (they may change), the words are text all the same.
    monkeypatch.setattr(queue_entries, "problems", lambda folders: [() for _ in folders])
    for width in ("30", "60", "220"):
        monkeypatch.setenv("COLUMNS", width)
        said = speedrun("queue", "--track", blink)
        assert said.code == 0
        assert not unsafe(said.out)
        assert max(map(len, said.out.splitlines())) < 400
        assert not [line for line in said.out.splitlines() if line.lstrip().startswith("::") or "##[" in line]
    assert "[bold]x[/bold]" in said.out
    assert queue("--track", blink)["waiting"][0]["authors"][1]["name"] == "x" * 5000


def test_a_card_that_is_none_has_no_words(workspace, entry):
    for number, text in enumerate(("title = 3\n", "authors = [1]\n", "=", "title = 'x'\n" * 4000, "")):
        folder = entry(f"mine{number}")
        (folder / "submission.toml").write_text(text)
    assert {(found.title, found.authors) for found in queue_entries.each(workspace.submissions)} == {("", ())}


def test_no_program_of_the_repository_runs(workspace, entry, keys, tmp_path):
    entry("mine")
    maintain(workspace, keys)
    before = queue_history.read(workspace.root, workspace.submissions)
    mark = tmp_path / "mark"
    lay_traps(Repository(workspace.root), mark)
    history = queue_history.read(workspace.root, workspace.submissions)
    assert not mark.exists()
    assert history == before
    assert history.files["mine"].keys() == {"config.py", "speedrun.py", "submission.toml"}


def test_two_thousand_entries_take_three_questions_to_git(workspace, blink, make_record, keys, monkeypatch):
    """To ask it once for every entry would take minutes."""
    speedrun_py = "def setup(run): ...\ndef train(run, model): ...\ndef predict(model, tokens): ...\n"
    config = (
        "from dataclasses import dataclass\n\n\n@dataclass(frozen=True)\nclass Config:\n    x: int = 1\n\n\n"
        "def get_config(track_id):\n    return Config()\n"
    )
    for number in range(2000):
        folder = workspace.submissions / f"entry-{number:04}x"
        folder.mkdir(parents=True)
        (folder / "config.py").write_text(config)
        (folder / "speedrun.py").write_text(speedrun_py)
        (folder / "submission.toml").write_text(
            f'title = "Number {number}"\ntechnique = "none"\n[[authors]]\nname = "Ada {number}"\n'
        )
    maintain(workspace, keys, at=DAY.format(2))
    asked, ask = [], subprocess.Popen

    def counted(arguments, *rest, **options):
        asked.append(arguments[0])
        return ask(arguments, *rest, **options)

    monkeypatch.setattr(subprocess, "Popen", counted)
    answer = queue_reading.read(workspace, blink)
    assert asked == ["git"] * 3
    assert answer.refused == ()
    assert [row.place for row in answer.waiting] == list(range(1, 2001))
    assert all(row.verifiable and row.since == DAY.format(2) for row in answer.waiting)
    assert answer.waiting[1234].authors == (Author(name="Ada 1234"),)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.0, "0 s"), (119.0, "119 s"), (120.0, "2 min"), (7199.0, "120 min"), (9000.0, "2.5 h"), (1e6, "11.6 days"),
     (float("inf"), "–"), (float("nan"), "–")],
)  # fmt: skip
def test_how_long_it_takes_is_said_in_few_digits(seconds, words):
    assert queue_words.lasting(seconds) == words
