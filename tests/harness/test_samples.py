"""What a model says is asked for honestly, drawn from what it answers, and never costs a verdict."""

import itertools
import math
import shutil
from pathlib import Path

import msgspec
import numpy as np
import pytest

from data.manifest import Source
from data.prepare import Prepared
from harness import runner, samples
from harness.dialogue import Ending
from harness.evaluation import BadOutput, Windows
from harness.events import Noted, PhaseBegan
from harness.protocol import Cut, Distribution
from harness.result import MOST_SAMPLES, SAMPLE_LENGTH, Record, Sample, Samples, Verdict, encode
from harness.samples import Continuation, Question
from leaderboard.schema import RecordError, decode

GOLDEN = Path(__file__).parent.parent / "golden"
VOCAB = 32
SEPARATOR = 0
TEXT = np.tile(np.arange(1, VOCAB, dtype=np.uint16), 200)


def question(context=64, rows=2, bytes_a_token=5.0, separator=SEPARATOR, stream=TEXT) -> Question:
    windows = Windows(targets=stream.size - 1, context=context, stride=context)
    spare = np.full(4096, 7, dtype=np.uint16)
    return Question(stream, spare, windows, rows, VOCAB, separator, bytes_a_token)


class Counting:
    """A model that counts: after t comes t + 1, and after the last token the first. Notes what it was shown."""

    def __init__(self, ends_after=math.inf, ending=None, says=None):
        self.asked = []
        self._ends_after, self._ending, self._says = ends_after, ending, says

    def ask(self, message, *arrays, answer, size):
        assert isinstance(message, Cut)
        assert answer is Distribution
        assert size == 4 * message.rows * (VOCAB + 1)
        if len(self.asked) >= self._ends_after:
            raise self._ending
        tokens = np.frombuffer(arrays[0], dtype="<u2").reshape(message.rows, message.width + 1)
        cuts = np.frombuffer(arrays[1], dtype="<i4")
        self.asked.append((tokens.copy(), cuts.copy()))
        last = tokens[np.arange(message.rows), cuts].astype(int)
        following = last % (VOCAB - 1) + 1 if self._says is None else np.full(message.rows, self._says)
        logits = np.full((message.rows, VOCAB), -np.inf, dtype="<f4")
        logits[np.arange(message.rows), following] = 3.0
        return logits.tobytes() + bytes(4 * message.rows)


def in_words(tokens):
    return " ".join(map(str, tokens))


def hear(model, asked, text=in_words):
    """What the harness does, in one step."""
    started = samples.prompts(asked)
    samples.go_on(model, asked, started)
    return samples.told(started, text)


def test_it_says_what_the_model_says():
    told = hear(Counting(), question())
    assert (told.seed, told.temperature) == (samples.SEED, samples.TEMPERATURE)
    assert len(told.items) == samples.PROMPTS
    for sample in told.items:
        said = [int(word) for word in f"{sample.prompt} {sample.text}".split()]
        assert len(sample.prompt.split()) == 20  # 100 bytes of 5 bytes each
        assert len(sample.text.split()) == 40
        assert all(after == before % (VOCAB - 1) + 1 for before, after in itertools.pairwise(said))


def test_the_model_never_sees_more_than_the_prompt_and_its_own_words():
    model = Counting()
    hear(model, question(context=24))
    assert len(model.asked) == 40 * 2  # three rows, at most two at a time
    for tokens, cuts in model.asked:
        assert tokens.shape[1] - 1 <= 24
        for row, cut in zip(tokens, cuts, strict=True):
            assert (row[cut + 1 :] == 7).all()  # foreign text
    tokens, cuts = model.asked[-1]
    assert (cuts == 23).all()  # a text longer than the context slides


def test_a_model_with_doubts_says_the_same_every_time_and_not_always_the_likeliest():
    class Doubting(Counting):
        def ask(self, message, *arrays, answer, size):
            super().ask(message, *arrays, answer=answer, size=size)
            return bytes(size)  # every token as likely as the other

    first, again = (hear(Doubting(), question(separator=None)) for _ in range(2))
    assert first == again
    said = [int(word) for sample in first.items for word in sample.text.split()]
    assert len(set(said)) > VOCAB / 2


