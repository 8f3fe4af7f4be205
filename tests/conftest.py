"""What tests of several packages share."""

import hashlib
import itertools
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import settings

from harness.result import (
    Artifact,
    Author,
    CurvePoint,
    DatasetRef,
    Declared,
    Device,
    Entry,
    Environment,
    Level,
    Record,
    SandboxReport,
    Score,
    Source,
    SourceFile,
    Times,
    TrackRef,
    TwinReport,
    Verdict,
    encode,
)
from leaderboard.schema import Summary, decode_summary
from tests import tally as red_team

BEGINNING = datetime(2026, 11, 21, tzinfo=UTC)

# An example is not wrong for taking long.
settings.register_profile("unhurried", parent=settings.default, deadline=None)
settings.load_profile("unhurried")


def pytest_configure() -> None:
    """A suite that was started in the background ignores Ctrl-C, under nohup SIGHUP, and what it starts would, too.

    A handler goes when a program is started. Ours does nothing: whoever hangs up does not end a suite under nohup.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN or "PYTEST_XDIST_WORKER" in os.environ:
        signal.signal(signal.SIGHUP, lambda *_: None)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--page", metavar="FILE", help="Write the groups that ran to the red team's page, totals to README."
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is quick and adds rows to the red team's table belongs to both runs."""
    for item in items:
        if "tally" in getattr(item, "fixturenames", ()) and item.get_closest_marker("redteam") is None:
            item.add_marker(pytest.mark.everyday)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, exitstatus: int, config: pytest.Config) -> None:
    """The red team's table, where one of its tests ran."""
    stats = terminalreporter.stats
    reports = [each for each in (*stats.get("passed", ()), *stats.get("failed", ())) if each.when == "call"]
    rows = red_team.rows_of(reports)
    if not rows:
        return
    terminalreporter.section("red team")
    for line in red_team.lines(rows):
        terminalreporter.write_line(line)
    if config.getoption("page"):
        if exitstatus != 0:
            terminalreporter.write_line("the page is not written: a test failed")
            return
        page, readme = Path(config.getoption("page")), Path(__file__).resolve().parents[1] / "README.md"
        rows = red_team.merged(page.read_text() if page.exists() else "", rows)
        page.write_text(red_team.page(rows))
        readme.write_text(red_team.quoted(readme.read_text(), rows))


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`tally("attack", level=…, expected="stopped", got="stopped")` adds a row to the table of `make redteam`."""
    return red_team.row_of(request.node)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture(scope="session")
def make_record() -> Callable[..., Record]:
    """A factory of valid records: `make_record(loss_nats=1.2, entry="mine")`.

    Each record is a second younger than the one before and has an id of its own. A verdict other than ok makes a run
    that began and was not scored; `ranked=False` a practice run. Any field of Record may be given by its own name and
    then stands as given.
    """
    numbers = itertools.count()

    def make(
        *,
        entry: str = "baseline",
        title: str = "A title",
        authors: tuple[Author, ...] = (Author(name="Ada", link="https://example.org/ada"),),
        technique: str = "a plain transformer",
        track_id: str = "cpu-smoke",
        version: int = 1,
        objective: str = "lowest-loss",
        limit_s: float = 8.0,
        target_nats: float | None = None,
        dataset_id: str = "tales",
        official: bool = True,
        floor_nats: float | None = 1.0,
        loss_nats: float = 1.5,
        train_s: float = 7.5,
        tokens: int | None = 100_000,
        verdict: Verdict = Verdict.OK,
        ranked: bool = True,
        source: str = "def train(run, model):\n    return model\n",
        cpu: str = "Test CPU",
        threads: int = 2,
        devices: tuple[str, ...] = (),
        **fields: Any,
    ) -> Record:
        number = next(numbers)
        started = BEGINNING + timedelta(seconds=number)
        scored = verdict is Verdict.OK
        ranked = ranked and scored
        target_met = None if target_nats is None else loss_nats <= target_nats
        file = SourceFile(path="speedrun.py", text=source, sha256=_sha256(source))
        record = {
            "run_id": f"{started:%Y%m%d-%H%M%S}-{entry}-{number:04x}",
            "entry": Entry(name=entry, title=title, authors=authors, technique=technique),
            "track": TrackRef(
                id=track_id,
                version=version,
                sha256=_sha256(f"{track_id} {version}"),
                objective=objective,  # type: ignore[arg-type]
                limit_s=limit_s,
                target_nats=target_nats,
            ),
            "dataset": DatasetRef(
                id=dataset_id, sha256=_sha256(dataset_id), vocab_size=256, official=official, floor_nats=floor_nats
            ),
            "started_at": started.isoformat(timespec="seconds"),
            "seed": 1234 + number,
            "verdict": verdict,
            "reason": "" if scored else f"it ended as {verdict}",
            "ran": True,
            "scored": scored,
            "ranked": ranked,
            "unranked_because": () if ranked else ("practice" if scored else f"the verdict is {verdict}",),
            "score": Score(
                loss_nats=loss_nats, targets=4096, context_tokens=256, stride_tokens=256, target_met=target_met
            )
            if scored
            else None,
            "times": Times(train_s=train_s, setup_s=1.0, save_s=0.1, score_s=2.0, twin_s=0.5, total_s=13.0),
            "twin": TwinReport(
                sampled=512,
                seed=7,
                advantage_nats=0.0,
                low_nats=-1e-9,
                high_nats=1e-9,
                p_value=0.5,
                largest_nats=1e-7,
                repeat_nats=0.0,
                finds_share=0.009,
                finds_advantage_nats=0.001,
                kind="honest",
            )
            if scored
            else None,
            "artifact": Artifact(sha256=_sha256(f"artifact {number}"), bytes=1_000_000, files=1) if scored else None,
            "parameters": 250_000,
            "declared": Declared(steps=100, tokens=tokens, loss_nats=1.4, metrics={"lr": 0.001}),
            "curve": (CurvePoint(elapsed_s=1.0, step=10, tokens=10_000, loss_nats=3.0),),
            "environment": Environment(
                cpu=cpu,
                cores=4,
                threads=threads,
                memory_gib=8.0,
                devices=tuple(Device(name=name, memory_gib=16.0) for name in devices),
                system="Linux-6.18-x86_64",
                python="3.11.0",
                packages={"torch": "2.13.0"},
                sandbox=SandboxReport(
                    level=Level.NAMESPACES,
                    landlock_abi=6,
                    memory_bound="polled",
                    tree_kill="pidns",
                    guarantees=("no network",),
                    not_covered=("side channels",),
                ),
                load_before=0.1,
            ),
            "source": Source(files=(file,), sha256=_sha256(file.sha256)),
        }
        return Record(**record | fields)

    return make


@pytest.fixture(scope="session")
def make_summary(make_record: Callable[..., Record]) -> Callable[..., Summary]:
    """Like `make_record`, as a board reads it."""

    def make(**fields: Any) -> Summary:
        return decode_summary(encode(make_record(**fields)))

    return make


@pytest.fixture(scope="session")
def record_json(make_record: Callable[..., Record]) -> Callable[..., dict[str, Any]]:
    """A valid record as a plain JSON object, to be spoilt."""

    def make(**fields: Any) -> dict[str, Any]:
        value: dict[str, Any] = msgspec.json.decode(encode(make_record(**fields)))
        return value

    return make
