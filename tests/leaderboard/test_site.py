"""The pages of the site: what they say, and that whatever a stranger wrote is words there and nothing else."""

import dataclasses
import difflib
import itertools
import json
import random
import re

import msgspec
import pytest

from harness.result import (
    Author,
    Calibration,
    CurvePoint,
    HardwareReport,
    Sample,
    Samples,
    Series,
    Source,
    SourceFile,
    Tier,
    Verdict,
    encode,
)
from leaderboard.published import Published, Result
from leaderboard.ranking import rank
from leaderboard.site.source_view import MOST_FILES, differences
from leaderboard.site.words import block
from leaderboard.table import columns
from leaderboard.text import plain
from tests.fuzzing import PIECES, unsafe, written_over
from tests.leaderboard.site_ground import ASSETS, Ground, broken_links, crowd

ELSEWHERE = Published(
    track="h100-5min",
    source="some other race",
    read_on="2026-11-20",
    results=(Result(number=1, kind="record", date="2025-01-01", train_s=9.5, authors=("@them",), technique="plain"),),
)
# fmt: off
TAGS = {
    "html", "head", "meta", "title", "link", "script", "body", "a", "header", "div", "nav", "button", "main",
    "footer", "p", "h1", "h2", "h3", "ul", "ol", "li", "dl", "dt", "dd", "table", "caption", "thead", "tbody",
    "tr", "th", "td", "form", "label", "select", "option", "input", "output", "details", "summary", "pre",
    "code", "ins", "del", "span", "strong", "time", "section", "figure", "figcaption", "svg", "path",
    "circle", "blockquote", "noscript", "datalist",
}
# fmt: on


@pytest.fixture
def ground(tmp_path):
    return Ground(tmp_path)


@pytest.fixture
def full(ground, make_record):
    """A site with everything on it."""
    ground.add(*crowd(make_record))
    ground.published = (ELSEWHERE,)
    ground.build()
    return ground


def structure(pages, files):
    """What holds for every page."""
    assert broken_links(pages, files) == []
    for path, page in pages.items():
        ids = page.ids()
        assert len(ids) == len(set(ids)), path
        assert {each.tag for each in page.elements} <= TAGS, path
        assert [each["lang"] for each in page.all("html")] == ["en"]
        assert [len(page.all(tag)) for tag in ("h1", "main", "header", "footer", "title")] == [1] * 5, path
        assert page.all("main")[0]["id"] == page.all("a")[0]["href"][1:]  # the skip link is the first one
        assert "default-src 'none'" in next(each["content"] for each in page.all("meta") if "http-equiv" in each)
        levels = [int(each.tag[1]) for each in page.elements if re.fullmatch("h[1-6]", each.tag)]
        assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels)), (path, levels)
        for each in page.elements:
            assert not [name for name in each.attributes if name.startswith("on")], each
            assert not each.attributes.get("href", "").lower().startswith(("javascript:", "vbscript:"))
            named = [each.attributes.get(name, "") for name in ("aria-labelledby", "data-tables", "list")]
            assert set(" ".join(named).split()) <= set(ids), (path, each)
        scripts = page.all("script")
        assert all(
            each.get("type") == "application/json" or "src" in each for each in scripts
        )  # none in the page itself
        for text in page.scripts:
            json.loads(text)


def test_every_page_is_whole_and_every_link_leads_somewhere(full):
    pages, files = full.pages(), set(full.files())
    structure(pages, files)
    assert files == ASSETS | set(pages)
    runs = {f"runs/{run.run_id}.html" for run in full.contents().runs}
    entries = {f"entries/{name}.html" for name in ("baseline", "muon", "wide", "tiny")}
    tracks = {f"tracks/{name}.html" for name in full.rules}
    assert set(pages) == {"index.html", "compare.html"} | runs | entries | tracks
    reached, new = set(), {"index.html"}
    while new:
        reached |= new
        found = {link.split("?")[0].split("#")[0] for path in new for link in pages[path].links()}
        new = {path for path in pages if any(link.removeprefix("../") == path for link in found)} - reached
    assert reached == set(pages)


