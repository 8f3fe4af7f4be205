"""Building the site again and again: only what changed is made, and nothing is touched that is not ours."""

import dataclasses
import errno
import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from harness.errors import UserError
from harness.result import Tier, Verdict
from leaderboard import atomic
from leaderboard.schema import decode
from leaderboard.site import making, pages
from leaderboard.site.build import build, find_tools
from leaderboard.site.folder import MANIFEST, UNKNOWN, SiteFolder
from leaderboard.site.pages import Made, Page
from leaderboard.site.rendering import Templates
from leaderboard.store import Broken
from tests.leaderboard.site_ground import ASSETS, Ground, broken_links, crowd

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def ground(tmp_path, make_record):
    """A site of ten records, as it stands when it was built for the first time."""
    made = Ground(tmp_path)
    made.add(*crowd(make_record))
    first = made.build()
    assert (first.written, first.unchanged, first.removed, first.broken) == (len(made.files()), 0, 0, ())
    return made


@pytest.fixture
def work(monkeypatch):
    """Counts how often records are decoded and pages rendered."""
    done = {"decode": 0, "render": 0}

    def counted(name, function):
        def count(*arguments, **named):
            done[name] += 1
            return function(*arguments, **named)

        return count

    monkeypatch.setattr(pages, "decode", counted("decode", decode))
    monkeypatch.setattr(Templates, "render", counted("render", Templates.render))
    return done


def changed(ground, before):
    """Which files hold something else than before, or were not there."""
    return {path for path, data in ground.files().items() if before.get(path) != data}


def test_nothing_changed_nothing_done(ground, work):
    times = {path: path.stat().st_mtime_ns for path in ground.site.rglob("*")}
    again = ground.build()
    assert (again.written, again.unchanged, again.removed) == (0, len(ground.files()), 0)
    assert work == {"decode": 0, "render": 0}
    assert {path: path.stat().st_mtime_ns for path in ground.site.rglob("*")} == times


def test_one_more_record_makes_its_pages_anew(ground, make_record, work):
    before = ground.files()
    record = make_record(entry="new", track_id="t4-5min", devices=("Tesla T4",), loss_nats=3.3)
    ground.add(record)
    built = ground.build()
    mine = {f"runs/{record.run_id}.html", "entries/new.html", "tracks/t4-5min.html", "index.html", "compare.html"}
    assert changed(ground, before) == mine
    assert built.written == len(mine)
    assert work == {"decode": 2, "render": 5}  # the run's own page and its entry's


def test_a_record_of_a_rival_changes_an_entrys_page_where_it_stands_there(ground, make_record):
    before = ground.files()
    record = make_record(entry="best", loss_nats=1.1)
    ground.add(record)
    ground.build()
    places = {f"entries/{name}.html" for name in ("baseline", "muon", "wide")}  # 3rd of 3 is 4th of 4
    mine = {f"runs/{record.run_id}.html", "entries/best.html", "tracks/cpu-smoke.html", "index.html", "compare.html"}
    assert changed(ground, before) == mine | places


def test_a_ruling_shows_on_every_page_of_its_run(ground):
    run = next(run for run in ground.contents().runs if run.entry.name == "wide")
    before = ground.files()
    for rulings in (ground.retracted, ground.waived):
        rulings[run.run_id] = "the reason for it"
        ground.build()
        assert "the reason for it" in ground.page(f"runs/{run.run_id}.html").text
    assert "retracted: the reason for it" in ground.page("entries/wide.html").text
    assert "retracted: the reason for it" in ground.page("tracks/cpu-smoke.html").text
    others = {f"runs/{each.run_id}.html" for each in ground.contents().runs} - {f"runs/{run.run_id}.html"}
    assert not changed(ground, before) & others
    ground.retracted.clear()
    ground.waived.clear()
    ground.build()
    assert ground.files() == before


def test_a_record_that_was_changed_behind_its_back_shows(ground):
    """In a field that no board reads, with the size and the time that the file had."""
    run = next(run for run in ground.contents().runs if run.entry.name == "wide")
    path = ground.results / run.track.id / f"{run.run_id}.json"
    facts, data = path.stat(), path.read_bytes()
    path.write_bytes(data.replace(b"Linux-6.18", b"Linux-9.99"))
    assert path.read_bytes() != data
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert path.stat().st_size == facts.st_size
    ground.build()
    assert "Linux-9.99" in ground.page(f"runs/{run.run_id}.html").text


