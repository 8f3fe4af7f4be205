"""The fields of an entry's Config as its source tells them, and `--set field=value` checked against them.

Beside the fields stands `preset`, where get_config has a parameter of that name: `--set preset=memory` picks a whole
set of values, and what else is set changes that.

The source is read, never run. Where it does not tell the fields plainly (a base class, fields made by a call), anything
passes here and the worker, which has the real class, decides.
"""

import ast
import re
from collections.abc import Sequence
from typing import NamedTuple

from harness.errors import UserError, nearest
from harness.protocol import printable

MAX_VALUE = 1000  # characters
PRESET = "preset"  # as in harness/entry_config.py

_INT = re.compile(r"[+-]?\d+(_\d+)*")
_FLAGS = frozenset({"true", "false", "yes", "no", "1", "0"})
_NOTHING = frozenset({"none", "null"})


class ConfigField(NamedTuple):
    """One field of Config, or the preset, as the source spells it."""

    name: str
    type: str
    default: str | None  # the expression; None: the field has no default


def fields_of(config: ast.ClassDef) -> tuple[ConfigField, ...] | None:
    """The fields of a dataclass; None when its body does not tell them all."""
    if config.bases or config.keywords or len(config.decorator_list) != 1:
        return None
    fields: dict[str, ConfigField] = {}
    for statement in config.body:
        if not isinstance(statement, ast.AnnAssign):
            continue
        if not isinstance(statement.target, ast.Name):
            return None
        try:
            spelled = _spelled(statement.annotation)
            default = None if statement.value is None else ast.unparse(statement.value)
        except (RecursionError, ValueError):
            return None
        if "ClassVar" in spelled:
            continue
        if "InitVar" in spelled or "KW_ONLY" in spelled or (default is not None and "init=False" in default):
            return None
        fields[statement.target.id] = ConfigField(statement.target.id, spelled, default)
    return tuple(fields.values())


def settable(tree: ast.Module, config: ast.ClassDef) -> tuple[ConfigField, ...] | None:
    """What `--set` may name in a config.py: the fields of Config, and the preset; None when it does not tell."""
    fields = fields_of(config)
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "get_config"]
    if fields is None or not functions or any(field.name == PRESET for field in fields):
        return fields
    return (*fields, *_preset(functions[-1].args))


def _preset(parameters: ast.arguments) -> tuple[ConfigField, ...]:
    """The parameter `preset`, a text whatever its annotation; empty when there is none that can be given by name."""
    positional = [*parameters.posonlyargs, *parameters.args]
    defaults = [None] * (len(positional) - len(parameters.defaults)) + parameters.defaults
    named = list(zip(positional, defaults, strict=True))[len(parameters.posonlyargs) :]
    for parameter, default in (*named, *zip(parameters.kwonlyargs, parameters.kw_defaults, strict=True)):
        if parameter.arg == PRESET:
            return (ConfigField(PRESET, "str", None if default is None else ast.unparse(default)),)
    return ()


def _spelled(annotation: ast.expr) -> str:
    """The type as text, out of its quotes where it stands in quotes."""
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        return annotation.value
    return ast.unparse(annotation)


def parse_overrides(pairs: Sequence[str], fields: Sequence[ConfigField] | None) -> dict[str, str]:
    """`field=value` texts as a mapping; the texts are converted by the worker.

    Numbers are written as in Python, flags as true or false, nothing as none, tuples with commas (`3,4`).

    Raises:
        UserError: no `=`, a field twice, an unknown field, a value that its type cannot hold.
    """
    known = None if fields is None else {field.name: field for field in fields}
    chosen: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        shown = printable(name, 60).replace("\n", " ")
        if not equals or not name.isidentifier() or not name.isascii():
            raise UserError(f"--set {printable(pair, 60)!r} is not of the form field=value")
        if name in chosen:
            raise UserError(f"--set {shown} is given twice; give it once")
        if len(value) > MAX_VALUE or printable(value, MAX_VALUE) != value or "\n" in value:
            raise UserError(f"the value of --set {shown} is longer than {MAX_VALUE} characters or not plain text")
        if known is not None:
            if name not in known:
                listed = ", ".join(f"{field.name}: {field.type}" for field in known.values())
                raise UserError(f"config.py has no field {shown!r} ({nearest(name, known)}); its fields are {listed}")
            if not _fits(known[name].type, value):
                raise UserError(f"the config field {shown} is of type {known[name].type}, which {value!r} is not")
        chosen[name] = value
    return chosen


def _fits(spelled: str, value: str) -> bool:
    try:
        return _holds(ast.parse(spelled, mode="eval").body, value)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # not ours to judge


def _holds(kind: ast.expr, value: str) -> bool:
    """Whether a type can hold what `value` says; types that are not known here hold anything."""
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        return _holds(kind.left, value) or _holds(kind.right, value)
    if isinstance(kind, ast.Constant) and kind.value is None:
        return value.lower() in _NOTHING
    if isinstance(kind, ast.Subscript):
        return _container_holds(_last_name(kind.value), _items(kind.slice), value)
    match _last_name(kind):
        case "int":
            return bool(_INT.fullmatch(value)) and len(value) <= 100
        case "float":
            return _is_float(value)
        case "bool":
            return value.lower() in _FLAGS
    return True


def _container_holds(name: str, items: list[ast.expr], value: str) -> bool:
    match name:
        case "Optional":
            return value.lower() in _NOTHING or _holds(items[0], value)
        case "Union":
            return any(_holds(item, value) for item in items)
        case "tuple" | "Tuple":
            parts = [part.strip() for part in value.split(",") if part.strip()]
            if len(items) == 2 and isinstance(items[1], ast.Constant) and items[1].value is Ellipsis:
                return all(_holds(items[0], part) for part in parts)
            return len(parts) == len(items) and all(map(_holds, items, parts))
    return True


def _items(inside: ast.expr) -> list[ast.expr]:
    return list(inside.elts) if isinstance(inside, ast.Tuple) else [inside]


def _last_name(kind: ast.expr) -> str:
    return kind.id if isinstance(kind, ast.Name) else kind.attr if isinstance(kind, ast.Attribute) else ""


def _is_float(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True
