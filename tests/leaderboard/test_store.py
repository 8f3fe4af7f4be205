import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from harness.errors import UserError
from harness.result import Declared, Entry, Level, Tier, Times, encode
from leaderboard import store as store_module
from leaderboard.schema import RECORD_CAP_BYTES, decode_summary
from leaderboard.signatures import Signer
from leaderboard.store import Broken, Loaded, Store, signature_path
from tests.leaderboard.whole import Everything, read_all

NOTHING = Loaded((), (), frozenset(), {})

# A child adds the records whose files it is given; `before` runs when all is imported and read.
ADD = """
import os, resource, sys
from pathlib import Path
import filelock
from harness.errors import UserError
from leaderboard import schema
from leaderboard.store import Loaded, Store
results, *files = map(Path, sys.argv[1:])
records = [schema.decode(file.read_bytes()) for file in files]
{before}
try:
    for record in records:
        Store(results).add(record)
except UserError as error:
    print(error)
    sys.exit(2)
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "results")


@pytest.fixture
def to_file(tmp_path):
    """The file of an encoded record, for a child to read."""

    def write(record):
        path = tmp_path / f"{record.run_id}.record"
        path.write_bytes(encode(record))
        return path

    return write


def start(results, files, before="", **options):
    return subprocess.Popen(
        [sys.executable, "-c", ADD.format(before=before), str(results), *map(str, files)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def files_in(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_an_added_record_is_found_again(store, make_record, tmp_path):
    record = make_record()
    path = store.add(record)
    assert path == tmp_path / "results" / "cpu-smoke" / f"{record.run_id}.json"
    assert path.read_bytes() == encode(record)
    assert path.stat().st_mode & 0o444 == 0o444  # git and other users can read it
    assert store.get(record.run_id) == record
    loaded = store.load()
    assert [run.run_id for run in loaded.records] == [record.run_id]
    assert loaded.records[0].environment.sandbox.level is Level.NAMESPACES
    assert loaded.broken == ()


def test_no_folder_holds_no_records(store):
    assert store.load() == NOTHING
    with pytest.raises(UserError, match="there are none yet"):
        store.get("20261121")


def test_load_keeps_to_one_track(store, make_record):
    for track in ("cpu-smoke", "cpu-1min", "4090-train-4.5"):
        store.add(make_record(track_id=track))
    assert [run.track.id for run in store.load().records] == ["4090-train-4.5", "cpu-1min", "cpu-smoke"]
    assert [run.track.id for run in store.load("cpu-1min").records] == ["cpu-1min"]
    assert store.load("../results/cpu-1min") == NOTHING


def test_the_same_record_twice_changes_nothing(store, make_record):
    record = make_record()
    path = store.add(record)
    before = path.stat()
    assert store.add(record) == path
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_another_record_under_the_same_id_is_refused(store, make_record, tmp_path):
    record = make_record()
    path = store.add(record)
    with pytest.raises(UserError, match=f"a different record named {record.run_id}"):
        store.add(msgspec.structs.replace(record, seed=record.seed + 1))
    elsewhere = msgspec.structs.replace(record, track=msgspec.structs.replace(record.track, id="cpu-1min"))
    with pytest.raises(UserError, match="a different record"):
        store.add(elsewhere)
    assert path.read_bytes() == encode(record)
    assert [run.track.id for run in store.load().records] == ["cpu-smoke"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"run_id": "../../evil"}, r"\$\.run_id"),
        ({"times": Times(train_s=1.0, setup_s=float("inf"))}, r"\$\.times\.setup_s"),
        ({"declared": Declared(metrics={"x": float("nan")})}, r"\$\.declared\.metrics\.x"),
        ({"log_tail": "x" * RECORD_CAP_BYTES}, "at most"),
        ({"log_tail": "\ud800"}, "surrogates"),
        ({"entry": Entry(name="no/name", title="", authors=(), technique="")}, "entry"),
        ({"track_id": ".."}, r"\$\.track\.id"),
    ],
)
def test_what_is_no_valid_record_is_not_written(store, make_record, tmp_path, fields, words):
    with pytest.raises(UserError, match=f"cannot be recorded: .*{words}"):
        store.add(make_record(**fields))
    assert not (tmp_path / "results").exists()


def test_get_takes_a_unique_beginning(store, make_record):
    first, second = make_record(entry="first"), make_record(entry="second")
    store.add(first)
    store.add(second)
    assert store.get(second.run_id[:-4]) == second
    shared = first.run_id[:9]
    assert second.run_id.startswith(shared)
    with pytest.raises(UserError, match=f"2 runs begin with '{shared}'.*{first.run_id}.*give more"):
        store.get(shared)
    with pytest.raises(UserError, match=f"no run .*did you mean {second.run_id}"):
        store.get(second.run_id[:-1] + "z")
    for nonsense in ("", "../cpu-smoke", "\x1b[2J\n"):
        with pytest.raises(UserError) as caught:
            store.get(nonsense)
        assert str(caught.value).isprintable()


def test_broken_records_are_named_and_skipped(store, make_record, tmp_path):
    good = make_record()
    folder = store.add(good).parent
    text = encode(good)
    ids = [f"20261121-141530-baseline-{digit}000" for digit in "23456789"]
    cut, renamed, misplaced, link, pipe, folder_like, huge, newer = ids
    (folder / f"{cut}.json").write_bytes(text[: len(text) // 2])
    (folder / f"{renamed}.json").write_bytes(text)
    other = make_record()
    (folder.parent / "cpu-1min").mkdir()
    (folder.parent / "cpu-1min" / f"{other.run_id}.json").write_bytes(encode(other))
    (folder.parent / f"{misplaced}.json").write_bytes(text)
    (folder / f"{link}.json").symlink_to(folder / f"{good.run_id}.json")
    os.mkfifo(folder / f"{pipe}.json")
    (folder / f"{folder_like}.json").mkdir()
    with (folder / f"{huge}.json").open("wb") as file:
        file.truncate(RECORD_CAP_BYTES + 1)
    (folder / f"{newer}.json").write_bytes(text.replace(b'"schema": 1', b'"schema": 99'))
    (folder.parent / "linked").symlink_to(folder)
    (folder / "notes.txt").write_text("not a record, and not said to be one")
    (folder / "evil\x1b[2J\n.json").write_text("{}")

    loaded = store.load()
    assert [run.run_id for run in loaded.records] == [good.run_id]
    reasons = dict(loaded.broken)
    expected = {
        f"cpu-smoke/{cut}.json": "Input data was truncated",
        f"cpu-smoke/{renamed}.json": "name is not the run id",
        f"cpu-1min/{other.run_id}.json": "not the track",
        f"{misplaced}.json": "not a track's folder",
        f"cpu-smoke/{link}.json": "it is a link",
        f"cpu-smoke/{pipe}.json": "not a regular file",
        f"cpu-smoke/{folder_like}.json": "not a regular file",
        f"cpu-smoke/{huge}.json": "2,097,153 bytes",
        f"cpu-smoke/{newer}.json": "made by a newer version",
        "linked": "not a track's folder",
        "cpu-smoke/evil[2J .json": "schema",
    }
    assert reasons.keys() == expected.keys()
    for path, words in expected.items():
        assert words in reasons[path]
    for run in (cut, renamed, other.run_id, link, pipe, huge, newer):
        with pytest.raises(UserError, match=r"the record .* is broken: "):
            store.get(run)


def test_no_permission_is_one_line_and_leaves_nothing(make_record, to_file, tmp_path):
    record = make_record()
    file = to_file(record)
    results = tmp_path / "results"
    (results / "cpu-smoke").mkdir(parents=True)
    tmp_path.chmod(0o755)
    results.chmod(0o555)
    # Root may write anywhere, so a child that starts as root becomes nobody once everything is imported.
    become_nobody = "if os.getuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)"
    child = start(results, [file], become_nobody)
    out, err = child.communicate()
    results.chmod(0o755)
    assert (child.returncode, err) == (2, "")
    assert re.fullmatch(
        r"cannot write .*/results/\.lock: Permission denied; check the permissions of the folder\n", out
    )
    assert files_in(results) == []


def test_a_folder_that_cannot_be_read_is_one_line(tmp_path):
    (tmp_path / "results").write_text("a file")
    with pytest.raises(UserError, match=r"cannot read the records in .*: Not a directory"):
        Store(tmp_path / "results").load()


def test_a_full_disk_is_one_line_and_leaves_nothing(store, make_record, to_file, tmp_path):
    good, record = make_record(), make_record(source="x = 1\n" * 10_000)
    store.add(good)
    results = tmp_path / "results"
    before = files_in(results)
    # A limit on the size of files fails the same write that a full disk would.
    child = start(results, [to_file(record)], "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))")
    out, err = child.communicate()
    assert (child.returncode, err) == (2, "")
    assert re.fullmatch(r"cannot write .*\.json: File too large; free some space and try again\n", out)
    assert files_in(results) == before
    assert len(store.load().records) == 1


def _can_mount() -> bool:
    if os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    trial = ["unshare", "-m", "mount", "-t", "tmpfs", "-o", "size=64k", "none", "/mnt"]
    return subprocess.run(trial, capture_output=True).returncode == 0


def test_a_truly_full_disk(make_record, to_file, tmp_path):
    if not _can_mount():
        pytest.skip("needs root and mount namespaces")
    small, large = make_record(), make_record(source="x = 1\n" * 50_000)
    script = tmp_path / "add.py"
    script.write_text(ADD.format(before=""))
    (tmp_path / "disk").mkdir()
    shell = (
        'mount -t tmpfs -o size=128k none "$1/disk" || exit 9\n'
        'for record in "$4" "$5" "$4"; do "$2" "$3" "$1/disk/results" "$record"; done\n'
        'find "$1/disk/results" -type f | sort'
    )
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", shell, "sh", tmp_path, sys.executable, script, to_file(small), to_file(large)],
        capture_output=True,
        text=True,
    )
    refusal, *files = done.stdout.splitlines()
    assert done.stderr == ""
    assert re.fullmatch(r"cannot write .*: No space left on device; free some space and try again", refusal)
    assert [Path(file).name for file in files] == [".lock", f"{small.run_id}.json"]


# A writer that stops for good at the moment it should rename, with everything written and the lock held.
STOPPED = """
import pathlib, signal
def stop(self, target):
    print("written", flush=True)
    signal.pause()
