import csv
import io
import math

import msgspec
import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UserError
from harness.result import Author, Series, Tier, Verdict
from leaderboard.export import export_runs, fields, spreadsheet_text


@pytest.fixture(scope="session")
def runs(make_summary):
    """Scored, failed, practice, and one whose texts are an attack on a spreadsheet."""
    formula = '=HYPERLINK("http://evil.example","x")'
    return [
        make_summary(loss_nats=0.1 + 0.2, target_nats=1.0, seed=2**63 - 1),
        make_summary(verdict=Verdict.TIME_LIMIT, tokens=None),
        make_summary(ranked=False, technique=formula, title="@SUM(A1)", authors=(Author(name="+1\n-2"),)),
    ]


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json", ".CSV"])
def test_an_export_reads_back(runs, tmp_path, suffix):
    path = tmp_path / f"runs{suffix}"
    export_runs(runs, path, {}, ())
    read = {".csv": pandas.read_csv, ".parquet": pandas.read_parquet, ".json": pandas.read_json}[suffix.lower()]
    frame = read(path)
    assert list(frame.columns) == [field.name for field in fields({}, ())]
    assert list(frame["run_id"]) == [run.run_id for run in runs]
    assert list(frame["verdict"]) == ["ok", "TIME_LIMIT", "ok"]
    assert [bool(ranked) for ranked in frame["ranked"]] == [True, False, False]
    assert frame["loss_nats"][0] == pytest.approx(0.3, rel=1e-15)
    assert pandas.isna(frame["loss_nats"][1])
    assert pandas.isna(frame["declared_tokens"][1])
    assert pandas.isna(frame["target_met"][2])
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


def test_numbers_are_kept_to_the_last_bit(runs, tmp_path):
    export_runs(runs, tmp_path / "runs.json", {}, ())
    assert msgspec.json.decode((tmp_path / "runs.json").read_bytes())[0]["loss_nats"] == 0.1 + 0.2
    export_runs(runs, tmp_path / "runs.parquet", {}, ())
    frame = pandas.read_parquet(tmp_path / "runs.parquet")
    assert (frame["loss_nats"][0], frame["seed"][0]) == (0.1 + 0.2, 2**63 - 1)
    export_runs(runs, tmp_path / "runs.csv", {}, ())
    first = next(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))
    assert (float(first["loss_nats"]), int(first["seed"])) == (0.1 + 0.2, 2**63 - 1)


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_no_runs_are_exported_too(tmp_path, suffix):
    export_runs([], tmp_path / f"runs{suffix}", {}, ())
    if suffix == ".parquet":
        assert pandas.read_parquet(tmp_path / "runs.parquet")["loss_nats"].dtype == "Float64"
    assert (tmp_path / f"runs{suffix}").stat().st_size > 0


def test_a_spreadsheet_finds_no_formula(runs, tmp_path):
    export_runs(runs, tmp_path / "runs.csv", {}, ())
    rows = list(csv.DictReader(io.StringIO((tmp_path / "runs.csv").read_text())))
    assert rows[2]["technique"] == '\'=HYPERLINK("http://evil.example","x")'
    assert (rows[2]["title"], rows[2]["authors"]) == ("'@SUM(A1)", "'+1 -2")
    # The other formats are not opened by double-click: there the words stay as they were.
    export_runs(runs, tmp_path / "runs.parquet", {}, ())
    assert pandas.read_parquet(tmp_path / "runs.parquet")["title"][2] == "@SUM(A1)"


@given(st.text(max_size=30) | st.tuples(st.sampled_from("=+-@ \t\n\x00\ufeff'＝"), st.text(max_size=9)).map("".join))
def test_no_cell_begins_like_a_formula(text):
    cell = spreadsheet_text(text)
    assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠"))
    assert len(cell.splitlines()) <= 1


@pytest.mark.parametrize("name", ["runs.xlsx", "runs", "runs.json.gz"])
def test_other_endings_are_refused(runs, tmp_path, name):
    with pytest.raises(UserError, match=r"\.csv, \.parquet, \.json"):
        export_runs(runs, tmp_path / name, {}, ())
    assert list(tmp_path.iterdir()) == []


def test_no_such_folder_is_one_line(runs, tmp_path):
    with pytest.raises(UserError, match="No such file or directory"):
        export_runs(runs, tmp_path / "missing" / "runs.csv", {}, ())


def test_every_field_has_a_value_of_its_type(runs):
    types = {"string": str, "Int64": int, "Float64": float, "boolean": bool}
    for run in runs:
        for field in fields({}, ()):
            value = field.value(run)
            assert value is None or type(value) is types[field.dtype]
            assert not (isinstance(value, float) and math.isnan(value))


def test_series_retractions_and_signatures_have_columns(make_summary, tmp_path):
    series = Series(id="20261121-000000-duel", purpose="duel")
    runs = [
        make_summary(series=series, tier=Tier.VERIFIED),
        make_summary(),
        make_summary(),
    ]
    path = tmp_path / "runs.parquet"
    export_runs(runs, path, {runs[1].run_id: "=copied"}, {runs[2].run_id})
    frame = pandas.read_parquet(path)
    assert list(frame["series_purpose"].fillna("")) == ["duel", "", ""]
    assert list(frame["retracted"].fillna("")) == ["", "=copied", ""]
    assert [None if pandas.isna(value) else bool(value) for value in frame["signed"]] == [True, None, False]
    assert list(frame["tier"]) == ["verified", "self-reported", "self-reported"]
