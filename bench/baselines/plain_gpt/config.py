"""What bench/strength.py measures the template against. The numbers come from bench/sweep.py: docs/baseline.md."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    d_model: int = 128
    n_layers: int = 1
    n_heads: int = 4
    dropout: float = 0.0
    context: int = 128  # tokens a training window, and a scored one: the learned positions end there
    eval_stride: int = 96  # tokens from one scored window to the next
    batch_size: int = 4  # windows a step
    learning_rate: float = 3e-3  # at its peak
    warmup: float = 0.05  # share of the time until the peak
    final_rate: float = 0.1  # share of the peak that is left when the time is over
    beta2: float = 0.99
    weight_decay: float = 0.1  # of matrices, not of gains and biases
    gradient_norm: float = 1.0  # at most
    compile_s: int = 90  # seconds of the untimed set-up that torch.compile may take; 0: train without it


def get_config(track_id: str) -> Config:
    return Config()
