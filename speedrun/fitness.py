"""Whether a machine is what a track asks for: a pure judgement on facts."""

from harness.environment import Machine
from harness.result import Device
from harness.track import Track


def missing_devices(track: Track, machine: Machine) -> str:
    """Why a run cannot even start here; empty when it can."""
    resources = track.resources
    if resources.accelerator == "cpu" or len(machine.devices) >= resources.count:
        return ""
    has = f"it has {len(machine.devices)}" if machine.devices else "it has none"
    return f"the track takes {resources.count} × {resources.accelerator}, {has}"


def obstacles(track: Track, machine: Machine) -> tuple[str, ...]:
    """What keeps a run on this machine from being ranked; none: it qualifies."""
    resources = track.resources
    lacking = missing_devices(track, machine)
    found = [lacking] if lacking else []
    if resources.accelerator != "cpu" and not lacking:
        found += (
            f"the device is {device.name}, not {resources.accelerator}"
            for device in dict.fromkeys(machine.devices[: resources.count])
            if not _is(device, resources.accelerator)
        )
    if not machine.usable_cores >= resources.threads:
        found.append(f"the track takes {resources.threads} CPU threads, this machine gives {machine.usable_cores:g}")
    if not machine.memory_gib >= resources.memory_gib:
        found.append(f"the track takes {resources.memory_gib:g} GiB, this machine has {machine.memory_gib:.1f}")
    return tuple(found)


def _is(device: Device, accelerator: str) -> bool:
    return accelerator.lower() in device.name.lower()
