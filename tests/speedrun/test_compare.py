"""Two runs side by side: what is told, what may be concluded, and where nothing may."""

import io
import json

import msgspec
import pytest
from hypothesis import strategies as st
from rich.console import Console

from harness.result import Calibration, CurvePoint, HardwareReport, SourceFile, Verdict
from speedrun import answers, pages
from speedrun.answers import Compared
from speedrun.commands.compare import as_answer
from speedrun.comparison import Better, Passing, compare
from tests.fuzzing import fuzz, strangers, unsafe


def curve(*losses: float, every_s: float = 1.0) -> tuple[CurvePoint, ...]:
    return tuple(CurvePoint(elapsed_s=every_s * (1 + k), loss_nats=loss) for k, loss in enumerate(losses))


@pytest.fixture
def side_by_side(speedrun, stored):
    """What the command says of two records."""

    def side_by_side(a, b, *options):
        for record in (a, b):
            stored(record)
        said = speedrun("compare", a.run_id, b.run_id, *options)
        assert (said.code, said.err) == (0, "")
        return said.out

    return side_by_side


def amounts(found):
    return {amount.name: (amount.a, amount.b, amount.difference) for amount in found.amounts}


def test_the_numbers_of_both_and_their_difference(make_record):
    a = make_record(loss_nats=1.5, train_s=8.0, tokens=80_000)
    b = make_record(
        loss_nats=1.25,
        train_s=7.5,
        tokens=150_000,
        parameters=None,
        peak_memory_gib=0.5,
        hardware=HardwareReport(before=(Calibration(device="cpu", matmul_tflops=0.25, copy_gbps=9.0),)),
    )
    found = amounts(compare(a, b))
    assert found["loss"] == (1.5, 1.25, -0.25)
    assert found["training"] == (8.0, 7.5, -0.5)
    assert found["tokens"] == (80_000, 150_000, 70_000)
    assert found["tokens a second"] == (10_000.0, 20_000.0, 10_000.0)
    assert found["parameters"] == (250_000, None, None)
    assert found["memory"] == (None, 0.5, None)
    assert found["machine's speed"] == (None, 0.25, None)
    assert "bits a byte" not in found  # neither has it
    assert {amount.name for amount in compare(a, b).amounts if amount.declared} == {
        "steps",
        "tokens",
        "tokens a second",
        "last logged loss",
    }


def test_numbers_of_strangers_never_become_what_json_can_not_say(make_record):
    a = make_record(loss_nats=1.7e308, train_s=5e-324, tokens=2**63 - 1)
    b = make_record(loss_nats=-1.7e308, train_s=1.7e308, tokens=-(2**63))
    value = compare(a, b)
    assert amounts(value)["loss"] == (1.7e308, -1.7e308, None)
    assert amounts(value)["tokens"] == (2**63 - 1, -(2**63), -(2**64) + 1)
    assert amounts(value)["tokens a second"][0] is None
    assert value.better is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"track_id": "cpu-1min"}, "different tracks"),
        ({"version": 2}, "different versions of the track"),
        ({"dataset_id": "novels"}, "different data sets"),
        ({"cpu": "Other CPU"}, "different hardware"),
        ({"threads": 1}, "different hardware"),
        ({"devices": ("Tesla T4",)}, "different hardware"),
        ({"verdict": Verdict.CRASHED}, "B has no valid score: its verdict is CRASHED"),
    ],
)
def test_what_can_not_be_compared(side_by_side, make_record, fields, words):
    a, b = make_record(curve=curve(3.0, 2.0, 1.9)), make_record(curve=curve(3.0, 2.0, 1.0), **fields)
    found = compare(a, b)
    assert any(words in reason for reason in found.incomparable)
    assert found.better is None
    assert found.passing is None
    said = side_by_side(a, b)
    assert f"Not comparable: {'; '.join(found.incomparable)}." in said
    assert "better" not in said
    assert "duel" not in said


def test_another_torch_and_another_file_of_the_track_are_told(make_record):
    a = make_record()
    environment = msgspec.structs.replace(a.environment, packages={"torch": "2.14.0"})
    track = msgspec.structs.replace(a.track, sha256="0" * 64)
    found = compare(a, make_record(environment=environment, track=track))
    assert [setting.name for setting in found.settings] == ["track's file", "torch"]
    assert found.incomparable == ("the track's file was not the same", "they ran with different versions of torch")


