"""Duels from the command line. Rules of going on and of stopping are tried on rehearsed runs: real requests, records
and files, no sandbox. One story runs everything for real."""

import contextlib
import io
import json
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import msgspec
import pytest
from rich.console import Console

from harness.errors import UserError
from harness.first_record import first_record, scored_stream
from harness.result import Record, Series, Tier, Times, Verdict, encode
from harness.track import find_track
from leaderboard.alike import place, torch, variant
from leaderboard.duel_store import DuelStore
from leaderboard.duels import RETIMING, judge
from leaderboard.signatures import Signer
from leaderboard.store import Store
from speedrun import bout, duel_page, pages, standings
from speedrun.answers import Dueled, Fought, Retimed, as_json
from speedrun.bout import Terms
from speedrun.commands import retime
from speedrun.session import Conditions, Finished, Session, Stored, open_session
from tests.speedrun.process import SPEEDRUN

CONFIG = '''"""The numbers of the smallest entry, with some noise of the seed's."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    smoothing: float = {smoothing}
    tokens: int = 200_000
    patience_s: float = 0.0


def get_config(track_id: str) -> Config:
    return Config()
'''
NOISE = "    counts = torch.full_like(model.table, run.config.smoothing * (1 + run.seed % 9973 / 1_000_000))\n"


@pytest.fixture
def noisy(entry) -> Callable[..., Path]:
    """An entry whose loss scatters a little with the seed: `noisy("mine", 0.1)`; more smoothing is worse."""

    def make(name: str, smoothing: float) -> Path:
        bigram = (Path(__file__).parent / "bigram" / "speedrun.py").read_text()
        plain = "    counts = torch.full_like(model.table, run.config.smoothing)\n"
        assert plain in bigram
        return entry(name, config=CONFIG.format(smoothing=smoothing), speedrun=bigram.replace(plain, NOISE))

    return make


class Run(NamedTuple):
    """How a rehearsed run ends."""

    value: float = 0.0  # loss in nats
    verdict: Verdict = Verdict.OK


class Rehearsal:
    """A session in which every run ends as it was written down beforehand."""

    def __init__(self, session: Session, donor: Record, script: dict[str, list[Run | None]]) -> None:
        self._session = session
        self._donor = donor
        self._script = {name: iter(runs) for name, runs in script.items()}
        self.order: list[str] = []

    def __getattr__(self, name):
        return getattr(self._session, name)

    def run(self, request, note="", finish=Finished) -> Stored:
        end = next(self._script[request.submission.name])
        if end is None:
            raise KeyboardInterrupt
        if isinstance(end, UserError):
            raise end
        self.order.append(request.submission.name)
        record = first_record(request, scored_stream(request).size - 1)
        if end.verdict is Verdict.OK:
            donor, practice = self._donor, tuple(request.practice)
            record = msgspec.structs.replace(
                record,
                verdict=Verdict.OK,
                reason="",
                ran=True,
                scored=True,
                ranked=not practice,
                unranked_because=practice,
                score=msgspec.structs.replace(donor.score, loss_nats=end.value),
                times=Times(train_s=end.value, total_s=end.value),
                twin=donor.twin,
                artifact=donor.artifact,
            )
        else:
            record = msgspec.structs.replace(
                record, verdict=end.verdict, unranked_because=(f"the verdict is {end.verdict}",)
            )
        finished = finish(record)
        path = Store(self.workspace.results).add(finished.record, finished.signature)
        return Stored(finished.record, path.relative_to(self.workspace.root).as_posix())


@pytest.fixture
def rehearse(workspace, blink, noisy, make_record) -> Iterator[Callable[..., tuple[Fought, Rehearsal]]]:
    """`rehearse([1.5, 1.51], [1.6, 1.62], pairs=5)` fights mine against theirs; a Run or None stands for a number."""
    noisy("mine", 0.1)
    noisy("theirs", 200.0)
    track = find_track(blink, workspace.tracks)

    def ends(values: Sequence) -> list[Run | None]:
        return [Run(value) if isinstance(value, float) else value for value in values]

    with open_session(workspace, track, Conditions(quiet=True), "a rehearsal") as session:

        def fight(mine, theirs, *, pairs=5, purpose="duel", voucher=None):
            rehearsal = Rehearsal(session, make_record(), {"mine": ends(mine), "theirs": ends(theirs)})
            sides = [bout.named(name, workspace) for name in ("mine", "theirs")]
            return bout.fight(rehearsal, *sides, Terms(purpose, pairs, voucher)), rehearsal

        yield fight


