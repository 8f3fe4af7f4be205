"""The duels on disk: `<duels>/<track>/<duel id>.json`, written anew after every pair, signed by whoever vouches for it.

A duel is there whole or not at all, whatever kills the writer, and so is its signature. A signed duel that grows is two
files that change one after the other: while they do, `<duel id>.json.sig` holds the signature to come and the one
before, and the duel on disk has one of the two at every moment. Afterwards it holds the new one alone.
"""

from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.errors import UserError
from harness.result import Tier
from leaderboard import atomic
from leaderboard.duels import DUEL_CAP_BYTES, Duel, decode, encode
from leaderboard.reading import read_regular
from leaderboard.schema import RecordError
from leaderboard.signatures import SIGNATURE_CAP_BYTES, Signed, all_signed_by
from leaderboard.store import MAINTAINERS_NAME, Broken, signature_path
from leaderboard.text import plain

# That a file may hold: while a duel grows, and once more after an attempt to write it that failed.
MOST_SIGNATURES = 3

_BEGINNING = b"-----BEGIN SSH SIGNATURE-----"


class LoadedDuels(NamedTuple):
    """What a folder of duels holds, in order of track and id."""

    duels: tuple[Duel, ...]  # one whose signature is not valid is self-reported
    broken: tuple[Broken, ...]
    unsigned: frozenset[str]  # ids of those that say verified, without a valid signature


class DuelStore:
    """Every duel of a folder, which need not exist before the first one is written.

    cache: where verdicts on signatures are remembered; None: nowhere.
    """

    def __init__(self, duels: Path, cache: Path | None = None) -> None:
        self._duels = duels
        self._cache = cache

    def put(self, duel: Duel, signature: bytes | None = None) -> Path:
        """Writes the duel, in place of what it was a pair ago, and returns its file.

        signature: over `encode(duel)`.

        Raises:
            UserError: no space, no permission; what was there a pair ago is still there, and as good as it was.
        """
        folder = self._duels / duel.track.id
        path = folder / f"{duel.duel_id}.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise atomic.cannot_write(path, error) from None
        if signature is None:
            atomic.replace(path, encode(duel))
            signature_path(path).unlink(missing_ok=True)  # of what it was a pair ago
        else:
            atomic.replace(signature_path(path), b"".join((signature, *_signatures(path))))
            atomic.replace(path, encode(duel))
            atomic.replace(signature_path(path), signature)
        return path

    def load(self, track: str | None = None) -> LoadedDuels:
        """All duels, or one track's; broken ones are named and skipped.

        Raises:
            UserError: the folder can't be read, or signatures can't be checked (leaderboard.signatures says when).
        """
        duels: list[Duel] = []
        broken: list[Broken] = []
        claims: list[_Claim] = []
        for path in self._files(track):
            try:
                data = read_regular(path, DUEL_CAP_BYTES, "duel")
                duel = decode(data)
                if (path.stem, path.parent.name) != (duel.duel_id, duel.track.id):
                    raise RecordError("the file's name and folder are not the duel's id and track")
            except RecordError as error:
                broken.append(Broken(plain(path.relative_to(self._duels).as_posix(), 200), str(error)))
                continue
            if duel.tier is Tier.VERIFIED:
                signatures = _signatures(path)
                claims += [_Claim(len(duels), Signed.over(data, each, duel.started_at)) for each in signatures]
            duels.append(duel)
        signers = all_signed_by([claim.signed for claim in claims], self._duels.parent / MAINTAINERS_NAME, self._cache)
        # By number: somebody may lay a file with the id of a signed duel into another track's folder.
        good = {claim.number for claim, signer in zip(claims, signers, strict=True) if signer is not None}
        bad = {number for number, duel in enumerate(duels) if duel.tier is Tier.VERIFIED and number not in good}
        return LoadedDuels(
            tuple(
                msgspec.structs.replace(duel, tier=Tier.SELF_REPORTED) if number in bad else duel
                for number, duel in enumerate(duels)
            ),
            tuple(broken),
            frozenset(duels[number].duel_id for number in bad),
        )

    def _files(self, track: str | None) -> list[Path]:
        """Whatever lies where a duel should: links and pipes, too, which are named when they are read."""
        try:
            tracks = [path for path in _visible(self._duels) if track is None or path.name == track]
            inside = [path for folder in tracks if not folder.is_symlink() for path in _visible(folder)]
        except OSError as error:
            raise UserError(f"cannot read the duels in {self._duels}: {error.strerror}") from None
        return [path for path in (*tracks, *inside) if path.suffix == ".json" or path.is_symlink()]


class _Claim(NamedTuple):
    """A signature beside a duel."""

    number: int  # of the duel, among those that were read
    signed: Signed


def _signatures(duel: Path) -> tuple[bytes, ...]:
    """What lies beside a duel: as a rule one signature, and none where there is no such file."""
    try:
        held = read_regular(signature_path(duel), MOST_SIGNATURES * SIGNATURE_CAP_BYTES, "signature")
    except RecordError:
        return ()
    before, *found = held.split(_BEGINNING)
    return () if before else tuple(_BEGINNING + rest for rest in found[:MOST_SIGNATURES])


def _visible(folder: Path) -> list[Path]:
    """What lies in a folder, by name; nothing for what is no folder. Raises OSError."""
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
