"""What a run asks of a node, in the cluster engine's own terms: pure translations of a track."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from harness.errors import UserError
from harness.track import Track

# How Ray names the accelerators that tracks ask for, out of the driver's own names for the cards (Ray 2.60; other
# versions may differ, and --accelerator-type says otherwise).
ACCELERATOR_TYPES: Mapping[str, str] = {
    "Tesla T4": "T4",
    "RTX 4090": "GeForce-RTX-4090",
    "H100 80GB HBM3": "H100",
}
TYPE_PREFIX = "accelerator_type:"
TYPE_SHARE = 0.001  # of a type's resource: it only says which nodes will do


class Needs(NamedTuple):
    """What one run holds of a node while it goes on."""

    cpus: int
    gpus: int
    memory_bytes: int
    accelerator_type: str | None  # None: any node will do

    def bundle(self) -> dict[str, float]:
        """As a bundle of a placement group. What is not needed is left out."""
        bundle = {"CPU": float(self.cpus), "memory": float(self.memory_bytes)}
        if self.gpus:
            bundle["GPU"] = float(self.gpus)
        if self.accelerator_type is not None:
            bundle[TYPE_PREFIX + self.accelerator_type] = TYPE_SHARE
        return bundle

    def words(self) -> str:
        told = [f"{self.cpus} CPU" + ("s" if self.cpus > 1 else ""), f"{self.memory_bytes / 2**30:g} GiB of memory"]
        if self.gpus:
            told.append(f"{self.gpus} GPU" + ("s" if self.gpus > 1 else ""))
        if self.accelerator_type is not None:
            told.append(f"accelerator type {self.accelerator_type}")
        return ", ".join(told)


def needs(track: Track, accelerator_type: str | None = None) -> Needs:
    """What a run on the track takes.

    Args:
        accelerator_type: instead of the one that the track's accelerator is known by; on a track for processors, nodes
            that were marked so, e.g. those with the same processor.

    Raises:
        UserError: nobody knows what the cluster calls the track's accelerator.
    """
    resources = track.resources
    on_cpu = resources.accelerator == "cpu"
    known = None if on_cpu else ACCELERATOR_TYPES.get(resources.accelerator)
    if accelerator_type is None and known is None and not on_cpu:
        raise UserError(
            f"what a cluster calls the accelerator {resources.accelerator} is not known; name it: --accelerator-type"
        )
    return Needs(
        cpus=resources.threads * resources.count,
        gpus=0 if on_cpu else resources.count,
        memory_bytes=int(resources.memory_gib * 2**30),
        accelerator_type=accelerator_type or known,
    )


def will_do(bundle: Mapping[str, float], nodes: Sequence[Mapping[str, float]]) -> int:
    """How many of the nodes have it, were they free. nodes: what each has in all."""
    return sum(all(has.get(name, 0.0) >= amount for name, amount in bundle.items()) for has in nodes)
