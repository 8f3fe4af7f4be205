"""Whatever a stranger writes drives no terminal, no markdown, no reader of JSON, and no machine that reads our log."""

import io
import itertools
import json
import re
from functools import partial

import msgspec
import pytest
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from harness.events import Logged, Noted, PhaseBegan, Ticked
from harness.result import (
    SAMPLE_LENGTH,
    Author,
    Calibration,
    CurvePoint,
    Entry,
    HardwareReport,
    Level,
    Record,
    Sample,
    Samples,
    Tier,
    Verdict,
    encode,
)
from harness.track import find_track
from leaderboard.ranking import rank
from leaderboard.replay import histories
from leaderboard.schema import decode, decode_summary
from speedrun import answers, console, live, pages, pull_request_page, track_docs
from speedrun.app import main
from speedrun.commands.compare import as_answer
from speedrun.progress import Progress
from speedrun.proposed_records import ProposedRecord
from speedrun.pull_request import FileChange, Likeness, Refusal
from speedrun.standings import track_rules
from tests.fuzzing import (
    BREAKS,
    COMMANDS,
    ESCAPES,
    MARKUP,
    STYLING,
    SURROGATES,
    UNSEEN,
    amounts,
    fuzz,
    strangers,
    unsafe,
    written_over,
)

RULES = {"cpu-smoke": track_rules(find_track("cpu-smoke"))}
several = st.lists(strangers, min_size=7, max_size=7)
LONG = ("x" * 30_000, "\n" * 10_000, "e" + "\u0301" * 9000, "日" * 9000, "\x1b[2J" * 3000, " " * 10_000, "a b " * 9000)


@pytest.fixture(scope="session")
def hostile(make_record):
    """A record with these words in it, at every place that takes any."""
    whole = make_record(
        entry="mine",
        verdict=Verdict.CRASHED,
        reason="no",
        log_tail="printed",
        overrides={"width": "3"},
        curve=tuple(CurvePoint(elapsed_s=k, loss_nats=3.0 - k / 10) for k in range(5)),
        hardware=HardwareReport(
            before=(Calibration(device="cpu", matmul_tflops=1, copy_gbps=1),), samples=3, throttled={"power": 0.5}
        ),
        samples=Samples(seed=1, temperature=0.8, items=(Sample(prompt="Once", text="upon a time"),)),
    )
    plain = {False: encode(whole), True: encode(make_record(entry="mine", log_tail="printed"))}

    def make(words, *, good=False) -> Record:
        tree = written_over(json.loads(plain[good]), itertools.cycle(words))
        tree["entry"]["name"], tree["track"]["id"] = "mine", "cpu-smoke"
        for sample in (tree["samples"] or {"items": ()})["items"]:  # which has an end that the schema holds it to
            sample.update({name: text[:SAMPLE_LENGTH] for name, text in sample.items()})
        return decode(json.dumps(tree).encode())

    return make


def every_answer(hostile, words):
    """The answers that hold words of strangers."""
    bad, good = hostile(words), hostile(words[::-1], good=True)
    summaries = [decode_summary(encode(record)) for record in (bad, good)]
    a, b, c, *_ = words
    there = answers.OnBoard(rank=None, missing_runs=0, against=a)
    yield answers.Ran(records=(bad, good), files=("a.json", "b.json"), runs_wanted=1, on_board=there, interrupted=False)
    yield answers.ShownRun(record=bad, signed_by=a, retracted=b, waived=c)
    yield answers.ShownRun(record=good, unsigned=True)
    yield answers.Shown(board=rank(summaries, RULES, include_unranked=True), broken=(), written=(), practice=True)
    yield answers.Histories(tracks=("cpu-smoke",), histories=histories(summaries, (), RULES), published=(), broken=())
    yield answers.Checked(
        name="mine", problems=(answers.Fault(path=a, line=3, message=b), answers.Fault(path="", line=None, message=c))
    )
    yield answers.Ruled(run_id=bad.run_id, entry="mine", track="cpu-smoke", ruling="waiver", reason=a, file="x.json")
    yield answers.Reproduced(
        original=good,
        runs=(bad,),
        files=("x",),
        outcome="undecided",
        because="too few",
        noise=None,
        same_seed_nats=None,
        interrupted=False,
    )
    yield as_answer(bad, good)
    yield judged(words)


