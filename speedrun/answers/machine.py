"""About this machine, and the data sets on it."""

from typing import Literal

from harness.result import Calibration, Device, Level
from speedrun.answers.base import Answer, Part


class DatasetState(Part, frozen=True, kw_only=True):
    """A data set, and whether it lies ready in the cache."""

    id: str
    prepared: bool
    imported: bool  # made by `data import` on this machine
    pinned: bool  # every shard has a hash that everybody's must have
    train_tokens: int  # in all; planned where it is not known yet
    prepared_tokens: int  # of the first training tokens, here
    val_tokens: int
    vocab_size: int
    disk_bytes: int  # here
    needed_bytes: int  # for all of it
    left_out: int  # training documents that share a run of tokens with held-out text
    floor_nats: float | None


class Datasets(Answer, frozen=True, kw_only=True, tag="datasets"):
    """Every data set."""

    datasets: tuple[DatasetState, ...]
    broken: tuple[str, ...] = ()  # a line for each whose manifest can't be read

    @property
    def exit_code(self) -> int:
        return 1 if self.broken else 0


class DatasetReady(Answer, frozen=True, kw_only=True, tag="dataset"):
    """A data set, and what was done."""

    done: Literal["prepared", "pinned", "verified", "imported"]
    dataset: DatasetState


class LevelTrial(Part, frozen=True, kw_only=True):
    """A sandbox level, tried on this machine."""

    level: Level
    works: bool
    why: str


class TrackFit(Part, frozen=True, kw_only=True):
    """Whether a run on this machine may be ranked on a track."""

    track: str
    obstacles: tuple[str, ...]  # none: it may
    dataset: str
    prepared: bool


class DeviceState(Part, frozen=True, kw_only=True):
    """An accelerator as it is now."""

    minor: int  # its node is /dev/nvidia<minor>
    device: Device
    processes: int  # that compute on it


class Diagnosis(Answer, frozen=True, kw_only=True, tag="doctor"):
    """What this machine can do."""

    system: str
    python: str
    cpu: str
    cores: int  # logical cores of the machine
    usable_cores: float  # that a run may use
    memory_gib: float
    devices: tuple[DeviceState, ...]
    calibration: tuple[Calibration, ...]  # of what could be measured; the processor with the usable cores
    torch: str | None  # None: not installed
    levels: tuple[LevelTrial, ...]
    chosen: Level | None  # None: no level works but `none`
    hints: tuple[str, ...]
    tracks: tuple[TrackFit, ...]