def test_one_source_run_twice_shows_noise(side_by_side, make_record):
    a, b = (
        make_record(loss_nats=1.5, curve=curve(3.0, 2.0, 1.9)),
        make_record(loss_nats=1.4, curve=curve(3.0, 2.0, 1.0)),
    )
    said = side_by_side(a, b)
    assert "nothing        but the seed and the time" in said
    assert "Both ran the same source with the same settings: what differs in loss and time is noise." in said
    assert "To settle it" not in said
    assert "was after" not in said


def test_what_differs_is_listed(side_by_side, make_record):
    a = make_record(entry="mine", overrides={"width": "3", "depth": "2"})
    text = a.source.files[0].text + "# one\n# two\n"
    files = (
        SourceFile(path="speedrun.py", text=text, sha256="1" * 64),
        SourceFile(path="n.md", text="x", sha256="2" * 64),
    )
    source = msgspec.structs.replace(a.source, files=files, sha256="3" * 64)
    b = msgspec.structs.replace(make_record(entry="other", overrides={"width": "4"}), source=source)
    found = compare(a, b)
    assert [(setting.name, setting.a, setting.b) for setting in found.settings] == [
        ("--set depth", "2", None),
        ("--set width", "3", "4"),
    ]
    assert [(file.path, file.done, file.lines_added, file.lines_removed) for file in found.files] == [
        ("n.md", "added", 1, 0),
        ("speedrun.py", "edited", 2, 0),
    ]
    said = side_by_side(a, b)
    assert "--set depth    2 → –\n" in said
    assert "source         speedrun.py edited, +2 −0 lines\n" in said


def test_who_is_better_and_how_to_settle_it(side_by_side, make_record):
    a = make_record(entry="mine", source="a", loss_nats=1.5, curve=curve(3.0, 2.0, 1.5, 1.4))
    b = make_record(entry="other", source="b", loss_nats=1.25, curve=curve(3.0, 1.3, 1.2, 1.1))
    found = compare(a, b)
    assert found.better == Better(run="b", why="loss", by=0.25)
    assert found.passing == Passing(run="b", elapsed_s=2.0, loss_nats=1.4, other_s=4.0)
    said = side_by_side(a, b)
    assert "B is better by 0.2500 nats/token. One run of each:" in said
    assert (
        "By the training loss that they logged themselves, B was after 2.0 s where A ended after 4.0 s, at 1.400."
        in said
    )
    assert "To settle it: speedrun duel other --against mine --track cpu-smoke\n" in said
    assert "⠤⠤⠤⠤ A mine\n⠤⠀⠤⠀ B other\n" in said
    assert compare(b, a).better == Better(run="a", why="loss", by=0.25)


def test_one_source_under_two_names_differs_by_noise(side_by_side, make_record):
    a, b = (make_record(entry=name, source="same", loss_nats=loss) for name, loss in (("a", 1.5), ("b", 1.4)))
    said = side_by_side(a, b)
    assert "Both ran the same source with the same settings: what differs in loss and time is noise." in said
    assert "To settle it" not in said


def test_a_machine_that_was_not_the_same_is_no_noise(side_by_side, make_record):
    def record(tflops, slowed=False, **fields):
        before = (Calibration(device="cpu", matmul_tflops=tflops, copy_gbps=1.0),)
        return make_record(source="same", hardware=HardwareReport(before=before, slowed=slowed), **fields)

    alike = side_by_side(record(0.100), record(0.105))
    assert "is noise." in alike
    faster = side_by_side(record(0.1), record(0.2))
    assert "is noise, or comes from this: the machine was not equally fast." in faster
    throttled = side_by_side(record(0.1), record(0.1, slowed=True))
    assert "comes from this: B's machine was slower after the run than before it." in throttled
    assert "trained by different numbers of processes" in side_by_side(record(0.1), record(0.1, ranks=8))


def test_what_no_duel_would_run_is_settled_by_none(side_by_side, make_record):
    def pair(**fields):
        return (
            make_record(entry=name, source=name, loss_nats=loss, **fields) for name, loss in (("a", 1.5), ("b", 1.4))
        )

    assert "To settle it: speedrun duel b --against a" in side_by_side(*pair())
    assert "To settle it" not in side_by_side(*pair(overrides={"width": "3"}, ranked=False))
    assert "To settle it" not in side_by_side(*pair(official=False, ranked=False))


