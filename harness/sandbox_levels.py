"""Which sandbox levels work on this machine: found out by starting one, never by reading a version."""

import functools
import os
import py_compile
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness import landlock, seccomp
from harness.errors import UserError
from harness.result import Level
from harness.sandbox_launch import SandboxError
from harness.sandbox_plan import MIB, Interpreter, Limits, Mounts
from harness.sandbox_process import Sandbox
from harness.sandbox_trial import Findings, Question

# Everything that the worker may import besides the standard library and msgspec.
WORKER_FILES = (
    *("__init__.py", "worker.py", "ranks.py", "protocol.py"),
    *("entry_config.py", "entry_failure.py", "entry_module.py", "entry_run.py", "entry_scorer.py"),
    *("lockdown.py", "landlock.py", "seccomp.py", "syscalls.py"),
)
_AS_IT_IS = py_compile.PycInvalidationMode.UNCHECKED_HASH  # in there it lies beside its source, and neither changes
_TRIAL = "sandbox_trial.py"
_LIMITS = Limits(
    memory_bytes=1024 * MIB,
    processes=64,
    scratch_bytes=16 * MIB,
    shm_bytes=16 * MIB,
    open_files=256,
    threads=1,
    output_bytes=1 * MIB,
)
_ANSWER_PATIENCE_S = 20.0


@dataclass(frozen=True)
class Trial:
    """One level, tried."""

    level: Level
    works: bool
    why: str  # what holds it up, or what went wrong


def stage(boot: Path, names: tuple[str, ...] = WORKER_FILES) -> None:
    """Copy the trusted files that travel into the sandbox to `boot`/harness, and compile them.

    Nothing in there can write bytecode, and every sandbox would compile them again.
    """
    folder = boot / "harness"
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        source = shutil.copyfile(Path(__file__).with_name(name), folder / name)
        compiled = folder / "__pycache__" / f"{source.stem}.{sys.implementation.cache_tag}.pyc"
        # Its own name alone: where it lies out here is nobody's business in there.
        py_compile.compile(str(source), str(compiled), dfile=name, doraise=True, invalidation_mode=_AS_IT_IS)


def try_levels() -> tuple[Trial, ...]:
    """Every level, strongest first; each is tried once in the life of this process."""
    return tuple(trial_here(level) for level in Level)


def choose(wanted: Level | None) -> Level:
    """The level to run at: the wanted one, or the strongest that works. `none` is never chosen unasked.

    Raises:
        UserError: it does not work here, with the reason.
    """
    if wanted is not None:
        trial = trial_here(wanted)
        if not trial.works:
            raise UserError(f"sandbox level {wanted} does not work here: {trial.why}")
        return wanted
    reasons = []
    for level in (Level.NAMESPACES, Level.UID, Level.LANDLOCK):
        trial = trial_here(level)
        if trial.works:
            return level
        reasons.append(f"{level}: {trial.why}")
    raise UserError(
        f"no sandbox works here ({'; '.join(reasons)}); install bubblewrap, or give --no-sandbox to run code that you"
        " trust"
    )


@functools.cache
def trial_here(level: Level) -> Trial:
    return try_level(level, Interpreter.current())


def try_level(level: Level, interpreter: Interpreter) -> Trial:
    """Start a child at this level; it must be refused a secret file and the network."""
    obstacle = _obstacle(level)
    if obstacle:
        return Trial(level, works=False, why=obstacle)
    with tempfile.TemporaryDirectory(prefix="speedrun-trial-") as name:
        top = Path(name)
        top.chmod(0o755)  # what protects the secret has to be the sandbox
        secret = top / "secret"
        secret.write_text("secret")
        mounts = Mounts(boot=top / "boot", submission=top / "submission", run_folder=top / "run")
        for folder in (mounts.submission, mounts.run_folder):
            folder.mkdir()
        stage(mounts.boot, (*WORKER_FILES, _TRIAL))
        try:
            findings = _ask(level, mounts, interpreter, secret)
        except (SandboxError, UserError) as error:
            return Trial(level, works=False, why=str(error))
    if level is Level.NONE:
        return Trial(level, works=True, why="no protection: for code that you trust, never ranked")
    if findings.read_secret or findings.opened_network:
        return Trial(level, works=False, why="the sandbox starts but does not hold")
    with_bwrap = "bubblewrap, " if level is Level.NAMESPACES else ""
    return Trial(level, works=True, why=f"{with_bwrap}Landlock ABI {findings.landlock_abi}, seccomp")


def _obstacle(level: Level) -> str:
    """What is known without a trial; empty when nothing is."""
    if level is Level.NONE:
        return ""
    if level is Level.UID and os.geteuid() != 0:
        return "it needs root"
    if landlock.abi() < 1:
        return "this kernel has no Landlock"
    return "" if seccomp.supported() else "this system takes no seccomp filter"


def _ask(level: Level, mounts: Mounts, interpreter: Interpreter, secret: Path) -> Findings:
    """Raises SandboxError when no answer comes."""
    with Sandbox(level, mounts, _LIMITS, program=f"harness/{_TRIAL}", interpreter=interpreter) as sandbox:
        sandbox.start()
        sandbox.socket.settimeout(_ANSWER_PATIENCE_S)
        try:
            sandbox.socket.sendall(msgspec.json.encode(Question(policy=sandbox.policy, secret=str(secret))))
            answer = sandbox.socket.recv(1 << 16)
            if answer:
                return msgspec.json.decode(answer, type=Findings)
        except (OSError, msgspec.DecodeError):
            pass
        sandbox.kill()
        said = sandbox.output.tail.strip().splitlines()
        raise SandboxError(said[-1] if said else "the trial ended without an answer")
