"""The board and its history on the command line, and what maintainers rule on runs."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from harness.result import Tier, Verdict, encode
from harness.track import find_track
from leaderboard.history import current
from leaderboard.signatures import Signer
from leaderboard.store import Store
from leaderboard.table import columns
from leaderboard.timeline import result_columns, step_columns
from speedrun import answers, standings

ROOT = Path(__file__).resolve().parents[2]
RACE = {"track_id": "4090-val-3.0", "objective": "fastest-to-loss", "target_nats": 3.0, "limit_s": 14_400.0}


@pytest.fixture
def three(stored, make_record):
    """Three ranked runs of an entry: `three("mine", 1.5)` scatter around that loss."""

    def store(entry, loss_nats=1.5, **fields):
        made = []
        for number in range(3):
            near = {"loss_nats": loss_nats + number / 1000}
            made.append(make_record(entry=entry, source=entry, **{"track_id": "cpu-1min"} | near | fields))
            stored(made[-1])
        return made

    return store


@pytest.fixture
def published(workspace):
    shutil.copytree(ROOT / "leaderboard" / "published", workspace.published)


def shown_run(speedrun, run):
    return msgspec.json.decode(speedrun("show", run.run_id, "--json").out, type=answers.ShownRun)


def history_of(speedrun, *arguments):
    said = speedrun("leaderboard", "--history", "--json", *arguments)
    assert said.err == ""
    return msgspec.json.decode(said.out, type=answers.Histories)


def test_a_track_gives_the_board_its_rules(workspace):
    smoke = standings.track_rules(find_track("cpu-1min", workspace.tracks))
    assert (smoke.version, smoke.runs, smoke.alpha) == (1, 3, 0.01)
    race = find_track("4090-100m-dash", workspace.tracks)
    assert standings.track_rules(race).least_gain == race.ranking.least_gain_s == 10.0


def test_the_history_of_a_track_without_anything(speedrun):
    said = speedrun("leaderboard", "--history", "--track", "cpu-smoke")
    assert (said.code, said.err, said.out) == (0, "", "No record yet on cpu-smoke.\n")


def test_unsigned_verified_runs_are_a_claim_and_marked(workspace, speedrun, three):
    # Nobody signed them: no maintainer, no signature.
    runs = three("mine", tier=Tier.VERIFIED)
    said = speedrun("leaderboard", "--show")
    assert said.code == 0
    assert "self-reported" in said.out
    assert "signature not valid: counts as self-reported" in said.out
    (history,) = history_of(speedrun).histories
    assert history.steps == ()
    assert [claim.run_ids for claim in history.claims] == [tuple(run.run_id for run in runs)]
    assert current(standings.histories(workspace, "cpu-1min")[0]) is None


def words_of(columns, lines):
    return {word for line in lines for column in columns for word in column.show(line).split()}


@pytest.mark.parametrize("width", [60, 70, 80, 90])
@pytest.mark.parametrize("entry", ["mine", "an-entry-with-a-rather-long-name"])
def test_no_word_is_cut_at_any_width_and_what_is_left_out_is_named(
    speedrun, three, make_record, stored, published, monkeypatch, width, entry
):
    """The board and the history: a claim, a retracted run, a failed one, and what was measured elsewhere."""
    monkeypatch.setenv("COLUMNS", str(width))
    technique = "muon with a warm-up of two hundred steps, and heads without biases"
    runs = three(entry, 1.5, technique=technique)
    three("other", 1.6)
    stored(make_record(entry="other", source="other", track_id="cpu-1min", verdict=Verdict.CRASHED))
    speedrun("retract", runs[0].run_id, "--reason", "its training began before the clock did, as the log shows")
    three(entry, 1.55, technique=technique)
    board = msgspec.json.decode(speedrun("leaderboard", "--json").out, type=answers.Shown).board
    told = history_of(speedrun, "--track", "cpu-1min"), history_of(speedrun, "--track", "4090-train-3.5")
    (history,) = told[0].histories
    (elsewhere,) = told[1].published
    section, claims, results = board.sections[0], history.claims, elsewhere.results
    for arguments, shown, lines, needed in (
        (["--show", "--track", "cpu-1min"], columns(section), section.rows, {"rank", "entry", "loss", "note"}),
        (["--history", "--track", "cpu-1min"], step_columns(history, claims), claims, {"entry", "measure", "why"}),
        (["--history", "--track", "4090-train-3.5"], result_columns(elsewhere), results, {"date", "train", "by"}),
    ):
        said = speedrun("leaderboard", *arguments)
        assert (said.code, said.err) == (0, "")
        table = said.out[said.out.index(shown[0].heading) :]
        assert "…" not in said.out
        flat = " ".join(said.out.split())
        left_out = flat.rpartition("not shown for want of width: ")[2] if "not shown for" in flat else ""
        kept = [column for column in shown if not left_out or column.heading.lower() not in left_out]
        assert words_of(kept, lines) <= set(table.split())
        assert needed <= {column.key for column in kept}
        assert all(len(line.rstrip()) <= width for line in table.split("\n\n")[0].splitlines())


@pytest.fixture
def signer(workspace, tmp_path):
    """A maintainer's key, which the checkout knows."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text()
    (workspace.results.parent / "maintainers").parent.mkdir(exist_ok=True)
    (workspace.results.parent / "maintainers").write_text(f'ada@example.org namespaces="speedrun" {public}')
    return Signer(key)


