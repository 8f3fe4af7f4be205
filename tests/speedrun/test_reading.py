"""The commands that read: check, new, tracks, leaderboard, show."""

import json

import msgspec
import pytest

from harness.result import Author, CurvePoint, Record, Verdict
from speedrun import answers


def decoded(said, kind):
    """The answer of a `--json` call, read back as the value that it was."""
    assert said.err == ""
    assert said.code == 0
    plain = json.loads(said.out)
    assert list(plain)[:2] == ["kind", "version"]
    assert (plain["kind"], plain["version"]) == (msgspec.inspect.type_info(kind).tag, 1)
    return msgspec.json.decode(said.out, type=kind)


def test_new_copies_the_template(workspace, speedrun):
    said = speedrun("new", "mine")
    assert (said.code, said.err) == (0, "")
    assert "speedrun/submissions/mine" in said.out
    for path in workspace.template.iterdir():
        if path.is_file():
            assert (workspace.submissions / "mine" / path.name).read_bytes() == path.read_bytes()
    assert [path.name for path in workspace.submissions.iterdir()] == ["mine"]


def test_check_says_yes(speedrun, entry):
    entry("mine")
    said = speedrun("check", "mine")
    assert (said.code, said.err) == (0, "")
    assert "mine keeps every static rule" in said.out


def test_check_names_every_broken_rule_with_its_line(speedrun, entry):
    folder = entry("mine", speedrun="def setup(run):\n    return 1\n", config="x = (\n")
    (folder / "weights.bin").write_bytes(bytes(range(256)))
    said = speedrun("check", "mine")
    assert (said.code, said.err) == (1, "")
    assert "config.py:1: syntax error" in said.out
    assert "does not define train" in said.out
    assert "weights.bin" in said.out
    reply = speedrun("check", "mine", "--json")
    assert reply.code == 1
    problems = json.loads(reply.out)["problems"]
    assert {problem["path"] for problem in problems} == {"config.py", "speedrun.py", "weights.bin"}


def test_check_takes_a_path(workspace, speedrun, entry):
    entry("mine")
    assert speedrun("check", "speedrun/submissions/mine").code == 0
    assert speedrun("check", workspace.submissions / "mine").code == 0


def test_tracks_and_one_of_them(speedrun):
    said = speedrun("tracks")
    assert "cpu-smoke" in said.out
    said = speedrun("tracks", "cpu-1min")
    assert "Lowest validation loss after one minute" in said.out
    assert "training 60 s" in said.out
    every = decoded(speedrun("tracks", "--json"), answers.Tracks)
    one = decoded(speedrun("tracks", "cpu-1min", "--json"), answers.ShownTrack)
    assert one.track in every.tracks


def test_the_board_shows_entries_in_order(speedrun, stored, make_record):
    stored(make_record(entry="second", loss_nats=1.6, floor_nats=1.5))
    stored(make_record(entry="first", loss_nats=1.55, floor_nats=1.5, technique="[bold]Muon[/bold]"))
    said = speedrun("leaderboard", "--show")
    assert (said.code, said.err) == (0, "")
    assert said.out.index("first") < said.out.index("second")
    assert "0.0500" in said.out  # above the floor
    assert "[bold]Muon[/bold]" in said.out  # words, not markup
    board = decoded(speedrun("leaderboard", "--json"), answers.Shown).board
    assert [row.entry for row in board.sections[0].rows] == ["first", "second"]


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_board_fits_the_terminal(speedrun, stored, make_record, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    authors = tuple(Author(name=f"Somebody with the number {number}") for number in range(6))
    stored(make_record(entry="a-name-of-forty-characters-no-fewer-here", authors=authors, technique="words " * 30))
    said = speedrun("leaderboard")
    assert max(map(len, said.out.splitlines())) <= max(width, 100)
    table = [line for line in said.out.splitlines() if "1.5000" in line]
    assert len(table[0].rstrip()) <= width
    assert "a-name-of-forty-characters-no-fewer-here" in said.out


def test_a_pipe_gets_whole_lines(speedrun, stored, make_record, monkeypatch):
    monkeypatch.delenv("COLUMNS")
    stored(make_record(technique="words " * 19 + "end"))
    assert "words end" in speedrun("leaderboard").out


def test_top_and_track(speedrun, stored, make_record):
    for number in range(30):
        stored(make_record(entry=f"smoke-{number}", loss_nats=1.1 + number / 100))
        stored(make_record(entry=f"minute-{number}", loss_nats=1.1 + number / 100, track_id="cpu-1min"))
    said = speedrun("leaderboard", "--track", "cpu-smoke")
    assert "minute-" not in said.out
    assert "smoke-24" in said.out
    assert "smoke-25" not in said.out
    assert "… and 5 more; --top 30 shows them" in said.out
    assert "smoke-29" in speedrun("leaderboard", "--track", "cpu-smoke", "--top", "30").out
    assert speedrun("leaderboard", "--top", "1").out.count("smoke-") == 1
    board = decoded(speedrun("leaderboard", "--json", "--track", "cpu-smoke"), answers.Shown).board
    assert len(board.sections[0].rows) == 30


def test_practice_is_listed_on_request(speedrun, stored, make_record):
    stored(make_record(entry="practising", ranked=False))
    stored(make_record(entry="failing", verdict=Verdict.TIME_LIMIT))
    assert "practising" not in speedrun("leaderboard").out
    said = speedrun("leaderboard", "--all")
    assert "practising" in said.out
    assert "failing" in said.out


def test_a_broken_record_is_named_and_the_others_count(speedrun, stored, make_record):
    stored(make_record(entry="good"))
    stored(make_record(entry="bad")).write_text('{"schema": 1, "run_id"')
    said = speedrun("leaderboard", "--show")
    assert said.code == 1
    assert "good" in said.out
    assert said.err.count("\n") == 1
    assert "-bad-" in said.err
    reply = speedrun("leaderboard", "--json")
    assert reply.code == 1
    assert len(json.loads(reply.out)["broken"]) == 1


def test_render_writes_the_page(workspace, speedrun, stored, make_record):
    stored(make_record(entry="first"))
    said = speedrun("leaderboard", "--render")
    assert (said.code, said.err) == (0, "")
    assert said.out == "wrote leaderboard/README.md\nwrote README.md\n"
    assert "(../speedrun/submissions/first)" in workspace.board.read_text()
    assert "(speedrun/submissions/first)" in workspace.readme.read_text()
    assert "first" in workspace.board.read_text()
    before = workspace.board.read_text()
    assert speedrun("leaderboard", "--render").code == 0
    assert workspace.board.read_text() == before


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".json"])
def test_export_writes_every_run(workspace, speedrun, stored, make_record, suffix):
    stored(make_record(entry="ranked"))
    stored(make_record(entry="practice", ranked=False))
    said = speedrun("leaderboard", "--export", f"runs{suffix}")
    assert (said.code, said.err, said.out) == (0, "", f"wrote runs{suffix}\n")
    assert (workspace.root / f"runs{suffix}").stat().st_size > 500


