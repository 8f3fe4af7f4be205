import msgspec
import pytest

from harness.environment import Machine
from harness.result import Device
from harness.track import find_track
from speedrun.fitness import missing_devices, obstacles

TRACK = find_track("cpu-1min")


def machine(cores: float = 8, memory_gib: float = 32.0, devices: tuple[str, ...] = ()) -> Machine:
    return Machine(
        cpu="Test CPU",
        cores=16,
        usable_cores=cores,
        free_cores=cores,
        memory_gib=memory_gib,
        available_gib=memory_gib,
        devices=tuple(Device(name=name, memory_gib=16.0) for name in devices),
        system="Linux",
        python="3.11.0",
    )


def on(accelerator: str, count: int = 1):
    resources = msgspec.structs.replace(TRACK.resources, accelerator=accelerator, count=count)
    return msgspec.structs.replace(TRACK, resources=resources)


def test_a_machine_that_has_what_is_asked_qualifies():
    assert obstacles(TRACK, machine()) == ()
    assert obstacles(on("Tesla T4"), machine(devices=("NVIDIA Tesla T4",))) == ()


@pytest.mark.parametrize(
    ("track", "here", "says"),
    [
        (TRACK, machine(cores=1), "2 CPU threads, this machine gives 1"),
        (TRACK, machine(cores=float("nan")), "2 CPU threads"),
        (TRACK, machine(memory_gib=2.0), "6 GiB, this machine has 2.0"),
        (on("Tesla T4"), machine(), "1 × Tesla T4, it has none"),
        (on("H100", 8), machine(devices=("NVIDIA H100",)), "8 × H100, it has 1"),
        (on("Tesla T4"), machine(devices=("NVIDIA L4",)), "NVIDIA L4, not Tesla T4"),
    ],
)
def test_what_keeps_a_run_from_being_ranked(track, here, says):
    assert len(obstacles(track, here)) == 1
    assert says in obstacles(track, here)[0]


def test_a_run_needs_its_devices_and_nothing_else():
    assert missing_devices(TRACK, machine(cores=1, memory_gib=1)) == ""
    assert missing_devices(on("Tesla T4"), machine(devices=("NVIDIA L4",))) == ""
    assert missing_devices(on("Tesla T4", 2), machine(devices=("NVIDIA Tesla T4",))) != ""