def test_signed_runs_make_records_and_one_forged_byte_takes_them_away(workspace, speedrun, make_record, signer):
    store = Store(workspace.results)
    paths = []
    for entry, losses in (("first", (1.6, 1.601, 1.602)), ("second", (1.5, 1.501, 1.502))):
        for loss_nats in losses:
            record = make_record(
                entry=entry, source=entry, loss_nats=loss_nats, tier=Tier.VERIFIED, track_id="cpu-1min"
            )
            paths.append(store.add(record, signer.sign(encode(record))))
    said = speedrun("leaderboard", "--history", "--track", "cpu-1min")
    assert (said.code, said.err) == (0, "")
    assert "0.1000 nats below record 1 (p = " in said.out
    (history,) = standings.histories(workspace, "cpu-1min")
    assert [(step.kind, step.number, step.entry) for step in history.steps] == [
        ("record", 1, "first"),
        ("record", 2, "second"),
    ]
    # A better loss, written into a signed record by hand.
    text = paths[-1].read_text()
    paths[-1].write_text(text.replace('"loss_nats": 1.502', '"loss_nats": 1.402'))
    (history,) = standings.histories(workspace, "cpu-1min")
    assert [step.entry for step in history.steps] == ["first"]
    assert "signature not valid: counts as self-reported" in speedrun("leaderboard").out


def test_the_history_shows_claims_and_their_evidence(speedrun, three):
    three("slow", 1.6)
    three("quick", 1.5)
    said = speedrun("leaderboard", "--history", "--track", "cpu-1min")
    assert (said.code, said.err) == (0, "")
    assert "1 claim, which is no record yet" in said.out
    assert "the best so far; waits for verification" in said.out
    assert "quick" in said.out
    assert "slow" not in said.out


def test_published_results_stand_beside_ours_and_are_marked(speedrun, three, published):
    said = speedrun("leaderboard", "--history", "--track", "h100x8-val-3.28")
    assert said.code == 0
    assert "h100x8-val-3.28 · no record yet" in said.out
    assert "62 results measured elsewhere, not by this harness: modded-nanogpt, track 1, as read on 2026-11-20" in (
        said.out
    )
    assert "re-timed on newer PyTorch" in said.out
    assert "measured elsewhere, s" in said.out  # its chart, apart from ours
    assert "598 days since 2024-05-28" in said.out
    assert "doubtful" in speedrun("leaderboard", "--history", "--track", "4090-train-3.5").out
    assert "measured elsewhere" not in speedrun("leaderboard", "--history", "--track", "cpu-1min").out
    answer = history_of(speedrun, "--track", "h100x8-val-3.28")
    assert [each.track for each in answer.published] == ["h100x8-val-3.28"]
    assert "measured elsewhere" not in speedrun("leaderboard", "--show").out


def test_the_history_goes_with_no_other_option(speedrun):
    for option in (["--show"], ["--render"], ["--top", "3"], ["--all"], ["--export", "runs.csv"]):
        said = speedrun("leaderboard", "--history", *option)
        assert said.code == 2
        assert "--history goes with --track and --json only" in said.err
    assert speedrun("leaderboard", "--history", "--track", "nowhere").code == 2


def test_a_retracted_run_leaves_the_ranking_and_stays_visible(workspace, speedrun, three, stored):
    runs = three("mine")
    three("other", 1.7)
    before = {path.name: path.read_bytes() for path in workspace.results.rglob("*.json")}
    said = speedrun("retract", runs[0].run_id, "--reason", "it read the clock | wrong")
    assert (said.code, said.err) == (0, "")
    assert f"run {runs[0].run_id} is out of all rankings: it read the clock | wrong" in said.out
    assert f"wrote leaderboard/rulings/{runs[0].run_id}.retraction.json" in said.out
    assert {path.name: path.read_bytes() for path in workspace.results.rglob("*.json")} == before
    board = msgspec.json.decode(speedrun("leaderboard", "--json").out, type=answers.Shown).board
    assert [(row.rank, row.entry, row.standing.value) for row in board.sections[0].rows] == [
        (1, "other", "ranked"),
        (None, "mine", "too few runs"),
        (None, "mine", "retracted"),
    ]
    assert "retracted: it read the clock | wrong" in speedrun("leaderboard").out
    speedrun("leaderboard", "--render")
    assert "retracted&#58; it read the clock &#124; wrong" in workspace.board.read_text()
    shown = speedrun("show", runs[0].run_id)
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.splitlines()[1] == "  retracted   it is out of all rankings: it read the clock | wrong"
    assert "ranked      no: it is retracted\n" in shown.out
    assert shown_run(speedrun, runs[0]).retracted == "it read the clock | wrong"
    other = speedrun("show", runs[1].run_id)
    assert "retracted" not in other.out
    assert "ranked      yes\n" in other.out
    assert shown_run(speedrun, runs[1]).retracted is None
    again = speedrun("retract", runs[0].run_id, "--reason", "twice")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "has a retraction already" in again.err


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "\x1b[2J", "a\u202eb", "x" * 301])
def test_a_reason_is_one_plain_line(workspace, speedrun, three, reason):
    said = speedrun("retract", three("mine")[0].run_id, "--reason", reason)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "the reason must be one line" in said.err
    assert not workspace.rulings.exists()


