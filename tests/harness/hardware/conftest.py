"""NVML as its bindings show it, over cards of known facts: what tests hand in where a machine has no driver."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest


@dataclass
class Card:
    """What one card answers. A fact that is an exception is raised."""

    name: Any = "NVIDIA GeForce RTX 4090"
    minor: Any = 0
    uuid: Any = "GPU-4a5c"
    pci: Any = (0, 1, 0)
    mig: Any = pynvml.NVMLError_NotSupported
    total_gib: float = 24.0
    max_clock_mhz: Any = 3105
    power_limit_mw: Any = 450_000
    # one after the other at each look; the last one stays
    temperature_c: Sequence[Any] = (40,)
    clock_mhz: Sequence[Any] = (2520,)
    busy_percent: Sequence[Any] = (0,)
    used_gib: Sequence[Any] = (1.0,)
    reasons: Sequence[Any] = (0,)
    pids: Sequence[Any] = ((),)
    looks: int = 0

    def now(self, name: str) -> Any:
        values = getattr(self, name)
        return _told(values[min(max(0, self.looks - 1), len(values) - 1)])


class FakeNvml:
    """Errors are the real bindings' own; a card is its own handle."""

    NVMLError = pynvml.NVMLError

    def __init__(
        self,
        *cards: Any,
        driver: Any = "550.54",
        old: bool = False,
        at_look: Callable[[], object] = lambda: None,  # called before each card is looked at
    ) -> None:
        self.cards, self.driver, self.old, self.at_look, self.open = cards, driver, old, at_look, 0

    def nvmlInit(self):  # noqa: N802
        if self.driver is None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)
        self.open += 1

    def nvmlShutdown(self):  # noqa: N802
        self.open -= 1

    def nvmlSystemGetDriverVersion(self):  # noqa: N802
        return _told(self.driver)

    def nvmlDeviceGetCount(self):  # noqa: N802
        return len(self.cards)

    def nvmlDeviceGetHandleByIndex(self, index):  # noqa: N802
        return _told(self.cards[index])

    def nvmlDeviceGetPciInfo(self, card):  # noqa: N802
        domain, bus, device = _told(card.pci)
        return SimpleNamespace(domain=domain, bus=bus, device=device)

    def nvmlDeviceGetMinorNumber(self, card):  # noqa: N802
        return _told(card.minor)

    def nvmlDeviceGetUUID(self, card):  # noqa: N802
        return _told(card.uuid)

    def nvmlDeviceGetName(self, card):  # noqa: N802
        return _told(card.name)

    def nvmlDeviceGetMigMode(self, card):  # noqa: N802
        return _told(card.mig)

    def nvmlDeviceGetMemoryInfo(self, card):  # noqa: N802
        used = card.now("used_gib")
        return SimpleNamespace(total=int(card.total_gib * 2**30), used=int(used * 2**30))

    def nvmlDeviceGetMaxClockInfo(self, card, kind):  # noqa: N802
        assert kind == pynvml.NVML_CLOCK_SM
        return _told(card.max_clock_mhz)

    def nvmlDeviceGetClockInfo(self, card, kind):  # noqa: N802
        assert kind == pynvml.NVML_CLOCK_SM
        return card.now("clock_mhz")

    def nvmlDeviceGetEnforcedPowerLimit(self, card):  # noqa: N802
        return _told(card.power_limit_mw)

    def nvmlDeviceGetTemperature(self, card, sensor):  # noqa: N802
        assert sensor == pynvml.NVML_TEMPERATURE_GPU
        return card.now("temperature_c")

    def nvmlDeviceGetUtilizationRates(self, card):  # noqa: N802
        return SimpleNamespace(gpu=card.now("busy_percent"), memory=0)

    def nvmlDeviceGetCurrentClocksEventReasons(self, card):  # noqa: N802
        self.at_look()
        card.looks += 1
        if self.old:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_FUNCTION_NOT_FOUND)
        return card.now("reasons")

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, card):  # noqa: N802
        return card.now("reasons")

    def nvmlDeviceGetComputeRunningProcesses_v3(self, card):  # noqa: N802
        return [SimpleNamespace(pid=pid, usedGpuMemory=None) for pid in card.now("pids")]


def _told(answer: Any) -> Any:
    if isinstance(answer, type) and issubclass(answer, Exception):
        raise answer()
    return answer


@pytest.fixture(scope="session")
def card() -> type[Card]:
    """Makes cards: `card(name="Tesla T4", minor=3)`."""
    return Card


@pytest.fixture(scope="session")
def nvml() -> type[FakeNvml]:
    """Makes drivers: `nvml(card(), card(minor=1))`."""
    return FakeNvml
