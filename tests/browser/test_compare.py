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
    frame = page.get_by_role("region", name="cooldown beside muon")
    expect(frame).to_have_attribute("tabindex", "0")
    expect(frame.locator("caption")).to_have_text("cooldown beside muon")
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
    expect(page.get_by_label("Second run")).to_be_focused()
    page.get_by_label("Second run").fill(f"  {home}runs/{site.failed}.html#twin ")
    page.keyboard.press("Enter")
    table = page.locator("#compared")
    expect(table.locator("tbody tr").nth(2)).to_have_text("VerdictokTIME_LIMITdiffers")
    assert page.url.endswith(f"?a={site.best}&b={site.failed}")
    page.go_back()
    expect(page.locator("#comparison")).to_contain_text("Name two runs")


def test_the_fields_offer_the_runs_by_what_a_reader_knows(open_page, site):
    page = open_page(f"compare.html?a={site.best}")
    field = page.get_by_label("Second run")
    offered = field.evaluate(
        "field => Object.fromEntries(Array.from(field.list.options, (each) => [each.value, each.label]))"
    )
    assert len(offered) == len(list((site.folder / "runs").glob("*.html")))
    assert offered[site.other] == "muon on cpu-1min, 0.5316 nats/token"
    assert offered[site.failed] == "too-slow on cpu-1min, TIME_LIMIT"
    assert page.get_by_label("First run").evaluate("field => field.list.options.length") == len(offered)


def test_an_answer_that_comes_late_changes_nothing(open_page, site):
    page = open_page("compare.html")
    held = []
    page.route(f"**/runs/{site.failed}.html", lambda route: held.append(route))
    page.evaluate(
        """() => {
            const real = compare;
            let ended = 0;
            compare = (...all) => real(...all).then(() => { document.body.dataset.ended = ended += 1 });
        }"""
    )

    def ask(second):
        page.get_by_label("First run").fill(site.best)
        page.get_by_label("Second run").fill(second)
        page.keyboard.press("Enter")

    with page.expect_request(f"**/runs/{site.failed}.html"):
        ask(site.failed)
    ask(site.other)
    entries = page.locator("#compared tbody tr").first
    expect(entries).to_have_text("Entrycooldownmuondiffers")
    expect(page.locator("body")).to_have_attribute("data-ended", "1")
    (request,) = held
    request.continue_()
    expect(page.locator("body")).to_have_attribute("data-ended", "2")
    expect(entries).to_have_text("Entrycooldownmuondiffers")
    expect(page.locator("#comparison figure")).to_have_count(1)


def test_only_the_comparison_that_is_shown_is_drawn_again(open_page, site):
    page = open_page(f"compare.html?a={site.best}&b={site.other}")
    expect(page.locator("#comparison .main-svg").first).to_be_visible()
    for second in (site.failed, site.best):
        page.get_by_label("Second run").fill(second)
        page.keyboard.press("Enter")
        expect(page.locator("#compared thead a").last).to_have_text(second)
    expect(page.locator("#comparison .main-svg").first).to_be_visible()
    assert page.evaluate("themeWatchers.size") == 1
    page.get_by_role("button", name="theme").click()
    page.get_by_label("Second run").fill("")
    page.evaluate("history.pushState(null, '', '?'); dispatchEvent(new PopStateEvent('popstate'))")
    expect(page.locator("#comparison")).to_contain_text("Name two runs")
    assert page.evaluate("themeWatchers.size") == 0


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
    expect(page.locator("#comparison .missing")).to_have_text("Not comparable: they ran on different tracks.")
    expect(page.locator("#compared")).to_be_visible()


def test_runs_that_can_not_be_compared_say_why_and_no_difference(open_page, site):
    page = open_page(f"compare.html?a={site.best}&b={site.practice}")
    expect(page.locator("#compared")).to_be_visible()
    assert told(page) == [
        "Not comparable: they were scored on different data sets; the data set was not the same; "
        "they ran on different hardware."
    ]
    loss = page.locator("#compared tbody tr").filter(has_text="Loss (nats/token)")
    assert loss.locator("td").all_text_contents() == ["0.4771", "0.6100", "–"]
    page = open_page(f"compare.html?a={site.best}&b={site.retracted}")
    expect(page.locator("#compared")).to_be_visible()
    assert told(page) == [f"{site.retracted} is retracted: Its author asked."]


def test_from_a_file_it_says_why_it_can_not(browser, site):
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{(site.folder / 'compare.html').as_uri()}?a={site.best}&b={site.other}")
    expect(page.locator("#comparison .missing").first).to_contain_text("serve the folder")
    page.goto((site.folder / "index.html").as_uri())
    page.get_by_role("link", name="cooldown").first.click()
    expect(page.locator("h1")).to_have_text("cooldown")
    context.close()
