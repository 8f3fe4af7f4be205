"""The real thing on a real card: for whoever has one. Everywhere else these tests are skipped, and say so."""

from pathlib import Path

import pytest

from harness.accelerators import accelerators
from harness.calibration import calibrate
from harness.result import Level, Verdict
from harness.sandbox import try_levels

FOUND = accelerators()
ENTRIES = Path(__file__).parent.parent / "gpu"
ON_A_CARD = {"resources": {"memory_gib": 16.0, "processes": 512, "scratch_mib": 1024}}

pytestmark = [
    pytest.mark.sandbox,
    pytest.mark.skipif(not FOUND, reason="no NVIDIA driver answers here"),
]


def levels():
    return [trial.level for trial in try_levels() if trial.works and trial.level is not Level.NONE]


@pytest.mark.parametrize("level", levels() if FOUND else ())
def test_an_entry_trains_on_the_card_that_it_was_granted(level, run_folder):
    record, _ = run_folder(ENTRIES / "trains_on_its_card", track=ON_A_CARD, level=level, accelerators=FOUND[:1])
    assert record.verdict is Verdict.OK, record.reason
    assert record.environment.devices == (FOUND[0].device,)
    assert record.hardware.samples > 0
    assert record.hardware.other_processes == 0
    assert record.times.train_device_s is not None
    assert abs(record.twin.advantage_nats) < 1e-4


def test_out_of_the_cards_memory_is_told_with_the_peak(run_folder):
    record, _ = run_folder(ENTRIES / "eats_the_card", track=ON_A_CARD, accelerators=FOUND[:1])
    assert record.verdict is Verdict.OUT_OF_MEMORY, record.reason
    assert "peak" in record.reason


def test_the_card_is_calibrated():
    measured = {calibration.device: calibration for calibration in calibrate(FOUND[:1], threads=1)}
    assert set(measured) == {"cpu", "cuda:0"}
    assert measured["cuda:0"].matmul_tflops > measured["cpu"].matmul_tflops
