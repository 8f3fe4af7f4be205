"""What records are held against, by the audit and in a pull request: the tracks and data sets as they are."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from data import manifest
from harness.track import Track
from leaderboard.plausibility import Data, Facts, Terms
from speedrun.fitness import accelerator_words, meets


def known_facts(tracks: Sequence[Track], datasets: Path, cache: Path) -> Facts:
    """The facts of these tracks, with their data sets' manifests from `datasets` and `cache`.

    Raises:
        UserError: a manifest is missing or broken.
    """
    manifests = {dataset: manifest.find(dataset, datasets, cache) for dataset in {track.dataset for track in tracks}}
    return Facts(
        tracks={track.id: _terms(track, manifests[track.dataset]) for track in tracks},
        datasets={
            dataset: Data(sha256=found.sha256, vocab_size=found.vocab_size)
            for dataset, found in manifests.items()
            if found.pinned
        },
        now=datetime.now(UTC),
    )


def _terms(track: Track, dataset: manifest.Manifest) -> Terms:
    resources, gates = track.resources, track.gates
    split = dataset.splits.get(track.score.split)
    return Terms(
        version=track.version,
        sha256=track.sha256,
        objective=track.objective,
        limit_s=track.limits.train_s,
        target_nats=track.score.target_nats,
        dataset=track.dataset,
        targets=track.score.targets,
        max_context=track.score.max_context,
        threads=resources.threads * resources.count,
        accelerators=0 if resources.accelerator == "cpu" else resources.count,
        accelerator=accelerator_words(resources),
        meets=partial(meets, resources),
        artifact_bytes=int(track.limits.artifact_mib * 2**20),
        parameters=(gates.parameters_min or 0, gates.parameters_max or math.inf),
        declared_tokens=gates.declared_tokens_min or 0,
        floors={floor.targets: floor.nats for floor in split.floors} if split is not None else {},
    )
