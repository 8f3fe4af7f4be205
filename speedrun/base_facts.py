"""What a commit knows of records: its tracks, data sets, maintainers, results and duels; read where git keeps them."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from harness.errors import UserError
from harness.git_objects import Objects
from harness.git_tree import FILE_MODE
from harness.result import Tier
from harness.track import Track, load_track
from leaderboard import signatures
from leaderboard.plausibility import Facts
from leaderboard.schema import RECORD_CAP_BYTES, RecordError, Summary, decode_summary
from speedrun.known_facts import known_facts
from speedrun.pull_request import DUELS, RESULTS

_TRACKS = "harness/tracks"
_DATASETS = "data/datasets"
_MAINTAINERS = "leaderboard/maintainers"
_MOST_TOML_BYTES = 1 << 20


class BaseFacts(NamedTuple):
    """What new records are held against."""

    tracks: dict[str, Track]  # those that can be read, with their data sets
    broken: dict[str, str]  # track → why it can't
    plausible: Facts  # of `tracks`
    earlier: tuple[Summary, ...]  # the records
    vouched_series: frozenset[str]  # ids of all duels, and of whatever verified records were made for
    maintainers: Path  # the allowed-signers file; nobody is a maintainer where there is none


def base_facts(objects: Objects, commit: str, scratch: Path) -> BaseFacts:
    """The facts of a commit that maintainers have merged.

    scratch: a folder for copies of what is read from files.

    Raises:
        ObjectError: it is too large, or not all there.
    """
    maintainers, folder, datasets = scratch / "maintainers", scratch / "tracks", scratch / "datasets"
    keys = objects.find(commit, _MAINTAINERS)
    if keys is not None and keys.mode == FILE_MODE:
        maintainers.write_bytes(objects.read(keys, signatures.MAINTAINERS_CAP_BYTES))
    _lay_out(objects, commit, _TRACKS, folder)
    _lay_out(objects, commit, _DATASETS, datasets)
    nothing_prepared = scratch / "cache"
    tracks: dict[str, Track] = {}
    broken: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        try:
            track = load_track(path)
            known_facts([track], datasets, nothing_prepared)
        except UserError as error:
            broken[path.stem] = str(error)
        else:
            tracks[track.id] = track
    earlier = tuple(_records(objects, commit))
    return BaseFacts(
        tracks=tracks,
        broken=broken,
        plausible=known_facts(tuple(tracks.values()), datasets, nothing_prepared),
        earlier=earlier,
        vouched_series=frozenset(_duels(objects, commit))
        | {run.series.id for run in earlier if run.series is not None and run.tier is Tier.VERIFIED},
        maintainers=maintainers,
    )


def _lay_out(objects: Objects, commit: str, folder: str, place: Path) -> None:
    """The TOML files of a folder, for those who read them from one."""
    place.mkdir()
    for name, item in objects.names(commit, folder).items():
        if item.mode == FILE_MODE and name.endswith(".toml"):
            (place / name).write_bytes(objects.read(item, _MOST_TOML_BYTES))


def _records(objects: Objects, commit: str) -> Iterator[Summary]:
    """One that is broken there is no fault of the change; speedrun leaderboard names it."""
    for track in objects.names(commit, RESULTS):
        for name, item in objects.names(commit, f"{RESULTS}/{track}").items():
            if item.mode == FILE_MODE and name.endswith(".json"):
                try:
                    yield decode_summary(objects.read(item, RECORD_CAP_BYTES))
                except RecordError:
                    continue


def _duels(objects: Objects, commit: str) -> Iterator[str]:
    """Their ids, which are the names of their files."""
    for track in objects.names(commit, DUELS):
        yield from (name.removesuffix(".json") for name in objects.names(commit, f"{DUELS}/{track}"))
