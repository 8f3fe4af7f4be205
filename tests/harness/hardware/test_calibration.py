"""The processor is measured for real; cards by programs that stand in for the one that measures."""

import math
import os
import textwrap

import pytest

from harness import calibration
from harness.accelerators import Accelerator
from harness.calibration import YARDSTICK, calibrate, slowed
from harness.result import Calibration, Device


def speed(device="cpu", matmul_tflops=1.0, copy_gbps=10.0):
    return Calibration(device=device, matmul_tflops=matmul_tflops, copy_gbps=copy_gbps)


def accelerator(uuid):
    return Accelerator(minor=0, uuid=uuid, device=Device(name="NVIDIA H100 PCIe", memory_gib=80.0))


@pytest.fixture
def yardstick(tmp_path):
    """Writes a program that is asked to measure."""

    def write(text):
        path = tmp_path / "yardstick.py"
        path.write_text(textwrap.dedent(text))
        return path

    return write


def test_the_processor_is_measured(monkeypatch):
    cores = os.sched_getaffinity(0)
    (measured,) = calibrate((), 1)
    assert measured.device == "cpu"
    assert 1e-4 < measured.matmul_tflops < 100
    assert 0.1 < measured.copy_gbps < 10_000
    assert os.sched_getaffinity(0) == cores


def test_a_card_that_cannot_be_measured_is_left_out():
    """No driver here: torch refuses, and the processor is told all the same. With one, the name belongs to no card."""
    assert [one.device for one in calibrate((accelerator("GPU-none"),), 1)] == ["cpu"]


def test_the_cards_granted_are_the_ones_measured(yardstick):
    program = yardstick(
        """
        import json, os, sys
        threads, cards = map(int, sys.argv[1:])
        assert os.environ["CUDA_VISIBLE_DEVICES"].split(",") == ["GPU-b", "GPU-a"]
        assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == str(threads)
        assert threads == len(os.sched_getaffinity(0))
        for name in ["cpu", *(f"cuda:{index}" for index in range(cards))]:
            print(json.dumps({"device": name, "matmul_tflops": 2.5, "copy_gbps": 7}))
        """
    )
    measured = calibrate([accelerator("GPU-b"), accelerator("GPU-a")], 10_000, program)
    assert measured == tuple(speed(name, 2.5, 7.0) for name in ("cpu", "cuda:0", "cuda:1"))


def test_cards_without_a_name_are_not_guessed(yardstick):
    program = yardstick(
        """
        import json, os, sys
        assert (os.environ["CUDA_VISIBLE_DEVICES"], sys.argv[2]) == ("", "0")
        print(json.dumps({"device": "cpu", "matmul_tflops": 1.0, "copy_gbps": 10.0}))
        """
    )
    assert calibrate([accelerator("GPU-a"), accelerator("")], 1, program) == (speed(),)


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        '{"device": "cpu"}',
        '{"device": "cpu", "matmul_tflops": 0.0, "copy_gbps": 1.0}',
        '{"device": "cpu", "matmul_tflops": NaN, "copy_gbps": 1.0}',
    ],
)
def test_an_answer_that_is_none_is_left_out(yardstick, line):
    told = '{"device": "cuda:0", "matmul_tflops": 1.0, "copy_gbps": 10.0}'
    assert calibrate((), 1, yardstick(f"print({line!r}); print({told!r}); raise SystemExit(1)")) == (speed("cuda:0"),)


def test_late_is_left_out_and_what_came_in_time_counts(yardstick, monkeypatch):
    monkeypatch.setattr(calibration, "CPU_PATIENCE_S", 4.0)
    told = '{"device": "cpu", "matmul_tflops": 1.0, "copy_gbps": 10.0}'
    program = yardstick(f"import signal; print({told!r}, flush=True); signal.pause()")
    assert calibrate((), 1, program) == (speed(),)


def test_no_program_measures_nothing(tmp_path):
    assert calibrate((), 1, tmp_path / "none.py") == ()
    assert YARDSTICK.is_file()


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        ((speed(),), False),
        ((speed(matmul_tflops=0.91, copy_gbps=9.1),), False),
        ((speed(matmul_tflops=0.89),), True),
        ((speed(copy_gbps=8.9),), True),
        ((speed(matmul_tflops=math.nan),), True),
        ((speed(copy_gbps=math.nan),), True),
        ((), True),
        ((speed("cuda:0"),), True),
        ((speed(), speed("cuda:0", 0.1, 0.1)), False),
    ],
)
def test_slower_by_more_than_a_tenth(after, verdict):
    assert slowed((speed(),), after) is verdict


def test_what_was_not_measured_before_cannot_be_compared():
    assert slowed((), (speed(),)) is False
    assert slowed((), ()) is False
    assert slowed((speed(), speed("cuda:0")), (speed(), speed("cuda:0", 0.8))) is True
