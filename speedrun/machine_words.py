"""A machine in words: what a run was made on, how it behaved, and what held the entry in."""

from collections.abc import Iterator

import msgspec

from harness.result import Calibration, Device, HardwareReport, Record
from leaderboard.alike import hardware
from leaderboard.schema import Machine
from leaderboard.text import plain


def hardware_of(record: Record) -> str:
    """What must be the same before two runs are compared."""
    return plain(hardware(msgspec.convert(record.environment, Machine, from_attributes=True)), 200)


def lines(record: Record) -> Iterator[tuple[str, str]]:
    """Label and words."""
    machine = record.environment
    yield "hardware", hardware_of(record)
    for card in machine.devices:
        yield "device", plain(device(card), 200)
    if record.ranks > 1:
        yield "processes", f"{record.ranks} trained together"
    if record.hardware is not None:
        yield from _behaviour(record.hardware, watched=bool(machine.devices))
    load = f", load before {machine.load_before:.2f}" if machine.load_before is not None else ""
    yield "machine", f"{plain(machine.system, 100)}, {machine.cores} cores, {machine.memory_gib:.1f} GiB{load}"
    versions = {"python": machine.python, **machine.packages}
    yield "software", ", ".join(plain(f"{name} {version}", 100) for name, version in versions.items())
    box = machine.sandbox
    abi = f"Landlock ABI {box.landlock_abi}" if box.landlock_abi else "no Landlock"
    yield "sandbox", f"{box.level.value} ({abi}, memory by {box.memory_bound}, ended by {box.tree_kill})"
    for words in box.guarantees:
        yield "", f"✓ {plain(words, 200)}"
    for words in box.not_covered:
        yield "", f"✗ not covered: {plain(words, 200)}"


def device(card: Device) -> str:
    """An accelerator and what the driver says of it."""
    told = [card.name, f"{card.memory_gib:.1f} GiB", f"driver {card.driver or 'unknown'}"]
    told += [f"at most {card.clock_mhz:,} MHz"] if card.clock_mhz is not None else []
    told += [f"{card.power_limit_w:g} W"] if card.power_limit_w is not None else []
    return ", ".join(told)


def speed(calibration: Calibration) -> str:
    """What a device was measured at."""
    return f"{plain(calibration.device, 20)} {_short(calibration)}"


def _behaviour(report: HardwareReport, *, watched: bool) -> Iterator[tuple[str, str]]:
    """Only what was measured."""
    later = {calibration.device: calibration for calibration in report.after}
    for before in report.before:
        after = later.get(before.device)
        yield "speed", f"{speed(before)} before, {_short(after) if after else 'not measured'} after"
    if report.slowed:
        yield "", "✗ the machine was more than a tenth slower after the run than before it"
    if not report.samples:
        if watched:
            yield "watched", "✗ not at all: the driver did not answer"
        return
    told = [f"{plain(reason, 60)} in {share:.1%} of the samples" for reason, share in report.throttled.items()]
    yield "throttled", ", ".join(told) or "never"
    told = [f"{report.hottest_c:.0f} °C at most"] if report.hottest_c is not None else []
    told += [f"{report.slowest_clock_mhz:,} MHz at least when busy"] if report.slowest_clock_mhz is not None else []
    if report.peak_device_memory_gib is not None:
        told.append(f"{report.peak_device_memory_gib:.2f} GiB of its memory at most")
    told.append(f"{report.other_processes or 'no'} other {'process' if report.other_processes == 1 else 'processes'}")
    yield "watched", f"{' · '.join(told)} ({report.samples:,} samples)"


def _short(calibration: Calibration) -> str:
    return f"{calibration.matmul_tflops:.3g} TFLOP/s, copy {calibration.copy_gbps:.3g} GB/s"
