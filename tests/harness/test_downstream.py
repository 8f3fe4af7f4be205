"""Scores on tasks of lm-eval: what the sandbox says is what a direct computation says, and no lie comes through."""

import hashlib
import itertools
import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from harness import submission
from harness.downstream import Kept, Wanted, evaluate
from harness.downstream_artifact import take
from harness.errors import UserError
from harness.events import PhaseBegan, Ticked
from harness.result import Artifact, Verdict
from harness.run_request import RunRequest
from harness.sandbox import choose, stage

GOLDEN = Path(__file__).parent.parent / "golden"

DOCUMENTS = [
    {"start": "The statement is ", "choices": ["executed", "xqzjk", "a tuple"], "answer": 0},
    {"start": "If the object ", "choices": ["zzzz", "has a method", "is "], "answer": 1},
    {"start": "An expression ", "choices": ["evaluates to", "QQQQQ"], "answer": 0},
    {"start": "Python " * 60, "choices": ["is", "the value " * 40], "answer": 1},  # longer than a row
    {"start": "e", "choices": [" ", "e", "th"], "answer": 0},
]
CHOICE = """
task: {name}
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
  - metric: acc_norm
    aggregation: mean
    higher_is_better: true
metadata:
  version: 2.5
"""
ROLLING = """
task: {name}
dataset_path: json
dataset_kwargs:
  cache_dir: {cache}
  data_files:
    test: {data}
test_split: test
output_type: loglikelihood_rolling
doc_to_text: ""
doc_to_target: "{{{{start}}}}"
metric_list:
  - metric: bits_per_byte
    aggregation: bits_per_byte
    higher_is_better: false
"""
CERTAIN = """
task: {name}
dataset_path: json
dataset_kwargs:
  cache_dir: {cache}
  data_files:
    test: {data}
test_split: test
output_type: loglikelihood
doc_to_text: "{{{{start}}}}"
doc_to_target: "{{{{choices[0]}}}}"
target_delimiter: ""
metric_list:
  - metric: perplexity
    aggregation: perplexity
    higher_is_better: false
  - metric: acc
    aggregation: mean
    higher_is_better: true
"""
WRITING = """
task: {name}
dataset_path: json
dataset_kwargs:
  cache_dir: {cache}
  data_files:
    test: {data}
test_split: test
output_type: generate_until
doc_to_text: "{{{{start}}}}"
doc_to_target: "{{{{choices[0]}}}}"
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A folder with tasks of every kind, on a few documents about Python."""
    pytest.importorskip("lm_eval")
    folder = tmp_path / "tasks"
    folder.mkdir()
    data = tmp_path / "documents.jsonl"
    data.write_text("".join(json.dumps(document) + "\n" for document in DOCUMENTS))
    kinds = {"made_up": CHOICE, "made_up_rolling": ROLLING, "made_up_certain": CERTAIN, "made_up_writing": WRITING}
    for name, text in kinds.items():
        (folder / f"{name}.yaml").write_text(text.format(name=name, data=data, cache=tmp_path / "documents"))
    return folder


@pytest.fixture
def keep(run_folder, prose, make_track, tmp_path):
    """`keep(folder)`: a real run of this entry, laid out to be scored once more."""

    def keep(folder: Path, cheating: Path | None = None) -> Kept:
        record, _ = run_folder(folder)
        assert record.verdict is Verdict.OK, record.reason
        ground = tmp_path / "ground"
        ground.mkdir()
        stage(ground / "boot")
        entry = submission.load(cheating or folder, (cheating or folder).name)
        submission.snapshot(entry, ground / "submission")
        take(tmp_path / "cache" / "artifacts" / record.run_id, record.artifact, ground / "artifact")
        request = RunRequest(
            submission=entry, track=make_track(), data=prose, cache=tmp_path / "cache", level=choose(None)
        )
        return Kept(request, ground, record.seed, record.score.context_tokens)

    return keep


def judge(kept: Kept, tasks: Path, *names: str, **options: Any):
    options.setdefault("forget", lambda trees: None)  # other tests read the disk, too, and it takes seconds
    limit = options.pop("limit", None)
    return evaluate(kept, Wanted(names, limit, cap_s=300.0, include=tasks), **options)


def table(kept: Kept) -> np.ndarray:
    """The bigram's own log-probabilities, [256, 256], from the very file that was scored."""
    import torch

    (path,) = (path for path in (kept.ground / "artifact").rglob("*") if path.is_file())
    (logits,) = torch.load(path, weights_only=True).values()
    return torch.log_softmax(logits.double(), -1).numpy()


