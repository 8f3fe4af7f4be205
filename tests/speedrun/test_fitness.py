from pathlib import Path

import msgspec
import pytest

import data
from data.manifest import find
from harness.accelerators import Accelerator
from harness.environment import Machine
from harness.errors import UserError
from harness.result import Device, Level
from harness.track import find_track
from speedrun.fitness import demand_data, granted, level_obstacles, matches, obstacles, ranks, threads

TRACK = find_track("cpu-1min")
DATASETS = Path(data.__file__).parent / "datasets"
T4 = "Tesla T4"
H100 = "NVIDIA H100 80GB HBM3"


def machine(cores: float = 64, memory_gib: float = 32.0, cards: tuple[str, ...] = ()) -> Machine:
    return Machine(
        cpu="Test CPU",
        cores=64,
        usable_cores=cores,
        free_cores=cores,
        memory_gib=memory_gib,
        available_gib=memory_gib,
        accelerators=tuple(
            Accelerator(minor=minor, uuid=f"GPU-{minor}", device=Device(name=name, memory_gib=16.0))
            for minor, name in enumerate(cards)
        ),
        system="Linux",
        python="3.11.0",
    )


def on(accelerator: str, count: int = 1):
    resources = msgspec.structs.replace(TRACK.resources, accelerator=accelerator, count=count)
    return msgspec.structs.replace(TRACK, resources=resources)


def minors(track, here: Machine) -> list[int]:
    return [accelerator.minor for accelerator in granted(track, here)]


