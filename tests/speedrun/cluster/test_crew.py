"""Who makes which run on a crew's nodes, and what becomes of runs, nodes and records. No engine, and no sandbox."""

import contextlib
import itertools
import threading
from collections import Counter

import msgspec
import pytest

from harness import submission
from harness.errors import UserError
from harness.result import Series, Verdict
from harness.track import find_track
from leaderboard.store import Store
from speedrun import bout
from speedrun.cluster import batch, watching
from speedrun.cluster.crew import Call
from speedrun.cluster.engine import LostError
from speedrun.cluster.orders import Failed, Lost, Mistaken, Refused
from speedrun.cluster.roster import MOST_FAULTS, MOST_LOSSES
from speedrun.cluster.watching import Watch
from speedrun.session import Conditions, open_session

SERIES = Series(id="20261121-141530-runs-mine-3f9a", purpose="runs")


@pytest.fixture
def mine(workspace, entry):
    return submission.load(entry("mine"), "mine")


@pytest.fixture
def track(workspace, blink):
    return find_track(blink, workspace.tracks)


def stored(workspace):
    return Store(workspace.results).load().records


def one_run(crew, workspace, track, mine):
    with open_session(workspace, track, Conditions(crew=crew), mine.name) as session:
        return session.run(session.request(mine, series=SERIES), "run 1 of 1")


@pytest.fixture
def run_batch(workspace, track, mine, crew, monkeypatch):
    """`speedrun run --on`, with pretended nodes."""

    def run(behaviour, runs, seats=4, watch=None, **options):
        made = []

        @contextlib.contextmanager
        def call(workspace, track, wanted, watch, *, seats: int):
            made.append(crew(behaviour, min(count, seats), watch))
            yield made[0]

        count = seats
        monkeypatch.setattr(batch, "call", call)
        if watch is not None:
            monkeypatch.setattr(watching, "choose", lambda title, *, total, quiet, json: watch(title, total))
        options = {"overrides": {}, "conditions": Conditions(quiet=True), **options}
        answer = batch.run_batch(workspace, mine, track, wanted=Call("ray"), runs=runs, **options)
        return answer, made[0] if made else None

    return run


def test_two_hundred_runs_with_nodes_lost_on_the_way_are_each_stored_once(run_batch, workspace, made):
    numbers, lost = itertools.count(1), []

    def behave(seat, order):
        if order.look:
            return made(order)
        number = next(numbers)
        if number % 7 == 0:  # before it began, or when it had ended and nobody had heard
            if number % 2:
                made(order)
            lost.append(order.job)
            raise LostError("the node died")
        return made(order)

    answer, crew = run_batch(behave, 200)
    assert len(lost) > 25
    assert len(stored(workspace)) == len(answer.records) == 200
    assert len({run.run_id for run in stored(workspace)}) == 200
    asked = Counter(order.job for seat in crew.seats for order in seat.orders if not order.look)
    assert {f"mine, run {number} of 200" for number in range(1, 201)} == asked.keys()
    assert asked - Counter(lost) == dict.fromkeys(asked, 1)  # made again only where it was lost
    assert {run.series for run in stored(workspace)} == {answer.records[0].series}
    assert (crew.watch.done, crew.watch.queued, crew.watch.running) == (200, 0, 0)


def test_who_starts_it_again_goes_on_with_what_is_stored(run_batch, workspace, made):
    ended = itertools.count(1)

    def dies(seat, order):
        if not order.look and next(ended) > 12:
            raise MemoryError("as if the driver were killed")
        return made(order)

    with pytest.raises(MemoryError):
        run_batch(dies, 30)
    there = {run.run_id for run in stored(workspace)}
    assert len(there) == 12
    answer, crew = run_batch(lambda seat, order: made(order), 30, resume=True)
    assert len(answer.records) == len(stored(workspace)) == 30
    assert there < {record.run_id for record in answer.records}
    assert len({run.series.id for run in stored(workspace)}) == 1
    assert sum(not order.look for seat in crew.seats for order in seat.orders) == 18
    # All are there: nothing is left to run, and no node is called.
    assert run_batch(lambda seat, order: Refused("no"), 30, resume=True)[1] is None