def test_the_index_says_who_holds_what(ground, make_record):
    for entry, loss_nats in (("first", 1.5), ("second", 1.4)):
        for again in range(3):
            ground.add(make_record(entry=entry, source=entry, loss_nats=loss_nats + again / 1000))
    ground.published = (ELSEWHERE,)
    text = _index(ground, Tier.VERIFIED)
    assert "cpu-smoke A title record 1.4010 nats/token second, 2026-11-21 Test CPU, 2 threads" in text.text
    assert "2 entries, 6 runs" in text.text
    assert "1 result measured elsewhere, not by this harness: some other race; the quickest took 9.50 s" in text.text
    assert "t4-5min A title No runs yet." in text.text
    assert "Made from 6 records by speedrun leaderboard --html." in text.text
    assert "2 records, from 1.5010 to 1.4010 nats" in text.text  # the sparkline's title
    assert [each["class"] for each in text.all("svg")] == ["sparkline"]
    claimed = _index(ground, Tier.SELF_REPORTED)
    assert "No record yet: none of its runs is a verified best. claim 1.4010 nats/token second" in claimed.text
    assert claimed.all("svg") == []


def test_every_kind_of_hardware_without_a_record_has_its_best_claim_on_the_index(ground, make_record):
    machines = [("Slow CPU", 1.6), ("Test CPU", 1.5), ("Fast CPU", 1.4), ("Best CPU", 1.3), ("Last CPU", 1.7)]
    ground.add(*(make_record(entry=f"on-{cpu.split()[0].lower()}", cpu=cpu, loss_nats=loss) for cpu, loss in machines))
    text = _index(ground, Tier.SELF_REPORTED).text
    assert "record yet: none of its runs is a verified best. claim 1.3000 nats/token on-best" in text
    assert [text.count(f"claim {loss:.4f}") for _, loss in machines] == [0, 1, 1, 1, 0]
    assert text.index("claim 1.3000") < text.index("claim 1.4000") < text.index("claim 1.5000")
    assert "2 more claims on other hardware" in text
    runs = ground.contents().runs
    mixed = _index(ground, {run.run_id: Tier.VERIFIED for run in runs if run.environment.cpu == "Fast CPU"}).text
    assert "record 1.4000" in mixed
    assert "claim 1.3000" in mixed
    assert "No record yet" not in mixed.partition("t4-5min")[0]


def test_a_run_that_re_times_never_counts_whatever_it_says(ground, make_record):
    ground.add(make_record(loss_nats=1.5))
    retimed = make_record(loss_nats=1.4, series=Series(id="20261121-000000-retime-baseline-0001", purpose="retime"))
    ground.add(retimed)
    ground.build()
    assert "It stands below the line: it re-times a record." in ground.page(f"runs/{retimed.run_id}.html").text
    assert "below the line: it re-times a record" in ground.page("entries/baseline.html").text


def _index(ground, tiers):
    """The first page, were runs of these tiers, or all of one; without signatures none is verified."""
    from leaderboard.replay import histories
    from leaderboard.site.index_view import index_page
    from leaderboard.site.rendering import Templates
    from tests.leaderboard.site_ground import Page

    contents = ground.contents()
    known = {run.run_id: tiers for run in contents.runs} if isinstance(tiers, Tier) else tiers
    runs = tuple(msgspec.structs.replace(run, tier=known.get(run.run_id, run.tier)) for run in contents.runs)
    board, told = rank(runs, ground.rules), histories(runs, (), ground.rules)
    contents = dataclasses.replace(contents, runs=runs, board=board, histories=told)
    return Page(Templates(ground.tools.templates).render("index.html", index_page(contents)).decode())


def test_files_that_could_not_be_read_are_counted_on_the_index(ground):
    ground.build()
    assert "could not be read" not in ground.page("index.html").text
    ground.put("cpu-smoke", "20261121-141530-mine-3f9a", b"{")
    ground.put("cpu-smoke", "20261121-141531-mine-3f9a", b"")
    ground.build()
    assert "2 files could not be read; speedrun leaderboard names them" in ground.page("index.html").text
    assert not [path for path in ground.files() if path.startswith("runs/")]


