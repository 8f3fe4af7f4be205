"""speedrun evaluate: from a kept artifact to scores beside the loss, on every page, and never in the ranking."""

import json
import math
import shutil
import sys

import msgspec
import pytest

from harness import downstream
from harness.downstream import Wanted
from harness.result import (
    Downstream,
    DownstreamMetric,
    DownstreamTask,
    Level,
    Tier,
    TwinReport,
    Verdict,
    encode,
)
from harness.sandbox import choose
from harness.track import find_track
from leaderboard import downstream as leaderboard_downstream
from leaderboard import frame
from leaderboard.schema import RecordError, decode, decode_summary
from leaderboard.signatures import Signer
from leaderboard.store import Store, Unfit
from speedrun import standings
from speedrun.commands import evaluate
from speedrun.vouching import LEVELS, Voucher
from speedrun.workspace import Workspace
from tests.maintained import git, maintain, make_keys

TASK = """
task: next_letter
dataset_path: json
dataset_kwargs:
  cache_dir: {cache}
  data_files:
    test: {data}
test_split: test
output_type: multiple_choice
doc_to_text: "{{{{start}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: answer
target_delimiter: ""
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 3
"""


@pytest.fixture
def letters(tmp_path):
    """A folder with a task about the alphabet, which a walk through it answers."""
    pytest.importorskip("lm_eval")
    data = tmp_path / "letters.jsonl"
    documents = [{"start": f"{a}{b}", "choices": [c, "z"], "answer": 0} for a, b, c in ("abc", "bcd", "efg", "jkl")]
    data.write_text("".join(json.dumps(document) + "\n" for document in documents))
    folder = tmp_path / "tasks"
    folder.mkdir()
    (folder / "next_letter.yaml").write_text(TASK.format(data=data, cache=tmp_path / "documents"))
    return folder


def twin(**fields) -> TwinReport:
    values = {
        "sampled": 8,
        "seed": 7,
        "advantage_nats": 0.0,
        "low_nats": 0.0,
        "high_nats": 0.0,
        "p_value": 1.0,
        "largest_nats": 0.0,
        "repeat_nats": 0.0,
        "finds_share": 0.4,
        "finds_advantage_nats": 0.001,
        "kind": "honest",
    }
    return TwinReport(**values | fields)


def scored(name="hellaswag", value=0.31, metric="acc_norm", **fields) -> DownstreamTask:
    values = {
        "name": name,
        "version": "1.0",
        "lm_eval": "0.4.13",
        "level": Level.NAMESPACES,
        "documents": 100,
        "shots": 0,
        "metrics": (DownstreamMetric(name=metric, value=value, stderr=0.01),),
        "twin": twin(),
    }
    return DownstreamTask(**values | fields)


