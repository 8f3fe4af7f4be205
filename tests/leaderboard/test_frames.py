import math
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pandas
import pytest

import leaderboard
from harness.errors import UserError
from harness.result import Author, CurvePoint, Entry, Tier, Verdict, encode
from leaderboard import rulings
from leaderboard.export import export_runs, fields
from leaderboard.frames import Frame, frame
from leaderboard.rulings import Ruling
from leaderboard.signatures import NAMESPACE, Signer
from leaderboard.store import Store

RETYPED = {"started_at", "verdict", "tier", "hardware"}


@pytest.fixture
def results(tmp_path) -> Path:
    folder = tmp_path / "leaderboard" / "results"
    folder.mkdir(parents=True)
    return folder


def put(results: Path, *records) -> None:
    for record in records:
        Store(results).add(record)


def test_runs_have_the_columns_and_types_of_the_export(results, make_record):
    put(results, make_record(), make_record(verdict=Verdict.CRASHED))
    runs = frame(results).runs
    assert runs.index.name == "run_id"
    assert list(runs.reset_index().columns) == [field.name for field in fields({}, ())]
    assert {field.name: str(runs[field.name].dtype) for field in fields({}, ()) if field.name in runs} == {
        field.name: {"started_at": "datetime64[s, UTC]"}.get(field.name, "category")
        if field.name in RETYPED
        else str(pandas.Series([], dtype=field.dtype).dtype)
        for field in fields({}, ())[1:]
    }


def test_runs_and_export_say_the_same(results, tmp_path, make_record):
    put(results, make_record(loss_nats=0.1 + 0.2), make_record(verdict=Verdict.TIME_LIMIT, tokens=None))
    put(results, make_record(ranked=False, seed=2**63 - 1))
    loaded = Store(results).load()
    export_runs(loaded.records, tmp_path / "runs.parquet", {}, loaded.unsigned)
    exported = pandas.read_parquet(tmp_path / "runs.parquet").set_index("run_id")
    runs = frame(results).runs
    assert list(runs.index) == list(exported.index)
    for name in set(runs) - RETYPED:
        pandas.testing.assert_series_equal(runs[name], exported[name], check_dtype=False, check_index_type=False)
    for name in RETYPED - {"started_at"}:
        assert list(runs[name]) == list(exported[name])
    assert list(runs["started_at"]) == [pandas.Timestamp(text) for text in exported["started_at"]]


def test_curves_have_a_row_a_point(results, make_record):
    one = make_record(
        curve=(
            CurvePoint(elapsed_s=0.5, step=2**62, tokens=10, loss_nats=3.25),
            CurvePoint(elapsed_s=1.5, step=None, tokens=None, loss_nats=None),
        )
    )
    none, other = make_record(curve=()), make_record(entry="other", track_id="cpu-1min")
    put(results, one, none, other)
    curves = frame(results).curves
    assert {name: str(curves[name].dtype) for name in curves} == {
        "run_id": "category", "entry": "category", "track": "category",
        "elapsed_s": "Float64", "step": "Int64", "tokens": "Int64", "loss_nats": "Float64",
    }  # fmt: skip
    mine = curves[curves["run_id"] == one.run_id]
    assert list(mine["elapsed_s"]) == [0.5, 1.5]
    assert (mine["step"].iloc[0], mine["tokens"].iloc[0], mine["loss_nats"].iloc[0]) == (2**62, 10, 3.25)
    assert mine[["step", "tokens", "loss_nats"]].iloc[1].isna().all()
    assert list(curves.groupby("run_id", observed=False).size()[[none.run_id, other.run_id]]) == [0, len(other.curve)]
    assert set(curves[curves["track"] == "cpu-1min"]["entry"]) == {"other"}


def test_no_runs_have_the_same_columns_and_types(results, make_record):
    empty = frame(results)
    put(results, make_record())
    full = frame(results)
    for before, after in zip(empty[:2], full[:2], strict=True):
        assert len(before) == 0 < len(after)
        assert list(before.columns) == list(after.columns)
        assert [str(dtype) for dtype in before.dtypes] == [str(dtype) for dtype in after.dtypes]
    assert empty.broken == full.broken == ()


def test_every_verdict_and_tier_is_a_category_whether_there_is_a_run_or_not(results, make_record):
    put(results, make_record())
    runs = frame(results).runs
    assert list(runs["verdict"].cat.categories) == [str(verdict) for verdict in Verdict]
    assert list(runs["tier"].cat.categories) == [str(tier) for tier in Tier]
    assert runs["verdict"].value_counts()["CRASHED"] == 0