@pytest.mark.parametrize(
    ("accelerator", "name"),
    [
        ("Tesla T4", "Tesla T4"),
        ("T4", "Tesla T4"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090"),
        ("rtx 4090", "NVIDIA GeForce RTX 4090"),
        ("RTX 4090 D", "NVIDIA GeForce RTX 4090 D"),
        ("H100", "NVIDIA H100 80GB HBM3"),
        ("H100 80GB HBM3", "NVIDIA H100 80GB HBM3"),
        ("H100 PCIe", "NVIDIA H100 PCIe"),
        ("A100", "NVIDIA A100-SXM4-80GB"),
        ("A100-PCIE-40GB", "NVIDIA A100-PCIE-40GB"),
    ],
)
def test_a_name_is_met(accelerator, name):
    assert matches(accelerator, name)


@pytest.mark.parametrize(
    ("accelerator", "name"),
    [
        ("RTX 4090", "NVIDIA GeForce RTX 4090 Laptop GPU"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090 D"),
        ("RTX 4090", "NVIDIA GeForce RTX 4090D"),
        ("RTX 4070", "NVIDIA GeForce RTX 4070 Ti SUPER"),
        ("RTX 2080", "NVIDIA GeForce RTX 2080 with Max-Q Design"),
        ("RTX 6000", "NVIDIA RTX 6000 Ada Generation"),
        ("H100", "NVIDIA H100 PCIe"),
        ("H100", "NVIDIA H100 NVL"),
        ("H100", "NVIDIA H100 80GB HBM3 MIG"),
        ("H100", "NVIDIA H100 80GB HBM3 MIG 1g.10gb"),
        ("H100", "NVIDIA GH200 480GB"),
        ("H100 80GB HBM3", "NVIDIA H100 PCIe"),
        ("A100", "NVIDIA A100-PCIE-40GB"),
        ("T4", "NVIDIA T400"),
        ("Tesla T4", "Tesla"),
        ("Tesla T4", ""),
        ("4090", "NVIDIA GeForce RTX 4090"),
    ],
)
def test_another_card_does_not_meet_it(accelerator, name):
    assert not matches(accelerator, name)


def test_a_machine_that_has_what_is_asked_qualifies():
    assert obstacles(TRACK, machine(cores=2)) == ()
    assert obstacles(on("Tesla T4"), machine(cards=("NVIDIA L4", T4))) == ()
    assert obstacles(on("H100", 8), machine(cards=(H100,) * 8)) == ()


@pytest.mark.parametrize(
    ("track", "here", "says"),
    [
        (TRACK, machine(cores=1), "2 CPU threads (here: 1)"),
        (TRACK, machine(cores=float("nan")), "2 CPU threads (here: nan)"),
        (on("cpu", 2), machine(cores=3), "4 CPU threads (here: 3)"),
        (TRACK, machine(memory_gib=2.0), "6 GiB of memory (here: 2.0)"),
        (TRACK, machine(cores=1, memory_gib=2.0), "2 CPU threads (here: 1), 6 GiB of memory (here: 2.0)"),
        (on("Tesla T4"), machine(), "1 × Tesla T4 (here: none)"),
        (on("H100", 8), machine(cards=(H100,)), "8 × H100 (here: 1 × NVIDIA H100 80GB HBM3, 16 GiB)"),
        (
            on("H100", 2),
            machine(cards=(H100, T4, "NVIDIA H100 PCIe", T4)),
            "2 × H100 (here: 1 × NVIDIA H100 80GB HBM3, 16 GiB; 2 × Tesla T4, 16 GiB; 1 × NVIDIA H100 PCIe, 16 GiB)",
        ),
    ],
)
def test_what_keeps_a_run_from_being_ranked(track, here, says):
    assert obstacles(track, here) == (f"the track needs {says}",)


def test_what_a_run_gets():
    assert minors(TRACK, machine(cards=(T4,))) == []
    assert minors(on("Tesla T4"), machine(cards=("NVIDIA L4", T4, T4))) == [1]
    assert minors(on("Tesla T4", 2), machine(cards=("NVIDIA L4", T4, T4))) == [1, 2]
    assert minors(on("H100"), machine(cards=("NVIDIA L4", T4))) == [0]
    assert minors(on("H100", 8), machine(cards=(T4, H100))) == [0, 1]
    assert minors(on("H100"), machine()) == []


def test_how_many_train_together():
    here = machine(cards=(T4, T4))
    for track, together in ((TRACK, 1), (on("cpu", 3), 3), (on("H100", 8), 2), (on(T4, 2), 2)):
        assert ranks(track, granted(track, here), Level.NAMESPACES) == together
        assert ranks(track, granted(track, here), Level.UID) == 1
    assert ranks(on("H100", 8), (), Level.NAMESPACES) == 1


def test_several_processes_need_a_network_of_their_own():
    assert level_obstacles(TRACK, Level.LANDLOCK) == ()
    assert level_obstacles(on("H100", 8), Level.NAMESPACES) == ()
    assert level_obstacles(on("H100", 8), Level.UID) == ("8 processes need sandbox level namespaces (here: uid)",)
    assert level_obstacles(TRACK, None) == ("no sandbox works here",)


@pytest.mark.parametrize(("cores", "together", "gets"), [(64, 1, 2), (2, 2, 1), (1, 1, 1), (0.5, 1, 1), (64, 8, 2)])
def test_a_rank_gets_the_tracks_threads_or_what_there_is_of_them(cores, together, gets):
    assert threads(TRACK, machine(cores=cores), together) == gets


@pytest.mark.parametrize(("gib", "fits"), [(16.0, True), (14.6, True), (17.5, True), (24.0, False), (8.0, False)])
def test_a_card_of_the_same_name_has_the_same_memory(gib, fits):
    resources = msgspec.structs.replace(on(T4).resources, accelerator_gib=gib)
    track = msgspec.structs.replace(TRACK, resources=resources)
    found = obstacles(track, machine(cards=(T4,)))
    assert (found == ()) == fits
    assert fits or f"1 × Tesla T4 with {gib:g} GiB (here: 1 × Tesla T4, 16 GiB)" in found[0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"train_tokens": 10**12}, "shows 1,000,000,000,000 tokens, tales has 9,368,763"),
        (
            {"score": msgspec.structs.replace(TRACK.score, split="vall")},
            "scores the split vall, which tales does not have",
        ),
    ],
)
def test_a_track_that_asks_more_than_its_data_has_is_told_before_anything_is_fetched(changes, says):
    tales = find("tales", DATASETS, DATASETS)
    demand_data(TRACK, tales)
    track = msgspec.structs.replace(TRACK, **changes)
    with pytest.raises(UserError, match=says):
        demand_data(track, tales)
    demand_data(msgspec.structs.replace(track, dataset="mine"), tales)  # practice: what there is
