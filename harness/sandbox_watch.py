"""Watching a running sandbox against its limits: the kernel's own counters where there is a control group, else /proc.

Not covered: what is taken and given back between two looks, where no control group bounds it.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness import sandbox_shm
from harness.cgroup import Cgroup
from harness.process_tree import ProcessTree, processor_s, usage
from harness.sandbox_output import Output
from harness.sandbox_plan import MIB, Limits

_REST = 100  # times the duration of a look by hand that passes before the next one


@dataclass(frozen=True)
class Breach:
    """A limit was passed; the runner ends the run."""

    kind: Literal["memory", "scratch", "output"]
    sentence: str


class Watch:
    """Looks at one sandbox."""

    def __init__(
        self,
        tree: ProcessTree,
        cgroup: Cgroup | None,
        limits: Limits,
        output: Output,
        scratch: Path | None,
    ) -> None:
        """`scratch`: its folder on disk, None where the kernel bounds scratch itself."""
        self._tree = tree
        self._cgroup = cgroup
        self._limits = limits
        self._output = output
        self._scratch = scratch
        self._shm_before = frozenset(left.inode for left in sandbox_shm.left_by(None)) if scratch else frozenset()
        self._next_by_hand_s = 0.0
        self._memory_bytes = 0
        self._peak_memory_bytes = 0
        self.last_processor_s = 0.0  # what the last look at the processor time found
        self._on_disk: Breach | None = None

    @property
    def peak_memory_bytes(self) -> int:
        """The most that a look has seen."""
        return self._peak_memory_bytes

    def memory_bytes(self) -> int:
        """Anonymous and shared memory of the whole tree."""
        self._look()
        return self._memory_bytes

    def processor_s(self) -> float:
        """Processor seconds of the whole tree so far; never falls."""
        counted = self._cgroup.processor_s() if self._cgroup is not None else None
        if counted is None:
            counted = processor_s(self._tree.processes())
        self.last_processor_s = max(self.last_processor_s, counted)
        return self.last_processor_s

    def breach(self) -> Breach | None:
        """The first limit that is passed at this moment."""
        if self._output.exceeded:
            return Breach("output", f"the entry printed more than {self._limits.output_bytes / MIB:g} MiB")
        self._look()
        if self._memory_bytes > self._limits.memory_bytes or self.out_of_memory():
            return Breach("memory", f"the entry used more than {self._limits.memory_bytes / MIB:g} MiB of memory")
        return self._on_disk

    def out_of_memory(self) -> bool:
        """The kernel stopped something at the memory limit."""
        return self._cgroup is not None and self._cgroup.out_of_memory()

    def _look(self) -> None:
        """By hand only so often that the looking stays below a hundredth of one core."""
        if self._cgroup is not None:
            self._memory_bytes = self._cgroup.memory_bytes()
        if self._cgroup is None or self._scratch is not None:
            began_s = time.monotonic()
            if began_s >= self._next_by_hand_s:
                self._look_by_hand()
                ended_s = time.monotonic()
                self._next_by_hand_s = ended_s + _REST * (ended_s - began_s)
        self._peak_memory_bytes = max(self._peak_memory_bytes, self._memory_bytes)

    def _look_by_hand(self) -> None:
        disk = self._scratch.stat().st_dev if self._scratch is not None else None
        held = usage(self._tree.processes(), disk)
        if self._cgroup is None:
            self._memory_bytes = held.memory_bytes
        if self._scratch is not None:
            self._on_disk = self._scratch_breach(self._scratch, held.unlinked_bytes) or self._shm_breach()

    def _scratch_breach(self, scratch: Path, unlinked_bytes: int) -> Breach | None:
        total = unlinked_bytes
        try:
            for size in sandbox_shm.sizes_below(scratch):
                total += size
                if total > self._limits.scratch_bytes:
                    break
        except OSError:
            return Breach("scratch", "the entry closed a folder in scratch, or nested folders too deep to be measured")
        if total > self._limits.scratch_bytes:
            return Breach("scratch", f"the entry wrote more than {self._limits.scratch_bytes / MIB:g} MiB to scratch")
        return None

    def _shm_breach(self) -> Breach | None:
        if not self._limits.shm_bytes:
            return None  # the entry can't write there: what comes is another program's
        came = (left for left in sandbox_shm.left_by(self._tree.user) if left.inode not in self._shm_before)
        total = sum(left.bytes for left in came)
        if total <= self._limits.shm_bytes:
            return None
        return Breach("memory", f"the entry put more than {self._limits.shm_bytes / MIB:g} MiB into /dev/shm")
