"""Runs on a real Ray cluster of several nodes on this machine, each by the real harness in its sandbox."""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest
from filelock import FileLock

from leaderboard.store import Store
from speedrun.workspace import Workspace

pytest.importorskip("ray", reason="the extra [cluster] is not installed")

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("speedrun", "harness", "leaderboard", "data")
MANY = int(os.environ.get("SPEEDRUN_CLUSTER_RUNS", "0"))
PATIENCE_S = 600.0  # for anything that is waited for; nothing depends on how long it takes


def git(root, *command):
    person = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *person, *command], cwd=root, check=True, capture_output=True)


@pytest.fixture
def checkout(workspace, blink, entry, tmp_path):
    """The test's checkout with all the code and an entry, committed; its data set lies on the node `first` only."""
    skip = shutil.ignore_patterns("__pycache__", "cache", "results", "submissions", "datasets", "tracks")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, workspace.root / package, ignore=skip, dirs_exist_ok=True)
    (workspace.root / ".gitignore").write_text("data/cache/\n__pycache__/\n")
    entry("mine")
    git(workspace.root, "init", "-q")
    git(workspace.root, "add", "-A")
    git(workspace.root, "commit", "-qm", "All of it")
    for node in ("first", "second", "third"):
        (tmp_path / "nodes" / node).mkdir(parents=True)
        shutil.copytree(workspace.cache / "letters", tmp_path / "nodes" / node / "letters")
    return workspace


@contextlib.contextmanager
def ending(process):
    """Kills a process that lets others wait for longer than PATIENCE_S."""
    timer = threading.Timer(PATIENCE_S, process.kill)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


