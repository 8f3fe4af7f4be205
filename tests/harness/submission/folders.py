"""What an entry's folder holds that keeps every rule, and what is asked of one that does not."""

import os
import subprocess

from harness.submission import check

SPEEDRUN = '''"""An entry."""

import torch


def setup(run):
    return torch.nn.Linear(2, 2)


def train(run, model):
    return model


@torch.no_grad()
def predict(model, tokens):
    return model(tokens)
'''

CONFIG = """from dataclasses import dataclass
from typing import ClassVar, Optional


@dataclass(frozen=True)
class Config:
    lr: float = 3e-4  # a remark
    d_model: int = 128
    name: "str" = "gpt"
    fused: bool = True
    betas: tuple[float, float] = (0.9, 0.95)
    widths: tuple[int, ...] = ()
    limit: int | None = None
    share: Optional[float] = None
    kinds: ClassVar[int] = 3


def get_config(track_id):
    return Config()
"""

CARD = """title = "Small and quick"
technique = "Muon on everything"
based_on = "baseline"

[[authors]]
name = "Ada Ω"
link = "https://example.org/ada"

[[authors]]
name = "Bob"
link = "@bob"
"""


def told(folder, name="me"):
    return [str(problem) for problem in check(folder, name)]


def only(folder, *parts):
    """There is exactly one problem, and it says every part."""
    problems = told(folder)
    assert len(problems) == 1, problems
    assert "\n" not in problems[0]
    for part in parts:
        assert part in problems[0]


def git(folder, *arguments):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "init.defaultBranch=main")
    return subprocess.run(
        ["git", *identity, *arguments], cwd=folder, env=clean, check=True, capture_output=True, text=True
    ).stdout
