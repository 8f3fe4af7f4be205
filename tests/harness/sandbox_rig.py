"""A sandbox with the stand-in inside (sandbox_standin.py), and the same tests once more as an ordinary user."""

import ast
import contextlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self
from xml.etree import ElementTree

import msgspec
import pytest

import harness
from harness.result import Level
from harness.sandbox import Breach, Interpreter, Limits, Mounts, Sandbox, stage
from harness.sandbox_levels import try_level
from tests.tally import Row

MIB = 2**20
ROOT = Path(harness.__file__).parent.parent
STANDIN = Path(__file__).with_name("sandbox_standin.py")
LIMITS = Limits(
    memory_bytes=192 * MIB,
    processes=48,
    scratch_bytes=24 * MIB,
    shm_bytes=16 * MIB,
    open_files=128,
    threads=1,
    output_bytes=1 * MIB,
)
CONFINED = (Level.NAMESPACES, Level.UID, Level.LANDLOCK)
PATIENCE_S = 60


class Rig:
    """A sandbox with the stand-in inside, and the folders around it."""

    def __init__(self, level: Level, top: Path, interpreter: Interpreter, limits: Limits = LIMITS) -> None:
        self.top = top
        self.interpreter = interpreter
        for name in ("submission", "data", "artifact", "run"):
            (top / name).mkdir(parents=True)
        top.chmod(0o755)  # what protects the secret has to be the sandbox
        (top / "submission" / "speedrun.py").write_text("pass")
        (top / "artifact" / "state").write_text("state")
        self.secret = top / "secret"
        self.secret.write_text("the validation tokens")
        self.secret.chmod(0o644)
        boot = top / "boot"
        stage(boot)
        shutil.copyfile(STANDIN, boot / "harness" / STANDIN.name)
        self.mounts = Mounts(boot, top / "submission", top / "run", top / "data", top / "artifact")
        self._lines = None
        self.sandbox = Sandbox(level, self.mounts, limits, program=f"harness/{STANDIN.name}", interpreter=interpreter)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._lines is not None:
            self._lines.close()
        self.sandbox.__exit__(None, None, None)

    def start(self, *, filtered: bool = True) -> Self:
        """`filtered=False`: as on a system that takes no seccomp filter."""
        self.sandbox.start()
        self.sandbox.socket.settimeout(PATIENCE_S)
        self._lines = self.sandbox.socket.makefile("rb")
        policy = self.sandbox.policy
        if not filtered:
            policy = msgspec.structs.replace(policy, seccomp=False)
        self.sandbox.socket.sendall(msgspec.json.encode(policy) + b"\n")
        answer = self.answer()
        if "value" not in answer:
            self.sandbox.kill()
            pytest.fail(f"the stand-in did not start: {self.sandbox.output.tail}")
        self.locked = answer["value"]
        return self

    def tell(self, name: str, *arguments: object) -> None:
        self.sandbox.socket.sendall(json.dumps([name, *arguments]).encode() + b"\n")

    def answer(self) -> dict:
        """What comes back; {} when the worker is gone, with everybody who held its socket."""
        try:
            line = self._lines.readline()
        except ConnectionResetError:
            line = b""
        return json.loads(line) if line else {}

    def ask(self, name: str, *arguments: object) -> dict:
        self.tell(name, *arguments)
        return self.answer()

    def breach(self) -> Breach | None:
        """The breach that comes, or None when the worker ends first (the kernel was faster)."""
        pause = threading.Event()
        for _ in range(100 * PATIENCE_S):
            found = self.sandbox.breach()
            if found is not None or self.sandbox.exit is not None:
                return found or self.sandbox.breach()
            pause.wait(0.01)
        return pytest.fail("no breach came")

    def nobody_left(self) -> bool:
        """Every process inside held an end of the socket: it is at its end when, and only when, all are dead."""
        return self.answer() == {}


