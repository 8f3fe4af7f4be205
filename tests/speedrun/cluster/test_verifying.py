"""Verifications on a crew's nodes, which are pretended; keys, signatures and the repository are real."""

import contextlib
import itertools
import json

import msgspec
import pytest

from harness.errors import UserError
from harness.result import Level, Tier, Verdict
from leaderboard.store import Store
from speedrun.cluster import manning
from speedrun.cluster.engine import LostError
from speedrun.cluster.orders import Refused
from speedrun.commands.verify import verify
from speedrun.commands.verify_all import verify_all
from speedrun.session import Conditions
from speedrun.vouching import Voucher
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


@pytest.fixture
def add(checkout, entry):
    """More entries that wait: `add("yours", "theirs")`."""

    def commit(*names):
        for number, name in enumerate(names, start=2):
            config = (checkout.submissions / "mine" / "config.py").read_text()
            entry(name, config=config.replace("= 0.1", f"= 0.{number}"))
        git(checkout.root, "add", "-A")
        git(checkout.root, "commit", "-qm", "more")

    return commit


def test_a_queue_is_worked_off_by_as_many_nodes_as_there_are(checkout, blink, keys, crew, add, made_on):
    add("yours", "theirs")
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


@pytest.mark.parametrize("weak", [0, 1])
def test_a_node_whose_sandbox_is_too_weak_is_left_out_and_others_verify(
    checkout, blink, keys, crew, add, made_on, weak
):
    """It would refuse at once, and get every next entry."""
    add("yours", "theirs")

    def behave(seat, order):
        level = Level.LANDLOCK if seat.number == weak else Level.NAMESPACES
        return msgspec.structs.replace(made_on(order, "the same"), level=level)

    crew = crew(behave, 2)
    conditions = Conditions(crew=crew, quiet=True)
    answer = verify_all(checkout, blink, key=keys / "ada", runs=None, limit=None, conditions=conditions)
    assert [row.outcome for row in answer.entries] == ["stands"] * 3
    wanted = "a verified run takes the sandbox level namespaces or uid, this is landlock"
    told = [f"node host-{weak}: {wanted}; it is left out"]
    # The other one may have made all of it before this one was asked.
    assert crew.watch.notes == told or (weak == 1 and crew.watch.notes == [])
    assert [order for order in crew.seats[weak].orders if not order.look] == []


def test_one_that_breaks_off_names_the_runs_that_were_made(checkout, blink, keys, crew, made):
    runs = itertools.count(1)

    def behave(seat, order):
        return Refused("the disk is full") if not order.look and next(runs) > 2 else made(order)

    conditions = Conditions(crew=crew(behave), quiet=True)
    verified = verify(checkout, "mine", blink, key=keys / "ada", runs=3, conditions=conditions)
    assert verified.outcome == "not settled"
    assert verified.because.startswith(
        "it broke off: no node of the cluster can make these runs: node host-0: the disk"
    )
    assert verified.exit_code == 1
    assert {run.run_id for run in records(checkout)} == set(verified.run_ids)
    assert [(checkout.root / file).exists() for file in verified.files] == [True] * 4  # two records and signatures


def test_when_no_node_is_left_the_rest_of_the_queue_was_not_begun(checkout, blink, keys, crew, add, made):
    add("theirs", "yours")
    runs = itertools.count(1)

    def behave(seat, order):
        return Refused("the disk is full") if not order.look and next(runs) > 2 else made(order)

    conditions = Conditions(crew=crew(behave), quiet=True)
    answer = verify_all(checkout, blink, key=keys / "ada", runs=3, limit=None, conditions=conditions)
    (begun,) = answer.entries
    assert begun.outcome == "not settled"
    assert set(begun.run_ids) == {run.run_id for run in records(checkout)}
    assert len(begun.run_ids) == 2
    assert sorted((begun.entry, *answer.left)) == ["mine", "theirs", "yours"]
    assert answer.broken_off == "no node of the cluster can make these runs: node host-0: the disk is full"
    assert answer.exit_code == 1


def test_what_is_settled_early_leaves_nothing_queued(checkout, blink, keys, crew, add, made):
    add("yours")

    def behave(seat, order):
        cheats = order.entry == "mine" and not order.look
        return made(order, verdict=Verdict.NOT_PREDICTIVE) if cheats else made(order)

    crew = crew(behave)
    conditions = Conditions(crew=crew, quiet=True)
    verify_all(checkout, blink, key=keys / "ada", runs=5, limit=None, conditions=conditions)
    assert 5 < len(records(checkout)) < 10
    assert (crew.watch.total, crew.watch.queued) == (crew.watch.done, 0)
    jobs = [order.job for order in crew.seats[0].orders if order.entry == "yours" and not order.look]
    assert jobs[1] in (
        "yours, 1 of 2 in the queue, verified run 2 of 5",
        "yours, 2 of 2 in the queue, verified run 2 of 5",
    )