@pytest.mark.sandbox
def test_a_run_is_evaluated_and_its_record_holds_the_scores(speedrun, entry, blink, workspace, letters):
    entry("mine")
    assert speedrun("run", "mine", "--track", blink, "--quiet").code == 0
    before = Store(workspace.results).load().records
    board = standings.read(workspace, blink).board()
    said = speedrun("evaluate", "last", "--tasks", "next_letter", "--include", letters)
    assert said.code == 0, said.err
    assert "next_letter (own)  acc" in said.out
    assert "1.0000" in said.out
    assert "written into leaderboard/results/cpu-blink/" in said.out
    assert "evaluating on tasks, at most 3,600 s" in said.err
    (record,) = Store(workspace.results).load().records
    (task,) = record.downstream.tasks
    assert (task.name, task.documents, task.version, task.metrics[0].value) == ("next_letter", 4, "3", 1.0)
    assert task.own, "its file is not lm-eval's"
    assert task.level == record.environment.sandbox.level
    assert task.twin.kind == "honest"
    # Everything else is as it was, and so is the board.
    assert msgspec.structs.replace(record, downstream=None) == before[0]
    after = standings.read(workspace, blink).board()
    bare = [[msgspec.structs.replace(row, downstream=()) for row in section.rows] for section in after.sections]
    assert bare == [list(section.rows) for section in board.sections]
    shown = speedrun("show", "last").out
    assert "scores on tasks (lm-eval; never ranked by)" in shown
    assert "next_letter" in speedrun("leaderboard", "--show", "--track", blink, "--all").out
    answer = json.loads(speedrun("evaluate", "last", "--tasks", "next_letter", "--include", letters, "--json").out)
    assert (answer["kind"], answer["version"]) == ("evaluate", 1)
    assert len(answer["downstream"]["tasks"]) == 1
    assert list((workspace.cache / "scratch").iterdir()) == []

    # A changed artifact is another one.
    (shelf,) = (workspace.cache / "artifacts").iterdir()
    (file,) = (path for path in shelf.rglob("*") if path.is_file())
    file.chmod(0o644)
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    said = speedrun("evaluate", "last", "--tasks", "next_letter", "--include", letters)
    assert (said.code, said.out) == (2, "")
    assert "it was changed" in said.err
    shutil.rmtree(shelf)
    said = speedrun("evaluate", "last", "--tasks", "next_letter", "--include", letters)
    assert said.code == 2
    assert "is not kept here" in said.err


@pytest.mark.sandbox
def test_a_track_that_names_tasks_goes_on_to_them_and_loses_no_run_by_it(speedrun, entry, blink, workspace):
    entry("mine")
    path = workspace.tracks / f"{blink}.toml"
    path.write_text(path.read_text() + '\n[downstream]\ntasks = ["no_such_task_of_lm_eval"]\ncap_s = 60.0\n')
    with pytest.MonkeyPatch.context() as patch:  # whether it is installed or not
        patch.setitem(sys.modules, "lm_eval", None)
        patch.setitem(sys.modules, "lm_eval.tasks", None)
        said = speedrun("run", "mine", "--track", blink)
    assert said.code == 0, said.err
    (record,) = Store(workspace.results).load().records
    assert record.verdict is Verdict.OK
    assert record.ranked
    assert record.downstream.tasks == ()
    assert "which is not installed" in record.downstream.note
    assert "which is not installed" in speedrun("show", "last").out


@pytest.mark.sandbox
@pytest.mark.parametrize("impatient", [False, True])
def test_the_scores_of_a_track_come_with_the_run(impatient, speedrun, entry, blink, workspace, letters, monkeypatch):
    def wanted(tasks, limit, cap_s):
        if impatient:
            raise KeyboardInterrupt
        return Wanted(tasks, limit, cap_s, include=letters)  # a track's own come from lm-eval and the hub

    entry("mine")
    path = workspace.tracks / f"{blink}.toml"
    path.write_text(path.read_text() + '\n[downstream]\ntasks = ["next_letter"]\nlimit = 3\ncap_s = 300.0\n')
    monkeypatch.setattr(downstream, "Wanted", wanted)
    said = speedrun("run", "mine", "--track", blink)
    assert said.code == 0, said.err
    (record,) = Store(workspace.results).load().records
    assert record.verdict is Verdict.OK
    assert record.ranked
    if impatient:
        assert record.downstream == Downstream(note="no scores on tasks: KeyboardInterrupt")
    else:
        assert record.downstream.note == ""
        (task,) = record.downstream.tasks
        assert (task.name, task.limit, task.documents, task.metrics[0].value) == ("next_letter", 3, 3, 1.0)


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ("", "name a task"),
        (" , ", "name a task"),
        ("../etc", "is no name of a task"),
        ("a b", "is no name of a task"),
    ],
)
def test_names_that_can_be_no_task(tasks, said, speedrun, stored, make_record):
    stored(make_record())
    told = speedrun("evaluate", "last", "--tasks", tasks)
    assert told.code == 2
    assert said in told.err
    assert told.err.count("\n") == 1


