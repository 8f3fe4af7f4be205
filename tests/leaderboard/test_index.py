"""The index only ever saves time: whatever happens behind its back, the answer is that of a store without one."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from harness.result import Tier, encode
from leaderboard import index
from leaderboard.signatures import Signer
from leaderboard.store import Store, signature_path
from tests.leaderboard.whole import read_all

TRACKS = ("cpu-smoke", "cpu-1min")


def tick(folder):
    """Waits until the file system's clock has moved, a few milliseconds: what is written next has another time."""
    probe = folder / "probe"
    probe.write_text("")
    begun_ns = probe.stat().st_ctime_ns
    limit_s = time.monotonic() + 60
    while probe.stat().st_ctime_ns == begun_ns:
        assert time.monotonic() < limit_s, "this file system's clock stands"
        probe.write_text("")
    probe.unlink()


@pytest.fixture
def old(monkeypatch):
    """Files count as old at once; tests that change them wait for a tick instead."""
    monkeypatch.setattr(index, "RACY_NS", 0)


@pytest.fixture
def unread(monkeypatch):
    """From the call on, reading a record file fails the test."""
    return lambda: monkeypatch.setattr(index, "read", lambda path: pytest.fail(f"read {path.name}"))


@pytest.fixture
def results(tmp_path):
    return tmp_path / "results"


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def store(results, cache):
    return Store(results, cache)


@pytest.fixture
def put(results, tmp_path):
    """Lays a record where it belongs, without the store's syncs."""

    def lay(record):
        path = results / record.track.id / f"{record.run_id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encode(record))
        tick(tmp_path)
        return path

    return lay


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """Ada's; Eve's lies beside it."""
    path = tmp_path_factory.mktemp("keys") / "ada"
    for each in (path, path.with_name("eve")):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", each], check=True)
    return path


def maintainer(key):
    return f'ada@example.org namespaces="speedrun" {key.with_suffix(".pub").read_text()}'


def index_of(cache, track="cpu-smoke"):
    return cache / f"records-{track}.index"


def test_what_was_read_once_is_known(store, results, cache, put, make_record, old, unread):
    paths = [put(make_record(track_id=track)) for track in TRACKS]
    (paths[0].parent / "20261121-141530-baseline-3f9a.json").write_text("{")
    plain = Store(results).load()
    assert len(plain.records) == 2
    assert len(plain.broken) == 1
    assert store.load() == plain
    assert sorted(path.name for path in cache.iterdir()) == ["records-cpu-1min.index", "records-cpu-smoke.index"]
    unread()
    assert store.load() == plain
    assert store.load("cpu-1min") == Store(results, cache).load("cpu-1min")


def test_without_a_cache_nothing_is_kept(results, tmp_path, put, make_record, old):
    put(make_record())
    assert len(Store(results).load().records) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["results"]


