"""The artifact: what an entry saved, received over the socket as bytes and never parsed outside a sandbox."""

import hashlib
import os
import re
import shutil
from pathlib import Path

from harness.dialogue import Dialogue, Ending
from harness.protocol import File, Saved
from harness.result import Artifact, Verdict

MOST_FILES = 256
NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}){0,3}")


def receive(dialogue: Dialogue, folder: Path, limit_bytes: int) -> Artifact:
    """Store the files that a worker sends into `folder`, which must be new, until it says Saved.

    The hash is over names, sizes and contents in the order of the names. Raises Ending: ARTIFACT_LIMIT when the files
    are too many or too large, RULE_VIOLATION for a name that is no plain relative path; OSError when the disk is full.
    """
    folder.mkdir(parents=True)
    try:
        return _receive(dialogue, folder, limit_bytes)
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)  # half of it is of no use, and may be what filled the disk
        raise


def _receive(dialogue: Dialogue, folder: Path, limit_bytes: int) -> Artifact:
    hashes: dict[str, tuple[int, str]] = {}
    total = 0
    while True:
        message, size = dialogue.hear(File, Saved)
        if not isinstance(message, File):
            break
        name = message.name
        if not NAME.fullmatch(name) or name.lower() in (known.lower() for known in hashes):
            raise Ending(Verdict.RULE_VIOLATION, f"the artifact holds a file with an unfit name: {name[:100]!r}")
        total += size
        if total > limit_bytes:
            most = f"{limit_bytes / 2**20:.0f} MiB"
            raise Ending(Verdict.ARTIFACT_LIMIT, f"the artifact is larger than this track's {most}")
        if len(hashes) >= MOST_FILES:
            raise Ending(Verdict.ARTIFACT_LIMIT, f"the artifact holds more than {MOST_FILES} files")
        try:
            hashes[name] = (size, _store(dialogue, folder / name, size))
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            raise Ending(Verdict.RULE_VIOLATION, f"the artifact uses {name!r} as a file and as a folder") from None
    if size or message != Saved(files=len(hashes)):
        raise Ending(Verdict.RULE_VIOLATION, "the entry broke the harness's protocol: a wrong count of files")
    listing = "".join(f"{name}\0{size}\0{digest}\n" for name, (size, digest) in sorted(hashes.items()))
    return Artifact(sha256=hashlib.sha256(listing.encode()).hexdigest(), bytes=total, files=len(hashes))


def _store(dialogue: Dialogue, path: Path, size: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o444)
    with os.fdopen(descriptor, "wb") as out:
        left = size
        while left:
            piece = dialogue.piece(left)
            digest.update(piece)
            out.write(piece)
            left -= len(piece)
    return digest.hexdigest()


def keep(folder: Path, shelf: Path, run_id: str, latest: int) -> None:
    """Move an artifact to shelf/<run_id> and forget all but the latest ones.

    Run ids sort by the wall clock's time; this run's counts as the latest whatever that clock says.
    """
    shelf.mkdir(parents=True, exist_ok=True)
    if latest > 0:
        folder.rename(shelf / run_id)
    else:
        shutil.rmtree(folder)
    others = sorted(path for path in shelf.iterdir() if path.is_dir() and path.name != run_id)
    for old in others[: max(0, len(others) + 1 - max(1, latest))]:
        shutil.rmtree(old)
