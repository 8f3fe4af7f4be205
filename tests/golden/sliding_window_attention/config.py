from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    steps: int = 60
    rows: int = 8
    length: int = 128  # tokens a row
    width: int = 48
    rate: float = 3e-3


def get_config(track_id: str) -> Config:
    return Config()
