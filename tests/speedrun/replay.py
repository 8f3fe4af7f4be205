"""A run that is over, told again: its events, and a clock that goes when it is told to.

Started as `python replay.py FD`, it shows the run on whatever standard error is, in the middle of training, until
something comes on the file descriptor FD.
"""

import os
import sys

from harness.events import Event, Logged, Noted, PhaseBegan, Ticked
from harness.result import CurvePoint
from speedrun import live
from speedrun.console import console

TITLE = "mine on t4-5min · data set cosmopedia-1k · sandbox namespaces"


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def logged(elapsed_s: float, loss: float | None = 2.0, tokens: int | None = None, step: int | None = None) -> Logged:
    return Logged(CurvePoint(elapsed_s=elapsed_s, step=step, tokens=tokens, loss_nats=loss), {})


def on_an_accelerator(until_s: int) -> list[Event]:
    """A run of 300 s on a card that gets hot, from its beginning to a second of its training."""
    events: list[Event] = [PhaseBegan("setup", 600.0), Ticked("setup", 40.0, 2.0), PhaseBegan("train", 300.0)]
    for second in range(until_s + 1):
        loss_nats = 3.2 + 7.6 / (1 + second / 12) + 0.06 * (second * 7 % 5 - 2)
        events.append(logged(float(second), loss_nats, tokens=second * 98_304, step=second * 6))
        hot = ("software-thermal",) if second > 150 else ()
        card = {"clock_mhz": 1410 if hot else 1590, "device_memory_gib": 13.47, "device_busy": 0.98}
        events.append(Ticked("train", float(second), 2.31, **card, throttled=hot))
    return [*events, Noted("the artifact of an older run was removed: 5 are kept")]


def main() -> None:
    view = live.choose(TITLE, console(sys.stderr), sys.stderr, quiet=False)
    view.catch_up(on_an_accelerator(280))
    with view:
        os.read(int(sys.argv[1]), 1)


if __name__ == "__main__":
    main()
