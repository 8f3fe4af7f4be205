"""The cluster engine, Ray: the one module that imports it. Where a run goes, and what became of it.

Seats are the bundles of one placement group, on a node each: a node runs one entry at a time, whatever else it has
room for, and runs on one seat are runs on one machine. Ray puts a seat whose node is gone onto another one.

Nothing is repeated by Ray itself: a run that it lost is made again by whoever asked for it, knowingly.
"""

import contextlib
import logging
import math
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from harness.errors import UserError
from harness.repository import quiet_environment
from leaderboard.text import plain
from speedrun.cluster import orders, task
from speedrun.cluster.needs import TYPE_PREFIX, Needs, will_do

HERE = "ray"  # the cluster that this machine belongs to, or that RAY_ADDRESS names
REMOTE = "ray://"
POLL_S = 0.2
PATIENCE_S = 20.0  # for as many nodes as there are to be free at once; then for fewer
# What a node needs to make a run. The board, its records, tests and pages stay here.
SHIPPED = (
    *("speedrun", "harness", "leaderboard", "data", "template"),
    *(":(exclude)leaderboard/results", ":(exclude)speedrun/submissions"),
)
_INSTALL = "pip install -c constraints.txt -e '.[cluster]'"


class LostError(Exception):
    """A run's node or process is gone; nobody knows how far it was. In words."""


class Node(NamedTuple):
    """A machine of the cluster."""

    id: str
    name: str  # its address, for people


class Post:
    """Takes what nodes say while they work; an actor, so that it can be reached from all of them."""

    def __init__(self) -> None:
        self._said: list[tuple[int, bytes]] = []

    def put(self, seat: int, said: bytes) -> None:
        self._said.append((seat, said))

    def take(self) -> list[tuple[int, bytes]]:
        said, self._said = self._said, []
        return said


def _carry_out(order: bytes, post: Any, seat: int, node: str) -> bytes:
    """node: where the seat was; whoever asked knows what that one said of itself, and of no other."""
    if _where().id != node:
        return orders.encode(orders.Lost("its node was lost before the run began"))
    return task.carry_out(order, lambda said: post.put.remote(seat, said))


def _where() -> Node:
    import ray

    context = ray.get_runtime_context()
    node_id: str = context.get_node_id()
    # Several nodes may lie on one host, and share its address.
    return Node(node_id, f"{ray.util.get_node_ip_address()}/{node_id[:4]}")


def _room() -> tuple[dict[str, float], ...]:
    """What each node has left at this moment. Ray tells it on its nodes only."""
    from ray._private import state

    return tuple(state.available_resources_per_node().values())