def change_in_place(path, data):
    """As whoever wants to go unnoticed would: the same size, the same inode, the time of change put back."""
    facts = path.stat()
    assert len(data) == facts.st_size
    with path.open("r+b") as file:
        file.write(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def better(data):
    changed = data.replace(b'"loss_nats": 1.5', b'"loss_nats": 1.2')
    assert changed != data
    return changed


@pytest.mark.parametrize("put_back", [False, True])
def test_a_file_that_has_just_changed_is_not_believed(store, results, cache, put, make_record, put_back):
    path = put(make_record())
    if put_back:  # its time of change is that of an old file, which takes a change just now
        os.utime(path, ns=(0, 0))
    assert store.load() == Store(results).load()
    assert not index_of(cache).exists()
    change_in_place(path, better(path.read_bytes()))  # perhaps within the same tick of the clock
    assert store.load().records[0].score.loss_nats == 1.2


def test_a_file_from_the_future_is_never_believed(store, results, cache, put, make_record, old):
    path, other = put(make_record()), put(make_record())
    far = time.time_ns() + 3600 * 10**9
    os.utime(path, ns=(far, far))
    assert store.load() == Store(results).load()
    read = []
    original = index.read
    index.read = lambda path: read.append(path.name) or original(path)
    try:
        assert store.load() == Store(results).load()
    finally:
        index.read = original
    assert read.count(path.name) == 2
    assert read.count(other.name) == 1  # by the store without a cache


def test_a_change_that_hides_is_seen(store, results, put, make_record, old):
    path = put(make_record())
    assert store.load().records[0].score.loss_nats == 1.5
    change_in_place(path, better(path.read_bytes()))
    assert store.load().records[0].score.loss_nats == 1.2


def test_a_file_that_changes_while_it_is_read_is_read_again(store, results, put, make_record, old, monkeypatch):
    put(make_record())
    original = index.read

    def read_and_be_overtaken(path):
        content = original(path)
        change_in_place(path, better(path.read_bytes()))
        return content

    monkeypatch.setattr(index, "read", read_and_be_overtaken)
    assert store.load().records[0].score.loss_nats == 1.5
    monkeypatch.setattr(index, "read", original)
    assert store.load().records[0].score.loss_nats == 1.2


@pytest.mark.parametrize("what", ["code", "user", "track"])
def test_an_index_of_somebody_else_is_none(store, results, cache, put, make_record, old, monkeypatch, what):
    put(make_record())
    plain = store.load()
    written = index_of(cache).read_bytes()
    if what == "code":
        monkeypatch.setattr(index, "_code", lambda: "other")
    elif what == "user":
        monkeypatch.setattr(index.os, "geteuid", lambda: 12345)
    else:
        shutil.move(results / "cpu-smoke", results / "cpu-1min")  # the same inodes, names and times
        shutil.move(index_of(cache), index_of(cache, "cpu-1min"))
        plain = Store(results).load()
        assert len(plain.broken) == 1
    assert store.load() == plain
    track = "cpu-1min" if what == "track" else "cpu-smoke"
    assert index_of(cache, track).read_bytes() != written


def test_all_code_that_reads_records_decides_whether_an_index_holds():
    code = (
        "import sys, leaderboard.schema, leaderboard.reading\n"
        "names = [name for name in sys.modules if name.startswith(('leaderboard.', 'harness.'))]\n"
        "print(*sorted(names))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    hashed = []
    original = index._source
    index._code.cache_clear()
    index._source = lambda module: hashed.append(module.__name__) or original(module)
    try:
        index._code()
    finally:
        index._source = original
    assert sorted(hashed) == done.stdout.split()


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 31, b"\0" * 32, b"\xff" * 5000])
def test_garbage_is_as_good_as_nothing(store, results, cache, put, make_record, old, content):
    put(make_record())
    cache.mkdir()
    index_of(cache).write_bytes(content)
    plain = Store(results).load()
    assert store.load() == plain
    assert len(index_of(cache).read_bytes()) > 500


def test_every_byte_of_an_index_counts(store, results, cache, put, make_record, old):
    put(make_record())
    plain = store.load()
    whole = index_of(cache).read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 97)):
        index_of(cache).write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert index._recall(index_of(cache), "cpu-smoke").lines == []
        index_of(cache).write_bytes(whole[:place])
        assert index._recall(index_of(cache), "cpu-smoke").lines == []
    index_of(cache).write_bytes(whole)
    assert len(index._recall(index_of(cache), "cpu-smoke").lines) == 1
    assert store.load() == plain


def test_a_pipe_or_a_folder_in_its_place_stops_nobody(store, results, cache, put, make_record, old):
    put(make_record())
    cache.mkdir()
    os.mkfifo(index_of(cache))
    plain = Store(results).load()
    assert store.load() == plain  # and the pipe is replaced
    index_of(cache).unlink()
    index_of(cache).mkdir()
    assert store.load() == store.load() == plain
    assert [path.name for path in cache.iterdir()] == [index_of(cache).name]  # no temporary file is left


LOAD = """
import os, resource, sys
from pathlib import Path
from leaderboard import index
from leaderboard.store import Store
index.RACY_NS = 0
results, cache = map(Path, sys.argv[1:3])
{before}
print(len(Store(results, cache).load().records))
"""