def test_an_empty_checkout_has_a_site_too(ground):
    ground.rules = {}
    ground.build()
    structure(ground.pages(), set(ground.files()))
    assert set(ground.pages()) == {"index.html", "compare.html"}


def test_the_board_and_the_page_of_a_track_say_the_same(full):
    (section,) = [each for each in full.contents().board.sections if each.track.id == "cpu-smoke"]
    page = full.page("tracks/cpu-smoke.html")
    shown = columns(section)
    rows = [[column.show(row) for column in shown] for row in section.rows]
    for row in rows:
        assert " ".join(" ".join(row).split()) in page.text
    headings = [each for each in page.all("th") if each.get("scope") == "col"]
    assert [each["data-sort"] for each in headings[: len(shown)]] == [
        {"rank": "number", "loss": "number", "train": "number", "floor_gap": "number", "runs": "number"}.get(
            column.key, "number" if column.key in ("failed", "declared_tokens") else "text"
        )
        for column in shown
    ]
    losses = [each["data-value"] for each in page.all("td") if "data-value" in each]
    assert repr(section.rows[0].loss_nats) in losses
    tiers = [each["data-tier"] for each in page.all("tr") if "data-tier" in each]
    assert set(tiers) == {"self-reported"}
    assert {each["data-kind"] for each in page.all("figure")} == {"progression", "spread"} & {
        each["data-kind"] for each in page.all("figure")
    }
    assert "9 runs" not in page.text
    assert "8 runs, practice and failed ones too." in page.text


def test_published_results_of_a_track_are_marked_as_measured_elsewhere(full):
    page = full.page("tracks/h100-5min.html")
    assert "1 result measured elsewhere, not by this harness: some other race, as read on 2026-11-20." in page.text
    assert "@them" in page.text
    assert "measured elsewhere" not in full.page("tracks/cpu-smoke.html").text


def test_a_record_of_an_unknown_track_has_its_pages(ground, make_record):
    ground.add(make_record(track_id="gone", entry="mine"))
    ground.build()
    structure(ground.pages(), set(ground.files()))
    assert "This track is not known here" in ground.page("tracks/gone.html").text
    assert "the track is not known here" in ground.page("tracks/gone.html").text
    assert "tracks/gone.html" in ground.page("index.html").links()


def test_an_entry_shows_its_source_and_what_it_changes(full):
    page = full.page("entries/muon.html")
    assert "Beside baseline, speedrun.py differs: +1 −1 lines." in page.text
    text = (full.site / "entries/muon.html").read_text()
    assert "<del>-WIDTH = 0</del>\n<ins>+WIDTH = 1</ins>\n" in text
    source = "WIDTH = 1\n\ndef train():\n    pass\n"
    assert f'<pre class="source" data-language="python" tabindex="0"><code>{source}</code></pre>' in text
    assert "../entries/baseline.html" in page.links()
    assert "2nd of 3 on cpu-smoke" in page.text
    assert full.page("entries/baseline.html").all("ins") == []
    assert "What it changes" not in full.page("entries/baseline.html").text


@pytest.mark.parametrize(
    ("base", "words"),
    [
        ("nobody", "based on nobody, of which there is no run here."),
        ("mine", "It says that it is based on itself."),
        ("same", "Nothing differs: it is the source of same."),
        ("../../x", "based on ../../x, of which there is no run here."),
    ],
)
def test_a_base_that_tells_nothing_is_said_in_words(ground, make_record, base, words):
    mine = make_record(entry="mine")
    ground.add(
        make_record(entry="same"),
        msgspec.structs.replace(mine, entry=msgspec.structs.replace(mine.entry, based_on=base)),
    )
    ground.build()
    assert words in ground.page("entries/mine.html").text
    structure(ground.pages(), set(ground.files()))


def source_of(make_record, **texts):
    """A source with these files: `a_md="…"` is a.md."""
    files = tuple(
        SourceFile(path=name.replace("_", "."), text=text, sha256="0" * 64) for name, text in sorted(texts.items())
    )
    return Source(files=files, sha256="0" * 64)


