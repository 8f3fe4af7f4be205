"""The NVIDIA accelerators of this machine, as the driver's own library (NVML) tells of them.

NVML comes in as a parameter, so that tests hand in one with a known answer. Any single fact may be missing (consumer
cards, WSL, unified memory); only an accelerator that no longer answers at all is left out.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from harness.protocol import printable
from harness.result import Device

GIB = 2**30
CLOCK_SM = 1  # NVML_CLOCK_SM
# NVML_ERROR_NOT_SUPPORTED, _NO_PERMISSION and _FUNCTION_NOT_FOUND: this card or driver does not tell, and is well.
_UNTOLD = frozenset({3, 4, 13})

T = TypeVar("T")


class Nvml(Protocol):
    """What we use of the module pynvml (package nvidia-ml-py). Its errors carry NVML's code in `value`."""

    NVMLError: type[Exception]

    def nvmlInit(self) -> None: ...  # noqa: N802
    def nvmlShutdown(self) -> None: ...  # noqa: N802
    def nvmlSystemGetDriverVersion(self) -> str | bytes: ...  # noqa: N802
    def nvmlDeviceGetCount(self) -> int: ...  # noqa: N802
    def nvmlDeviceGetHandleByIndex(self, index: int) -> Any: ...  # noqa: N802
    def nvmlDeviceGetPciInfo(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetMinorNumber(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetUUID(self, handle: Any) -> str | bytes: ...  # noqa: N802
    def nvmlDeviceGetName(self, handle: Any) -> str | bytes: ...  # noqa: N802
    def nvmlDeviceGetMigMode(self, handle: Any) -> Sequence[int]: ...  # noqa: N802
    def nvmlDeviceGetMemoryInfo(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetMaxClockInfo(self, handle: Any, type: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetClockInfo(self, handle: Any, type: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetTemperature(self, handle: Any, sensor: int) -> int: ...  # noqa: N802
    def nvmlDeviceGetUtilizationRates(self, handle: Any) -> Any: ...  # noqa: N802
    def nvmlDeviceGetCurrentClocksEventReasons(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Any) -> int: ...  # noqa: N802
    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Any) -> Sequence[Any]: ...  # noqa: N802


@dataclass(frozen=True)
class Accelerator:
    """One card: where it is, and what a record says of it."""

    minor: int  # its node is /dev/nvidia<minor>
    uuid: str  # what CUDA_VISIBLE_DEVICES takes; empty where the driver does not tell
    device: Device


def accelerators(nvml: Nvml | None = None) -> tuple[Accelerator, ...]:
    """Every accelerator in PCI bus order; none without a driver or with one that does not answer."""
    nvml = nvml or load_nvml()
    try:
        with opened(nvml) as found:
            return tuple(accelerator for accelerator, _ in found)
    except nvml.NVMLError:
        return ()


def chosen(found: Sequence[Accelerator], visible: str | None) -> tuple[Accelerator, ...]:
    """Those that CUDA_VISIBLE_DEVICES leaves to this user, in its order; None: it is not set, and all are.

    As CUDA reads it: places on the PCI bus, from 0, or beginnings of UUIDs; the first that names nothing ends the list.
    """
    if visible is None:
        return tuple(found)
    picked: list[Accelerator] = []
    for name in filter(None, map(str.strip, visible.split(","))):
        if name.isdecimal():
            named = [found[int(name)]] if int(name) < len(found) else []
        else:
            named = [one for one in found if one.uuid.casefold().startswith(name.casefold())]
        if len(named) != 1 or named[0] in picked:
            break
        picked += named
    return tuple(picked)


@contextlib.contextmanager
def opened(nvml: Nvml) -> Iterator[tuple[tuple[Accelerator, Any], ...]]:
    """Every accelerator with its handle, in PCI bus order; the handles are good inside the block.

    Raises:
        nvml.NVMLError: there is no driver, or it does not answer.
    """
    nvml.nvmlInit()
    try:
        driver = _text(fact(nvml, nvml.nvmlSystemGetDriverVersion))
        found = []
        for index in range(nvml.nvmlDeviceGetCount()):
            with contextlib.suppress(nvml.NVMLError):  # a card that was lost does not take the others with it
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                found.append((_pci(nvml, handle), _accelerator(nvml, handle, index, driver), handle))
        found.sort(key=lambda one: one[0])
        yield tuple((accelerator, handle) for _, accelerator, handle in found)
    finally:
        with contextlib.suppress(nvml.NVMLError):
            nvml.nvmlShutdown()


def fact(nvml: Nvml, call: Callable[..., T], *arguments: object) -> T | None:
    """What a call answers; None where this card or driver does not tell.

    Raises:
        nvml.NVMLError: it should have answered and did not.
    """
    try:
        return call(*arguments)
    except nvml.NVMLError as error:
        if getattr(error, "value", None) in _UNTOLD:
            return None
        raise


def load_nvml() -> Nvml:
    """The real one. Imported late: only what looks at accelerators needs it."""
    import pynvml

    nvml: Nvml = pynvml
    return nvml


def _accelerator(nvml: Nvml, handle: Any, index: int, driver: str) -> Accelerator:
    minor = fact(nvml, nvml.nvmlDeviceGetMinorNumber, handle)
    name = _text(fact(nvml, nvml.nvmlDeviceGetName, handle))
    mig = fact(nvml, nvml.nvmlDeviceGetMigMode, handle)
    memory = fact(nvml, nvml.nvmlDeviceGetMemoryInfo, handle)
    limit_mw = fact(nvml, nvml.nvmlDeviceGetEnforcedPowerLimit, handle)
    return Accelerator(
        minor=index if minor is None else minor,  # WSL has no nodes, and one number for each card all the same
        uuid=_text(fact(nvml, nvml.nvmlDeviceGetUUID, handle)),
        device=Device(
            # Programs get a slice of a card that is cut up, so it is not the card that its name says.
            name=f"{name} MIG" if mig and mig[0] else name,
            memory_gib=round(memory.total / GIB, 2) if memory else 0.0,
            driver=driver,
            clock_mhz=fact(nvml, nvml.nvmlDeviceGetMaxClockInfo, handle, CLOCK_SM),
            power_limit_w=None if limit_mw is None else limit_mw / 1000,
        ),
    )


def _pci(nvml: Nvml, handle: Any) -> tuple[float, float, float]:
    """Domain, bus, device; cards that do not tell come last, in the driver's order."""
    place = fact(nvml, nvml.nvmlDeviceGetPciInfo, handle)
    return (place.domain, place.bus, place.device) if place else (math.inf, math.inf, math.inf)


def _text(answer: str | bytes | None) -> str:
    """NVML's bindings answer with either, by version."""
    if isinstance(answer, bytes):
        answer = answer.decode(errors="replace")
    return printable(answer or "", 100)