def known(ground, path):
    """What the manifest says that a page was made of."""
    return json.loads((ground.site / MANIFEST).read_text())["files"][path][0]


@pytest.mark.parametrize(("entry", "entries"), [("muon", ["muon"]), ("baseline", ["baseline", "muon"])])
def test_a_record_that_changes_while_its_site_is_built_is_made_again(ground, entry, entries):
    """After the board was read: what shows it shows what was read last, and nobody believes that this is up to date.

    entries: those whose page shows its source, or how theirs differs from it.
    """
    contents = ground.contents()
    run = next(run for run in reversed(contents.runs) if run.entry.name == entry and run.track.id == "cpu-smoke")
    mine = {f"runs/{run.run_id}.html", *(f"entries/{name}.html" for name in entries)}
    path = ground.results / run.track.id / f"{run.run_id}.json"
    data = path.read_bytes()
    shutil.rmtree(ground.site)
    path.write_bytes(data.replace(b"Linux-6.18", b"Linux-9.99"))
    build(ground.site, contents, ground.tools)
    assert "Linux-9.99" in ground.page(f"runs/{run.run_id}.html").text
    assert {path for path in ground.files() if known(ground, path) == UNKNOWN} == mine
    shown = ground.files()
    assert build(ground.site, contents, ground.tools).written == len(mine)  # as long as the two don't agree
    ground.build()
    assert changed(ground, shown) == set()  # what they showed was right
    assert UNKNOWN not in {known(ground, path) for path in ground.files()}
    assert ground.build().written == 0


def test_a_record_that_goes_while_its_site_is_built_is_made_again(ground):
    contents = ground.contents()
    run = next(run for run in contents.runs if run.entry.name == "tiny" and run.ranked is False)
    path = ground.results / run.track.id / f"{run.run_id}.json"
    whole, data = ground.files(), path.read_bytes()
    shutil.rmtree(ground.site)
    path.unlink()
    built = build(ground.site, contents, ground.tools)
    assert {each.path for each in built.broken} == {f"results/{run.track.id}/{path.name}"}
    assert "can't be read whole: cannot be read: No such file" in ground.page(f"runs/{run.run_id}.html").text
    path.write_bytes(data)
    ground.build()
    assert ground.files() == whole


def test_a_signature_that_holds_or_no_longer_holds_shows(ground):
    contents = ground.contents()
    run = contents.runs[0]
    changes = (
        dataclasses.replace(contents, unsigned=frozenset({run.run_id})),
        dataclasses.replace(contents, runs=(msgspec.structs.replace(run, tier=Tier.VERIFIED), *contents.runs[1:])),
    )
    for each in changes:
        built = build(ground.site, each, ground.tools)
        assert built.written >= 1
        text = ground.page(f"runs/{run.run_id}.html").text
        assert "unsigned It says" in text or "of training verified" in text


def test_files_that_can_not_be_read_show_on_the_index_alone(ground):
    before = ground.files()
    built = build(ground.site, ground.contents((Broken("cpu-smoke/x.json", "it is no record"),)), ground.tools)
    assert (built.written, changed(ground, before)) == (1, {"index.html"})
    assert "1 file could not be read" in ground.page("index.html").text


def test_another_template_or_script_shows(ground, tmp_path):
    templates, assets, script = tmp_path / "templates", tmp_path / "assets", tmp_path / "plots.js"
    shutil.copytree(ground.tools.templates, templates)
    shutil.copytree(ground.tools.assets, assets)
    script.write_text("'another one'")
    before = ground.files()
    ground.build(ground.tools._replace(plot_script=script))
    assert changed(ground, before) == {"assets/plotly.min.js"}
    (assets / "site.css").write_text("main { color: red }")
    ground.build(ground.tools._replace(plot_script=script, assets=assets))
    assert changed(ground, before) == {"assets/plotly.min.js", "assets/site.css"}
    (templates / "base.html").write_text((templates / "base.html").read_text().replace("RULES.md", "THE RULES"))
    built = ground.build(ground.tools._replace(templates=templates))
    pages = [path for path in ground.files() if path not in ASSETS]
    assert built.written == len(pages) + 2  # every page, and the two scripts of which these tools have others
    assert "THE RULES" in ground.page("compare.html").text
    ground.build()
    assert ground.files() == before


