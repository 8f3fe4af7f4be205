"""speedrun verify: a maintainer's own runs of an entry, with fresh seeds, every one of them signed."""

import datetime
import secrets
from collections.abc import Sequence
from pathlib import Path

from harness import submission
from harness.errors import UserError
from harness.result import Record, Series, Tier, Verdict, encode
from harness.submission import Submission
from harness.track import Track, find_track
from leaderboard.alike import in_order, place, set_apart, torch, variant
from leaderboard.ranking import waived_variants
from leaderboard.schema import Summary, decode_summary
from leaderboard.stats import mean, sample_sd
from leaderboard.store import signature_path
from speedrun import console, standings
from speedrun.answers import Verified
from speedrun.cluster.manning import manned
from speedrun.recovery import recover
from speedrun.session import MOST_OWN_FAULTS, Conditions, Session, Stored, open_session, outside
from speedrun.verification import Judgement, RecordNews, judge, record_news, scores
from speedrun.vouching import Voucher
from speedrun.workspace import Workspace


def verify(
    workspace: Workspace,
    name: str,
    track_id: str,
    *,
    key: Path,
    runs: int | None,
    conditions: Conditions,
    turn: str = "",
) -> Verified:
    """Runs the entry until it is settled whether it stands; verified runs of this very source count that are there.

    It ends with the runs that the track asks for, or sooner when there is no hope left (speedrun.verification says
    when), when the platform has failed twice, or when somebody interrupts. Asked again, it goes on where it ended.

    Args:
        name: of an entry of this checkout.
        key: the maintainer's, private or public.
        runs: so many verified runs in all; None: as many as the track asks.
        turn: of the entry in a queue, for people, e.g. "2 of 7 in the queue"; empty: it is the only one.

    Raises:
        UserError: what keeps a run from being verified, before any has been made. Later on it is the answer's reason.
        KeyboardInterrupt: told to stop before the first run had ended.
    """
    if conditions.crew is None:  # else whoever called it has: another thread may be storing a record just now
        recover(workspace, conditions.say)
    folder = submission.find(name, workspace.submissions)
    if why := outside(folder, workspace):
        raise UserError(f"{folder.name} can't be verified: {why[0]}")
    track = find_track(track_id, workspace.tracks)
    asked = runs_due(track, runs)
    entry = submission.load(folder, folder.name)
    voucher = Voucher(workspace, key, conditions.say)
    voucher.demand(entry)
    with (
        manned(workspace, track, voucher.conditions(conditions)) as manned_conditions,
        open_session(workspace, track, manned_conditions, entry.name) as session,
    ):
        voucher.demand_request(session.request(entry))
        return _Verification(session, entry, voucher, asked, turn).make()


def runs_due(track: Track, runs: int | None) -> int:
    """Verified runs that a verification takes; `runs`: as a maintainer asks. Raises UserError: too few."""
    if runs is not None and runs < track.ranking.runs:
        raise UserError(f"{track.id} asks for {track.ranking.runs} runs; leave --runs out, or ask for more")
    return track.ranking.runs if runs is None else runs


