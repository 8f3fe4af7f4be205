"""A site to look at: made records of a year's racing, and an entry that tries to be more than text.

Nothing here was ever run. The site is built by the code that builds every site, from values made as a checkout's are.
"""

import hashlib
import math
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from harness.result import Author, CurvePoint, Declared, Record, Sample, Samples, Series, Tier, Times, Verdict, encode
from harness.track import list_tracks
from leaderboard import published
from leaderboard.ranking import TrackRules, rank
from leaderboard.replay import histories
from leaderboard.rulings import Rulings
from leaderboard.schema import decode_summary
from leaderboard.site.build import build, find_tools
from leaderboard.site.contents import Contents, Fact, TrackCard
from leaderboard.text import plain

ROOT = Path(__file__).resolve().parents[2]
RULES = {
    "cpu-smoke": TrackRules(version=1, runs=3, alpha=0.01, least_gain=0.005),
    "cpu-1min": TrackRules(version=1, runs=3, alpha=0.01, least_gain=0.005),
    "h100x8-val-3.28": TrackRules(version=1, runs=3, alpha=0.01, least_gain=1.0),
    "t4-5min": TrackRules(version=1, runs=3, alpha=0.01, least_gain=0.005),
}
RACE: dict[str, Any] = {
    "track_id": "h100x8-val-3.28",
    "objective": "fastest-to-loss",
    "target_nats": 3.28,
    "limit_s": 3600.0,
    "dataset_id": "fineweb10b-gpt2",
    "floor_nats": None,
    "devices": ("NVIDIA H100 80GB HBM3",) * 8,
}
BASELINE = '''\
"""A plain transformer, # not a comment."""

import torch

LAYERS = 6  # blocks


@torch.no_grad()
def predict(model, tokens):
    """One number a target,
    over two lines."""
    return model(tokens, r"a raw\\d string", 0x1F, 1.5e-3)


class Block(torch.nn.Module):
    def forward(self, x):
        return x if x is not None else False
'''
HOSTILE = '<script>window.__pwned=1</script><img src=x onerror="window.__pwned=2"><b>bold</b> &lt;i&gt; %{x} ${y} \'q"'
HOSTILE_SOURCE = f"# {HOSTILE}\nNAME = '</code></pre><script>window.__pwned=3</script>'\n{HOSTILE}\n"

MakeRecord = Callable[..., Record]


class MadeSite(NamedTuple):
    """Where the site lies, and what a test asks for by name."""

    folder: Path
    best: str  # run ids
    other: str
    failed: str
    practice: str  # on other data
    retracted: str
    hostile: str
    crashed: str  # the hostile entry's


class _Racer(NamedTuple):
    """An entry's verified runs of one day."""

    entry: str
    day: int
    loss_nats: float
    technique: str
    author: str


_RACERS = (
    _Racer("baseline", 3, 0.5610, "a plain transformer with AdamW", "Ada"),
    _Racer("muon", 21, 0.5310, "Muon for the matrices, AdamW for the rest", "Grace"),
    _Racer("wide-muon", 50, 0.5105, "two wide layers instead of six", "Grace"),
    _Racer("ngrams", 78, 0.4890, "hashed n-gram embeddings beside the tokens", "Katherine"),
    _Racer("cooldown", 120, 0.4765, "rates that follow the clock, with a long cooldown", "Edsger"),
    _Racer("averaged", 160, 0.4775, "an average of the last weights", "Barbara"),
)


def build_site(folder: Path, make_record: MakeRecord) -> MadeSite:
    """Writes the records under `folder`, and the site of them."""
    made = list(_records(make_record))
    results, site = folder / "results", folder / "site"
    for record in made:
        place = results / record.track.id
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{record.run_id}.json").write_bytes(encode(record))
    build(site, _contents(made, results), find_tools())
    ids = {record.entry.name: record.run_id for record in made}
    return MadeSite(
        site,
        best=ids["cooldown"],
        other=ids["muon"],
        failed=ids["too-slow"],
        practice=ids["at-home"],
        retracted=ids["newcomer-5"],
        hostile=ids["hostile"],
        crashed=next(record.run_id for record in made if record.verdict is Verdict.CRASHED),
    )


def _contents(made: list[Record], results: Path) -> Contents:
    runs = tuple(decode_summary(encode(record)) for record in made)
    rulings = Rulings({run.run_id: "Its author asked." for run in runs if run.entry.name == "newcomer-5"}, {})
    tracks = {track.id: track for track in list_tracks(ROOT / "harness" / "tracks")}
    return Contents(
        tracks=tuple(
            TrackCard(
                id=track_id,
                title=plain(tracks[track_id].title, 200),
                race="a race",
                brief=(
                    Fact("limit", f"{tracks[track_id].limits.train_s:g} s"),
                    Fact("data set", tracks[track_id].dataset),
                ),
                facts=(Fact("version", "1"), Fact("runs asked", "3")),
                rules=("Train the best model that the time allows.",),
            )
            for track_id in RULES
        ),
        runs=runs,
        digests={record.run_id: hashlib.sha256(encode(record)).hexdigest() for record in made},
        unsigned=frozenset(),
        retracted=rulings.retracted,
        waived={},
        board=rank(runs, RULES, rulings),
        histories=histories(runs, (), RULES, rulings),
        published=tuple(
            each for each in published.load(ROOT / "leaderboard" / "published") if each.track == "h100x8-val-3.28"
        ),
        broken=(),
        results=results,
    )


