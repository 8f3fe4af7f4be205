"""Whether a machine is what a track asks for, and what a run gets of it: pure judgements on facts."""

import re
from collections import Counter

from data.manifest import Manifest
from harness.accelerators import Accelerator
from harness.environment import Machine
from harness.errors import UserError
from harness.result import Device, Level
from harness.sandbox import RANKS_LEVELS
from harness.track import Resources, Track

# Words before a card's name that say who made it, and after it what memory it has and how it is plugged in where that
# is the usual way. Any other word makes it another card: Ti, SUPER, D, Laptop GPU, Max-Q, PCIe, NVL, MIG, Ada.
_MAKERS = frozenset({"nvidia", "geforce", "tesla", "quadro"})
MEMORY_TOLERANCE = 0.1
_SAME_CARD = re.compile(r"\d+gb|hbm\d\w*|sxm\d*")


def matches(accelerator: str, name: str) -> bool:
    """Whether a card's name, as its driver gives it, is that of the accelerator that a track asks for.

    Word by word, whatever the case: "H100" is met by "NVIDIA H100 80GB HBM3" and not by "NVIDIA H100 PCIe", which a
    track asks for as "H100 PCIe".
    """
    wanted, words = _words(accelerator), _words(name)
    for start in range(len(words) - len(wanted) + 1):
        end = start + len(wanted)
        if words[start:end] == wanted:
            return _MAKERS.issuperset(words[:start]) and all(_SAME_CARD.fullmatch(word) for word in words[end:])
    return False


def meets(resources: Resources, card: Device) -> bool:
    """Whether a card is one that the track asks for: by its name and, where the track says, by its memory."""
    gib = resources.accelerator_gib
    return matches(resources.accelerator, card.name) and (
        gib is None or abs(card.memory_gib / gib - 1) <= MEMORY_TOLERANCE
    )


def accelerator_words(resources: Resources) -> str:
    """The accelerator that the track asks for, for a message."""
    memory = f" with {resources.accelerator_gib:g} GiB" if resources.accelerator_gib is not None else ""
    return f"{resources.accelerator}{memory}"


def granted(track: Track, machine: Machine) -> tuple[Accelerator, ...]:
    """The accelerators that a run gets: what the track asks for, else what there is, else none: it is on the CPU."""
    resources = track.resources
    if resources.accelerator == "cpu":
        return ()
    right = _right(track, machine)
    return (right if len(right) >= resources.count else machine.accelerators)[: resources.count]


def ranks(track: Track, accelerators: tuple[Accelerator, ...], level: Level) -> int:
    """Processes that train together, with an accelerator each where the track has them.

    They meet on a loopback of their own, which level `namespaces` has, or, unconfined, on the machine's. At any other
    level there is one.
    """
    if level not in RANKS_LEVELS:
        return 1
    return track.resources.count if track.resources.accelerator == "cpu" else max(1, len(accelerators))


def threads(track: Track, machine: Machine, ranks: int) -> int:
    """Processor threads of a rank: the track's, or what there is of them."""
    return max(1, min(track.resources.threads, int(machine.usable_cores) // ranks))


def obstacles(track: Track, machine: Machine) -> tuple[str, ...]:
    """What keeps a run on this machine from being ranked; none: it qualifies, at the right sandbox level."""
    resources = track.resources
    lacking = []
    if resources.accelerator != "cpu" and len(_right(track, machine)) < resources.count:
        names = Counter(f"{one.device.name}, {one.device.memory_gib:.0f} GiB" for one in machine.accelerators)
        here = "; ".join(f"{count} × {name}" for name, count in names.items()) or "none"
        lacking.append(f"{resources.count} × {accelerator_words(resources)} (here: {here})")
    threads = resources.threads * resources.count
    if not machine.usable_cores >= threads:
        lacking.append(f"{threads} CPU {'thread' if threads == 1 else 'threads'} (here: {machine.usable_cores:g})")
    if not machine.memory_gib >= resources.memory_gib:
        lacking.append(f"{resources.memory_gib:g} GiB of memory (here: {machine.memory_gib:.1f})")
    return (f"the track needs {', '.join(lacking)}",) if lacking else ()


def demand_data(track: Track, dataset: Manifest) -> None:
    """Raises UserError for a track that asks more of its own data set than there is: before anything is fetched."""
    if dataset.id != track.dataset:
        return
    split, wanted, there = track.score.split, track.train_tokens or 1, dataset.expected_tokens("train")
    if not dataset.expected_tokens(split):
        raise UserError(f"track {track.id} scores the split {split}, which {dataset.id} does not have; mend its file")
    if wanted > there:
        raise UserError(f"track {track.id} shows {wanted:,} tokens, {dataset.id} has {there:,}; mend its file")


def level_obstacles(track: Track, level: Level | None) -> tuple[str, ...]:
    """What keeps a run at this sandbox level from being ranked; level None: none works here."""
    if level is None:
        return ("no sandbox works here",)
    if track.resources.count > 1 and level is not Level.NAMESPACES:
        return (f"{track.resources.count} processes need sandbox level {Level.NAMESPACES} (here: {level})",)
    return ()


def _right(track: Track, machine: Machine) -> tuple[Accelerator, ...]:
    return tuple(one for one in machine.accelerators if meets(track.resources, one.device))


def _words(name: str) -> list[str]:
    return re.split(r"[\s-]+", name.casefold().strip())
