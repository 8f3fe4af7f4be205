"""What a record says of the machine: enough to compare runs, nothing that names its owner."""

import getpass
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness import environment
from harness.result import Device, Environment, Level, SandboxReport

SANDBOX = SandboxReport(
    level=Level.NAMESPACES,
    landlock_abi=6,
    memory_bound="cgroup",
    tree_kill="pidns",
    guarantees=("files are hidden",),
    not_covered=("time",),
)
CARD = Device(name="Tesla T4", memory_gib=15.0, driver="550.54", clock_mhz=1590, power_limit_w=70.0)


def test_a_description_is_whole_and_survives_json():
    described = environment.describe(2, [CARD], SANDBOX)
    assert msgspec.json.decode(msgspec.json.encode(described), type=Environment) == described
    assert described.threads == 2
    assert described.devices == (CARD,)
    assert described.sandbox == SANDBOX
    assert described.cores == os.cpu_count()
    assert described.cpu
    assert described.memory_gib > 0
    assert described.load_before is None or described.load_before >= 0
    assert described.python == ".".join(map(str, sys.version_info[:3]))
    assert set(described.packages) >= {"torch", "numpy"}


def test_nothing_names_the_owner_the_host_or_a_path():
    text = msgspec.json.encode(environment.describe(2, [CARD], SANDBOX)).decode()
    strings = re.findall(r'"((?:[^"\\]|\\.)*)"', text)
    for private in {getpass.getuser(), socket.gethostname(), os.uname().nodename, str(Path.home()), str(Path.cwd())}:
        assert private not in strings
        if len(private) > 3:  # a shorter one may be part of any word
            assert private not in text
    assert not any(re.search(r"(^|\s)/\w", string) for string in strings)


def test_a_kernel_that_names_its_builder_is_cut(monkeypatch):
    monkeypatch.setattr(environment.platform, "release", lambda: "6.18.3-ada-laptop")
    monkeypatch.setattr(environment.platform, "system", lambda: "Linux")
    monkeypatch.setattr(environment.platform, "machine", lambda: "x86_64")
    assert environment.system() == "Linux-6.18-x86_64"
    monkeypatch.setattr(environment.platform, "release", lambda: "ada")
    assert environment.system() == "Linux-x86_64"


def test_the_parent_imports_no_torch_and_no_numpy():
    code = "import sys, harness.environment as e; e.packages(); e.machine(); print({'torch', 'numpy'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


@pytest.mark.parametrize(
    ("cpuinfo", "name"),
    [
        ("processor\t: 0\nmodel name\t: Some(R)  CPU @ 2.5GHz\nmodel name\t: Other\n", "Some(R) CPU @ 2.5GHz"),
        ("model name : bad\x1b[31m\n", "bad[31m"),
        ("CPU implementer : 0x41\n", "aarch64"),
        (None, "aarch64"),
    ],
)
def test_the_processor_is_named_where_the_system_names_it(tmp_path, monkeypatch, cpuinfo, name):
    monkeypatch.setattr(environment, "_CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(environment.platform, "processor", lambda: "")
    monkeypatch.setattr(environment.platform, "machine", lambda: "aarch64")
    if cpuinfo is not None:
        (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert environment.cpu_model() == name


def test_a_container_is_as_large_as_its_group(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "_CGROUP", tmp_path)
    whole = environment.machine()
    assert whole.usable_cores == len(os.sched_getaffinity(0))
    (tmp_path / "cpu.max").write_text("50000 100000\n")
    (tmp_path / "memory.max").write_text(f"{2**28}\n")
    part = environment.machine()
    assert part.usable_cores == 0.5
    assert part.memory_gib == 0.25
    assert part.available_gib <= 0.25
    assert part.free_cores <= 0.5
    assert part.cores == whole.cores
    (tmp_path / "cpu.max").write_text("max 100000\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert environment.machine().usable_cores == whole.usable_cores
    assert environment.machine().memory_gib == whole.memory_gib


def test_a_system_without_a_load_average(monkeypatch):
    def refuse():
        raise OSError

    monkeypatch.setattr(environment.os, "getloadavg", refuse)
    assert environment.load() is None
    assert environment.machine().free_cores == environment.machine().usable_cores
