"""What a pull request may change: one entry's folder, and new records of that entry. All else is refused by name.

Pure rules over the list of changes and what was read of them; speedrun/commands/verify_pr.py does the reading. A rule
that refuses names the path and the reason; all of them are told, not only the first.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import msgspec

from harness.errors import UserError
from harness.folder import IGNORED_NAMES, IGNORED_SUFFIXES, MAX_BYTES, MAX_FILES, safe_path
from harness.git_objects import Change
from harness.git_tree import FILE_MODE, Item, shown_path
from harness.result import SourceFile
from harness.submission import check_name, look_alike
from leaderboard.likeness import likeness
from leaderboard.schema import RUN_ID, TRACK_ID
from leaderboard.store import SIGNATURE_SUFFIX

MOST_CHANGES = 1_000  # files; an entry has at most 50
MOST_RECORDS = 50
MOST_RECORD_BYTES = 2**20  # of one; the first records have 60 KiB at most

SUBMISSIONS = "speedrun/submissions"
RESULTS = "leaderboard/results"
DUELS = "leaderboard/duels"

ALIKE = 0.8  # from here on a reviewer is told of the other entry

_ONLY = "a pull request of an entry changes that entry's folder and adds its records, nothing else"
_AREAS = (  # the first that fits
    (".github/", "what CI runs"),
    (".ci/", "what CI runs"),
    ("Makefile", "what CI runs"),
    ("harness/tracks/", "a track's rules"),
    ("harness/", "the harness"),
    ("data/", "the data sets"),
    ("template/", "the template"),
    ("tests/", "the tests"),
    ("leaderboard/maintainers", "the maintainers' keys"),
    ("leaderboard/published/", "the published results"),
    ("leaderboard/rulings/", "the maintainers' rulings"),
    ("leaderboard/duels/", "the duels"),
    ("leaderboard/results/", "the results, where only <track>/<run id>.json may be added"),
    ("leaderboard/README.md", "the board, which is rendered from the records"),
    ("leaderboard/", "the leaderboard"),
    ("speedrun/submissions/", "the folder of all entries, and not an entry's own"),
    ("speedrun/", "the command line"),
    ("RULES.md", "the rules"),
)
_KINDS = {"120000": "is a link", "160000": "is a submodule", "100755": "is executable (git update-index --chmod=-x)"}


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a change is refused."""

    path: str  # harmless to print; empty: the change as a whole
    reason: str


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """A file of the entry, before and after."""

    path: str  # inside the entry's folder
    done: Literal["added", "edited", "deleted"]
    lines_added: int  # a line that only moved counts as neither
    lines_removed: int


class Likeness(msgspec.Struct, frozen=True, kw_only=True):
    """How alike the entry's code is to another entry's; 1: the same but for names, values and layout."""

    entry: str
    share: float
    template_share: float  # how alike it is to the template, from which most entries start


@dataclass(frozen=True)
class Sorted:
    """A change, taken apart."""

    entry: str | None  # the one that it is about; None: none, several, or one with an impossible name
    records: tuple[Change, ...]  # added
    signatures: dict[str, Item]  # by the path of the record
    refusals: tuple[Refusal, ...]


class _Place(NamedTuple):
    kind: Literal["entry", "record", "signature"]
    entry: str


def refusal(path: str, reason: str) -> Refusal:
    """A refusal whose path may be printed."""
    return Refusal(path=shown_path(path), reason=reason)


# --------------------------------------------------------------------------------------------------------------- paths


def sort_changes(changes: Iterable[Change], entries: Collection[str]) -> Sorted:
    """What a change holds, and every path that it may not hold.

    entries: the names that the base has.
    """
    refusals: list[Refusal] = []
    names: set[str] = set()
    added: list[Change] = []
    signatures: dict[str, Item] = {}
    for change in changes:
        place = _place(change.path)
        why = _refused(change, place)
        if why is not None:
            refusals.append(refusal(change.path, why))
        if place is not None and (why is None or place.kind == "entry"):
            names.add(place.entry)
        if why is None and place is not None and place.kind == "record":
            added.append(change)
        if why is None and place is not None and place.kind == "signature" and change.new is not None:
            signatures[change.path.removesuffix(SIGNATURE_SUFFIX)] = change.new
    entry, against = _one_entry(sorted(names), entries)
    if against is not None:
        refusals.append(against)
    if len(added) > MOST_RECORDS:
        refusals.append(refusal(RESULTS, f"{len(added)} new records; a pull request adds at most {MOST_RECORDS}"))
    orphans = signatures.keys() - {change.path for change in added}
    refusals += (
        refusal(path + SIGNATURE_SUFFIX, "signs a record that this change does not add") for path in sorted(orphans)
    )
    return Sorted(entry, tuple(added[:MOST_RECORDS]), signatures, tuple(refusals))


def _place(path: str) -> _Place | None:
    """Which part of the change a path belongs to; None: to none that is allowed."""
    parts = path.split("/")
    if path.startswith(f"{SUBMISSIONS}/") and len(parts) > 3:
        return _Place("entry", parts[2])
    if path.startswith(f"{RESULTS}/") and len(parts) == 4 and TRACK_ID.fullmatch(parts[2]):
        kind: Literal["record", "signature"] = "signature" if path.endswith(SIGNATURE_SUFFIX) else "record"
        name = parts[3].removesuffix(SIGNATURE_SUFFIX)
        run = RUN_ID.fullmatch(name.removesuffix(".json")) if name.endswith(".json") else None
        return _Place(kind, run["entry"]) if run is not None else None
    return None


