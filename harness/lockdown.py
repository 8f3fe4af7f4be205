"""The worker locks itself in before it imports the submission. Travels into the sandbox.

One trusted bootstrap at every level: limits, death with the parent, no capabilities, Landlock, seccomp, in that
order, because each step would be refused by the next. What is asked for holds, or an OSError ends the worker: there
is no way on with less.

Not covered here: what the parent does from outside (namespaces, cgroups, polling, the kill at the end), and resources
that no limit names: processor time, bandwidth of memory and disk, the page cache.
"""

import os
import resource
import signal
from typing import NamedTuple

from harness import landlock, seccomp
from harness.protocol import Policy
from harness.syscalls import PR_SET_PDEATHSIG, drop_capabilities, prctl


class LockdownReport(NamedTuple):
    """What holds from here on."""

    landlock_abi: int  # 0: not asked for
    seccomp: bool


def apply(policy: Policy) -> LockdownReport:
    """Lock this process in. Call it with one thread only, before anything untrusted is read.

    Raises:
        OSError: a part of the policy can't be enforced, or the parent is gone already.
        ValueError: a limit is above what this process may set.
    """
    for name, value in policy.rlimits.items():
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (value, value))
    if policy.die_with_parent:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != policy.parent_pid:  # it died before the line above
            raise ProcessLookupError("the parent is gone")
    if policy.drop_capabilities:
        drop_capabilities()
    version = 0
    if policy.landlock:
        version = landlock.restrict(policy.read, policy.write, policy.devices, tcp=policy.loopback)
    if policy.seccomp:
        seccomp.install(policy.parent_pid, loopback=policy.loopback, metadata=policy.metadata)
    return LockdownReport(landlock_abi=version, seccomp=policy.seccomp)