def test_a_difference_is_shown_as_a_unified_diff(make_record):
    before = [f"line {number}" for number in range(40)]
    after = [*before[:5], "new", *before[5:20], "changed", *before[21:-1]]
    (found,) = differences(
        source_of(make_record, a_py="\n".join(before) + "\n"), source_of(make_record, a_py="\n".join(after) + "\n")
    )
    assert [line.text for line in found.lines] == list(difflib.unified_diff(before, after, lineterm=""))[2:]
    assert (found.told, found.added, found.removed) == ("+2 −2 lines", 2, 2)
    (one,) = differences(source_of(make_record, a_py="a\n"), source_of(make_record, a_py="b\n"))
    assert [line.text for line in one.lines] == list(difflib.unified_diff(["a"], ["b"], lineterm=""))[2:]
    (hidden,) = differences(source_of(make_record, a_py="a\n"), source_of(make_record, a_py="a\u200b\n"))
    assert hidden.told == "differs in characters that can't be seen"


def test_sources_that_would_take_minutes_to_compare_are_only_said_to_differ(make_record):
    """Lines that look alike, in an order that leads difflib from one short match to the next."""
    chance = random.Random(1)
    one, other = ("".join(f"{chance.randrange(130)}\n" for _ in range(3_000)) for _ in range(2))
    names = [f"f{number}_md" for number in range(16)]
    found = differences(
        source_of(make_record, **dict.fromkeys(names, one), z_py="a\n"),
        source_of(make_record, **dict.fromkeys(names, other), z_py="b\n"),
    )
    assert len(found) == 17
    assert all("too long or too repetitive" in each.told for each in found[2:])  # what is left after them, too
    (small,) = differences(source_of(make_record, z_py="a\n"), source_of(make_record, z_py="b\n"), most_steps=10)
    assert small.lines
    many = {f"g{number}_md": "x" for number in range(300)}
    assert len(differences(source_of(make_record), source_of(make_record, **many))) == MOST_FILES


def test_the_longest_honest_sources_are_compared(make_record):
    """A quarter of a megabyte, which is all that an entry may have, with blank lines and closing brackets."""
    lines = [line for number in range(3_000) for line in (f"    value_{number} = {number} * scale", "", "    )")]
    changed = [*lines[:4_000], "    value_x = 1", *lines[4_003:]]
    (found,) = differences(
        source_of(make_record, a_py="\n".join(lines)), source_of(make_record, a_py="\n".join(changed))
    )
    assert (found.added, found.removed) == (1, 3)


def test_a_run_says_what_the_board_says_of_it(tmp_path, make_record):
    ground = Ground(tmp_path)
    unknown = make_record(entry="lost", track_id="no-such-track")
    first, better = (make_record(entry="mine", source=text, loss_nats=loss) for text, loss in (("a", 1.5), ("b", 1.2)))
    ground.add(unknown, first, better)
    ground.build()
    told = {run.run_id: ground.page(f"runs/{run.run_id}.html").text for run in (unknown, first, better)}
    assert "It stands below the line: the track is not known here." in told[unknown.run_id]
    assert "It stands below the line: another variant stands higher" in told[first.run_id]
    assert "It counts on the board." in told[better.run_id]
    assert "below the line: the track is not known here" in ground.page("tracks/no-such-track.html").text


def test_a_record_without_a_source_is_no_broken_one(tmp_path, make_record):
    ground = Ground(tmp_path)
    record = make_record(entry="bare")
    ground.add(msgspec.structs.replace(record, source=msgspec.structs.replace(record.source, files=())))
    assert ground.build().broken == ()
    page = ground.page("entries/bare.html").text
    assert "holds no source" in page
    assert "can't be read" not in page


