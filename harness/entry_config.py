"""The entry's Config, with what the command line changes in it. Travels into the sandbox."""

import dataclasses
import inspect
import types
import typing

from harness.entry_module import function

PRESET = "preset"  # not a field of Config: the argument of get_config that picks a whole set of values


class ConfigError(Exception):
    """A field of Config that does not exist, a value that does not fit it, or an unknown preset."""


def configured(module: types.ModuleType, track_id: str, overrides: dict[str, str]) -> typing.Any:
    """What get_config of config.py gives for a track, with the overrides. Raises ConfigError, and what it raises.

    The override `preset`, unless Config has a field of that name, is handed to get_config.
    """
    get_config = function(module, "get_config")
    fields = getattr(getattr(module, "Config", None), "__dataclass_fields__", {})
    if PRESET not in overrides or PRESET in fields:
        return with_overrides(get_config(track_id), overrides)
    preset = overrides[PRESET]
    if PRESET not in inspect.signature(get_config).parameters:
        raise ConfigError("get_config() in config.py takes no preset; leave it out, or give it the parameter `preset`")
    try:
        config = get_config(track_id, preset=preset)
    except (ValueError, KeyError) as error:
        raise ConfigError(f"get_config() in config.py refuses the preset {preset!r}: {_said(error)}") from error
    return with_overrides(config, {name: text for name, text in overrides.items() if name != PRESET})


def _said(error: Exception) -> str:
    """One line; a KeyError says no more than the key."""
    return "it is unknown" if isinstance(error, KeyError) else " ".join(str(error).split()) or "it is unknown"


def with_overrides(config: typing.Any, overrides: dict[str, str]) -> typing.Any:
    """The dataclass with fields replaced by texts converted to the fields' types. Raises ConfigError."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise ConfigError("get_config() must return an instance of a dataclass")
    if not overrides:
        return config
    hints = typing.get_type_hints(type(config))
    names = [field.name for field in dataclasses.fields(config)]
    values = {}
    for name, text in overrides.items():
        if name not in names:
            raise ConfigError(f"Config has no field {name!r}; its fields are: {', '.join(names)}")
        values[name] = converted(name, text, hints[name])
    try:
        return dataclasses.replace(config, **values)
    except ValueError as error:  # Config checks itself
        raise ConfigError(f"Config refuses {', '.join(values)}: {_said(error)}") from error


def converted(name: str, text: str, wanted: typing.Any) -> object:
    """`text` as a bool, int, float, str, or an optional or a tuple of those. Raises ConfigError."""
    choices = typing.get_args(wanted) if typing.get_origin(wanted) in (typing.Union, types.UnionType) else (wanted,)
    if type(None) in choices and text.lower() in ("none", "null"):
        return None
    for choice in choices:
        try:
            if choice is bool:
                return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]
            if choice in (int, float, str):
                return choice(text)
            if typing.get_origin(choice) is tuple:
                parts = [part.strip() for part in text.split(",") if part.strip()]
                items = typing.get_args(choice)
                if items[-1] is Ellipsis:
                    items = items[:1] * len(parts)
                return tuple(converted(name, part, item) for part, item in zip(parts, items, strict=True))
        except (ValueError, KeyError):
            continue
    label = getattr(wanted, "__name__", str(wanted))
    raise ConfigError(f"{name} must be of type {label}, not {text!r}")
