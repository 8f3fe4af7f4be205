"""Where seats lie and how many of them there are, with an engine that is pretended: no cluster is started."""

import pytest

from speedrun.cluster import engine, orders, task
from speedrun.cluster.engine import Engine, Node, Seat
from speedrun.cluster.needs import Needs
from speedrun.cluster.orders import Failed, Lost

NEEDS = Needs(2, 0, 2**30, None)
ROOM = {"CPU": 2.0, "memory": 2.0**31}


class Task:
    """A remote function that is called at once."""

    def __init__(self, does):
        self._does = does

    def options(self, **options):
        return self

    def remote(self, *arguments):
        return self._does(*arguments)


class Ray:
    """What was called is there."""

    def wait(self, asked, timeout):
        return asked, []

    def get(self, value, timeout=None):
        return value


@pytest.fixture
def pretended(monkeypatch):
    """An engine whose functions run here: `pretended(_run=…)`."""

    def make(**functions):
        made = Engine.__new__(Engine)
        made._ray, made._post = Ray(), None
        monkeypatch.setattr(Engine, "_options", lambda self, group, number: {})
        for name, does in functions.items():
            setattr(made, name, Task(does))
        return made

    return make


def test_a_seat_that_was_moved_says_so_instead_of_making_a_run(pretended, monkeypatch):
    """Ray moves a bundle whose node is gone, and the next run would be made where nobody has looked."""
    here = [Node("a", "host-a")]
    monkeypatch.setattr(engine, "_where", lambda: here[0])
    monkeypatch.setattr(task, "carry_out", lambda order, tell: orders.encode(Failed("it was asked")))
    seat = Seat(pretended(_locate=lambda: here[0], _run=engine._carry_out), None, 0, NEEDS)
    assert seat.node() == Node("a", "host-a")
    assert orders.decode(seat.run(b"", lambda: None)) == Failed("it was asked")
    here[0] = Node("b", "host-b")
    assert orders.decode(seat.run(b"", lambda: None)) == Lost("its node was lost before the run began")
    assert seat.node() == Node("b", "host-b")
    assert orders.decode(seat.run(b"", lambda: None)) == Failed("it was asked")


@pytest.mark.parametrize(("free", "tried"), [(5, [50, 5]), (0, [50, 1]), (49, [50, 49]), (60, [50, 49])])
def test_where_not_all_nodes_are_free_those_that_are_come_next(pretended, monkeypatch, free, tried):
    groups = pytest.importorskip("ray.util.placement_group")
    asked = []

    class Group:
        def __init__(self, bundles, strategy):
            asked.append(len(bundles))

        def wait(self, timeout_seconds):
            return len(asked) > 1

    monkeypatch.setattr(groups, "placement_group", Group)
    monkeypatch.setattr(groups, "remove_placement_group", lambda group: None)
    monkeypatch.setattr(engine, "PATIENCE_S", -1.0)  # it is over when it begins
    made = pretended(_room=lambda: (ROOM,) * free + ({"CPU": 1.0},))
    with made.seats(NEEDS, 50, lambda: None) as seats:
        assert len(seats) == tried[-1]
    assert asked == tried


def test_where_the_engine_does_not_say_who_is_free_one_node_is_waited_for(pretended):
    def fails():
        raise AttributeError("available_resources_per_node")

    assert pretended(_room=fails)._free(NEEDS) == 0
