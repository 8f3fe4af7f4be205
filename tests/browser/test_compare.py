"""Two runs side by side, in a real browser."""

import pytest

expect = pytest.importorskip("playwright.sync_api").expect


def told(page):
    return page.locator("#comparison .missing").all_text_contents()


def test_two_runs_stand_side_by_side(open_page, site):
    page = open_page(f"compare.html?a={site.best}&b={site.other}")
    table = page.locator("#compared")
    expect(table).to_be_visible()
    rows = {
        row.locator("th").text_content(): row.locator("td").all_text_contents()
        for row in table.locator("tbody tr").all()
    }
    assert rows["Entry"] == ["cooldown", "muon", "differs"]
    assert rows["Track"] == ["cpu-1min", "cpu-1min", "the same"]
    assert rows["Loss (nats/token)"] == ["0.4771", "0.5316", "+0.0545 (+11.42 %)"]
    assert rows["Training time (s)"] == ["58.40", "58.40", "none"]
    assert rows["Tokens (declared)"][:2] == ["24,576,000", "24,576,000"]
    canvas = page.locator("#comparison .canvas")
    expect(canvas.locator(".main-svg").first).to_be_visible()
    assert canvas.locator(".legendtext").all_text_contents() == ["first: cooldown", "second: muon"]
    strokes = canvas.locator(".scatterlayer .js-line").evaluate_all("lines => lines.map((line) => line.style.stroke)")
    assert len(set(strokes)) == 2
    page.get_by_role("button", name="steps").click()
    expect(canvas.locator(".xtitle")).to_have_text("Steps")
    assert told(page) == []
    table.get_by_role("link", name=site.other).click()
    expect(page.locator("h1")).to_contain_text("muon")


def test_the_fields_take_an_id_or_an_address(open_page, site, home):
    page = open_page(f"runs/{site.best}.html")
    page.get_by_role("link", name="Compare with").click()
    expect(page.get_by_label("First run")).to_have_value(site.best)
    expect(page.locator("#comparison")).to_contain_text("Name two runs")
    page.get_by_label("Second run").fill(f"  {home}runs/{site.failed}.html#twin ")
    page.keyboard.press("Enter")
    table = page.locator("#compared")
    expect(table.locator("tbody tr").nth(2)).to_have_text("VerdictokTIME_LIMITdiffers")
    assert page.url.endswith(f"?a={site.best}&b={site.failed}")
    page.go_back()
    expect(page.locator("#comparison")).to_contain_text("Name two runs")


def test_a_run_that_is_not_there_is_named(open_page, site, heard):
    missing = "20260101-000000-nobody-0000"
    page = open_page(f"compare.html?a={site.best}&b={missing}")
    expect(page.locator("#comparison .missing")).to_have_text(f"There is no run {missing} on this site.")
    assert all("404" in error for error in heard.errors)  # the browser's own line
    heard.errors.clear()


def test_what_is_no_run_id_is_never_asked_for(open_page, site):
    page = open_page(f"compare.html?a={site.best}")
    expect(page.get_by_label("First run")).to_have_value(site.best)
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    missing = page.locator("#comparison .missing")
    for typed in ("../index", "x", "20260101-000000-a-0000/../../index", "<img src=x onerror=alert(1)>"):
        page.get_by_label("Second run").fill(typed)
        page.get_by_role("button", name="Compare").click()
        expect(missing).to_contain_text(f"“{typed}” is no run id")
    assert {url.rpartition("/")[2] for url in asked if ".html" in url} <= {f"{site.best}.html"}
    assert page.locator("#comparison img").count() == 0


def test_runs_of_different_tracks_are_said_to_be_no_race(open_page, site):
    sprint = next(page.stem for page in (site.folder / "runs").glob("*-sprint-*.html"))
    page = open_page(f"compare.html?a={site.best}&b={sprint}")
    expect(page.locator("#comparison .missing")).to_contain_text("different tracks")
    expect(page.locator("#compared")).to_be_visible()


def test_from_a_file_it_says_why_it_can_not(browser, site):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{(site.folder / 'compare.html').as_uri()}?a={site.best}&b={site.other}")
    expect(page.locator("#comparison .missing").first).to_contain_text("serve the folder")
    page.goto((site.folder / "index.html").as_uri())
    page.get_by_role("link", name="cooldown").first.click()
    expect(page.locator("h1")).to_have_text("cooldown")
    context.close()
