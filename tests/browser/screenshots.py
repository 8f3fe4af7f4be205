"""Pictures of a site for a person to look at: python -m tests.browser.screenshots DIR [OUT]

DIR is a site that `speedrun leaderboard --html DIR` made, or the one that `pytest tests/browser --basetemp=X` leaves in
X/site0/site. Of each kind the largest page is taken, as a telephone and a desk show it, light and dark.
OUT is the folder of the pictures; without it, DIR-shots.
"""

import itertools
import re
import sys
from pathlib import Path
from typing import Any

from tests.browser.chromium import launched, missing, served

VIEWS: dict[str, dict[str, Any]] = {
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "device_scale_factor": 2,
        "is_mobile": True,
        "has_touch": True,
    },
    "desk": {"viewport": {"width": 1280, "height": 900}},
}
THEMES = ("light", "dark")
TALLEST_PX = 4000  # of a picture: what lies below repeats what is above


def addresses(site: Path) -> dict[str, str]:
    """Name of the picture → address inside the site."""

    def largest(folder: str) -> str:
        pages = [page for page in (site / folder).glob("*.html") if "hostile" not in page.stem]  # of the made site
        pages.sort(key=lambda page: (-page.stat().st_size, page.name))
        return pages[0].stem

    def runs(track: Path) -> list[str]:
        return list(dict.fromkeys(re.findall(r"\.\./runs/([\w-]+)\.html", track.read_text())))

    found = {"index": "index.html"} | {name: f"{folder}/{largest(folder)}.html" for name, folder in _KINDS.items()}
    race = max((site / "tracks").glob("*.html"), key=lambda track: (len(runs(track)), track.name))
    found["track"] = f"tracks/{race.name}"
    if len(of_race := runs(race)) > 1:
        found["compare"] = f"compare.html?a={of_race[0]}&b={of_race[len(of_race) // 2]}"
    return found


_KINDS = {"entry": "entries", "run": "runs"}


def take(site: Path, out: Path) -> list[Path]:
    """Takes every picture. Returns where they lie."""
    out.mkdir(parents=True, exist_ok=True)
    taken = []
    with served(site) as home, launched() as browser:
        for (view, settings), theme in itertools.product(VIEWS.items(), THEMES):
            context = browser.new_context(**settings, color_scheme=theme)
            page = context.new_page()
            for name, address in addresses(site).items():
                page.goto(home + address)
                page.wait_for_load_state("networkidle")
                _draw_everything(page)
                path = out / f"{name}-{view}-{theme}.png"
                size = settings["viewport"]
                height = min(TALLEST_PX, page.evaluate("document.documentElement.scrollHeight"))
                page.screenshot(
                    path=path, full_page=True, clip={"x": 0, "y": 0, "width": size["width"], "height": height}
                )
                taken.append(path)
            context.close()
    return taken


def _draw_everything(page: Any) -> None:
    """Scrolls to each plot and source, which are drawn when they are seen."""
    for figure in page.locator("figure.plot").all():
        figure.scroll_into_view_if_needed()
        figure.locator(".main-svg").first.wait_for()
    for source in page.locator("details[open] pre.source").all():
        source.scroll_into_view_if_needed()
        source.and_(page.locator(".numbered")).wait_for()
    page.evaluate("scrollTo(0, 0)")


def main() -> None:
    if not re.fullmatch(r"1|2", str(len(sys.argv) - 1)) or (why := missing()):
        raise SystemExit(why if len(sys.argv) > 1 else __doc__)
    site = Path(sys.argv[1])
    for path in take(site, Path(sys.argv[2]) if len(sys.argv) > 2 else site.with_name(f"{site.name}-shots")):
        print(path)


if __name__ == "__main__":
    main()
