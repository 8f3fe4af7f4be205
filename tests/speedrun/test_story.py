"""The whole story in a scratch repository: two contestants, a pull request each, a maintainer, a forger, the board."""

import json
import shutil
import subprocess

import msgspec
import pytest

from harness.result import Record, encode
from leaderboard.signatures import Signer
from leaderboard.store import signature_path

pytestmark = pytest.mark.sandbox

# Counts a tenth of the text, chosen by the seed: runs scatter, as honest ones do.
SCATTERED = """
import random


def part_of(run, tokens):
    begin = random.Random(run.seed).randrange(len(tokens) * 9 // 10)
    return tokens[begin : begin + len(tokens) // 10]
"""


class Repository:
    """The checkout as its maintainers and contestants use it."""

    def __init__(self, workspace, entry):
        self.workspace = workspace
        self._entry = entry

    def git(self, *arguments):
        names = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(
            ["git", *names, *arguments], cwd=self.workspace.root, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, words):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", words)

    def hand_in(self, name, smoothing):
        """An entry that counts, and adds so much to every count: the less, the better."""
        folder = self._entry(name)
        code = folder / "speedrun.py"
        text = code.read_text()
        for old, new in (
            ("import torch\n", f"import torch\n{SCATTERED}\n"),
            ("tokens = torch.from_numpy(shard", "tokens = part_of(run, torch.from_numpy(shard"),
            ('.astype("int64"))', '.astype("int64")))'),
        ):
            assert text.count(old) == 1
            text = text.replace(old, new)
        code.write_text(text)
        config = folder / "config.py"
        config.write_text(config.read_text().replace("smoothing: float = 0.1", f"smoothing: float = {smoothing}"))
        card = folder / "submission.toml"
        card.write_text(f'based_on = "steady"\n{card.read_text()}' if name != "steady" else card.read_text())


@pytest.fixture
def key(tmp_path):
    """A maintainer's key and a forger's: `key("ada")`."""

    def make(name):
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    return make


@pytest.fixture
def repository(workspace, blink, entry, key):
    """A base with the entry `steady`, a track of two runs, and Ada as its maintainer."""
    track = (workspace.tracks / f"{blink}.toml").read_text()
    for old, new in (('id = "cpu-blink"', 'id = "cpu-smoke"'), ("runs = 1", "runs = 2")):
        assert track.count(old) == 1
        track = track.replace(old, new)
    (workspace.tracks / "cpu-smoke.toml").write_text(track)
    (workspace.tracks / f"{blink}.toml").unlink()
    made = Repository(workspace, entry)
    made.hand_in("steady", smoothing=300.0)
    public = (key("ada").with_suffix(".pub")).read_text()
    workspace.results.mkdir(parents=True)
    (workspace.results.parent / "maintainers").write_text(f'ada@example.org namespaces="speedrun" {public}')
    (workspace.root / ".gitignore").write_text("data/cache/\n")
    made.git("init", "-q", "--initial-branch=main")
    made.commit("the base")
    return made


def test_from_two_pull_requests_to_a_record(repository, speedrun, key, tmp_path):
    workspace, ada = repository.workspace, tmp_path / "ada"

    def held_by():
        """Who holds the record, and who held it before."""
        told = json.loads(speedrun("leaderboard", "--history", "--track", "cpu-smoke", "--json").out)
        return [step["entry"] for history in told["histories"] for step in history["steps"] if step["kind"] == "record"]

    def verified(name):
        """The files of the records of a verification that stood."""
        said = speedrun("verify", name, "--track", "cpu-smoke", "--key", ada, "--quiet", "--json")
        assert said.code == 0, said
        answer = json.loads(said.out)
        assert answer["outcome"] == "stands"
        return [workspace.root / file for file in answer["files"] if file.endswith(".json")]

    # The base's entry is verified: the first record.
    steady = verified("steady")
    assert len(steady) == 2
    repository.commit("steady is verified")
    assert held_by() == ["steady"]

    # Two contestants. One hands in an entry; the other one does, too, and mends a foreign one on the way.
    repository.git("checkout", "-q", "-b", "honest")
    repository.hand_in("nimble", smoothing=0.1)
    repository.commit("an entry")
    repository.git("checkout", "-q", "-b", "greedy", "main")
    repository.hand_in("greedy", smoothing=0.2)
    foreign = workspace.submissions / "steady" / "config.py"
    foreign.write_text(foreign.read_text().replace("300.0", "30000.0"))
    repository.commit("an entry, and a small fix")
    repository.git("checkout", "-q", "main")
    refused = speedrun("verify-pr", "--base", "main", "--head", "greedy", "--quiet")
    assert refused.code == 1, refused
    assert "2 entries are changed (greedy, steady)" in refused.out
    accepted = speedrun("verify-pr", "--base", "main", "--head", "honest", "--quiet")
    assert accepted.code == 0, accepted
    assert accepted.out.startswith("## ✓ accepted: nimble")

    # It is merged and verified: a record, for it is better beyond noise. The board and its pages change.
    repository.git("merge", "-q", "--ff-only", "honest")
    speedrun("leaderboard", "--render")
    before = workspace.board.read_text()
    repository.commit("the board")
    nimble = verified("nimble")
    assert held_by() == ["steady", "nimble"]
    assert speedrun("leaderboard", "--render").code == 0
    assert workspace.board.read_text() != before
    assert "nimble" in workspace.board.read_text()
    assert speedrun("leaderboard", "--audit").code == 0

    # With the same mean and more noise it would be none: the statistics decide.
    kept = {path: path.read_bytes() for path in nimble}
    for path, shift in zip(nimble, (-0.8, 0.8), strict=True):
        record = msgspec.json.decode(kept[path], type=Record)
        score = msgspec.structs.replace(record.score, loss_nats=record.score.loss_nats + shift)
        sign(path, encode(msgspec.structs.replace(record, score=score)), ada)
    assert held_by() == ["steady"]
    for path, data in kept.items():
        sign(path, data, ada)
    assert held_by() == ["steady", "nimble"]

    # One of the two runs is signed by somebody else: what is left is too little, and it is told.
    sign(nimble[0], kept[nimble[0]], key("eve"))
    assert held_by() == ["steady"]
    audit = speedrun("leaderboard", "--audit")
    assert audit.code == 1
    assert nimble[0].stem in audit.out
    assert "signature not valid" in speedrun("leaderboard", "--show", "--all").out
    sign(nimble[0], kept[nimble[0]], ada)

    # A retraction gives the record back to who held it before, and stays visible.
    assert speedrun("retract", nimble[0].stem, "--reason", "the clock was wrong").code == 0
    assert held_by() == ["steady"]
    assert "the clock was wrong" in speedrun("leaderboard", "--history", "--track", "cpu-smoke").out
    shutil.rmtree(workspace.rulings)
    assert held_by() == ["steady", "nimble"]


def sign(path, data, key):
    """Puts these bytes and this key's signature where a record lies."""
    path.write_bytes(data)
    signature_path(path).write_bytes(Signer(key).sign(data))
