"""What a track asks of a cluster's nodes, in the cluster's own terms."""

import msgspec
import pytest

from harness.errors import UserError
from harness.track import find_track, list_tracks
from speedrun.cluster.needs import ACCELERATOR_TYPES, Needs, needs, will_do

GIB = 2**30
SMALL = {"CPU": 2.0, "memory": 4.0 * GIB}
CARD = {"CPU": 8.0, "memory": 64.0 * GIB, "GPU": 1.0, "accelerator_type:T4": 1.0}


def test_every_track_is_known_to_a_cluster(workspace):
    for track in list_tracks(workspace.tracks):
        asked = needs(track)
        assert asked.cpus == track.resources.threads * track.resources.count
        assert (asked.gpus > 0) == (track.resources.accelerator != "cpu") == (asked.accelerator_type is not None)
    assert needs(find_track("t4-5min", workspace.tracks)).accelerator_type == "T4"
    assert needs(find_track("h100x8-val-3.28", workspace.tracks)).gpus == 8


def test_the_names_are_those_that_the_engine_finds_out_by_itself():
    """By its own function, from the names that the driver gives the cards."""
    nvidia = pytest.importorskip("ray._private.accelerators.nvidia_gpu").NvidiaGPUAcceleratorManager
    drivers = {"Tesla T4": "Tesla T4", "RTX 4090": "NVIDIA GeForce RTX 4090", "H100 80GB HBM3": "NVIDIA H100 80GB HBM3"}
    assert {name: nvidia._gpu_name_to_accelerator_type(told) for name, told in drivers.items()} == ACCELERATOR_TYPES


def test_an_accelerator_that_nobody_knows_has_to_be_named(workspace):
    track = find_track("t4-5min", workspace.tracks)
    strange = msgspec.structs.replace(
        track, resources=msgspec.structs.replace(track.resources, accelerator="Abacus 9000")
    )
    with pytest.raises(UserError, match="Abacus 9000 is not known; name it: --accelerator-type"):
        needs(strange)
    assert needs(strange, "Abacus").bundle()["accelerator_type:Abacus"] > 0


def test_a_node_will_do_when_it_has_all_of_it():
    cpu = Needs(2, 0, 4 * GIB, None)
    assert will_do(cpu.bundle(), [SMALL, CARD, {"CPU": 1.0, "memory": 64.0 * GIB}, {"CPU": 4.0}, {}]) == 2
    card = Needs(2, 1, 4 * GIB, "T4")
    assert will_do(card.bundle(), [SMALL, CARD, {**CARD, "GPU": 0.0}, {**SMALL, "GPU": 1.0}]) == 1
    assert card.words() == "2 CPUs, 4 GiB of memory, 1 GPU, accelerator type T4"
