from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    steps: int = 60
    rows: int = 16
    length: int = 64  # tokens a row
    width: int = 48
    rate: float = 1e-2


def get_config(track_id: str) -> Config:
    return Config()
