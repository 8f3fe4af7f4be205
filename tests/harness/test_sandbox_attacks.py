"""What each sandbox level holds, in detail, tried for real at every level that this machine offers.

A stand-in worker (sandbox_standin.py) does what it is told after the same lock-down as the real one. Which attack must
fail at which level, and which may work, stands in sandbox_table.py. Run as root, the last test runs all of this again
as an ordinary user.
"""

import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import harness
from harness.result import Level
from harness.sandbox import Interpreter, Limits, SandboxError
from harness.sandbox_levels import try_level
from harness.seccomp import MACHINES, REFUSED
from tests.harness.sandbox_rig import (
    CONFINED,
    LIMITS,
    MIB,
    Rig,
    folder_for_all,
    interpreter_for_all,
    rig_at,
    run_as,
)

pytestmark = pytest.mark.sandbox

ROOMY = Limits(
    memory_bytes=2048 * MIB,
    processes=256,
    scratch_bytes=256 * MIB,
    shm_bytes=64 * MIB,
    open_files=1024,
    threads=2,
    output_bytes=1 * MIB,
)
ORDINARY_USER = 61_100
ESSENTIALS = "secrets or outside_scratch or touched or stopped_tree or protected_parent"


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    with folder_for_all() as folder:
        yield folder


@pytest.fixture(scope="session")
def interpreter(open_folder: Path) -> Interpreter:
    return interpreter_for_all(open_folder)


@pytest.fixture(scope="module", params=CONFINED, ids=str)
def confined(request: pytest.FixtureRequest, interpreter: Interpreter) -> Iterator[Rig]:
    """One sandbox a level for all attacks that leave it standing; another when the tests come in a mixed order."""
    with folder_for_all() as folder, rig_at(request.param, folder / "rig", interpreter) as rig:
        yield rig.start()


@pytest.fixture(scope="module")
def networked(interpreter: Interpreter) -> Iterator[Rig]:
    """One sandbox for several ranks, as they all need namespaces."""
    limits = replace(LIMITS, ranks=2)
    with folder_for_all() as folder, rig_at(Level.NAMESPACES, folder / "rig", interpreter, limits) as rig:
        yield rig.start()


@pytest.fixture(params=CONFINED, ids=str)
def fresh(request: pytest.FixtureRequest, interpreter: Interpreter) -> Iterator[Rig]:
    """A sandbox of one's own, not started yet, at every level that confines."""
    with folder_for_all() as folder, rig_at(request.param, folder / "rig", interpreter) as rig:
        yield rig


@pytest.fixture(params=tuple(Level), ids=str)
def any_fresh(request: pytest.FixtureRequest, interpreter: Interpreter) -> Iterator[Rig]:
    """The same, and at level none as well."""
    with folder_for_all() as folder, rig_at(request.param, folder / "rig", interpreter) as rig:
        yield rig


def test_trials_say_what_works_and_why(interpreter: Interpreter) -> None:
    trials = [try_level(level, interpreter) for level in Level]
    assert all(trial.why for trial in trials)
    assert trials[-1].works
    assert trials[1].works or os.geteuid() != 0 or "Landlock" in trials[1].why


class TestFiles:
    def test_secrets_cannot_be_read(self, confined: Rig) -> None:
        for path in (confined.secret, "/etc/passwd", "/etc/shadow", "/etc/hostname", Path(__file__)):
            assert "refused" in confined.ask("read", str(path)), path
            assert "refused" in confined.ask("read_through_link", str(path)), path

    def test_folders_cannot_be_listed(self, confined: Rig) -> None:
        for path in (Path.home(), confined.top, Path(__file__).parent, "/etc", "/var"):
            assert "refused" in confined.ask("listing", str(path)), path

    def test_nothing_is_written_outside_scratch(self, confined: Rig) -> None:
        inside = confined.sandbox.inside
        for folder in (inside.boot, inside.submission, inside.data, inside.artifact, "/usr", "/etc", "/var/tmp", "/"):
            assert "refused" in confined.ask("write", f"{folder}/new"), folder
        for path in (
            f"{inside.submission}/speedrun.py",
            f"{inside.artifact}/state",
            f"{inside.boot}/harness/worker.py",
        ):
            assert "refused" in confined.ask("append", path), path
        assert "refused" in confined.ask("write", str(confined.top / "new"))
        assert confined.ask("write", f"{inside.scratch}/mine") == {"value": None}

    def test_what_is_granted_can_be_read(self, confined: Rig) -> None:
        inside = confined.sandbox.inside
        assert confined.ask("read", f"{inside.submission}/speedrun.py") == {"value": "pass"}
        assert confined.ask("read", f"{inside.artifact}/state") == {"value": "state"}

    def test_linked_data_appears_and_stays_read_only(self, confined: Rig) -> None:
        inside = confined.sandbox.inside
        assert confined.ask("listing", inside.data) == {"value": []}
        shard = confined.top / "shard"
        shard.write_text("tokens")
        (confined.top / "data" / "train_0.bin").hardlink_to(shard)
        assert confined.ask("listing", inside.data) == {"value": ["train_0.bin"]}
        assert confined.ask("read", f"{inside.data}/train_0.bin") == {"value": "tokens"}
        assert "refused" in confined.ask("append", f"{inside.data}/train_0.bin")
        assert "refused" in confined.ask("write", f"{inside.data}/train_1.bin")
        assert "refused" in confined.ask("hard_link_out", f"{inside.data}/train_0.bin")
        assert shard.read_text() == "tokens"

    def test_the_kernels_switches_cannot_be_written(self, confined: Rig) -> None:
        for path in ("/proc/sys/kernel/hostname", "/proc/sys/vm/drop_caches", "/proc/sysrq-trigger"):
            assert "refused" in confined.ask("append", path), path


