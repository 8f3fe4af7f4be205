"""Fields of Config from the command line."""

import pytest

from harness.errors import UserError
from harness.submission import ConfigField, parse_overrides

FIELDS = (
    ConfigField("lr", "float", "0.1"),
    ConfigField("d_model", "int", "128"),
    ConfigField("name", "str", "'x'"),
    ConfigField("fused", "bool", "True"),
    ConfigField("limit", "int | None", "None"),
    ConfigField("share", "Optional[float]", "None"),
    ConfigField("either", "typing.Union[int, bool]", "1"),
    ConfigField("widths", "tuple[int, ...]", "()"),
    ConfigField("betas", "tuple[float, float]", "(0.9, 0.95)"),
    ConfigField("other", "torch.dtype", "None"),
    ConfigField("broken", "][", None),
)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lr", ["1e-3", "3", "-.5"]),
        ("d_model", ["512", "1_024", "-1"]),
        ("name", ["a=b", ""]),
        ("fused", ["true", "False", "0", "no"]),
        ("limit", ["None", "3"]),
        ("share", ["none", "0.5"]),
        ("either", ["true", "7"]),
        ("widths", ["", "1,2, 3"]),
        ("betas", ["0.9,0.99"]),
        ("other", ["anything"]),
        ("broken", ["anything"]),
    ],
)
def test_overrides_that_fit(name, values):
    for value in values:
        assert parse_overrides([f"{name}={value}"], FIELDS) == {name: value}
        assert parse_overrides([f"{name}={value}"], None) == {name: value}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("lr", ["fast", ""]),
        ("d_model", ["3.5", "1e3"]),
        ("fused", ["maybe"]),
        ("limit", ["some"]),
        ("share", ["x"]),
        ("either", ["2.5"]),
        ("widths", ["1,a"]),
        ("betas", ["0.9"]),
    ],
)
def test_overrides_of_the_wrong_type(name, values):
    for value in values:
        with pytest.raises(UserError, match=rf"the config field {name} is of type"):
            parse_overrides([f"{name}={value}"], FIELDS)
        parse_overrides([f"{name}={value}"], None)


def test_overrides_of_unknown_fields_list_the_fields():
    with pytest.raises(UserError) as error:
        parse_overrides(["d_modle=3"], FIELDS)
    assert "no field 'd_modle' (did you mean d_model" in str(error.value)
    assert "lr: float, d_model: int" in str(error.value)


@pytest.mark.parametrize(
    "pairs",
    [["lr"], ["=3"], ["a b=3"], ["lr=1", "lr=2"], ["name=a\nb"], ["name=\x1b"], ["name=" + "x" * 1001], ["__é=1"]],
)
def test_overrides_that_are_malformed(pairs):
    for fields in (FIELDS, None):
        with pytest.raises(UserError) as error:
            parse_overrides(pairs, fields)
        assert "\n" not in str(error.value)
        assert "\x1b" not in str(error.value)
