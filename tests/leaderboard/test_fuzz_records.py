"""Records, duels and rulings that anybody may have written: refused in one line, or good for all that reads them."""

import io
import json
import re
import subprocess
from collections import Counter
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from harness.result import Calibration, CurvePoint, Device, HardwareReport, Series, Tier, TrackRef, Verdict, encode
from harness.track import list_tracks
from leaderboard import duels, rulings
from leaderboard.audit import audit
from leaderboard.duel_store import DuelStore
from leaderboard.duels import Duel, Pair, Side, judge
from leaderboard.export import export_runs
from leaderboard.ranking import rank
from leaderboard.render import render_markdown
from leaderboard.replay import histories
from leaderboard.rulings import Ruling
from leaderboard.schema import RecordError, decode, decode_summary
from leaderboard.signatures import Signer, signed_by
from leaderboard.store import Held, Store
from speedrun import answers, pages
from speedrun.known_facts import known_facts
from speedrun.standings import track_rules
from tests.fuzzing import PIECES, SURROGATES, amounts, fuzz, overwrite, spoil_bytes, spoil_tree, tapes, unsafe
from tests.leaderboard.whole import read_all

ROOT = Path(__file__).resolve().parents[2]
VALUES = (
    *(
        None,
        True,
        False,
        0,
        -1,
        1,
        7,
        2**31,
        2**53 + 1,
        2**63 - 1,
        2**63,
        2**64,
        10**30,
        -(10**400),
        1e308,
        -1e308,
        5e-324,
    ),
    *(
        0.5,
        1e-9,
        -0.0,
        float("nan"),
        float("inf"),
        "",
        "ok",
        "verified",
        "lowest-loss",
        "9" * 5000,
        "../../up",
        "a/b.py",
    ),
    *(
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+00:00",
        "2026-02-30T00:00:00Z",
        "20261121-000000-other-0000",
        "cpu-1min",
    ),
    *(
        "speedrun.py",
        "def f(:\n",
        "(" * 2000,
        "x = '\0'\n",
        "\tif x:\n  y\n",
        "x" * 100_000,
        "e" * 64,
        [],
        {},
        [[]],
        {"a": 1},
    ),
    *(["a"] * 300, [1.5], {"\n": 1.0, "\x1b": 2.0}, *PIECES, *SURROGATES),
)
WORDS = (
    *(
        b"NaN",
        b"1e999",
        b"-1e999",
        b"9" * 5000,
        b"[" * 100_000,
        b'{"a":' * 20_000,
        b"\xff",
        b"\xed\xa0\x80",
        b'"\\ud800"',
    ),
    *(
        b'"schema": 1,',
        b'"schema": 2,',
        b'"schema": 0,',
        b'"run_id": "x",',
        b"\xef\xbb\xbf",
        b"\0",
        b'"',
        b"}",
        b"// x\n",
    ),
    *(b'"ranked": true,', b'"tier": "verified",', b"null", b"," * 3, b"\\u0000", b"\\u202e"),
)


def written(tree, tape):
    """As a file: with everything that JSON's grammar has no word for, and sometimes spoilt by the byte."""
    data = json.dumps(tree, indent=1, ensure_ascii=tape[-1] % 2 > 0).encode(errors="surrogatepass")
    return spoil_bytes(data, tape[-4:], WORDS) if tape[-2] % 4 == 0 else data


def one_line(error):
    words = str(error)
    assert len(words) < 500
    assert len(words.splitlines()) == 1
    assert not unsafe(words)
    assert "\t" not in words


@pytest.fixture(scope="session")
def records(make_record):
    """A plain one, a failed one, and one with all that a record can hold."""
    plain = make_record(entry="plain")
    card = Device(name="Tesla T4", memory_gib=15.0, driver="550.54", clock_mhz=1590, power_limit_w=70.0)
    speed = Calibration(device="cpu", matmul_tflops=0.2, copy_gbps=10.0)
    full = make_record(
        entry="full",
        objective="fastest-to-loss",
        target_nats=2.0,
        track_id="4090-val-3.0",
        environment=msgspec.structs.replace(plain.environment, devices=(card, card)),
        hardware=HardwareReport(
            before=(speed,), after=(speed,), samples=3, throttled={"power-cap": 0.5}, hottest_c=84.0, other_processes=1
        ),
        overrides={"d_model": "64"},
        series=Series(id="20261121-141530-duel-full-3f9a", purpose="duel"),
        ranked=False,
        log_tail="counting\n",
        curve=tuple(CurvePoint(elapsed_s=k, step=k, tokens=k, loss_nats=3.0 - k / 10) for k in range(5)),
    )
    failed = make_record(entry="failed", verdict=Verdict.CRASHED, reason="no\nTraceback", log_tail="a\nb\n")
    return plain, failed, full


