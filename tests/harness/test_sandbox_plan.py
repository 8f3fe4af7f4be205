"""The plan of a sandbox as values: policy, folders, environment, bubblewrap's arguments, claims."""

import ast
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness import bubblewrap, sandbox_claims, sandbox_plan
from harness.landlock import handled
from harness.protocol import Policy
from harness.result import Level
from harness.sandbox import WORKER_FILES, Card, Interpreter, Limits, Mounts, policy_for, stage
from harness.sandbox_plan import environment_for, inside_of, outermost, under

LIMITS = Limits(
    memory_bytes=1000, processes=20, scratch_bytes=300, shm_bytes=40, open_files=50, threads=2, output_bytes=60
)
ONE_CARD = (Card(minor=3, uuid="GPU-33"),)
TWO_CARDS = (Card(minor=1, uuid="GPU-11"), Card(minor=0, uuid="GPU-00"))
SHARED_NODES = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset")
PYTHON = Interpreter("/home/me/venv/bin/python", ("/home/me/venv", "/opt/python"))


@pytest.fixture
def mounts(tmp_path: Path) -> Mounts:
    return Mounts(*(tmp_path / name for name in ("boot", "submission", "run", "data", "artifact")))


def policy(level: Level, mounts: Mounts, limits: Limits = LIMITS, **options) -> Policy:
    return policy_for(level, limits, inside_of(level, mounts), PYTHON, parent_pid=7, **options)


class TestPolicy:
    def test_nothing_is_the_default(self) -> None:
        empty = Policy()
        assert empty.read == empty.write == empty.devices == ()

    def test_only_scratch_and_memory_can_be_written(self, mounts: Mounts) -> None:
        assert policy(Level.NAMESPACES, mounts).write == ("/scratch", "/dev/shm", "/tmp")
        for level in (Level.UID, Level.LANDLOCK):
            assert policy(level, mounts).write == (str(mounts.run_folder / "scratch"), "/dev/shm")
            none = policy(level, mounts, replace(LIMITS, shm_bytes=0))
            assert none.write == (str(mounts.run_folder / "scratch"),)

    def test_only_the_system_python_and_the_run_can_be_read(self, mounts: Mounts) -> None:
        read = set(policy(Level.LANDLOCK, mounts).read)
        granted = {str(each) for each in (mounts.boot, mounts.submission, mounts.data, mounts.artifact)}
        assert granted | set(PYTHON.trees) | {"/usr", "/proc"} <= read
        assert not read & {"/", "/etc", "/home", "/home/me", "/root", "/var", "/tmp", "/sys", "/dev", "/run"}
        assert str(mounts.run_folder) not in read

    @pytest.mark.parametrize("level", [Level.NAMESPACES, Level.UID, Level.LANDLOCK])
    def test_devices_are_the_harmless_ones_and_the_granted_cards(self, mounts: Mounts, level: Level) -> None:
        harmless = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
        assert policy(level, mounts).devices == harmless
        assert policy(level, mounts, cards=ONE_CARD).devices == (*harmless, "/dev/nvidia3", *SHARED_NODES, "/proc")
        nodes = ("/dev/nvidia1", "/dev/nvidia0")
        assert policy(level, mounts, cards=TWO_CARDS).devices == (*harmless, *nodes, *SHARED_NODES, "/proc")

    def test_cards_need_all_of_sys(self, mounts: Mounts) -> None:
        assert "/sys" in policy(Level.UID, mounts, cards=ONE_CARD).read
        assert "/sys" not in policy(Level.UID, mounts).read

    def test_only_several_ranks_with_a_network_of_their_own_have_loopback(self, mounts: Mounts) -> None:
        several = replace(LIMITS, ranks=2)
        for level in Level:
            assert not policy(level, mounts).loopback
            assert policy(level, mounts, several).loopback == (level in (Level.NAMESPACES, Level.NONE))

    def test_every_confined_level_has_every_lock(self, mounts: Mounts) -> None:
        for level in (Level.NAMESPACES, Level.UID, Level.LANDLOCK):
            found = policy(level, mounts, seccomp=False)  # what a system lacks fails, it is never left out
            assert found.landlock
            assert found.seccomp

    def test_outside_a_namespace_the_worker_knows_whom_to_die_with(self, mounts: Mounts) -> None:
        for level in (Level.UID, Level.LANDLOCK, Level.NONE):
            assert policy(level, mounts).die_with_parent
            assert policy(level, mounts).parent_pid == 7
        assert policy(Level.NAMESPACES, mounts).parent_pid is None

    def test_limits_of_a_process(self, mounts: Mounts) -> None:
        bounded = policy(Level.LANDLOCK, mounts, memory_bound="cgroup", others=100).rlimits
        assert bounded == {"NPROC": 120, "NOFILE": 50, "FSIZE": 300, "CORE": 0, "MEMLOCK": 0, "MSGQUEUE": 0}
        polled = policy(Level.LANDLOCK, mounts, memory_bound="polled")
        assert polled.rlimits["DATA"] == 1000
        assert "DATA" not in policy(Level.LANDLOCK, mounts, cards=ONE_CARD).rlimits

    def test_none_takes_seccomp_where_it_is(self, mounts: Mounts) -> None:
        assert policy(Level.NONE, mounts, seccomp=True).seccomp
        found = policy(Level.NONE, mounts, seccomp=False)
        assert not found.seccomp
        assert not found.landlock


