from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    discount: float = 0.75


def get_config(track_id: str) -> Config:
    return Config()
