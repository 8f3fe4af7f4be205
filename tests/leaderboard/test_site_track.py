"""The page of a track: one filter for all its rankings and its runs, and addresses that stay."""

import pytest

from leaderboard.site import track_view
from tests.leaderboard.site_ground import Ground

FAST = {"cpu": "Fast CPU"}


@pytest.fixture
def ground(tmp_path):
    return Ground(tmp_path)


def places(ground):
    """Hardware → the ids of its section's heading and ranking."""
    page = ground.page("tracks/cpu-smoke.html")
    sections = [each for each in page.all("section") if each["class"] == "place"]
    rankings = [each["id"] for each in page.all("table") if each["id"].startswith("ranking")]
    return {
        each["data-hardware"]: (each["aria-labelledby"], ranking)
        for each, ranking in zip(sections, rankings, strict=True)
    }


def test_one_filter_is_for_all_rankings_and_the_runs(ground, make_record):
    ground.add(make_record(), make_record(**FAST), make_record(ranked=False, cpu="Home CPU"))
    ground.build()
    page = ground.page("tracks/cpu-smoke.html")
    (form,) = page.all("form")
    assert set(form["data-tables"].split()) == {"runs"} | {ranking for _, ranking in places(ground).values()}
    assert "hidden" in form  # until the script shows it
    assert set(places(ground)) == {"Test CPU, 2 threads", "Fast CPU, 2 threads"}
    rows = {each["data-hardware"] for each in page.all("tr") if "data-hardware" in each}
    assert rows == {"Test CPU, 2 threads", "Fast CPU, 2 threads", "Home CPU, 2 threads"}
    assert [each["value"] for each in page.all("option")] == ["", *sorted(rows)]  # one tier is no choice


def test_a_track_without_runs_has_no_filter(ground):
    ground.build()
    assert ground.page("tracks/cpu-smoke.html").all("form") == []


def test_the_address_of_a_place_does_not_change_when_others_come(ground, make_record):
    ground.add(make_record(loss_nats=1.5))
    ground.build()
    before = places(ground)
    ground.add(make_record(loss_nats=1.1, **FAST), make_record(loss_nats=1.0, entry="other"))
    ground.build()
    after = places(ground)
    assert before.items() < after.items()
    assert len(set(after.values())) == 2


def test_runs_that_are_left_out_are_counted(ground, make_record, monkeypatch):
    monkeypatch.setattr(track_view, "LATEST_RUNS", 2)
    records = [make_record(entry=f"entry-{number}") for number in range(3)]
    ground.add(*records[:2])
    ground.build()
    assert "2 runs, practice and failed ones too." in ground.page("tracks/cpu-smoke.html").text
    ground.add(records[2])
    ground.build()
    page = ground.page("tracks/cpu-smoke.html")
    assert "the latest 2 of 3 runs, practice and failed ones too." in page.text