def test_there_is_nothing_to_go_on_with_of_other_settings(run_batch, made):
    run_batch(lambda seat, order: made(order), 2)
    for options in ({"overrides": {"tokens": "5"}}, {"conditions": Conditions(quiet=True, practice=True)}):
        with pytest.raises(UserError, match=r"no runs of mine .* leave --resume out"):
            run_batch(lambda seat, order: made(order), 4, resume=True, **options)


def test_where_time_decides_one_node_makes_all_runs(workspace, mine, monkeypatch):
    seen = []

    @contextlib.contextmanager
    def call(workspace, track, wanted, watch, *, seats):
        seen.append(seats)
        raise UserError("enough seen")
        yield

    monkeypatch.setattr(batch, "call", call)
    for name in ("4090-val-3.0", "cpu-smoke"):
        track = find_track(name, workspace.tracks)
        with pytest.raises(UserError, match="enough seen"):
            batch.run_batch(workspace, mine, track, Conditions(quiet=True), Call("ray"), runs=9, overrides={})
    assert seen == [1, 9]


def test_a_run_that_fells_five_nodes_is_given_up_and_says_where_to_look(crew, workspace, track, mine, made):
    def behave(seat, order):
        if order.look:
            return made(order)
        raise LostError("out of memory")

    crew = crew(behave, 2)
    with pytest.raises(UserError, match=rf"lost {MOST_LOSSES} times \(out of memory\)"):
        one_run(crew, workspace, track, mine)
    assert stored(workspace) == ()


def test_a_lost_run_goes_to_another_node_and_says_so(crew, workspace, track, mine, made):
    def behave(seat, order):
        if seat.number == 0 and not order.look:
            raise LostError("the node died")
        return made(order)

    watch = Watch("a test")
    crew = crew(behave, 2, watch)
    with open_session(workspace, track, Conditions(crew=crew), mine.name) as session:
        request = session.request(mine, series=SERIES)
        assert session.machine == "node-0"
        record = session.run(request).record
        assert session.machine == "node-1"
    assert record.verdict is Verdict.OK
    assert watch.notes == ["mine is made again: the node died"]
    # The node that took over was asked first whether it will do.
    assert [order.look for order in crew.seats[1].orders] == [True, False]


def test_a_node_that_never_comes_back_keeps_nobody_waiting(run_batch, workspace, made):
    def behave(seat, order):
        if seat.number == 0 and not order.look:
            seat.is_there = False
            raise LostError("the node died")
        return made(order)

    answer, crew = run_batch(behave, 9, seats=2)
    assert len(answer.records) == len(stored(workspace)) == 9
    assert sum(not order.look for order in crew.seats[1].orders) == 9


def test_a_node_that_comes_back_is_used_again(crew, workspace, track, mine, made):
    def behave(seat, order):
        return made(order)

    crew = crew(behave)
    crew.seats[0].is_there = False
    looks = itertools.count()

    def heard():
        crew.seats[0].is_there = next(looks) >= 2
        return ()

    crew.heard = heard
    assert one_run(crew, workspace, track, mine).record.verdict is Verdict.OK


def test_a_run_that_was_stopped_with_its_node_is_made_again_and_counts_against_nobody(
    crew, workspace, track, mine, made
):
    ends = iter((Verdict.INTERRUPTED, Verdict.OK))

    def behave(seat, order):
        return made(order) if order.look else made(order, verdict=next(ends))

    crew = crew(behave)
    assert one_run(crew, workspace, track, mine).record.verdict is Verdict.OK
    assert [run.verdict for run in stored(workspace)] == [Verdict.OK]


def test_a_run_that_ended_badly_is_not_made_again(crew, workspace, track, mine, made):
    def behave(seat, order):
        return made(order) if order.look else made(order, verdict=Verdict.CRASHED)

    crew = crew(behave)
    assert one_run(crew, workspace, track, mine).record.verdict is Verdict.CRASHED
    assert [order.look for order in crew.seats[0].orders] == [True, False]


