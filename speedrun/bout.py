"""Two entries run in turns: pair after pair, until the matter is settled or there is no point in going on.

The order is AB, BA, AB, …: what drifts steadily with time, a machine that gets warmer say, hits both alike. The duel is
on disk after every pair, so that whatever ends this process takes one pair along at most.
"""

import datetime
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec

from harness import submission
from harness.errors import UserError
from harness.result import Record, Series, Tier, Verdict, encode
from harness.run_request import RunRequest
from harness.submission import Submission
from leaderboard import duels
from leaderboard.conduct import MOST_FAILURES, cheated
from leaderboard.duel_store import DuelStore
from leaderboard.duels import RETIMING, Duel, Name, Outcome, Pair, Side, judge
from leaderboard.history import Step
from leaderboard.schema import Summary, decode_summary
from leaderboard.store import Store
from speedrun import console
from speedrun.answers import Fought
from speedrun.scratch import scratch
from speedrun.session import MOST_OWN_FAULTS, Finished, Session, outside
from speedrun.vouching import Voucher
from speedrun.workspace import Workspace


@dataclass(frozen=True)
class Contender:
    """Who takes part, and how."""

    entry: Submission
    overrides: Mapping[str, str]
    practice: tuple[str, ...] = ()  # why its runs will not be ranked

    @property
    def side(self) -> Side:
        return Side(
            entry=self.entry.name,
            source_sha256=self.entry.source.sha256,
            overrides=dict(sorted(self.overrides.items())),
        )


@dataclass(frozen=True)
class Terms:
    """What a duel is for, and how far it goes."""

    purpose: Literal["duel", "retime"]
    most_pairs: int
    voucher: Voucher | None = None  # who signs it and its runs
    quiet: bool = False  # no line after a pair


def named(name: str, workspace: Workspace) -> Contender:
    """An entry of the checkout, or of a folder elsewhere. Raises UserError: there is none, or it breaks a rule."""
    folder = submission.find(name, workspace.submissions)
    return Contender(submission.load(folder, folder.name), {}, outside(folder, workspace))


def restored(step: Step, workspace: Workspace) -> Contender:
    """What held a record, from the source that its first run's record holds.

    Raises:
        UserError: the source is not what its hash names, or breaks a rule of today.
    """
    source = Store(workspace.results, workspace.cache).get(step.run_ids[0]).source
    with scratch(workspace.cache, "duel") as folder:
        entry = submission.restore(step.entry, source, folder / step.entry)
    return Contender(entry, dict(step.overrides))


def demand_two(a: Contender, b: Contender) -> None:
    """Raises UserError for a comparison of something with itself."""
    if (a.side.source_sha256, a.side.overrides) == (b.side.source_sha256, b.side.overrides):
        raise UserError(
            f"{a.entry.name} and {b.entry.name} are the same source with the same settings: there is nothing to "
            "compare; name two that differ"
        )


def fight(session: Session, a: Contender, b: Contender, terms: Terms) -> Fought:
    """Runs the duel, writes it down after every pair, and judges it.

    It ends when it is settled, after the last pair that is allowed, when a side has cheated once or failed twice (then
    it can't win any more), when the platform has failed twice, or when somebody interrupts. Where the first run of a
    pair fails, the other one is spared and the pair tried again.

    Raises:
        KeyboardInterrupt: told to stop before the first pair was complete.
        UserError: runs that can't be vouched for, what keeps the first run from being made, no space for the duel. What
            keeps a later run from being made is why it ended.
    """
    if terms.voucher is not None:
        for contender in (a, b):
            terms.voucher.demand_request(_request(session, contender))
    return _Bout(session, a, b, terms).fight()


