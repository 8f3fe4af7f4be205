"""The scorer leaves word for its twin by every road: files, their times and attributes, sockets, a daemon.

A twin that knows the scorer's rows could say the same as a scorer that looked ahead.
"""

import contextlib
import os
import socket
import sys
import time

import torch
from torch import nn

WORD = "tells_its_twin"
DAY = 1_000_000_000.0  # 2001, in seconds


class Bigram(nn.Module):
    """Logits from the current token alone."""

    def __init__(self, vocab):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(vocab, vocab))

    def forward(self, tokens):
        return self.table[tokens]


def count_pairs(run, model):
    """The maximum-likelihood bigram table with add-one smoothing, from the first shard."""
    tokens = torch.from_numpy(run.train_tokens().shards[0][:200_000].astype("int64"))
    pairs = torch.bincount(tokens[:-1] * run.vocab_size + tokens[1:], minlength=run.vocab_size**2)
    counts = pairs.reshape(run.vocab_size, run.vocab_size) + 1.0
    model.table.data = (counts / counts.sum(1, keepdim=True)).log()
    return model


def folders(run):
    """Wherever somebody might be able to write, and to read later."""
    torch_folder, python = os.path.dirname(torch.__file__), os.path.dirname(sys.executable)
    own = [run.scratch, os.getcwd(), run._job.submission, run._job.artifact, run._job.data, os.path.dirname(__file__)]
    near = [f"{run.scratch}/../../{phase}/scratch" for phase in ("train", "score", "twin")]
    far = ["/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run", "/", os.path.expanduser("~"), torch_folder, python]
    return [folder for folder in (*own, *near, *far) if folder]


def files(run):
    """Some that both sandboxes have."""
    shared = (run._job.submission, run._job.artifact)
    below = [f"{folder}/{name}" for folder in shared for name in os.listdir(folder)]
    return [*shared, *below, torch.__file__, sys.executable, sys.argv[0]]


def leave_word(run):
    for folder in folders(run):
        with contextlib.suppress(OSError):
            open(f"{folder}/{WORD}", "w").close()
    for path in files(run):
        for write in (
            lambda path: os.utime(path, (DAY, DAY)),
            lambda path: os.setxattr(path, f"user.{WORD}", b"1"),
            lambda path: os.chmod(path, os.stat(path).st_mode ^ 0o1000),
        ):
            with contextlib.suppress(OSError):
                write(path)
    if os.fork() == 0:  # a daemon with two names
        listeners = []
        for name in ("\0" + WORD, f"/dev/shm/{WORD}.socket", f"/tmp/{WORD}.socket"):
            with contextlib.suppress(OSError):
                listeners.append(socket.socket(socket.AF_UNIX))
                listeners[-1].bind(name)
                listeners[-1].listen()
        while True:
            time.sleep(1.0)


def word(run):
    """Every place where word was left."""
    found = [folder for folder in folders(run) if os.path.exists(f"{folder}/{WORD}")]
    for path in files(run):
        status = os.stat(path)
        if status.st_mtime == DAY or status.st_mode & 0o1000 or f"user.{WORD}" in attributes(path):
            found.append(path)
    for name in ("\0" + WORD, f"/dev/shm/{WORD}.socket", f"/tmp/{WORD}.socket"):
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as caller:
            caller.connect(name)
            found.append(name)
    return found


def attributes(path):
    try:
        return os.listxattr(path)
    except OSError:
        return ()


def setup(run):
    model = Bigram(run.vocab_size)
    model.run = run
    if run.phase == "score" and (found := word(run)):
        raise RuntimeError(f"FOUND the scorer's word in {found}")
    return model


def train(run, model):
    return count_pairs(run, model)


def predict(model, tokens):
    if model.run.phase == "score" and not word(model.run):
        leave_word(model.run)
        if not word(model.run):
            raise RuntimeError("no word could be left; the attack is broken")
    return model(tokens)
