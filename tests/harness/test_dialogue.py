"""The parent against a scripted worker: deadlines replayed, every way of going wrong named."""

import hashlib
import socket
import threading

import pytest

from harness import artifact
from harness.dialogue import Dialogue, Ending, how
from harness.errors import UserError
from harness.protocol import (
    PREFIX,
    Connection,
    Done,
    Failed,
    File,
    Go,
    Log,
    LogProbs,
    Saved,
    Tokens,
    decode_to_worker,
)
from harness.result import Verdict
from harness.sandbox import Breach, Exit


class ReplayedClock:
    def __init__(self):
        self.time = 0.0

    def now(self):
        return self.time


class Walls:
    """A sandbox that reports what the test wants."""

    def __init__(self):
        self.breaches = None
        self.ended = None

    def breach(self):
        return self.breaches

    def kill(self):
        return None

    @property
    def exit(self):
        return self.ended


@pytest.fixture
def stage():
    ours, theirs = socket.socketpair()
    clock, walls = ReplayedClock(), Walls()
    connection = Connection(ours, clock.now, watch=lambda: dialogue.look(), idle=lambda: dialogue.idle())
    dialogue = Dialogue(connection, walls, clock)
    dialogue.until(10.0, Verdict.TIME_LIMIT, "too late")
    with ours, theirs:
        yield dialogue, Connection(theirs), clock, walls


def test_a_question_and_its_answer(stage):
    dialogue, worker, _, _ = stage

    def answer():
        header, size = worker.header()
        assert decode_to_worker(header) == Tokens(rows=1, width=2, keep=2)
        assert worker.exactly(size) == b"abcdef"
        worker.send(LogProbs(), b"12345678")

    thread = threading.Thread(target=answer)
    thread.start()
    assert dialogue.ask(Tokens(rows=1, width=2, keep=2), b"abcdef", answer=LogProbs, size=8) == b"12345678"
    thread.join()


def test_the_deadline_is_the_clocks(stage):
    dialogue, worker, clock, _ = stage
    worker.send(Done())
    assert dialogue.bare(Done) == Done()
    clock.time = 10.0
    with pytest.raises(Ending, match="too late") as caught:
        dialogue.bare(Done)
    assert caught.value.verdict is Verdict.TIME_LIMIT


def test_a_word_that_lies_waiting_at_the_deadline_is_late(stage):
    dialogue, worker, clock, _ = stage
    worker.send(Done())
    clock.time = 10.5
    with pytest.raises(Ending, match="too late"):
        dialogue.bare(Done)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [("memory", Verdict.OUT_OF_MEMORY), ("scratch", Verdict.OUTPUT_LIMIT), ("output", Verdict.OUTPUT_LIMIT)],
)
def test_a_breach_ends_the_wait(stage, kind, verdict):
    dialogue, _, clock, walls = stage
    walls.breaches = Breach(kind=kind, sentence="too much of it")
    clock.time = 1.0
    with pytest.raises(Ending, match="too much of it") as caught:
        dialogue.bare(Done)
    assert caught.value.verdict is verdict


@pytest.mark.parametrize(
    ("ended", "verdict", "words"),
    [
        (Exit(code=3, signal=None, oom_killed=False), Verdict.CRASHED, "exit code 3"),
        (Exit(code=None, signal=11, oom_killed=False), Verdict.CRASHED, "SIGSEGV"),
        (Exit(code=None, signal=9, oom_killed=True), Verdict.OUT_OF_MEMORY, "memory limit"),
    ],
)
def test_a_worker_that_is_gone_says_how(stage, ended, verdict, words):
    dialogue, worker, _, walls = stage
    walls.ended = ended
    worker.close()
    with pytest.raises(Ending, match=words) as caught:
        dialogue.bare(Done)
    assert caught.value.verdict is verdict
    with pytest.raises(Ending, match=words):
        dialogue.tell(Go(shards=("x" * 1000,)), bytes(1 << 22))


def test_a_dead_worker_whose_children_hold_the_socket_is_noticed(stage):
    dialogue, _, _, walls = stage
    walls.ended = Exit(code=None, signal=9, oom_killed=False)
    with pytest.raises(Ending, match="SIGKILL"):
        dialogue.bare(Done)


def test_the_last_words_of_a_dead_worker_are_heard(stage):
    dialogue, worker, _, walls = stage
    worker.send(Failed(kind="crash", message="my last words"))
    walls.ended = Exit(code=1, signal=None, oom_killed=False)
    with pytest.raises(Ending, match="my last words"):
        dialogue.bare(Done)


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        ("missing", Verdict.RULE_VIOLATION),
        ("syntax", Verdict.CRASHED),
        ("crash", Verdict.CRASHED),
        ("memory", Verdict.OUT_OF_MEMORY),
        ("output", Verdict.BAD_OUTPUT),
    ],
)
def test_what_the_worker_reports_becomes_a_verdict(stage, kind, verdict):
    dialogue, worker, _, _ = stage
    worker.send(Failed(kind=kind, message="oh \x1b[31mno", traceback="line 3"))
    with pytest.raises(Ending) as caught:
        dialogue.bare(Done)
    assert caught.value.verdict is verdict
    assert caught.value.reason == "oh [31mno\nline 3"