def test_a_run_says_everything_that_its_record_holds(ground, make_record):
    record = make_record(
        entry="mine",
        devices=("NVIDIA H100",),
        samples=Samples(seed=3, temperature=0.7, items=(Sample(prompt="Once upon", text=" a <time>\nthere"),)),
        hardware=HardwareReport(
            before=(Calibration(device="cuda:0", matmul_tflops=12.5, copy_gbps=900.0),),
            slowed=True,
            samples=40,
            throttled={"heat": 0.25},
            hottest_c=71.0,
            slowest_clock_mhz=1200,
            peak_device_memory_gib=10.5,
        ),
        curve=tuple(CurvePoint(elapsed_s=at, step=10 * at, tokens=100 * at, loss_nats=5.0 / at) for at in range(1, 9)),
        overrides={"d_model": "512"},
    )
    ground.add(record)
    ground.waived[record.run_id] = "only a faster kernel"
    ground.build()
    page = ground.page(f"runs/{record.run_id}.html")
    for words in (
        "ok 1.5000 nats a token after 7.50 s of training self-reported",
        "It counts on the board.",
        "waived The test that the mean loss is below the target: only a faster kernel",
        "above the floor 0.5000 nats/token (no model passes 1.0000)",
        "training 7.50 s 57.7%",
        "Honest: without the future it says the same.",
        "asked about 512 of the scored tokens",
        "99.9 % interval -1.00e-09 to +1.00e-09, p = 0.5",
        "What the model says",
        "Once upon a <time> there",
        "Temperature 0.7, seed 3.",
        "The entry's own words; nobody checked them. steps 100",
        "lr 0.001",
        "set d_model = 512",
        "speed of cuda:0 12.5 TFLOP/s, copy 900 GB/s before, not measured after",
        "The machine was more than a tenth slower",
        "throttled heat in 25.0% of the samples",
        "Sandbox: namespaces",
        "no network",
        "Not covered side channels",
        f"sha256 {record.source.sha256}",
        "speedrun.py 2 lines",
    ):
        assert words in page.text, words
    assert f"../compare.html?a={record.run_id}" in page.links()
    (data,) = [json.loads(text) for text in page.scripts if '"run_id"' in text]
    assert data["run_id"] == record.run_id
    assert (data["loss_nats"], data["train_s"], data["verdict"]) == (1.5, 7.5, "ok")
    assert data["curve"]["step"] == [point.step for point in record.curve]
    widths = [float(re.search(r"[0-9.]+", each["style"])[0]) for each in page.all("span") if "style" in each]
    assert sum(widths) == pytest.approx(100, abs=0.1)


@pytest.mark.parametrize("verdict", [each for each in Verdict if each is not Verdict.OK])
def test_a_run_that_failed_says_why(ground, make_record, verdict):
    record = make_record(entry="mine", verdict=verdict, reason="one\n\ntwo & three", log_tail="\n  step 1\n")
    ground.add(record)
    ground.retracted[record.run_id] = "its clock was wrong"
    ground.build()
    page = ground.page(f"runs/{record.run_id}.html")
    assert (
        f"{verdict} self-reported one two & three retracted It is out of all rankings: its clock was wrong" in page.text
    )
    assert "It does not count on the board: it is retracted; the verdict is" in page.text
    assert [each["class"] for each in page.all("p") if "verdict" in each.get("class", "")] == ["verdict bad"]
    assert "What the twin said" not in page.text
    assert '<pre class="log" tabindex="0">  step 1</pre>' in (ground.site / f"runs/{record.run_id}.html").read_text()


def test_a_run_that_says_verified_without_a_signature_is_marked(ground, make_record):
    record = make_record(tier=Tier.VERIFIED)
    ground.add(record)
    ground.build()
    text = ground.page(f"runs/{record.run_id}.html").text
    assert "unsigned It says verified, and no maintainer's signature holds" in text


def test_a_record_that_is_fine_at_first_sight_only_is_named_and_has_a_page_that_says_so(ground, make_record):
    record = make_record(entry="mine")
    ground.put("cpu-smoke", record.run_id, encode(record).replace(b'"git_commit": null', b'"git_commit": null, "x": 1'))
    assert [run.run_id for run in ground.contents().runs] == [record.run_id]
    for _ in range(2):  # it is named every time
        built = ground.build()
        ((path, reason),) = built.broken
        assert path == f"results/cpu-smoke/{record.run_id}.json"
        assert "unknown field `x`" in reason
    structure(ground.pages(), set(ground.files()))
    assert "can't be read whole: Object contains unknown field `x`" in ground.page(f"runs/{record.run_id}.html").text
    assert "can't be read: Object contains unknown field `x`" in ground.page("entries/mine.html").text