pathlib.Path.replace = stop
"""


def test_a_writer_killed_before_the_rename_leaves_no_record(store, make_record, to_file, tmp_path):
    record, other = make_record(), make_record()
    results = tmp_path / "results"
    child = start(results, [to_file(record)], STOPPED)
    assert child.stdout.readline() == "written\n"
    assert len(list(results.glob("cpu-smoke/.*.tmp"))) == 1
    assert store.load() == NOTHING
    child.send_signal(signal.SIGKILL)
    child.communicate()
    assert child.returncode == -signal.SIGKILL
    assert store.load() == NOTHING
    # The lock died with its holder, and the next writer sweeps what was left.
    store.add(other)
    assert files_in(results) == [".lock", f"cpu-smoke/{other.run_id}.json"]
    store.add(record)
    assert {run.run_id for run in store.load().records} == {record.run_id, other.run_id}


def test_a_held_lock_ends_in_one_line(store, make_record, to_file, tmp_path, monkeypatch):
    record, other = make_record(), make_record()
    child = start(tmp_path / "results", [to_file(record)], STOPPED)
    try:
        assert child.stdout.readline() == "written\n"
        monkeypatch.setattr("leaderboard.store.LOCK_WAIT_S", 0.0)
        with pytest.raises(UserError, match="locked by another process"):
            store.add(other)
    finally:
        child.kill()
        child.communicate()


def test_many_writers_at_once_lose_and_double_nothing(store, make_record, to_file, tmp_path):
    writers, own, shared = 16, 4, 4
    common = [make_record(source="shared") for _ in range(shared)]
    records, children = list(common), []
    for writer in range(writers):
        mine = [make_record(entry=f"writer-{writer}") for _ in range(own)]
        records += mine
        # Everyone also adds the same few records, each from another end, so that writers meet.
        turned = common[writer % shared :] + common[: writer % shared]
        children.append([to_file(record) for pair in zip(mine, turned, strict=True) for record in pair])
    started = [start(tmp_path / "results", files) for files in children]
    assert [(*child.communicate(), child.returncode) for child in started] == [("", "", 0)] * writers
    loaded = store.load()
    assert loaded.broken == ()
    assert Counter(run.run_id for run in loaded.records) == Counter(record.run_id for record in records)
    for record in records:
        assert store.get(record.run_id) == record
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "ada"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def ada(key, tmp_path):
    """The one maintainer's signer; her key stands beside the results folder."""
    public = key.with_suffix(".pub").read_text()
    (tmp_path / "maintainers").write_text(f'ada@example.org namespaces="speedrun" {public}')
    return Signer(key)


