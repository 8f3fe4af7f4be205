"""How the accelerators behave during a run: throttling, heat, clocks, memory, time busy, and who else is on them.

A thread of its own looks about once a second; everything that it talks to the driver about happens there, so that a
driver that hangs or fails costs the run nothing: watching ends, and the record's count of samples says so.

Not covered: what happens between two looks; programs that only draw; and other people's processes where the harness
runs in a container of its own process numbers, unless they were there when the watch began.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from harness.accelerators import CLOCK_SM, GIB, Accelerator, Nvml, fact, load_nvml, opened
from harness.result import HardwareReport

PERIOD_S = 1.0
FRESH_S = 0.25  # the longest that anybody waits for a look of his own
END_S = 5.0
MOST_FAILED = 10  # looks one after the other, then the driver is given up
BUSY = 0.9  # of the driver's sampling period, from which on a clock says how fast the card works
TEMPERATURE_GPU = 0  # NVML_TEMPERATURE_GPU

# nvmlClocksEventReason*: why the clocks are lower than they could be. Left out are 0x1 (idle), 0x2 and 0x100 (somebody
# set them so).
REASONS = {
    0x04: "power-cap",
    0x08: "hardware-slowdown",
    0x10: "sync-boost",
    0x20: "software-thermal",
    0x40: "hardware-thermal",
    0x80: "power-brake",
}
_IDLE = 0x01
_FIRST_PID_NAMESPACE = 0xEFFFFFFC  # the inode of the host's own, a constant of Linux


@dataclass(frozen=True)
class Reading:
    """One accelerator at one moment; None: it does not tell."""

    reasons: int = 0  # bits of nvmlClocksEventReason*
    temperature_c: float | None = None
    clock_mhz: int | None = None
    memory_gib: float | None = None
    busy: float | None = None  # share of the driver's last sampling period, 0 to 1
    pids: frozenset[int] = frozenset()  # processes that compute on it, as the host numbers them


class Facts(NamedTuple):
    """All accelerators of a run at one moment, for whoever watches; None: there is none, or it does not tell."""

    clock_mhz: int | None  # of the slowest
    memory_gib: float | None  # of the fullest
    busy: float | None  # mean share of the time just past, 0 to 1
    throttled: tuple[str, ...]  # why clocks are lower than they could be


@dataclass(frozen=True)
class Seen:
    """What all samples up to `at_s` add up to."""

    at_s: float | None = None
    samples: int = 0
    throttled: Mapping[str, int] = field(default_factory=dict)  # reason → samples
    hottest_c: float | None = None
    slowest_clock_mhz: int | None = None
    peak_memory_gib: float | None = None
    other_processes: int = 0
    busy_s: float | None = None  # summed over the accelerators

    def report(self) -> HardwareReport:
        """As a record keeps it, without the calibrations."""
        return HardwareReport(
            samples=self.samples,
            throttled={reason: round(count / self.samples, 4) for reason, count in sorted(self.throttled.items())},
            hottest_c=self.hottest_c,
            slowest_clock_mhz=self.slowest_clock_mhz,
            peak_device_memory_gib=self.peak_memory_gib,
            other_processes=self.other_processes,
        )


class Strangers:
    """Tells other people's processes from ours by their numbers.

    Whose a process is, is asked once, when it is first met: ours are forgotten by the system sooner than by the driver.
    It counts as a stranger's from the second look on, so that one of ours that has just ended never does.
    """

    def __init__(self, own: Callable[[], Collection[int]], *, hosts_numbers: bool) -> None:
        """
        Args:
            own: the processes of the harness and its sandboxes now.
            hosts_numbers: false in a container that numbers its processes itself while the driver tells the host's
                numbers. There all that come after the first look are taken for ours.
        """
        self._own = own
        self._hosts_numbers = hosts_numbers
        self._met: frozenset[int] | None = None  # None: before the first look
        self._ours: frozenset[int] = frozenset()

    def among(self, pids: frozenset[int]) -> frozenset[int]:
        """Those of `pids` that are a stranger's; to be asked once a sample."""
        met = self._met or frozenset()
        new = pids - met
        if new and self._hosts_numbers:
            self._ours |= new & frozenset(self._own())
        elif self._met is not None and not self._hosts_numbers:
            self._ours |= new
        self._met = met | pids
        return (pids & met) - self._ours


def fold(seen: Seen, at_s: float, readings: Sequence[Reading], strangers: frozenset[int]) -> Seen:
    """`seen` and one more sample of all accelerators, taken at `at_s` seconds."""
    now = reasons(readings)
    throttled = {name: seen.throttled.get(name, 0) + (name in now) for name in {*seen.throttled, *now}}
    temperatures = [one.temperature_c for one in readings if one.temperature_c is not None]
    memories = [one.memory_gib for one in readings if one.memory_gib is not None]
    clocks = [
        one.clock_mhz
        for one in readings
        if one.clock_mhz is not None and (one.busy or 0.0) >= BUSY and not one.reasons & _IDLE
    ]
    shares = [one.busy for one in readings if one.busy is not None]
    passed_s = 0.0 if seen.at_s is None else at_s - seen.at_s
    return replace(
        seen,
        at_s=at_s,
        samples=seen.samples + 1,
        throttled=throttled,
        hottest_c=max(temperatures + _known(seen.hottest_c), default=None),
        slowest_clock_mhz=min(clocks + _known(seen.slowest_clock_mhz), default=None),
        peak_memory_gib=max(memories + _known(seen.peak_memory_gib), default=None),
        other_processes=max([seen.other_processes, *(len(one.pids & strangers) for one in readings)]),
        # The driver's share is of the time just past.
        busy_s=(seen.busy_s or 0.0) + sum(shares) * passed_s if shares else seen.busy_s,
    )


