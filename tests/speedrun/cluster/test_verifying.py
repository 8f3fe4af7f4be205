"""Verifications on a crew's nodes, which are pretended; keys, signatures and the repository are real."""

import itertools

import msgspec
import pytest

from harness.result import Tier
from leaderboard.store import Store
from speedrun.cluster.engine import LostError
from speedrun.commands.verify import verify
from speedrun.commands.verify_all import verify_all
from speedrun.session import Conditions
from tests.maintained import git, maintain, make_keys


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return make_keys(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def checkout(workspace, blink, entry, keys):
    entry("mine")
    return maintain(workspace, keys)


@pytest.fixture
def made_on(made):
    """What a node of this processor says of a run."""

    def answer(order, cpu):
        good = made(order)
        record = msgspec.json.decode(bytes(good.record))
        record["environment"]["cpu"] = cpu
        return msgspec.structs.replace(good, record=msgspec.Raw(msgspec.json.encode(record)))

    return answer


def records(workspace):
    return Store(workspace.results).load().records


def test_a_verification_is_signed_here_and_stays_on_one_node(checkout, blink, keys, crew, made_on):
    crew = crew(lambda seat, order: made_on(order, f"cpu {seat.number}"), 3)
    conditions = Conditions(crew=crew, quiet=True)
    verified = verify(checkout, "mine", blink, key=keys / "ada", runs=3, conditions=conditions)
    assert verified.outcome == "stands"
    assert [run.tier for run in records(checkout)] == [Tier.VERIFIED] * verified.runs_asked
    assert {run.environment.cpu for run in records(checkout)} == {"cpu 0"}


def test_one_that_loses_its_node_counts_only_runs_that_belong_together(checkout, blink, keys, crew, made_on):
    runs = itertools.count(1)

    def behave(seat, order):
        if seat.number == 0 and not order.look and next(runs) > 1:
            seat.is_there = False
            raise LostError("the node died")
        return made_on(order, f"cpu {seat.number}")

    conditions = Conditions(crew=crew(behave, 2), quiet=True)
    verified = verify(checkout, "mine", blink, key=keys / "ada", runs=3, conditions=conditions)
    assert verified.outcome == "stands"
    cpus = [run.environment.cpu for run in records(checkout)]
    assert sorted(cpus) == ["cpu 0"] + ["cpu 1"] * verified.runs_asked
    counted = {run.run_id for run in records(checkout) if run.environment.cpu == "cpu 1"}
    assert set(verified.run_ids) == counted


def test_one_that_moves_to_an_equal_machine_goes_on(checkout, blink, keys, crew, made_on):
    runs = itertools.count(1)

    def behave(seat, order):
        if seat.number == 0 and not order.look and next(runs) > 1:
            seat.is_there = False
            raise LostError("the node died")
        return made_on(order, "the same")

    conditions = Conditions(crew=crew(behave, 2), quiet=True)
    verified = verify(checkout, "mine", blink, key=keys / "ada", runs=3, conditions=conditions)
    assert verified.outcome == "stands"
    assert len(records(checkout)) == len(verified.run_ids) == verified.runs_asked


def test_a_queue_is_worked_off_by_as_many_nodes_as_there_are(checkout, blink, keys, crew, entry, made_on):
    for name in ("yours", "theirs"):
        config = (checkout.submissions / "mine" / "config.py").read_text()
        entry(name, config=config.replace("= 0.1", f"= 0.{len(name)}"))
    git(checkout.root, "add", "-A")
    git(checkout.root, "commit", "-qm", "more")
    crew = crew(lambda seat, order: made_on(order, f"cpu {seat.number}"), 2)
    conditions = Conditions(crew=crew, quiet=True)
    answer = verify_all(checkout, blink, key=keys / "ada", runs=3, limit=None, conditions=conditions)
    assert answer.exit_code == 0
    assert sorted((row.entry, row.outcome) for row in answer.entries) == [
        *(("mine", "stands"), ("theirs", "stands"), ("yours", "stands"))
    ]
    assert (crew.watch.total, crew.watch.done) == (9, 9)
    for name in ("mine", "yours", "theirs"):
        assert len({run.environment.cpu for run in records(checkout) if run.entry.name == name}) == 1