def test_a_verified_record_counts_as_signed(store, make_record, ada):
    record = make_record(tier=Tier.VERIFIED)
    path = store.add(record, ada.sign(encode(record)))
    assert signature_path(path).name == f"{record.run_id}.json.sig"
    assert store.load() == Loaded(
        (decode_summary(encode(record)),), (), frozenset(), {record.run_id: sha256(encode(record)).hexdigest()}
    )
    held = store.find(record.run_id)
    assert (held.signer, held.unsigned, held.record, held.counted) == ("ada@example.org", False, record, record)
    assert store.get(record.run_id) == record
    (whole,) = read_all(store).records
    assert whole == held
    assert whole.data == path.read_bytes()


def test_a_signature_that_came_while_its_folder_was_listed_counts(store, make_record, ada, monkeypatch):
    """A listing that is under way may show a new file, its record, and not another one, which came before it."""
    record = make_record(tier=Tier.VERIFIED)
    store.add(record, ada.sign(encode(record)))
    listed = store_module._scan
    monkeypatch.setattr(
        store_module, "_scan", lambda folder: [each for each in listed(folder) if not each[0].endswith(".sig")]
    )
    assert store.load().unsigned == frozenset()
    assert [held.signer for held in read_all(store).records] == ["ada@example.org"]


