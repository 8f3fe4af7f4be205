"""Facts about the machine: for a record, for `doctor`. Nothing here names its owner, its host or a path.

Package versions are read from their metadata: the parent never imports torch.
"""

import importlib.metadata
import math
import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.accelerators import Accelerator, accelerators, chosen
from harness.protocol import printable
from harness.result import Device, Environment, SandboxReport

# The packages whose version can change a result.
PACKAGES = ("numpy", "torch", "triton")

GIB = 2**30
_CGROUP = Path("/sys/fs/cgroup")
_CPUINFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Machine:
    """What could be granted now."""

    cpu: str
    cores: int  # logical cores of the machine
    usable_cores: float  # that this process may use: its affinity, and a container's share
    free_cores: float  # of those, less the load of the last minute
    memory_gib: float  # of the machine, or of its container
    available_gib: float
    accelerators: tuple[Accelerator, ...]  # in PCI bus order, or those that CUDA_VISIBLE_DEVICES names, in its order
    system: str
    python: str


def describe(threads: int, devices: Sequence[Device], sandbox: SandboxReport) -> Environment:
    """The machine as a record keeps it; called when the run begins, so that the load is the load before it."""
    return Environment(
        cpu=cpu_model(),
        cores=os.cpu_count() or 1,
        threads=threads,
        memory_gib=_memory_gib(),
        devices=tuple(devices),
        system=system(),
        python=platform.python_version(),
        packages=packages(),
        sandbox=sandbox,
        load_before=load(),
    )


def machine() -> Machine:
    """What `doctor` shows."""
    usable = _usable_cores()
    return Machine(
        cpu=cpu_model(),
        cores=os.cpu_count() or 1,
        usable_cores=usable,
        free_cores=max(0.0, round(usable - (load() or 0.0), 2)),
        memory_gib=_memory_gib(),
        available_gib=round(min(psutil.virtual_memory().available / GIB, _memory_gib()), 2),
        accelerators=chosen(accelerators(), os.environ.get("CUDA_VISIBLE_DEVICES")),
        system=system(),
        python=platform.python_version(),
    )


def cpu_model() -> str:
    """The processor's name as its maker gives it, else its architecture."""
    try:
        told = re.search(r"^model name\s*:\s*(.+)$", _CPUINFO.read_text(errors="replace"), re.MULTILINE)
    except OSError:
        told = None
    name = told[1] if told else platform.processor() or platform.machine()
    return printable(" ".join(name.split()), 100)


def system() -> str:
    """System, kernel and architecture. Of the kernel only the two first numbers: the rest may name who built it."""
    kernel = re.match(r"\d+(\.\d+)?", platform.release())
    return "-".join(filter(None, (platform.system(), kernel[0] if kernel else "", platform.machine())))


def packages() -> dict[str, str]:
    """Package → version, of those that are installed."""
    versions: dict[str, str] = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def load() -> float | None:
    """Mean number of runnable processes over the last minute; None where the system does not tell."""
    try:
        return round(os.getloadavg()[0], 2)
    except OSError:
        return None


def _usable_cores() -> float:
    affinity = float(len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else float(os.cpu_count() or 1)
    return round(min(affinity, _cgroup_cores()), 2)


def _cgroup_cores() -> float:
    """Cores that the control group grants; infinite without a limit."""
    quota, _, period = _cgroup("cpu.max").partition(" ")
    return int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) > 0 else math.inf


def _memory_gib() -> float:
    limit = _cgroup("memory.max")
    total = psutil.virtual_memory().total
    return round(min(total, int(limit) if limit.isdigit() else total) / GIB, 2)


def _cgroup(name: str) -> str:
    try:
        return (_CGROUP / name).read_text().strip()
    except OSError:
        return ""