def judged(words):
    """A pull request of which every word is a stranger's."""
    a, b, c, d, e, f, g = words
    return answers.JudgedChange(
        base="1" * 40,
        head="2" * 40,
        accepted=False,
        refusals=(Refusal(path=a, reason=b), Refusal(path="", reason=c)),
        refusals_left_out=0,
        remarks=(f"its authors were {d} and would be {e}",),
        entry=f,
        is_new=True,
        card=Entry(name="mine", title=g, authors=(Author(name=a, link=b), Author(name=c)), technique=d, based_on=e),
        files=(FileChange(path=f, done="added", lines_added=1, lines_removed=2),),
        likeness=Likeness(entry=g, share=0.9, template_share=0.1),
        records=(
            ProposedRecord(
                run_id=a, track=b, verdict=Verdict.OK, ranked=True, loss_nats=1.0, train_s=2.0, tier=Tier.VERIFIED,
                signed_by=c,
            ),
        ),
        trial=answers.Trial(
            track=d, level=Level.NAMESPACES, verdict=Verdict.CRASHED, reason=e, loss_nats=None, train_s=None,
            total_s=1.0, log=(f, g, a),
        ),
        no_trial_because="",
    )  # fmt: skip


def page(answer, width, *, terminal=True):
    out = io.StringIO()
    colour = "truecolor" if terminal else None
    pages.show(
        answer,
        Console(
            file=out,
            width=width,
            force_terminal=terminal,
            color_system=colour,
            markup=False,
            emoji=False,
            highlight=False,
        ),
    )
    return out.getvalue()