def _records(make_record: MakeRecord) -> Iterator[Record]:
    maker = _Maker(make_record)
    for racer in _RACERS:
        yield from maker.verified(racer, (-0.0006, 0.0, 0.0006))
    for number in range(6):
        name = f"newcomer-{number}"
        racer = _Racer(name, 180 + number, 0.50 + 0.01 * number, "a first try", f"Newcomer {number}")
        yield maker.one(racer, racer.loss_nats, tier=Tier.SELF_REPORTED)
    home = _Racer("at-home", 190, 0.61, "the baseline on another machine", "Linus")
    yield maker.one(
        home,
        0.61,
        cpu="Home CPU",
        threads=2,
        tier=Tier.SELF_REPORTED,
        ranked=False,
        dataset_id="novels",
        official=False,
    )
    other = _Racer("elsewhere", 188, 0.52, "the same on a faster machine", "Ken")
    for number in range(3):
        yield maker.one(other, 0.52 + number / 1000, cpu="Fast CPU", threads=2, tier=Tier.SELF_REPORTED)
    slow = _Racer("too-slow", 191, 0.7, "too large for a minute", "Tony")
    yield maker.one(
        slow,
        0.7,
        verdict=Verdict.TIME_LIMIT,
        reason="Training took longer than 60 s.",
        log_tail="step 1\nstep 2\n",
        tier=Tier.SELF_REPORTED,
    )
    yield from maker.hostile()
    for number, train_s in enumerate((91.0, 91.4, 90.8)):
        sprint = _Racer("sprint", 200, 3.2760 - 0.0004 * number, "the whole of it on eight cards", "Ada")
        yield maker.one(
            sprint,
            sprint.loss_nats,
            train_s=train_s,
            series="verify-sprint",
            **RACE,
        )


class _Maker:
    """Makes records of given days; each has an id of its own."""

    def __init__(self, make_record: MakeRecord) -> None:
        self._make = make_record
        self._number = 0

    def verified(self, racer: _Racer, scatter: tuple[float, ...]) -> Iterator[Record]:
        for each in scatter:
            yield self.one(racer, racer.loss_nats + each, series=f"verify-{racer.entry}")

    def one(self, racer: _Racer, loss_nats: float, *, series: str = "", **fields: Any) -> Record:
        """A run of a racer; it scored, unless a verdict says otherwise."""
        self._number += 1
        began = datetime(2026, 1, 1, 9, self._number, tzinfo=UTC) + timedelta(days=racer.day)
        layers = 6 if racer.entry == "baseline" else 6 + racer.day
        settings: dict[str, Any] = {
            "run_id": f"{began:%Y%m%d-%H%M%S}-{racer.entry}-{self._number:04x}",
            "started_at": began.isoformat(timespec="seconds"),
            "entry": racer.entry,
            "title": f"{racer.technique} ({racer.author})",
            "authors": (Author(name=racer.author, link="https://example.org/author"),),
            "technique": racer.technique,
            "track_id": "cpu-1min",
            "limit_s": 60.0,
            "loss_nats": loss_nats,
            "train_s": 58.4,
            "floor_nats": 0.2296,
            "source": BASELINE.replace("LAYERS = 6", f"LAYERS = {layers}"),
            "cpu": "Xeon at 2.5 GHz",
            "tier": Tier.VERIFIED,
        } | fields
        settings.setdefault("curve", _curve(loss_nats, settings["train_s"], self._number))
        if settings.get("verdict", Verdict.OK) is Verdict.OK:
            settings.setdefault("samples", _SAMPLES)
            settings["times"] = Times(
                train_s=settings["train_s"],
                setup_s=20.0,
                save_s=0.1,
                score_s=24.0,
                twin_s=4.0,
                sample_s=6.0,
                total_s=115.0,
            )
        if series:
            settings["series"] = Series(id=f"{began:%Y%m%d-%H%M%S}-{series}-0001", purpose="verify")
        record = self._make(**settings)
        if racer.entry == "baseline":
            return record
        return msgspec.structs.replace(record, entry=msgspec.structs.replace(record.entry, based_on="baseline"))

    def hostile(self) -> Iterator[Record]:
        """Runs in which every text is markup: one that failed, and as many that scored as make a claim."""
        racer = _Racer("hostile", 192, 0.8, HOSTILE, HOSTILE)
        words: dict[str, Any] = {
            "track_id": "cpu-smoke",
            "tier": Tier.SELF_REPORTED,
            "cpu": HOSTILE,
            "source": HOSTILE_SOURCE,
            "log_tail": HOSTILE,
            "declared": Declared(steps=10, tokens=1000, loss_nats=0.9, metrics={HOSTILE: 1.0}),
        }
        yield self.one(racer, 0.8, verdict=Verdict.CRASHED, reason=HOSTILE, **words)
        samples = Samples(seed=1, temperature=0.8, items=(Sample(prompt=HOSTILE, text=HOSTILE),))
        for loss_nats in (0.799, 0.8, 0.801):
            yield self.one(racer, loss_nats, samples=samples, **words)


def _curve(loss_nats: float, train_s: float, number: int) -> tuple[CurvePoint, ...]:
    """A loss that falls as losses do, with a ripple of its own."""
    return tuple(
        CurvePoint(
            elapsed_s=round(train_s * share, 3),
            step=round(1500 * share),
            tokens=round(1500 * share) * 16_384,
            loss_nats=loss_nats + 5 * math.exp(-9 * share) * (1 - share) + 0.01 * math.sin(40 * share + number),
        )
        for share in (point / _CURVE_POINTS for point in range(1, _CURVE_POINTS + 1))
    )


_CURVE_POINTS = 150
_SAMPLES = Samples(
    seed=7,
    temperature=0.8,
    items=(
        Sample(prompt="Once there was a hare who", text=" counted the stones of the river.\nIt counted nine."),
        Sample(prompt="The clock on the wall", text=" said four, and nobody believed it."),
    ),
)
