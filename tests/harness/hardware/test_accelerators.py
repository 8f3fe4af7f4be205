"""What the driver tells of the accelerators, and what is made of it when it tells less."""

import inspect
import math

import pynvml
import pytest

from harness.accelerators import Accelerator, Nvml, accelerators, chosen, fact, opened
from harness.result import Device


def test_everything_that_the_driver_tells(card, nvml):
    driver = nvml(card(minor=3, uuid="GPU-7", mig=[0, 0]))
    assert accelerators(driver) == (
        Accelerator(
            minor=3,
            uuid="GPU-7",
            device=Device(
                name="NVIDIA GeForce RTX 4090", memory_gib=24.0, driver="550.54", clock_mhz=3105, power_limit_w=450.0
            ),
        ),
    )
    assert driver.open == 0


def test_cards_come_in_bus_order_with_their_nodes_numbers(card, nvml):
    cards = (card(minor=0, pci=(0, 0x41, 0)), card(minor=1, pci=(1, 1, 0)), card(minor=2, pci=(0, 1, 0)))
    assert [one.minor for one in accelerators(nvml(*cards))] == [2, 0, 1]


def test_old_bindings_answer_in_bytes(card, nvml):
    (found,) = accelerators(nvml(card(name=b"Tesla T4", uuid=b"GPU-8"), driver=b"450.80"))
    assert (found.device.name, found.uuid, found.device.driver) == ("Tesla T4", "GPU-8", "450.80")


def test_a_card_that_tells_nothing_is_a_card(card, nvml):
    nothing = pynvml.NVMLError_NotSupported
    silent = card(
        name=nothing,
        minor=nothing,
        uuid=nothing,
        pci=nothing,
        max_clock_mhz=nothing,
        power_limit_mw=pynvml.NVMLError_NoPermission,
        used_gib=(pynvml.NVMLError_FunctionNotFound,),
    )
    first, second = accelerators(nvml(silent, card(minor=1), driver=nothing))
    assert first.minor == 1
    assert second == Accelerator(minor=0, uuid="", device=Device(name="", memory_gib=0.0))


def test_a_lost_card_does_not_take_the_others_with_it(card, nvml):
    lost = pynvml.NVMLError_GpuIsLost
    driver = nvml(lost, card(minor=1, name=lost), card(minor=2))
    assert [one.minor for one in accelerators(driver)] == [2]
    assert driver.open == 0


def test_a_card_that_is_cut_up_is_another(card, nvml):
    (cut,) = accelerators(nvml(card(name="NVIDIA H100 80GB HBM3", mig=[1, 1])))
    assert cut.device.name == "NVIDIA H100 80GB HBM3 MIG"


def cards(*uuids):
    device = Device(name="NVIDIA L4", memory_gib=22.5)
    return [Accelerator(minor=minor, uuid=uuid, device=device) for minor, uuid in enumerate(uuids)]


@pytest.mark.parametrize(
    ("visible", "left"),
    [
        (None, [0, 1, 2]),
        ("", []),
        ("1", [1]),
        (" 2, 0 ", [2, 0]),
        ("0,7,1", [0]),
        ("-1,0", []),
        ("1,1", [1]),
        ("GPU-ba", [1]),
        ("gpu-bb,GPU-a", [2, 0]),
        ("GPU-b", []),  # two begin so
        ("all", []),
    ],
)
def test_what_the_environment_leaves_of_the_cards(visible, left):
    found = cards("GPU-aa", "GPU-ba", "GPU-bb")
    assert [one.minor for one in chosen(found, visible)] == left


def test_no_driver_is_no_accelerator(nvml):
    assert accelerators(nvml(driver=None)) == ()


def test_an_error_is_not_taken_for_silence(card, nvml):
    driver = nvml(lost := card(name=pynvml.NVMLError_GpuIsLost))
    with pytest.raises(pynvml.NVMLError_GpuIsLost), opened(driver):
        fact(driver, driver.nvmlDeviceGetName, lost)
    assert driver.open == 0


def test_the_real_bindings_have_all_that_we_use(nvml):
    names = [name for name in vars(Nvml) if name.startswith("nvml")]
    assert len(names) > 10
    for name in names:
        real, asked = (inspect.signature(getattr(owner, name)).parameters.values() for owner in (pynvml, Nvml))
        needed = [one for one in real if one.default is inspect.Parameter.empty]
        assert len(needed) == len(asked) - 1, name
        assert hasattr(nvml, name)
    assert issubclass(pynvml.NVMLError_NotSupported, pynvml.NVMLError)
    assert {pynvml.NVMLError_NotSupported().value, pynvml.NVMLError_FunctionNotFound().value} <= {3, 4, 13}


def test_the_real_driver_answers_or_is_absent():
    for one in accelerators():
        assert one.device.driver
        assert 0 <= one.device.memory_gib < math.inf