def test_a_node_that_refuses_is_left_out(crew, workspace, track, mine, made):
    def behave(seat, order):
        return Refused("the track needs 2 CPU threads (here: 1)") if seat.number == 0 else made(order)

    crew = crew(behave, 2)
    for _ in range(3):
        one_run(crew, workspace, track, mine)
    assert len(crew.seats[0].orders) == 1
    assert len(stored(workspace)) == 3


def test_a_node_that_refuses_in_the_middle_is_left_out_and_others_make_its_runs(run_batch, workspace, made):
    done, full = itertools.count(1), threading.Event()

    def behave(seat, order):
        if seat.number == 1 and not order.look:
            assert full.wait(30)  # so that the first seat is not left without jobs
        elif not order.look and next(done) > 3:
            full.set()
            return Refused("the disk is full")
        return made(order)

    answer, crew = run_batch(behave, 20, seats=2)
    assert len(answer.records) == len(stored(workspace)) == 20
    assert sum(not order.look for order in crew.seats[0].orders) == 4
    assert crew.watch.notes == ["node host-0: the disk is full; it is left out"]


def test_a_node_that_is_lost_whenever_it_is_looked_at_is_left_out(crew, workspace, track, mine, made):
    def behave(seat, order):
        if seat.number == 0:
            raise LostError("no module named ray")
        return made(order)

    crew = crew(behave, 2)
    for _ in range(MOST_LOSSES + 2):
        one_run(crew, workspace, track, mine)
    assert len(crew.seats[0].orders) == MOST_LOSSES + 1
    alone = crew.__class__(workspace, crew.seats[:1], crew.watch, crew.interrupts, crew.heard)
    with pytest.raises(UserError, match="a node was lost 6 times in a row: no module named ray"):
        one_run(alone, workspace, track, mine)


def test_a_node_on_which_every_run_is_killed_is_left_out_and_no_single_run_costs_one(
    crew, workspace, track, mine, made
):
    bad, moved = "node-0", "node-9"

    def behave(seat, order):
        return Lost("out of memory") if seat.node_id == bad and not order.look else made(order)

    alone = crew(behave, 1)
    with pytest.raises(UserError, match=rf"lost {MOST_LOSSES} times \(out of memory\)"):
        one_run(alone, workspace, track, mine)
    with pytest.raises(UserError, match=r"no node .* a node was lost 6 times in a row: out of memory"):
        one_run(alone, workspace, track, mine)
    moving = crew(behave, 1)
    with pytest.raises(UserError, match=rf"lost {MOST_LOSSES} times"):
        one_run(moving, workspace, track, mine)
    moving.seats[0].node_id = moved  # the engine found it another: that one starts with nothing against it
    one_run(moving, workspace, track, mine)


def test_what_goes_wrong_with_one_seat_takes_no_other_with_it(crew, workspace, track, mine, made, monkeypatch):
    crew = crew(lambda seat, order: made(order), 3)

    def fails():
        raise RuntimeError("the connection is gone")

    monkeypatch.setattr(crew.seats[0], "node", fails)
    with pytest.raises(RuntimeError):
        one_run(crew, workspace, track, mine)
    assert len(crew._free) == 3


def test_runs_on_two_machines_are_no_pair_of_a_duel(crew, workspace, track, mine, made, entry):
    entry("yours", config=(mine_config := (workspace.submissions / "mine" / "config.py").read_text()) + "\n# other\n")
    assert mine_config
    losses = iter([False, True])

    def behave(seat, order):
        if not order.look and seat.number == 0 and next(losses, False):
            raise LostError("the node died")
        return made(order)

    crew = crew(behave, 2)
    a, b = (bout.named(name, workspace) for name in ("mine", "yours"))
    with open_session(workspace, track, Conditions(crew=crew, quiet=True), "a duel") as session:
        fought = bout.fight(session, a, b, bout.Terms("duel", 2, quiet=True))
    runs = {run.run_id: run for run in stored(workspace)}
    assert len(runs) == 6  # one of them beside its pair, which was run again
    assert len(fought.duel.pairs) == 2
    machines = {order.series.id: seat for seat in crew.seats for order in seat.orders if order.series}
    assert len(machines) == 1
    on = {seat.number: sum(not order.look for order in seat.orders) for seat in crew.seats}
    assert on == {0: 2, 1: 5}  # the first, and the one that was lost; then all others on the second