def log_likelihood(table: np.ndarray, before: int, text: bytes) -> float:
    tokens = [before, *text]
    return float(sum(table[a, b] for a, b in itertools.pairwise(tokens)))


def asked(start: str, choice: str) -> tuple[int, bytes]:
    """The last byte of the context and what follows it: blanks between them are the continuation's, as in lm-eval."""
    context = start.rstrip()
    return context.encode()[-1], (start[len(context) :] + choice).encode()


def metrics(task) -> dict[str, float]:
    return {metric.name: metric.value for metric in task.metrics}


def with_predict(tmp_path: Path, predict: str) -> Path:
    """The bigram with another predict, in a folder of its own."""
    folder = tmp_path / "liar"
    shutil.copytree(GOLDEN / "bigram", folder)
    source = (folder / "speedrun.py").read_text()
    honest = "def predict(model, tokens):\n    return model(tokens)\n"
    assert honest in source
    (folder / "speedrun.py").write_text(source.replace(honest, predict))
    return folder


@pytest.mark.sandbox
def test_the_scores_are_those_of_a_direct_computation(keep, tasks):
    kept, events = keep(GOLDEN / "bigram"), []
    found = judge(kept, tasks, "made_up", "made_up_rolling", "made_up_certain", observe=events.append)
    assert found.note == ""
    choice, rolling, certain = found.tasks
    probabilities = table(kept)

    own = [
        [log_likelihood(probabilities, *asked(document["start"], text)) for text in document["choices"]]
        for document in DOCUMENTS
    ]
    best = [int(np.argmax(values)) for values in own]
    lengths = [[len(text) for text in document["choices"]] for document in DOCUMENTS]
    best_norm = [int(np.argmax(np.array(values) / size)) for values, size in zip(own, lengths, strict=True)]
    answers = [document["answer"] for document in DOCUMENTS]
    right = np.equal(best, answers)
    assert metrics(choice) == {"acc": right.mean(), "acc_norm": np.equal(best_norm, answers).mean()}
    assert (choice.name, choice.version, choice.documents, choice.shots, choice.limit) == ("made_up", "2.5", 5, 0, None)
    assert choice.metrics[0].stderr == pytest.approx(np.std(right, ddof=1) / 5**0.5)

    separator = kept.request.data.manifest.separator
    starts = [document["start"].encode() for document in DOCUMENTS]
    whole = sum(log_likelihood(probabilities, separator, start) for start in starts)
    assert metrics(rolling)["bits_per_byte"] == pytest.approx(-whole / sum(map(len, starts)) / math.log(2), rel=1e-5)

    first = [values[0] for values in own]
    greedy = []
    for document in DOCUMENTS:
        before, text = asked(document["start"], document["choices"][0])
        greedy.append(all(probabilities[a].argmax() == b for a, b in itertools.pairwise([before, *text])))
    assert any(greedy)  # the last document's: a blank follows an e
    assert not all(greedy)
    assert metrics(certain)["acc"] == np.mean(greedy)
    assert metrics(certain)["perplexity"] == pytest.approx(math.exp(-np.mean(first)), rel=1e-5)

    for task in found.tasks:
        assert task.twin.kind == "honest"
        assert abs(task.twin.advantage_nats) < 1e-5
        assert task.twin.sampled >= 10
        assert task.lm_eval
    phases = [event.phase for event in events if isinstance(event, PhaseBegan)]
    assert phases == ["downstream", "load", "downstream", "load", "downstream"]
    ticks = [event for event in events if isinstance(event, Ticked) and event.total]
    assert ticks[-1].done == ticks[-1].total
    assert not list(kept.ground.glob("downstream-*"))


@pytest.mark.sandbox
def test_fewer_documents_when_they_are_limited(keep, tasks):
    kept = keep(GOLDEN / "bigram")
    (task,) = judge(kept, tasks, "made_up", limit=2).tasks
    assert (task.documents, task.limit) == (2, 2)


LOOKS_AHEAD = """def predict(model, tokens):
    logits = model(tokens).clone()
    following = tokens[:, 1:, None]
    logits[:, :-1].scatter_add_(2, following, torch.full_like(following, 2, dtype=logits.dtype))
    return logits
"""
SAYS_IT_IS_SURE = """class Sure:
    def __eq__(self, target):
        return torch.ones_like(target, dtype=torch.bool)


torch.Tensor.argmax = lambda self, *_: Sure()


def predict(model, tokens):
    return model(tokens)
"""
CRASHES = "def predict(model, tokens):\n    raise ValueError('I am tired')\n"
RAVES = "def predict(model, tokens):\n    return model(tokens) * float('nan')\n"