def rig_at(level: Level, top: Path, interpreter: Interpreter, limits: Limits = LIMITS) -> Rig:
    """Skips the test where the level does not work."""
    trial = try_level(level, interpreter)
    if not trial.works:
        pytest.skip(f"{level} does not work here: {trial.why}")
    return Rig(level, top, interpreter, limits)


@contextlib.contextmanager
def folder_for_all() -> Iterator[Path]:
    """A folder that every user can reach, as pytest's own are not."""
    with tempfile.TemporaryDirectory(prefix="speedrun-test-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def interpreter_for_all(folder: Path) -> Interpreter:
    """A Python that every user can reach: this one, or a copy made of hard links where it lives in a private home."""
    here = Interpreter.current()
    if all(_open_to_all(Path(path).resolve()) for path in (here.executable, *here.trees)):
        return here
    base, venv = folder / "base", folder / "venv"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    source = Path(sys.base_prefix)
    left_out = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "*.a", "config-*")
    (base / "bin").mkdir(parents=True)
    shutil.copytree(source / "lib" / version, base / "lib" / version, copy_function=_link, ignore=left_out)
    shutil.copytree(source / "include" / version, base / "include" / version, copy_function=_link)
    for library in (source / "lib").glob("libpython*"):
        _link(library, base / "lib" / library.name)
    _link((source / "bin" / version).resolve(), base / "bin" / version)
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").symlink_to(base / "bin" / version)
    (venv / "pyvenv.cfg").write_text(f"home = {base / 'bin'}\ninclude-system-site-packages = false\n")
    packages = Path(sysconfig.get_path("purelib")).resolve()
    if not _open_to_all(packages):
        pytest.skip(f"other users can't reach the installed packages ({packages})")
    (venv / "lib" / version).mkdir(parents=True)
    (venv / "lib" / version / "site-packages").symlink_to(packages)
    return Interpreter(str(venv / "bin" / "python"), (str(base), str(venv), str(packages)))


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copy2(source, target)


def _open_to_all(path: Path) -> bool:
    return all(folder.stat().st_mode & 0o001 for folder in path.parents)


class Again(NamedTuple):
    """A test module that ran once more as another user."""

    passed: bool
    said: str
    rows: list[Row]  # of the red team's table


def run_as(user: int, module: Path, choose: str, folder: Path, interpreter: Interpreter) -> Again:
    """Run a copy of a test module of this folder in a process of its own.

    Args:
        user: a user id that nobody else has, another one for each caller: tests may run side by side.
        choose: for pytest's -k.
        folder: where the copy is made; it must be open to `user`.
    """
    copy, told = folder / f"repository-{user}", folder / f"told-{user}"
    for package in ("harness", "leaderboard"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__", "results"))
    here = Path(__file__).parent
    (copy / "tests" / "harness").mkdir(parents=True)
    for path in (here.parent / "conftest.py", here.parent / "tally.py"):
        shutil.copyfile(path, copy / "tests" / path.name)
    for path in (module, *here.glob("sandbox_*.py")):
        shutil.copyfile(path, copy / "tests" / "harness" / path.name)
    markers = "".join(f"    {name}: as in the repository\n" for name in ("sandbox", "redteam"))
    (copy / "pytest.ini").write_text(f"[pytest]\naddopts = --import-mode=importlib\nmarkers =\n{markers}")
    told.mkdir()
    os.chown(told, user, user)
    report = told / "junit.xml"
    done = subprocess.run(
        [
            *(interpreter.executable, "-B", "-m", "pytest", "-q", "-k", choose),
            *("-p", "no:cacheprovider", "--junitxml", report, "--rootdir", copy, copy),
        ],
        env={"PYTHONPATH": str(copy), "PATH": os.environ["PATH"], "HOME": "/nonexistent"},
        cwd=copy,
        user=user,
        group=user,
        extra_groups=[],
        capture_output=True,
        text=True,
        check=False,
    )
    values = [each.get("value") for each in ElementTree.parse(report).iter("property")] if report.exists() else []
    rows = [Row(*ast.literal_eval(value)) for value in values]
    return Again(done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:], rows)
