"""The rules over a list of changes, and the page that tells them. No repository and no run."""

import io

import msgspec
import pytest
from rich.console import Console

from harness.folder import MAX_BYTES
from harness.git_objects import Change
from harness.git_tree import Item
from harness.result import Author, Entry, Level, SourceFile, Verdict
from speedrun import pull_request_page
from speedrun.answers import JudgedChange, Trial
from speedrun.pull_request import (
    MOST_RECORDS,
    Likeness,
    Refusal,
    copy_refusal,
    file_changes,
    folder_refusals,
    nearest_entry,
    sort_changes,
)

OLD, NEW = Item("100644", "1" * 40), Item("100644", "2" * 40)
MINE = "speedrun/submissions/mine"
RUN = "leaderboard/results/cpu-1min/20261121-141530-mine-{:04x}.json"


def added(path, mode="100644"):
    return Change(path, None, Item(mode, "2" * 40))


def told(*changes, entries=("baseline",)):
    return sort_changes(changes, entries)


def only(*changes, entries=("baseline",)):
    """The one refusal."""
    (refused,) = told(*changes, entries=entries).refusals
    assert refused.path.isascii()
    return refused


def test_an_entry_and_its_records():
    record = RUN.format(1)
    change = told(
        added(f"{MINE}/config.py"),
        Change(f"{MINE}/deep/er/a.py", OLD, NEW),
        Change(f"{MINE}/gone.py", OLD, None),
        added(record),
        added(f"{record}.sig"),
    )
    assert change.refusals == ()
    assert change.entry == "mine"
    assert [one.path for one in change.records] == [record]
    assert change.signatures == {record: NEW}


@pytest.mark.parametrize(
    ("path", "word"),
    [
        ("harness/runner.py", "the harness"),
        ("harness/tracks/cpu-1min.toml", "a track's rules"),
        ("RULES.md", "the rules"),
        (".github/workflows/verify-submission.yml", "CI"),
        (".ci/run", "CI"),
        ("Makefile", "CI"),
        ("template/speedrun.py", "the template"),
        ("data/datasets/tales.toml", "data sets"),
        ("tests/conftest.py", "the tests"),
        ("conftest.py", "the repository's own files"),
        ("pyproject.toml", "the repository's own files"),
        ("leaderboard/published/records.json", "published results"),
        ("leaderboard/rulings/20261121-141530-mine-0001.waiver.json", "rulings"),
        ("leaderboard/duels/cpu-1min/a.json", "duels"),
        ("leaderboard/maintainers", "maintainers' keys"),
        ("leaderboard/README.md", "the board"),
        ("leaderboard/stats.py", "the leaderboard"),
        ("leaderboard/results/cpu-1min/notes.txt", "the results"),
        ("leaderboard/results/20261121-141530-mine-0001.json", "the results"),
        ("leaderboard/results/a/b/20261121-141530-mine-0001.json", "the results"),
        ("leaderboard/results/CPU/20261121-141530-mine-0001.json", "the results"),
        ("speedrun/app.py", "the command line"),
        ("speedrun/submissions/loose.py", "not an entry's own"),
        ("Speedrun/Submissions/mine/a.py", "differs by capitals"),
        ("leaderboard/Results/cpu-1min/20261121-141530-mine-0001.json", "differs by capitals"),
    ],
)
@pytest.mark.parametrize("done", ["added", "edited", "deleted"])
def test_everything_else_is_refused_by_name(path, word, done):
    change = Change(path, None if done == "added" else OLD, None if done == "deleted" else NEW)
    (refused,) = told(added(f"{MINE}/config.py"), change).refusals
    assert refused.path == path
    assert word in refused.reason
    assert done in refused.reason or "capitals" in refused.reason


@pytest.mark.parametrize(
    ("mode", "word"),
    [("120000", "a link"), ("160000", "a submodule"), ("100755", "executable"), ("100664", "mode 100664")],
)
@pytest.mark.parametrize("path", [f"{MINE}/a.py", RUN.format(1), f"{RUN.format(1)}.sig", "harness/runner.py"])
def test_only_plain_files(path, mode, word):
    refused = next(one for one in told(added(f"{MINE}/b.py"), added(path, mode)).refusals if one.path == path)
    assert word in refused.reason


