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
    assert column(table, "Authors")[1:] == sorted(before[:4] + before[5:])  # the hostile name's first sign comes first


def test_a_filter_counts_and_can_be_sent_to_a_friend(open_page, home):
    page = open_page("index.html")
    table = page.locator("table.sortable").first
    form = page.locator(f'form.filters[data-table="{table.get_attribute("id")}"]')
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


def test_hardware_can_be_chosen_where_there_is_more_than_one(open_page):
    page = open_page(TRACK)
    table = table_with(page, "Verdict")
    form = page.locator(f'form.filters[data-table="{table.get_attribute("id")}"]')
    form.get_by_label("Hardware").select_option("Home CPU, 2 threads")
    assert column(table, "Entry") == ["at-home"]
    expect(form.locator("output")).to_have_text(f"1 of {table.locator('tbody tr').count()} rows")
    ranking = page.locator('form.filters[data-table^="ranking"]').last
    expect(ranking.locator("select[name=tier]")).to_be_visible()
    expect(ranking.locator("select[name=hardware]")).to_be_hidden()  # a ranking is of one kind of hardware


def test_an_address_that_names_no_option_shows_everything(open_page):
    page = open_page("index.html")
    name = page.locator("table.sortable").first.get_attribute("id")
    for hash in (f"{name}.tier=purple&{name}.hardware=%3Cb%3E", "main", "%", f"{name}.tier=%E0"):
        page.evaluate("hash => { location.hash = hash }", hash)
        table = page.locator("table.sortable").first
        assert len(column(table, "Entry")) == table.locator("tbody tr").count()