class Nodes:
    """The cluster of a test."""

    def __init__(self, folder: Path, *port: str) -> None:
        self.folder = folder
        # One cluster at a time: two that start beside each other can take each other's ports.
        self._alone = FileLock(Path(tempfile.gettempdir()) / "speedrun-tests-ray.lock")
        self._alone.acquire(timeout=300)
        self._process = subprocess.Popen(
            [sys.executable, ROOT / "bench" / "nodes.py", folder, *port],
            env={**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONWARNINGS": "ignore"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        # Where Ray can't start (no shared memory, no ports), that is no fault of ours.
        with ending(self._process):
            self.address = self._process.stdout.readline().strip()
        if not self.address:
            self._process.communicate()
            self._alone.release()
            pytest.skip("no Ray cluster can be started on this machine")

    def add(self, name: str, cpus: int = 2, *types: str) -> str:
        return self.tell("node", name, str(cpus), *types)

    def tell(self, *words: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def processes(self, name: str) -> list[psutil.Process]:
        """A node's runs, and all that they started."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                its = process.environ().get("SPEEDRUN_NODE") == str(self.folder / name)
                if its and "speedrun.cluster.node" in process.cmdline():
                    found += [process, *process.children(recursive=True)]
        return found

    def close(self) -> None:
        with self._process:  # closes what it listens to, and waits
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(120)
            finally:
                self._process.kill()
        self._alone.release()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the cluster ended"
        return line.strip()


@pytest.fixture
def nodes(tmp_path):
    cluster = Nodes(tmp_path / "nodes")
    yield cluster
    cluster.close()


commands: list[subprocess.Popen[str]] = []


@pytest.fixture(autouse=True)
def nothing_is_left():
    yield
    for process in commands:
        with process:
            process.kill()
    commands.clear()


class Command:
    """speedrun in a process of its own, in the test's checkout."""

    def __init__(self, workspace: Workspace, nodes: Nodes, *arguments: str) -> None:
        environment = {
            **os.environ,
            "RAY_ADDRESS": nodes.address,
            "SPEEDRUN_ROOT": str(workspace.root),
            "PYTHONPATH": str(workspace.root),
            "PYTHONDONTWRITEBYTECODE": "1",  # the checkout stays clean
        }
        start = "import sys; from speedrun.app import main; sys.exit(main())"
        self.process = subprocess.Popen(
            [sys.executable, "-c", start, *arguments],
            cwd=workspace.root,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        commands.append(self.process)
        self.events: list[dict] = []
        self.lines: list[str] = []

    def until(self, **wanted) -> dict:
        """The next event of this kind; all before it are kept."""
        assert self.process.stderr is not None
        with ending(self.process):
            for line in self.process.stderr:
                self.lines.append(line)
                if line.startswith("{"):
                    self.events.append(json.loads(line))
                    if wanted.items() <= self.events[-1].items():
                        return self.events[-1]
        raise AssertionError(f"{wanted} never happened: {''.join(self.lines)}")

    def end(self) -> tuple[int, dict]:
        """Exit code and answer."""
        out, err = self.process.communicate(timeout=PATIENCE_S)
        self.lines += err.splitlines(keepends=True)
        self.events = [json.loads(line) for line in self.lines if line.startswith("{")]
        return self.process.returncode, json.loads(out) if out else {}


def patiently(condition) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def alive(process):
    with contextlib.suppress(psutil.Error):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def runs(workspace):
    return Store(workspace.results).load().records


def finished(command: Command) -> set[str]:
    return {event["run_id"] for event in command.events if event["event"] == "finished"}


@pytest.mark.sandbox
def test_a_node_without_the_data_says_so_and_another_makes_the_runs(checkout, nodes, blink):
    shutil.rmtree(nodes.folder / "second" / "letters")
    nodes.add("second", 2, "Toy")
    command = Command(checkout, nodes, "run", "mine", "--track", blink, "--on", "ray", "--accelerator-type", "Toy")
    code, _ = command.end()
    said = "".join(command.lines)
    assert code == 2
    assert "error: no node of the cluster can make these runs: node " in said
    assert "letters" in said.splitlines()[-1]
    assert runs(checkout) == ()
    # Among others it is left out.
    nodes.add("first", 2, "Toy")
    nodes.add("third", 2)
    common = ("run", "mine", "--track", blink, "--on", "ray", "--accelerator-type", "Toy")
    command = Command(checkout, nodes, *common, "--runs", "2", "--json")
    code, answer = command.end()
    assert code == 0, command.lines
    assert len(answer["records"]) == len(runs(checkout)) == 2
    assert all(run.ranked for run in runs(checkout)), "a node's run counts like any other"
    assert {run.environment.sandbox.level for run in runs(checkout)} == {"namespaces"}
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=checkout.root, capture_output=True, text=True).stdout
    sources = [record["source"] for record in answer["records"]]
    assert [(source["git_commit"], source["git_clean"]) for source in sources] == [(commit.strip(), True)] * 2
    assert not (nodes.folder / "third" / "runs").exists()  # it is of another type
    # No type that nobody has.
    command = Command(checkout, nodes, *common[:-1], "Unheard-of")
    assert command.end()[0] == 2
    assert "none of the cluster's 4 nodes has 2 CPUs, 4 GiB of memory, accelerator type Unheard-of" in command.lines[-1]
    # Changes that are not committed are none of a node's.
    (checkout.root / "harness" / "new.py").write_text("")
    command = Command(checkout, nodes, *common)
    assert command.end()[0] == 2
    assert "changes that are not committed" in command.lines[-1]


@pytest.mark.sandbox
@pytest.mark.redteam
def test_a_node_that_is_killed_in_the_middle_of_a_run_loses_nothing(checkout, nodes, blink, tally):
    ids = {nodes.add("first"): "first", nodes.add("second"): "second"}
    wanted = ("--runs", "5", "--patience-s", "3", "--on", "ray", "--json")
    command = Command(checkout, nodes, "run", "mine", "--track", blink, *wanted)
    training = command.until(event="phase", words="training")
    victim = next(name for node, name in ids.items() if training["node"].endswith("/" + node[:4]))
    at_work = nodes.processes(victim)
    assert len(at_work) > 1
    assert nodes.tell("kill", victim) == "killed"
    patiently(lambda: not any(map(alive, at_work)))  # neither its run nor the sandbox outlives it
    command.until(event="lost")
    assert command.end()[0] == 0, command.lines
    assert len(runs(checkout)) == 5
    assert len({run.run_id for run in runs(checkout)}) == 5
    assert {run.verdict for run in runs(checkout)} == {"ok"}
    assert len({run.series.id for run in runs(checkout)}) == 1
    jobs = [event["job"] for event in command.events if event["event"] == "finished"]
    assert sorted(jobs) == [f"mine, run {number} of 5" for number in range(1, 6)]
    tally("a cluster's node killed during a run", expected="made again, once", got="made again, once")


@pytest.mark.sandbox
@pytest.mark.redteam
def test_a_driver_that_is_killed_goes_on_from_the_records_that_exist(checkout, nodes, blink, tally):
    nodes.add("first")
    common = ("run", "mine", "--track", blink, "--runs", "3", "--patience-s", "3", "--on", "ray", "--json")
    command = Command(checkout, nodes, *common)
    first = command.until(event="finished")
    command.until(event="phase", words="training")
    at_work = nodes.processes("first")
    assert len(at_work) > 1
    command.process.send_signal(signal.SIGKILL)
    command.process.wait()
    patiently(lambda: not any(map(alive, at_work)))  # the run that nobody waits for has ended
    assert [run.run_id for run in runs(checkout)] == [first["run_id"]]
    command = Command(checkout, nodes, *common, "--resume")
    code, answer = command.end()
    assert code == 0, command.lines
    assert len(answer["records"]) == len(runs(checkout)) == 3
    assert first["run_id"] in {run.run_id for run in runs(checkout)}
    assert len({run.series.id for run in runs(checkout)}) == 1
    assert not any((nodes.folder / "first" / "runs").iterdir())  # nothing is left behind on the node
    tally("a cluster's driver killed during a run", expected="goes on", got="goes on")


@pytest.mark.sandbox
@pytest.mark.redteam
@pytest.mark.skipif(MANY < 20, reason="takes half an hour; SPEEDRUN_CLUSTER_RUNS=200 asks for it")
def test_many_runs_while_nodes_and_the_driver_are_killed(checkout, nodes, blink, tally):
    """After each fifth of the runs a node is killed in the middle of one and another comes; once the driver is, too."""
    living = {nodes.add(name): name for name in ("first", "second")}
    common = ("run", "mine", "--track", blink, "--runs", str(MANY), "--patience-s", "3", "--on", "ray", "--json")
    command, before = Command(checkout, nodes, *common), set()
    for fifth in range(1, 5):
        while len(before | finished(command)) < fifth * MANY // 5:
            command.until(event="finished")
        training = command.until(event="phase", words="training")
        victim = next(node for node in living if training["node"].endswith("/" + node[:4]))
        assert nodes.tell("kill", living.pop(victim)) == "killed"
        command.until(event="lost")
        fresh = f"fresh-{fifth}"
        shutil.copytree(checkout.cache / "letters", nodes.folder / fresh / "letters")
        living[nodes.add(fresh)] = fresh
        if fifth == 2:
            command.process.send_signal(signal.SIGKILL)
            command.process.wait()
            patiently(lambda: not any(alive(process) for name in living.values() for process in nodes.processes(name)))
            before = {run.run_id for run in runs(checkout)}
            assert finished(command) <= before, "what was said to be finished is there"
            command = Command(checkout, nodes, *common, "--resume")
    while len(before | finished(command)) < MANY:
        command.until(event="finished")
    code, answer = command.end()
    assert code == 0, command.lines[-20:]
    found = runs(checkout)
    assert len(found) == len(answer["records"]) == MANY
    assert before | finished(command) == {run.run_id for run in found}
    assert {(run.verdict, run.series.id) for run in found} == {("ok", found[0].series.id)}
    words = f"{MANY} runs on a cluster; four nodes and the driver are killed meanwhile"
    tally(words, expected="none lost, none doubled", got="none lost, none doubled")


@pytest.mark.sandbox
@pytest.mark.redteam
def test_a_duel_and_a_queue_on_a_cluster(checkout, nodes, blink, entry, tmp_path):
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    public = key.with_suffix(".pub").read_text().split()[:2]
    (checkout.results.parent).mkdir(exist_ok=True)
    (checkout.results.parent / "maintainers").write_text(f'ada namespaces="speedrun" {" ".join(public)}\n')
    config = (checkout.submissions / "mine" / "config.py").read_text()
    entry("yours", config=config.replace("= 0.1", "= 0.7"))
    git(checkout.root, "add", "-A")
    git(checkout.root, "commit", "-qm", "Yours")
    nodes.add("first")
    nodes.add("second")
    command = Command(checkout, nodes, "verify", "--all", "--track", blink, "--key", str(key), "--on", "ray", "--json")
    code, answer = command.end()
    assert code == 0, command.lines
    assert [(row["entry"], row["outcome"]) for row in answer["entries"]] == [("mine", "stands"), ("yours", "stands")]
    for run in runs(checkout):
        assert (run.tier, run.series.purpose) == ("verified", "verify")
    # Each entry's runs were made on one node, and both nodes were used.
    seats = {event["job"].split(",")[0]: set() for event in command.events if event["event"] == "finished"}
    for event in command.events:
        if event["event"] == "finished":
            seats[event["job"].split(",")[0]].add(event["node"])
    assert sorted(map(len, seats.values())) == [1, 1]
    assert len(set.union(*seats.values())) == 2
    wanted = ("--pairs", "2", "--on", "ray", "--json")
    command = Command(checkout, nodes, "duel", "mine", "--against", "yours", "--track", blink, *wanted)
    code, answer = command.end()
    assert code in (0, 1), command.lines
    assert len(answer["fought"]["duel"]["pairs"]) == 2
    assert len({event["node"] for event in command.events if event["event"] == "finished"}) == 1


@pytest.mark.sandbox
@pytest.mark.redteam
def test_a_cluster_elsewhere_is_reached_by_its_address(checkout, tmp_path, blink):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    nodes = Nodes(tmp_path / "nodes", port)
    try:
        nodes.add("first")
        command = Command(checkout, nodes, "run", "mine", "--track", blink, "--on", f"ray://127.0.0.1:{port}", "--json")
        code, answer = command.end()
    finally:
        nodes.close()
    assert code == 0, command.lines
    assert len(answer["records"]) == len(runs(checkout)) == 1
