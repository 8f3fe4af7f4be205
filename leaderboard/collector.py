"""Python's garbage collector, out of the way while a board is read, ranked and shown.

A hundred thousand records are millions of objects that all stay. The collector, which looks for circles among them
again and again as they grow in number, finds none and takes more time than reading them does. So a command about a
board does without it until it ends.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Nothing is collected meanwhile; what nobody refers to is freed as ever."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
