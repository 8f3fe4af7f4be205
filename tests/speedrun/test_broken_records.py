"""Whatever lies where a record should: every command goes on with the others, says so in a line, and stays small."""

import json
import os
import subprocess
import sys

import msgspec
import pytest

from harness.result import encode
from leaderboard.render import BEGIN, END
from leaderboard.schema import RECORD_CAP_BYTES
from leaderboard.store import Store

MOST_BYTES = 500e6
PATIENCE_S = 120

# The command line, and then the most memory that it held since it was started: getrusage would tell its parent's, too.
MEASURED = """
import pathlib, sys
from speedrun.app import main
code = main(sys.argv[2:])
sys.stdout.flush()
(line,) = (line for line in pathlib.Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
pathlib.Path(sys.argv[1]).write_text(str(int(line.split()[1]) * 1024))
sys.exit(code)
"""


@pytest.fixture
def measured(workspace, tmp_path):
    """`measured("leaderboard")`: code, output, errors, and the most memory that the command held, in bytes."""

    def measured(*arguments):
        peak = tmp_path / "peak"
        done = subprocess.run(
            [sys.executable, "-c", MEASURED, peak, *arguments], capture_output=True, text=True, timeout=PATIENCE_S
        )
        return done.returncode, done.stdout, done.stderr, int(peak.read_text())

    return measured


def _pipe(path, good):
    os.mkfifo(path)


def _folder(path, good):
    path.mkdir()


def _link(path, good):
    path.symlink_to("/etc/passwd")


def _dangling(path, good):
    path.symlink_to("nowhere")


def _hundred_megabytes(path, good):
    with path.open("wb") as file:
        file.write(good)
        file.truncate(100_000_000)


def _bytes(make):
    """A file that holds what `make` makes of a good record."""
    return lambda path, good: path.write_bytes(make(good))


def _field(name, value):
    return _bytes(lambda good: msgspec.json.encode(msgspec.json.decode(good) | {name: value}))


def _text(old, new):
    def spoil(good):
        assert old in good
        return good.replace(old, new, 1)

    return _bytes(spoil)


SPOILT = {
    **{f"cut at {share:.0%}": _bytes(lambda good, share=share: good[: int(len(good) * share)])
       for share in (0.0, 0.01, 0.1, 0.33, 0.5, 0.9, 0.99)},
    "one byte short": _bytes(lambda good: good.rstrip()[:-1]),
    "a hole of zeros": _bytes(lambda good: good[:500] + bytes(600) + good[1100:]),  # after a power cut, on some disks
    "no json": _bytes(lambda good: b"<html>not found</html>"),
    "no text": _bytes(lambda good: bytes(range(256)) * 16),
    "another text encoding": _bytes(lambda good: good.decode().encode("utf-16")),
    "twice": _bytes(lambda good: good + good),
    "a merge conflict": _bytes(lambda good: b"<<<<<<< HEAD\n" + good + b"=======\n" + good + b">>>>>>> theirs\n"),
    "a list": _bytes(lambda good: b"[" + good + b"]"),
    "a future schema": _field("schema", 99),
    "a schema of the past": _field("schema", 0),
    "a schema below zero": _field("schema", -(2**62)),
    "a schema beyond 64 bits": _text(b'"schema": 1', b'"schema": ' + b"9" * 5000),
    "a seed of 5,000 digits": _text(b'"seed": ', b'"seed": ' + b"9" * 5000),
    "a loss beyond floating point": _text(b'"loss_nats": 1.5', b'"loss_nats": 1e99999'),
    "a loss that is no number": _text(b'"loss_nats": 1.5', b'"loss_nats": NaN'),
    "nested 100,000 deep": _bytes(lambda good: b"[" * 100_000 + b"]" * 100_000),
    "an unknown field nested 1,000,000 deep": _text(b"{", b'{"deep": ' + b"[" * 10**6 + b"]" * 10**6 + b","),
    "100 MB": _hundred_megabytes,
    "a pipe": _pipe,
    "a folder": _folder,
    "a link": _link,
    "a link to nowhere": _dangling,
}  # fmt: skip

COMMANDS = {
    "leaderboard": ("leaderboard",),
    "leaderboard --show --all": ("leaderboard", "--show", "--all"),
    "leaderboard --history": ("leaderboard", "--history"),
    "leaderboard --render": ("leaderboard", "--render"),
    "leaderboard --export": ("leaderboard", "--export", "runs.json"),
    "leaderboard --audit": ("leaderboard", "--audit"),
    "show last": ("show", "last"),
}


@pytest.fixture
def littered(workspace, make_record):
    """Three good records, and beside them one of every broken kind; name of the file → kind."""
    store = Store(workspace.results)
    for number in range(3):
        store.add(make_record(entry=f"good-{number}"))
    kinds = {}
    for number, (kind, spoil) in enumerate(SPOILT.items()):
        record = make_record(entry="spoilt", run_id=f"20261121-141530-spoilt-{number:04x}")
        path = workspace.results / record.track.id / f"{record.run_id}.json"
        spoil(path, encode(record))
        kinds[path.name] = kind
    return kinds