CRASH = Run(verdict=Verdict.CRASHED)
OURS = Run(verdict=Verdict.INTERNAL_ERROR)
CUT_OFF = Run(verdict=Verdict.INTERRUPTED)
UNSETTLED = [1.5, 1.6, 1.5, 1.6, 1.5, 1.6], [1.6, 1.5, 1.6, 1.5, 1.61, 1.5]


def on_disk(workspace):
    (duel,) = DuelStore(workspace.duels).load().duels
    runs = {run.run_id: run for run in Store(workspace.results).load().records}
    return duel, judge(duel, runs)


def test_it_goes_in_turns_and_stops_when_it_is_settled(rehearse, workspace, capfd):
    fought, rehearsal = rehearse([1.5, 1.501, 1.499, 1.5, 1.5], [1.7, 1.69, 1.705, 1.7, 1.7])
    assert rehearsal.order == ["mine", "theirs", "theirs", "mine", "mine", "theirs"]
    assert (fought.outcome.settled, fought.because) == ("a", "it is settled")
    assert [pair.first for pair in fought.duel.pairs] == ["a", "b", "a"]
    assert on_disk(workspace) == (fought.duel, fought.outcome)
    assert fought.files[0] == f"leaderboard/duels/cpu-blink/{fought.duel.duel_id}.json"
    assert [Path(file).stem for file in fought.files[1:]] == [
        run_id for pair in fought.duel.pairs for run_id in ((pair.a, pair.b) if pair.first == "a" else (pair.b, pair.a))
    ]
    told = capfd.readouterr().err.splitlines()
    assert told[0] == (
        "pair 1: mine 1.5000 nats, theirs 1.7000 nats; not settled: 1 pair counts, it takes two at least; "
        "4 pairs left at most"
    )
    assert told[2].startswith("pair 3: mine 1.4990 nats, theirs 1.7050 nats; mine has a lower loss than theirs: diff")
    for run in Store(workspace.results).load().records:
        assert run.series == Series(id=fought.duel.duel_id, purpose="duel")
        assert run.ranked


def test_it_ends_with_the_last_pair(rehearse):
    fought, _ = rehearse(*UNSETTLED, pairs=4)
    assert (fought.outcome.settled, fought.because) == (None, "all 4 pairs are made")
    assert len(fought.duel.pairs) == 4


def test_it_ends_when_a_side_has_failed_twice(rehearse, workspace):
    fought, rehearsal = rehearse([CRASH, 1.5, CRASH], [1.6, 1.61])
    # Where the first of a pair fails, the other one is spared.
    assert rehearsal.order == ["mine", "mine", "theirs", "theirs", "mine"]
    assert fought.because == "mine failed 2 times and can't win any more"
    assert (fought.outcome.failed_a, fought.outcome.failed_b, fought.outcome.settled) == (2, 0, None)
    assert [left.why.split(" ended ")[1] for left in fought.outcome.left_out] == ["as CRASHED"]
    assert on_disk(workspace) == (fought.duel, fought.outcome)


def test_one_cheated_run_ends_it(rehearse, workspace):
    fought, rehearsal = rehearse([1.5, Run(verdict=Verdict.NOT_PREDICTIVE)], [1.6, 1.61])
    assert rehearsal.order == ["mine", "theirs", "theirs", "mine"]
    cheat = next(run for run in Store(workspace.results).load().records if run.verdict is Verdict.NOT_PREDICTIVE)
    assert fought.because == f"run {cheat.run_id} ended as NOT_PREDICTIVE, and mine can't win any more"
    assert fought.outcome.settled is None
    assert on_disk(workspace) == (fought.duel, fought.outcome)


def test_a_duel_without_any_pair_is_written_down_too(rehearse, workspace):
    fought, _ = rehearse([CRASH, CRASH], [])
    assert fought.duel.pairs == ()
    assert on_disk(workspace) == (fought.duel, fought.outcome)


