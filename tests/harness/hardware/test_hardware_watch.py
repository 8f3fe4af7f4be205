"""A watch over accelerators whose story is known beforehand."""

import itertools
import threading

import pynvml
import pytest

from harness import hardware_watch
from harness.accelerators import accelerators
from harness.hardware_watch import Facts, HardwareWatch, Reading, Seen, Strangers, fold, look
from harness.result import HardwareReport

NEVER_S = 3600.0  # no sample but those that are asked for


def told(*samples, strangers=frozenset()):
    """All samples folded, a second apart."""
    seen = Seen()
    for at_s, readings in enumerate(samples):
        seen = fold(seen, float(at_s), readings, strangers)
    return seen


def test_the_real_bits_have_our_names():
    assert {
        pynvml.nvmlClocksEventReasonSwPowerCap: "power-cap",
        pynvml.nvmlClocksEventReasonHwSlowdown: "hardware-slowdown",
        pynvml.nvmlClocksEventReasonSyncBoost: "sync-boost",
        pynvml.nvmlClocksEventReasonSwThermalSlowdown: "software-thermal",
        pynvml.nvmlClocksEventReasonHwThermalSlowdown: "hardware-thermal",
        pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown: "power-brake",
    } == hardware_watch.REASONS


def test_shares_are_of_samples_with_any_card_throttled():
    idle, set_so = 0x1, 0x2 | 0x100
    seen = told(
        (Reading(reasons=idle), Reading(reasons=set_so)),
        (Reading(reasons=0x4), Reading(reasons=0x4 | 0x20)),
        (Reading(reasons=0x20), Reading()),
        (Reading(), Reading(reasons=0x40)),
    )
    assert seen.report().throttled == {"hardware-thermal": 0.25, "power-cap": 0.25, "software-thermal": 0.5}
    assert seen.report().samples == 4


def test_extremes_are_kept():
    seen = told(
        (Reading(temperature_c=50, memory_gib=3.0), Reading(temperature_c=71, memory_gib=1.0)),
        (Reading(temperature_c=83, memory_gib=9.5), Reading()),
        (Reading(temperature_c=60, memory_gib=1.0), Reading(temperature_c=61)),
    )
    assert (seen.report().hottest_c, seen.report().peak_device_memory_gib) == (83, 9.5)


def test_a_clock_counts_while_its_card_works():
    seen = told(
        (Reading(clock_mhz=210, busy=0.0),),
        (Reading(clock_mhz=2400, busy=1.0),),
        (Reading(clock_mhz=2300, busy=0.95),),
        (Reading(clock_mhz=210, busy=0.95, reasons=0x1),),
        (Reading(clock_mhz=1500, busy=0.5),),
        (Reading(clock_mhz=1000),),
    )
    assert seen.report().slowest_clock_mhz == 2300


def test_busy_seconds_are_the_share_of_the_time_before_each_sample():
    seen = Seen()
    for at_s, shares in ((10.0, (1.0, 1.0)), (11.0, (1.0, 0.5)), (13.0, (0.25, None)), (13.5, (0.0, 1.0))):
        seen = fold(seen, at_s, [Reading(busy=share) for share in shares], frozenset())
    assert seen.busy_s == pytest.approx(1.5 + 0.5 + 0.5)
    assert told((Reading(),), (Reading(),)).busy_s is None


def test_others_are_counted_on_the_fullest_card():
    cards = (Reading(pids=frozenset({1, 2})), Reading(pids=frozenset({2, 3, 4})))
    assert told(cards, strangers=frozenset({2, 3})).other_processes == 2
    assert told(cards, (Reading(),), strangers=frozenset({3})).other_processes == 1
    assert told(cards).other_processes == 0


class TestStrangers:
    def test_ours_stay_ours_after_they_have_ended(self):
        own, asked = {10, 11}, []
        strangers = Strangers(lambda: asked.append(1) or own, hosts_numbers=True)
        assert strangers.among(frozenset({10, 99})) == set()
        own.clear()
        assert strangers.among(frozenset({10, 99})) == {99}
        assert strangers.among(frozenset({10, 99})) == {99}
        assert len(asked) == 1
        assert strangers.among(frozenset({98})) == set()
        assert strangers.among(frozenset({98})) == {98}
        assert strangers.among(frozenset()) == set()
        assert len(asked) == 2

    def test_in_a_container_who_was_there_first_is_a_stranger(self):
        strangers = Strangers(lambda: {10}, hosts_numbers=False)
        assert strangers.among(frozenset({7001})) == set()
        for _ in range(3):
            assert strangers.among(frozenset({7001, 7002})) == {7001}
        assert strangers.among(frozenset({7002})) == set()


def run_out(watch):
    """Waits until the watch has ended by itself."""
    while any(thread.name == "hardware-watch" for thread in threading.enumerate()):
        watch.busy_s()