def test_one_verification_says_how_many_runs_it_takes(checkout, blink, keys, crew, made):
    crew = crew(lambda seat, order: made(order))
    verify(checkout, "mine", blink, key=keys / "ada", runs=3, conditions=Conditions(crew=crew, quiet=True))
    assert (crew.watch.total, crew.watch.done) == (3, 3)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("verify", "nobody", "--key", "ada"), "there is no entry 'nobody'"),
        (("verify", "mine", "--key", "eve"), "is nobody's in leaderboard/maintainers"),
        (("verify", "--all", "--key", "eve"), "is nobody's in leaderboard/maintainers"),
        (("duel", "mine", "--against", "nobody"), "there is no entry 'nobody'"),
        (("duel", "mine", "--against", "record", "--key", "eve"), "is nobody's in leaderboard/maintainers"),
        (("retime",), "has no two verified records in a row"),
    ],
)
def test_no_node_is_taken_for_what_is_wrong_beforehand(checkout, blink, keys, speedrun, monkeypatch, arguments, words):
    monkeypatch.setattr(manning, "call", lambda *arguments, **options: pytest.fail("nodes were called"))
    monkeypatch.chdir(keys)
    said = speedrun(*arguments, "--track", blink, "--on", "ray")
    assert said.code == 2
    assert words in said.err


def test_no_more_nodes_are_taken_than_there_is_to_do(checkout, blink, keys, add, speedrun, crew, made, monkeypatch):
    add("yours", "theirs")
    asked = []

    @contextlib.contextmanager
    def call(workspace, track, wanted, watch, *, seats):
        asked.append(seats)
        yield crew(lambda seat, order: made(order), seats, watch)

    monkeypatch.setattr(manning, "call", call)
    all_of_them = ("verify", "--all", "--track", blink, "--key", keys / "ada", "--on", "ray")
    assert speedrun(*all_of_them, "--limit", "1").code == 0
    assert speedrun(*all_of_them).code == 0
    assert speedrun(*all_of_them).code == 0  # nobody waits any more
    assert asked == [1, 2]


def test_with_json_standard_error_is_one_object_a_line(checkout, blink, keys, add, speedrun, crew, made, monkeypatch):
    """Also for what is said however quiet it is: a record that can't be signed, a claim instead of a record."""
    add("yours")

    @contextlib.contextmanager
    def call(workspace, track, wanted, watch, *, seats):
        yield crew(lambda seat, order: made(order), seats, watch)

    def fails(signer, data):
        raise UserError("the agent is gone")

    monkeypatch.setattr(manning, "call", call)
    first = speedrun("duel", "mine", "--against", "yours", "--track", blink, "--on", "ray", "--pairs", "2", "--json")
    said = speedrun("duel", "yours", "--against", "record", "--track", blink, "--on", "ray", "--pairs", "2", "--json")
    assert "against the best claim" in said.err
    begins = next(event for event in map(json.loads, first.err.splitlines()) if event["event"] == "started")
    assert (begins["running"], begins["queued"]) == (1, 3)  # of two pairs
    (checkout.results / blink / "x.json").write_text("{")
    git(checkout.root, "add", "-A")
    git(checkout.root, "commit", "-qm", "records")
    monkeypatch.setattr(Voucher, "demand", lambda voucher, *entries: None)
    monkeypatch.setattr(Voucher, "sign", fails)
    unsigned = speedrun("verify", "--all", "--track", blink, "--key", keys / "ada", "--on", "ray", "--json")
    assert "is not signed and counts as self-reported: the agent is gone" in unsigned.err
    assert "broken file" in unsigned.err
    for line in (first.err + said.err + unsigned.err).splitlines():
        assert "event" in json.loads(line)


def test_records_that_are_timed_again_say_how_many_runs_that_takes(
    checkout, blink, keys, add, speedrun, crew, made, monkeypatch
):
    add("yours")
    crews, jitter = [], itertools.cycle((0.0, 0.001, 0.002))

    def behave(seat, order):
        loss_nats = {"mine": 1.5, "yours": 1.0}[order.entry] + next(jitter)
        return made(order, loss_nats=loss_nats, ranked=not order.against)

    @contextlib.contextmanager
    def call(workspace, track, wanted, watch, *, seats):
        crews.append(crew(behave, seats, watch))
        yield crews[-1]

    monkeypatch.setattr(manning, "call", call)
    for name in ("mine", "yours"):
        assert speedrun("verify", name, "--track", blink, "--runs", "3", "--key", keys / "ada", "--on", "ray").code == 0
        git(checkout.root, "add", "-A")
        git(checkout.root, "commit", "-qm", "a record")
    said = speedrun("retime", "--track", blink, "--on", "ray", "--pairs", "20", "--json")
    assert said.code == 0, said
    events = [json.loads(line) for line in said.err.splitlines()]
    assert next(event for event in events if event["event"] == "started")["queued"] == 39
    watch = crews[-1].watch
    assert (watch.total, watch.queued) == (watch.done, 0)
    assert watch.done < 40  # it was settled early
