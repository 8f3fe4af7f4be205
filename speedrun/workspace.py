"""Where things lie in a checkout. The one place that knows the folders by name."""

import os
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError


@dataclass(frozen=True)
class Workspace:
    """The folders of one checkout."""

    root: Path
    cache_elsewhere: Path | None = None  # of a node, which keeps data sets from one commit to the next

    @property
    def submissions(self) -> Path:
        return self.root / "speedrun" / "submissions"

    @property
    def template(self) -> Path:
        return self.root / "template"

    @property
    def tracks(self) -> Path:
        return self.root / "harness" / "tracks"

    @property
    def datasets(self) -> Path:
        return self.root / "data" / "datasets"

    @property
    def cache(self) -> Path:
        return self.cache_elsewhere or self.root / "data" / "cache"

    @property
    def results(self) -> Path:
        return self.root / "leaderboard" / "results"

    @property
    def duels(self) -> Path:
        return self.root / "leaderboard" / "duels"

    @property
    def rulings(self) -> Path:
        return self.root / "leaderboard" / "rulings"

    @property
    def published(self) -> Path:
        return self.root / "leaderboard" / "published"

    @property
    def readme(self) -> Path:
        return self.root / "README.md"

    @property
    def tracks_page(self) -> Path:
        return self.root / "docs" / "tracks.md"

    @property
    def board(self) -> Path:
        return self.root / "leaderboard" / "README.md"


def find_workspace() -> Workspace:
    """The checkout that SPEEDRUN_ROOT names, else the one around the current folder, else the one this code lies in."""
    named = os.environ.get("SPEEDRUN_ROOT")
    if named:
        if not _is_checkout(Path(named)):
            raise UserError(
                "SPEEDRUN_ROOT names no speedrun checkout (no template/ and harness/tracks/ in it); unset it"
            )
        return Workspace(Path(named).resolve())
    here = Path.cwd()
    for folder in (here, *here.parents, Path(__file__).resolve().parent.parent):
        if _is_checkout(folder):
            return Workspace(folder)
    raise UserError("this is no speedrun checkout; clone the repository and work inside it")


def _is_checkout(folder: Path) -> bool:
    return (folder / "harness" / "tracks").is_dir() and (folder / "template").is_dir()