def _no_signature(path, ada):
    signature_path(path).unlink()


def _another_runs_signature(path, ada):
    signature_path(path).write_bytes(ada.sign(b"another record"))


def _a_changed_byte(path, ada):
    path.write_bytes(path.read_bytes().replace(b'"loss_nats": 1.5', b'"loss_nats": 1.4'))


def _a_link(path, ada):
    signature = signature_path(path)
    signature.rename(signature.with_suffix(".kept"))
    signature.symlink_to(signature.with_suffix(".kept"))


def _a_pipe(path, ada):
    signature_path(path).unlink()
    os.mkfifo(signature_path(path))


def _no_maintainers(path, ada):
    (path.parents[2] / "maintainers").unlink()


@pytest.mark.parametrize(
    "spoil", [_no_signature, _another_runs_signature, _a_changed_byte, _a_link, _a_pipe, _no_maintainers]
)
def test_without_a_valid_signature_it_is_self_reported(store, make_record, ada, spoil):
    good, record = make_record(), make_record(tier=Tier.VERIFIED)
    store.add(good)
    path = store.add(record, ada.sign(encode(record)))
    spoil(path, ada)
    loaded = store.load()
    assert loaded.unsigned == {record.run_id}
    assert [run.tier for run in loaded.records] == [Tier.SELF_REPORTED] * 2
    held = store.find(record.run_id)
    assert held.unsigned
    assert held.record.tier is Tier.VERIFIED
    assert held.counted.tier is Tier.SELF_REPORTED
    assert store.get(record.run_id).tier is Tier.SELF_REPORTED


@pytest.mark.parametrize("track_id", ["cpu-1min", "zebra"])  # read before the signed one, and after it
def test_a_file_with_the_id_of_a_signed_run_is_not_taken_for_it(store, make_record, ada, tmp_path, track_id):
    signed = make_record(tier=Tier.VERIFIED)
    path = store.add(signed, ada.sign(encode(signed)))
    other = make_record(track_id=track_id, loss_nats=0.5, tier=Tier.VERIFIED)
    copy = tmp_path / "results" / track_id / path.name
    copy.parent.mkdir()
    copy.write_bytes(encode(msgspec.structs.replace(other, run_id=signed.run_id)))
    loaded = store.load()
    assert loaded == Loaded(
        (decode_summary(encode(signed)),),
        (Broken(f"{track_id}/{path.name}", f"another record has the id {signed.run_id}"),),
        frozenset(),
        {signed.run_id: sha256(encode(signed)).hexdigest()},
    )
    # With the signature copied as well, and where nothing else is read.
    signature_path(copy).write_bytes(signature_path(path).read_bytes())
    assert store.load() == loaded
    alone = store.load(track_id)
    assert (alone.records[0].tier, alone.unsigned) == (Tier.SELF_REPORTED, {signed.run_id})