class TestInterpreter:
    def test_current_one_covers_what_runs_here(self) -> None:
        found = Interpreter.current()
        assert found.executable == sys.executable
        for path in (sys.executable, os.path.realpath(sys.executable), ast.__file__, pytest.__file__):
            assert under(path, (*found.trees, "/usr"))
        assert not under(str(Path.home()), found.trees)

    def test_outermost_drops_what_is_covered(self) -> None:
        assert outermost(["/a/b", "/a", "/ab", "/usr/local", "/a/b/c"]) == ("/a", "/ab")


class TestEnvironment:
    def test_holds_nothing_of_the_host(self, mounts: Mounts, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("SECRET_TOKEN", "x")
        found = environment_for(LIMITS, inside_of(Level.NAMESPACES, mounts))
        assert set(found) == {"PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "LANG", "OMP_NUM_THREADS"}
        assert found["OMP_NUM_THREADS"] == "2"

    def test_ranks_share_the_cores_and_talk_over_loopback(self, mounts: Mounts) -> None:
        inside = inside_of(Level.NAMESPACES, mounts)
        alone = environment_for(LIMITS, inside)
        found = environment_for(replace(LIMITS, threads=8, ranks=4), inside)
        assert found == alone | {
            "OMP_NUM_THREADS": "2",
            "GLOO_SOCKET_IFNAME": "lo",
            "NCCL_SOCKET_IFNAME": "lo",
        }

    def test_cards_are_named_by_what_never_changes_and_caches_lie_in_scratch(self, mounts: Mounts) -> None:
        inside = inside_of(Level.NAMESPACES, mounts)
        plain = environment_for(LIMITS, inside)
        with_cards = plain | {
            "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
            "CUDA_CACHE_PATH": "/scratch/.cuda",
            "TRITON_CACHE_DIR": "/scratch/.triton",
            "TORCHINDUCTOR_CACHE_DIR": "/scratch/.inductor",
        }
        visible = {"CUDA_VISIBLE_DEVICES": "GPU-33"}
        assert environment_for(LIMITS, inside, ONE_CARD) == with_cards | visible
        assert environment_for(LIMITS, inside, TWO_CARDS)["CUDA_VISIBLE_DEVICES"] == "GPU-11,GPU-00"
        assert environment_for(LIMITS, inside, (Card(minor=0),)) == with_cards  # the nodes alone decide


class TestBubblewrap:
    def arguments(self, mounts: Mounts, *, as_root: bool, cards: tuple[Card, ...] = ()) -> str:
        inside = inside_of(Level.NAMESPACES, mounts)
        environment = environment_for(LIMITS, inside, cards)
        return " ".join(
            bubblewrap.arguments(
                mounts, inside, LIMITS, PYTHON, environment, cards=cards, as_root=as_root, info_fd=5, block_fd=6
            )
        )

    def test_as_an_ordinary_user(self, mounts: Mounts) -> None:
        text = self.arguments(mounts, as_root=False)
        assert text.startswith("--unshare-all --unshare-user --disable-userns --cap-drop ALL --die-with-parent")
        assert "--cap-add" not in text
        assert text.endswith("--info-fd 5 --block-fd 6")

    def test_as_root(self, mounts: Mounts) -> None:
        text = self.arguments(mounts, as_root=True)
        assert "--unshare-net" in text
        assert "--cap-drop ALL --cap-add CAP_SETUID --cap-add CAP_SETGID --cap-add CAP_SETPCAP" in text
        assert "--proc /proc --ro-bind /proc/sys /proc/sys" in text
        assert bubblewrap.drop_to("/usr/bin/setpriv", 61_000, 62_000) == [
            *["/usr/bin/setpriv", "--reuid", "61000", "--regid", "62000", "--clear-groups"],
            *["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"],
        ]

    def test_nothing_of_the_host_is_bound_for_writing(self, mounts: Mounts) -> None:
        words = self.arguments(mounts, as_root=True).split()
        assert "--bind" not in words
        assert "--dev-bind-try" not in words

    def test_sizes_and_folders(self, mounts: Mounts) -> None:
        text = self.arguments(mounts, as_root=False)
        assert "--perms 1777 --size 40 --tmpfs /dev/shm" in text
        assert "--perms 1777 --size 300 --tmpfs /scratch --chdir /scratch" in text
        assert f"--ro-bind {mounts.data} /data" in text
        without = self.arguments(replace(mounts, data=None, artifact=None), as_root=False)
        assert "/data" not in without
        assert "/artifact" not in without

    def test_ancestors_come_first_and_are_open(self, mounts: Mounts) -> None:
        text = self.arguments(mounts, as_root=False)
        home = text.index("--perms 0755 --dir /home ")
        assert home < text.index("--perms 0755 --dir /home/me ") < text.index("--ro-bind /home/me/venv /home/me/venv")
        assert "--dir /tmp " not in text

    @pytest.mark.parametrize("as_root", [False, True])
    def test_cards(self, mounts: Mounts, as_root: bool) -> None:
        none = self.arguments(mounts, as_root=as_root)
        assert "nvidia" not in none
        assert "CUDA" not in none
        shared = "".join(f"--dev-bind-try {node} {node} " for node in SHARED_NODES)
        one = "--dev-bind-try /dev/nvidia3 /dev/nvidia3 "
        two = "--dev-bind-try /dev/nvidia1 /dev/nvidia1 --dev-bind-try /dev/nvidia0 /dev/nvidia0 "
        for cards, nodes in ((ONE_CARD, one), (TWO_CARDS, two)):
            text = self.arguments(mounts, as_root=as_root, cards=cards)
            assert f"--dev /dev {nodes}{shared}--perms 1777" in text  # --dev would hide what is bound before it
            assert text.count("/dev/nvidia") == 2 * (len(cards) + len(SHARED_NODES))
            assert "--ro-bind /sys /sys" in text
            assert f"--setenv CUDA_VISIBLE_DEVICES {','.join(card.uuid for card in cards)}" in text


class TestClaims:
    @pytest.mark.parametrize("level", Level)
    def test_every_level_says_what_it_lacks(self, level: Level) -> None:
        found = sandbox_claims.report(level, landlock_abi=7, memory_bound="cgroup", tree_kill="sweep", as_root=True)
        assert found.guarantees
        assert found.not_covered

    def test_a_network_of_its_own_is_not_kept_quiet(self) -> None:
        def holds(loopback: bool) -> str:
            found = sandbox_claims.report(
                Level.NAMESPACES,
                landlock_abi=7,
                memory_bound="cgroup",
                tree_kill="pidns",
                as_root=True,
                loopback=loopback,
            )
            return " ".join(found.guarantees)

        assert "no network but a loopback of its own" in holds(True)
        assert "loopback" not in holds(False)
        assert "there is no network" in holds(False)

    def test_weaknesses_of_the_system_are_named(self) -> None:
        def lacks(level: Level, abi: int, bound: str, *, as_root: bool) -> str:
            found = sandbox_claims.report(
                level, landlock_abi=abi, memory_bound=bound, tree_kill="sweep", as_root=as_root
            )
            return " ".join(found.not_covered)

        assert "below ABI 6" in lacks(Level.LANDLOCK, 5, "cgroup", as_root=False)
        assert "below ABI 6" not in lacks(Level.NAMESPACES, 5, "cgroup", as_root=False)
        assert "a few times a second" in lacks(Level.NAMESPACES, 7, "polled", as_root=False)
        assert "root is exempt" in lacks(Level.LANDLOCK, 7, "polled", as_root=True)
        assert "root is exempt" not in lacks(Level.LANDLOCK, 7, "polled", as_root=False)


def test_each_abi_refuses_at_least_what_the_one_before_did() -> None:
    known = [handled(version) for version in range(1, 9)]
    assert known[0] == (0x1FFF, 0, 0)
    assert known[5] == known[7] == (0xFFFF, 0b11, 0b11)
    for older, newer in itertools.pairwise(known):
        assert all(before & after == before for before, after in zip(older, newer, strict=True))


def test_what_travels_imports_only_what_travels(tmp_path: Path) -> None:
    stage(tmp_path)
    staged = {path.name for path in (tmp_path / "harness").iterdir()}
    assert staged == {*WORKER_FILES, "__pycache__"}
    allowed = {*sys.stdlib_module_names, "msgspec", "numpy", "torch"}  # the last two inside functions, after the entry
    for name in WORKER_FILES:
        tree = ast.parse((Path(harness.__file__).parent / name).read_text())
        for node in ast.walk(tree):
            modules = []
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module]
                if node.module == "harness":
                    modules = [f"harness.{alias.name}" for alias in node.names]
            for module in modules:
                package, _, rest = module.partition(".")
                assert package in allowed or f"{rest}.py" in WORKER_FILES, (name, module)


def test_what_travels_is_compiled_once_and_not_in_every_sandbox(tmp_path: Path) -> None:
    stage(tmp_path)
    modules = [Path(name).stem for name in WORKER_FILES if name not in ("__init__.py", "worker.py")]
    for name in modules:  # whoever compiles them again will hear of it
        (tmp_path / "harness" / f"{name}.py").write_text("raise ImportError('compiled again')\n")
    imports = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from harness import {', '.join(modules)}"
    done = subprocess.run([sys.executable, "-B", "-I", "-c", imports], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    compiled = list((tmp_path / "harness" / "__pycache__").iterdir())
    assert len(compiled) == len(WORKER_FILES)
    for path in compiled:  # an entry can read them: not where they lie on the host
        assert str(tmp_path).encode() not in path.read_bytes()


def test_a_python_that_was_started_by_a_relative_path_is_found():
    """Its own paths hold `..`, at which a sandbox's mounts would fail."""
    program = "from harness.sandbox_plan import Interpreter as It; print(It.current().executable, It.current().trees)"
    bin_folder = Path(sys.executable).parent
    done = subprocess.run(
        [f"../{bin_folder.name}/{Path(sys.executable).name}", "-B", "-c", program],
        cwd=bin_folder,
        env={"PATH": os.defpath, "PYTHONPATH": str(Path(harness.__file__).parent.parent)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{os.path.normpath(sys.executable)} ")
    assert ".." not in done.stdout


def test_behind_a_link_a_path_stays_as_it_is(tmp_path):
    (tmp_path / "far" / "away").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "far" / "away")
    (tmp_path / "far" / "tool").touch()
    path = str(tmp_path / "link" / ".." / "tool")  # the kernel goes to far/tool
    assert sandbox_plan._straight(path) == path
