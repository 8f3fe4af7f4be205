"""Duels on disk: they grow, they are signed, and whatever stops the writer takes neither pairs nor signatures along."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.errors import UserError
from harness.result import Tier, TrackRef
from leaderboard.duel_store import MOST_SIGNATURES, DuelStore
from leaderboard.duels import Duel, Pair, Side, encode
from leaderboard.signatures import Signer
from leaderboard.store import signature_path

DUEL_ID = "20261121-141530-duel-mine-3f9a"

replace = msgspec.structs.replace


def duel(pairs: int, tier=Tier.SELF_REPORTED, track="cpu-smoke") -> Duel:
    return Duel(
        duel_id=DUEL_ID,
        purpose="duel",
        track=TrackRef(id=track, version=1, sha256="0" * 64, objective="lowest-loss", limit_s=8.0, target_nats=None),
        started_at="2026-11-21T14:15:30Z",
        a=Side(entry="mine", source_sha256="a" * 64),
        b=Side(entry="theirs", source_sha256="b" * 64),
        pairs=tuple(
            Pair(a=f"20261121-141530-mine-{number:04x}", b=f"20261121-141530-theirs-{number:04x}", first="a")
            for number in range(pairs)
        ),
        most_pairs=20,
        alpha=0.01,
        tier=tier,
    )


def verified(pairs: int) -> Duel:
    return duel(pairs, Tier.VERIFIED)


@pytest.fixture(scope="session")
def ada(tmp_path_factory) -> Path:
    key = tmp_path_factory.mktemp("keys") / "ada"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return key


@pytest.fixture
def duels(tmp_path, ada) -> Path:
    """A folder of duels beside a maintainers file with the key in `ada`."""
    (tmp_path / "maintainers").write_text(f'ada@example.org namespaces="speedrun" {Path(f"{ada}.pub").read_text()}')
    return tmp_path / "duels"


@pytest.fixture
def sign(ada):
    signer = Signer(ada)
    return lambda duel: signer.sign(encode(duel))


def visible(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_duel_grows_on_disk_and_is_there_whole(tmp_path):
    store = DuelStore(tmp_path / "duels")
    assert store.load() == ((), (), frozenset())
    for pairs in range(5):
        path = store.put(duel(pairs))
    assert path == tmp_path / "duels" / "cpu-smoke" / f"{DUEL_ID}.json"
    assert path.read_bytes() == encode(duel(4))
    assert store.load().duels == store.load("cpu-smoke").duels == (duel(4),)
    assert store.load("cpu-1min").duels == ()
    assert os.listdir(path.parent) == [path.name]


def test_a_signature_makes_it_verified_and_nothing_else_does(duels, sign):
    store = DuelStore(duels)
    path = store.put(verified(4), sign(verified(4)))
    assert store.load() == ((verified(4),), (), frozenset())

    path.write_bytes(encode(verified(3)))  # the signature is that of the longer one
    assert store.load() == ((duel(3),), (), {DUEL_ID})
    store.put(verified(4))  # without one: what lay there goes
    assert store.load().unsigned == {DUEL_ID}
    assert os.listdir(path.parent) == [path.name]


def test_a_signed_duel_that_has_grown_has_the_signature_of_all_of_it_alone(duels, sign):
    store = DuelStore(duels)
    for pairs in range(4):
        path = store.put(verified(pairs), sign(verified(pairs)))
        assert store.load() == ((verified(pairs),), (), frozenset())
        assert signature_path(path).read_bytes() == sign(verified(pairs))
    assert visible(path.parent) == [path.name, f"{path.name}.sig"]


def test_a_file_of_another_track_lends_no_signature(duels, sign):
    """The attack: the id of a signed duel, in a folder that is read before it or after it."""
    store = DuelStore(duels)
    store.put(verified(4), sign(verified(4)))
    for track in ("cpu-1min", "h100-5min"):
        store.put(duel(6, Tier.VERIFIED, track))
    loaded = store.load()
    assert [(each.track.id, each.tier) for each in loaded.duels] == [
        ("cpu-1min", Tier.SELF_REPORTED),
        ("cpu-smoke", Tier.VERIFIED),
        ("h100-5min", Tier.SELF_REPORTED),
    ]
    assert loaded.unsigned == {DUEL_ID}


def test_signatures_that_are_none_are_not_believed(duels, sign):
    store = DuelStore(duels)
    path = store.put(verified(4), sign(verified(4)))
    good, other = sign(verified(4)), sign(verified(3))
    for spoilt in (b"", b"x" + good, other, other * MOST_SIGNATURES + good, good[:-40], good + b"x" * 100_000):
        signature_path(path).write_bytes(spoilt)
        assert store.load() == ((duel(4),), (), {DUEL_ID}), spoilt[:60]
    signature_path(path).write_bytes(other + good)
    assert store.load() == ((verified(4),), (), frozenset())


# Every step of a write in a process of its own, which ends there without a word, as `kill -9` and a power cut end it.
KILLED = """
import os, shutil, sys
from pathlib import Path
from leaderboard.duel_store import DuelStore
from leaderboard.duels import decode

