"""The numbers of the smallest entry."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    smoothing: float = 0.1  # added to every count
    tokens: int = 200_000  # training tokens that are counted
    patience_s: float = 0.0  # train until the clock says so, at least


def get_config(track_id: str) -> Config:
    """The same for every track."""
    return Config()