def _refused(change: Change, place: _Place | None) -> str | None:
    """Why this path may not be changed in this way; the most telling reason."""
    parts = change.path.split("/")
    if any(part.lower().startswith(".git") and part != ".github" for part in parts):
        return "git would obey a file of that name"
    if not all(safe_path(part) for part in parts):
        return "names have letters, digits, '.', '_' and '-' only, and no path climbs"
    if change.new is not None and change.new.mode != FILE_MODE:
        kind = _KINDS.get(change.new.mode, f"has the mode {shown_path(change.new.mode)}")
        return f"{kind}; a pull request holds plain files of mode {FILE_MODE}"
    if place is None:
        return _outside(change)
    if place.kind == "entry":
        return None
    what = "the signature of a record" if place.kind == "signature" else "a record"
    if change.new is None:
        return f"deletes {what}; records stay: a maintainer may retract one"
    if change.old is not None:
        return f"changes {what} that is there already; records never change"
    return None


def _outside(change: Change) -> str:
    for folder in (SUBMISSIONS, RESULTS):
        if change.path.lower().startswith(folder) and not change.path.startswith(folder):
            return f"would be taken for {folder}, from which it differs by capitals; {_ONLY}"
    area = next((area for beginning, area in _AREAS if change.path.startswith(beginning)), "the repository's own files")
    return f"{_done(change)} in {area}; {_ONLY}"


def _done(change: Change) -> Literal["added", "edited", "deleted"]:
    return "added" if change.old is None else "deleted" if change.new is None else "edited"


def _one_entry(names: Sequence[str], entries: Collection[str]) -> tuple[str | None, Refusal | None]:
    """The entry that can be looked at further, and what speaks against it or against there being one."""
    if not names:
        return None, refusal(SUBMISSIONS, f"no entry is changed; {_ONLY}")
    if len(names) > 1:
        told = ", ".join(shown_path(name) for name in names[:5]) + (" and more" if len(names) > 5 else "")
        return None, refusal(SUBMISSIONS, f"{len(names)} entries are changed ({told}); make a pull request for each")
    name, folder = names[0], f"{SUBMISSIONS}/{names[0]}"
    try:
        check_name(name)
    except UserError as error:
        return None, refusal(folder, str(error))
    if name not in entries and (other := look_alike(name, entries)) is not None:
        return name, refusal(folder, f"readers would take it for the entry {shown_path(other)}; choose another name")
    return name, None


# --------------------------------------------------------------------------------------------------------------- entry


def folder_refusals(entry: str, files: Mapping[str, Item], size_bytes: Mapping[str, int]) -> Iterator[Refusal]:
    """What keeps an entry's folder from being written out and checked.

    Args:
        entry: its name.
        files: everything in its folder, changed or not, by path inside it.
        size_bytes: of each.
    """
    folder = f"{SUBMISSIONS}/{entry}"
    if not files:
        yield refusal(folder, "the entry is gone; only a maintainer takes one out")
    if len(files) > MAX_FILES:
        yield refusal(folder, f"{len(files)} files; an entry has at most {MAX_FILES}")
    if sum(size_bytes.values()) > MAX_BYTES:
        yield refusal(folder, f"{sum(size_bytes.values()):,} bytes; an entry has at most {MAX_BYTES // 1024} KiB")
    for path, item in files.items():
        parts = path.split("/")
        if item.mode != FILE_MODE:
            yield refusal(
                f"{folder}/{path}", f"{_KINDS.get(item.mode, 'is no plain file')}; an entry holds plain files"
            )
        elif not safe_path(path):
            yield refusal(f"{folder}/{path}", "is no path that an entry may have: rename it, or nest it less deep")
        elif any(part in IGNORED_NAMES or part.endswith(IGNORED_SUFFIXES) for part in parts):
            yield refusal(f"{folder}/{path}", "is left behind by a tool and takes no part in a run; leave it out")


def file_changes(before: Sequence[SourceFile], after: Sequence[SourceFile]) -> tuple[FileChange, ...]:
    """What became of each file of the entry that is not the same."""
    were, are = ({file.path: file.text for file in files} for files in (before, after))
    changed = []
    for path in sorted({*were, *are}):
        old, new = were.get(path), are.get(path)
        if old == new:
            continue
        was, now = Counter((old or "").splitlines()), Counter((new or "").splitlines())
        changed.append(
            FileChange(
                path=path,
                done="added" if old is None else "deleted" if new is None else "edited",
                lines_added=(now - was).total(),
                lines_removed=(was - now).total(),
            )
        )
    return tuple(changed)


# ------------------------------------------------------------------------------------------------------------ likeness


def nearest_entry(
    entry: Sequence[SourceFile], others: Mapping[str, Sequence[SourceFile]], template: Sequence[SourceFile]
) -> Likeness | None:
    """The other entry that this one's code is most alike to; None: none is nearer than the template explains.

    Most entries start as a copy of the template and are alike through it; only what goes beyond that is worth a word.
    """
    shares = {name: likeness(entry, files) for name, files in sorted(others.items())}
    if not shares:
        return None
    name = max(shares, key=lambda name: shares[name])
    template_share = likeness(entry, template)
    if not (shares[name] >= ALIKE and shares[name] > template_share):
        return None
    return Likeness(entry=name, share=shares[name], template_share=template_share)


def copy_refusal(entry: str, nearest: Likeness, *, based_on: str | None, was_so: bool) -> Refusal | None:
    """Another entry's very code, handed in without a word of it.

    was_so: the base's version of this entry was the same as the other already, so that nobody can say who copied.
    """
    if nearest.share < 1.0 or based_on == nearest.entry or was_so:
        return None
    reason = (
        f"its code is that of the entry {nearest.entry}, but for names, values and layout; "
        f'say based_on = "{nearest.entry}" in submission.toml'
    )
    return refusal(f"{SUBMISSIONS}/{entry}", reason)