before, ways, after, signature = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])
duel, signature = decode(after.read_bytes()), signature.read_bytes()
for step in range(1, 100):
    place = ways / f"{step:02}"
    shutil.copytree(before, place)
    child = os.fork()
    if not child:
        steps = 0
        def watch(event, arguments):
            global steps
            if event in ("open", "os.rename", "os.link", "os.remove") and str(place) in str(arguments[0]):
                steps += 1
                if steps == step:
                    os._exit(9)
        sys.addaudithook(watch)
        DuelStore(place / "duels").put(duel, signature)
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        break
"""


def test_whoever_is_killed_at_any_step_leaves_a_duel_with_its_signature(duels, sign, tmp_path):
    DuelStore(duels).put(verified(3), sign(verified(3)))
    ways = tmp_path / "ways"
    after, signature = tmp_path / "after", tmp_path / "signature"
    after.write_bytes(encode(verified(4)))
    signature.write_bytes(sign(verified(4)))
    before = tmp_path / "before"
    before.mkdir()
    shutil.copytree(duels, before / "duels")
    shutil.copy(duels.parent / "maintainers", before)
    subprocess.run([sys.executable, "-c", KILLED, before, ways, after, signature], check=True)
    places = sorted(ways.iterdir())
    assert len(places) > 9  # three files are opened, renamed, and their folder is synced
    pairs = []
    for place in places:
        store = DuelStore(place / "duels")
        ((left,), broken, unsigned) = store.load()
        assert (left.tier, broken, unsigned) == (Tier.VERIFIED, (), frozenset()), place
        pairs.append(len(left.pairs))
        # Whoever comes next finds nothing in the way.
        path = store.put(verified(5), sign(verified(5)))
        assert store.load() == ((verified(5),), (), frozenset())
        assert visible(path.parent) == [path.name, f"{path.name}.sig"]
    assert pairs == sorted(pairs)
    assert {*pairs} == {3, 4}


@pytest.mark.parametrize("most_bytes", [100, 1_000])
def test_a_full_disk_keeps_what_was_there_a_pair_ago(duels, sign, most_bytes):
    """A limit on what may be written: at the first it is reached by a signature, at the second by the duel."""
    store = DuelStore(duels)
    path = store.put(verified(3), sign(verified(3)))
    longer = sign(verified(4))
    assert len(longer) * 2 < 1_000 < len(encode(verified(4)))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, limits[1]))
    try:
        with pytest.raises(UserError, match="free some space and try again"):
            store.put(verified(4), longer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.load() == ((verified(3),), (), frozenset())
    assert len(list(path.parent.iterdir())) == 2
    store.put(verified(4), longer)
    assert store.load() == ((verified(4),), (), frozenset())
    assert signature_path(path).read_bytes() == longer


def test_a_sync_that_fails_at_any_step_keeps_the_signature(duels, sign, monkeypatch):
    store, real = DuelStore(duels), os.fsync
    for step in range(1, 7):
        store.put(verified(3), sign(verified(3)))
        calls = iter(range(1, 100))

        def fail(descriptor, calls=calls, step=step):
            if next(calls) == step:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            real(descriptor)

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(UserError, match="free some space"):
            store.put(verified(4), sign(verified(4)))
        monkeypatch.setattr(os, "fsync", real)
        ((left,), _, unsigned) = store.load()
        assert (left.tier, unsigned) == (Tier.VERIFIED, frozenset()), step


def test_strange_files_are_named_and_read_by_nobody(tmp_path):
    store = DuelStore(tmp_path / "duels")
    folder = store.put(duel(4)).parent
    (folder / "20261121-141531-duel-mine-3f9a.json").write_bytes(encode(duel(4)))
    (folder / "20261121-141532-duel-mine-3f9a.json").write_text("{")
    os.mkfifo(folder / "20261121-141533-duel-mine-3f9a.json")
    (folder / "20261121-141534-duel-mine-3f9a.json").symlink_to("/dev/zero")
    (tmp_path / "duels" / "link").symlink_to(folder)
    loaded = store.load()
    assert loaded.duels == (duel(4),)
    assert dict(loaded.broken) == {
        "link": "cannot be read: it is a link",
        f"cpu-smoke/{DUEL_ID.replace('141530', '141531')}.json": (
            "the file's name and folder are not the duel's id and track"
        ),
        f"cpu-smoke/{DUEL_ID.replace('141530', '141532')}.json": "Input data was truncated",
        f"cpu-smoke/{DUEL_ID.replace('141530', '141533')}.json": "cannot be read: not a regular file",
        f"cpu-smoke/{DUEL_ID.replace('141530', '141534')}.json": "cannot be read: it is a link",
    }


def test_a_forbidden_place_is_one_line(tmp_path):
    (tmp_path / "duels").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        DuelStore(tmp_path / "duels").put(duel(4))
