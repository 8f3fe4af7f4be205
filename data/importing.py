"""A data set of a person's own text, to practise on: scored like any other, never ranked.

Bytes are tokens; token 0 starts every document. Documents go to train, val or spare by the hash of their text, so that
the same document never stands in two splits, and the same files always give the same data set. A training document
that shares a run of 256 bytes with val or spare is left out: that is about as much text as 64 tokens are elsewhere,
while 64 bytes are one line, which unrelated documents share.

The text is held in memory, and what finds the repeats takes about twice as much again.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
from filelock import FileLock

from data.manifest import BYTES, MANIFEST, SPLITS, Manifest, Shard, Source, Split, replace_text, to_toml
from data.overlap import HeldOut
from data.shards import shard_sha256, write_shard
from harness.errors import UserError

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
RESERVED = ("runs", "artifacts", "broken", "scratch")  # other folders of the cache
OFFICIAL = Path(__file__).parent / "datasets"
SEPARATOR = 0
SECTION_BYTES = 4096  # a long text without documents of its own is cut at blank lines into pieces of about this size
WHOLE_BYTES = 65_536  # shorter text files are one document
TENTHS = {"val": 1, "spare": 1}  # of the documents; the rest is trained on
LEAST_DOCUMENTS = 2  # a split
LEAST_TOKENS = 4096  # a split
MOST_BYTES = 1 << 31  # of text
RUN_BYTES = 256  # that no training document shares with val or spare


def import_dataset(name: str, files: Sequence[Path], cache: Path, datasets: Path = OFFICIAL) -> Manifest:
    """Make the data set `name` out of .txt, .jsonl (field "text") and .parquet (column "text") files.

    An older import of that name is replaced. Raises UserError for a bad name, a file that can't be read or holds no
    text, too little text for three splits, and a full disk.
    """
    if name in RESERVED:
        raise UserError(f"{name} is a folder of the cache's own; choose another name")
    if not NAME.fullmatch(name):
        raise UserError(f"{name[:60]!r} is no name for a data set; use at most 40 of a-z, 0-9, '-' and '_'")
    if (datasets / f"{name}.toml").exists():
        raise UserError(f"{name} is the name of an official data set; choose another")
    documents: dict[str, dict[bytes, None]] = {split: {} for split in SPLITS}  # a set that keeps its order
    total = 0
    for path in files:
        for text in read(path):
            total += len(text)
            if total > MOST_BYTES:
                raise UserError(f"more than {MOST_BYTES >> 30} GiB of text; import less")
            documents[split_of(text)][text] = None
    left_out = _drop_repeats(documents)
    for split, texts in documents.items():
        tokens = sum(len(text) + 1 for text in texts)
        if len(texts) < LEAST_DOCUMENTS or tokens < LEAST_TOKENS:
            repeats = (
                f"; {left_out:,} training documents repeat {RUN_BYTES} bytes of val or spare and are left out: take "
                "away what many share, a licence or a header perhaps"
            )
            raise UserError(
                f"too little text: {split} would get {len(texts)} different documents and {tokens} bytes (at least "
                f"{LEAST_DOCUMENTS} and {LEAST_TOKENS}); give more files, or files with more documents"
                + (repeats if left_out and split == "train" else "")
            )
    return _write(name, files, documents, left_out, cache)


def _drop_repeats(documents: dict[str, dict[bytes, None]]) -> int:
    """Take out of train what repeats a part of the other splits; how many documents that is."""
    held_out = HeldOut(
        [np.frombuffer(text, dtype=np.uint8) for split in TENTHS for text in documents[split]], RUN_BYTES
    )
    repeats = [
        text for text in documents["train"] if held_out.shared_by(np.frombuffer(text, dtype=np.uint8)[None]).any()
    ]
    for text in repeats:
        del documents["train"][text]
    return len(repeats)


def split_of(text: bytes) -> str:
    """train, val or spare, by the hash of a document."""
    tenth = int.from_bytes(hashlib.sha256(text).digest()[:8], "big") % 10
    for split, share in TENTHS.items():
        if tenth < share:
            return split
        tenth -= share
    return "train"


def read(path: Path) -> Iterator[bytes]:
    """The documents of a file as UTF-8 without NUL bytes, empty ones left out. Raises UserError."""
    readers = {".txt": _text, ".md": _text, ".jsonl": _jsonl, ".parquet": _parquet}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UserError(f"{path.name} is none of {', '.join(readers)}; convert it to one of them")
    if not path.is_file():
        raise UserError(f"there is no file {path}; check the name")
    found = False
    try:
        for text in reader(path):
            document = text.replace("\0", "").strip()
            if document:
                found = True
                yield (document + "\n").encode()
    except OSError as error:
        raise UserError(f"{path.name} can't be read: {error.strerror or error}") from None
    except UnicodeError:
        raise UserError(f"{path.name} is not UTF-8 text; convert it first") from None
    if not found:
        raise UserError(f"{path.name} holds no text")


def _text(path: Path) -> Iterator[str]:
    with path.open(encoding="utf-8-sig") as lines:
        if path.stat().st_size <= WHOLE_BYTES:
            yield lines.read()
            return
        piece: list[str] = []
        size = 0
        for line in lines:
            if line.strip():
                piece.append(line)
                size += len(line)
            elif size >= SECTION_BYTES:
                yield "".join(piece)
                piece, size = [], 0
            elif piece and piece[-1] != "\n":
                piece.append("\n")
        yield "".join(piece)


class _Line(msgspec.Struct):
    text: str


def _jsonl(path: Path) -> Iterator[str]:
    decoder = msgspec.json.Decoder(_Line)
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            try:
                yield decoder.decode(line).text
            except msgspec.DecodeError as error:
                raise UserError(f'{path.name}, line {number}: no object with a "text": {error}') from None


def _parquet(path: Path) -> Iterator[str]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if "text" not in names:
                raise UserError(f'{path.name} has no column "text"; its columns are: {", ".join(names)[:200]}')
            for batch in file.iter_batches(columns=["text"]):
                for value in batch.column(0):
                    text = value.as_py()
                    if text is not None and not isinstance(text, str):
                        raise UserError(f'{path.name}: its column "text" holds {type(text).__name__}, not text')
                    yield text or ""
    except pyarrow.ArrowException as error:
        raise UserError(f"{path.name} is no parquet file that can be read: {str(error).splitlines()[0]}") from None


def _write(
    name: str, files: Sequence[Path], documents: dict[str, dict[bytes, None]], left_out: int, cache: Path
) -> Manifest:
    folder = cache / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "lock"):
            (folder / MANIFEST).unlink(missing_ok=True)
            splits = {split: _split(folder / f"{name}_{split}_000000.bin", documents[split]) for split in SPLITS}
            splits["train"] = msgspec.structs.replace(splits["train"], left_out=left_out)
            manifest = Manifest(
                id=name,
                title=f"imported text: {', '.join(path.name for path in files)[:200]}",
                version=1,
                source=Source(kind="import", files=tuple(path.name for path in files)),
                tokenizer=BYTES,
                vocab_size=256,
                separator=SEPARATOR,
                splits=splits,
            )
            replace_text(folder / MANIFEST, to_toml(manifest))
    except OSError as error:
        raise UserError(f"{name} can't be written to data/cache: {error.strerror}; free some space") from None
    return manifest


def _split(path: Path, texts: dict[bytes, None]) -> Split:
    text_bytes = sum(map(len, texts))
    tokens = np.full(len(texts) + text_bytes, SEPARATOR, dtype=np.uint16)
    start = 0
    for text in texts:
        tokens[start + 1 : start + 1 + len(text)] = np.frombuffer(text, dtype=np.uint8)
        start += 1 + len(text)
    write_shard(path, tokens)
    shard = Shard(file=path.name, tokens=tokens.size, sha256=shard_sha256(path))
    return Split(documents=len(texts), tokens=tokens.size, bytes=text_bytes, shards=(shard,))
