"""What each part of a run gets."""

import pytest

from harness.accelerators import Accelerator
from harness.errors import UserError
from harness.result import Device, Level
from harness.run_request import accelerators_of
from harness.run_walls import demand_hidden

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


def test_scored_text_that_every_sandbox_can_read_is_refused(tmp_path):
    visible, cache = tmp_path / "python", tmp_path / "python" / "checkout" / "data" / "cache"
    cache.mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(cache)
    for folder in (cache, link):
        with pytest.raises(UserError, match="move this checkout"):
            demand_hidden(folder, Level.NAMESPACES, ("/usr", str(visible)))
        demand_hidden(folder, Level.NONE, ("/usr", str(visible)))  # which hides nothing, and says so
    demand_hidden(tmp_path / "python-checkout", Level.NAMESPACES, ("/usr", str(visible)))
