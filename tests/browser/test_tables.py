"""Tables that a reader sorts and filters, in a real browser."""

import pytest

expect = pytest.importorskip("playwright.sync_api").expect

TRACK = "tracks/cpu-1min.html"
NOTHING = "–"


def table_with(page, heading):
    """The last table of a page that has this column: on a track's page its runs."""
    return page.locator("table.sortable", has=page.locator("th", has_text=heading)).last


def button(table, heading):
    return table.locator("thead").get_by_role("button", name=heading)


def column(table, heading):
    """The texts of a column in the rows that are shown."""
    headings = [text.strip() for text in table.locator("thead th").all_text_contents()]
    (place,) = [number for number, text in enumerate(headings, 1) if text.startswith(heading)]
    return [text.strip() for text in table.locator(f"tbody tr:visible td:nth-child({place})").all_text_contents()]


def numbers(texts):
    return [float(text.replace(",", "").split()[0]) for text in texts if text not in ("", NOTHING)]


def test_a_heading_sorts_both_ways_and_says_so(open_page):
    table = table_with(open_page("index.html"), "Verdict")
    before = column(table, "Loss")
    heading = table.locator("th", has_text="Loss")
    expect(table.locator("[aria-sort]")).to_have_count(0)
    button(table, "Loss").click()
    expect(heading).to_have_attribute("aria-sort", "ascending")
    upward = column(table, "Loss")
    assert upward != before
    assert sorted(upward) == sorted(before)
    blanks = before.count(NOTHING)
    assert blanks == 2  # the failed runs
    assert numbers(upward) == sorted(numbers(before))
    assert upward[-blanks:] == [NOTHING] * blanks
    button(table, "Loss").click()
    expect(heading).to_have_attribute("aria-sort", "descending")
    downward = column(table, "Loss")
    assert numbers(downward) == sorted(numbers(before), reverse=True)
    assert downward[-blanks:] == [NOTHING] * blanks
    button(table, "Entry").click()
    expect(table.locator("th", has_text="Entry")).to_have_attribute("aria-sort", "ascending")
    expect(table.locator("[aria-sort]")).to_have_count(1)
    assert column(table, "Entry") == sorted(column(table, "Entry"))


def test_equal_rows_stay_as_they_were(open_page):
    table = table_with(open_page("index.html"), "Verdict")
    button(table, "Loss").click()
    by_loss = list(zip(column(table, "Tier"), column(table, "Loss"), strict=True))
    button(table, "Tier").click()
    by_tier = list(zip(column(table, "Tier"), column(table, "Loss"), strict=True))
    assert by_tier == sorted(by_loss, key=lambda row: row[0])
    button(table, "Tier").click()
    assert list(zip(column(table, "Tier"), column(table, "Loss"), strict=True)) != by_tier