def test_what_cannot_be_evaluated(speedrun, stored, make_record, tmp_path):
    stored(make_record(verdict=Verdict.CRASHED))
    assert "there is nothing to evaluate" in speedrun("evaluate", "last", "--tasks", "piqa").err
    stored(make_record(track_id="cpu-smoke"))
    assert "is not kept here" in speedrun("evaluate", "last", "--tasks", "piqa").err
    assert "no run 'nobody'" in speedrun("evaluate", "nobody", "--tasks", "piqa").err


def test_a_key_is_for_verified_runs(speedrun, stored, make_record, workspace):
    record = make_record(version=find_track("cpu-smoke").version)
    stored(record)
    (workspace.cache / "artifacts" / record.run_id).mkdir(parents=True)
    said = speedrun("evaluate", "last", "--tasks", "piqa", "--key", "none")
    assert said.code == 2
    assert "is not verified, so there is nothing to sign; leave --key out" in said.err


def test_a_key_that_is_younger_than_the_run_is_refused_before_anything_runs(
    speedrun, make_record, workspace, tmp_path, capfd
):
    keys = make_keys(tmp_path)
    maintain(workspace, keys)
    maintainers = workspace.results.parent / "maintainers"
    eve = f'eve@example.org namespaces="speedrun",valid-after="20200201" {(keys / "eve.pub").read_text()}'
    maintainers.write_text(maintainers.read_text() + eve)
    git(workspace.root, "commit", "-a", "-q", "-m", "eve is one from now on")
    record = make_record(
        run_id="20200105-120000-baseline-3f9a",
        started_at="2020-01-05T12:00:00+00:00",
        version=find_track("cpu-smoke").version,
        tier=Tier.VERIFIED,
    )
    store = Store(workspace.results)
    store.add(record, Signer(keys / "ada").sign(encode(record)))
    git(workspace.root, "add", "-A")
    git(workspace.root, "commit", "-q", "-m", "a verified run")
    (workspace.cache / "artifacts" / record.run_id).mkdir(parents=True)
    said = speedrun("evaluate", "last", "--tasks", "piqa", "--key", keys / "eve")
    assert said.code == 2
    assert f"the key was not a maintainer's when run {record.run_id} began (2020-01-05)" in said.err
    assert said.err.count("\n") == 1
    # Were it to come to light only afterwards: the record is as verified as it was.
    voucher = Voucher(workspace, keys / "eve")
    file, why = evaluate._stored(workspace, store.find(record.run_id), Downstream(tasks=(scored(),)), voucher)
    assert file is None
    assert "was not a maintainer's" in why
    assert "self-reported" not in capfd.readouterr().err
    assert store.find(record.run_id).counted == record


@pytest.mark.sandbox
def test_a_verified_record_is_signed_again_or_left_alone(speedrun, entry, blink, workspace, letters, tmp_path):
    if choose(None) not in LEVELS:
        pytest.skip("no sandbox here that a verified run could have")
    keys = make_keys(tmp_path)
    entry("mine")
    maintain(workspace, keys)
    assert speedrun("run", "mine", "--track", blink, "--quiet").code == 0
    store = Store(workspace.results)
    (run,) = store.load().records
    held = store.find(run.run_id)
    vouched, signature = Voucher(workspace, keys / "ada").finish(held.record)
    store.replace(held, vouched, signature)
    asked = ("evaluate", "last", "--tasks", "next_letter", "--include", letters)
    said = speedrun(*asked)
    assert said.code == 0, said.err
    assert "not stored: this run is verified" in said.out
    assert "1.0000" in said.out
    assert store.find(run.run_id).record == vouched
    assert "is nobody's in" in speedrun(*asked, "--key", keys / "eve").err
    said = speedrun(*asked, "--key", keys / "ada")
    assert said.code == 0, said.err
    assert "written into" in said.out
    held = store.find(run.run_id)
    assert held.signer == "ada@example.org"
    assert held.record.tier is Tier.VERIFIED
    assert [task.name for task in held.record.downstream.tasks] == ["next_letter"]
    assert store.load().unsigned == frozenset()