def test_pages_of_records_that_are_gone_go_and_nothing_else(ground):
    (ground.site / "CNAME").write_text("example.org")
    (ground.site / "runs" / "mine.txt").write_text("keep me")
    (ground.site / "runs" / "20200101-000000-mine-aaaa.html").write_text("nobody of ours wrote this")
    keep = ("CNAME", "runs/mine.txt", "runs/20200101-000000-mine-aaaa.html")
    tiny = [run for run in ground.contents().runs if run.entry.name == "tiny"]
    for run in tiny:
        (ground.results / run.track.id / f"{run.run_id}.json").unlink()
    built = ground.build()
    assert built.removed == len(tiny) + 1
    files = ground.files()
    assert not [path for path in files if "tiny" in path]
    assert set(keep) <= set(files)
    assert broken_links(ground.pages(), set(files)) == []


def test_a_manifest_can_name_nothing_outside_the_site(ground, tmp_path):
    outside = tmp_path / "outside.html"
    outside.write_text("keep me")
    manifest = json.loads((ground.site / MANIFEST).read_text())
    for path in ("../outside.html", str(outside), "runs/../../outside.html", "CNAME", "tracks/../CNAME"):
        manifest["files"][path] = ["", 7]
    (ground.site / "CNAME").write_text("example.org")
    (ground.site / MANIFEST).write_text(json.dumps(manifest))
    ground.build()
    assert outside.read_text() == "keep me"
    assert (ground.site / "CNAME").exists()


@pytest.mark.parametrize(
    "manifest", ["", "{", "[]", "{}", '{"format": 9, "files": {}}', '{"format": 1, "files": {"a": 1}}', "link"]
)
def test_a_manifest_that_is_none_of_ours_makes_everything_anew(ground, tmp_path, manifest):
    before = ground.files()
    (ground.site / MANIFEST).unlink()
    if manifest == "link":
        (tmp_path / "elsewhere").write_text("{}")
        (ground.site / MANIFEST).symlink_to(tmp_path / "elsewhere")
    else:
        (ground.site / MANIFEST).write_text(manifest)
    built = ground.build()
    assert (built.written, built.unchanged, built.removed) == (len(before), 0, 0)
    assert ground.files() == before
    assert ground.build().written == 0
    if manifest == "link":
        assert (tmp_path / "elsewhere").read_text() == "{}"


def test_a_page_that_was_spoilt_is_mended(ground):
    before = ground.files()
    (ground.site / "index.html").write_text("")
    (ground.site / "compare.html").unlink()
    assert ground.build().written == 2
    assert ground.files() == before


def test_a_page_that_somebody_edited_is_made_again(ground):
    """By a word as long, so that its size tells nothing."""
    page = ground.site / "index.html"
    as_made = page.read_bytes()
    page.write_bytes(as_made.replace(b"speedrun", b"sprintly", 1))
    assert page.stat().st_size == len(as_made)
    assert ground.build().written == 1
    assert page.read_bytes() == as_made


@pytest.mark.parametrize("there", ["index.html", "a/b", ".hidden"])
def test_a_folder_of_somebody_else_is_refused(ground, there):
    other = ground.site.parent / "other"
    (other / there).parent.mkdir(parents=True)
    (other / there).write_text("theirs")
    with pytest.raises(UserError, match=r"holds files that are no site of ours; name a new folder or an empty one$"):
        build(other, ground.contents(), ground.tools)
    assert [path.name for path in other.rglob("*") if path.is_file()] == [Path(there).name]


def test_an_empty_folder_and_a_new_one_are_taken(ground):
    for name in ("empty", "some/new/one"):
        folder = ground.site.parent / name
        if name == "empty":
            folder.mkdir()
        assert build(folder, ground.contents(), ground.tools).written == len(ground.files())