def load_elsewhere(results, cache, before=""):
    done = subprocess.run(
        [sys.executable, "-c", LOAD.format(before=before), results, cache], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_on_a_full_disk_there_is_no_index(results, cache, put, make_record):
    put(make_record())
    # A limit on the size of files fails the same write that a full disk would.
    assert load_elsewhere(results, cache, "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))") == "1\n"
    assert list(cache.iterdir()) == []
    assert load_elsewhere(results, cache) == "1\n"
    assert len(list(cache.iterdir())) == 1


def test_in_a_folder_that_one_may_not_write_to_there_is_no_index(make_record):
    with tempfile.TemporaryDirectory() as folder:  # pytest's own lie in one that only their owner may enter
        results, cache = Path(folder, "results"), Path(folder, "cache")
        record = make_record()
        (results / "cpu-smoke").mkdir(parents=True)
        (results / "cpu-smoke" / f"{record.run_id}.json").write_bytes(encode(record))
        tick(results)
        cache.mkdir(mode=0o555)
        Path(folder).chmod(0o755)
        # Root may write anywhere, so a child that starts as root becomes nobody once everything is imported.
        become_nobody = "if os.getuid() == 0:\n    os.setgid(65534)\n    os.setuid(65534)"
        assert load_elsewhere(results, cache, become_nobody) == "1\n"
        assert load_elsewhere(results, cache / "deeper", become_nobody) == "1\n"
        assert list(cache.iterdir()) == []


def test_many_processes_at_once_agree(results, cache, put, make_record):
    for _ in range(5):
        put(make_record())
    before = (
        "for _ in range(30):\n"
        "    assert len(Store(results, cache).load().records) == 5\n"
        "    (cache / 'records-cpu-smoke.index').unlink(missing_ok=True)"
    )
    command = [sys.executable, "-c", LOAD.format(before=before), results, cache]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)]
    assert [(*child.communicate(), child.returncode) for child in children] == [("5\n", "", 0)] * 4
    assert [path.name for path in cache.iterdir()] == [index_of(cache).name]
    assert len(index._recall(index_of(cache), "cpu-smoke").lines) == 5


def test_what_an_index_can_not_hold_is_left_out(results, cache, put, make_record, record_json, old, monkeypatch):
    put(make_record())
    huge = record_json()
    huge["dataset"]["vocab_size"] = 2**70
    path = results / "cpu-smoke" / f"{huge['run_id']}.json"
    path.write_bytes(msgspec.json.encode(huge))
    odd = os.fsencode(path.parent) + b"/\xff.json"
    with open(odd, "wb") as file:
        file.write(b"{}")
    tick(cache.parent)
    plain = Store(results).load()
    assert len(plain.records) == 2
    assert len(plain.broken) == 1
    for _ in range(2):
        assert Store(results, cache).load() == plain
        assert len(index._recall(index_of(cache), "cpu-smoke").lines) == 1


def test_few_new_records_are_read_again_rather_than_all_written_down_again(
    store, results, cache, put, make_record, old, monkeypatch
):
    monkeypatch.setattr(index, "WORTH_A_REWRITE", 2)
    for _ in range(4):
        put(make_record())
    store.load()
    written = index_of(cache).stat().st_ino
    put(make_record())
    assert store.load() == Store(results).load()
    assert index_of(cache).stat().st_ino == written
    for _ in range(3):
        put(make_record())
    assert store.load() == Store(results).load()
    assert len(index._recall(index_of(cache), "cpu-smoke").lines) == 8