def test_ranking_ignores_the_scores(make_record, workspace, stored):
    bare = [make_record(entry=name, loss_nats=loss) for name, loss in (("a", 1.2), ("b", 1.3), ("c", 1.4))]
    for record in bare:
        stored(record)
    before = standings.read(workspace, "cpu-smoke").board()
    for number, record in enumerate(bare):  # the worst loss gets the best score
        stored(msgspec.structs.replace(record, downstream=Downstream(tasks=(scored(value=0.2 + number / 10),))))
    after = standings.read(workspace, "cpu-smoke").board()
    for old, new in zip(before.sections, after.sections, strict=True):
        assert [row.entry for row in new.rows] == ["a", "b", "c"]
        assert [row.downstream[0].value for row in new.rows] == [0.2, 0.30000000000000004, 0.4]
        assert [msgspec.structs.replace(row, downstream=()) for row in new.rows] == list(old.rows)


def test_the_board_the_export_and_frames_show_them(speedrun, stored, make_record, workspace, tmp_path):
    tasks = (scored(), scored(name="arc|<b>easy", metric="acc", value=0.5))
    stored(make_record(entry="a", downstream=Downstream(tasks=tasks)))
    stored(make_record(entry="b", loss_nats=1.6))
    shown = speedrun("leaderboard", "--show", "--all").out
    assert "hellaswag" in shown
    assert "0.3100 acc_norm" in shown
    speedrun("leaderboard", "--html", tmp_path / "site", "--export", tmp_path / "runs.json")
    rows = json.loads((tmp_path / "runs.json").read_text())
    assert [row["downstream"] for row in rows] == ["hellaswag acc_norm=0.31; arc|<b>easy acc=0.5", None]
    runs = frame(workspace.results).runs
    assert list(runs["downstream"].dropna()) == ["hellaswag acc_norm=0.31; arc|<b>easy acc=0.5"]
    pages = {path.name: path.read_text() for path in (tmp_path / "site").rglob("*.html")}
    run_page = next(text for name, text in pages.items() if "-a-" in name)
    assert "<td>hellaswag</td><td>acc_norm</td>" in run_page
    assert "arc|&lt;b&gt;easy" in run_page
    assert "hellaswag 0.3100 acc_norm" in pages["a.html"]
    assert all("<b>easy" not in text for text in pages.values())
    assert "Scores on tasks" not in next(text for name, text in pages.items() if "-b-" in name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"name": "hellaswag"', b'"name": ""'),
        (b'"name": "hellaswag"', b'"name": "' + b"h" * 101 + b'"'),
        (b'"documents": 100', b'"documents": 0'),
        (b'"documents": 100', b'"documents": ' + str(2**64).encode()),
        (b'"value": 0.31', b'"value": NaN'),
        (b'"value": 0.31', b'"value": 1e999'),
        (b'"value": 0.31', b'"value": "0.31"'),
        (b'"kind": "honest"', b'"kind": "looks-ahead"'),
        (b'"lm_eval": "0.4.13"', b'"lm_eval": "0.4.13", "more": 1'),
        (b'"note": ""', b'"note": "' + b"n" * 1001 + b'"'),
    ],
)
def test_hostile_scores_are_no_record(old, new, make_record):
    task = scored()
    record = make_record(twin=twin(), downstream=Downstream(tasks=(task,)))
    data = encode(record)
    begins = data.index(b'"downstream"')
    assert decode(data) == record
    assert old in data[begins:]
    spoilt = data[:begins] + data[begins:].replace(old, new, 1)
    for read in (decode, decode_summary):
        with pytest.raises(RecordError):
            read(spoilt)