class TestParent:
    def test_it_cannot_be_touched(self, confined: Rig) -> None:
        for attack in ("thread_signal", "pidfd", "spread", "slow_down"):
            assert "refused" in confined.ask(attack, os.getpid()), attack

    def test_groups_cannot_be_signalled(self, confined: Rig) -> None:
        for target in (0, -os.getpgid(0)):
            assert confined.ask("kill", target) == {"refused": "EPERM"}

    def test_protected_parent_is_closed_to_its_own_user(self) -> None:
        """Its environment is closed to a sibling that no sandbox confines (root may look all the same)."""
        code = (
            "from harness.sandbox import protect_parent; import sys; protect_parent(); print('ready', flush=True);"
            "sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PYTHONPATH": str(Path(harness.__file__).parent.parent)},
        ) as parent:
            assert parent.stdout.readline() == "ready\n"
            status = Path(f"/proc/{parent.pid}")
            if os.geteuid() == 0:
                assert (status / "environ").stat().st_uid == 0
            else:
                with pytest.raises(PermissionError):
                    (status / "environ").read_bytes()
            parent.communicate("")


class TestNetwork:
    def test_only_unix_sockets_open(self, confined: Rig) -> None:
        for family in (socket.AF_INET, socket.AF_INET6, socket.AF_VSOCK, socket.AF_NETLINK, socket.AF_PACKET, 38):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
                assert confined.ask("open_socket", family, kind) == {"refused": "EPERM"}
        assert confined.ask("open_socket", socket.AF_UNIX) == {"value": None}


class TestLoopback:
    """Several ranks may talk to each other, and to nobody else."""

    def test_it_is_up_and_the_only_interface(self, networked: Rig) -> None:
        assert networked.ask("exchange_over_loopback") == {"value": "hello"}
        assert networked.ask("interfaces") == {"value": ["lo"]}

    def test_servers_of_the_host_are_out_of_reach(self, networked: Rig) -> None:
        for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            try:
                listener = socket.create_server((address, 0), family=family)
            except OSError:  # a host without IPv6
                continue
            with listener:
                port = listener.getsockname()[1]
                socket.create_connection((address, port), 5).close()  # it does listen
                assert networked.ask("connect_tcp", address, port) == {"refused": "ECONNREFUSED"}

    def test_the_internet_is_out_of_reach(self, networked: Rig) -> None:
        for address in ("192.0.2.1", "169.254.169.254", "10.0.0.1"):
            assert networked.ask("connect_tcp", address, 80) == {"refused": "ENETUNREACH"}

    def test_abstract_and_pathname_sockets_stay_out_of_reach(self, networked: Rig) -> None:
        name = f"speedrun-test-{os.getpid()}-networked"
        path = networked.top / "socket"
        with socket.socket(socket.AF_UNIX) as abstract, socket.socket(socket.AF_UNIX) as pathname:
            abstract.bind(f"\0{name}")
            abstract.listen()
            pathname.bind(str(path))
            path.chmod(0o777)
            pathname.listen()
            assert "refused" in networked.ask("connect", f"@{name}")
            assert "refused" in networked.ask("connect", str(path))

    def test_no_other_kind_of_socket_opens(self, networked: Rig) -> None:
        for family in (socket.AF_INET, socket.AF_INET6):
            for kind in (socket.SOCK_DGRAM, socket.SOCK_RAW):
                assert networked.ask("open_socket", family, kind) == {"refused": "EPERM"}
        for family in (socket.AF_VSOCK, socket.AF_PACKET, 38):
            assert networked.ask("open_socket", family, socket.SOCK_STREAM) == {"refused": "EPERM"}

    @pytest.mark.parametrize("level", [Level.UID, Level.LANDLOCK])
    def test_without_a_network_of_its_own_it_does_not_start(
        self, level: Level, open_folder: Path, interpreter: Interpreter
    ) -> None:
        rig = rig_at(level, open_folder / f"networked-{level}", interpreter, replace(LIMITS, ranks=2))
        with rig, pytest.raises(SandboxError, match="no network of its own for 2 processes"):
            rig.sandbox.start()