def test_broken_files_are_named_and_nothing_else_is_lost(results, make_record):
    good, curved = make_record(), make_record()
    put(results, good, curved)
    folder = results / good.track.id
    # A board does not look at curves, so this one stands on it; a frame has to.
    spoilt = msgspec.json.decode(encode(curved))
    spoilt["curve"][0]["step"] = "ten"
    (folder / f"{curved.run_id}.json").write_bytes(msgspec.json.encode(spoilt))
    (folder / "nonsense.json").write_text("{")
    (results.parent / "rulings").mkdir()
    (results.parent / "rulings" / f"{good.run_id}.retraction.json").write_text("{")
    found = frame(results)
    assert {place for place, _ in found.broken} == {
        f"results/{good.track.id}/{curved.run_id}.json",
        f"results/{good.track.id}/nonsense.json",
        f"rulings/{good.run_id}.retraction.json",
    }
    assert "curve is left out" in dict(found.broken)[f"results/{good.track.id}/{curved.run_id}.json"]
    assert set(found.runs.index) == {good.run_id, curved.run_id}
    assert set(found.curves["run_id"]) == {good.run_id}
    assert "broken" in found.runs.loc[good.run_id, "retracted"]  # a retraction that can't be read retracts all the same


def test_the_retracted_are_marked_with_the_reason(results, make_record):
    one, two = make_record(), make_record()
    put(results, one, two)
    ruling = Ruling(run_id=one.run_id, kind="retraction", reason="it read the clock wrong", made_at=one.started_at)
    rulings.add(results.parent / "rulings", ruling)
    retracted = frame(results).runs["retracted"]
    assert retracted[one.run_id] == "it read the clock wrong"
    assert pandas.isna(retracted[two.run_id])


def test_verified_is_who_has_a_valid_signature(results, tmp_path, make_record):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = " ".join(key.with_suffix(".pub").read_text().split()[:2])
    (results.parent / "maintainers").write_text(f'ada@example.org namespaces="{NAMESPACE}" {public}\n')
    signed, claims = make_record(tier=Tier.VERIFIED), make_record(tier=Tier.VERIFIED)
    Store(results).add(signed, Signer(key).sign(encode(signed)))
    put(results, claims, make_record())
    runs = frame(results).runs
    assert (runs.loc[signed.run_id, "tier"], runs.loc[signed.run_id, "signed"]) == ("verified", True)
    assert (runs.loc[claims.run_id, "tier"], runs.loc[claims.run_id, "signed"]) == ("self-reported", False)
    assert runs["signed"].isna().sum() == 1


def test_words_of_strangers_are_one_harmless_line(results, make_record):
    name = "\x1b[31mAda\x1b[0m\nBob\u202e"
    entry = Entry(name="mine", title="x" * 5_000, authors=(Author(name=name),), technique="a\tb\u0000")
    record = msgspec.structs.replace(make_record(entry="mine"), entry=entry)
    put(results, record)
    row = frame(results).runs.loc[record.run_id]
    assert row["authors"] == "[31mAda[0m Bob"
    assert len(row["title"]) == 500
    assert row["technique"] == "a b"


@pytest.mark.parametrize("started_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00"])
def test_every_year_that_a_record_can_name_is_a_time(results, make_record, started_at):
    record = make_record(started_at=started_at)
    put(results, record, make_record())
    assert frame(results).runs["started_at"][record.run_id].year == int(started_at[:4])


def test_the_folder_is_the_checkouts_unless_one_is_named(results, make_record, monkeypatch):
    put(results, make_record())
    monkeypatch.setenv("SPEEDRUN_ROOT", str(results.parents[1]))
    assert len(frame().runs) == 1
    monkeypatch.delenv("SPEEDRUN_ROOT")
    shipped = {path.stem for path in Path(leaderboard.__file__).parent.glob("results/*/*.json")}
    assert set() < set(frame().runs.index) <= shipped
    assert len(frame(str(results)).runs) == 1


def test_a_folder_that_is_not_there_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"no folder of results at .*nowhere"):
        frame(tmp_path / "nowhere")


def test_numbers_can_be_computed_with(results, make_record):
    put(results, make_record(loss_nats=1.0), make_record(loss_nats=2.0), make_record(verdict=Verdict.CRASHED))
    runs = frame(results).runs
    assert math.isclose(runs["loss_nats"].mean(), 1.5)
    assert runs[runs["scored"]].groupby("entry")["loss_nats"].count().item() == 2


def test_importing_the_package_loads_neither_pandas_nor_the_board():
    code = (
        "import sys, leaderboard\n"
        "print([name for name in sys.modules if name.partition('.')[0] in ('pandas', 'numpy', 'msgspec')])\n"
        "print([name for name in sys.modules if name.startswith('leaderboard.')])\n"
        "leaderboard.frame\n"
        "print('pandas' in sys.modules)\n"
        "from leaderboard import frame, Frame\n"
        "try:\n    leaderboard.nothing\nexcept AttributeError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ))
    said = "[]\n[]\nFalse\nmodule 'leaderboard' has no attribute 'nothing'\n"
    assert (done.stdout, done.stderr) == (said, "")
    assert (leaderboard.frame, leaderboard.Frame) == (frame, Frame)