def test_show_tells_everything(speedrun, stored, make_record):
    curve = tuple(CurvePoint(elapsed_s=second, loss_nats=3 - second / 10) for second in range(8))
    record = make_record(entry="mine", curve=curve, overrides={"d_model": "64"})
    stored(record)
    said = speedrun("show", "last")
    assert (said.code, said.err) == (0, "")
    for words in (
        record.run_id,
        "1.5000 nats/token",
        "0.5000 above the floor of 1.0000",
        "training 7.50 of 8 s",
        "without the future it says the same",
        "advantage +0.00e+00",
        "99.9 % interval",
        "namespaces (Landlock ABI 6",
        "✓ no network",
        "not covered: side channels",
        "d_model=64",
        "100 steps",
        "not checked",
        "1,000,000 bytes in 1 file,",
        "Test CPU, 2 threads",
        "torch 2.13.0",
        "speedrun.py · 2 lines",
        "⠀",
    ):
        assert words in said.out, words


def test_show_finds_by_the_beginning_of_an_id_and_by_last(speedrun, stored, make_record):
    older, newer = make_record(entry="older"), make_record(entry="newer")
    stored(newer)
    stored(older)
    assert decoded(speedrun("show", older.run_id[:-2], "--json"), answers.ShownRun).record == older
    assert decoded(speedrun("show", "last", "--json"), answers.ShownRun).record == newer


def test_show_prints_a_source_file_as_it_ran(speedrun, stored, make_record):
    stored(make_record(source="[red]x = 1\n\ty = '\x1b[2J'\n"))
    said = speedrun("show", "last", "--source", "speedrun.py")
    assert said.out == "[red]x = 1\n\ty = '[2J'\n"
    missing = speedrun("show", "last", "--source", "speedrum.py")
    assert missing.code == 2
    assert "did you mean speedrun.py" in missing.err


def test_a_failed_run_is_explained(speedrun, stored, make_record):
    log = "\n".join(f"line {number}" for number in range(40)) + "\n\x1b[31mred"
    reason = "IndexError: index 7\n  File speedrun.py, line 3"
    stored(make_record(verdict=Verdict.CRASHED, reason=reason, log_tail=log))
    said = speedrun("show", "last")
    assert said.code == 0
    assert "✗ CRASHED" in said.out
    assert "line 3" in said.out
    assert "│ line 0" in said.out
    assert "\x1b" not in said.out
    assert "ranked      no: the verdict is CRASHED" in said.out


def test_strangers_words_are_words(speedrun, stored, make_record):
    stored(make_record(title="[red]\x1b[5m:boom:[/red]", technique="\u202etrick\nnew line", entry="mine"))
    for command in (("show", "last"), ("leaderboard",)):
        said = speedrun(*command)
        assert said.code == 0
        assert "\x1b" not in said.out
        assert "\u202e" not in said.out
    assert "[red][5m:boom:[/red]" in speedrun("show", "last").out


def test_a_record_goes_through_json_unchanged(speedrun, stored, make_record):
    record = make_record(verdict=Verdict.TIME_LIMIT)
    stored(record)
    plain = json.loads(speedrun("show", "last", "--json").out)
    assert msgspec.convert(plain["record"], Record) == record