class TestKernel:
    @pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are x86_64's")
    def test_refused_calls_are_refused(self, confined: Rig) -> None:
        for name, numbers in REFUSED.items():
            number = numbers[MACHINES["x86_64"].column]
            assert confined.ask("call", number, 0, 0, 0, 0, 0, 0) == {"refused": "EPERM"}, name

    @pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are x86_64's")
    def test_flags_and_options_are_refused(self, confined: Rig) -> None:
        new_user_namespace = 0x10000000 | signal.SIGCHLD
        assert confined.ask("call", 56, new_user_namespace, 0, 0, 0, 0) == {"refused": "EPERM"}
        assert confined.ask("call", 435, 0, 0) == {"refused": "ENOSYS"}  # clone3
        for option in (4, 36):  # PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER
            assert confined.ask("call", 157, option, 0) == {"refused": "EPERM"}
        assert confined.ask("call", 16, 0, 0x5412, 0) == {"refused": "EPERM"}  # TIOCSTI
        assert confined.ask("call", 72, 0, 8, os.getpid()) == {"refused": "EPERM"}  # F_SETOWN

    def test_nobody_leaves_the_process_group(self, confined: Rig) -> None:
        assert confined.ask("new_session") == {"value": True}

    def test_no_capability_is_left(self, confined: Rig) -> None:
        found = confined.ask("capabilities")["value"]
        assert {found[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {"0" * 16}

    def test_limits_hold_and_cannot_be_raised(self, confined: Rig) -> None:
        found = confined.ask("limits")["value"]
        assert found["NOFILE"] == [LIMITS.open_files] * 2
        assert found["FSIZE"] == [max(LIMITS.scratch_bytes, LIMITS.shm_bytes)] * 2
        assert found["CORE"] == [0, 0]
        assert found["MEMLOCK"] == [0, 0]
        assert "refused" in confined.ask("raise_limit")
        assert confined.ask("cores") == {"value": LIMITS.threads}
        assert confined.ask("spread", 0) == {"refused": "EPERM"}

    def test_the_user_is_not_root_where_there_is_another(self, confined: Rig) -> None:
        if confined.sandbox.level is Level.LANDLOCK or os.geteuid() != 0:
            pytest.skip("the same user as the harness")
        assert all(user > 1000 for user in confined.ask("identity")["value"])


class TestSurroundings:
    def test_environment_is_clean(self, confined: Rig) -> None:
        found = confined.ask("environment")["value"]
        given = {"PATH", "HOME", "TMPDIR", "USER", "LOGNAME", "LANG", "OMP_NUM_THREADS"}
        assert given <= set(found) <= given | {"PWD", "LC_CTYPE"}  # PWD is bubblewrap's, LC_CTYPE is Python's
        assert found["HOME"] == found["TMPDIR"] == confined.sandbox.inside.scratch

    def test_no_descriptor_but_the_socket(self, confined: Rig) -> None:
        found = confined.ask("descriptors")["value"]
        assert sorted(target.split(":")[0] for target in found) == ["/dev/null", "pipe", "pipe", "socket"]

    def test_namespaces_hide_the_host(self, confined: Rig) -> None:
        if confined.sandbox.level is not Level.NAMESPACES:
            pytest.skip("not covered at this level, and its report says so")
        assert confined.ask("processes")["value"] <= 3
        first = confined.ask("read", "/proc/1/environ")
        assert first.get("value", "") == ""
        assert "refused" in confined.ask("read", str(Path.home()))

    def test_what_programs_need_works(self, confined: Rig) -> None:
        assert confined.ask("shared_lock_between_processes") == {"value": "from the child"}
        assert confined.ask("session_of_its_own") == {"value": "fine\n"}


class TestTorch:
    def test_training_works(self, fresh: Rig) -> None:
        rig = Rig(fresh.sandbox.level, fresh.top / "torch", fresh.interpreter, ROOMY)
        with rig:
            first, last = rig.start().ask("train_a_little")["value"]
            assert last < first
            assert rig.sandbox.breach() is None

    @pytest.mark.skipif(shutil.which("g++") is None, reason="there is no compiler")
    def test_compilers_work(self, confined: Rig) -> None:
        """What torch.compile needs of the system: a compiler, its headers, and code that can be loaded from scratch."""
        assert confined.ask("compile_and_load") == {"value": 42}


class TestLimits:
    def test_hidden_scratch_is_a_breach(self, fresh: Rig) -> None:
        if fresh.sandbox.level is Level.NAMESPACES or os.geteuid() == 0:
            pytest.skip("the parent can measure it")
        rig = fresh.start()
        assert rig.ask("close_scratch") == {"value": None}
        assert rig.breach().kind == "scratch"

    def test_scratch_too_deep_for_a_path_is_a_breach_and_goes_away(self, fresh: Rig) -> None:
        if fresh.sandbox.level is Level.NAMESPACES:
            pytest.skip("scratch is the kernel's")
        rig = fresh.start()
        assert rig.ask("nest", 60) == {"value": None}
        assert rig.breach().kind == "scratch"
        rig.sandbox.__exit__(None, None, None)
        assert not Path(rig.sandbox.inside.scratch).exists()

    def test_use_is_measured(self, any_fresh: Rig) -> None:
        rig = any_fresh.start()
        rig.ask("hold", 64 * MIB)
        rig.ask("burn", 0.2)
        used = rig.sandbox.processor_s()
        assert used >= 0.2
        while rig.sandbox.memory_bytes() < 60 * MIB:  # a look by hand comes only now and then
            assert rig.sandbox.breach() is None
        assert rig.sandbox.memory_bytes() < 110 * MIB
        rig.sandbox.kill()
        assert rig.sandbox.processor_s() >= used
        assert rig.sandbox.peak_memory_bytes > 60 * MIB
        assert rig.sandbox.breach() is None


class TestEnding:
    def test_a_stopped_tree_is_killed(self, any_fresh: Rig) -> None:
        rig = any_fresh.start()
        rig.tell("stopped")
        killed = rig.sandbox.kill()
        assert killed.complete
        assert killed.how == rig.sandbox.report.tree_kill
        while rig.answer():
            pass
        assert rig.nobody_left()
        assert rig.sandbox.kill() == killed
        assert rig.sandbox.exit.signal == signal.SIGKILL

    def test_exit_codes_and_output_come_through(self, any_fresh: Rig) -> None:
        rig = any_fresh.start()
        assert rig.sandbox.exit is None
        rig.ask("print_lines", "line", 10)
        rig.tell("leave", 3)
        assert rig.nobody_left()
        rig.sandbox.kill()
        assert rig.sandbox.exit.code == 3
        assert not rig.sandbox.exit.oom_killed
        assert rig.sandbox.output.tail.splitlines() == [f"line {number}" for number in range(10)]
        assert not rig.sandbox.output.exceeded

    def test_a_crash_is_told_from_an_exit(self, any_fresh: Rig) -> None:
        rig = any_fresh.start()
        rig.tell("crash")
        assert rig.nobody_left()
        rig.sandbox.kill()
        assert rig.sandbox.exit.signal == signal.SIGSEGV

    def test_a_sandbox_that_cannot_start_says_why(self, interpreter: Interpreter, open_folder: Path) -> None:
        if not try_level(Level.NAMESPACES, interpreter).works:
            pytest.skip("bubblewrap does not work here")
        broken = replace(interpreter, trees=("/no/such/python",))
        rig = Rig(Level.NAMESPACES, open_folder / "still", broken)
        with rig:
            try:
                rig.sandbox.start()  # in a user namespace bubblewrap finds out after it has reported its process
                assert rig.sandbox.socket.recv(1) == b""
                rig.sandbox.kill()
                said = rig.sandbox.output.tail
            except SandboxError as error:
                said = str(error)
        assert "/no/such/python" in said


@pytest.mark.redteam
@pytest.mark.skipif(os.geteuid() != 0, reason="this is the ordinary user")
def test_everything_again_as_an_ordinary_user(open_folder: Path, interpreter: Interpreter, tally) -> None:
    again = run_as(ORDINARY_USER, Path(__file__), "not none", open_folder, interpreter)
    got = "all hold" if again.passed else "a test fails"
    tally("every detail of the sandbox, as an ordinary user", expected="all hold", got=got)
    assert again.passed, again.said


@pytest.mark.skipif(os.geteuid() != 0, reason="this is the ordinary user")
def test_essentials_again_as_an_ordinary_user(open_folder: Path, interpreter: Interpreter) -> None:
    again = run_as(ORDINARY_USER + 1, Path(__file__), ESSENTIALS, open_folder, interpreter)
    assert again.passed, again.said
