"""An entry as its folder tells it: the static rules, and the source that is recorded and run.

The folder is untrusted. The parent reads it once, as text, through `read_folder`; it parses Python and TOML and never
imports, executes or follows anything. What runs is a snapshot of what was read, so that what runs is what is recorded.

Not covered: whether the code does what its functions promise (the start-line check and the scorer find that out), and
code that the parser takes very long for (256 KiB of source bound it).
"""

import ast
import hashlib
import os
import re
import sys
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import msgspec

from harness import hidden_data, repository
from harness.errors import UserError, nearest
from harness.folder import Problem, read_folder, safe_path
from harness.overrides import ConfigField, parse_overrides, settable
from harness.protocol import printable
from harness.result import Author, Entry, Source, SourceFile, source_sha256
from harness.strict_toml import TomlError, decode

__all__ = [
    "ConfigField",
    "Problem",
    "Submission",
    "check",
    "check_name",
    "find",
    "load",
    "parse_overrides",
    "restore",
    "snapshot",
]

MAX_NAME = 40  # characters
MAX_TITLE = 100
MAX_TECHNIQUE = 200
MAX_AUTHOR = 80
MAX_LINK = 200
MAX_AUTHORS = 20
MAX_CARD = 16 * 1024  # characters of submission.toml: the parser's time grows with the square of some inputs

REQUIRED_FILES = ("config.py", "speedrun.py", "submission.toml")

# Function → its parameters. The worker calls them by position.
REQUIRED_FUNCTIONS = {"setup": ("run",), "train": ("run", "model"), "predict": ("model", "tokens")}
OPTIONAL_FUNCTIONS = {"save": ("model", "folder"), "load": ("run", "model", "folder")}
CONFIG_FUNCTIONS = {"get_config": ("track_id",)}

# An entry's file of one of these names and the real module would be taken for each other.
RESERVED_MODULES = frozenset(sys.stdlib_module_names) | {"harness", "msgspec", "numpy", "torch", "triton"}

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_HTTPS = re.compile(r"https://[A-Za-z0-9.-]+(:\d+)?(/[A-Za-z0-9._~%!$&+,;=:@/?#-]*)?")
_HANDLE = re.compile(r"@[A-Za-z0-9][A-Za-z0-9._-]*")
_FOREIGN_ENCODING = re.compile(r"^[ \t\f]*#.*?coding[:=][ \t]*(?!utf-?8\b)([-\w.]+)", re.ASCII | re.IGNORECASE)
_CONFUSABLE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "8": "b", "2": "z", "_": "-"})