def test_a_race_for_time_is_judged_by_time(make_record):
    race = {"objective": "fastest-to-loss", "target_nats": 1.6}
    slow, fast = make_record(loss_nats=1.5, train_s=8.0, **race), make_record(loss_nats=1.55, train_s=7.5, **race)
    missed = make_record(loss_nats=1.7, train_s=1.0, **race)
    assert compare(slow, fast).better == Better(run="b", why="time", by=0.5)
    assert compare(slow, missed).better == Better(run="a", why="target", by=None)
    assert compare(missed, make_record(loss_nats=1.8, train_s=9.0, **race)).better == Better(
        run="a", why="loss", by=pytest.approx(0.1)
    )


def test_one_lucky_batch_passes_nobody(make_record):
    """A training loss is that of a batch; the mean of a twentieth of the points counts."""
    steady = [3.0 - k / 100 for k in range(100)]
    lucky = [3.1 - k / 90 for k in range(100)]
    lucky[10] = 0.5
    found = compare(make_record(entry="mine", curve=curve(*steady)), make_record(entry="other", curve=curve(*lucky)))
    assert found.passing is None or found.passing.elapsed_s > 50
    alone = compare(make_record(entry="mine", curve=()), make_record(entry="other", curve=curve(*lucky)))
    assert alone.passing is None


@pytest.mark.parametrize("columns", ["60", "100"])
def test_the_page_fits(side_by_side, make_record, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    a = make_record(entry="mine", curve=curve(*(3.0 / (1 + k / 9) for k in range(80))))
    b = make_record(entry="other", loss_nats=1.4, curve=curve(*(2.9 / (1 + k / 8) for k in range(80))))
    said = side_by_side(a, b).splitlines()
    assert max(map(len, (line for line in said if not line.startswith("To settle")))) <= int(columns)


def test_json_has_everything_as_values(side_by_side, make_record):
    a = make_record(entry="mine", curve=curve(3.0, 2.0))
    b = make_record(entry="other", loss_nats=1.25, curve=curve(3.0, 1.0))
    out = side_by_side(a, b, "--json")
    value = msgspec.json.decode(out, type=Compared)
    assert json.loads(out)["kind"] == "compare"
    assert value.a.run_id == a.run_id
    assert value.b.curve == b.curve
    assert value.comparison == compare(a, b)
    assert answers.as_json(value).decode() == out


def test_whatever_strangers_wrote_is_words(make_record):
    tame, loud = make_record(entry="other", curve=curve(3.0, 1.0)), make_record(entry="mine", curve=curve(3.0, 2.0))

    def check(words):
        a, b, c, d, e = words
        hostile = msgspec.structs.replace(
            loud,
            dataset=msgspec.structs.replace(loud.dataset, id=a),
            environment=msgspec.structs.replace(loud.environment, cpu=b, packages={"torch": e}),
            overrides={c: d},
            source=msgspec.structs.replace(loud.source, files=(SourceFile(path=e, text=d, sha256="1" * 64),)),
        )
        for left, right in ((hostile, tame), (tame, hostile)):
            value = as_answer(left, right)
            out = io.StringIO()
            screen = Console(file=out, width=60, force_terminal=True, color_system="truecolor", highlight=False)
            pages.show(value, screen)
            assert not unsafe(out.getvalue())
            assert msgspec.json.decode(answers.as_json(value), type=Compared) == value

    fuzz(60, st.lists(strangers, min_size=5, max_size=5), check)


def test_two_runs_are_named(speedrun, stored, make_record):
    nothing = speedrun("compare", "last", "last")
    assert nothing.err == "error: there are no runs yet; speedrun run baseline --track cpu-smoke makes one\n"
    record = make_record(entry="mine")
    stored(record)
    twice = speedrun("compare", "last", record.run_id[:15])
    assert (twice.code, twice.out) == (2, "")
    assert twice.err.startswith(f"error: both are run {record.run_id}; name two runs")
    assert speedrun("compare", "last", "nobody").code == 2
    assert "Missing argument" in speedrun("compare", "last").err
