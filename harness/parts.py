"""One sandbox of a run: started, with a dialogue and the job that its worker gets; dead when the block is left."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from harness.clock import Clock
from harness.dialogue import Dialogue, Ending
from harness.protocol import Connection, Hello, Job, Locked, Ready, TrackView
from harness.run_request import Part, RunRequest, accelerators_of
from harness.run_walls import sandbox_limits
from harness.sandbox import Card, Mounts, Sandbox, SandboxError


class Opened(NamedTuple):
    """A sandbox that has started, before its worker has heard a word."""

    sandbox: Sandbox
    dialogue: Dialogue
    job: Job


@contextlib.contextmanager
def open_part(
    part: Part,
    request: RunRequest,
    ground: Path,
    folder: Path,
    *,
    seed: int,
    clock: Clock,
    launch: Callable[..., Sandbox],
    ticker: Callable[[Sandbox], Callable[[], None]],
) -> Iterator[Opened]:
    """A fresh sandbox for this part of a run.

    Args:
        part: training gets the folder `data` of `ground`, scorer and twin its `artifact`.
        request: who runs, where, how confined.
        ground: holds what is mounted: boot, submission, and data or artifact.
        folder: the sandbox's own, which is made here.
        seed: of the run.
        clock: of every deadline.
        launch: makes the sandbox.
        ticker: makes what is called now and then while the parent waits.
    """
    training = part == "train"
    granted = accelerators_of(part, request.accelerators)
    ranks = request.ranks if training else 1
    cards = tuple(Card(minor=accelerator.minor, uuid=accelerator.uuid) for accelerator in granted)
    folder.mkdir()
    mounts = Mounts(
        boot=ground / "boot",
        submission=ground / "submission",
        run_folder=folder,
        data=ground / "data" if training else None,
        artifact=None if training else ground / "artifact",
    )
    with launch(request.level, mounts, sandbox_limits(request, ranks, training=training), cards) as sandbox:
        sandbox.start()
        connection = Connection(sandbox.socket, clock.now, watch=lambda: dialogue.look(), idle=lambda: dialogue.idle())
        dialogue = Dialogue(connection, sandbox, clock, ticker(sandbox))
        yield Opened(sandbox, dialogue, _job(request, sandbox, training, seed, "cuda:0" if granted else "cpu", ranks))


def greet(opened: Opened) -> Ready:
    """Lock the worker down and let it set the entry up, within the dialogue's deadline.

    Raises Ending for what the entry does, and SandboxError where it was never reached.
    """
    sandbox, dialogue, job = opened
    dialogue.tell(Hello(policy=sandbox.policy, job=job))
    try:
        dialogue.bare(Locked)
    except Ending as ending:  # up to here all code in the sandbox is ours
        raise SandboxError(f"the sandbox ended before the entry was loaded: {ending.reason}") from None
    return dialogue.bare(Ready)


def _job(request: RunRequest, sandbox: Sandbox, training: bool, seed: int, device: str, ranks: int) -> Job:
    track, manifest, inside = request.track, request.data.manifest, sandbox.inside
    return Job(
        phase="train" if training else "score",
        submission=inside.submission,
        scratch=inside.scratch,
        data=inside.data,
        artifact=inside.artifact,
        track=TrackView(
            id=track.id,
            objective=track.objective,
            limit_s=track.limits.train_s,
            target_nats=track.score.target_nats,
        ),
        overrides=request.overrides,
        seed=seed,
        device=device,
        world_size=ranks,
        threads=request.threads_a_rank,
        vocab_size=manifest.vocab_size,
        max_context=track.score.max_context,
        separator=manifest.separator,
        row_tokens=manifest.row_tokens,
    )