class _AuthorCard(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    link: str = ""


class _Card(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """submission.toml"""

    title: str
    authors: tuple[_AuthorCard, ...]
    technique: str
    based_on: str | None = None


@dataclass(frozen=True)
class Submission:
    """An entry that keeps every static rule."""

    name: str
    entry: Entry
    source: Source
    fields: tuple[ConfigField, ...] | None  # of Config, and the preset; None: the source does not tell them plainly


@dataclass(frozen=True)
class _Examined:
    problems: tuple[Problem, ...]
    texts: dict[str, str]
    entry: Entry | None
    fields: tuple[ConfigField, ...] | None


# ------------------------------------------------------------------------------------------------------------- names


def check_name(name: str) -> None:
    """Raises UserError unless `name` may be an entry's name."""
    if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
        shown = printable(name, 60).replace("\n", " ")
        raise UserError(
            f"{shown!r} cannot be an entry's name: use at most {MAX_NAME} of a-z, 0-9, '-' and '_', "
            "and begin with a letter or a digit"
        )


def look_alike(name: str, others: Iterable[str]) -> str | None:
    """The first of `others` that readers would take for `name`: it differs by capitals, or by 0 and o, 1 and l, …"""
    return next((other for other in sorted(others) if other != name and _seen(other) == _seen(name)), None)


@cache  # every entry is compared with all the others
def _seen(name: str) -> str:
    """What a hasty reader sees."""
    return name.lower().replace("rn", "m").replace("vv", "w").translate(_CONFUSABLE)


def find(name: str, submissions: Path) -> Path:
    """The folder of an entry, by its name in `submissions`, or by its own path (with a slash, or `.`).

    Raises:
        UserError: a name that no entry can have, or no such folder.
    """
    if name == "." or "/" in name:
        if ".." in name.split("/"):
            raise UserError(f"{printable(name, 100)!r} climbs with '..'; give the entry's name or its full path")
        folder = Path(name).absolute()
        if not folder.is_dir():
            raise UserError(f"there is no folder {printable(name, 100)!r}; give the name of an entry or its path")
        check_name(folder.name)
        return folder
    check_name(name)
    known = _entries(submissions)
    if name not in known:
        raise UserError(f"there is no entry {name!r}: {nearest(name, known)}")
    return submissions / name


def _entries(submissions: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in submissions.iterdir() if entry.is_dir() and entry.name[0] not in "._")
    except OSError:
        return []


# ------------------------------------------------------------------------------------------------------------- rules


def check(folder: Path, name: str) -> tuple[Problem, ...]:
    """Every static rule that the folder breaks, in the order of files; empty: it may run. Never raises."""
    return _examine(folder, name).problems


def load(folder: Path, name: str) -> Submission:
    """The entry; its source as it was at this moment.

    Raises:
        UserError: a static rule is broken; the message names the first and how many more there are.
    """
    examined = _examine(folder, name)
    if examined.problems or examined.entry is None:
        first, more = examined.problems[0], len(examined.problems) - 1
        rest = f" (and {more} more: speedrun check {name})" if more else ""
        raise UserError(f"entry {printable(name, MAX_NAME)}: {first}{rest}")
    files = tuple(
        SourceFile(path=path, text=text, sha256=hashlib.sha256(text.encode()).hexdigest())
        for path, text in examined.texts.items()
    )
    commit, clean = repository.state(folder)
    source = Source(files=files, sha256=source_sha256(files), git_commit=commit, git_clean=clean)
    return Submission(name=name, entry=examined.entry, source=source, fields=examined.fields)


def restore(name: str, source: Source, folder: Path) -> Submission:
    """The entry that a record holds, as it ran; its files are written to `folder`, alone in its parent.

    Raises:
        UserError: the files are not those that the hash names, or a static rule of today is broken.
    """
    shown = printable(name, MAX_NAME)
    useless = f"the record of {shown} holds no source that can be unpacked"
    try:
        _write_files(source, folder)
    except FileExistsError:
        raise UserError(f"{useless}: two of its files would lie in one place") from None
    except ValueError as error:
        raise UserError(f"{useless}: {error}") from None
    loaded = load(folder, name)
    if loaded.source.sha256 != source.sha256:
        raise UserError(f"the source that the record of {shown} holds is not the one its hash names")
    return replace(loaded, source=source)


def snapshot(submission: Submission, folder: Path) -> None:
    """Writes exactly the files of the source into `folder`, readable by whoever runs the sandbox.

    Raises:
        ValueError: a path that leaves `folder` (a source that did not come from `load`).
        OSError: a file is already there, or cannot be written.
    """
    _write_files(submission.source, folder)


def _write_files(source: Source, folder: Path) -> None:
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for file in source.files:
        if not safe_path(file.path):
            raise ValueError(f"{file.path!r} is not a path inside an entry")
        target = folder
        for part in file.path.split("/")[:-1]:
            target /= part
            target.mkdir(exist_ok=True)
            target.chmod(0o755)
        target = folder / file.path
        with target.open("xb") as stream:
            stream.write(file.text.encode())
        target.chmod(0o644)


def _examine(folder: Path, name: str) -> _Examined:
    problems = list(_name_problems(folder, name))
    read = read_folder(folder)
    problems += read.problems
    if read.complete:
        problems += (
            Problem(path, None, "is missing; copy it from template/")
            for path in REQUIRED_FILES
            if path not in read.texts
        )
    problems += _hiding_names(read.texts)
    trees: dict[str, ast.Module] = {}
    for path, text in read.texts.items():
        if path.endswith(".py"):
            parsed = _parsed(path, text)
            if isinstance(parsed, Problem):
                problems.append(parsed)
            else:
                trees[path] = parsed
    fields = None
    if "speedrun.py" in trees:
        problems += _function_problems("speedrun.py", trees["speedrun.py"], REQUIRED_FUNCTIONS, OPTIONAL_FUNCTIONS)
    if "config.py" in trees:
        problems += _function_problems("config.py", trees["config.py"], CONFIG_FUNCTIONS, {})
        config = _last_class(trees["config.py"], "Config")
        problems += _config_problems(config)
        fields = settable(trees["config.py"], config) if config is not None else None
    entry = None
    if "submission.toml" in read.texts:
        card = _card(read.texts["submission.toml"], name)
        entry = card if isinstance(card, Entry) else None
        problems += () if isinstance(card, Entry) else card
    problems += (Problem(*found) for found in hidden_data.findings(read.texts, trees))
    return _Examined(problems=tuple(problems), texts=read.texts, entry=entry, fields=fields)


def _name_problems(folder: Path, name: str) -> Iterable[Problem]:
    try:
        check_name(name)
    except UserError as error:
        yield Problem("", None, str(error))
        return
    try:
        names = os.listdir(folder.absolute().parent)  # noqa: PTH208 - thousands, and few become paths
        beside = [other for other in names if _seen(other) == _seen(name)]
        entries = [other for other in beside if (folder.absolute().parent / other / "speedrun.py").is_file()]
    except (OSError, ValueError):
        return
    if (other := look_alike(name, entries)) is not None:
        yield Problem("", None, f"readers would take {name!r} for the entry {other!a}; choose another name")


def _hiding_names(paths: Iterable[str]) -> Iterable[Problem]:
    """Top-level names that stand for another module as well."""
    told: set[str] = set()
    for path in paths:
        top, _, below = path.partition("/")
        stem = top if below else top.removesuffix(".py")
        if stem in told or not (below or top.endswith(".py")):
            continue
        if stem in RESERVED_MODULES:
            yield Problem(path, None, f"has the name of the module {stem!r}; rename it")
        elif below and stem in ("config", "speedrun"):
            yield Problem(path, None, f"its folder would hide {stem}.py; rename it")
        else:
            continue
        told.add(stem)


def _parsed(path: str, text: str) -> ast.Module | Problem:
    for number, line in enumerate(text.split("\n")[:2], start=1):
        if (coding := _FOREIGN_ENCODING.search(line)) is not None:
            return Problem(path, number, f"declares the encoding {printable(coding[1], 40)}; an entry is UTF-8")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text, path)
            # Finds what the grammar alone lets pass: `return` outside a function, an argument twice.
            compile(text, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        return Problem(path, error.lineno, f"syntax error: {printable(error.msg, 200)}")
    except (ValueError, RecursionError, MemoryError, OverflowError):
        return Problem(path, None, "cannot be compiled: it is nested too deeply or holds too large a constant")
    return tree


def _function_problems(
    path: str, tree: ast.Module, required: Mapping[str, tuple[str, ...]], optional: Mapping[str, tuple[str, ...]]
) -> Iterable[Problem]:
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    for name, parameters in {**required, **optional}.items():
        signature = f"{name}({', '.join(parameters)})"
        node = defined.get(name)
        if node is None:
            if name in required:
                yield Problem(path, None, f"does not define {signature} at its top level; see template/")
        elif isinstance(node, ast.AsyncFunctionDef):
            yield Problem(path, node.lineno, f"{name} must be a plain function, not async: def {signature}")
        elif not _takes(node.args, len(parameters)):
            yield Problem(
                path, node.lineno, f"{name} must take {len(parameters)} positional arguments: def {signature}"
            )
    given = [name for name in optional if name in defined]
    if given and len(given) < len(optional):
        other = next(name for name in optional if name not in defined)
        line = defined[given[0]].lineno
        yield Problem(path, line, f"defines {given[0]} without {other}; define both, or leave both to the platform")


def _takes(arguments: ast.arguments, count: int) -> bool:
    """Whether a call with `count` positional arguments binds."""
    positional = len(arguments.posonlyargs) + len(arguments.args)
    enough = positional - len(arguments.defaults) <= count
    return enough and (positional >= count or arguments.vararg is not None) and None not in arguments.kw_defaults


def _last_class(tree: ast.Module, name: str) -> ast.ClassDef | None:
    return next((node for node in reversed(tree.body) if isinstance(node, ast.ClassDef) and node.name == name), None)


def _config_problems(config: ast.ClassDef | None) -> Iterable[Problem]:
    if config is None:
        yield Problem("config.py", None, "does not define the class Config at its top level; see template/")
    elif not any(_is_frozen_dataclass(decorator) for decorator in config.decorator_list):
        yield Problem("config.py", config.lineno, "Config must be a frozen dataclass: @dataclass(frozen=True)")


def _is_frozen_dataclass(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call):
        return False
    called = decorator.func
    name = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    return name == "dataclass" and any(
        keyword.arg == "frozen" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in decorator.keywords
    )


# --------------------------------------------------------------------------------------------------- submission.toml


def _card(text: str, name: str) -> Entry | tuple[Problem, ...]:
    if len(text) > MAX_CARD:
        return (
            Problem("submission.toml", None, f"is longer than {MAX_CARD:,} characters; keep the prose in README.md"),
        )
    try:
        card = decode(text, _Card)
    except TomlError as error:
        return (Problem("submission.toml", error.line, error.message),)
    wrong = [
        *_line("title", card.title, MAX_TITLE),
        *_line("technique", card.technique, MAX_TECHNIQUE),
        *_checked("authors", 1 <= len(card.authors) <= MAX_AUTHORS, f"name 1 to {MAX_AUTHORS} authors"),
    ]
    for number, author in enumerate(card.authors[:MAX_AUTHORS], start=1):
        wrong += _line(f"name of author {number}", author.name, MAX_AUTHOR)
        wrong += _checked(
            f"link of author {number}", _is_link(author.link), "write https://… or @handle, or leave it out"
        )
    if card.based_on is not None:
        is_name = bool(_NAME.fullmatch(card.based_on)) and len(card.based_on) <= MAX_NAME
        wrong += _checked("based_on", is_name and card.based_on != name, "give the name of another entry")
    if wrong:
        return tuple(Problem("submission.toml", None, message) for message in wrong)
    return Entry(
        name=name,
        title=card.title,
        authors=tuple(Author(name=author.name, link=author.link) for author in card.authors),
        technique=card.technique,
        based_on=card.based_on,
    )


def _line(what: str, value: str, limit: int) -> Sequence[str]:
    """A text that stands in one cell of a table."""
    plain = value == value.strip() and value == printable(value, limit) and not re.search(r"[\n\t]", value)
    return _checked(what, bool(value) and plain, f"one line of 1 to {limit} plain characters, no space at its ends")


def _checked(what: str, right: bool, rule: str) -> Sequence[str]:
    return () if right else (f"{what}: {rule}",)


def _is_link(link: str) -> bool:
    return link == "" or (len(link) <= MAX_LINK and bool(_HTTPS.fullmatch(link) or _HANDLE.fullmatch(link)))