@pytest.mark.redteam
@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_goes_on_with_the_others(workspace, measured, littered, tally, command):
    (workspace.root / "README.md").write_text(f"{BEGIN}\n{END}\n")
    code, out, err, peak_bytes = measured(*COMMANDS[command])
    lines = (out if command == "leaderboard --audit" else err).splitlines()
    told = {name: [line for line in lines if name.removesuffix(".json") in line] for name in littered}
    silent = [kind for name, kind in littered.items() if len(told[name]) != 1]
    if command == "show last":  # of one record, and says nothing of the others
        silent = [line for line in lines if line]
    small = "under 500 MB" if peak_bytes < MOST_BYTES else f"{peak_bytes / 1e6:.0f} MB"
    tally(
        f"{command}: {len(littered)} broken files beside 3 good ones",
        expected="a line each; under 500 MB",
        got=f"{f'{len(silent)} untold' if silent else 'a line each'}; {small}",
    )
    assert silent == []
    assert "Traceback" not in out + err
    assert peak_bytes < MOST_BYTES
    assert code == (0 if command == "show last" else 1)
    match command:
        case "leaderboard --export":
            assert len(json.loads((workspace.root / "runs.json").read_text())) == 3
        case "leaderboard --audit" | "leaderboard --history":
            pass
        case "show last":
            assert "good-2" in out
        case "leaderboard --render":
            assert "good-2" in workspace.board.read_text()
        case _:
            assert all(f"good-{number}" in out for number in range(3))


def test_each_of_them_is_named_when_it_is_asked_for(workspace, speedrun, littered, tally):
    said = {kind: speedrun("show", name.removesuffix(".json")) for name, kind in littered.items()}
    wrong = [kind for kind, each in said.items() if each.code != 2 or each.err.count("\n") != 1 or each.out]
    tally(f"show RUN: {len(littered)} broken files", expected="one line", got="one line" if not wrong else str(wrong))
    assert wrong == []
    for each in said.values():
        assert each.err.startswith("error: the record cpu-smoke/20261121-141530-spoilt-")
        assert each.err.rstrip("\n").isprintable()


def test_a_new_record_is_added_beside_them(workspace, littered, make_record):
    record, store = make_record(), Store(workspace.results)
    path = store.add(record)
    assert path.read_bytes() == encode(record)
    assert len(store.load().records) == 4
    assert len(store.load().broken) == len(littered)


def test_every_cut_is_refused(workspace, make_record, tally):
    """At every byte of a record, one after the other: half of one is never taken for a whole one."""
    data = encode(make_record())
    whole = data.rstrip()
    path = Store(workspace.results).add(make_record(run_id="20261121-141530-baseline-3f9a"))
    good = path.read_bytes()
    store = Store(workspace.results)
    taken = []
    for end in range(0, len(good.rstrip()), 7):
        path.write_bytes(good[:end])
        loaded = store.load()
        if loaded.records or len(loaded.broken) != 1:
            taken.append(end)
    tally("a record cut at every seventh byte", expected="refused", got="refused" if not taken else str(taken))
    assert taken == []
    assert len(whole) > 2000


# ---------------------------------------------------------------------------------------- valid, and as large as may be


def _padded(make_record, number, what):
    """A record that keeps every rule and fills the largest file that is read, with what costs most memory."""
    record = msgspec.json.decode(
        encode(make_record(entry="huge", run_id=f"20261121-141530-huge-{number:04x}", tier="verified"))
    )
    room = RECORD_CAP_BYTES - 10_000
    match what:
        case "curve":
            record["curve"] = [{"elapsed_s": 1.5}] * (room // 18)
        case "metrics":
            record["declared"]["metrics"] = {f"{index:x}": 0.5 for index in range(room // 14)}
        case "files":
            record["source"]["files"] = [{"path": "", "text": "", "sha256": ""}] * (room // 38)
        case "unknown":
            record["padding"] = "x" * (room - 10_000)
    return msgspec.json.encode(record)


@pytest.mark.redteam
@pytest.mark.parametrize("command", ["leaderboard", "leaderboard --export", "leaderboard --audit"])
def test_records_as_large_as_may_be(workspace, measured, make_record, tally, command):
    Store(workspace.results).add(make_record(entry="good"))
    folder = workspace.results / "cpu-smoke"
    kinds = ("curve", "metrics", "files", "unknown")
    for number, what in enumerate(kinds * 3):
        data = _padded(make_record, number, what)
        assert len(data) <= RECORD_CAP_BYTES
        (folder / f"20261121-141530-huge-{number:04x}.json").write_bytes(data)
    code, out, err, peak_bytes = measured(*COMMANDS[command])
    got = "under 500 MB" if peak_bytes < MOST_BYTES else f"{peak_bytes / 1e6:.0f} MB"
    tally(f"{command}: {3 * len(kinds)} records as large as may be", expected="under 500 MB", got=got)
    assert "Traceback" not in out + err
    assert code in (0, 1)
    assert peak_bytes < MOST_BYTES