def test_it_ends_when_the_platform_fails_again_and_blames_nobody(rehearse):
    fought, _ = rehearse([OURS, 1.5], [OURS, 1.6])
    assert fought.because == "the platform itself failed 2 times"
    assert (fought.outcome.failed_a, fought.outcome.failed_b) == (0, 0)


@pytest.mark.parametrize("stopped", [None, CUT_OFF])
@pytest.mark.parametrize("second_run", [False, True])
def test_an_interrupt_keeps_the_pairs_until_then(rehearse, workspace, stopped, second_run):
    mine, theirs = ([1.5, stopped], [1.7, 1.71]) if second_run else ([1.5], [1.7, stopped])
    fought, _ = rehearse(mine, theirs)
    assert fought.because == "it was interrupted"
    assert len(fought.duel.pairs) == 1
    assert on_disk(workspace) == (fought.duel, fought.outcome)


@pytest.mark.parametrize("stopped", [None, CUT_OFF])
def test_an_interrupt_before_the_first_pair_leaves_no_duel(rehearse, workspace, stopped):
    with pytest.raises(KeyboardInterrupt):
        rehearse([1.5], [stopped])
    assert not workspace.duels.exists()


def test_runs_of_a_retiming_are_ranked_nowhere(rehearse, workspace):
    fought, _ = rehearse([1.5, 1.501], [1.7, 1.701], pairs=2, purpose="retime")
    assert fought.duel.duel_id.split("-")[2] == "retime"
    assert not fought.outcome.practice
    assert {run.unranked_because for run in Store(workspace.results).load().records} == {(RETIMING,)}


def test_a_signature_that_fails_never_loses_the_duel(rehearse, workspace, tmp_path, capfd):
    class Fails:
        """A voucher whose key is gone after the first pair."""

        def __init__(self):
            self.signed = 0

        def demand_request(self, request):
            pass

        def finish(self, record):
            return Finished(record)

        def sign(self, data):
            self.signed += 1
            if self.signed > 1:
                return Signer(tmp_path / "gone").sign(data)
            return b"-----BEGIN SSH SIGNATURE-----\n"

    fought, _ = rehearse(*UNSETTLED, pairs=3, voucher=Fails())
    assert fought.duel.tier is Tier.SELF_REPORTED
    assert len(on_disk(workspace)[0].pairs) == 3
    assert "is not signed and counts as self-reported: there is no key" in capfd.readouterr().err
    assert [path.suffix for path in workspace.duels.glob("*/*")] == [".json"]


def test_it_is_known_beforehand_where_a_run_would_stand(rehearse, workspace):
    _, rehearsal = rehearse([1.5, 1.6], [1.6, 1.5], pairs=2)
    like = rehearsal.would_be(bout.named("mine", workspace).entry, {"smoothing": "0.2"})
    made = [run for run in Store(workspace.results).load().records if run.entry.name == "mine"]
    for run in made:
        assert (place(run), torch(run)) == (place(like), torch(like))
        assert variant(run) == variant(like)._replace(overrides=())
    assert like.overrides == {"smoothing": "0.2"}
    known = standings.read(workspace, "cpu-blink")
    assert standings.find(known.board(practice=True).sections, place(like)).track == like.track
    assert standings.find(known.histories(), place(like)._replace(hardware="An Abacus")) is None


def text(value, width=120) -> list[str]:
    out = io.StringIO()
    pages.show(value, Console(file=out, width=width, highlight=False, markup=False))
    return out.getvalue().splitlines()


def asked(fought: Fought) -> Dueled:
    return Dueled(command="speedrun duel mine --against theirs --track cpu-blink", fought=fought, interrupted=False)