@pytest.fixture(scope="session")
def readers(make_summary):
    """Everything that reads a record, called with it among others."""
    tracks = list_tracks()
    rules = {track.id: track_rules(track) for track in tracks}
    facts = known_facts(tracks, ROOT / "data" / "datasets", ROOT / "data" / "cache")
    others = [make_summary(entry=name, loss_nats=1.5 + 0.01 * k) for name in ("plain", "other") for k in range(2)]

    def read(summary):
        runs = [*others, summary]
        board = rank(runs, rules, include_unranked=True)
        render_markdown(board, histories=histories(runs, (), rules))
        json.loads(answers.as_json(answers.Shown(board=board, broken=(), written=())))

    def read_whole(record, data):
        audit([Held(record, "a/b.json", data, None, None)], facts)
        answer = answers.ShownRun(record=record)
        assert not unsafe(shown(answer))
        assert decode(msgspec.json.encode(json.loads(answers.as_json(answer))["record"])) == record

    return read, read_whole


def shown(answer):
    out = io.StringIO()
    pages.show(answer, Console(file=out, width=80, force_terminal=True, color_system="truecolor", markup=False))
    return out.getvalue()


@amounts
def test_fuzz_records(examples, records, readers, tmp_path, tally):
    read, read_whole = readers
    ends: Counter[str] = Counter()
    to_export = []
    plain = [encode(record) for record in records]

    def check(tape):
        tree = spoil_tree(json.loads(plain[tape[0] % len(plain)]), tape, VALUES)
        data = written(tree, tape)
        try:
            summary = decode_summary(data)
        except RecordError as error:
            one_line(error)
            with pytest.raises(RecordError):
                decode(data)  # the whole is asked no less
            ends["refused"] += 1
            return
        ends["accepted"] += 1
        to_export.append(summary)
        assert decode_summary(msgspec.json.encode(summary)) == summary
        read(summary)
        try:
            record = decode(data)
        except RecordError as error:
            one_line(error)
            return
        assert decode(encode(record)) == record
        read_whole(record, data)

    fuzz(examples, tapes, check)
    for suffix in (".csv", ".parquet", ".json"):
        export_runs(to_export, tmp_path / f"runs{suffix}", {}, ())
    tally(f"records: {examples:,} spoilt", expected="refused or read", got="refused or read")
    assert ends["refused"] > ends["accepted"] > examples / 20, ends


