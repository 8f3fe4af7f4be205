"""The preset beside the fields of Config, as the source of config.py tells it."""

import ast

import pytest

from harness.errors import UserError
from harness.overrides import ConfigField, parse_overrides, settable
from speedrun.extra_options import as_pairs

WIDTH = ConfigField("width", "int", "8")


def told(get_config: str, more_fields: str = "") -> tuple[ConfigField, ...] | None:
    """What may be set in a config.py with this head of get_config."""
    source = (
        f"@dataclass(frozen=True)\nclass Config:\n    width: int = 8\n{more_fields}{get_config}\n    return Config()"
    )
    tree = ast.parse(source)
    return settable(tree, tree.body[0])


@pytest.mark.parametrize(
    ("get_config", "default"),
    [
        ("def get_config(track_id, preset='small'):", "'small'"),
        ("def get_config(track_id, /, preset: Preset = None):", "None"),
        ("def get_config(track_id='x', *, other=1, preset: str = 'small'):", "'small'"),
        ("def get_config(track_id, *, preset):", None),
        ("def get_config(): pass\ndef get_config(track_id, preset=''):", "''"),
    ],
)
def test_a_parameter_named_preset_may_be_set(get_config, default):
    assert told(get_config) == (WIDTH, ConfigField("preset", "str", default))


@pytest.mark.parametrize(
    "get_config",
    [
        "def get_config(track_id):",
        "def get_config(track_id, presets=()):",
        "def get_config(track_id, preset='x', /):",  # not by name
        "def get_config(*preset):",
        "def get_config(**preset):",
        "def get_config(track_id, preset=1): pass\ndef get_config(track_id):",
    ],
)
def test_without_one_it_may_not(get_config):
    assert told(get_config) == (WIDTH,)


def test_a_field_of_that_name_comes_first():
    field = ConfigField("preset", "int", "1")
    assert told("def get_config(track_id, preset='x'):", "    preset: int = 1\n") == (WIDTH, field)


def test_fields_that_are_not_told_stay_untold():
    assert told("def get_config(track_id, preset='x'):", "    other: InitVar[int] = 1\n") is None


def test_the_command_line_takes_it_like_a_field():
    fields = told("def get_config(track_id, preset='small'):")
    names = [field.name for field in fields]
    pairs = as_pairs(["--preset", "memory", "--width", "9"], names, ("--track",))
    assert parse_overrides(pairs, fields) == {"preset": "memory", "width": "9"}
    assert parse_overrides(["preset=7"], fields) == {"preset": "7"}  # a text, whatever it looks like
    with pytest.raises(UserError, match="did you mean preset"):
        parse_overrides(["pressed=memory"], fields)
    with pytest.raises(UserError, match="no option and no config field --preset"):
        as_pairs(["--preset", "memory"], ["width"], ("--track",))