def test_prompts_begin_with_a_document():
    stream = TEXT.copy()
    stream[[3, 2500, 5000]] = SEPARATOR
    starts = samples.prompts(question(stream=stream))
    assert [one.prompt for one in starts] == [stream[at + 1 : at + 21].tolist() for at in (3, 2500, 5000)]


def test_there_are_fewer_prompts_in_a_short_text():
    assert samples.prompts(question(stream=TEXT[:50])) == []
    assert len(samples.prompts(question(stream=TEXT[:60]))) == 3
    assert hear(Counting(), question(stream=TEXT[:50])) is None


def test_a_document_that_ends_is_over():
    told = hear(Counting(says=SEPARATOR), question())
    assert told is None  # it said nothing
    model, one = Counting(says=SEPARATOR), Continuation([1, 2, 3])
    samples.go_on(model, question(), [one])
    assert (one.said, one.over, len(model.asked)) == ([], True, 1)


@pytest.mark.parametrize(
    "ending", [Ending(Verdict.EVALUATION_TIMEOUT, "late"), Ending(Verdict.CRASHED, "gone"), BadOutput()]
)
def test_what_was_said_before_it_ends_stays(ending):
    told = hear(Counting(ends_after=7, ending=ending), question(rows=3))
    assert [len(sample.text.split()) for sample in told.items] == [7, 7, 7]
    assert hear(Counting(ends_after=0, ending=ending), question()) is None