def test_a_run_that_is_not_there_is_not_retracted(workspace, speedrun):
    said = speedrun("retract", "20261121-141530-mine-3f9a", "--reason", "why")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert not workspace.rulings.exists()


def test_a_waiver_stands_in_for_the_test_of_the_target(speedrun, three, make_record, stored):
    runs = [make_record(entry="mine", loss_nats=loss, **RACE) for loss in (2.9, 2.99, 3.05)]
    for run in runs:
        stored(run)
    assert "is not shown to be below the target of 3 (p = " in speedrun("leaderboard").out
    said = speedrun("waive", runs[0].run_id, "--reason", "the same numbers, a faster kernel", "--json")
    assert said.code == 0
    ruled = msgspec.json.decode(said.out, type=answers.Ruled)
    assert (ruled.run_id, ruled.ruling, ruled.track) == (runs[0].run_id, "waiver", "4090-val-3.0")
    assert "target test waived: the same numbers, a faster kernel" in speedrun("leaderboard").out
    assert len(history_of(speedrun, "--track", "4090-val-3.0").histories[0].claims) == 1
    assert shown_run(speedrun, runs[0]).waived == "the same numbers, a faster kernel"
    shown = speedrun("show", runs[0].run_id)
    assert "waived      the test that the mean loss is below the target: the same numbers, a faster" in shown.out
    assert shown_run(speedrun, runs[1]).waived is None
    lowest = speedrun("waive", three("other")[0].run_id, "--reason", "why")
    assert (lowest.code, "sets no target" in lowest.err) == (2, True)


def test_what_a_retracted_run_waives_is_refused_in_words(workspace, speedrun, make_record, stored):
    run = make_record(entry="mine", loss_nats=2.9, **RACE)
    stored(run)
    assert speedrun("retract", run.run_id, "--reason", "the clock").code == 0
    said = speedrun("waive", run.run_id, "--reason", "a faster kernel")
    assert (said.code, said.out, said.err.count("\n")) == (2, "", 1)
    assert f"run {run.run_id} is retracted, and what it waives counts for nothing; name another run" in said.err
    assert [path.name for path in workspace.rulings.iterdir()] == [f"{run.run_id}.retraction.json"]


def test_a_broken_retraction_is_shown_too(workspace, speedrun, make_record, stored):
    run = make_record(entry="mine")
    stored(run)
    workspace.rulings.mkdir()
    (workspace.rulings / f"{run.run_id}.retraction.json").write_text("{")
    assert "retracted; the file with the reason is broken" in speedrun("show", run.run_id).out


def test_broken_rulings_are_named_and_fail_closed(workspace, speedrun, three):
    runs = three("mine")
    workspace.rulings.mkdir()
    (workspace.rulings / f"{runs[0].run_id}.retraction.json").write_text("{")
    for arguments in (("--show",), ("--history",)):
        said = speedrun("leaderboard", *arguments)
        assert said.code == 1
        assert said.err.count("\n") == 1
        assert f"rulings/{runs[0].run_id}.retraction.json" in said.err
    reply = json.loads(speedrun("leaderboard", "--json").out)
    assert [row["standing"] for row in reply["board"]["sections"][0]["rows"]] == ["too few runs", "retracted"]


def test_a_broken_file_of_published_results_is_one_line(workspace, speedrun, published):
    (workspace.published / "4090-train-4.5.json").write_text("{}")
    said = speedrun("leaderboard", "--history")
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "4090-train-4.5.json" in said.err
    assert speedrun("leaderboard", "--show").code == 0


def test_an_export_knows_rulings(workspace, speedrun, three):
    runs = three("mine")
    speedrun("retract", runs[1].run_id, "--reason", "why not")
    assert speedrun("leaderboard", "--export", "runs.json").code == 0
    rows = json.loads((workspace.root / "runs.json").read_text())
    assert [row["retracted"] for row in rows] == [None, "why not", None]


def test_a_page_is_rendered_the_same_twice_and_shows_everything(workspace, speedrun, three, published):
    three("first", 1.6)
    three("second", 1.5)
    assert speedrun("leaderboard", "--render").out == "wrote leaderboard/README.md\nwrote README.md\n"
    board, readme = workspace.board.read_text(), workspace.readme.read_text()
    assert "#### Claims" in board
    assert "<summary>62 results measured elsewhere, not by this harness" in board
    assert "####" not in readme  # the ranking only
    assert "measured elsewhere" not in readme
    # Another track is shown, and the pages still hold all of them.
    assert speedrun("leaderboard", "--render", "--track", "cpu-smoke").code == 0
    assert (workspace.board.read_text(), workspace.readme.read_text()) == (board, readme)