def reasons(readings: Sequence[Reading]) -> tuple[str, ...]:
    """Why the clocks of any of these accelerators are lower than they could be."""
    return tuple(name for bit, name in REASONS.items() if any(reading.reasons & bit for reading in readings))


def look(nvml: Nvml | None = None) -> dict[int, Reading]:
    """Minor number → how that accelerator is now; empty where the driver does not answer."""
    nvml = nvml or load_nvml()
    try:
        with opened(nvml) as found:
            return {accelerator.minor: _read(nvml, handle) for accelerator, handle in found}
    except nvml.NVMLError:
        return {}


class HardwareWatch:
    """Watches the accelerators for as long as its block lasts; without any it starts nothing."""

    def __init__(
        self,
        accelerators: Sequence[Accelerator],
        own: Callable[[], Collection[int]],
        nvml: Nvml | None = None,
        clock: Callable[[], float] = time.monotonic,
        period_s: float = PERIOD_S,
    ) -> None:
        """
        Args:
            accelerators: those granted to the run.
            own: the processes of the harness and its sandboxes now; called when a new one is met on an accelerator.
            clock: monotonic seconds.
            period_s: between two samples.
        """
        self._accelerators = tuple(accelerators)
        self._nvml = nvml
        self._clock = clock
        self._period_s = period_s
        self._strangers = Strangers(own, hosts_numbers=_numbers_are_the_hosts())
        self._seen = Seen()  # replaced as a whole, by the thread alone
        self._latest: tuple[Reading, ...] = ()  # likewise
        self._wake, self._fresh, self._over = threading.Event(), threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if self._accelerators:
            self._thread = threading.Thread(target=self._watch, name="hardware-watch", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(END_S)  # one that hangs in the driver is left to it

    def busy_s(self) -> float | None:
        """Seconds that the accelerators were busy so far, summed over them; None: nobody knows.

        Takes a sample of its own, and does without one that takes longer than FRESH_S.
        """
        if self._thread is None or not self._thread.is_alive():
            return None
        self._fresh.clear()
        self._wake.set()
        self._fresh.wait(FRESH_S)
        return self._seen.busy_s

    def report(self) -> HardwareReport:
        """Everything seen so far, without the calibrations."""
        return self._seen.report()

    def facts(self) -> Facts:
        """How the accelerators were when they were seen last."""
        clocks = [card.clock_mhz for card in self._latest if card.clock_mhz is not None]
        memories = [card.memory_gib for card in self._latest if card.memory_gib is not None]
        shares = [card.busy for card in self._latest if card.busy is not None]
        return Facts(
            clock_mhz=min(clocks, default=None),
            memory_gib=max(memories, default=None),
            busy=sum(shares) / len(shares) if shares else None,
            throttled=reasons(self._latest),
        )

    def _watch(self) -> None:
        # Whatever goes wrong here ends the watching and nothing else.
        with contextlib.suppress(Exception):
            nvml = self._nvml or load_nvml()
            with opened(nvml) as found:
                by_minor = {accelerator.minor: handle for accelerator, handle in found}
                handles = [by_minor[accelerator.minor] for accelerator in self._accelerators]
                failed = 0  # looks one after the other
                while not self._over.is_set() and failed < MOST_FAILED:
                    try:
                        self._sample(nvml, handles)
                        failed = 0
                    except nvml.NVMLError:  # a time-out, say: the next look may succeed
                        failed += 1
                    self._fresh.set()
                    self._wake.wait(self._period_s)
                    self._wake.clear()

    def _sample(self, nvml: Nvml, handles: Sequence[Any]) -> None:
        readings = [_read(nvml, handle) for handle in handles]
        strangers = self._strangers.among(frozenset().union(*(reading.pids for reading in readings)))
        self._seen = fold(self._seen, self._clock(), readings, strangers)
        self._latest = tuple(readings)


def _read(nvml: Nvml, handle: Any) -> Reading:
    reasons = fact(nvml, nvml.nvmlDeviceGetCurrentClocksEventReasons, handle)
    if reasons is None:  # drivers before 535 know the older name only
        reasons = fact(nvml, nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
    memory = fact(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    rates = fact(nvml, nvml.nvmlDeviceGetUtilizationRates, handle)
    processes = fact(nvml, nvml.nvmlDeviceGetComputeRunningProcesses_v3, handle)
    return Reading(
        reasons=reasons or 0,
        temperature_c=fact(nvml, nvml.nvmlDeviceGetTemperature, handle, TEMPERATURE_GPU),
        clock_mhz=fact(nvml, nvml.nvmlDeviceGetClockInfo, handle, CLOCK_SM),
        memory_gib=round(memory.used / GIB, 3) if memory else None,
        busy=rates.gpu / 100 if rates else None,
        pids=frozenset(process.pid for process in processes or ()),
    )


def _numbers_are_the_hosts() -> bool:
    """Whether this process is numbered as the host numbers it."""
    try:
        return Path("/proc/self/ns/pid").stat().st_ino == _FIRST_PID_NAMESPACE
    except OSError:
        return True


def _known(value: Any) -> list[Any]:
    return [] if value is None else [value]
