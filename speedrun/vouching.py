"""A maintainer vouches for runs: what must hold before they begin, and the signature that each record gets.

What is vouched for is that the maintainer made this run, from committed code, on a machine that the track asks for, in
a sandbox with a user or namespaces of its own. Every run that a vouched command makes is signed, the failed ones too:
what spoke against an entry can then be told from what somebody made up.

Not covered: a maintainer who lies, one who leaves a record out of what he commits, and a harness that is installed from
somewhere else than the checkout that it works in.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from harness import repository
from harness.errors import UserError
from harness.gates import data_obstacles
from harness.result import Level, Record, Tier, encode
from harness.run_request import RunRequest
from harness.submission import Submission
from leaderboard.signatures import Signer, signed_by
from leaderboard.store import MAINTAINERS_NAME
from speedrun import console
from speedrun.session import Conditions, Finished
from speedrun.workspace import Workspace

_ONE_AT_A_TIME = threading.Lock()  # signatures: each may ask for a passphrase
LEVELS = (Level.NAMESPACES, Level.UID)  # that keep an entry from everything of the user who starts it


class Voucher:
    """Signs what a command makes. `demand` before the devices are taken, `demand_request` before the first run."""

    def __init__(self, workspace: Workspace, key: Path, say: Callable[[str], None] = console.note) -> None:
        """say: tells whoever waits one line."""
        self._workspace = workspace
        self._say = say
        self._key = key
        self._signer = Signer(key)
        self._maintainers = workspace.results.parent / MAINTAINERS_NAME

    def demand(self, *entries: Submission) -> None:
        """Refuses what can be seen before anything runs.

        Raises:
            UserError: the key can't sign or is no maintainer's, or code that would run is not committed.
        """
        self._demand_key()
        commit, clean = repository.checkout(self._workspace.root)
        if commit is None or clean is None:
            raise UserError("this checkout is no git repository that git speaks for; verify in a clone of the project")
        if not clean:
            raise UserError("there are changes that are not committed (git status); a verified run takes a clean tree")
        for entry in entries:
            if entry.source.git_commit is None or entry.source.git_clean is not True:
                raise UserError(
                    f"the source of {entry.name} is not known to have been committed as it is, ignored files included "
                    "(git status --ignored); commit it first"
                )

    @staticmethod
    def conditions(wished: Conditions) -> Conditions:
        """The same, and a node of a cluster with a weaker sandbox will not do."""
        return replace(wished, levels=LEVELS)

    def demand_request(self, request: RunRequest) -> None:
        """Refuses runs that could not be ranked, or that prove less than a verified run should.

        A command whose runs are not ranked for what they are made for (re-timings) asks before it says so in them.

        Raises:
            UserError: a weak sandbox, practice, overrides, a given seed, another data set.
        """
        if request.level not in LEVELS:
            wanted = " or ".join(LEVELS)
            raise UserError(
                f"a verified run takes the sandbox level {wanted}, this is {request.level}; speedrun doctor"
            )
        against = [*request.practice, *data_obstacles(request.track, request.data.manifest)]
        if request.overrides:
            against.append("fields of Config are set on the command line")
        if request.seed is not None:
            against.append("its seed is that of another run")
        if against:
            raise UserError(f"a run that is not ranked can't be verified: {'; '.join(against)}")

    def finish(self, record: Record) -> Finished:
        """The record, verified and signed. Where that fails it is kept, self-reported, and a note says so."""
        vouched = msgspec.structs.replace(record, tier=Tier.VERIFIED)
        try:
            data = encode(vouched)
            signature = self.sign(data)
            if signed_by(data, signature, self._maintainers, record.started_at) is not None:
                return Finished(vouched, signature)
            why = "the key was not a maintainer's when the run began"
        except (UserError, OSError) as error:
            why = str(error)
        self._say(f"run {record.run_id} is not signed and counts as self-reported: {why}")
        return Finished(record)

    def sign(self, data: bytes) -> bytes:
        """A signature over anything else that the command writes. Raises UserError."""
        with _ONE_AT_A_TIME:
            return self._signer.sign(data)

    def _demand_key(self) -> None:
        """A trial: whoever can't sign should learn it now, and not when the runs are made."""
        trial = secrets.token_bytes(32)
        signature = self.sign(trial)
        if signed_by(trial, signature, self._maintainers, datetime.now(UTC).isoformat()) is None:
            place = self._maintainers.relative_to(self._workspace.root).as_posix()
            raise UserError(
                f"the key {self._key} is nobody's in {place}, or not valid today; a maintainer adds its line"
            )
        if self._signer.asked:
            self._say("it will be asked for again after every run; ssh-add the key, and it signs by itself")
