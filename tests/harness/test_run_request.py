"""What each part of a run gets."""

import pytest

from harness.accelerators import Accelerator
from harness.result import Device
from harness.run_request import accelerators_of

CARDS = tuple(
    Accelerator(minor=minor, uuid=f"GPU-{minor}", device=Device(name="NVIDIA L4", memory_gib=22.5))
    for minor in (5, 3, 4)
)


@pytest.mark.parametrize(
    ("granted", "train", "score", "twin"),
    [((), (), (), ()), (CARDS[:1], (5,), (5,), (5,)), (CARDS, (5, 3, 4), (5,), (3,))],
)
def test_all_train_and_scorer_and_twin_have_one_each(granted, train, score, twin):
    for part, minors in (("train", train), ("score", score), ("twin", twin)):
        assert tuple(one.minor for one in accelerators_of(part, granted)) == minors