def test_the_keyboard_alone_sorts(open_page):
    page = open_page("index.html")
    page.keyboard.press("Tab")
    expect(page.locator("a.skip")).to_be_focused()
    expect(page.locator("a.skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    table = page.locator("table.sortable").first
    heading = button(table, "Authors")
    for _ in range(40):  # links and fields come before it
        page.keyboard.press("Tab")
        if heading.evaluate("element => element === document.activeElement"):
            break
    expect(heading).to_be_focused()
    assert heading.evaluate("element => getComputedStyle(element).outlineStyle") == "solid"
    before = column(table, "Authors")
    page.keyboard.press("Enter")
    expect(table.locator("th", has_text="Authors")).to_have_attribute("aria-sort", "ascending")
    assert sorted(before) != before
    (hostile,) = [name for name in before if name.startswith("<")]  # whose first sign comes before all letters
    assert column(table, "Authors") == [hostile, *sorted(name for name in before if name != hostile)]


def test_a_filter_counts_and_can_be_sent_to_a_friend(open_page, home):
    page = open_page("index.html")
    table = page.locator("table.sortable").first
    form = page.locator("form.filters")
    count = form.locator("output")
    rows = table.locator("tbody tr").count()
    expect(count).to_have_text(f"{rows} of {rows} rows")
    expect(count).to_have_attribute("aria-live", "polite")
    form.get_by_label("Tier").select_option("verified")
    shown = table.locator("tbody tr:visible")
    verified = shown.count()
    assert {row.get_attribute("data-tier") for row in shown.all()} == {"verified"}
    assert 2 < verified < rows
    expect(count).to_have_text(f"{verified} of {rows} rows")
    form.get_by_label("Words").fill("MUON wide")
    expect(count).to_have_text(f"1 of {rows} rows")
    assert column(table, "Entry") == ["wide-muon"]
    friend = open_page(page.url.removeprefix(home))
    assert column(friend.locator("table.sortable").first, "Entry") == ["wide-muon"]
    page.reload()
    expect(count).to_have_text(f"1 of {rows} rows")
    expect(form.get_by_label("Words")).to_have_value("MUON wide")
    expect(form.get_by_label("Tier")).to_have_value("verified")
    form.get_by_label("Words").fill("")
    form.get_by_label("Tier").select_option("")
    expect(count).to_have_text(f"{rows} of {rows} rows")
    assert "#" not in page.url


def test_one_filter_of_a_track_is_for_all_its_rankings_and_runs(open_page, home):
    page = open_page(TRACK)
    form = page.locator("form.filters")
    expect(form).to_have_count(1)
    places, rankings, runs = page.locator("section.place"), page.locator('table[id^="ranking"]'), page.locator("#runs")
    assert places.count() == rankings.count() == 2  # one for each kind of hardware that has ranked runs
    rows = sum(table.locator("tbody tr").count() for table in [*rankings.all(), runs])
    expect(form.locator("output")).to_have_text(f"{rows} of {rows} rows")
    fast = "Fast CPU, 2 threads"
    form.get_by_label("Hardware").select_option(fast)
    expect(places.filter(visible=True)).to_have_count(1)
    assert places.filter(visible=True).get_attribute("data-hardware") == fast
    assert column(rankings.filter(visible=True), "Entry") == ["elsewhere"]
    assert column(runs, "Entry") == ["elsewhere"] * 3
    expect(form.locator("output")).to_have_text(f"4 of {rows} rows")
    friend = open_page(page.url.removeprefix(home))
    expect(friend.locator("form.filters output")).to_have_text(f"4 of {rows} rows")
    expect(friend.locator("section.place").filter(visible=True)).to_have_count(1)
    form.get_by_label("Tier").select_option("verified")
    expect(form.locator("output")).to_have_text(f"0 of {rows} rows")
    form.get_by_label("Hardware").select_option("")
    expect(places.filter(visible=True)).to_have_count(2)
    assert set(column(runs, "Tier")) == {"verified"}
    form.get_by_label("Words").fill("katherine")
    assert [column(table, "Entry") for table in rankings.all()] == [[], ["ngrams"]]  # the runs name no authors
    form.get_by_label("Words").fill("ngrams")
    expect(form.locator("output")).to_have_text(f"4 of {rows} rows")
    assert column(runs, "Entry") == ["ngrams"] * 3
    form.get_by_label("Words").fill("")
    form.get_by_label("Tier").select_option("")
    form.get_by_label("Hardware").select_option("Home CPU, 2 threads")  # it has no ranked run, and so no place
    expect(places.filter(visible=True)).to_have_count(0)
    assert column(runs, "Entry") == ["at-home"]


def test_a_plot_of_a_place_that_was_hidden_is_as_wide_as_its_frame(open_page):
    page = open_page(TRACK)
    hardware = page.get_by_label("Hardware")
    figure = page.locator('section.place:not([data-hardware^="Fast"]) figure.plot')
    figure.scroll_into_view_if_needed()
    drawn = figure.locator(".main-svg").first
    expect(drawn).to_be_visible()
    hardware.select_option("Fast CPU, 2 threads")
    expect(drawn).to_be_hidden()
    page.get_by_role("button", name="theme").click()  # draws anew what is hidden, too
    page.set_viewport_size({"width": 700, "height": 700})
    hardware.select_option("")
    frame = figure.locator(".canvas").evaluate("canvas => canvas.clientWidth")
    expect(drawn).to_have_attribute("width", str(frame))


@pytest.mark.parametrize("hash", ["entries.tier=purple&entries.hardware=%3Cb%3E", "main", "%", "entries.tier=%E0"])
def test_an_address_that_names_no_option_shows_everything(open_page, hash):
    page = open_page(f"index.html#{hash}")
    table = page.locator("table.sortable").first
    rows = table.locator("tbody tr").count()
    expect(page.locator("form.filters output")).to_have_text(f"{rows} of {rows} rows")
    assert len(column(table, "Entry")) == rows


def test_going_to_a_place_on_the_page_keeps_the_filters(open_page):
    page = open_page("index.html")
    form, table = page.locator("form.filters"), page.locator("table.sortable").first
    form.get_by_label("Words").fill("wide")
    expect(table.locator("tbody tr:visible")).to_have_count(1)
    address = page.url
    assert address.endswith("#entries.words=wide")
    skip = page.locator("a.skip")
    skip.focus()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    assert page.url == address
    page.evaluate("location.hash = 'all-entries'")  # a link to a heading
    page.evaluate("() => new Promise((done) => setTimeout(done))")  # the news of it has come
    expect(table.locator("tbody tr:visible")).to_have_count(1)
    page.evaluate("location.hash = 'entries.words=muon'")
    expect(table.locator("tbody tr:visible")).to_have_count(2)
    page.evaluate("location.hash = ''")
    expect(table.locator("tbody tr[hidden]")).to_have_count(0)