@amounts
def test_no_page_drives_the_terminal(examples, hostile, tally):
    count = max(20, examples // 50)  # each is printed in many ways

    def check(words):
        for answer in every_answer(hostile, words):
            for width in (60, 200):
                text = page(answer, width)
                assert not unsafe(text), type(answer)
                assert len(STYLING.sub("", text)) < 100_000
                assert max(map(len, text.splitlines()), default=0) < 25_000

    fuzz(count, several, check)
    check(LONG)
    tally(f"terminal pages: {count:,} of strangers' words", expected="words", got="words")


def test_the_words_would_drive_it_if_they_were_printed_as_they_are():
    """A check of the check."""
    for piece in ("\x1b[2J", "\x1b]52;c;ZWNobw==\x07", "\u202e", "\u061c", "\x9b2J", "\r", "\x00", "\u200b"):
        assert unsafe(f"a{piece}b"), piece
    assert not unsafe("\x1b[1;31m✗ naïve — 日本語\x1b[0m\n")


@amounts
def test_a_row_stays_a_row(examples, hostile, tally):
    """The table of a board and of a reproduction has as many lines as with tame words."""
    count = max(20, examples // 25)

    def rows(answer):
        return [
            line
            for line in page(answer, 5000, terminal=False).splitlines()
            if re.match(r"\s*(\d+|–) +mine|the record|the record's seed", line)
        ]

    def check(words):
        summaries = [decode_summary(encode(hostile(words, good=good))) for good in (True, False)]
        board = answers.Shown(board=rank(summaries, RULES, include_unranked=True), broken=(), written=(), practice=True)
        assert len(rows(board)) == sum(len(section.rows) for section in board.board.sections)

    fuzz(count, several, check)
    tally(f"rows of tables: {count:,} of strangers' words", expected="one line each", got="one line each")


@amounts
def test_json_is_json(examples, hostile, tally):
    count = max(20, examples // 25)

    def check(words):
        for answer in every_answer(hostile, words):
            data = answers.as_json(answer)
            assert msgspec.json.decode(data, type=type(answer)) == answer
            assert json.loads(data)["version"] == 1
            assert data.isprintable() if isinstance(data, str) else not set(data) & (set(range(32)) - {10})

    fuzz(count, several, check)
    tally(f"JSON: {count:,} of strangers' words", expected="read back", got="read back")


# ------------------------------------------------------------------------------------------------------------ markdown

markdown = MarkdownIt("commonmark").enable(["table", "strikethrough"])
# What GitHub looks for in a comment's text when it is rendered (not in files of a repository).
CALLS = re.compile(r"(?<![\w`/])@[A-Za-z0-9]|(?<![\w`])#[0-9]|(?i:\bgh-[0-9])|\w@\w+\.\w")


@amounts
def test_a_pull_request_page_holds_words(examples, tally):
    count = max(20, examples // 10)

    def check(words):
        text = pull_request_page.markdown(judged(words))
        assert not unsafe(text.replace("&#8203;", ""))
        tokens = markdown.parse(text)
        kinds = {token.type for token in tokens}
        assert not kinds & {"html_block", "fence", "blockquote_open", "ordered_list_open", "hr"}
        headings = [token.content for before, token in itertools.pairwise(tokens) if before.type == "heading_open"]
        assert [heading.split(" ")[0] for heading in headings] == ["✗", "The", "Its", "A"]
        assert sum(token.type == "table_open" for token in tokens) == 2
        assert sum(token.type == "tr_open" for token in tokens) == 4
        for token in tokens:
            for child in token.children or ():
                assert child.type in ("text", "softbreak", "code_inline"), child
                if child.type == "code_inline":  # letters that mean nothing to anybody
                    assert re.fullmatch(r"[A-Za-z0-9_./-]+", child.content)
            if token.type == "inline":
                shown = "".join(child.content for child in token.children if child.type == "text")
                assert not CALLS.search(shown), shown
        for token in tokens:
            if token.type == "code_block":
                assert all(line.startswith("│ ") for line in token.content.splitlines())

    fuzz(count, several, check)
    check(LONG)
    tally(f"pull request pages: {count:,} of strangers' words", expected="words", got="words")


def test_the_words_would_call_somebody_if_only_escaped():
    """A check of the check: character references alone do not keep GitHub from reading a name."""
    for piece in ("@team", "#1", "GH-1", "a@e.example"):
        assert CALLS.search(piece)
        assert not CALLS.search(
            "".join(child.content for child in markdown.parseInline(pull_request_page._unlinked(piece))[0].children)
        )


@amounts
def test_a_strangers_track_is_words(examples, tally):
    count = max(20, examples // 10)
    track = find_track("cpu-smoke")

    def check(words):
        a, b, c, *_ = words
        odd = msgspec.structs.replace(
            track,
            title=" ".join(a.split()) or "x",
            rules=f"x\n\n{b}\n\n{c}",
            resources=msgspec.structs.replace(track.resources, accelerator=b.strip() or "x"),
            score=msgspec.structs.replace(track.score, split=c.strip() or "x"),
        )
        text = track_docs.render([odd])
        assert not unsafe(text)
        tokens = markdown.parse(text)
        assert not {token.type for token in tokens} & {
            "html_block",
            "fence",
            "code_block",
            "blockquote_open",
            "ordered_list_open",
            "hr",
        }
        assert sum(token.type == "heading_open" for token in tokens) == 2
        assert sum(token.type == "tr_open" for token in tokens) == 2
        assert sum(token.type == "bullet_list_open" for token in tokens) == 1
        links = [
            str(child.attrs["href"]) for token in tokens for child in token.children or () if child.type == "link_open"
        ]
        assert links == ["../harness/tracks", "../RULES.md", "#cpu-smoke"]
        for answer in (answers.ShownTrack(track=odd), answers.Tracks(tracks=(odd,))):
            assert not unsafe(page(answer, 80))
            json.loads(answers.as_json(answer))

    fuzz(count, several, check)
    tally(f"tracks of others: {count:,} of strangers' words", expected="words", got="words")


# ----------------------------------------------------------------------------------------------- a machine that obeys


def commands(text):
    """The lines that GitHub's runner obeys: `::` after any blanks, and `##[` anywhere."""
    return [line for line in re.split(r"[\r\n]", text) if line.lstrip().startswith("::") or "##[" in line]


@amounts
def test_a_ci_log_obeys_nobody(examples, hostile, tally, monkeypatch, capsys):
    count = max(20, examples // 100)  # each is printed in many ways
    obeyed: list[str] = []

    def printed(answer, as_json):
        capsys.readouterr()
        console.answer(answer, json=as_json)
        console.error_line(" ".join(word for answer in [answer] for word in words_of[-1]))
        return capsys.readouterr()

    words_of: list[list[str]] = []

    def check(words):
        words_of.append(words)
        for answer in every_answer(hostile, words):
            monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
            before = printed(answer, True).out
            obeyed.extend(commands(printed(answer, False).out))
            monkeypatch.setenv("GITHUB_ACTIONS", "true")
            for as_json in (False, True):
                out, err = printed(answer, as_json)
                assert not commands(out), type(answer)
                assert not commands(err)
                if as_json:
                    assert json.loads(out) == json.loads(before)

    worst = st.lists(st.sampled_from([*COMMANDS, "\n", " ", "a", "\n\n"]), max_size=5).map("".join)
    fuzz(count, st.lists(worst, min_size=7, max_size=7), check)
    tally(f"workflow commands: {count:,} of strangers' words", expected="not obeyed", got="not obeyed")
    assert obeyed  # as on any other machine, where nobody obeys


def test_source_that_is_shown_is_as_it_ran_where_nobody_obeys(monkeypatch, capsys):
    answer = answers.ShownSource(run_id="x", path="a.py", sha256="0", text="x[\n\t::2]\n\x1b[2J##[group]\n")
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    console.answer(answer, json=False)
    assert capsys.readouterr().out == "x[\n\t::2]\n[2J##[group]\n"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    console.answer(answer, json=False)
    assert capsys.readouterr().out == "x[\n\t: :2]\n[2J## [group]\n"


# ------------------------------------------------------------------------------------------------- views and arguments


@amounts
def test_no_run_breaks_the_view_of_it(examples, tally):
    count = max(20, examples // 20)
    numbers = st.sampled_from([0.0, 1.5, -1.7e308, 1.7e308, 5e-324, float("nan"), float("inf"), -float("inf"), None])
    counts = st.sampled_from([None, 0, 1, 2**53])
    point = st.tuples(numbers, counts, counts, strangers)

    def check(points):
        clock = itertools.count(0.0, 3.0)
        progress, out = Progress(partial(next, clock)), io.StringIO()
        plain = live.PlainLines("mine on cpu-smoke", out, partial(next, itertools.count(0.0, 3.0)))
        events = [PhaseBegan("train", 60.0)]
        for second, (loss, step, tokens, words) in enumerate(points):
            events.append(Logged(CurvePoint(elapsed_s=second, step=step, tokens=tokens, loss_nats=loss), {words: 1.0}))
            events += [Noted(words), Ticked("train", second, 0.5)]
        for event in events:
            progress.take(event)
            plain.observe(event)
            drawn = io.StringIO()
            Console(file=drawn, width=60, force_terminal=True, color_system="truecolor").print(
                live.frame("mine on cpu-smoke", progress, 60)
            )
            assert not unsafe(drawn.getvalue())
            assert max(map(len, STYLING.sub("", drawn.getvalue()).splitlines())) <= 60
        assert not unsafe(out.getvalue())
        assert len(out.getvalue().splitlines()) <= 2 + 3 * len(points)

    fuzz(count, st.lists(point, min_size=1, max_size=6), check)
    tally(f"live views: {count:,} of hostile logs", expected="drawn", got="drawn")


ARGUMENTS = (
    ("run", "{}", "--track", "cpu-smoke"),
    ("run", "mine", "--track", "{}"),
    ("run", "mine", "--track", "cpu-smoke", "--set", "{}"),
    ("run", "mine", "--track", "cpu-smoke", "--{}", "3"),
    ("check", "{}"),
    ("new", "{}"),
    ("show", "{}"),
    ("show", "last", "--source", "{}"),
    ("compare", "{}", "last"),
    ("watch", "{}"),
    ("leaderboard", "--track", "{}"),
    ("leaderboard", "--export", "{}"),
    ("tracks", "{}"),
    ("data", "verify", "{}"),
    ("data", "import", "{}", "nothing.txt"),
    ("data", "import", "mine", "{}"),
    ("{}",),
)


@pytest.mark.redteam
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=" ".join)
def test_no_argument_breaks_the_answer(arguments, workspace, stored, make_record, capsys, tally):
    stored(make_record())
    texts = [*ESCAPES, *BREAKS, *UNSEEN[::4], *MARKUP[::6], *SURROGATES, "x" * 100_000, "../../x", "/", "-"]
    for text in texts:
        if text.startswith("-") and arguments == ("{}",):
            continue
        capsys.readouterr()
        code = main([each.replace("{}", text) for each in arguments])
        said = capsys.readouterr()
        assert code in (0, 1, 2), (text, said)
        assert not unsafe(said.out + said.err), text
        assert len(said.err.splitlines()) <= 2, text
        assert all(len(line) < 3000 for line in said.err.splitlines())
        assert "Traceback" not in said.err
    tally(f"speedrun {' '.join(arguments)}: {len(texts)} hostile arguments", expected="one line", got="one line")


# ---------------------------------------------------------------------------------------------------------- a real run

HOSTILE_ENTRY = """
import sys

import torch

WORDS = "\\x1b[2J\\x1b]0;mine\\x07\\x1b]52;c;ZWNobw==\\x07\\u202eevil\\u200b\\r::error::x\\n"
WORDS += "::set-output name=a::b\\n##[error]x <b>|`@team #1"


def setup(run):
    print(WORDS, flush=True)
    print("said on the other stream", WORDS, file=sys.stderr, flush=True)
    return torch.nn.Linear(2, 2)


def train(run, model):
    for step, loss in enumerate((2.0, 1.7e308, -1.7e308, float("nan"), float("inf"), 1.0)):
        run.log(step=step, tokens=step, loss=loss, **{WORDS: 1.5, "=1+1": 2.0, "": 3.0, "x" * 10_000: 4.0})
    sys.stdout.buffer.write(b"\\xff\\xfe\\x9b2J bytes that are no text\\n" + WORDS.encode() + b"\\n")
    sys.stdout.flush()
    raise RuntimeError(WORDS)


def predict(model, tokens):
    return torch.zeros(*tokens.shape, 256)
"""
CARD = """
title = "=HYPERLINK(1) | <script>alert(1)</script> [x](javascript:alert(1)) ::error::x"
technique = "@team #1 `code` [bold]rich[/bold] {{x}} ##[error]x"

[[authors]]
name = "<img src=x onerror=alert(1)> | Ada"
link = "https://example.org/ada"
"""


@pytest.mark.sandbox
@pytest.mark.redteam
def test_a_real_run_that_says_the_worst(workspace, speedrun, entry, blink, tally, monkeypatch):
    """Prints, metrics, an exception and a card, through the real sandbox, onto every page that shows them."""
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    folder = entry("mine", speedrun=HOSTILE_ENTRY)
    (folder / "submission.toml").write_text(CARD)
    said = [speedrun("run", "mine", "--track", blink)]
    assert said[0].code == 1
    (path,) = (workspace.results / blink).glob("*.json")
    record = decode(path.read_bytes())
    assert record.verdict is Verdict.CRASHED, record.reason
    assert "RuntimeError" in record.reason
    assert "bytes that are no text" in record.log_tail  # so that the attack took place
    assert "evil" in record.reason
    assert any("evil" in name for name in record.declared.metrics)
    for text in (record.reason, record.log_tail, *record.declared.metrics):
        assert not unsafe(text)
    assert all(len(name) <= 64 for name in record.declared.metrics)
    commands_told = (("show", "last"), ("leaderboard", "--all"), ("show", "last", "--source", "speedrun.py"))
    said += [speedrun(*told) for told in commands_told]
    for one in said:
        assert not unsafe(one.out + one.err)
        assert "Traceback (most" not in one.err
    assert commands(said[0].out + said[1].out)  # on a machine that obeys them they would be commands
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    for told in (*commands_told, ("show", "last", "--json"), ("leaderboard", "--all", "--json")):
        one = speedrun(*told)
        assert not commands(one.out + one.err), told
        if "--json" in told:
            json.loads(one.out)
    assert speedrun("leaderboard", "--export", "runs.csv").code == 0
    assert "'=HYPERLINK(1)" in (workspace.root / "runs.csv").read_text()
    tally("a real run that says the worst", level=record.environment.sandbox.level, expected="words", got="words")