def test_a_run_replayed_through_the_driver_until_the_card_is_lost(card, nvml):
    lost = pynvml.NVMLError_GpuIsLost
    driver = nvml(
        card(
            minor=4,
            temperature_c=(35, 64, 86, 80, lost),
            clock_mhz=(210, 2700, 2100, 210),
            busy_percent=(0, 100, 100, 40),
            used_gib=(0.5, 20.25, 20.0, 0.5),
            reasons=(0x1, 0x0, 0x4 | 0x20, 0x1),
            pids=((900,), (900, 31), (900, 31), (900,)),
        )
    )
    seconds = itertools.count()
    with HardwareWatch(
        accelerators(driver), lambda: {30, 31}, nvml=driver, clock=lambda: float(next(seconds)), period_s=0
    ) as watch:
        run_out(watch)
        assert watch.busy_s() is None
    assert watch.facts() == Facts(clock_mhz=210, memory_gib=0.5, busy=0.4, throttled=())
    assert watch.report() == HardwareReport(
        samples=4,
        throttled={"power-cap": 0.25, "software-thermal": 0.25},
        hottest_c=86,
        slowest_clock_mhz=2100,
        peak_device_memory_gib=20.25,
        other_processes=1,
    )
    assert driver.open == 0


def test_a_driver_that_stumbles_once_is_asked_again(card, nvml):
    driver = nvml(card(temperature_c=(41, pynvml.NVMLError_Timeout, 90, pynvml.NVMLError_GpuIsLost)))
    with HardwareWatch(accelerators(driver), set, nvml=driver, period_s=0) as watch:
        run_out(watch)
    assert (watch.report().samples, watch.report().hottest_c) == (2, 90)


def test_busy_seconds_are_as_fresh_as_the_question(card, nvml):
    driver = nvml(card(busy_percent=(100,)), card(minor=1, busy_percent=(50,)))
    seconds = itertools.count()
    with HardwareWatch(
        accelerators(driver), set, nvml=driver, clock=lambda: float(next(seconds)), period_s=NEVER_S
    ) as watch:
        while not watch.report().samples:
            watch.busy_s()
        before = watch.busy_s()
        while (now := watch.busy_s()) < before + 3:
            pass
        assert now % 1.5 == 0
    assert driver.open == 0


def test_the_card_granted_is_watched_and_no_other(card, nvml):
    driver = nvml(card(minor=0, temperature_c=(90,)), card(minor=1, temperature_c=(50,)))
    with HardwareWatch(accelerators(driver)[1:], set, nvml=driver, period_s=NEVER_S) as watch:
        while not watch.report().samples:
            watch.busy_s()
    assert watch.report().hottest_c == 50


def test_a_card_and_a_driver_that_tell_little(card, nvml):
    nothing = pynvml.NVMLError_NotSupported
    silent = card(
        temperature_c=(nothing,), clock_mhz=(nothing,), busy_percent=(nothing,), pids=(nothing,), reasons=(0x8,)
    )
    driver = nvml(silent, old=True)
    with HardwareWatch(accelerators(driver), set, nvml=driver, period_s=NEVER_S) as watch:
        while not watch.report().samples:
            assert watch.busy_s() is None
    told = watch.report()
    assert told == HardwareReport(
        samples=told.samples, throttled={"hardware-slowdown": 1.0}, peak_device_memory_gib=1.0
    )


def test_a_driver_that_hangs_holds_nobody_up(card, nvml, monkeypatch):
    monkeypatch.setattr(hardware_watch, "FRESH_S", 0.01)
    monkeypatch.setattr(hardware_watch, "END_S", 0.01)
    answer, asked = threading.Event(), threading.Event()
    driver = nvml(card(), at_look=lambda: (asked.set(), answer.wait()))
    with HardwareWatch(accelerators(driver), set, nvml=driver) as watch:
        asked.wait()
        assert watch.busy_s() is None
    assert watch.report().samples == 0
    answer.set()
    run_out(watch)
    assert driver.open == 0


def test_an_own_that_fails_ends_the_watch_and_nothing_else(card, nvml):
    driver = nvml(card(pids=((5,),)))
    with HardwareWatch(accelerators(driver), lambda: 1 / 0, nvml=driver, period_s=0) as watch:
        run_out(watch)
    assert watch.report() == HardwareReport()
    assert driver.open == 0


def test_without_accelerators_nothing_is_started():
    before = threading.active_count()
    with HardwareWatch((), set) as watch:
        assert threading.active_count() == before
        assert watch.busy_s() is None
    assert watch.facts() == Facts(None, None, None, ())
    assert watch.report() == HardwareReport()


def test_a_viewer_is_told_of_the_slowest_and_the_fullest_card(card, nvml):
    driver = nvml(
        card(minor=0, clock_mhz=(2700,), used_gib=(3.0,), busy_percent=(50,), reasons=(0x4,)),
        card(minor=1, clock_mhz=(2100,), used_gib=(20.0,), busy_percent=(100,), reasons=(0x4 | 0x40,)),
    )
    with HardwareWatch(accelerators(driver), set, nvml=driver, period_s=NEVER_S) as watch:
        watch.busy_s()
        assert watch.facts() == Facts(2100, 20.0, 0.75, ("power-cap", "hardware-thermal"))


def test_a_look_at_every_card(card, nvml):
    driver = nvml(card(minor=2, pids=((5, 6),)), card(minor=0, pids=((),)))
    assert {minor: len(reading.pids) for minor, reading in look(driver).items()} == {2: 2, 0: 0}
    assert look(nvml(driver=None)) == {}
    assert look(nvml(card(temperature_c=(pynvml.NVMLError_GpuIsLost,)))) == {}
