"""Rulings on disk: what is written, what is refused, and that a broken one fails closed."""

import errno
import json
import os
import threading

import pytest

from harness.errors import UserError
from leaderboard.rulings import REASON_CAP, Ruling, add, load

RUN = "20261121-141530-baseline-3f9a"
AT = "2026-11-21T14:15:30+00:00"


def ruling(kind="retraction", reason="it read the clock wrong", run_id=RUN, made_at=AT):
    return Ruling(run_id=run_id, kind=kind, reason=reason, made_at=made_at)


def test_a_ruling_is_kept(tmp_path):
    folder = tmp_path / "rulings"
    assert load(folder) == ({}, {}, ())
    path = add(folder, ruling())
    add(folder, ruling("waiver", "a faster kernel"))
    assert path == folder / f"{RUN}.retraction.json"
    assert json.loads(path.read_text()) == {
        "schema": 1,
        "run_id": RUN,
        "kind": "retraction",
        "reason": "it read the clock wrong",
        "made_at": AT,
    }
    assert load(folder) == ({RUN: "it read the clock wrong"}, {RUN: "a faster kernel"}, ())
    assert sorted(path.name for path in folder.iterdir()) == [f"{RUN}.retraction.json", f"{RUN}.waiver.json"]


def test_a_second_ruling_of_a_kind_is_an_error_and_changes_nothing(tmp_path):
    path = add(tmp_path, ruling())
    before = path.read_bytes()
    with pytest.raises(UserError, match=f"run {RUN} has a retraction already"):
        add(tmp_path, ruling(reason="something else"))
    assert path.read_bytes() == before
    path.write_text("broken")
    with pytest.raises(UserError, match="has a retraction already"):
        add(tmp_path, ruling())


def test_of_two_at_once_one_wins_and_the_other_is_told(tmp_path):
    for number in range(50):
        folder = tmp_path / str(number)
        start, told = threading.Barrier(3), []

        def rule(reason, folder=folder, start=start, told=told):
            start.wait()
            try:
                add(folder, ruling(reason=reason))
            except UserError as error:
                told.append(str(error))
            else:
                told.append(reason)

        threads = [threading.Thread(target=rule, args=(name,)) for name in ("one", "two", "three")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        (winner,) = {"one", "two", "three"} & set(told)
        assert load(folder).retracted == {RUN: winner}
        assert sum(f"run {RUN} has a retraction already, in {number}/{RUN}" in words for words in told) == 2
        assert [path.name for path in folder.iterdir()] == [f"{RUN}.retraction.json"]


def test_what_lies_there_already_is_never_replaced(tmp_path):
    for make in (
        lambda path: path.symlink_to("nowhere"),
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(path),
    ):
        path = tmp_path / f"{RUN}.retraction.json"
        make(path)
        with pytest.raises(UserError, match="has a retraction already"):
            add(tmp_path, ruling())
        assert [each.name for each in tmp_path.iterdir()] == [path.name]
        path.rename(tmp_path.parent / f"seen-{path.lstat().st_ino}")


def test_a_full_disk_or_a_folder_that_is_none_is_one_line(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="cannot write"):
        add(tmp_path / "file", ruling())

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for call in ("fsync", "link"):
        with monkeypatch.context() as patched:
            patched.setattr(os, call, full)
            with pytest.raises(UserError, match="free some space and try again"):
                add(tmp_path / "rulings", ruling())
        assert list((tmp_path / "rulings").iterdir()) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": ""},
        {"reason": "two\nlines"},
        {"reason": "\x1b[2J"},
        {"reason": "a\u202ea"},
        {"reason": " padded "},
        {"reason": "x" * (REASON_CAP + 1)},
        {"run_id": "../../etc/passwd"},
        {"run_id": "last"},
        {"made_at": "today"},
        {"made_at": "2026-13-21T14:15:30+00:00"},
        {"made_at": "2026-11-21T14:15:30+01:00"},
    ],
)
def test_a_ruling_checks_itself(fields):
    with pytest.raises(ValueError):
        ruling(**fields)


def spoilt(**fields):
    value = {"schema": 1, "run_id": RUN, "kind": "retraction", "reason": "why", "made_at": AT} | fields
    return json.dumps(value).encode()


BROKEN = [
    b"",
    b"{",
    b"\xff",
    b"[" * 100_000,
    spoilt(schema=2),
    spoilt(reason=""),
    spoilt(reason="\x1b[31mred"),
    spoilt(kind="pardon"),
    spoilt(extra=1),
    spoilt(run_id="20261121-141530-another-3f9a"),
    spoilt(made_at="never"),
    spoilt(reason="x" * 20_000),
]


@pytest.mark.parametrize("data", BROKEN)
def test_a_broken_retraction_retracts_and_is_named(tmp_path, data):
    (tmp_path / f"{RUN}.retraction.json").write_bytes(data)
    retracted, waived, broken = load(tmp_path)
    assert retracted == {RUN: "retracted; the file with the reason is broken"}
    assert waived == {}
    assert [path for path, _ in broken] == [f"{RUN}.retraction.json"]
    assert broken[0].reason
    assert "\n" not in broken[0].reason


@pytest.mark.parametrize("data", [*BROKEN, spoilt()])
def test_a_broken_waiver_waives_nothing_and_is_named(tmp_path, data):
    (tmp_path / f"{RUN}.waiver.json").write_bytes(data)
    retracted, waived, broken = load(tmp_path)
    assert (retracted, waived, len(broken)) == ({}, {}, 1)


def test_links_folders_and_pipes_are_read_as_broken(tmp_path):
    folder = tmp_path / "rulings"
    folder.mkdir()
    real = tmp_path / "real.json"
    real.write_bytes(spoilt())
    (folder / f"{RUN}.retraction.json").symlink_to(real)
    other, third = RUN.replace("3f9a", "3f9b"), RUN.replace("3f9a", "3f9c")
    (folder / f"{other}.retraction.json").mkdir()
    os.mkfifo(folder / f"{third}.retraction.json")
    retracted, _, broken = load(folder)
    assert set(retracted) == {RUN, other, third}
    assert [reason for _, reason in broken] == ["not a regular file"] * 3


@pytest.mark.parametrize("name", ["notes.txt", "x.retraction.json", f"{RUN}.json", f"{RUN}.retraction.json.bak"])
def test_other_names_are_told_and_not_ignored(tmp_path, name):
    (tmp_path / name).write_bytes(spoilt())
    retracted, _, broken = load(tmp_path)
    assert retracted == {}
    assert broken[0].path == name
    assert "not a ruling's name" in broken[0].reason


def test_what_a_killed_writer_left_is_not_a_ruling(tmp_path):
    (tmp_path / f".{RUN}.retraction.json.0000.tmp").write_bytes(b"{")
    assert load(tmp_path) == ({}, {}, ())