@amounts
def test_fuzz_files_among_the_results(examples, records, tmp_path, tally):
    """A store with one good record, and beside it a spoilt one."""
    store = Store(tmp_path / "results")
    store.add(records[0])
    path = tmp_path / "results" / records[1].track.id / f"{records[1].run_id}.json"
    base = encode(records[1])

    def check(tape):
        overwrite(path, spoil_bytes(base, tape, WORDS))
        loaded, everything = store.load(), read_all(store)
        assert loaded.records[0].run_id == records[0].run_id
        assert len(loaded.records) + len(loaded.broken) == 2
        for broken in (*loaded.broken, *everything.broken):
            one_line(broken.reason)

    fuzz(examples // 4, tapes, check)
    tally(f"a store with {examples // 4:,} spoilt files", expected="the good one counts", got="the good one counts")


def _duel():
    run = "20261121-{:06}-{}-0001"
    pairs = tuple(Pair(a=run.format(k, "mine"), b=run.format(k + 1, "theirs"), first="a") for k in range(3))
    return Duel(
        duel_id="20261121-141530-duel-mine-3f9a",
        purpose="duel",
        track=msgspec.convert(
            {"id": "cpu-smoke", "version": 1, "sha256": "0" * 64, "objective": "lowest-loss", "limit_s": 8.0}, TrackRef
        ),
        started_at="2026-11-21T14:15:30Z",
        a=Side(entry="mine", source_sha256="a" * 64, overrides={"x": "1"}),
        b=Side(entry="theirs", source_sha256="b" * 64),
        pairs=pairs,
        most_pairs=10,
        alpha=0.01,
        tier=Tier.VERIFIED,
    )


@amounts
def test_fuzz_duels(examples, make_summary, tmp_path, tally):
    duel = _duel()
    runs = {}
    for pair in duel.pairs:
        for run_id, side in ((pair.a, duel.a), (pair.b, duel.b)):
            runs[run_id] = make_summary(entry=side.entry, run_id=run_id, series=Series(id=duel.duel_id, purpose="duel"))
    ends: Counter[str] = Counter()

    def check(tape):
        data = written(spoil_tree(json.loads(duels.encode(duel)), tape, VALUES), tape)
        try:
            read = duels.decode(data)
        except RecordError as error:
            one_line(error)
            ends["refused"] += 1
            return
        assert duels.decode(duels.encode(read)) == read
        outcome = judge(read, runs)
        fought = answers.Fought(duel=read, outcome=outcome, because="it was enough", files=())
        assert not unsafe(shown(answers.Dueled(command="speedrun duel", fought=fought, interrupted=False)))
        ends["accepted"] += 1

    fuzz(examples // 4, tapes, check)
    (tmp_path / "duels" / "cpu-smoke").mkdir(parents=True)
    (tmp_path / "duels" / "cpu-smoke" / "x.json").write_bytes(b"[" * 100_000)
    (broken,) = DuelStore(tmp_path / "duels").load().broken
    one_line(broken.reason)
    tally(f"duels: {examples // 4:,} spoilt", expected="refused or read", got="refused or read")
    assert ends["refused"] > ends["accepted"] > examples / 400, ends


@amounts
def test_fuzz_rulings(examples, tmp_path, tally):
    """A spoilt retraction retracts, a spoilt waiver waives nothing, and both are named."""
    run_id = "20261121-141530-mine-3f9a"
    for kind in ("retraction", "waiver"):
        ruling = Ruling(run_id=run_id, kind=kind, reason="it was a copy", made_at="2026-11-21T14:15:30Z")
        path = rulings.add(tmp_path, ruling)
        fuzz(examples // 4, tapes, _ruling_checker(tmp_path, path, run_id))
        path.unlink()
    tally(f"rulings: {examples // 2:,} spoilt", expected="fails closed", got="fails closed")


def _ruling_checker(folder, path, run_id):
    good = path.read_bytes()

    def check(tape):
        overwrite(path, written(spoil_tree(json.loads(good), tape, VALUES), tape))
        found = rulings.load(folder)
        if ".retraction." in path.name:
            assert not unsafe(found.retracted[run_id])
        assert not (found.waived and found.broken)
        assert len(found.broken) <= 1
        for broken in found.broken:
            one_line(broken.reason)

    return check


@amounts
def test_fuzz_signatures(examples, tmp_path, tally):
    """ssh-keygen itself is asked, at 10 ms a time: few, and nobody is ever named."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text()
    maintainers = tmp_path / "maintainers"
    maintainers.write_text(f'ada@example.org namespaces="speedrun" {public}')
    data, at = b"a record", "2026-11-21T14:15:30Z"
    good = Signer(key).sign(data)
    assert signed_by(data, good, maintainers, at) == "ada@example.org"
    words = (b"\0", b"-----BEGIN SSH SIGNATURE-----\n", b"A" * 100_000, b"\xff", b"=", b"\n\n", good)

    def check(tape):
        spoilt = spoil_bytes(good, tape, words)
        signer = signed_by(data, spoilt, maintainers, at)
        # What decodes to the same bytes is the same signature.
        assert signer is None or _armoured(spoilt) == _armoured(good)
        assert signed_by(data + b"!", spoilt, maintainers, at) is None

    fuzz(max(20, examples // 100), tapes, check)
    tally(f"signatures: {max(20, examples // 100):,} spoilt", expected="nobody's", got="nobody's")


def _armoured(signature):
    """What stands between the first header and the footer after it, without what base64 leaves out."""
    body = signature.partition(b"-----BEGIN SSH SIGNATURE-----")[2].partition(b"-----END SSH SIGNATURE-----")[0]
    return re.sub(rb"[^A-Za-z0-9+/=]", b"", body)
