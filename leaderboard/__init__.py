"""The board, and what it stands on. For analysis, `leaderboard.frame()` gives runs and curves as data frames."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from leaderboard.frames import Frame, frame

__all__ = ["Frame", "frame"]

if not TYPE_CHECKING:  # a type checker should still find every other name missing

    def __getattr__(name: str) -> object:
        """Not imported above: whoever wants a single module of the board should not wait for all of them."""
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from leaderboard import frames

        return getattr(frames, name)
