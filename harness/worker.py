"""The inside of a sandbox: locks itself down, sets the entry up, trains it or answers for it.

Trusted until the submission is imported and not a line longer: from then on the submission shares this process and can
change anything here. Nothing that leaves this process is therefore believed; see harness/evaluation.py and
harness/twin.py. Not covered here: everything that must hold against the submission.

Started as `python -B -I <boot>/harness/worker.py FD`, where FD is the worker's end of the socket: by the parent, or, as
one of several ranks, by harness/ranks.py.
"""

import contextlib
import mmap
import os
import socket
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

BOOT = str(Path(__file__).resolve().parent.parent)
if BOOT not in sys.path:
    sys.path.insert(0, BOOT)

from harness import lockdown, ranks  # noqa: E402
from harness.entry_config import configured  # noqa: E402
from harness.entry_failure import failure  # noqa: E402
from harness.entry_module import Entry, load_entry  # noqa: E402
from harness.entry_run import Run  # noqa: E402
from harness.entry_scorer import Scorer  # noqa: E402
from harness.protocol import (  # noqa: E402
    Closed,
    Connection,
    Cut,
    Done,
    File,
    Go,
    Hello,
    Job,
    Join,
    Locked,
    Ready,
    Save,
    Saved,
    Tokens,
    decode_to_worker,
)
from harness.syscalls import PR_SET_DUMPABLE, prctl  # noqa: E402


def messages(connection: Connection) -> Iterator[tuple[typing.Any, bytes]]:
    """The parent's words until it closes the connection."""
    while True:
        try:
            header, size = connection.header()
            yield decode_to_worker(header), bytes(connection.exactly(size))
        except Closed:
            return


def set_up(job: Job, connection: Connection) -> tuple[Entry, typing.Any]:
    """Import the entry and build its model. Raises whatever the entry raises."""
    import torch

    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    config_module, module = load_entry(job.submission)
    run = Run(job, configured(config_module, job.track.id, job.overrides), connection)
    entry = Entry(module, run)
    if job.device.startswith("cuda"):  # a bare "cuda" must mean this rank's; importing the entry may configure CUDA
        torch.cuda.set_device(job.device)
    model = entry.setup(run)
    if job.phase == "score":
        assert job.artifact is not None
        model = entry.load(model, Path(job.artifact))
    context, stride, rows = run.windows
    connection.send(Ready(parameters=parameters(model), context=context, stride=stride, rows=rows))
    return entry, model


def parameters(model: typing.Any) -> int | None:
    """Number of trainable and frozen numbers, shared ones once; None for what is no torch module."""
    import torch

    if not isinstance(model, torch.nn.Module):
        return None
    return sum(parameter.numel() for parameter in model.parameters())


def train(entry: Entry, model: typing.Any, message: Go, connection: Connection) -> typing.Any:
    """The timed phase: from GO to DONE."""
    import torch

    entry.run.begin(message.shards)
    if isinstance(model, torch.nn.Module):
        model.train()
    model = entry.train(entry.run, model)
    if entry.run.device.startswith("cuda"):
        torch.cuda.synchronize()
    entry.run.finish_log()
    connection.send(Done())
    return model


def send_artifact(entry: Entry, model: typing.Any, connection: Connection) -> None:
    """Save into scratch and send every file over the socket: the parent opens nothing that was written in here."""
    folder = Path(entry.run.scratch) / "artifact"
    folder.mkdir()
    entry.save(model, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as stream:
            if os.fstat(stream.fileno()).st_size == 0:
                connection.send(File(name=name))
                continue
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
                view = memoryview(content)
                connection.send(File(name=name), view)
                view.release()
    connection.send(Saved(files=len(files)))


def serve(job: Job, connection: Connection) -> None:
    """Set up, then do what the parent asks until it hangs up."""
    entry, model = set_up(job, connection)
    scorer: Scorer | None = None
    for message, payload in messages(connection):
        match message:
            case Go():
                scorer = None
                model = train(entry, model, message, connection)
            case Save():
                send_artifact(entry, model, connection)
            case Tokens():
                scorer = scorer or Scorer(entry, model, job.vocab_size)
                connection.send(*scorer.answer_tokens(message, payload))
            case Cut():
                scorer = scorer or Scorer(entry, model, job.vocab_size)
                connection.send(*scorer.answer_cut(message, payload))


def main(descriptor: int) -> int:
    """One sandbox's work, or one rank's; the exit code."""
    connection = Connection(socket.socket(fileno=descriptor))
    match decode_to_worker(connection.header()[0]):
        case Hello(policy=policy, job=job):
            if job.world_size > 1:  # the supervisor's memory is closed to its ranks, which exec opens again for theirs
                prctl(PR_SET_DUMPABLE, 0)
            report = lockdown.apply(policy)
            connection.send(Locked(landlock_abi=report.landlock_abi, seccomp=report.seccomp))
            if job.world_size > 1:
                return ranks.supervise(job, connection, __file__)
        case Join(job=job):
            pass
        case _:
            return 2
    return work(job, connection)


def work(job: Job, connection: Connection) -> int:
    """Everything with the entry; how it failed is the last word."""
    import faulthandler

    faulthandler.enable()  # a crash in native code leaves its Python line in the log
    import torch  # noqa: F401 - before the submission's folder is on the path

    try:
        serve(job, connection)
    except Closed:
        return 1
    except BaseException as error:
        with contextlib.suppress(Closed):
            connection.send(failure(error, job.submission, job.device))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
