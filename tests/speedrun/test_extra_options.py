import pytest

from harness.errors import UserError
from speedrun.extra_options import as_pairs

FIELDS = ("d_model", "n_layers", "lr")
OPTIONS = ("--track", "--no-wait", "--set")


@pytest.mark.parametrize(
    ("extra", "pairs"),
    [
        ([], []),
        (["--d-model", "512", "--n-layers=8"], ["d_model=512", "n_layers=8"]),
        (["--d_model", "512"], ["d_model=512"]),
        (["--lr", "-0.1"], ["lr=-0.1"]),
        (["--lr="], ["lr="]),
    ],
)
def test_unknown_options_are_fields(extra, pairs):
    assert as_pairs(extra, FIELDS, OPTIONS) == pairs


def test_where_the_fields_are_not_known_any_name_passes():
    assert as_pairs(["--anything", "1"], None, OPTIONS) == ["anything=1"]


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--no-wiat"], "did you mean --no-wait"),
        (["--trak", "cpu-1min"], "did you mean --track"),
        (["--d-modle", "3"], "did you mean --d-model"),
        (["--d-model"], "--d-model needs a value"),
        (["--d-model", "--lr", "1"], "--d-model needs a value"),
        (["stray"], "'stray' belongs to no option"),
        (["--"], "'--' belongs to no option"),
        (["-x"], "'-x' belongs to no option"),
    ],
)
def test_a_slip_is_named_with_what_was_meant(extra, says):
    with pytest.raises(UserError, match=says) as caught:
        as_pairs(extra, FIELDS, OPTIONS)
    assert "\n" not in str(caught.value)
