"""Stored text names neither the machine nor its owner."""

import socket
from pathlib import Path

import pytest

from harness.privacy import anonymous


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ('File "/srv/me/repo/cache/runs/x/submission/speedrun.py", line 3', 'File "…/speedrun.py", line 3'),
        ("/usr/lib/python3/site-packages/torch/nn.py:12: UserWarning", "…/nn.py:12: UserWarning"),
        ("a/b/c and 1/2 and https://example.org/x/y stay", "a/b/c and 1/2 and https://example.org/x/y stay"),
        ("no such file: '/data/x.bin'", "no such file: '…/x.bin'"),
        ("", ""),
        ("-I/home/bob/inc and //home/bob/x and file:///Users/bob/x", "-I~/inc and …/x and file://~/x"),
        ("/home/John Doe/repo/x.py", "~/repo/x.py"),
        ("uuid=6c7d2b1a-0123-4567-89ab-0123456789ab at 0000:65:00.0", "uuid=… at …"),
        ("'GPU-6c7d2b1a-0123-4567-89ab-0123456789ab,MIG-6C7D2B1A-0123-4567-89AB-0123456789AB'", "'…,…'"),
        ("12:30:45.1 and 6c7d2b1a stay", "12:30:45.1 and 6c7d2b1a stay"),
    ],
)
def test_folders_of_absolute_paths_go(text, stored):
    assert anonymous(text) == stored


def test_home_and_host_go():
    text = f"{Path.home()}/secret/plan.txt in {Path.home()} on {socket.gethostname()}"
    assert anonymous(text) == "~/secret/plan.txt in ~ on localhost"