class _Bout:
    """A duel under way."""

    def __init__(self, session: Session, a: Contender, b: Contender, terms: Terms) -> None:
        self._session = session
        self._contenders: dict[Name, Contender] = {"a": a, "b": b}
        self._terms = terms
        self._duel = _new(session, a, b, terms)
        self._runs: dict[str, Summary] = {}
        self._run_files: list[str] = []
        self._duel_file = ""

    def fight(self) -> Fought:
        broken_off = ""
        try:
            while not (because := over(self._duel, self._outcome, self._runs)):
                self._make_pair()
        except KeyboardInterrupt:
            if not self._duel.pairs:
                raise
            because = "it was interrupted"
        except UserError as error:  # the disk is full, say, or no node is left
            if not self._runs:
                raise
            because = broken_off = f"it broke off: {error}"
        if not self._duel_file:
            self._write()
        return Fought(
            duel=self._duel,
            outcome=self._outcome,
            because=because,
            broken_off=broken_off,
            files=(self._duel_file, *self._run_files),
        )

    @property
    def _outcome(self) -> Outcome:
        return judge(self._duel, self._runs)

    def _make_pair(self) -> None:
        """Two runs, and the duel with them; or one, which failed."""
        first: Name = "a" if len(self._duel.pairs) % 2 == 0 else "b"
        made: dict[Name, str] = {}
        machines = set[str]()
        for name in (first, _other(first)):
            record = self._run(name)
            machines.add(self._session.machine)
            if record.verdict is Verdict.INTERRUPTED:
                raise KeyboardInterrupt
            made[name] = record.run_id
            if record.verdict is not Verdict.OK and name == first:
                self._tell(f"run {record.run_id} ended as {record.verdict}: no pair")
                return
        if len(machines) > 1:  # times and losses of two hosts differ by what has nothing to do with the entries
            self._tell(f"runs {made['a']} and {made['b']} were made on two machines, since one was lost: no pair")
            return
        pair = Pair(a=made["a"], b=made["b"], first=first)
        self._duel = msgspec.structs.replace(self._duel, pairs=(*self._duel.pairs, pair))
        self._write()
        self._tell(after_pair(self._duel, self._outcome))

    def _run(self, name: Name) -> Record:
        contender, pairs = self._contenders[name], self._duel.pairs
        request = _request(self._session, contender, self._duel)
        finish = Finished if self._terms.voucher is None else self._terms.voucher.finish
        note = f"pair {len(pairs) + 1} of at most {self._duel.most_pairs}"
        stored = self._session.run(request, note, finish)
        self._runs[stored.record.run_id] = decode_summary(encode(stored.record))
        self._run_files.append(stored.file)
        return stored.record

    def _write(self) -> None:
        """A signature that fails never loses the duel."""
        signature = None
        if self._duel.tier is Tier.VERIFIED and self._terms.voucher is not None:
            try:
                signature = self._terms.voucher.sign(duels.encode(self._duel))
            except UserError as error:
                say = self._session.conditions.say
                say(f"duel {self._duel.duel_id} is not signed and counts as self-reported: {error}")
                self._duel = msgspec.structs.replace(self._duel, tier=Tier.SELF_REPORTED)
        workspace = self._session.workspace
        self._duel_file = DuelStore(workspace.duels).put(self._duel, signature).relative_to(workspace.root).as_posix()

    def _tell(self, words: str) -> None:
        if not self._terms.quiet:
            console.note(words)


def over(duel: Duel, outcome: Outcome, runs: Mapping[str, Summary]) -> str:
    """Why there is no point in another pair, in words; empty: there is."""
    if outcome.settled is not None:
        return "it is settled"
    for name, side, failed in zip(
        duels.names(duel), (duel.a, duel.b), (outcome.failed_a, outcome.failed_b), strict=True
    ):
        if words := cheated(run for run in runs.values() if _is_of(run, side)):
            return f"{words}, and {name} can't win any more"
        if failed > MOST_FAILURES:
            return f"{name} failed {failed} times and can't win any more"
    own_faults = sum(run.verdict is Verdict.INTERNAL_ERROR for run in runs.values())
    if own_faults > MOST_OWN_FAULTS:
        return f"the platform itself failed {own_faults} times"
    return f"all {len(duel.pairs)} pairs are made" if len(duel.pairs) >= duel.most_pairs else ""


def after_pair(duel: Duel, outcome: Outcome) -> str:
    """One line on the last pair and where the duel stands."""
    number = len(duel.pairs)
    unit, digits = ("s", 2) if outcome.measure == "ratio" else ("nats", 4)
    last = next((pair for pair in outcome.pairs if pair.number == number), None)
    if last is None:
        what = next(f"left out, {left.why}" for left in outcome.left_out if left.number == number)
    else:
        values = zip(duels.names(duel), (last.a, last.b), strict=True)
        what = ", ".join(f"{name} {value:.{digits}f} {unit}" for name, value in values)
    more = duel.most_pairs - number
    left = f"{more} {'pair' if more == 1 else 'pairs'} left at most" if more else "that was the last pair"
    return f"pair {number}: {what}; {outcome.words}; {left}"


def _new(session: Session, a: Contender, b: Contender, terms: Terms) -> Duel:
    now = datetime.datetime.now(datetime.UTC)
    return Duel(
        duel_id=f"{now:%Y%m%d-%H%M%S}-{terms.purpose}-{a.entry.name}-{secrets.token_hex(2)}",
        purpose=terms.purpose,
        track=session.would_be(a.entry).track,
        started_at=f"{now:%Y-%m-%dT%H:%M:%SZ}",
        a=a.side,
        b=b.side,
        most_pairs=terms.most_pairs,
        alpha=session.track.ranking.alpha,
        tier=Tier.SELF_REPORTED if terms.voucher is None else Tier.VERIFIED,
    )


def _request(session: Session, contender: Contender, duel: Duel | None = None) -> RunRequest:
    """duel: None for one that is not run, but looked at."""
    retimed = duel is not None and duel.purpose == "retime"
    return session.request(
        contender.entry,
        overrides=contender.overrides,
        practice=(*contender.practice, RETIMING) if retimed else contender.practice,
        series=None if duel is None else Series(id=duel.duel_id, purpose=duel.purpose),
    )


def _is_of(run: Summary, side: Side) -> bool:
    return (run.entry.name, run.source.sha256, run.overrides) == (side.entry, side.source_sha256, side.overrides)


def _other(name: Name) -> Name:
    return "b" if name == "a" else "a"