@pytest.mark.parametrize(
    "name",
    [".gitattributes", ".gitmodules", ".git", ".GIT", ".gitignore", ".Gitattributes"],
)
@pytest.mark.parametrize("folder", [MINE, f"{MINE}/deep", "", "tests"])
def test_what_git_obeys(folder, name):
    path = f"{folder}/{name}".lstrip("/")
    assert "git would obey" in next(one for one in told(added(path)).refusals if one.path == path).reason


@pytest.mark.parametrize(
    "name",
    [
        "a\nb.py",
        "--output=x",
        "a b.py",
        "..",
        ".",
        "\u202eyp.a",
        "\u0441onfig.py",
        "a\\b",
        "git~1",
        ".g\u200cit",
        "a:b",
        "",
    ],
)
def test_names_that_hide_something(name):
    (refused,) = told(added(f"{MINE}/a.py"), added(f"{MINE}/{name}/x.py")).refusals
    assert "letters, digits" in refused.reason
    assert refused.path.isascii()
    assert refused.path.isprintable()


def test_records_never_change():
    mine, path = added(f"{MINE}/a.py"), "leaderboard/results/cpu-1min/20261121-141530-baseline-0001.json"
    assert "never change" in only(mine, Change(path, OLD, NEW)).reason
    assert "records stay" in only(mine, Change(path, OLD, None)).reason
    assert "never change" in only(mine, Change(f"{path}.sig", OLD, NEW)).reason
    assert "records stay" in only(mine, Change(f"{path}.sig", OLD, None)).reason


def test_a_signature_without_its_record():
    assert "does not add" in only(added(f"{MINE}/a.py"), added(f"{RUN.format(1)}.sig")).reason


def test_exactly_one_entry():
    assert "no entry" in only().reason
    both = told(added(f"{MINE}/a.py"), Change("speedrun/submissions/baseline/config.py", OLD, NEW))
    assert both.entry is None
    assert "2 entries are changed (baseline, mine)" in both.refusals[0].reason
    assert "2 entries" in only(added("speedrun/submissions/other/a.py"), added(RUN.format(1))).reason
    assert told(added(RUN.format(1)), entries=("mine",)).entry == "mine"  # records alone


@pytest.mark.parametrize("name", ["Mine", "mi ne", "..", "m\u0456ne", "x" * 41, "-mine", "--base", "a\nb"])
def test_names_that_no_entry_has(name):
    change = told(added(f"speedrun/submissions/{name}/config.py"))
    assert change.entry is None
    assert change.refusals


@pytest.mark.parametrize("name", ["base1ine", "base-line", "basel1ne"])
def test_look_alikes(name):
    entries = ("baseline", "base_line")
    assert "would take it for" in only(added(f"speedrun/submissions/{name}/a.py"), entries=entries).reason
    assert told(added(f"speedrun/submissions/{name}/a.py"), entries=(*entries, name)).refusals == ()


def test_too_many_records():
    change = told(*(added(RUN.format(number)) for number in range(MOST_RECORDS + 1)))
    assert str(MOST_RECORDS) in change.refusals[0].reason
    assert len(change.records) == MOST_RECORDS


def test_the_folder_of_an_entry():
    def refused(files, sizes=None):
        return [f"{one.path} {one.reason}" for one in folder_refusals("mine", files, sizes or dict.fromkeys(files, 10))]

    assert refused({"config.py": NEW, "a/b.py": NEW}) == []
    assert "is gone" in refused({})[0]
    assert "51 files" in refused({f"{number}.py": NEW for number in range(51)})[0]
    assert "KiB" in refused({"a.py": NEW}, {"a.py": MAX_BYTES + 1})[0]
    for path, word in (
        ("__pycache__/a.pyc", "left behind"),
        (".vscode/settings.json", "left behind"),
        ("a.pyc", "left behind"),
        ("../a.py", "no path"),
        ("a/b/c/d/e/f.py", "no path"),
        ("a\nb", "no path"),
    ):
        (one,) = refused({path: NEW})
        assert word in one
    (one,) = refused({"a.py": Item("120000", "1" * 40)})
    assert "link" in one


def source(**files):
    return [SourceFile(path=f"{name}.py", text=text, sha256="") for name, text in files.items()]


def test_what_became_of_the_files():
    changed = file_changes(source(a="1\n2\n3\n", b="x\n", c="same"), source(a="1\n3\n4\n5\n", c="same", d="n\n"))
    assert [(one.path, one.done, one.lines_added, one.lines_removed) for one in changed] == [
        ("a.py", "edited", 2, 1),
        ("b.py", "deleted", 0, 1),
        ("d.py", "added", 1, 0),
    ]


