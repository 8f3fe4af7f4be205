"""What `speedrun show` says of the machine, the data and the devices: only what the record has."""

import msgspec
import pytest

from harness.result import Calibration, Device, HardwareReport


@pytest.fixture
def shown(speedrun, stored, make_record):
    """Label → words of everything that is shown of a record with these fields."""

    def show(**fields):
        record = make_record(**fields)
        stored(record)
        said = speedrun("show", record.run_id)
        assert (said.code, said.err) == (0, "")
        lines: dict[str, list[str]] = {}
        label = ""
        for line in said.out.splitlines():
            label = line[2:14].strip() or label
            lines.setdefault(label, []).append(line[14:])
        return lines

    return show


def speed(device, matmul_tflops, copy_gbps):
    return Calibration(device=device, matmul_tflops=matmul_tflops, copy_gbps=copy_gbps)


def test_a_run_on_accelerators(shown, make_record):
    record = make_record(devices=("Tesla T4",))
    card = Device(name="Tesla T4", memory_gib=15.0, driver="550.54", clock_mhz=1590, power_limit_w=70.0)
    lines = shown(
        environment=msgspec.structs.replace(record.environment, devices=(card, card)),
        times=msgspec.structs.replace(record.times, setup_device_s=1.25, train_device_s=590.04),
        dataset=msgspec.structs.replace(record.dataset, pinned=False, revision="4f2c", train_tokens=100_000),
        ranks=2,
        hardware=HardwareReport(
            before=(speed("cpu", 0.2034, 10.4), speed("cuda:0", 24.6, 243.0), speed("cuda:1", 24.0, 240.0)),
            after=(speed("cpu", 0.2, 10.3), speed("cuda:0", 20.0, 243.0)),
            slowed=True,
            samples=1302,
            throttled={"power-cap": 0.5, "software-thermal": 0.0123},
            hottest_c=84.0,
            slowest_clock_mhz=1110,
            peak_device_memory_gib=12.345,
            other_processes=1,
        ),
    )
    assert lines["device"] == ["Tesla T4, 15.0 GiB, driver 550.54, at most 1,590 MHz, 70 W"] * 2
    assert lines["processes"] == ["2 trained together"]
    assert lines["accelerator"] == ["set-up 1.2 s, training 590.0 s"]
    assert lines["speed"] == [
        "cpu 0.203 TFLOP/s, copy 10.4 GB/s before, 0.2 TFLOP/s, copy 10.3 GB/s after",
        "cuda:0 24.6 TFLOP/s, copy 243 GB/s before, 20 TFLOP/s, copy 243 GB/s after",
        "cuda:1 24 TFLOP/s, copy 240 GB/s before, not measured after",
        "✗ the machine was more than a tenth slower after the run than before it",
    ]
    assert lines["throttled"] == ["power-cap in 50.0% of the samples, software-thermal in 1.2% of the samples"]
    assert lines["watched"] == [
        "84 °C at most · 1,110 MHz at least when busy · 12.35 GiB of its memory at most · 1 other process "
        "(1,302 samples)"
    ]
    assert lines["data set"] == [
        "tales, vocabulary 256, 100,000 training tokens, revision 4f2c, without pinned hashes (official)"
    ]


def test_a_run_on_the_processor(shown):
    lines = shown(hardware=HardwareReport(before=(speed("cpu", 0.2, 10.0),), after=(speed("cpu", 0.2, 10.0),)))
    assert lines["speed"] == ["cpu 0.2 TFLOP/s, copy 10 GB/s before, 0.2 TFLOP/s, copy 10 GB/s after"]
    assert not {"device", "processes", "accelerator", "throttled", "watched"} & set(lines)


def test_an_older_record_says_what_it_has(shown):
    lines = shown(devices=("Tesla T4",))
    assert lines["device"] == ["Tesla T4, 16.0 GiB, driver unknown"]
    assert lines["data set"] == ["tales, vocabulary 256 (official)"]
    assert not {"speed", "processes", "accelerator", "processor", "throttled", "watched"} & set(lines)


def test_cards_that_nothing_slowed(shown):
    lines = shown(hardware=HardwareReport(samples=8))
    assert lines["throttled"] == ["never"]
    assert lines["watched"] == ["no other processes (8 samples)"]