def test_verdicts_on_signatures_are_remembered_where_it_is_said(make_record, ada, tmp_path):
    cache = tmp_path / "cache"
    store = Store(tmp_path / "results", cache)
    record = make_record(tier=Tier.VERIFIED)
    path = store.add(record, ada.sign(encode(record)))
    assert store.load().unsigned == frozenset()
    assert [file.name for file in cache.iterdir()] == ["signatures.json"]
    # The audit asks anew, and what was remembered of other bytes helps nobody.
    _a_changed_byte(path, ada)
    assert store.load().unsigned == {record.run_id}
    assert read_all(store).records[0].unsigned


def test_everything_is_read_whole_and_strays_are_named(store, make_record, tmp_path):
    first, second = make_record(), make_record(track_id="cpu-1min")
    paths = [store.add(record) for record in (first, second)]
    (paths[0].parent / "20261121-141530-gone-3f9a.json.sig").write_text("a signature")
    (paths[0].parent / "20261121-141530-baseline-3f9a.json").write_text("{")
    everything = read_all(store)
    assert [held.record for held in everything.records] == [second, first]
    assert dict(everything.broken).keys() == {
        "cpu-smoke/20261121-141530-baseline-3f9a.json",
        "cpu-smoke/20261121-141530-gone-3f9a.json.sig",
    }
    assert [held.record for held in read_all(store, "cpu-1min").records] == [second]
    assert read_all(store, "cpu-1min").broken == ()
    assert read_all(store, "../results") == Everything((), ())


def test_the_same_signed_record_twice_changes_nothing(store, make_record, ada):
    record = make_record(tier=Tier.VERIFIED)
    signature = ada.sign(encode(record))
    path = store.add(record, signature)
    assert store.add(record, signature) == path
    assert signature_path(path).read_bytes() == signature


@pytest.mark.parametrize("beside", [None, b"", b"another"])
def test_a_signature_that_a_record_lacks_is_written(store, make_record, ada, beside):
    """A record that was copied without it, or whose writer was killed while he replaced it."""
    record = make_record(tier=Tier.VERIFIED)
    path = store.add(record)
    if beside is not None:
        signature_path(path).write_bytes(beside)
    assert store.load().unsigned == {record.run_id}
    assert store.add(record, ada.sign(encode(record))) == path
    assert store.load().unsigned == frozenset()
    assert store.add(record) == path  # which takes nothing away
    assert store.load().unsigned == frozenset()


@pytest.mark.parametrize(
    "unsigned",
    [
        lambda store, run: store.load().unsigned,
        lambda store, run: {held.record.run_id for held in read_all(store).records if held.unsigned},
        lambda store, run: {run} if store.find(run).unsigned else set(),
    ],
    ids=["load", "each", "find"],
)
def test_who_reads_while_a_record_is_replaced_finds_it_signed(store, make_record, ada, monkeypatch, unsigned):
    """Between the two renames the new signature lies beside the old record."""
    old = make_record(tier=Tier.VERIFIED)
    new = msgspec.structs.replace(old, log_tail="what was found out afterwards")
    store.add(old, ada.sign(encode(old)))
    held, signature = store.find(old.run_id), ada.sign(encode(new))
    between, met = threading.Event(), threading.Event()
    put, just_signed = store_module.atomic.replace, store_module._just_signed

    def put_slowly(path, data):
        put(path, data)
        if path.suffix == ".sig":
            between.set()
            met.wait(20)

    monkeypatch.setattr(store_module.atomic, "replace", put_slowly)
    monkeypatch.setattr(store_module, "_just_signed", lambda path: met.set() or just_signed(path))
    writer = threading.Thread(target=store.replace, args=(held, new, signature))
    writer.start()
    assert between.wait(20)
    assert unsigned(store, old.run_id) == set()
    assert met.is_set(), "the reader has met the two that do not belong together"
    writer.join()
    assert store.find(old.run_id).counted == new


def test_only_a_signature_that_came_just_now_is_read_twice(store, make_record, ada, monkeypatch):
    """Else a board with thousands of forgeries would be read twice over."""
    record = make_record(tier=Tier.VERIFIED)
    path = store.add(record, ada.sign(b"another record"))
    read, again = store_module.read, []
    monkeypatch.setattr(store_module, "read", lambda path: again.append(path) or read(path))
    assert store.load().unsigned == {record.run_id}
    assert again == [path]
    os.utime(signature_path(path), (0, 0))
    assert store.load().unsigned == {record.run_id}
    assert again == [path]