def test_what_runs_share_is_there_once_and_nothing_else_is_taken_for_it(
    store, results, cache, put, make_record, old, unread
):
    put(make_record(title="First", limit_s=0.0))
    put(make_record(title="Second", limit_s=-0.0))  # equal, and not the same
    store.load()
    for title in ("First", "Third", "Second"):  # beside what is known by now
        put(make_record(title=title, limit_s=0.0))
    store.load()
    parts = index._recall(index_of(cache), "cpu-smoke").parts
    assert [entry.title for entry in parts.entry] == ["First", "Second", "Third"]
    assert [str(track.limit_s) for track in parts.track] == ["0.0", "-0.0"]
    assert len(parts.dataset) == len(parts.environment) == len(parts.source) == 1
    plain = Store(results).load()
    unread()
    loaded = store.load()
    assert loaded == plain
    assert [run.entry.title for run in loaded.records] == ["First", "Second", "First", "Third", "Second"]
    assert [str(run.track.limit_s) for run in loaded.records] == ["0.0", "-0.0", "0.0", "0.0", "0.0"]


def test_whoever_judges_reads_the_files_themselves(store, put, make_record, old, monkeypatch):
    record = make_record()
    put(record)
    store.load()
    monkeypatch.setattr("leaderboard.store.TrackIndex", lambda *_: pytest.fail("the index was asked"))
    assert store.find(record.run_id).record == record
    assert store.get(record.run_id) == record
    assert [held.record for held in read_all(store).records] == [record]


def test_a_signature_is_judged_by_the_bytes_it_is_over(store, results, cache, put, make_record, key, old, monkeypatch):
    record = make_record(tier=Tier.VERIFIED)
    path = put(record)
    signature_path(path).write_bytes(Signer(key).sign(encode(record)))
    maintainers = results.parent / "maintainers"
    maintainers.write_text(maintainer(key))
    assert store.load().unsigned == frozenset()
    read, original = [], index.read
    monkeypatch.setattr(index, "read", lambda path: read.append(path.name) or original(path))
    assert store.load().unsigned == frozenset()
    assert read == []  # the record and the verdict are known
    (cache / "signatures.json").unlink()
    assert store.load().unsigned == frozenset()
    assert read == [path.name]
    maintainers.write_text("# nobody\n")
    assert store.load().unsigned == {record.run_id}
    maintainers.write_text(maintainer(key))
    signature_path(path).write_bytes(Signer(key).sign(b"another record"))
    assert store.load().unsigned == {record.run_id}


