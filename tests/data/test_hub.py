"""Data sets of the hub, from a local server that answers as the hub does: the real command, loaders and files."""

import io
import json
import os
import pydoc_data.topics
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tokenizers

from data import manifest as manifests
from data.hub import BLOCK_BYTES
from data.manifest import Manifest, find, load_manifest
from data.prepare import Prepared, is_prepared, prepare, verify
from data.shards import HEADER_BYTES, open_shard, write_shard
from data.tokenizer import Tokenizer
from harness.errors import UserError
from tests.data.hub_server import Hub

ROOT = Path(manifests.__file__).resolve().parents[1]
VOCAB = 500
SEPARATOR = 0
WIDTH = 128
HELD_ROWS = {"train-slice": 8, "val": 16, "spare": 8}
FILE_ROWS, FILES = 600, 9  # one of them without rows
SHARD_TOKENS = 5_000_000  # 10 MB: more than one block of a download
VAL_TOKENS = 30_001
END = "<|endoftext|>"
TOKEN = "hf_forTheHubAlone"


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Place(NamedTuple):
    """A checkout of its own, and the hub that it asks."""

    root: Path
    endpoint: str

    @property
    def cache(self) -> Path:
        return self.root / "data" / "cache"

    def start(self, *lines: str, file_bytes: int = 0, last_manifest: int = 0) -> subprocess.Popen[str]:
        words = json.dumps([line.split() for line in lines])
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        return subprocess.Popen(
            [
                sys.executable,
                str(Path(__file__).with_name("hub_child.py")),
                words,
                str(file_bytes),
                str(last_manifest),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env=environment
            | {
                "HF_ENDPOINT": self.endpoint,
                "HF_HOME": str(self.root / "hf"),
                "HF_TOKEN": TOKEN,
                "PYTHONPATH": str(ROOT),
                "SPEEDRUN_ROOT": str(self.root),
            },
        )

    def run(self, *lines: str, file_bytes: int = 0) -> list[Said]:
        child = self.start(*lines, file_bytes=file_bytes)
        out, err = child.communicate()
        said = [Said(*json.loads(line)) for line in out.splitlines()]
        assert len(said) == len(lines), err
        return said

    def manifest(self, name: str) -> Manifest:
        return find(name, self.root / "data" / "datasets", self.cache)

    def ready(self, name: str, tokens: int | None = None) -> Prepared:
        """Prepared already: nothing is fetched in this process."""
        assert is_prepared(self.manifest(name), self.cache, tokens)
        return prepare(self.manifest(name), self.cache, tokens=tokens)

    def shards(self, name: str) -> list[str]:
        return sorted(path.name for path in (self.cache / name).glob("*.bin"))


# ------------------------------------------------------------------------------------------------ what the hub holds


def make_tokenizer() -> tokenizers.Tokenizer:
    """A small byte-level one with an added word that is not special."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCAB - 1,
        special_tokens=[END],
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator([*list(pydoc_data.topics.topics.values())[:10], "Größe 日本語"], trainer)
    made.add_tokens(["<note>"])
    assert made.get_vocab_size() == VOCAB
    made.encode_special_tokens = True  # here; the file does not say so
    return made


TOKENIZER = make_tokenizer()


def make_texts() -> list[str]:
    """120 documents: paragraphs of real prose, some beyond ASCII; two training ones quote a held-out one."""
    whole = "\n\n".join(pydoc_data.topics.topics.values())
    texts = [
        f"{number}. {whole[start : start + 700]} <note> äöü 日本" for number, start in enumerate(range(0, 84_000, 700))
    ]
    texts[1] += f" What looks special is text: {END}"
    texts[3] += texts[95][100:600]
    texts[7] = texts[119]
    texts[100] += "far away" * 400
    return texts


TEXTS = make_texts()


def make_rows() -> np.ndarray:
    """Rows of tokens; some training rows repeat parts of held-out ones."""
    rows = np.random.default_rng(11).integers(0, VOCAB, ((FILES - 1) * FILE_ROWS, WIDTH), dtype=np.int32)
    rows[40, 10:74] = rows[3, 20:84]  # 64 tokens of the slice
    rows[41, :63] = rows[9, :63]  # one fewer: no run
    rows[1500] = rows[30]  # a whole row of spare
    rows[2041:2045, -64:] = rows[20, 1:65]
    return rows


ROWS = make_rows()


def parquet(**columns: object) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), out, row_group_size=250)
    return out.getvalue()


def row_file(number: int) -> str:
    return f"train-{number:05}-of-{FILES:05}.parquet"


def rows_parquet(rows: np.ndarray) -> bytes:
    column = pyarrow.array(list(rows), pyarrow.list_(pyarrow.int32()))
    return parquet(input_ids=column, labels=column)


def shard_bytes(tokens: np.ndarray, tmp_path: Path) -> bytes:
    write_shard(tmp_path / "one.bin", tokens)
    return (tmp_path / "one.bin").read_bytes()


def make_stream(seed: int, tokens: int) -> np.ndarray:
    stream = np.random.default_rng(seed).integers(1, VOCAB, tokens).astype(np.uint16)
    stream[::1000] = SEPARATOR
    return stream


README = """---
configs:
- config_name: stories
  data_files:
  - split: train
    path: stories/*.parquet
---
"""
STREAMS = {
    "val_000000.bin": make_stream(1, 50_000),
    "train_000001.bin": make_stream(2, SHARD_TOKENS),
    "train_000002.bin": make_stream(3, 40_000),
    "train_000003.bin": make_stream(4, 30_000),
}


@pytest.fixture(scope="module")
def hub(tmp_path_factory) -> Iterator[Hub]:
    server = Hub()
    server.repository("models/me/tokenizer").commit({"tokenizer.json": TOKENIZER.to_str().encode()})
    halves = np.array_split(np.array(TEXTS, dtype=object), 2)
    stories = {
        f"stories/{number}.parquet": parquet(text=list(half), more=[1] * 60) for number, half in enumerate(halves)
    }
    server.repository("datasets/me/stories").commit({"README.md": README.encode(), **stories})
    parts = np.array_split(ROWS, FILES - 1)
    parts.insert(3, ROWS[:0])
    files = {f"data/{row_file(number)}": rows_parquet(part) for number, part in enumerate(parts)}
    server.repository("datasets/me/rows").commit(files)
    folder = tmp_path_factory.mktemp("shards")
    server.repository("datasets/me/shards").commit(
        {name: shard_bytes(stream, folder) for name, stream in STREAMS.items()}
    )
    yield server
    server.close()


HEAD = """
title = "For tests"
version = 1
tokenizer = "me/tokenizer"
tokenizer_revision = "main"
vocab_size = {vocab}
"""
STORIES = """separator = 0
[source]
kind = "hub"
revision = "main"
[source.hub]
form = "text"
repository = "me/stories"
config = "stories"
split = "train"
column = "text"
documents = 120
characters = 3000
val_documents = 20
spare_documents = 10
[planned]
train = 6000
val = 7000
spare = 3000
"""
ROWS_TOML = f"""row_tokens = {WIDTH}
[source]
kind = "hub"
revision = "main"
[source.hub]
form = "rows"
repository = "me/rows"
split = "train"
column = "input_ids"
shard_rows = 1000
[planned]
train = {4000 * WIDTH}
train-slice = {8 * WIDTH}
val = {16 * WIDTH}
spare = {8 * WIDTH}
"""
SHARDS_TOML = f"""separator = 0
[source]
kind = "hub"
revision = "main"
[source.hub]
form = "shards"
repository = "me/shards"
train = "train_{{number}}.bin"
first = 1
last = 3
val = "val_000000.bin"
[planned]
train = {SHARD_TOKENS + 70_000}
val = {VAL_TOKENS}
spare = 20_000
"""


def write(root: Path, name: str, body: str, *changes: str, vocab: int = VOCAB) -> None:
    """A manifest among the official ones, with words of it changed."""
    for old, new in zip(changes[::2], changes[1::2], strict=True):
        assert old in body
        body = body.replace(old, new)
    (root / "data" / "datasets" / f"{name}.toml").write_text(f'id = "{name}"' + HEAD.format(vocab=vocab) + body)


def make_place(tmp_path: Path, hub: Hub) -> Place:
    for folder in ("template", "harness/tracks", "data/datasets"):
        (tmp_path / folder).mkdir(parents=True)
    write(tmp_path, "stories", STORIES)
    write(tmp_path, "rows", ROWS_TOML)
    write(tmp_path, "shards", SHARDS_TOML)
    hub.forget()
    return Place(tmp_path, hub.endpoint)


@pytest.fixture
def place(tmp_path, hub) -> Place:
    return make_place(tmp_path, hub)


@pytest.fixture(scope="module")
def all_prepared(hub, tmp_path_factory) -> tuple[Place, list[Said]]:
    """The three sets, prepared with no fault, where parts of an older tokenizer were left."""
    place = make_place(tmp_path_factory.mktemp("all"), hub)
    for left in ("tokenizer.json.part", f"download/{'0' * 40}/tokenizer.json"):
        path = place.cache / "stories" / left
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(TOKENIZER.to_str().encode()[:5000].replace(b"a", b"b"))
    said = place.run(
        "data prepare stories",
        "data prepare rows --tokens 200k",
        "data list",
        "data prepare rows",
        "data prepare shards --tokens 5_000_001",
        "data verify rows",
        "data list --json",
    )
    return place, said


# ------------------------------------------------------------------------------------------------ what comes out


def test_the_command_says_what_it_needs_and_what_is_there(all_prepared):
    _, said = all_prepared
    assert [one.code for one in said] == [0] * 7, said
    assert re.search(r"^stories needs about \d+ kB of disk, [\d.,]+ GB are free$", said[0].err, re.MULTILINE)
    assert re.search(r"^[\d.]+ k of [\d.]+ k tokens$", said[0].err, re.MULTILINE)
    assert "rows is prepared: 512 k training tokens" in said[3].out
    assert "the first 256 k training tokens prepared" in said[1].out  # in whole shards
    listed = {line.split(":")[0][2:]: line for line in said[2].out.splitlines() if ":" in line}
    assert "(prepared," in listed["stories"]
    assert "not pinned" in listed["stories"]
    assert "(the first 256 k training tokens prepared, 525 kB of 1.0 MB, not pinned)" in listed["rows"]
    assert "(not prepared, needs 10.2 MB, not pinned)" in listed["shards"]
    states = {one["id"]: one for one in json.loads(said[6].out)["datasets"]}
    assert states["rows"]["prepared"]
    assert states["rows"]["disk_bytes"] == states["rows"]["needed_bytes"]
    assert not states["shards"]["prepared"]
    assert states["shards"]["prepared_tokens"] == SHARD_TOKENS + 40_000
    assert not any(state["pinned"] for state in states.values())


def test_files_are_those_of_the_commit_and_the_token_is_shown_to_the_hub_alone(all_prepared, hub):
    place, _ = all_prepared
    for name in ("stories", "rows", "shards"):
        assert (place.cache / name / "tokenizer.json").read_bytes() == TOKENIZER.to_str().encode()
    assert hub.tokens["hub"] >= {f"Bearer {TOKEN}"}
    assert hub.tokens["store"] == {None}


def test_documents_are_tokenized_whole_and_split(all_prepared):
    place, _ = all_prepared
    ready = place.ready("stories")
    told = {
        split: [TOKENIZER.decode(document) for document in documents(ready, split)] for split in ready.manifest.splits
    }
    cut = [text[:3000] for text in TEXTS]
    assert told["val"] == cut[90:110]
    assert told["spare"] == cut[110:]
    encoded = [np.array(TOKENIZER.encode(text, add_special_tokens=False).ids) for text in cut]
    forbidden = set().union(*(runs(one[None]) for one in encoded[90:]))
    repeats = [number for number in range(90) if runs(encoded[number][None]) & forbidden]
    assert {3, 7} < set(repeats)
    kept = [text for number, text in enumerate(cut[:90]) if number not in repeats]
    assert told["train"] == kept[: len(told["train"])]
    for split, described in ready.manifest.splits.items():
        assert described.documents == len(told[split])
        assert described.bytes == sum(len(text.encode()) for text in told[split])
    train = ready.manifest.splits["train"]
    last = cut.index(told["train"][-1])
    assert train.left_out == sum(number < last for number in repeats)
    assert 6000 <= train.tokens < 6000 + 700


def documents(ready: Prepared, split: str) -> list[list[int]]:
    stream = ready.tokens(split)
    assert stream[0] == SEPARATOR
    return [part[1:].tolist() for part in np.split(stream, np.flatnonzero(stream == SEPARATOR))[1:]]


def runs(rows: np.ndarray) -> set[bytes]:
    """Every run of 64 tokens."""
    return {row[i : i + 64].tobytes() for row in rows.astype(np.uint16) for i in range(len(row) - 63)}


def test_rows_are_whole_and_training_repeats_no_held_out_run(all_prepared):
    place, _ = all_prepared
    ready = place.ready("rows")
    begin = 0
    for split, count in HELD_ROWS.items():
        assert np.array_equal(ready.tokens(split).reshape(-1, WIDTH), ROWS[begin : begin + count])
        begin += count
    forbidden = runs(ROWS[:begin])
    kept = [row for row in ROWS[begin:] if not runs(row[None]) & forbidden]
    train = ready.manifest.splits["train"]
    assert np.array_equal(ready.tokens("train").reshape(-1, WIDTH), kept[: train.documents])
    assert (train.documents, train.left_out) == (4000, 6)
    assert [shard.tokens for shard in train.shards] == [1000 * WIDTH] * 4


def test_the_first_tokens_alone_are_a_data_set_of_their_own(all_prepared):
    """Its hash says the same wherever so much was asked for, however much lies there."""
    place, _ = all_prepared
    some, everything = place.ready("rows", 200_000), place.ready("rows")
    assert len(some.manifest.splits["train"].shards) == 2
    assert some.manifest.splits["train"].left_out == 2  # the others come later
    assert some.manifest.splits["val"] == everything.manifest.splits["val"]
    assert some.manifest.sha256 != everything.manifest.sha256
    assert np.array_equal(some.tokens("train"), everything.tokens("train", 2000 * WIDTH))


def test_ready_made_shards_stay_as_published(all_prepared, hub):
    place, _ = all_prepared
    ready = place.ready("shards", 5_000_001)
    (files,) = hub.repository("datasets/me/shards").commits.values()
    assert [path.read_bytes() == files[path.name] for path in ready.shards("train")] == [True, True]
    assert place.shards("shards") == [
        "shards_spare_000000.bin",
        "shards_val_000000.bin",
        "train_000001.bin",
        "train_000002.bin",
    ]
    source = STREAMS["val_000000.bin"]
    assert np.array_equal(ready.tokens("val"), source[:VAL_TOKENS])
    assert np.array_equal(ready.tokens("spare"), source[31_000:])  # from the next document on


@pytest.mark.parametrize(("name", "tokens"), [("stories", None), ("rows", None), ("shards", 5_000_001)])
def test_bytes_are_those_of_the_text_that_the_tokens_stand_for(all_prepared, name, tokens):
    """Of documents the text itself was counted; the same comes out of their tokens alone."""
    place, _ = all_prepared
    ready = place.ready(name, tokens)
    made = Tokenizer(place.cache / name / "tokenizer.json", "it", VOCAB)
    for split, described in ready.manifest.splits.items():
        assert described.bytes == sum(made.count_bytes(open_shard(path)) for path in ready.shards(split))
        assert described.bytes > described.tokens


def test_the_tokens_of_a_text_add_up_to_its_bytes(all_prepared):
    """Every token's length against real text, whose bytes are known beforehand."""
    place, _ = all_prepared
    made = Tokenizer(place.cache / "stories" / "tokenizer.json", "it", VOCAB)
    for text in (*TEXTS[:20], "Größe 日本語 🙂 <note><note>\r\n\t\x07", "".join(map(chr, range(1, 3000)))):
        assert made.count_bytes(made.encode(text)) == len(text.encode())
        assert TOKENIZER.decode(made.encode(text).tolist(), skip_special_tokens=False) == text
    assert made.count_bytes(np.array([SEPARATOR, SEPARATOR], dtype=np.uint16)) == 0
    with pytest.raises(UserError, match="tokens beyond the vocabulary of 500"):
        made.count_bytes(np.array([VOCAB], dtype=np.uint16))


def test_tokens_are_read_as_the_text_that_they_stand_for(all_prepared, tmp_path):
    place, _ = all_prepared
    ready = place.ready("stories")
    tokens = ready.tokens("val").tolist()
    second = tokens.index(SEPARATOR, 1)
    assert tokens[0] == SEPARATOR
    assert ready.text(tokens[:second]) in TEXTS  # of the separator nothing is seen
    assert ready.text([]) == ""
    bare = tmp_path / "bare"
    bare.mkdir()
    assert Prepared(ready.manifest, bare).text(tokens[:9]) is None
    (bare / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"tokenizer\.json .* can't be read"):
        Prepared(ready.manifest, bare).text(tokens[:9])


def test_the_resolved_manifest_holds_this_machine_to_what_came_out(all_prepared):
    place, _ = all_prepared
    found = place.manifest("rows")
    assert found.resolved_here
    assert not found.pinned
    assert re.fullmatch(r"[0-9a-f]{40}", found.source.revision)
    assert re.fullmatch(r"[0-9a-f]{40}", found.tokenizer_revision)
    recipe = load_manifest(place.root / "data" / "datasets" / "rows.toml")
    assert prepare(recipe, place.cache).manifest == found
    assert verify(recipe, place.cache) == 4000 * WIDTH


# ------------------------------------------------------------------------------------------------ broken off


def test_a_killed_preparation_of_rows_goes_on_behind_its_last_shard(all_prepared, place, hub):
    child = place.start("data prepare rows", last_manifest=3)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    times = {path: path.stat().st_mtime_ns for path in (place.cache / "rows").glob("*.bin")}
    assert len(place.manifest("rows").splits["train"].shards) == 2
    assert times.pop(place.cache / "rows" / "rows_train_000002.bin")  # whole, and nobody knows
    assert len(times) == 3 + 2
    assert not is_prepared(place.manifest("rows"), place.cache)
    (place.cache / "rows" / "rows_train_000009.bin.new").write_bytes(b"half")

    hub.forget()
    (said,) = place.run("data prepare rows")
    assert said.code == 0, said
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert not list((place.cache / "rows").glob("*.new"))
    # Of the first file, long behind, only the description of its columns is looked at again.
    assert {served.first > 4 for served in hub.served if served.path.endswith(row_file(0))} == {True}
    assert hub.bytes_of(row_file(6)) > 100_000
    assert place.manifest("rows") == all_prepared[0].manifest("rows")


def test_a_killed_download_goes_on_where_it_stopped(all_prepared, place, hub):
    hub.stalls["train_000001.bin"] = BLOCK_BYTES
    child = place.start("data prepare shards --tokens 4M")
    assert hub.stalled.wait(120), child.communicate()
    child.kill()
    child.communicate()
    assert "train_000001.bin" not in place.shards("shards")
    assert hub.bytes_of("train_000001.bin") == BLOCK_BYTES

    hub.forget()
    hub.cut["train_000001.bin"] = BLOCK_BYTES + 1000  # and the network is bad as well
    (said,) = place.run("data prepare shards --tokens 4M")
    assert said.code == 0, said
    again = [served for served in hub.served if served.path.endswith("train_000001.bin")]
    assert [served.first for served in again] == [BLOCK_BYTES] * 2
    assert again[-1].bytes == HEADER_BYTES + 2 * SHARD_TOKENS - BLOCK_BYTES
    assert hub.bytes_of("val_000000.bin") == 0
    done = place.manifest("shards").splits["train"].shards
    assert done == all_prepared[0].manifest("shards").splits["train"].shards[:1]
    assert not (place.cache / "shards" / "download").exists()


def test_a_full_disk_is_one_line_and_leaves_no_shard(place):
    (said,) = place.run("data prepare shards", file_bytes=4 << 20)
    assert said.code == 2
    assert said.err.splitlines()[-1].startswith("error: shards can't be kept in data/cache: File too large; free some")
    assert not {"train_000001.bin"} & set(place.shards("shards"))
    assert not is_prepared(place.manifest("shards"), place.cache, 0)


def test_offline_is_one_line(place):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        endpoint = f"http://127.0.0.1:{closed.getsockname()[1]}"
    said = place._replace(endpoint=endpoint).run("data prepare shards", "data prepare stories")
    for one in said:
        assert one.code == 2
        assert re.match(r"error: no connection to the hub \(ConnectError: .*\); try again", one.err.splitlines()[-1])
    assert place.shards("shards") == place.shards("stories") == []


# ------------------------------------------------------------------------------------------------ faults and pins


def used(file: str, repository: str, why: str) -> str:
    """How a published file is refused."""
    return (
        rf"{re.escape(file)} of me/{repository} can't be used at commit [0-9a-f]{{12}}: {why}.*; it was deleted, check"
    )


def test_every_fault_is_one_line_and_leaves_nothing(place, hub):
    root = place.root
    gated = hub.repository("datasets/me/gated")
    gated.commit({"x": b""})
    gated.gated = True
    hub.repository("datasets/me/wide").commit({"data/train.parquet": rows_parquet(ROWS[:64, :100])})
    hub.repository("datasets/me/big").commit({"data/train.parquet": rows_parquet(ROWS[:64] + 1)})
    hub.repository("datasets/me/words").commit({"data/train.parquet": parquet(input_ids=["a", "b"])})
    hub.repository("datasets/me/broken").commit({"data/train.parquet": b"PAR1 no PAR1"})
    hub.repository("datasets/me/little").commit({"data/train.parquet": rows_parquet(ROWS[:100])})
    hub.repository("datasets/me/tiny").commit({"data/train.parquet": rows_parquet(ROWS[:20])})
    hub.repository("models/me/chars").commit(
        {"tokenizer.json": tokenizers.Tokenizer(tokenizers.models.BPE()).to_str().encode()}
    )
    hub.repository("datasets/me/none").commit({"data/train.parquet": rows_parquet(ROWS[:0])})
    torn = json.loads(TOKENIZER.to_str())
    torn["model"]["merges"].append(["never", "seen"])
    hub.repository("models/me/torn").commit({"tokenizer.json": json.dumps(torn).encode()})
    altered = TOKENIZER.to_str().encode()
    hub.repository("models/me/altered").commit({"tokenizer.json": altered})
    hub.changed["me/altered/tokenizer.json"] = altered[:-9] + b" " + altered[-8:]
    good = {name: shard_bytes(part[:50_000], root) for name, part in STREAMS.items()}
    foreign, joined = STREAMS["train_000001.bin"][:1000].copy(), STREAMS["val_000000.bin"].copy()
    foreign[7] = VOCAB
    joined[:VAL_TOKENS] = 7
    train, val = "train_000001.bin", "val_000000.bin"
    published = {
        "spoilt": {train: shard_bytes(foreign, root)},
        "empty": {train: shard_bytes(foreign[:0], root)},
        "endless": {train: shard_bytes(joined[:1000], root)},
        "joined": {val: shard_bytes(joined, root)},
        "lying": {val: good[val][:8] + (49_000).to_bytes(4, "little") + good[val][12:]},
        "brief": {val: shard_bytes(STREAMS[val][:VAL_TOKENS], root)},
    }
    for name, files in published.items():
        hub.repository(f"datasets/me/{name}").commit({**good, **files})
    (root / "one.bin").unlink()
    (files,) = hub.repository("datasets/me/shards").commits.values()
    part = {name.replace("train", "part"): content for name, content in files.items()}
    hub.repository("datasets/me/proxied").commit(part)
    hub.rangeless.add("part_000001.bin")
    (commit,) = hub.repository("models/me/tokenizer").commits
    glued = root / "data" / "cache" / "glued" / "download" / commit / "tokenizer.json"
    glued.parent.mkdir(parents=True)
    glued.write_bytes(b"\0" * 100)
    cases = {
        "unknown": (SHARDS_TOML, ("me/shards", "me/nothing"), "the hub has no repository me/nothing"),
        "closed": (SHARDS_TOML, ("me/shards", "me/gated"), "me/gated is gated: accept its terms"),
        "revision": (SHARDS_TOML, ('"main"\n[source.hub]', '"v9"\n[source.hub]'), "me/shards has no revision v9"),
        "absent": (SHARDS_TOML, ("val_000000", "val_000009"), r"me/shards has no file val_000009\.bin at commit"),
        "short": (SHARDS_TOML, (), r"train_000001\.bin of me/shards is truncated: the hub names 10,001,024 bytes"),
        "spoilt": (SHARDS_TOML, ("me/shards", "me/spoilt"), used(train, "spoilt", "there are tokens beyond the vocab")),
        "empty": (
            SHARDS_TOML,
            ("me/shards", "me/empty"),
            used(train, "empty", "it has no token 0, which starts every"),
        ),
        "endless": (SHARDS_TOML, ("me/shards", "me/endless"), used(train, "endless", "it has no token 0")),
        "joined": (SHARDS_TOML, ("me/shards", "me/joined"), used(val, "joined", "it has no token 0")),
        "lying": (SHARDS_TOML, ("me/shards", "me/lying"), used(val, "lying", "it says 49000 tokens and has another")),
        "brief": (SHARDS_TOML, ("me/shards", "me/brief"), used(val, "brief", "it has 30,001 tokens: val takes 30,001")),
        "proxied": (
            SHARDS_TOML,
            ("me/shards", "me/proxied", "train_{number}", "part_{number}"),
            r"10,001,024 bytes of part_000001\.bin came where 8,388,608 were asked for: .* a proxy perhaps",
        ),
        "column": (ROWS_TOML, ("input_ids", "ids"), "me/rows has no column 'ids'"),
        "wide": (ROWS_TOML, ("me/rows", "me/wide"), "there are rows that are not 128 tokens long"),
        "big": (ROWS_TOML, ("me/rows", "me/big"), "there are tokens beyond the vocabulary of 500"),
        "words": (ROWS_TOML, ("me/rows", "me/words"), "it holds string, not rows of tokens"),
        "broken": (ROWS_TOML, ("me/rows", "me/broken"), "me/broken can't be read from the hub at revision"),
        "little": (
            ROWS_TOML,
            ("me/rows", "me/little"),
            "me/little ends after 8,576 training tokens where 512,000 are due",
        ),
        "none": (ROWS_TOML, ("me/rows", "me/none"), "me/none ends after 0 rows, before there is anything to train on"),
        "tiny": (ROWS_TOML, ("me/rows", "me/tiny"), "me/tiny ends after 20 rows, before there is anything to train on"),
        "few": (
            STORIES,
            ("documents = 120", "documents = 121"),
            "me/stories ends after 120 documents where few takes 121",
        ),
        "numbers": (
            STORIES,
            ('column = "text"', 'column = "more"'),
            "row 0 of me/stories has no text",
        ),
        "config": (STORIES, ('config = "stories"', 'config = "tales"'), "me/stories can't be read from the hub"),
        "chars": (STORIES, (), "me/chars is not byte-level"),
        "torn": (STORIES, (), r"the tokenizer\.json of me/torn can't be used \(.*\); check its revision"),
        "altered": (STORIES, (), r"tokenizer\.json of me/altered arrived with another hash than the hub names"),
        "glued": (
            STORIES,
            (),
            r"tokenizer\.json of me/tokenizer arrived with another hash .*, and was deleted; try again",
        ),
    }
    for name, (body, changes, _) in cases.items():
        write(root, name, body, *changes)
    for name in ("chars", "torn", "altered"):
        path = root / "data" / "datasets" / f"{name}.toml"
        path.write_text(path.read_text().replace("me/tokenizer", f"me/{name}"))
    hub.short["train_000001.bin"] = 9_000_000
    write(root, "narrow", STORIES, vocab=300)
    write(root, "cut", ROWS_TOML)
    (place.cache / "cut").mkdir()
    (place.cache / "cut" / "manifest.toml").write_bytes(b"")  # as a power cut may leave it
    said = place.run(
        *(f"data prepare {name}" for name in cases),
        "data prepare glued",
        "data prepare cut",
        "data list",
        "data prepare narrow",
        "data prepare rows --tokens 1B",
    )
    for (name, (_, _, message)), one in zip(cases.items(), said, strict=False):
        assert one.code == 2, (name, one)
        last = one.err.splitlines()[-1]
        assert last.startswith("error: "), (name, one)
        assert re.search(message, last), (name, one)
        assert len(one.err.splitlines()) <= 3, (name, one)  # the need of disk, how far it is, the error
        ready = is_prepared(place.manifest(name), place.cache, 1 if name != "little" else 9000)
        assert ready == (name == "glued"), name  # which was tried again, below
        assert not list((place.cache / name).glob("*.new")), name
        left = {path.name for path in (place.cache / name).glob("download/*/*")}
        assert name not in published or not left & set(published[name]), name
    again, cut, listed = said[len(cases) : len(cases) + 3]
    assert (again.code, listed.code) == (0, 1), (again, listed)
    broken = r"manifest data/cache/cut/manifest\.toml: .* missing; delete that folder and prepare it again"
    assert re.search(f"^error: {broken}$", cut.err, re.MULTILINE), cut
    assert re.fullmatch(f"error: cut is left out: {broken}\n", listed.err), listed
    assert "glued: 6" in listed.out
    assert "cut: " not in listed.out
    assert "has tokens beyond the vocabulary of 300" in said[-2].err
    assert "rows has 512,000 training tokens, not 1,000,000,000" in said[-1].err
    assert "train_000001.bin" not in place.shards("short") + place.shards("spoilt")


def test_pinned_is_what_everybody_must_get(place, hub):
    """A maintainer pins; the same commit gives the same bytes elsewhere, and other bytes are refused."""
    official = place.root / "data" / "datasets"
    said = place.run("data prepare rows --pin", "data prepare stories --pin", "data prepare rows --pin --tokens 1M")
    assert [one.code for one in said] == [0, 0, 2], said
    assert "rows is pinned" in said[0].out
    for name in ("rows", "stories"):
        pinned = load_manifest(official / f"{name}.toml")
        assert pinned.pinned
        assert not pinned.resolved_here
        assert place.manifest(name) == pinned
        assert place.ready(name).manifest == pinned
        assert not (place.cache / name / "manifest.toml").exists()
    (place.cache / "rows" / "rows_train_000001.bin").unlink()
    (place.cache / "rows" / "rows_val_000000.bin").unlink()
    (place.cache / "stories" / "stories_train_000000.bin").unlink()

    # The publisher goes on, and then even changes what the pinned commit holds.
    repository = hub.repository("datasets/me/stories")
    (commit,) = repository.commits
    files = repository.commits[commit]
    repository.commit({"README.md": b"gone"})
    (good,) = place.run("data prepare rows")
    assert good.code == 0, good
    verify(place.manifest("rows"), place.cache)
    changed = [f"{text}?" for text in TEXTS]
    halves = {f"stories/{half}.parquet": parquet(text=changed[60 * half :][:60], more=[1] * 60) for half in range(2)}
    repository.commits[commit] = {**files, **halves}
    try:
        (bad,) = place.run("data prepare stories")
    finally:
        repository.commits.clear()
        repository.commits[commit] = files
    assert bad.code == 2
    assert "stories_train_000000.bin of stories came out with another hash than its manifest names" in bad.err
    assert place.shards("stories") == ["stories_spare_000000.bin", "stories_val_000000.bin"]


def test_a_cache_that_disagrees_with_a_later_pin_is_one_line(all_prepared, tmp_path):
    place, _ = all_prepared
    found = place.manifest("stories")
    text = (place.cache / "stories" / "manifest.toml").read_text().replace("resolved_here = true", "")
    (tmp_path / "stories.toml").write_text(text.replace(found.splits["val"].shards[0].sha256, "0" * 64))
    with pytest.raises(UserError, match="prepared from another manifest of stories than today's; delete that folder"):
        prepare(load_manifest(tmp_path / "stories.toml"), place.cache)
    recipe = (place.root / "data" / "datasets" / "stories.toml").read_text()
    (tmp_path / "stories.toml").write_text(recipe.replace("characters = 3000", "characters = 2000"))
    with pytest.raises(UserError, match="prepared from another manifest of stories"):
        prepare(load_manifest(tmp_path / "stories.toml"), place.cache)
    assert not is_prepared(load_manifest(tmp_path / "stories.toml"), place.cache)
    assert open_shard(place.ready("stories").shards("val")[0]).size == found.splits["val"].tokens