@pytest.mark.sandbox
@pytest.mark.parametrize(
    ("predict", "said"),
    [
        (LOOKS_AHEAD, "the twin does not bear out made_up: at "),
        (SAYS_IT_IS_SURE, "the likeliest of all, or not, that clearly are not"),
        (CRASHES, "I am tired"),
        (RAVES, "predict gave nan as a log-probability in a text of made_up"),
    ],
)
def test_who_lies_or_fails_has_no_scores(predict, said, keep, tasks, tmp_path):
    kept = keep(GOLDEN / "bigram", cheating=with_predict(tmp_path, predict))
    found = judge(kept, tasks, "made_up")
    assert found.tasks == ()
    assert said in found.note


@pytest.mark.sandbox
def test_time_is_capped(keep, tasks):
    class Jumping:
        """Past every cap as soon as the rows begin."""

        late = 0.0

        def now(self):
            return time.monotonic() + self.late

    clock = Jumping()

    def watch(event):
        if isinstance(event, PhaseBegan) and event.phase == "downstream":
            clock.late = 0.0 if clock.late else 10_000.0

    found = judge(keep(GOLDEN / "bigram"), tasks, "made_up", observe=watch, clock=clock)
    assert found.tasks == ()
    assert found.note == "the rows of the tasks were not answered after 300 s"


@pytest.mark.sandbox
def test_an_impatient_person_is_heard_and_nothing_stays_behind(keep, tasks):
    kept = keep(GOLDEN / "bigram")

    def interrupt(event):
        if isinstance(event, Ticked):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge(kept, tasks, "made_up", observe=interrupt)
    assert not list(kept.ground.glob("downstream-*"))


def test_what_cannot_be_asked_is_one_line(tasks, monkeypatch, tmp_path):
    def refused(*names: str, include: Path = tasks) -> str:
        with pytest.raises(UserError) as error:
            evaluate(msgspec.UNSET, Wanted(names, include=include))
        assert "\n" not in str(error.value)
        return str(error.value)

    assert "generate_until" in refused("made_up_writing")
    assert "there is no folder" in refused("made_up", include=tmp_path / "nowhere")
    (tasks / "broken.yaml").write_text(
        CHOICE.format(name="broken", data=tmp_path / "nothing.jsonl", cache=tmp_path / "documents")
    )
    assert "broken can't be loaded, for lm-eval says FileNotFoundError" in refused("broken")
    monkeypatch.setitem(sys.modules, "lm_eval", None)
    monkeypatch.setitem(sys.modules, "lm_eval.tasks", None)
    assert refused("made_up").endswith("pip install -c constraints.txt -e '.[downstream]'")


def test_a_kept_artifact_is_the_one_that_was_saved(tmp_path):
    shelf = tmp_path / "shelf"
    (shelf / "deep").mkdir(parents=True)
    (shelf / "model.bin").write_bytes(b"x" * 3_000_000)
    (shelf / "deep" / "more.bin").write_bytes(b"y")
    listing = "".join(
        f"{name}\0{len(data)}\0{__import__('hashlib').sha256(data).hexdigest()}\n"
        for name, data in (("deep/more.bin", b"y"), ("model.bin", b"x" * 3_000_000))
    )
    due = Artifact(sha256=hashlib.sha256(listing.encode()).hexdigest(), bytes=3_000_001, files=2)
    take(shelf, due, tmp_path / "taken")
    assert (tmp_path / "taken" / "deep" / "more.bin").read_bytes() == b"y"
    (shelf / "deep" / "more.bin").write_bytes(b"z")
    with pytest.raises(UserError, match="it was changed"):
        take(shelf, due, tmp_path / "changed")
    (shelf / "deep" / "more.bin").write_bytes(b"zz")
    with pytest.raises(UserError, match="is not the one that the record names"):
        take(shelf, due, tmp_path / "grown")
    (shelf / "deep" / "more.bin").unlink()
    (shelf / "deep" / "more.bin").symlink_to("/etc/hostname")
    with pytest.raises(UserError, match="no plain file"):
        take(shelf, due, tmp_path / "linked")
