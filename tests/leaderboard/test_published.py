"""Results of other projects: the shipped ones by a few figures that are known, and what is refused."""

import json
import shutil
from pathlib import Path

import pytest

from harness.errors import UserError
from harness.track import list_tracks
from leaderboard.published import load

SHIPPED = Path(__file__).parents[2] / "leaderboard" / "published"


@pytest.fixture(scope="module")
def shipped():
    return {published.track: published for published in load(SHIPPED)}


def test_every_shipped_result_is_of_a_track_of_ours(shipped):
    assert set(shipped) <= {track.id for track in list_tracks()}
    assert {track: len(published.results) for track, published in shipped.items()} == {
        "4090-1b-marathon": 1,
        "4090-train-3.5": 2,
        "4090-train-4.5": 2,
        "h100x8-val-2.92": 18,
        "h100x8-val-3.28": 62,
    }
    assert {published.read_on for published in shipped.values()} == {"2026-11-20"}


@pytest.mark.parametrize(
    ("track", "position", "number", "kind", "date", "train_s", "authors"),
    [
        ("h100x8-val-3.28", 0, 1, "record", "2024-05-28", 2700.0, ("@karpathy", "llm.c contributors")),
        ("h100x8-val-3.28", 2, 3, "record", "2024-10-04", 1494.0, ("@kellerjordan0", "@jxbz")),
        ("h100x8-val-3.28", 20, 21, "record", "2025-01-26", 175.98, ("@leloykun",)),
        ("h100x8-val-3.28", 21, 21, "re-timing", "2025-02-01", 179.82, ()),
        ("h100x8-val-3.28", 22, 21, "re-timing", "2025-05-24", 180.84, ()),
        ("h100x8-val-3.28", -1, 60, "record", "2026-01-16", 105.9, ("@soren_dunn_",)),
        ("h100x8-val-2.92", 10, 11, "record", None, 1407.0, ()),
        ("h100x8-val-2.92", -1, 18, "record", "2025-12-31", 1041.0, ()),
        ("4090-train-4.5", -1, 2, "record", "2025-12-20", 114.0, ("@VukRosic99",)),
        ("4090-1b-marathon", 0, 1, "record", "2025-12-17", 9420.0, ("@VukRosic99",)),
    ],
)
def test_known_figures(shipped, track, position, number, kind, date, train_s, authors):
    result = shipped[track].results[position]
    assert (result.number, result.kind, result.date, result.train_s, result.authors) == (
        number,
        kind,
        date,
        train_s,
        authors,
    )


def test_what_else_was_published_is_kept(shipped):
    repeated = shipped["4090-train-4.5"].results[1]
    assert (repeated.repeats_s.count(114.0), len(repeated.repeats_s), repeated.to_beat_s) == (8, 10, 113.0)
    assert shipped["4090-train-3.5"].results[1].note.startswith("doubtful: ")
    assert shipped["4090-1b-marathon"].results[0].loss_nats == 3.194


def test_no_folder_holds_nothing(tmp_path):
    assert load(tmp_path / "missing") == ()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda value: value.update(schema=2), "schema 2 is not known"),
        (lambda value: value.update(track="4090-train-3.5"), "rename the file"),
        (lambda value: value.update(track="../x"), "a track's id"),
        (lambda value: value.update(source=""), "whose results"),
        (lambda value: value.update(read_on="2025-12-19"), "younger than read_on"),
        (lambda value: value.update(read_on="yesterday"), "read_on"),
        (lambda value: value["results"][0].update(train_s=0), "above zero"),
        (lambda value: value["results"][0].update(train_s=-3), "above zero"),
        (lambda value: value["results"][0].update(train_s="118"), "Expected `float`"),
        (lambda value: value["results"][1].update(repeats_s=[114, 0]), "above zero"),
        (lambda value: value["results"][0].update(tokens=0), "above zero"),
        (lambda value: value["results"][0].update(date="2025-13-01"), "date"),
        (lambda value: value["results"][0].update(kind="rumour"), "Invalid enum value"),
        (lambda value: value["results"][0].update(number=2), "numbered from 1"),
        (lambda value: value["results"][0].update(technique="two\nlines"), "one line"),
        (lambda value: value["results"][0].update(authors=["\u202eme"]), "one line"),
        (lambda value: value["results"][0].update(note="x" * 301), "note"),
        (lambda value: value["results"][0].update(hardware="?"), "unknown field"),
        (lambda value: value["results"][0].pop("technique"), "missing required field"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_file(tmp_path, spoil, words):
    value = json.loads((SHIPPED / "4090-train-4.5.json").read_text())
    spoil(value)
    (tmp_path / "4090-train-4.5.json").write_text(json.dumps(value))
    with pytest.raises(UserError, match=words) as refused:
        load(tmp_path)
    assert "4090-train-4.5.json" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_json_is_refused(tmp_path):
    shutil.copytree(SHIPPED, tmp_path / "published")
    (tmp_path / "published" / "4090-train-4.5.json").write_bytes(b"\xff{")
    with pytest.raises(UserError, match="broken"):
        load(tmp_path / "published")
