"""Whatever lies in a folder, the rules answer."""

import contextlib
import os

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness import hidden_data
from harness.errors import UserError
from harness.submission import ConfigField, check, load, parse_overrides
from tests.harness.submission.folders import CARD, CONFIG, SPEEDRUN

names = st.one_of(
    st.sampled_from(
        ["config.py", "speedrun.py", "submission.toml", "README.md", "json.py", "a.pyc", "__pycache__", "a/b.py"]
    ),
    st.binary(min_size=1, max_size=12).filter(
        lambda name: b"\0" not in name and b"/" not in name and name not in (b".", b"..")
    ),
)
contents = st.one_of(
    st.binary(max_size=400),
    st.text(max_size=400).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from([SPEEDRUN, CONFIG, CARD]).map(str.encode),
    st.sampled_from([SPEEDRUN, CONFIG, CARD]).flatmap(
        lambda text: st.tuples(st.integers(0, len(text)), st.integers(0, 40), st.text(max_size=20)).map(
            lambda cut: (text[: cut[0]] + cut[2] + text[cut[0] + cut[1] :]).encode("utf-8", "surrogatepass")
        )
    ),
)
pieces = st.one_of(contents, st.sampled_from(["link", "fifo", "folder"]))


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.dictionaries(names, pieces, max_size=6), st.text(max_size=45))
def test_no_folder_makes_check_raise(tmp_path_factory, files, name):
    folder = tmp_path_factory.mktemp("any")
    for path, piece in files.items():
        target = folder / (path if isinstance(path, str) else os.fsdecode(path))
        try:
            target.parent.mkdir(exist_ok=True)
            match piece:
                case "link":
                    target.symlink_to("/etc/passwd")
                case "fifo":
                    os.mkfifo(target)
                case "folder":
                    target.mkdir()
                case bytes():
                    target.write_bytes(piece)
        except OSError:
            continue  # such a file cannot be made here
    problems = check(folder, name)
    for problem in problems:
        assert str(problem).isprintable()
    if problems:
        with pytest.raises(UserError):
            load(folder, name)
    else:
        load(folder, name)


@settings(max_examples=200)
@given(st.text(max_size=300))
def test_measures_take_any_text(text):
    hidden_data.findings({"a.py": text}, {})


@settings(max_examples=200)
@given(st.lists(st.text(max_size=30), max_size=3), st.text(max_size=20))
def test_overrides_raise_nothing_but_user_errors(pairs, kind):
    fields = (ConfigField("x", kind, None),)
    for candidates in (pairs, [f"x={pair}" for pair in pairs[:1]]):
        with contextlib.suppress(UserError):
            parse_overrides(candidates, fields)