def test_no_link_is_followed(ground, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "theirs.html").write_text("theirs")
    (ground.site / "index.html").unlink()
    (ground.site / "index.html").symlink_to(tmp_path / "theirs.html")
    ground.build()  # a link in the place of a page gives way to the page
    assert (tmp_path / "theirs.html").read_text() == "theirs"
    assert not (ground.site / "index.html").is_symlink()
    shutil.rmtree(ground.site / "runs")
    (ground.site / "runs").symlink_to(elsewhere)
    with pytest.raises(UserError, match="runs is no folder but a link; take it away"):
        ground.build()
    assert list(elsewhere.iterdir()) == []


def test_a_file_in_the_place_of_the_folder_is_one_line(ground, tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "site"):
        with pytest.raises(UserError, match=r" is no folder; name a new one or an empty one$"):
            build(folder, ground.contents(), ground.tools)


def test_one_build_at_a_time(ground):
    descriptor = os.open(ground.site, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is building a site"):
            ground.build()
    finally:
        os.close(descriptor)
    assert ground.build().written == 0


def test_a_missing_plot_script_is_one_line(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"install it with: pip install plotly$"):
        find_tools()


def test_a_build_that_is_cut_off_is_mended_by_the_next(ground, make_record):
    """After every number of written pages; the manifest then says less than was done, never more."""
    whole = ground.files()
    added = [make_record(entry="late", loss_nats=1.2), make_record(entry="late", verdict=Verdict.CRASHED)]
    ground.add(*added)
    reference = Ground(ground.site.parent / "reference")
    reference.results = ground.results
    reference.build()
    expected = reference.files()
    assert expected != whole
    for pages_before in range(12):
        _cut_off(ground, pages_before)
        # Half of the change, then none of it: no page may stay as the build that was cut off left it.
        for record in added:
            (ground.results / record.track.id / f"{record.run_id}.json").rename(ground.results / record.run_id)
        ground.build()
        assert ground.files() == whole, pages_before
        for record in added:
            (ground.results / record.run_id).rename(ground.results / record.track.id / f"{record.run_id}.json")
    _cut_off(ground, 3)
    ground.build()
    assert ground.files() == expected


def _cut_off(ground, pages_before):
    """A build in a process of its own that ends without a word after so many files."""
    child = os.fork()
    if child == 0:
        count = iter(range(pages_before + 1))  # the manifest's first version, then pages
        replace, write = atomic.replace, SiteFolder.write

        def end(path, data):
            if next(count, None) is None:
                path.with_name(f".{path.name}.0123abcd.tmp").write_bytes(data[:10])
                os._exit(9)

        atomic.replace = lambda path, data, **options: (end(path, data), replace(path, data, **options))
        SiteFolder.write = lambda site, path, data, digest: (
            end(ground.site / path, data),
            write(site, path, data, digest),
        )[1]
        try:
            ground.build()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def test_what_a_build_that_was_cut_off_began_is_taken_away(ground):
    (ground.site / "runs" / ".mine.0123abcd.tmp").write_text("theirs")
    for name in (".index.html.0123abcd.tmp", f".{MANIFEST}.0123abcd.tmp", "tracks/.cpu-smoke.html.0123abcd.tmp"):
        (ground.site / name).write_text("half")
    ground.build()
    assert [path.name for path in ground.site.rglob("*.tmp")] == [".mine.0123abcd.tmp"]


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_many_processes_build_what_one_builds(ground, monkeypatch, processes):
    monkeypatch.setattr(making, "WORK_A_PROCESS", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: processes)
    other = ground.site.parent / "other"
    built = build(other, ground.contents(), ground.tools)
    assert built.written == len(ground.files())
    before, ground.site = ground.files(), other
    assert ground.files() == before
    assert ground.build().written == 0


def test_dear_pages_are_dealt_out_evenly():
    cheap, dear = [1] * 40, [30, 30, 20, 9]
    pages = [Page(f"{number}", "", Made, work) for number, work in enumerate([*cheap, *dear])]
    for processes in (1, 2, 3, 7):
        dealt = making.shares(pages, processes)
        assert sorted(page.path for share in dealt for page in share) == sorted(page.path for page in pages)
        work = [sum(page.work for page in share) for share in dealt]
        assert len(work) == processes
        assert max(work) - min(work) <= max(dear)


def test_a_page_is_whole_however_little_the_disk_takes_at_once(ground, monkeypatch):
    before = ground.files()
    shutil.rmtree(ground.site)
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1000]))
    ground.build()
    assert ground.files() == before


