from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    steps: int = 60
    rows: int = 4
    length: int = 256  # tokens a row
    width: int = 32
    rate: float = 3e-3


def get_config(track_id: str) -> Config:
    return Config()
