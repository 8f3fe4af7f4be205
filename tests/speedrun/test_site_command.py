"""speedrun leaderboard --html DIR."""

import json

import msgspec
import pytest

from speedrun import answers
from tests.leaderboard.site_ground import broken_links, read


@pytest.fixture
def pages(workspace):
    """What lies in `site`, by path."""

    def look():
        return {
            path.relative_to(workspace.root / "site").as_posix(): read(path)
            for path in (workspace.root / "site").rglob("*.html")
        }

    return look


def test_the_site_of_a_checkout(workspace, speedrun, make_record, stored, pages):
    stored(make_record(entry="mine", technique="five | layers"))
    stored(make_record(entry="other", track_id="cpu-1min", ranked=False))
    said = speedrun("leaderboard", "--html", "site")
    found = pages()
    files = {path.relative_to(workspace.root / "site").as_posix() for path in (workspace.root / "site").rglob("*")}
    assert (said.code, said.err) == (0, "")
    assert said.out == f"built site: {len(found) + 3} files written, 0 unchanged\n"
    assert broken_links(found, files) == []
    tracks = json.loads(speedrun("tracks", "--json").out)["tracks"]
    assert len([path for path in found if path.startswith("tracks/")]) == len(tracks) > 5
    page = found["tracks/cpu-smoke.html"]
    assert "Eight seconds on two CPU threads" in page.text
    assert "limit 8 s hardware 2 CPU threads data set tales" in page.text
    assert "new record lower by 0.01 nats a token or more" in page.text
    assert "five | layers" in page.text
    again = speedrun("leaderboard", "--html", "site", "--json")
    answer = msgspec.json.decode(again.out, type=answers.Shown)
    assert answer.site == answers.Site(folder="site", written=0, unchanged=len(found) + 3, removed=0)
    assert answer.board is None


def test_the_site_shows_every_track_whatever_else_is_asked(speedrun, make_record, stored, pages):
    stored(make_record(entry="mine"))
    stored(make_record(entry="other", track_id="cpu-1min"))
    said = speedrun("leaderboard", "--html", "site", "--show", "--track", "cpu-1min")
    assert said.code == 0
    assert "mine" not in said.out
    assert {"entries/mine.html", "entries/other.html"} <= set(pages())


def test_what_is_retracted_and_removed_shows_at_once(workspace, speedrun, make_record, stored, pages):
    record = make_record(entry="mine")
    path = stored(record)
    speedrun("leaderboard", "--html", "site")
    speedrun("retract", record.run_id, "--reason", "it looked ahead")
    assert speedrun("leaderboard", "--html", "site").out.startswith("built site: 4 files written, ")
    assert "retracted It is out of all rankings: it looked ahead" in pages()[f"runs/{record.run_id}.html"].text
    path.unlink()
    assert speedrun("leaderboard", "--html", "site").out.endswith(" unchanged, 2 removed\n")
    assert f"runs/{record.run_id}.html" not in pages()


def test_broken_records_are_named_on_standard_error(workspace, speedrun, make_record, stored):
    half = make_record(entry="half")
    path = stored(half)
    path.write_bytes(path.read_bytes().replace(b'"cores": 4', b'"cores": "four"'))
    (path.parent / "20261121-141530-none-3f9a.json").write_text("{")
    for _ in range(2):
        said = speedrun("leaderboard", "--html", "site")
        assert said.code == 1
        lines = said.err.splitlines()
        assert len(lines) == 2
        assert "broken file results/cpu-smoke/20261121-141530-none-3f9a.json: " in lines[0]
        assert f"broken file results/cpu-smoke/{half.run_id}.json: Expected `int`, got `str`" in lines[1]


@pytest.mark.parametrize("option", [["--audit"], ["--history"]])
def test_it_goes_with_neither_audit_nor_history(workspace, speedrun, option):
    said = speedrun("leaderboard", "--html", "site", *option)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "leave the other options out" in said.err
    assert not (workspace.root / "site").exists()


def test_a_folder_of_somebody_else_is_one_line(workspace, speedrun):
    before = sorted(path.name for path in workspace.root.iterdir())
    said = speedrun("leaderboard", "--html", ".")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert "holds files that are no site of ours; name a new folder or an empty one" in said.err
    assert sorted(path.name for path in workspace.root.iterdir()) == before
