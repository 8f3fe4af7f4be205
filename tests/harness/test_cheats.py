"""Every known way to cheat, tried in the real sandbox.

A case is a folder under tests/cheats: an entry that trains, and its expect.toml, which is found by itself:

    attack = "…"           one line: what it tries
    exploits = [4, 8]      the numbers of docs/security.md's list that it belongs to; [] for one that was found here
    outcome                "caught": the run ends with another verdict than ok, or the entry is refused beforehand;
                           "harmless": the run is ok, and the attack gained nothing;
                           "untold": the run is ok, the attack gained, and only a person can see it
    verdict                as in the record; "refused": by the static rules (the test runs it without them all the same)
    phase                  in which the run ended ("check" for what is refused)
    reason                 words that the record's reason holds
    kind                   what the twin called it
    seen                   where it shows
    rule                   untold: the paragraph of RULES.md that forbids it and says how a reviewer sees it
    scored_below_nats      the cheat pays: its loss, before the twin spoke or for good, lies below this
    scored_above_nats      harmless: its loss lies no lower than an honest entry's
    text                   "prose" (default) or "tales": what it is trained and scored on
    skip                   a phase whose clock jumps past its limit
    needs                  the sandbox level without which it is another attack; elsewhere it is left out
    cold                   true: nothing that sandboxes read lies in memory when the run begins
    [track]                what differs from the tiny track of conftest.py
"""

import math
import re
import tomllib
from pathlib import Path

import pytest

from harness import page_cache, submission
from harness.errors import UserError
from harness.events import PhaseBegan
from harness.result import Verdict
from harness.sandbox import choose
from harness.sandbox_plan import SYSTEM_TREES, Interpreter

ROOT = Path(__file__).resolve().parents[2]
CHEATS = ROOT / "tests" / "cheats"
EVERYDAY = ("patched_softmax", "peeks_at_next", "remembers_rows")  # the quick suite has these, make redteam has all
OUTCOMES = {"caught", "harmless", "untold"}
KEYS = set(re.findall(r"^    (\w+) ", __doc__, re.MULTILINE)) | {"track"}
TWIN_SEED = 5  # what a sample finds by chance is found in every run of this test, or in none


def expectations() -> dict[str, dict]:
    return {path.parent.name: tomllib.loads(path.read_text()) for path in sorted(CHEATS.glob("*/expect.toml"))}


def _case(name, expect):
    marks = [pytest.mark.sandbox] if name in EVERYDAY else [pytest.mark.sandbox, pytest.mark.redteam]
    return pytest.param(CHEATS / name, expect, id=name, marks=marks)


def _outcome(record, expect):
    """What a scored cheat got: "untold" or "harmless" by its loss, whatever was expected."""
    loss_nats = record.score.loss_nats
    if loss_nats < expect.get("scored_below_nats", -math.inf):
        return "untold"
    return "harmless" if loss_nats > expect.get("scored_above_nats", math.inf) else "ok"


@pytest.mark.parametrize(("folder", "expect"), [_case(*item) for item in expectations().items()])
def test_cheat(folder, expect, run_folder, tales, tally, monkeypatch):
    expected = expect["outcome"] if expect["verdict"] == "ok" else expect["verdict"]
    refused = expect["verdict"] == "refused"
    if refused:
        with pytest.raises(UserError) as error:
            submission.load(folder, folder.name)
        tally(folder.name, expected=expected, got="refused")
        assert expect["reason"] in str(error.value)
        # And what it would have gained without these rules.
        monkeypatch.setattr(submission.hidden_data, "findings", lambda texts, trees: [])
        monkeypatch.setattr(submission, "RESERVED_MODULES", frozenset())
    if expect.get("needs") not in (None, choose(None)):
        pytest.skip(f"needs level {expect['needs']}")
    options = {"forget": page_cache.forget} if expect.get("cold") else {}
    if expect.get("cold"):
        page_cache.forget((*SYSTEM_TREES, *Interpreter.current().trees))
    record, events = run_folder(
        folder,
        track=expect.get("track"),
        skip=expect.get("skip"),
        data=tales if expect.get("text") == "tales" else None,
        draw_seed=lambda: TWIN_SEED,
        **options,
    )
    if refused:
        assert record.verdict is Verdict.OK, record.reason
    else:
        got = _outcome(record, expect) if record.verdict is Verdict.OK else str(record.verdict)
        tally(folder.name, level=record.environment.sandbox.level, expected=expected, got=got)
        assert record.verdict == expect["verdict"], record.reason
        assert expect.get("reason", "") in record.reason
        judged = [event.phase for event in events if isinstance(event, PhaseBegan) and event.phase != "sample"]
        assert judged[-1] == expect["phase"]
    if "kind" in expect:
        assert record.twin.kind == expect["kind"]
    if "scored_below_nats" in expect:
        assert record.score.loss_nats < expect["scored_below_nats"]
    if "scored_above_nats" in expect:
        assert record.score.loss_nats > expect["scored_above_nats"]


@pytest.mark.parametrize("name", expectations())
def test_what_is_expected_is_said_in_full(name):
    expect = expectations()[name]
    assert expect.keys() <= KEYS, expect.keys() - KEYS
    assert expect["outcome"] in OUTCOMES
    assert (expect["outcome"] == "caught") == (expect["verdict"] != "ok")
    assert expect["attack"]
    assert expect["seen"]
    assert expect["phase"]
    if expect["verdict"] == "refused":
        assert expect["phase"] == "check"
        assert "scored_below_nats" in expect or "scored_above_nats" in expect  # what it does where nothing refuses it
    if expect["outcome"] == "harmless":
        assert "scored_above_nats" in expect  # nothing was gained, and that is measured
    if expect["outcome"] == "untold":
        assert "scored_below_nats" in expect  # it pays, or it would be harmless
        chapter, paragraph = expect["rule"].split(".")
        rules = (ROOT / "RULES.md").read_text()
        (text,) = re.findall(rf"^## {chapter}\. .*?(?=^## |\Z)", rules, re.MULTILINE | re.DOTALL)
        (rule,) = re.findall(rf"^{paragraph}\. .*?(?=^\d+\. |\Z)", text, re.MULTILINE | re.DOTALL)
        assert "*How a reviewer sees it:*" in " ".join(rule.split())


def test_there_are_as_many_as_we_say():
    assert len(expectations()) >= 40