def test_a_seat_that_moves_between_two_runs_makes_no_pair(crew, workspace, track, mine, made, entry):
    """Nobody loses anything when it does: its node died while nothing was going on there."""
    entry("yours", config=(workspace.submissions / "mine" / "config.py").read_text() + "\n# other\n")
    machines = []

    def behave(seat, order):
        if not order.look:
            machines.append(seat.node_id)
            seat.node_id = "node-elsewhere"
        return made(order)

    a, b = (bout.named(name, workspace) for name in ("mine", "yours"))
    with open_session(workspace, track, Conditions(crew=crew(behave), quiet=True), "a duel") as session:
        fought = bout.fight(session, a, b, bout.Terms("duel", 2, quiet=True))
    assert machines == ["node-0"] + ["node-elsewhere"] * 5
    assert len(fought.duel.pairs) == 2


def test_what_no_node_should_say_is_one_line(crew, workspace, track, mine, made, monkeypatch):
    crew = crew(lambda seat, order: made(order))
    crew.heard = lambda: [(0, b"a library prints this"), (0, b"\xff")]
    assert one_run(crew, workspace, track, mine).record.verdict is Verdict.OK
    monkeypatch.setattr(crew.seats[0], "run", lambda order, wait: b"{}")
    with pytest.raises(UserError, match="node host-0 does not speak as it should"):
        one_run(crew, workspace, track, mine)


def test_when_every_node_refuses_all_their_reasons_are_told(crew, workspace, track, mine):
    crew = crew(lambda seat, order: Refused(f"no data on {seat.number}"), 2)
    with pytest.raises(UserError, match=r"node host-0: no data on 0; node host-1: no data on 1"):
        one_run(crew, workspace, track, mine)


def test_a_fault_of_ours_on_a_node_is_one_line(crew, workspace, track, mine, made):
    def behave(seat, order):
        return made(order) if order.look else Failed("ValueError: oh")

    with pytest.raises(UserError, match="node host-0: internal error: ValueError: oh"):
        one_run(crew(behave), workspace, track, mine)


class Waits(Watch):
    """Knows when a seat was left out, so that another one can leave it jobs until then."""

    def __init__(self, title, total):
        super().__init__(title, total)
        self.out = threading.Event()

    def left_out(self, seat, words):
        super().left_out(seat, words)
        self.out.set()


@pytest.mark.parametrize("looks", [True, False])
def test_a_node_that_fails_is_left_out_and_others_make_its_runs(run_batch, workspace, made, looks):
    """A package that is missing there, say: it would fail first, and get every next run."""

    def behave(seat, order):
        if seat.number == 0 and (looks or not order.look):
            return Failed("its process ended with 1: No module named 'torch'")
        assert order.look or seat.crew.watch.out.wait(30)
        return made(order)

    answer, crew = run_batch(behave, 9, seats=2, watch=Waits)
    assert len(answer.records) == len(stored(workspace)) == 9
    assert sum(not order.look for order in crew.seats[1].orders) == 9
    assert crew.watch.notes == [
        "node host-0: internal error: its process ended with 1: No module named 'torch'; it is left out"
    ]


def test_a_node_whose_every_run_is_a_fault_of_ours_is_left_out(run_batch, workspace, made):
    def behave(seat, order):
        if seat.number == 0 and not order.look:
            return made(order, verdict=Verdict.INTERNAL_ERROR)
        assert order.look or seat.crew.watch.out.wait(30)
        return made(order)

    answer, crew = run_batch(behave, 20, seats=2, watch=Waits)
    verdicts = Counter(record.verdict for record in answer.records)
    assert verdicts == {Verdict.INTERNAL_ERROR: MOST_FAULTS, Verdict.OK: 20 - MOST_FAULTS}
    (note,) = crew.watch.notes
    assert note.startswith(f"node host-0: {MOST_FAULTS} runs in a row ended as INTERNAL_ERROR; speedrun show 2026")


