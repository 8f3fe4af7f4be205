"""What would be left of a run if everything stopped at its first moment; the run fills it in from there."""

import datetime
import secrets

import numpy as np

from harness import environment
from harness.errors import UserError
from harness.evaluation import Stream
from harness.result import (
    DatasetRef,
    Declared,
    Record,
    SandboxReport,
    Times,
    TrackRef,
    Verdict,
)
from harness.run_request import RunRequest


def scored_split(request: RunRequest) -> str:
    """The split that is scored: the track's, or val where somebody practises on a data set without it."""
    split, manifest = request.track.score.split, request.data.manifest
    if split in manifest.splits:
        return split
    if manifest.id == request.track.dataset:
        raise UserError(f"{request.track.id} scores the split {split}, which {manifest.id} does not have")
    return "val"


def scored_stream(request: RunRequest) -> Stream:
    """uint16 [targets + 1]: the first tokens of the scored split. Raises UserError when there are too few."""
    track, manifest = request.track, request.data.manifest
    wanted, split = track.score.targets, scored_split(request)
    tokens = request.data.tokens(split, None if wanted is None else wanted + 1)
    if wanted is not None and tokens.size < wanted + 1 and manifest.id == track.dataset:
        raise UserError(f"{track.id} scores {wanted} tokens, {split} of {track.dataset} has {tokens.size}")
    return np.asarray(tokens, dtype=np.uint16)


def first_record(request: RunRequest, targets: int) -> Record:
    """`targets`: tokens that will be scored."""
    track, manifest = request.track, request.data.manifest
    now = datetime.datetime.now(datetime.UTC)
    nothing_yet = SandboxReport(
        level=request.level,
        landlock_abi=0,
        memory_bound="polled",
        tree_kill="sweep",
        guarantees=(),
        not_covered=("no sandbox had started",),
    )
    train = manifest.splits["train"].tokens
    return Record(
        run_id=f"{now:%Y%m%d-%H%M%S}-{request.submission.name}-{secrets.token_hex(2)}",
        entry=request.submission.entry,
        track=TrackRef(
            id=track.id,
            version=track.version,
            sha256=track.sha256,
            objective=track.objective,
            limit_s=track.limits.train_s,
            target_nats=track.score.target_nats,
        ),
        dataset=DatasetRef(
            id=manifest.id,
            sha256=manifest.sha256,
            vocab_size=manifest.vocab_size,
            official=manifest.id == track.dataset and manifest.pinned,
            pinned=manifest.pinned,
            revision=manifest.source.revision,
            train_tokens=train if track.train_tokens is None else min(train, track.train_tokens),
            floor_nats=manifest.floor_nats(scored_split(request), targets),
        ),
        started_at=now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        # Whatever an entry seeds with it takes 31 bits; numpy's older generators refuse more than 32.
        seed=secrets.randbits(31) if request.seed is None else request.seed,
        verdict=Verdict.INTERRUPTED,
        reason="the harness stopped before the run ended",
        ran=False,
        scored=False,
        ranked=False,
        unranked_because=(f"the verdict is {Verdict.INTERRUPTED}",),
        times=Times(),
        declared=Declared(),
        overrides=request.overrides,
        ranks=request.ranks,
        environment=environment.describe(
            request.threads_a_rank * request.ranks,
            tuple(accelerator.device for accelerator in request.accelerators),
            nothing_yet,
        ),
        source=request.submission.source,
        series=request.series,
    )
