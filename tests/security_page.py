"""The parts of docs/security.md that are made from the tests: the sandbox's table, who tries which exploit, what is
untold. `python -m tests.security_page` rewrites them.
"""

import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from tests.harness import sandbox_table

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "security.md"
EXPLOITS = range(1, 36)
FOUND_HERE = "–"  # stands for the number of what is on no list
_ROW = re.compile(rf"^\| (?P<number>\d+|{FOUND_HERE}) \| (?P<what>[^|]*) \|(?P<tried>[^|]*)\|(?P<more>[^|]*)\|$", re.M)


class Cheat(NamedTuple):
    """What a folder in tests/cheats says of itself."""

    name: str
    attack: str
    exploits: tuple[int, ...]
    outcome: str
    rule: str  # a paragraph of RULES.md, "3.5"; "" where a machine tells


def cheats() -> list[Cheat]:
    """Sorted by name. Raises KeyError where an expect.toml lacks what the page needs."""
    found = []
    for path in sorted((ROOT / "tests" / "cheats").glob("*/expect.toml")):
        said = tomllib.loads(path.read_text())
        found.append(
            Cheat(path.parent.name, said["attack"], tuple(said["exploits"]), said["outcome"], said.get("rule", ""))
        )
    return found


def tried_by(number: str, known: Iterable[Cheat]) -> str:
    """The third cell of an exploit's row."""
    exploits = () if number == FOUND_HERE else (int(number),)
    mine = [each for each in known if (exploits and exploits[0] in each.exploits) or exploits == each.exploits]
    parts = []
    for outcome in ("caught", "harmless", "untold"):
        names = [f"`{each.name}`" for each in mine if each.outcome == outcome]
        if names:
            parts.append(f"{outcome}: {', '.join(names)}")
    return "; ".join(parts)


def rows(text: str) -> dict[str, tuple[str, str]]:
    """The exploits of the page: number → (tried by, and by)."""
    return {row["number"]: (row["tried"].strip(), row["more"].strip()) for row in _ROW.finditer(text)}


def untold(known: Iterable[Cheat]) -> list[str]:
    return [f"- `{each.name}`: {each.attack} (RULES.md {each.rule})." for each in known if each.outcome == "untold"]


def between(text: str, name: str) -> list[str]:
    """The lines between a part's markers."""
    return text[slice(*_span(text, name))].strip().splitlines()


def rewritten(text: str) -> str:
    """The page with every part as the tests have it now."""
    known = cheats()
    for name, lines in (("sandbox table", sandbox_table.markdown()), ("untold", untold(known))):
        begin, end = _span(text, name)
        text = "\n".join((text[:begin], "", *lines, "", text[end:]))

    def fill(row: re.Match[str]) -> str:
        cells = (row["number"], row["what"], tried_by(row["number"], known), row["more"].strip())
        return f"| {' | '.join(cells)} |"

    return _ROW.sub(fill, text)


def _span(text: str, name: str) -> tuple[int, int]:
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    return text.index(begin) + len(begin), text.index(end)


if __name__ == "__main__":
    PAGE.write_text(rewritten(PAGE.read_text()))