def hostile(make_record, words, entry="mine"):
    """The bytes of a record with these words at every place that takes any."""
    record = make_record(
        entry=entry,
        authors=(Author(name="A", link="b"), Author(name="C", link="d")),
        devices=("x",),
        samples=Samples(seed=3, temperature=0.7, items=(Sample(prompt="p", text="t"),)),
        hardware=HardwareReport(
            before=(Calibration(device="d", matmul_tflops=1.0, copy_gbps=1.0),), samples=3, throttled={"a": 0.1}
        ),
        overrides={"a": "b"},
        curve=tuple(CurvePoint(elapsed_s=at, loss_nats=5.0 / at) for at in range(1, 9)),
        log_tail="x",
    )
    tree = written_over(json.loads(encode(record)), itertools.cycle(words))
    tree["entry"]["name"], tree["track"]["id"] = entry, "cpu-smoke"
    tree["entry"]["based_on"] = "base"
    return record.run_id, json.dumps(tree).encode()


TEXTS = [piece for piece in PIECES if not re.search("[\ud800-\udfff]", piece)]


@pytest.mark.parametrize("start", range(0, len(TEXTS), 12))
def test_whatever_a_stranger_writes_is_words(ground, make_record, start):
    words = TEXTS[start : start + 12]
    for entry in ("mine", "base"):
        run_id, data = hostile(make_record, words if entry == "mine" else words[::-1], entry)
        ground.put("cpu-smoke", run_id, data)
    ground.retracted[run_id] = "".join(words)[:300]
    ground.title = plain("".join(words), 200)
    assert len(ground.contents().runs) == 2
    built = ground.build()
    assert built.broken == ()
    pages = ground.pages()
    structure(pages, set(ground.files()))
    for path, page in pages.items():
        assert not unsafe((ground.site / path).read_text()), path
        assert all(
            re.fullmatch(r"(?!javascript:)(https?://[a-z0-9.-]+(/\S*)?|[\w./?=#-]*|data:.*)", link)
            for link in page.links()
        )


@pytest.mark.parametrize(
    "text", ["<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", "&lt;b&gt;", '" x="']
)
def test_markup_is_shown_as_the_very_characters(ground, make_record, text):
    run_id, data = hostile(make_record, [text])
    ground.put("cpu-smoke", run_id, data)
    ground.build()
    shown = plain(text, 200)
    for path, least in ((f"runs/{run_id}.html", 15), ("entries/mine.html", 3), ("tracks/cpu-smoke.html", 1)):
        assert ground.page(path).text.count(shown) >= least, path
    structure(ground.pages(), set(ground.files()))


@pytest.mark.parametrize(
    ("link", "kept"),
    [
        ("https://example.org/ada", True),
        ("javascript:alert(1)", False),
        ("//e.example", False),
        ("https://e.example/ x", False),
    ],
)
def test_only_plain_web_links_are_links(ground, make_record, link, kept):
    record = make_record(entry="mine", authors=(Author(name="Ada", link=link),))
    ground.add(record)
    ground.build()
    for path in ("index.html", "entries/mine.html", f"runs/{record.run_id}.html", "tracks/cpu-smoke.html"):
        assert (link in ground.page(path).links()) == kept, path


def test_a_lone_surrogate_breaks_no_page(ground, make_record):
    run_id, data = hostile(make_record, ["a\ud800b"])
    ground.put("cpu-smoke", run_id, data)
    ground.build()
    structure(ground.pages(), set(ground.files()))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\n\n\tb  c\n", "a\n\n\tb  c\n"),
        ("  é\u00a0é", "  é é"),
        ("a\u202eb\u200bc\rd\x00", "abc d"),
        ("a\u2028b", "a b"),
        ("x" * 12, "x" * 9 + "…"),
    ],
)
def test_a_block_keeps_its_lines_and_loses_what_is_not_seen(text, shown):
    assert block(text, 10) == shown


def test_a_site_holds_no_day_and_no_order(ground, make_record, tmp_path):
    """Made of the same records it is the same, wherever it is made."""
    records = list(crowd(make_record))
    ground.add(*records)
    ground.build()
    other = Ground(tmp_path / "other")
    other.add(*records[::-1])
    other.build()
    assert ground.files() == other.files()
