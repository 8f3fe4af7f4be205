"""Time, handed in: the harness reads it here and nowhere else, so that tests replay a run without waiting."""

import time
from typing import Protocol


class Clock(Protocol):
    """Seconds that never go back."""

    def now(self) -> float: ...


class MonotonicClock:
    """The machine's monotonic clock: unmoved by changes of the date."""

    def now(self) -> float:
        return time.monotonic()