def test_a_wrong_override_is_the_callers_mistake(stage):
    dialogue, worker, _, _ = stage
    worker.send(Failed(kind="config", message="Config has no field 'x'"))
    with pytest.raises(UserError, match="no field"):
        dialogue.bare(Done)


@pytest.mark.parametrize(
    "raw",
    [
        PREFIX.pack(2, 0) + b"{}",
        PREFIX.pack(1 << 30, 0),
        PREFIX.pack(15, 7) + b'{"type":"done"}',
        PREFIX.pack(26, 0) + b'{"type":"saved","files":0}',
    ],
)
def test_a_broken_protocol_is_a_violation(stage, raw):
    dialogue, worker, _, _ = stage
    worker._socket.sendall(raw)
    with pytest.raises(Ending, match="protocol") as caught:
        dialogue.bare(Done, Log)
    assert caught.value.verdict is Verdict.RULE_VIOLATION


def test_an_answer_of_the_wrong_size_is_never_read(stage):
    dialogue, worker, _, _ = stage
    body = b'{"type":"logprobs"}'
    worker._socket.sendall(PREFIX.pack(len(body), 1 << 40) + body)
    with pytest.raises(Ending, match="1099511627776 bytes where 8 are due"):
        dialogue.ask(Tokens(rows=1, width=2, keep=2), b"abcdef", answer=LogProbs, size=8)


@pytest.mark.parametrize(
    ("ended", "words"),
    [(None, "not known"), (Exit(code=None, signal=250, oom_killed=False), "signal 250")],
)
def test_an_end_in_words(ended, words):
    assert words in how(ended)


# ------------------------------------------------------------------------------------------------------- the artifact


def send(worker, *files, count=None):
    for name, content in files:
        worker.send(File(name=name), content)
    worker.send(Saved(files=len(files) if count is None else count))


def test_the_artifact_arrives_and_is_hashed(stage, tmp_path):
    dialogue, worker, _, _ = stage
    send(worker, ("state.pt", b"abc"), ("deep/empty", b""))
    saved = artifact.receive(dialogue, tmp_path / "a", 100)
    assert (saved.bytes, saved.files) == (3, 2)
    assert (tmp_path / "a" / "state.pt").read_bytes() == b"abc"
    assert (tmp_path / "a" / "deep" / "empty").read_bytes() == b""
    listing = "".join(
        f"{name}\0{len(content)}\0{hashlib.sha256(content).hexdigest()}\n"
        for name, content in [("deep/empty", b""), ("state.pt", b"abc")]
    )
    assert saved.sha256 == hashlib.sha256(listing.encode()).hexdigest()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../b",
        "a//b",
        "a/",
        ".hidden",
        "x" * 200,
        "a/b/c/d/e",
        "naïve",
        "a\nb",
        "a\0b",
        ".",
    ],
)
def test_a_name_that_is_no_plain_path_is_refused(stage, tmp_path, name):
    dialogue, worker, _, _ = stage
    send(worker, (name, b"abc"))
    with pytest.raises(Ending, match="unfit name") as caught:
        artifact.receive(dialogue, tmp_path / "a", 100)
    assert caught.value.verdict is Verdict.RULE_VIOLATION
    assert list(tmp_path.rglob("*")) == [tmp_path / "a"]


@pytest.mark.parametrize("names", [("a", "a"), ("a", "A"), ("a", "a/b"), ("a/b", "a")])
def test_names_that_clash_are_refused(stage, tmp_path, names):
    dialogue, worker, _, _ = stage
    send(worker, *((name, b"x") for name in names))
    with pytest.raises(Ending) as caught:
        artifact.receive(dialogue, tmp_path / "a", 100)
    assert caught.value.verdict is Verdict.RULE_VIOLATION


def test_too_much_is_refused_before_it_is_written(stage, tmp_path):
    dialogue, worker, _, _ = stage
    send(worker, ("a", b"x" * 60), ("b", b"x" * 60))
    with pytest.raises(Ending, match="larger than") as caught:
        artifact.receive(dialogue, tmp_path / "a", 100)
    assert caught.value.verdict is Verdict.ARTIFACT_LIMIT
    assert not (tmp_path / "a" / "b").exists()


def test_too_many_files_are_refused(stage, tmp_path):
    dialogue, worker, _, _ = stage
    send(worker, *((f"f{i}", b"") for i in range(artifact.MOST_FILES + 1)))
    with pytest.raises(Ending, match="more than") as caught:
        artifact.receive(dialogue, tmp_path / "a", 100)
    assert caught.value.verdict is Verdict.ARTIFACT_LIMIT


def test_a_wrong_count_is_noticed(stage, tmp_path):
    dialogue, worker, _, _ = stage
    send(worker, ("a", b""), count=2)
    with pytest.raises(Ending, match="count"):
        artifact.receive(dialogue, tmp_path / "a", 100)


def test_the_latest_artifacts_are_kept(tmp_path):
    for number in range(5):
        (tmp_path / "new").mkdir()
        artifact.keep(tmp_path / "new", tmp_path / "shelf", f"run-{number}", 2)
    assert sorted(path.name for path in (tmp_path / "shelf").iterdir()) == ["run-3", "run-4"]
    (tmp_path / "new").mkdir()
    artifact.keep(tmp_path / "new", tmp_path / "shelf", "run-9", 0)
    assert list((tmp_path / "shelf").iterdir()) == []