class Behind(RuleBasedStateMachine):
    """Files, signatures, maintainers and indexes change; after every step both stores say the same."""

    def __init__(self, files, keys, signature):
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="speedrun-index-"))
        self.results, self.cache, self.kept = self.folder / "results", self.folder / "cache", self.folder / "kept"
        for track in TRACKS:
            (self.results / track).mkdir(parents=True)
        self.kept.mkdir()
        self.files, self.keys, self.signature = files, keys, signature
        for number, (_, data, _) in enumerate(files):
            self.at((number, number % 2)).write_bytes(data)
        signature_path(self.at((0, 0))).write_bytes(signature)
        self.appoint("ada")

    def teardown(self):
        shutil.rmtree(self.folder)

    def at(self, place):
        number, track = place
        return self.results / TRACKS[track] / self.files[number][0]

    # Nearly always where it belongs.
    places = st.sampled_from([(0, 0), (1, 1), (2, 0), (3, 1)] * 5 + [(0, 1), (1, 0), (2, 1), (3, 0)])
    tracks, versions = st.integers(0, 1), st.integers(0, 1)

    @rule(place=places, version=versions)
    def write(self, place, version):
        with suppress(OSError):
            self.at(place).write_bytes(self.files[place[0]][1 + version])

    @rule(place=places, version=versions)
    def replace_by_rename(self, place, version):
        new = self.results / "new"
        new.write_bytes(self.files[place[0]][1 + version])
        with suppress(OSError):
            facts = self.at(place).stat()
            os.utime(new, ns=(facts.st_atime_ns, facts.st_mtime_ns))
            new.replace(self.at(place))
        new.unlink(missing_ok=True)

    @rule(place=places, version=versions)
    def hide_a_change(self, place, version):
        path = self.at(place)
        if path.is_file() and path.stat().st_size == len(self.files[place[0]][1 + version]):
            change_in_place(path, self.files[place[0]][1 + version])

    @rule(place=places, size=st.integers(0, 2000))
    def truncate(self, place, size):
        if self.at(place).is_file():
            os.truncate(self.at(place), size)

    @rule(place=places)
    def remove(self, place):
        with suppress(OSError):
            self.at(place).unlink()

    @rule(place=places, other=places)
    def swap(self, place, other):
        one, two = self.at(place), self.at(other)
        if one != two and one.exists() and two.exists():
            one.rename(self.results / "aside")
            two.rename(one)
            (self.results / "aside").rename(two)

    @rule(place=places, other=places)
    def link(self, place, other):
        with suppress(OSError):
            os.link(self.at(place), self.at(other))

    @rule(place=places)
    def point(self, place):
        with suppress(OSError):
            self.at(place).symlink_to(self.at((place[0], 1 - place[1])))

    @rule(place=places, mode=st.sampled_from([0, 0o600, 0o644]))
    def permit(self, place, mode):
        if self.at(place).is_file():
            self.at(place).chmod(mode)

    @rule(place=places, ahead_s=st.sampled_from([-(10**9), -1, 3600]))
    def set_the_clock(self, place, ahead_s):
        if self.at(place).is_file():
            moment = time.time_ns() + ahead_s * 10**9
            os.utime(self.at(place), ns=(moment, moment))

    @rule()
    def swap_the_tracks(self):
        one, two = (self.results / track for track in TRACKS)
        one.rename(self.results / "aside")
        two.rename(one)
        (self.results / "aside").rename(two)

    @rule(track=tracks)
    def keep_the_index(self, track):
        with suppress(OSError):
            shutil.copy(index_of(self.cache, TRACKS[track]), self.kept)

    @rule(track=tracks, of=tracks)
    def put_an_old_index_back(self, track, of):
        with suppress(OSError):
            shutil.copy(index_of(self.kept, TRACKS[of]), index_of(self.cache, TRACKS[track]))

    @rule(track=tracks, share=st.floats(0, 1), what=st.sampled_from(["delete", "truncate", "flip", "append"]))
    def spoil_the_index(self, track, share, what):
        path = index_of(self.cache, TRACKS[track])
        if not path.exists():
            return
        data = path.read_bytes()
        place = int(share * (len(data) - 1))
        if what == "delete":
            path.unlink()
        elif what == "truncate":
            path.write_bytes(data[:place])
        elif what == "append":
            path.write_bytes(data + data[:place])
        else:
            path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])

    @rule(place=places, what=st.sampled_from(["good", "bad", "none"]))
    def sign(self, place, what):
        path = signature_path(self.at(place))
        if what == "none":
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(self.signature if what == "good" else b"nonsense")

    @rule(who=st.sampled_from(["ada", "eve", "nobody"]))
    def appoint(self, who):
        key = self.keys.get(who)
        (self.folder / "maintainers").write_text(maintainer(key) if key else "# nobody\n")

    @rule()
    def forget_the_verdicts(self):
        (self.cache / "signatures.json").unlink(missing_ok=True)

    @invariant()
    def the_answer_is_that_of_a_store_without_a_cache(self):
        tick(self.folder)
        plain = Store(self.results).load()
        for _ in range(2):  # when the index is made, and when it is used
            assert Store(self.results, self.cache).load() == plain


def test_whatever_happens_behind_its_back_the_answer_is_right(make_record, key, old):
    records = [make_record(track_id=TRACKS[number % 2], tier=Tier.VERIFIED if number == 0 else Tier.SELF_REPORTED)
               for number in range(4)]  # fmt: skip
    files = [(f"{each.run_id}.json", encode(each), better(encode(each))) for each in records]
    signature = Signer(key).sign(files[0][1])
    run_state_machine_as_test(
        lambda: Behind(files, {"ada": key, "eve": key.with_name("eve")}, signature),
        settings=settings(max_examples=25, stateful_step_count=20, suppress_health_check=list(HealthCheck)),
    )