def test_a_disk_that_is_full_is_one_line_and_leaves_nothing_behind(ground, monkeypatch):
    def refuse(descriptor, data):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    page = ground.site / "compare.html"
    page.write_text("spoilt")
    before = ground.files()
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", refuse)
        with pytest.raises(UserError, match=rf"^cannot write {page}: No space left on device; free some space"):
            ground.build()
    assert ground.files() == before  # no half of a page, whole or hidden
    assert ground.build().written == 1


def test_another_version_of_what_renders_makes_every_page_anew(ground, tmp_path, monkeypatch):
    (tmp_path / "jinja2").mkdir()
    (tmp_path / "jinja2" / "runtime.py").write_text("VERSION = 1")
    monkeypatch.setattr("leaderboard.site.build._places", lambda package: [tmp_path / package])
    pages = len(ground.files()) - len(ASSETS)
    assert ground.build().written == pages
    assert ground.build().written == 0
    (tmp_path / "jinja2" / "runtime.py").write_text("VERSION = 2")
    assert ground.build().written == pages


def test_where_no_process_is_to_be_had_one_does_it_all(ground, monkeypatch):
    def fork():
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before = ground.files()
    shutil.rmtree(ground.site)
    monkeypatch.setattr(making, "WORK_A_PROCESS", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    monkeypatch.setattr(os, "fork", fork)
    assert ground.build().written == len(before)
    assert ground.files() == before


def test_a_process_that_can_not_write_says_so_in_one_line(ground, monkeypatch):
    monkeypatch.setattr(making, "WORK_A_PROCESS", 2)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    shutil.rmtree(ground.site)
    ours = os.getpid()
    write = making.Done  # something that both processes call

    def refuse(path, known, broken):
        if os.getpid() != ours:
            raise UserError("cannot write it: no space left")
        return write(path, known, broken)

    monkeypatch.setattr(making, "Done", refuse)
    with pytest.raises(UserError, match=r"^cannot write it: no space left$"):
        ground.build()
    monkeypatch.setattr(making, "Done", lambda *known: write(*known) if os.getpid() == ours else os._exit(3))
    with pytest.raises(UserError, match="ended before it was done"):
        ground.build()
    monkeypatch.undo()
    ground.build()
    assert broken_links(ground.pages(), set(ground.files())) == []


def test_what_has_nothing_to_do_reads_nothing_that_makes_pages(ground):
    code = """
import sys
from pathlib import Path
from tests.leaderboard.site_ground import Ground
ground = Ground(Path(sys.argv[1]))
makers = {"jinja2", "markupsafe", "plotly", "numpy", "multiprocessing", "leaderboard.site.run_view"}
for entry in sys.argv[2:]:
    for path in ground.results.glob(f"*/*-{entry}-*.json"):
        path.unlink()
    built = ground.build()
    print(built.written > 0, sorted(makers & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, ground.site.parent, "nobody", "tiny"], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["False []", "True ['jinja2', 'markupsafe']"]


@pytest.mark.redteam
def test_work_grows_in_step_with_the_records(tmp_path, make_record, work, monkeypatch, tally):
    """1,000 records: a decode for each and two for each entry at most, and none the next time."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1)  # counted in this process
    ground = Ground(tmp_path)
    entries = [f"entry-{number}" for number in range(20)]
    chance = random.Random(1)
    curve = make_record().curve * 50
    for number in range(1000):
        entry = entries[number % len(entries)]
        ground.add(make_record(entry=entry, source=f"{number // 100}", loss_nats=1.5 + chance.random(), curve=curve))
    ground.build()
    assert 1000 <= work["decode"] <= 1000 + 2 * len(entries)
    assert work["render"] == 1000 + len(entries) + len(ground.rules) + 2
    work.update(decode=0, render=0)
    ground.build()
    assert work == {"decode": 0, "render": 0}
    ground.add(make_record(entry="entry-3", source="new", loss_nats=9.0))
    built = ground.build()
    assert work["decode"] == 2
    assert built.written == work["render"] <= 4 + len(entries)
    tally(
        "the site: 1,000 records, then one more",
        expected="4 pages and those of its rivals",
        got="4 pages and those of its rivals",
    )
