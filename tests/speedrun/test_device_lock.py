import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.accelerators import Accelerator
from harness.errors import UserError
from harness.result import Device
from speedrun import device_lock

HOLDER = """
import sys
from pathlib import Path
from speedrun import device_lock
with device_lock.hold(sys.argv[2:], "theirs", wait=True, say=print, folder=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "locks"


@pytest.fixture
def other_process(folder):
    """Another process that holds the cpu until its standard input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), "cpu"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_a_card_is_known_by_its_node_and_a_run_without_one_takes_the_processor():
    card = Device(name="Tesla T4", memory_gib=15.0)
    cards = [Accelerator(minor=minor, uuid=f"GPU-{minor}", device=card) for minor in (3, 0)]
    assert device_lock.names(cards) == ("cpu", "gpu-3", "gpu-0")
    assert device_lock.names(()) == ("cpu",)


def test_a_device_in_use_is_an_error_that_names_the_holder(folder, other_process):
    with (
        pytest.raises(UserError, match=rf"cpu is in use by a run of 'theirs' \(process {other_process.pid}\)"),
        device_lock.hold(["cpu"], "mine", wait=False, say=print, folder=folder),
    ):
        pass


def test_or_it_is_waited_for(folder, other_process):
    said = []

    def say(line: str) -> None:
        said.append(line)
        other_process.stdin.close()

    with device_lock.hold(["cpu"], "mine", wait=True, say=say, folder=folder):
        assert other_process.wait() == 0
    assert len(said) == 1
    assert f"process {other_process.pid}" in said[0]


def test_a_holder_that_was_killed_holds_nothing(folder, other_process):
    other_process.kill()
    other_process.wait()
    with device_lock.hold(["cpu"], "mine", wait=False, say=print, folder=folder):
        pass


def test_other_devices_are_free(folder, other_process):
    with device_lock.hold(["gpu-0"], "mine", wait=False, say=print, folder=folder):
        pass


def test_other_users_may_use_the_same_locks(folder):
    before = os.umask(0o077)
    try:
        with device_lock.hold(["cpu"], "mine", wait=True, say=print, folder=folder):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o1777
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
            assert modes == {"cpu.lock": 0o666, "cpu.holder": 0o666}
    finally:
        os.umask(before)


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"nonsense",
        b"[" * 2000,
        b'{"pid": "x", "entry": "y"}',
        b'{"pid": 1, "entry": "' + b"x" * 2000 + b'"}',
        b"\xff",
    ],
)
def test_a_note_that_makes_no_sense_is_nobody(folder, other_process, note):
    (folder / "cpu.holder").write_bytes(note)
    with (
        pytest.raises(UserError, match="cpu is in use by another run"),
        device_lock.hold(["cpu"], "mine", wait=False, say=print, folder=folder),
    ):
        pass


def test_a_note_cannot_drive_the_terminal(folder, other_process):
    (folder / "cpu.holder").write_text('{"pid": 1, "entry": "\\u001b[2Jred\\nline"}')
    with (
        pytest.raises(UserError) as caught,
        device_lock.hold(["cpu"], "mine", wait=False, say=print, folder=folder),
    ):
        pass
    assert str(caught.value).isprintable()


def test_a_note_that_is_a_link_or_a_pipe_is_left_alone(folder, tmp_path):
    target = tmp_path / "precious"
    target.write_text("precious")
    folder.mkdir()
    (folder / "cpu.holder").symlink_to(target)
    os.mkfifo(folder / "gpu-0.holder")
    with device_lock.hold(["cpu", "gpu-0"], "mine", wait=True, say=print, folder=folder):
        pass
    assert target.read_text() == "precious"


def test_a_folder_that_cannot_be_made_names_the_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="SPEEDRUN_LOCKS"),
        device_lock.hold(["cpu"], "mine", wait=True, say=print, folder=tmp_path / "file" / "locks"),
    ):
        pass


def test_the_folder_is_the_one_that_the_environment_names(monkeypatch):
    monkeypatch.setenv("SPEEDRUN_LOCKS", "/somewhere/else")
    assert device_lock.locks_folder() == Path("/somewhere/else")
    monkeypatch.delenv("SPEEDRUN_LOCKS")
    assert device_lock.locks_folder().name == "speedrun-locks"
