"""Builds the site: makes the pages that are not up to date, and writes them.

A page that is up to date costs a digest of what it is made of; any other one costs reading and decoding its record,
rendering and writing. The manifest (leaderboard/site/folder.py) says which are up to date.
"""

import importlib.util
from pathlib import Path
from typing import Final, NamedTuple

import harness.result
from harness.errors import UserError
from leaderboard.site.contents import Contents
from leaderboard.site.folder import SiteFolder, opened
from leaderboard.site.making import make_pages
from leaderboard.site.pages import Made, Page, all_pages, digest
from leaderboard.site.rendering import Templates
from leaderboard.store import Broken

_PACKAGE: Final = Path(__file__).parent
_PLOT_SCRIPT: Final = "package_data/plotly.min.js"  # inside the package plotly


class Tools(NamedTuple):
    """What the pages are made with."""

    templates: Path
    assets: Path  # site.css and site.js
    plot_script: Path  # Plotly's


class Built(NamedTuple):
    """What was done."""

    written: int  # files
    unchanged: int
    removed: int
    broken: tuple[Broken, ...]  # records that could not be read whole; their pages say so


def find_tools() -> Tools:
    """The templates and scripts that belong to this code. Raises UserError: plotly is not installed."""
    scripts = (place / _PLOT_SCRIPT for place in _places("plotly"))
    script = next((script for script in scripts if script.is_file()), None)
    if script is None:
        raise UserError("the site's plots need the package plotly; install it with: pip install plotly")
    return Tools(_PACKAGE / "templates", _PACKAGE / "assets", script)


def _places(package: str) -> list[Path]:
    """Where a package lies, without importing it, which takes Plotly a second; nowhere: it is not installed."""
    found = importlib.util.find_spec(package)
    return [Path(place) for place in (found.submodule_search_locations or ())] if found else []


def build(folder: Path, contents: Contents, tools: Tools) -> Built:
    """Makes `folder` hold the site of `contents`, and nothing of an older one.

    Raises:
        UserError: the folder can't be written or is somebody else's; a template or a script can't be read.
    """
    try:
        assets, version = _assets(tools), _version(tools)
    except OSError as error:
        raise UserError(f"cannot read {error.filename}: {error.strerror}; is the installation whole?") from None
    with opened(folder) as site:
        return _written(site, [*assets, *all_pages(contents, version)], tools)


def _written(site: SiteFolder, pages: list[Page], tools: Tools) -> Built:
    stale = [page for page in pages if not site.holds(page.path, page.digest)]
    gone = site.names - {page.path for page in pages}
    broken: dict[Broken, None] = {}  # the page of its entry may name it, too
    if stale or gone:
        with site.changing(page.path for page in stale):
            for done in make_pages(stale, site.write, Templates(tools.templates)):
                site.written(done.path, done.known)
                if done.broken is not None:
                    broken[done.broken] = None
            for path in sorted(gone):
                site.remove(path)
    return Built(len(stale), len(pages) - len(stale), len(gone), tuple(broken))


def _assets(tools: Tools) -> list[Page]:
    """The style sheet and the scripts, as they are."""
    sources = {
        "assets/site.css": tools.assets / "site.css",
        "assets/site.js": tools.assets / "site.js",
        "assets/plotly.min.js": tools.plot_script,
    }
    return [_asset(path, source.read_bytes()) for path, source in sources.items()]


def _asset(path: str, data: bytes) -> Page:
    return Page(path, digest(data), lambda templates: Made(data))


def _version(tools: Tools) -> str:
    """Changes with everything besides the records that a page is made by."""
    folders = (_PACKAGE.parent, _PACKAGE, *_places("jinja2"))  # whose version would take longer to read than its code
    code = [file for folder in folders for file in folder.glob("*.py")]
    files = [*sorted(tools.templates.glob("*.html")), *sorted(code), Path(harness.result.__file__)]
    return digest(b"".join(_counted(part) for file in files for part in (file.name.encode(), file.read_bytes())))


def _counted(data: bytes) -> bytes:
    """So that no two sequences of such pieces are the same when they are joined."""
    return len(data).to_bytes(8, "little") + data