def test_the_page_shows_pairs_interval_and_what_it_means(rehearse):
    fought, _ = rehearse([1.5, 1.501, 1.49], [1.7, 1.69, 1.72], pairs=3)
    lines = text(asked(fought))
    assert lines[0] == "✓ settled  mine against theirs on cpu-blink"
    rows = [line.split() for line in lines[3:6]]
    assert rows[0] == ["1", "mine", "1.5000", "1.7000", "-0.2000"]
    assert rows[1] == ["2", "theirs", "1.5010", "1.6900", "-0.1890"]
    assert lines[6] == ""
    band, equal, ends = lines[7:10]
    assert (band.count("●"), equal.strip()) == (1, "equal ▲")
    assert band.index("├") < band.index("●") < band.index("┤") < equal.index("▲")
    assert ends.split()[1:] == ["+0.0000", "nats/token"]
    assert lines[10] == "Scale: loss of mine − loss of theirs; left of equal, mine is better."
    words = "; it is self-reported, so it settles nothing on the board."
    assert " ".join(" ".join(lines[11:13]).split()) == f"{fought.outcome.words}{words}"
    assert lines[13] == "It ended because it is settled."
    assert lines[14:-2] == [f"wrote {file}" for file in fought.files]
    again = "speedrun duel mine --against theirs --track cpu-blink --pairs 3 --key FILE"
    assert lines[-2:] == ["For the board a maintainer runs it again, and signs it:", f"  {again}"]
    assert asked(fought).exit_code == 0
    assert msgspec.json.decode(as_json(asked(fought)), type=Dueled) == asked(fought)


def test_the_page_says_what_is_missing(rehearse):
    fought, _ = rehearse([1.50, 1.53, CRASH, 1.52], [1.54, 1.535, 1.53, 1.55], pairs=3)
    lines = text(asked(fought))
    assert lines[0] == "? not settled  mine against theirs on cpu-blink"
    assert lines[-2:] == ["This says why a run failed; the runs are among the files above:", "  speedrun show RUN"]
    assert asked(fought).exit_code == 1


