"""Whether shards are what their manifest says.

Small shards are hashed at every use. Of large ones it is remembered which file, of which size and time, had the right
hash: a copy, or a file that took its place, is another file and is hashed again.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from data.manifest import Manifest, Shard, replace_text
from data.shards import shard_bytes, shard_sha256
from data.watching import Watcher, size
from harness.errors import UserError

HASH_EVERY_TIME_BYTES = 64 << 20
VERIFIED = "verified.json"


def check(
    manifest: Manifest,
    shards: Sequence[Shard],
    folder: Path,
    watcher: Watcher,
    *,
    hashed: frozenset[str] = frozenset(),
    anew: bool = False,
    remember: bool = True,
) -> None:
    """Hash shards that are there.

    hashed: files whose hash was found right just now, by the same process; anew: whatever is remembered; remember:
    large ones that are right, in the folder. Raises UserError that names the file with a wrong hash, OSError.
    """
    known = {} if anew else _remembered(folder)
    stamps = {shard.file: _stamp(folder, shard) for shard in shards}
    new = [shard for shard in shards if known.get(shard.file) != stamps[shard.file]]
    due = [shard.tokens for shard in new if shard.file not in hashed]
    total, total_bytes = sum(due), sum(map(shard_bytes, due))
    takes_long = total_bytes > HASH_EVERY_TIME_BYTES
    if takes_long:
        watcher.note(f"checking the hashes of {manifest.id}, {size(total_bytes)}")
    done = 0
    for shard in new:
        if shard.file not in hashed:
            if takes_long:
                watcher.progress(done, total)
            if shard_sha256(folder / shard.file) != shard.sha256:
                again = "import it" if manifest.source.kind == "import" else f"speedrun data prepare {manifest.id}"
                raise UserError(
                    f"{shard.file} of {manifest.id} has the wrong hash: it is not the data that the manifest names; "
                    f"delete data/cache/{manifest.id}/{shard.file} and {again} again"
                )
            done += shard.tokens
        if remember and shard_bytes(shard.tokens) > HASH_EVERY_TIME_BYTES:
            known[shard.file] = stamps[shard.file]
            replace_text(folder / VERIFIED, msgspec.json.encode(known).decode())


def _stamp(folder: Path, shard: Shard) -> str:
    """Which file had which hash. Not its ctime, which every link to it changes."""
    facts = (folder / shard.file).stat()
    return f"{facts.st_dev} {facts.st_ino} {facts.st_size} {facts.st_mtime_ns} {shard.sha256}"


def _remembered(folder: Path) -> dict[str, str]:
    try:
        return msgspec.json.decode((folder / VERIFIED).read_bytes(), type=dict[str, str])
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return {}