def test_a_fault_of_ours_now_and_then_costs_no_node(run_batch, made):
    numbers = itertools.count(1)

    def behave(seat, order):
        fault = not order.look and next(numbers) % MOST_FAULTS
        return made(order, verdict=Verdict.INTERNAL_ERROR if fault else Verdict.OK)

    answer, crew = run_batch(behave, 12, seats=1)
    assert len(answer.records) == 12
    assert crew.watch.notes == []


def test_when_no_node_is_left_the_answer_names_what_was_made(run_batch, workspace, made):
    numbers = itertools.count(1)

    def behave(seat, order):
        return Refused("the disk is full") if not order.look and next(numbers) > 3 else made(order)

    answer, _ = run_batch(behave, 9, seats=2)
    assert {record.run_id for record in answer.records} == {run.run_id for run in stored(workspace)}
    assert len(answer.files) == 3
    assert answer.broken_off.startswith("no node of the cluster can make these runs: node host-")
    assert answer.exit_code == 1


def test_what_no_node_could_make_ends_the_command_and_leaves_no_node_out(run_batch, made):
    def behave(seat, order):
        return made(order) if order.look else Mistaken("Config: n_heads must divide width")

    watch = []

    class Remembers(Watch):
        def __init__(self, title, total):
            super().__init__(title, total)
            watch.append(self)

    with pytest.raises(UserError) as raised:
        run_batch(behave, 8, watch=Remembers)
    assert str(raised.value) == "Config: n_heads must divide width"
    assert watch[0].notes == []


def test_a_run_whose_record_could_not_be_stored_waits_for_the_next_command(run_batch, workspace, made, monkeypatch):
    add, numbers, ran = Store.add, itertools.count(1), []

    def fails(store, record, signature=None):
        if next(numbers) == 3:
            raise UserError("locked by another process for 60 s")
        return add(store, record, signature)

    def behave(seat, order):
        if not order.look:
            ran.append(order.job)
        return made(order)

    monkeypatch.setattr(Store, "add", fails)
    answer, _ = run_batch(behave, 5, seats=1)
    assert answer.broken_off == "locked by another process for 60 s"
    assert len(stored(workspace)) == 2
    answer, _ = run_batch(behave, 5, seats=1, resume=True)
    assert len(ran) == len(answer.records) == len(stored(workspace)) == 5  # none was made again
    assert list((workspace.cache / "runs").iterdir()) == []


def test_who_goes_on_is_told_which_runs_are_made_again(run_batch, workspace, made, capsys):
    numbers = itertools.count(1)

    def behave(seat, order):
        return made(order, verdict=Verdict.INTERNAL_ERROR if not order.look and next(numbers) == 2 else Verdict.OK)

    run_batch(behave, 4, seats=1)
    loud = Conditions()
    answer, _ = run_batch(behave, 4, seats=1, resume=True, conditions=loud)
    assert (
        "3 of 4 runs are there already; 1 more had no verdict of the entry's and are made again"
        in capsys.readouterr().err
    )
    assert len(answer.records) == 4
    assert len(stored(workspace)) == 5


def test_a_run_whose_process_was_killed_on_its_node_is_made_again(crew, workspace, track, mine, made):
    asked = []

    def behave(seat, order):
        if order.look:
            return made(order)
        asked.append(order)
        return Lost("its process was killed by signal 9: no word before that") if len(asked) == 1 else made(order)

    record = one_run(crew(behave), workspace, track, mine).record
    assert len(asked) == 2
    assert [run.run_id for run in stored(workspace)] == [record.run_id]