def code(word, times):
    return "\n".join(f"def f{word}{number}(a):\n    return {' + '.join(['a'] * (number + 2))}" for number in times)


def test_likeness_beyond_what_the_template_explains():
    template = source(speedrun=code("t", range(20)))
    clever = source(speedrun=code("c", range(10, 40)))
    renamed = source(speedrun=code("x", range(10, 40)))
    others = {"clever": clever, "plain": template}
    nearest = nearest_entry(renamed, others, template)
    assert (nearest.entry, nearest.share) == ("clever", 1.0)
    assert nearest.template_share < 1.0
    assert nearest_entry(template, others, template) is None  # a fresh copy of the template is like every other
    assert nearest_entry(source(speedrun="import torch"), others, template) is None
    assert nearest_entry(renamed, {}, template) is None


def test_a_copy_says_what_it_is_based_on():
    same = Likeness(entry="clever", share=1.0, template_share=0.3)
    assert 'based_on = "clever"' in copy_refusal("mine", same, based_on=None, was_so=False).reason
    assert copy_refusal("mine", same, based_on="other", was_so=False) is not None
    assert copy_refusal("mine", same, based_on="clever", was_so=False) is None
    assert copy_refusal("mine", same, based_on=None, was_so=True) is None
    assert copy_refusal("mine", msgspec.structs.replace(same, share=0.99), based_on=None, was_so=False) is None


# ---------------------------------------------------------------------------------------------------------------- page

HOSTILE = "<img src=x> [a](javascript:b) @ada ![x](http://evil) | # `c` *d* www.evil.org \x1b[31m \u202e ##[add-mask]x"


@pytest.fixture
def hostile():
    """A judgement with a stranger's words wherever there may be some."""
    return JudgedChange(
        base="1" * 40,
        head="2" * 40,
        accepted=False,
        refusals=(Refusal(path=HOSTILE, reason=HOSTILE + "\n::error::x"),),
        refusals_left_out=7,
        remarks=(HOSTILE,),
        entry="mine",
        is_new=True,
        card=Entry(
            name="mine",
            title=HOSTILE,
            authors=(Author(name=HOSTILE, link="https://evil.org"),),
            technique=HOSTILE,
            based_on="other",
        ),
        files=file_changes([], source(config="a\n")),
        likeness=Likeness(entry="other", share=0.93, template_share=0.2),
        records=(),
        trial=Trial(
            track="cpu-smoke",
            level=Level.NAMESPACES,
            verdict=Verdict.CRASHED,
            reason="```\n::add-mask::x\n" + HOSTILE,
            loss_nats=None,
            train_s=None,
            total_s=3.0,
            log=("::stop-commands::x", "  ::debug::y", "##[set-env name=PATH]z", "</pre>"),
        ),
        no_trial_because="",
    )


def test_the_page_as_markdown(hostile):
    page = pull_request_page.markdown(hostile)
    assert page.startswith("## ✗ refused: mine\n")
    assert "and 7 more" in page
    assert "93%" in page
    prose = "\n".join(line for line in page.splitlines() if not line.startswith("    │ "))
    for markup in ("<img", "](", "@ada", "http://", "www.", "::", "*d*"):
        assert markup not in prose
    assert "\x1b" not in page
    assert "\u202e" not in page


@pytest.mark.parametrize("terminal", [True, False])
def test_no_line_is_a_command_to_whoever_reads_the_output(hostile, terminal):
    """GitHub's runner takes `::` after blanks for one, and `##[` anywhere."""
    out = io.StringIO()
    pull_request_page.show(hostile, Console(file=out, force_terminal=terminal, width=200, color_system=None))
    text = out.getvalue()
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "\x1b[31m" not in text
    if not terminal:
        assert "##[" not in text
        assert text == pull_request_page.markdown(hostile)


def test_an_accepted_change_says_so_first(hostile):
    accepted = msgspec.structs.replace(hostile, accepted=True, refusals=(), refusals_left_out=0, trial=None)
    left_out = msgspec.structs.replace(accepted, no_trial_because="it was left out (--no-run)")
    page = pull_request_page.markdown(left_out)
    assert page.startswith("## ✓ accepted: mine (without a trial run)\n")
    assert "No trial run: it was left out (--no-run)." in page
    assert (accepted.exit_code, hostile.exit_code) == (0, 1)
