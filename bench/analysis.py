"""Makes docs/analysis.md and its figures, which need the extra `bench`, from the page's own code.

The code blocks run in their order, in one namespace, on the records that the page names and no others, so that the page
stays right when more records come. What a block prints stands in the block of text behind it; a block before an image
draws it, as `figure`; and a sentence with numbers is a template in a comment, filled in with the names of the code.
"""

import contextlib
import io
import os
import re
import shutil
import tempfile
import textwrap
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "analysis.md"
STYLE = MappingProxyType({"svg.fonttype": "none", "svg.hashsalt": "analysis", "font.size": 9})
LINE = 120  # characters of a filled-in sentence

_RUNS = re.compile(r"^runs: ([^>]*?)\s*-->$", re.M)
_STEP = re.compile(
    r"^```python\n(?P<code>.*?)^```\n"
    r"(?:\n```text\n(?P<printed>.*?)^```\n)?"
    r"(?P<image>\n!\[[^\]]*\]\((?P<figure>analysis-[a-z-]+\.svg)\)\n)?"
    r"|^<!-- say: (?P<template>[^>]*?) -->\n(?P<said>.*?)^<!-- said -->\n",
    re.M | re.S,
)


class Figure(NamedTuple):
    """A figure of the page, and what it is made from."""

    name: str  # of its file, beside the page
    made_from: str  # a hash of the records' names and of all code up to its own


def run_ids(text: str) -> list[str]:
    """The records that the page is about."""
    (found,) = _RUNS.findall(text)
    return found.split()


def figures(text: str) -> list[Figure]:
    """In the page's order."""
    code, found = " ".join(run_ids(text)), []
    for step in _STEP.finditer(text):
        code += step["code"] or ""
        if step["figure"]:
            found.append(Figure(step["figure"], sha256(code.encode()).hexdigest()))
    return found


def copy_records(text: str, checkout: Path) -> None:
    """Makes a checkout that holds the page's records and nothing else: no ruling can change what the page says.

    Raises:
        FileNotFoundError: one of them is not in this repository.
    """
    for run_id in run_ids(text):
        path = next(ROOT.glob(f"leaderboard/results/*/{run_id}.json"), ROOT / f"{run_id}.json")
        copy = checkout / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)


def rewritten(text: str, drawn: Path | None) -> str:
    """The page with what its code says of the records in the checkout that SPEEDRUN_ROOT names.

    drawn: the folder for the figures; None: the blocks that draw, for which matplotlib is needed, are passed over.
    """
    names: dict[str, Any] = {}
    to_draw = {figure.name: figure for figure in figures(text)}

    def fill(step: re.Match[str]) -> str:
        if step["template"] is not None:
            template = " ".join(step["template"].split())
            said = "\n".join(textwrap.wrap(template.format(**names), LINE))
            return f"<!-- say: {step['template']} -->\n{said}\n<!-- said -->\n"
        if step["figure"] and drawn is None:
            return step[0]
        printed = _run(step["code"], names)
        if step["figure"]:
            _draw(names.pop("figure"), to_draw[step["figure"]], drawn)
        block = f"```python\n{step['code']}```\n"
        return block + (f"\n```text\n{printed}```\n" if printed else "") + (step["image"] or "")

    return _STEP.sub(fill, text)


def _run(code: str, names: dict[str, Any]) -> str:
    """What it prints, without blanks at the ends of lines."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, PAGE.name, "exec"), names)
    return "".join(f"{line.rstrip()}\n" for line in printed.getvalue().splitlines())


def _draw(drawing: Any, figure: Figure, folder: Path) -> None:
    """The same bytes for the same records and the same matplotlib."""
    import matplotlib as mpl

    with mpl.rc_context(dict(STYLE)):
        drawing.savefig(folder / figure.name, metadata={"Date": None, "Description": figure.made_from})


def main() -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update(STYLE)
    text = PAGE.read_text()
    with tempfile.TemporaryDirectory() as checkout:
        copy_records(text, Path(checkout))
        os.environ["SPEEDRUN_ROOT"] = checkout
        PAGE.write_text(rewritten(text, PAGE.parent))


if __name__ == "__main__":
    main()