def test_what_a_node_sends_instead_of_a_record_is_refused(crew, workspace, track, mine, made):
    def behave(seat, order):
        good = made(order)
        return good if order.look else msgspec.structs.replace(good, record=msgspec.Raw(b'{"schema": 1}'))

    with pytest.raises(UserError, match="a node sent a record that is none"):
        one_run(crew(behave), workspace, track, mine)
    assert stored(workspace) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"entry": {"name": "yours"}},
        {"track": {"id": "cpu-smoke"}},
        {"track": {"sha256": "0" * 64}},
        {"source": {"sha256": "0" * 64}},
        {"series": {"id": "20260101-000000-runs-mine-0000"}},
        {"overrides": {"smoothing": "9"}},
        {"tier": "verified"},
    ],
    ids=str,
)
def test_the_record_of_another_run_is_not_kept(crew, workspace, track, mine, made, change):
    def behave(seat, order):
        good = made(order)
        if order.look:
            return good
        record = msgspec.json.decode(bytes(good.record))
        for name, value in change.items():
            record[name] = {**record[name], **value} if isinstance(value, dict) else value
        return msgspec.structs.replace(good, record=msgspec.Raw(msgspec.json.encode(record)))

    with pytest.raises(UserError, match=r"sent the record of another run than mine, run 1 of 1|a record that is none"):
        one_run(crew(behave), workspace, track, mine)
    assert stored(workspace) == ()


def test_a_practice_run_that_comes_back_ranked_is_not_kept(crew, workspace, track, mine, made):
    crew = crew(lambda seat, order: made(order))
    with open_session(workspace, track, Conditions(crew=crew, practice=True), mine.name) as session:
        request = session.request(mine, series=SERIES)
        with pytest.raises(UserError, match="another run"):
            session.run(request)
    assert stored(workspace) == ()


def test_one_run_is_not_counted_twice(crew, workspace, track, mine, made):
    kept = {}

    def behave(seat, order):
        return kept.setdefault(order.look, made(order))

    crew = crew(behave)
    one_run(crew, workspace, track, mine)
    with pytest.raises(UserError, match="came twice"):
        one_run(crew, workspace, track, mine)
    assert len(stored(workspace)) == 1


def test_a_session_stays_on_its_node(crew, workspace, track, mine, made):
    crew = crew(lambda seat, order: made(order), 3)
    with open_session(workspace, track, Conditions(crew=crew), mine.name) as session:
        request = session.request(mine, series=SERIES)
        for _ in range(5):
            session.run(request)
    assert [sum(not order.look for order in seat.orders) for seat in crew.seats] == [5, 0, 0]


def test_told_to_stop_the_waiting_ends_and_what_is_stored_stays(run_batch, workspace, made):
    runs = itertools.count(1)

    def behave(seat, order):
        if not order.look and next(runs) == 5:
            seat.crew.interrupts.came = True
        return made(order)

    answer, _ = run_batch(behave, 50, seats=1)
    assert answer.interrupted
    assert answer.exit_code == 130
    assert len(answer.records) == len(stored(workspace)) == 5


def test_told_to_stop_before_anything_ended_there_is_no_answer(run_batch, workspace, made):
    def behave(seat, order):
        seat.crew.interrupts.came = True
        return made(order)

    for seats in (1, 4):
        with pytest.raises(KeyboardInterrupt):
            run_batch(behave, 50, seats=seats)
    assert stored(workspace) == ()


def test_threads_share_seats_without_two_runs_on_one(crew, workspace, track, mine, made):
    crew = crew(lambda seat, order: made(order), 3)
    barrier = threading.Barrier(6)

    def work():
        barrier.wait()
        one_run(crew, workspace, track, mine)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(stored(workspace)) == 6  # PretendSeat asserts that it makes one at a time


@pytest.mark.parametrize("address", ["nowhere", "", "ray:/head:10001", "Ray"])
def test_an_address_that_is_none_is_refused_before_anything_is_said(address):
    with pytest.raises(UserError, match=r"--on takes ray \(the cluster of this machine\) or ray://HOST:PORT, not"):
        Call(address)


def test_artifacts_of_runs_elsewhere_can_not_be_kept(speedrun, mine):
    said = speedrun("run", "mine", "--track", "cpu-blink", "--on", "ray", "--keep", "3")
    assert said.code == 2
    assert "those of runs on a cluster are not kept; leave it out" in said.err
