from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    steps: int = 20


def get_config(track_id: str) -> Config:
    return Config()
