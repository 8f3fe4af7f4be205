"""What a record says of the machine: enough to compare runs, nothing that names its owner."""

import getpass
import json
import math
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
CARD = Device(name="Tesla T4", memory_gib=15.0, driver="550.54")


class FakeNvml:
    """NVML as its bindings show it: errors of one type, names as bytes in old versions."""

    class NVMLError(Exception):
        pass

    def __init__(self, driver=True, lost=False, text=str.encode):
        self.driver, self.lost, self.text, self.open = driver, lost, text, 0

    def nvmlInit(self):  # noqa: N802
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")
        self.open += 1

    def nvmlShutdown(self):  # noqa: N802
        self.open -= 1

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return self.text("550.54")

    def nvmlDeviceGetCount(self):  # noqa: N802
        return 2

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        if self.lost:
            raise self.NVMLError("GPU is lost")
        return index

    def nvmlDeviceGetName(self, handle):  # noqa: N802
        return self.text(f"Tesla T{handle}")

    def nvmlDeviceGetMemoryInfo(self, handle):  # noqa: N802
        return type("Memory", (), {"total": 15 * 2**30})


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


@pytest.mark.parametrize("text", [str, str.encode])
def test_devices_in_the_drivers_order(monkeypatch, text):
    nvml = FakeNvml(text=text)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    assert [device.name for device in environment.devices()] == ["Tesla T0", "Tesla T1"]
    assert environment.devices()[0] == Device(name="Tesla T0", memory_gib=15.0, driver="550.54")
    assert nvml.open == 0


def test_no_driver_or_a_lost_device_is_no_device(monkeypatch):
    for nvml in (FakeNvml(driver=False), FakeNvml(lost=True)):
        monkeypatch.setitem(sys.modules, "pynvml", nvml)
        assert environment.devices() == ()
        assert nvml.open == 0


def test_the_real_driver_answers_or_is_absent():
    for device in environment.devices():
        assert device.name
        assert 0 < device.memory_gib < math.inf
        assert json.loads(msgspec.json.encode(device))["driver"]


@pytest.mark.parametrize(
    ("device", "key"), [("cpu", "cpu"), ("cuda", "gpu-0"), ("cuda:0", "gpu-0"), ("cuda:7", "gpu-7")]
)
def test_the_lock_of_a_device(device, key):
    assert environment.device_key(device) == key