def test_the_page_says_how_many_pairs_it_takes(rehearse):
    fought, _ = rehearse([1.50, 1.53, 1.51], [1.54, 1.535, 1.53], pairs=3)
    pairs = fought.outcome.pairs_needed
    assert pairs > 3
    assert text(asked(fought))[-2:] == [
        f"If scatter and difference are as they seem, a new duel of about {pairs} pairs settles it:",
        f"  speedrun duel mine --against theirs --track cpu-blink --pairs {pairs}",
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_no_word_of_the_page_is_cut(rehearse, width):
    fought, _ = rehearse([1.50, 1.53, 1.51], [CRASH, 1.54, 1.53], pairs=3)
    lines = text(asked(fought), width)
    assert "…" not in "".join(lines)
    narrow = [line for line in lines if not line.startswith(("wrote ", "  speedrun "))]
    assert all(len(line.rstrip()) <= width for line in narrow)
    words = " ".join(" ".join(narrow).split())
    assert f"Pair 1 does not count: {fought.outcome.left_out[0].why}." in words
    assert fought.outcome.words in words


def test_a_tiny_difference_is_shown_in_the_digits_that_it_takes(rehearse):
    fought, _ = rehearse([1.5, 1.500001, 1.5], [1.500021, 1.500019, 1.500022], pairs=3)
    lines = text(asked(fought))
    assert lines[3].split() == ["1", "mine", "1.500000", "1.500021", "-0.000021"]
    assert next(line for line in lines if "├" in line).count("●") == 1


def test_an_interval_that_leaves_the_axis_ends_in_arrows(rehearse):
    fought, _ = rehearse([1.50, 1.51, None], [1.70, 1.60], pairs=500)
    band, equal, ends = duel_page.axis(fought.outcome, 40)
    assert (band[0], band[-1], len(band), len(ends)) == ("◄", "►", 40, 40)
    assert equal.index("▲") in (19, 20)
    fought, _ = rehearse([1.5], [CRASH, CRASH], pairs=3)
    assert duel_page.axis(fought.outcome, 40) == []


def test_retimings_are_shown_one_after_the_other(rehearse):
    one, _ = rehearse([1.5, 1.501], [1.7, 1.702], pairs=2, purpose="retime")
    other, _ = rehearse(*UNSETTLED, pairs=2, purpose="retime")
    value = Retimed(fought=(one, other), left_out=("record 1 is left out: it is broken",), interrupted=False)
    lines = text(value)
    assert lines[0] == "record 1 is left out: it is broken"
    assert [line for line in lines if "re-timed against" in line] == [
        "✓ settled  mine re-timed against theirs on cpu-blink",
        "? not settled  mine re-timed against theirs on cpu-blink",
    ]
    assert lines[-1].startswith("These runs count in no mean")
    assert value.exit_code == 1
    assert Retimed(fought=(one,), left_out=(), interrupted=False).exit_code == 0
    broken_off = Retimed(fought=(one,), left_out=(), interrupted=False, broken_off="the disk is full")
    assert "Not all was re-timed: the disk is full" in text(broken_off)
    assert broken_off.exit_code == 1


def test_what_was_made_before_a_duel_breaks_off_is_told(rehearse, workspace):
    full = UserError("no space is left")
    fought, rehearsal = rehearse([1.5, 1.6], [1.6, full], pairs=3)
    assert fought.because == fought.broken_off == "it broke off: no space is left"
    duel, _ = on_disk(workspace)
    assert (duel, len(duel.pairs)) == (fought.duel, 1)
    assert len(fought.files) - 1 == len(rehearsal.order) == 2
    assert "it broke off: no space is left" in " ".join(text(asked(fought)))
    assert asked(fought).exit_code == 1
    with pytest.raises(UserError, match="no space is left"):
        rehearse([full], [1.6], pairs=3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("mine", "--against", "nobody"), "nobody"),
        (("nobody", "--against", "mine"), "nobody"),
        (("mine", "--against", "mine"), "mine and mine are the same source with the same settings"),
        (("mine", "--against", "twin"), "mine and twin are the same source with the same settings"),
        (("mine", "--against", "broken"), "entry broken: "),
        (("mine", "--against", "record"), "there is no record of cpu-blink on this hardware yet"),
        (("mine", "--against", "theirs", "--track", "cpu-blonk"), "there is no track 'cpu-blonk'"),
        (("mine", "--against", "theirs", "--key", "none"), "there is no key none"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing(workspace, speedrun, noisy, entry, blink, arguments, words):
    noisy("mine", 0.1)
    noisy("theirs", 200.0)
    shutil.copytree(workspace.submissions / "mine", workspace.submissions / "twin")
    (entry("broken") / "speedrun.py").write_text("def setup(run:\n")
    track = () if "--track" in arguments else ("--track", blink)
    said = speedrun("duel", *arguments, *track, "--quiet")
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert words in said.err
    assert not workspace.results.exists() or not any(workspace.results.glob("*/*.json"))


def test_nothing_to_retime_is_one_line(workspace, speedrun, blink):
    said = speedrun("retime", "--track", blink)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "cpu-blink has no two verified records in a row that can be run on this hardware" in said.err


def test_a_duel_that_can_not_begin_leaves_those_before_it(rehearse, workspace, blink, monkeypatch):
    """Three records in a row that nobody has to make: only what comes of their duels is of interest."""
    first, rehearsal = rehearse([1.5, 1.501], [1.7, 1.702], pairs=2, purpose="retime")
    cut, _ = rehearse([1.5], [1.7, UserError("no node is left")], pairs=2, purpose="retime")
    bouts = tuple(retime._Bout(*(bout.named(name, workspace) for name in ("mine", "theirs"))) for _ in range(3))
    sha256 = find_track(blink, workspace.tracks).sha256
    history = SimpleNamespace(track=SimpleNamespace(sha256=sha256))
    monkeypatch.setattr(retime, "histories", lambda *_: [history])
    monkeypatch.setattr(retime, "_line", lambda *_: retime._Line(history, bouts, ()))
    monkeypatch.setattr(retime, "open_session", lambda *_: contextlib.nullcontext(rehearsal))
    monkeypatch.setattr(retime, "find", lambda histories, here: histories[0])

    def timed_again(*ends):
        script = iter(ends)

        def fight(*_):
            end = next(script)
            if isinstance(end, UserError):
                raise end
            return end

        monkeypatch.setattr(retime, "fight", fight)
        return retime.retime(workspace, blink, pairs=2, key=None, conditions=Conditions(quiet=True))

    full = UserError("the disk is full")
    whole = timed_again(first, first, first)
    assert (len(whole.fought), whole.broken_off, whole.exit_code) == (3, "", 0)
    begun = timed_again(first, full)
    assert (begun.fought, begun.broken_off) == ((first,), "duel 2 of 3 could not begin: the disk is full")
    assert begun.exit_code == 1
    broken_off = timed_again(first, cut)
    assert (broken_off.fought, broken_off.broken_off) == ((first, cut), "it broke off: no node is left")
    with pytest.raises(UserError, match="the disk is full"):
        timed_again(full)


class Maintainer:
    """Whoever signs in this checkout, a git repository."""

    def __init__(self, workspace, key: Path) -> None:
        self.key = key
        self._workspace = workspace

    def commit(self) -> None:
        (self._workspace.root / ".gitignore").write_text("data/cache/\n")
        public = Path(f"{self.key}.pub").read_text()
        maintainers = self._workspace.results.parent / "maintainers"
        maintainers.parent.mkdir(exist_ok=True)
        maintainers.write_text(f'ada@example.org namespaces="speedrun" {public}')
        for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
            identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
            subprocess.run(["git", *identity, *arguments], cwd=self._workspace.root, check=True)

    def before(self, record: Record) -> None:
        """Stores the record once more, as a verified run of long ago."""
        run_id = f"20250101-000000-{record.entry.name}-0a0a"
        older = msgspec.structs.replace(record, run_id=run_id, started_at="2025-01-01T00:00:00Z", series=None)
        Store(self._workspace.results).add(older, Signer(self.key).sign(encode(older)))


@pytest.fixture
def maintainer(workspace, tmp_path) -> Maintainer:
    key = tmp_path / "ada"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    return Maintainer(workspace, key)


@pytest.mark.sandbox
def test_a_verified_duel_and_a_retiming_that_is_cut_off(workspace, speedrun, noisy, blink, maintainer, monkeypatch):
    noisy("mine", 0.1)
    noisy("theirs", 200.0)
    maintainer.commit()
    asked = ("duel", "mine", "--against", "theirs", "--track", blink, "--pairs", "2")
    said = speedrun(*asked, "--key", maintainer.key)
    assert said.code == 0, said
    assert said.out.startswith("✓ settled  mine against theirs on cpu-blink\n")
    assert "mine has a lower loss than theirs: difference of losses -1." in said.out
    assert said.out.endswith("What follows for the record:\n  speedrun leaderboard --history --track cpu-blink\n")

    runs = {run.run_id: run for run in Store(workspace.results).load().records}
    ((duel,), _, unsigned) = DuelStore(workspace.duels).load()
    outcome = judge(duel, runs)
    assert (outcome.settled, outcome.tier, outcome.counts, unsigned) == ("a", Tier.VERIFIED, True, frozenset())
    assert len({run.seed for run in runs.values()}) == len(runs) == 4

    path = workspace.duels / blink / f"{duel.duel_id}.json"
    honest = path.read_bytes()
    forged = json.loads(honest)
    forged["pairs"][1] = forged["pairs"][0]
    path.write_text(json.dumps(forged))
    ((spoilt,), _, unsigned) = DuelStore(workspace.duels).load()
    outcome = judge(spoilt, runs)
    assert (outcome.pairs, outcome.settled, outcome.counts, unsigned) == ((), None, False, {duel.duel_id})
    path.write_bytes(honest)

    said = speedrun("duel", "mine", "--against", "record", "--track", blink, "--quiet")
    assert said.code == 2
    assert said.err == (
        "error: mine and mine are the same source with the same settings: there is nothing to compare; name two that "
        "differ\n"
    )

    maintainer.before(Store(workspace.results).get(duel.pairs[0].b))
    process = subprocess.Popen(
        [*SPEEDRUN, "retime", "--track", blink, "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        heard = []
        for line in process.stderr:
            heard.append(line)
            if line.startswith("pair 1:"):
                process.send_signal(signal.SIGINT)
                break
        out, _ = process.communicate(timeout=180)
    assert process.returncode == 130, heard
    assert heard[0] == "duel 1 of 1: mine against theirs\n"
    retimed = msgspec.json.decode(out, type=Retimed)
    (fought,) = retimed.fought
    assert (fought.duel.purpose, len(fought.duel.pairs), fought.because) == ("retime", 1, "it was interrupted")
    assert fought.duel in DuelStore(workspace.duels).load().duels
    for file in fought.files[1:3]:
        run = msgspec.json.decode((workspace.root / file).read_bytes(), type=Record)
        assert (run.scored, run.unranked_because) == (True, (RETIMING,))

    def breaks(step, workspace):
        raise UserError("a rule of today is broken")

    monkeypatch.setattr(retime, "restored", breaks)
    said = speedrun("retime", "--track", blink)
    assert (said.code, said.err.count("\n")) == (2, 1)
    assert "record 1 is left out: a rule of today is broken" in said.err
    assert "record 2 is left out: a rule of today is broken" in said.err