class Engine:
    """A cluster that was joined; `join` makes it. Every method may be called from any thread."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        # Words on the way are worth no run: where they are lost with a node, new ones come.
        self._post = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=0)(Post).remote()
        self._run = ray.remote(max_retries=0)(_carry_out)
        self._locate = ray.remote(num_cpus=0, max_retries=0)(_where)
        self._room = ray.remote(num_cpus=0, max_retries=0)(_room)

    def nodes(self) -> tuple[dict[str, float], ...]:
        """What each living node has in all."""
        return tuple(node["Resources"] for node in self._ray.nodes() if node["Alive"])

    @contextlib.contextmanager
    def seats(
        self, needs: Needs, count: int, wait: Callable[[], None], *, exactly: bool = False
    ) -> Iterator[tuple["Seat", ...]]:
        """Seats, each on a node of its own, for as long as the block lasts.

        Args:
            count: so many; where not all those nodes are free after PATIENCE_S, as many as are, and one at least.
            wait: called while none is free yet, several times a second. It may raise.
            exactly: wait for all of them, however long it takes; an autoscaler may be starting them.
        """
        from ray.util.placement_group import placement_group, remove_placement_group

        while True:
            group = placement_group([needs.bundle()] * count, strategy="STRICT_SPREAD")
            end_s = math.inf if exactly or count == 1 else time.monotonic() + PATIENCE_S
            try:
                while not group.wait(timeout_seconds=POLL_S):
                    wait()
                    if time.monotonic() > end_s:
                        break
                else:
                    yield tuple(Seat(self, group, number, needs) for number in range(count))
                    return
            finally:
                with contextlib.suppress(Exception):  # the cluster may be gone
                    remove_placement_group(group)
            count = max(1, min(count - 1, self._free(needs)))

    def _free(self, needs: Needs) -> int:
        """How many nodes have room for such a run at this moment; 0 where Ray does not say."""
        try:
            return will_do(needs.bundle(), self._ray.get(self._room.remote(), timeout=PATIENCE_S))
        except Exception:  # the function that it hangs on is no public one
            return 0

    def heard(self) -> list[tuple[int, bytes]]:
        """What was said since the last time: seat and words."""
        try:
            return list(self._ray.get(self._post.take.remote(), timeout=5))
        except Exception:
            return []

    def _options(self, group: Any, seat: int) -> dict[str, Any]:
        from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

        return {
            "scheduling_strategy": PlacementGroupSchedulingStrategy(
                placement_group=group, placement_group_bundle_index=seat
            )
        }


class Seat:
    """A place on a node, for one run at a time."""

    def __init__(self, engine: Engine, group: Any, number: int, needs: Needs) -> None:
        self.number = number
        self._engine = engine
        self._options = engine._options(group, number)
        self._needs = needs
        self._asked: Any = None  # where it is
        self._node = ""  # the id of where it was when it was last asked

    def node(self) -> Node | None:
        """The node that it is on now; None: it is on none yet, or the answer is still on its way. Never waits.

        Raises LostError: the node was lost while it was asked.
        """
        if self._asked is None:
            self._asked = self._engine._locate.options(**self._options).remote()
        if not self._engine._ray.wait([self._asked], timeout=0)[0]:
            return None
        asked, self._asked = self._asked, None
        found: Node = self._get(asked)
        self._node = found.id
        return found

    def run(self, order: bytes, wait: Callable[[], None]) -> bytes:
        """Makes a run and returns the node's answer; where Ray has moved the seat meanwhile, that the node is lost.

        wait: called several times a second meanwhile. What it raises ends the run.

        Raises:
            LostError: the node is gone, or the process that made the run.
        """
        running = self._engine._run.options(
            **self._options, num_cpus=self._needs.cpus, num_gpus=self._needs.gpus
        ).remote(order, self._engine._post, self.number, self._node)
        answer: bytes = self._wait(running, wait)
        return answer

    def _wait(self, asked: Any, wait: Callable[[], None]) -> Any:
        ray = self._engine._ray
        try:
            while not ray.wait([asked], timeout=POLL_S)[0]:
                wait()
        except BaseException:
            with contextlib.suppress(Exception):
                ray.cancel(asked, force=True)
            raise
        return self._get(asked)

    def _get(self, asked: Any) -> Any:
        ray = self._engine._ray
        try:
            return ray.get(asked)
        except ray.exceptions.RayTaskError as error:  # raised by our own code there
            raise UserError(f"internal error on a node: {_words(error.cause)}") from None
        except ray.exceptions.RayError as error:
            self._asked = None  # where it was
            raise LostError(_words(error)) from None


@contextlib.contextmanager
def join(address: str, root: Path, commit: str) -> Iterator[Engine]:
    """Joins the cluster, which gets the code of the checkout as this commit has it.

    Args:
        address: HERE, or `ray://HOST:PORT`.
        root: of the checkout.
        commit: of it, in full.

    Raises:
        UserError: Ray is not installed, nobody answers there, or the versions do not fit.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import ray
    except ImportError:
        raise UserError(f"runs on a cluster need Ray: {_INSTALL}") from None
    with tempfile.TemporaryDirectory(prefix="speedrun-") as folder:
        ship(root, commit, Path(folder))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ray.init(
                    address="auto" if address == HERE else address,
                    runtime_env={"working_dir": folder},
                    log_to_driver=False,
                    logging_level=logging.CRITICAL,
                )
        except (ConnectionError, RuntimeError, OSError, ValueError) as error:
            where = "here; start one with ray start --head" if address == HERE else f"at {plain(address, 80)}"
            raise UserError(f"no Ray cluster answers {where} ({_words(error)})") from None
        _hush()
        try:
            yield Engine(ray)
        finally:
            ray.shutdown()


def _hush() -> None:
    """Ray prints a page of internals for every node that is lost, and on standard output, where answers go.

    We say it in a line. There is no public switch; a test kills a node and reads the answer.
    """
    with contextlib.suppress(Exception):
        import ray._private.worker as driver

        driver.print_to_stdstream = lambda *words, **options: None


def ship(root: Path, commit: str, folder: Path) -> None:
    """Writes what nodes need of the commit into the folder. Raises UserError: git does not give it."""
    with tempfile.TemporaryFile() as archive:
        done = subprocess.run(
            ["git", "archive", "--format=tar", commit, *SHIPPED],
            cwd=root,
            env=quiet_environment(),
            stdin=subprocess.DEVNULL,
            stdout=archive,
            stderr=subprocess.PIPE,
            check=False,
        )
        if done.returncode != 0:
            why = plain(done.stderr.decode(errors="replace"), 200)
            raise UserError(f"nodes get the repository at its commit, and git does not give it: {why}")
        archive.seek(0)
        import tarfile

        with tarfile.open(fileobj=archive) as packed:
            packed.extractall(folder, filter="data")


def enough(needs: Needs, engine: Engine) -> int:
    """How many nodes could make such a run, were they free. Raises UserError: none."""
    nodes = engine.nodes()
    found = will_do(needs.bundle(), nodes)
    if not found:
        types = sorted({name.removeprefix(TYPE_PREFIX) for node in nodes for name in node if TYPE_PREFIX in name})
        raise UserError(
            f"none of the cluster's {len(nodes)} nodes has {needs.words()} (accelerator types there: "
            f"{', '.join(types) or 'none'}); add one that has, or name another type: --accelerator-type"
        )
    return found


def _words(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return plain(lines[0] if lines else type(error).__name__, 200)