class _Verification:
    """A verification under way."""

    def __init__(self, session: Session, entry: Submission, voucher: Voucher, asked: int, turn: str) -> None:
        self._session = session
        self._voucher = voucher
        self._asked = asked
        self._turn = turn
        self._quiet = session.conditions.quiet
        now = datetime.datetime.now(datetime.UTC)
        series = Series(id=f"{now:%Y%m%d-%H%M%S}-verify-{entry.name}-{secrets.token_hex(2)}", purpose="verify")
        self._request = session.request(entry, series=series)
        self._like = session.would_be(entry)
        self._machine = session.machine
        self._stored: list[Stored] = []

    def make(self) -> Verified:
        found = self._standings()
        runs = self._own(found)
        waived = waived_variants(found.runs, found.rulings).get((self._like.track, variant(self._like)))
        if runs and not self._quiet:
            console.note(f"verified runs of this source that are there already: {len(runs)}")
        judgement = self._judge(runs, waived)
        if not self._turn:
            self._session.conditions.expect(self._asked - len(scores(runs)))
        while not judgement.settled:
            try:
                record, runs = self._run_once(runs)
            except KeyboardInterrupt:
                if not self._stored:
                    raise
                break
            except UserError as error:
                if not self._stored:
                    raise
                judgement = Judgement("not settled", f"it broke off: {error}", True)
                break
            judgement = self._judge(runs, waived)
            self._tell(record, runs, judgement)
            if self._session.interrupted or record.verdict is Verdict.INTERRUPTED:
                break
            if (why := self._no_use(record)) is not None:
                judgement = Judgement("not settled", why, True)
        return self._answer(runs, judgement)

    def _run_once(self, runs: list[Summary]) -> tuple[Record, list[Summary]]:
        """One run more, and the runs that count now."""
        number = f"verified run {len(scores(runs)) + 1} of {self._asked}"
        note = ", ".join(filter(None, (self._turn, number)))
        stored = self._session.run(self._request, note, self._voucher.finish)
        self._stored.append(stored)
        if self._session.machine != self._machine:  # a node was lost: another one may count for itself only
            self._machine = self._session.machine
            self._like = self._session.would_be(self._request.submission)
            return stored.record, self._own(self._standings())
        if stored.record.tier is Tier.VERIFIED:
            runs = [*runs, _summary(stored.record)]
        return stored.record, runs

    def _judge(self, runs: Sequence[Summary], waived: str | None) -> Judgement:
        return judge(runs, self._asked, self._like.track, self._session.track.ranking.alpha, waived)

    def _standings(self) -> standings.Standings:
        return standings.read(self._session.workspace, self._session.track.id)

    def _own(self, found: standings.Standings) -> list[Summary]:
        """Verified runs of this very source that the board would take together with those to be made, oldest first."""
        here = (place(self._like), variant(self._like), torch(self._like))
        return in_order(
            run
            for run in found.runs
            if run.tier is Tier.VERIFIED
            and run.run_id not in found.rulings.retracted
            and not set_apart(run)
            and (place(run), variant(run), torch(run)) == here
        )

    def _no_use(self, record: Record) -> str | None:
        """Why another run would not help either; None: nothing speaks against it."""
        faults = sum(stored.record.verdict is Verdict.INTERNAL_ERROR for stored in self._stored)
        if record.tier is not Tier.VERIFIED:
            return f"run {record.run_id} could not be signed"
        if record.scored and not record.ranked:
            return f"run {record.run_id} is not ranked: {'; '.join(record.unranked_because)}"
        return "the platform failed twice; speedrun show says how" if faults > MOST_OWN_FAULTS else None

    def _tell(self, record: Record, runs: Sequence[Summary], judgement: Judgement) -> None:
        """One line after a run: how it ended, and where the whole stands."""
        if self._quiet:
            return
        losses = scores(runs)
        told = [f"{record.verdict}, loss {record.score.loss_nats:.4f}" if record.score is not None else record.verdict]
        if len(losses) > 1:
            sd = sample_sd(losses)
            told.append(f"mean {mean(losses):.4f}" + (f", standard deviation {sd:.4f}" if sd is not None else ""))
        console.note("; ".join((*told, judgement.because)))

    def _answer(self, runs: Sequence[Summary], judgement: Judgement) -> Verified:
        found, entry = self._standings(), self._request.submission
        losses = scores(runs)
        news = RecordNews(False, "")
        if judgement.outcome == "stands":
            history = standings.find(found.histories(), place(self._like))
            news = record_news(runs, history, found.rules[self._like.track.id])
        loss_nats, times = (
            mean(losses),
            [run.times.train_s for run in runs if run.ranked and run.times.train_s is not None],
        )
        return Verified(
            entry=entry.name,
            source_sha256=entry.source.sha256,
            track=self._like.track,
            records=tuple(stored.record for stored in self._stored),
            files=tuple(file for stored in self._stored for file in _files(stored)),
            run_ids=tuple(run.run_id for run in runs),
            runs_asked=self._asked,
            losses_nats=tuple(losses),
            loss_nats=loss_nats if losses else None,
            train_s=mean(times) if times else None,
            outcome=judgement.outcome,
            because=judgement.because,
            place=self._place(found),
            is_record=news.is_record,
            record_words=news.words,
            interrupted=self._session.interrupted,
        )

    def _place(self, found: standings.Standings) -> int | None:
        """The rank of these runs in their section of the board; None: they have none."""
        section = standings.find(found.board().sections, place(self._like))
        own = (*variant(self._like), Tier.VERIFIED)
        rows = () if section is None else section.rows
        ranks = (row.rank for row in rows if (row.entry, row.source_sha256, row.overrides, row.tier) == own)
        return next(ranks, None)


def _summary(record: Record) -> Summary:
    return decode_summary(encode(record))


def _files(stored: Stored) -> tuple[str, ...]:
    if stored.record.tier is not Tier.VERIFIED:
        return (stored.file,)
    return (stored.file, signature_path(Path(stored.file)).as_posix())
