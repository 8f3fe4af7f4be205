"""How long to wait."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    wait_s: float = 7.0  # on the clock


def get_config(track_id: str) -> Config:
    return Config()