def test_scores_have_bounds(make_record):
    with pytest.raises(ValueError, match="128"):
        Downstream(tasks=tuple(scored(name=f"t{number}") for number in range(129)))
    with pytest.raises(ValueError, match="twice"):
        Downstream(tasks=(scored(), scored()))
    with pytest.raises(ValueError, match="1 to 16"):
        scored(metrics=())
    for value in (math.nan, math.inf, -1.7e308):
        with pytest.raises(ValueError, match="of a size that a score can have"):
            scored(value=value)
    for fields in ({"limit": 0}, {"limit": -5}, {"shots": -3}, {"documents": 0}):
        with pytest.raises(ValueError, match="a document, a limit from 1 on"):
            scored(**fields)
    for name in ("x acc=0.1; hellaswag", "hellaswag\u200b", "hellaswag ", "a=b", "a;b", "a\nb", ""):
        with pytest.raises(ValueError, match="no blank, = or ;"):
            scored(name=name)
        with pytest.raises(ValueError, match="no blank, = or ;"):
            scored(metric=name)
    with pytest.raises(ValueError, match="only a scored run"):
        make_record(verdict=Verdict.CRASHED, downstream=Downstream(tasks=(scored(),)))


def test_scores_of_one_kind_stand_together_and_the_widest_of_several_kinds_is_shown():
    def run(**fields):
        return Downstream(tasks=(scored(**fields),))

    few, all_of_it = {"limit": 1, "documents": 1, "value": 1.0}, {"documents": 100, "value": 0.3}
    for runs in ([run(**few), run(**all_of_it)], [run(**all_of_it), run(**few)]):
        (mean,) = leaderboard_downstream.means(runs)
        assert (mean.value, mean.limit) == (0.3, None)
    (mean,) = leaderboard_downstream.means([run(**few)])
    assert leaderboard_downstream.cell(mean) == "1.0000 acc_norm, first 1"
    (mean,) = leaderboard_downstream.means([run(value=0.2), run(value=0.4)])
    assert mean.value == pytest.approx(0.3)
    # A task out of somebody's own file is never the one whose name it bears.
    both = leaderboard_downstream.means([run(value=0.3), run(value=1.0, own=True)])
    assert [(mean.task, mean.value) for mean in both] == [(scored().name, 0.3), (scored().name, 1.0)]
    assert [leaderboard_downstream.title(mean.task, own=mean.own) for mean in both] == [
        scored().name,
        f"{scored().name} (own)",
    ]


def test_two_evaluations_at_once_keep_both_scores(make_record, workspace: Workspace):
    store = Store(workspace.results)
    first = make_record()
    store.add(first)
    held = store.find(first.run_id)  # as both of them read it
    for name in ("one", "two"):
        file, why = evaluate._stored(workspace, held, Downstream(tasks=(scored(name=name),)), None)
        assert (file is not None, why) == (True, "")
    assert [task.name for task in store.find(first.run_id).record.downstream.tasks] == ["one", "two"]
    path = workspace.results / first.track.id / f"{first.run_id}.json"
    path.write_bytes(encode(msgspec.structs.replace(first, seed=first.seed + 1)))
    assert evaluate._stored(workspace, held, Downstream(), None) == (None, "its record is another one by now")


def test_a_record_is_replaced_only_by_its_own_run(make_record, workspace: Workspace):
    store = Store(workspace.results)
    first, other = make_record(), make_record()
    store.add(first)
    held = store.find(first.run_id)
    better = msgspec.structs.replace(first, downstream=Downstream(tasks=(scored(),)))
    with pytest.raises(Unfit, match="cannot take the place of"):
        store.replace(held, other)
    with pytest.raises(Unfit, match="verified goes with a signature"):
        store.replace(held, msgspec.structs.replace(better, tier=Tier.VERIFIED))
    store.replace(held, better)
    assert store.find(first.run_id).record == better
    with pytest.raises(Exception, match="has changed meanwhile"):
        store.replace(held, first)
    assert store.find(first.run_id).record == better