@pytest.mark.parametrize("nonsense", [math.nan, math.inf])
def test_nonsense_ends_it(nonsense):
    class Raving(Counting):
        def ask(self, message, *arrays, answer, size):
            super().ask(message, *arrays, answer=answer, size=size)
            return np.full(size // 4, nonsense, dtype="<f4").tobytes()

    assert hear(Raving(), question()) is None


def test_words_are_made_harmless_and_short():
    told = hear(Counting(), question(), lambda tokens: "\x1b[31m" + "x" * 9000)
    assert all("\x1b" not in sample.text and len(sample.text) <= SAMPLE_LENGTH for sample in told.items)


def notes(events):
    """What was said about samples; a busy machine has other news."""
    return [event.text for event in events if isinstance(event, Noted) and "samples" in event.text]


DEEDS = {
    "gone": "import os; os._exit(3)",
    "crash": "raise ValueError('no')",
    "never": "import time; time.sleep(3600)",
    "closed": "import os; os.closerange(3, 100)",
    "nonsense": "return model(tokens) * float('nan')",
}


@pytest.mark.sandbox
@pytest.mark.parametrize("deed", DEEDS)
def test_whatever_it_does_when_it_is_asked_for_samples_the_verdict_stands(deed, run_folder, tmp_path):
    folder = tmp_path / "rebel"
    shutil.copytree(GOLDEN / "bigram", folder)
    source = (folder / "speedrun.py").read_text()
    assert "    return Bigram(run.vocab_size)" in source
    source = source.replace(
        "    return Bigram(run.vocab_size)",
        "    model = Bigram(run.vocab_size)\n"
        "    model.phase, model.seen, model.again = run.phase, None, 0\n"
        "    return model",
    ).replace(
        "    return model(tokens)",
        # Only for samples it sees the beginnings of the same three rows again and again.
        "    begins = tokens[:, :8].tolist()\n"
        "    model.again = model.again + 1 if len(begins) == 3 and begins == model.seen else 0\n"
        "    model.seen = begins\n"
        "    if model.again > 40 and model.phase == 'score':\n"
        f"        {DEEDS[deed]}\n"
        "    return model(tokens)",
    )
    (folder / "speedrun.py").write_text(source)
    record, events = run_folder(folder, skip="sample" if deed == "never" else None)
    assert record.verdict is Verdict.OK, record.reason
    assert record.scored
    assert [event.phase for event in events if isinstance(event, PhaseBegan)][-1] == "sample"
    assert not notes(events)
    assert len(record.samples.items) == 3  # as far as they came before it rebelled
    assert all(20 < len(sample.text) <= 41 for sample in record.samples.items)


@pytest.mark.sandbox
@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
def test_neither_impatience_nor_a_fault_of_ours_costs_the_verdict(fault, run_folder, monkeypatch):
    def go_on(*_):
        raise fault("now")

    monkeypatch.setattr(samples, "go_on", go_on)
    record, events = run_folder(GOLDEN / "bigram")
    assert record.verdict is Verdict.OK
    assert record.samples is None
    assert notes(events) == [f"no samples of what the model says: {fault.__name__}"]


@pytest.mark.sandbox
@pytest.mark.parametrize("fault", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_nor_at_any_moment_around_it(moment, fault, run_folder, monkeypatch):
    """From the twin's last word on: before anything is asked, and when its sandbox is taken down."""
    real, spoken = runner.shutil.rmtree, []

    def interrupt(event):
        if isinstance(event, PhaseBegan) and event.phase == "sample":
            spoken.append(event)
            if moment == "before" and fault is KeyboardInterrupt:
                raise fault("now")

    def prompts(question):
        raise fault("now")

    def rmtree(folder, **options):
        if moment == "after" and spoken and Path(folder).name == "twin":
            raise fault("now")
        real(folder, **options)

    monkeypatch.setattr(runner.shutil, "rmtree", rmtree)
    if moment == "before" and fault is not KeyboardInterrupt:  # what a viewer raises is the viewer's
        monkeypatch.setattr(samples, "prompts", prompts)
    record, _ = run_folder(GOLDEN / "bigram", observe=interrupt)
    assert spoken
    assert record.verdict is Verdict.OK
    assert record.reason == ""
    assert record.scored
    assert decode(encode(record)) == record


@pytest.mark.sandbox
def test_a_harness_killed_while_the_model_speaks_has_its_verdict_on_disk(run_folder, monkeypatch, tmp_path):
    found = []

    def go_on(*_):
        paths = (tmp_path / "cache" / "runs").glob("*/record.json")
        found.extend(msgspec.json.decode(path.read_bytes(), type=Record) for path in paths)

    monkeypatch.setattr(samples, "go_on", go_on)
    record, _ = run_folder(GOLDEN / "bigram")
    (written,) = found
    assert written.verdict is Verdict.OK
    assert written.score == record.score
    assert decode(encode(written)) == written


@pytest.mark.sandbox
def test_imported_text_stays_where_it_is(run_folder, prose):
    own = msgspec.structs.replace(prose.manifest, source=Source(kind="import", files=("diary.txt",)))
    record, events = run_folder(GOLDEN / "bigram", data=Prepared(own, prose.folder))
    assert record.verdict is Verdict.OK
    assert record.samples is None
    assert "sample" not in {event.phase for event in events if isinstance(event, PhaseBegan)}


@pytest.mark.sandbox
def test_without_a_tokenizer_nobody_is_asked(run_folder, monkeypatch):
    asked = []
    monkeypatch.setattr(Prepared, "text", lambda prepared, tokens: None)
    monkeypatch.setattr(samples, "go_on", lambda *_: asked.append(1))
    record, _ = run_folder(GOLDEN / "bigram")
    assert record.verdict is Verdict.OK
    assert record.samples is None
    assert asked == []


def test_a_record_holds_a_few_short_samples(make_record):
    fits = Sample(prompt="p" * SAMPLE_LENGTH, text="t" * SAMPLE_LENGTH)
    most = Samples(seed=1, temperature=0.8, items=(fits,) * MOST_SAMPLES)
    record = make_record(samples=most)
    assert decode(encode(record)) == record
    one_longer = (b"t" * SAMPLE_LENGTH, b"t" * (SAMPLE_LENGTH + 1))
    one_more = (b'"items": [', b'"items": [{"prompt": "", "text": ""},')
    for old, new in (one_longer, one_more):
        assert old in encode(record)
        with pytest.raises(RecordError, match="at most"):
            decode(encode(record).replace(old, new, 1))
