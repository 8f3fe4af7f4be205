"""The sandbox: where untrusted entries run. This page is its face; each part has a module of its own.

| level | what confines | for |
|---|---|---|
| namespaces | bubblewrap, Landlock, seccomp | wherever bubblewrap works |
| uid | a user id of its own, Landlock, seccomp | root in a container |
| landlock | Landlock, seccomp, the same user | everywhere else |
| none | limits, and seccomp where the system has it | code that you trust |

sandbox_levels tries which of them work; sandbox_plan holds the values and the policy; sandbox_process starts, watches
and kills; sandbox_claims says what a record may claim. lockdown, landlock and seccomp run inside.
"""

from harness.sandbox_launch import SandboxError
from harness.sandbox_levels import WORKER_FILES, Trial, choose, stage, try_levels
from harness.sandbox_plan import RANKS_LEVELS, Card, Inside, Interpreter, Limits, Mounts, policy_for
from harness.sandbox_process import Exit, Killed, Sandbox, protect_parent
from harness.sandbox_watch import Breach

__all__ = [
    "RANKS_LEVELS",
    "WORKER_FILES",
    "Breach",
    "Card",
    "Exit",
    "Inside",
    "Interpreter",
    "Killed",
    "Limits",
    "Mounts",
    "Sandbox",
    "SandboxError",
    "Trial",
    "choose",
    "policy_for",
    "protect_parent",
    "stage",
    "try_levels",
]
