"""The page that compares two runs: the runs that it offers, and when it is made anew."""

import re

import pytest

from harness.result import Verdict, encode
from leaderboard.schema import decode_summary
from leaderboard.site.compare_view import MOST_OFFERED, compare_page
from tests.leaderboard.site_ground import Ground, crowd


@pytest.fixture
def ground(tmp_path, make_record):
    made = Ground(tmp_path)
    made.add(*crowd(make_record))
    made.build()
    return made


def offered(ground):
    """What the list says: run id → its words."""
    return dict(re.findall(r'<option value="([^"]+)">([^<]+)</option>', (ground.site / "compare.html").read_text()))


def test_every_run_is_offered_by_entry_track_and_loss(ground):
    runs = ground.contents().runs
    found = offered(ground)
    assert list(found) == [
        run.run_id for run in sorted(runs, key=lambda run: (run.started_at, run.run_id), reverse=True)
    ]
    muon = next(run.run_id for run in runs if run.entry.name == "muon")
    failed = next(run.run_id for run in runs if run.verdict is Verdict.TIME_LIMIT)
    assert found[muon] == "muon on cpu-smoke, 1.5000 nats/token"
    assert found[failed] == "tiny on cpu-smoke, TIME_LIMIT"
    page = ground.page("compare.html")
    assert [each["list"] for each in page.all("input")] == [each["id"] for each in page.all("datalist")] * 2


def test_only_the_latest_are_offered(make_record):
    first, last = (decode_summary(encode(make_record(entry=entry))) for entry in ("first", "last"))
    words = [each.words for each in compare_page([first] * 3 + [last] * MOST_OFFERED).offered]
    assert words == ["last on cpu-smoke, 1.5000 nats/token"] * MOST_OFFERED
    assert compare_page([]).offered == ()


def test_it_is_made_anew_when_what_it_offers_changed_and_only_then(ground, make_record):
    before = (ground.site / "compare.html").read_bytes()
    run = next(run for run in ground.contents().runs if run.entry.name == "wide")
    ground.retracted[run.run_id] = "its clock was wrong"
    assert ground.build().written > 1
    assert (ground.site / "compare.html").read_bytes() == before
    record = make_record(entry="new")
    ground.add(record)
    ground.build()
    assert offered(ground)[record.run_id] == "new on cpu-smoke, 1.5000 nats/token"
    (ground.results / record.track.id / f"{record.run_id}.json").unlink()
    ground.build()
    assert (ground.site / "compare.html").read_bytes() == before
