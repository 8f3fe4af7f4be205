"""Plots that a reader touches, in a real browser."""

import pytest

from tests.browser.made_site import HOSTILE

expect = pytest.importorskip("playwright.sync_api").expect

TRACK = "tracks/cpu-1min.html"


def drawn(page, kind):
    """The first plot of a kind, once it is drawn; it is drawn when it is seen."""
    figure = page.locator(f'figure.plot[data-kind="{kind}"]').first
    figure.scroll_into_view_if_needed()
    expect(figure.locator(".main-svg").first).to_be_visible()
    return figure


def hover(page, point):
    """What Plotly says of a point under the mouse."""
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2 - 3, box["y"] + box["height"] / 2)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    label = page.locator(".hoverlayer .hovertext")
    expect(label).to_have_count(1)
    return label.text_content()


def trace(figure, name):
    """The index of the first trace whose name begins so."""
    names = figure.locator(".canvas").evaluate("canvas => canvas.data.map((trace) => trace.name)")
    return next(index for index, each in enumerate(names) if each.startswith(name))


def points(figure, name):
    return figure.locator(".scatterlayer .trace").nth(trace(figure, name)).locator(".points path")


def axis_type(figure):
    return figure.locator(".canvas").evaluate("canvas => canvas._fullLayout.yaxis.type")


def test_hovering_a_record_says_whose_it_is(open_page):
    page = open_page(TRACK)
    figure = drawn(page, "progression")
    records = points(figure, "records")
    expect(records).to_have_count(5)
    told = hover(page, records.last)
    for words in ("cooldown", "0.4765 ± 0.0006", "2026-05-01", "Edsger", "rates that follow the clock"):
        assert words in told
    assert "5 records on Xeon at 2.5 GHz, 2 threads" in figure.locator(".canvas").get_attribute("aria-label")


def test_hostile_words_are_text_in_a_plot(open_page):
    page = open_page("tracks/cpu-smoke.html")
    figure = drawn(page, "progression")
    told = hover(page, points(figure, "claims").first)
    # Plotly breaks the words into lines, between which no blank is left.
    assert "".join(HOSTILE.split()) in "".join(told.split())
    assert HOSTILE[:60] in figure.locator(".canvas").get_attribute("aria-label")
    assert figure.locator(".svg-container a, .svg-container img, .svg-container script").count() == 0


def test_results_of_others_and_a_scale_that_helps(open_page):
    page = open_page("tracks/h100x8-val-3.28.html")
    figure = drawn(page, "progression")
    assert "measured elsewhere, not by this harness" in figure.locator(".legendtext").all_text_contents()
    told = hover(page, points(figure, "measured elsewhere").first)
    assert "measured elsewhere" in told
    button = figure.get_by_role("button", name="log scale")
    expect(button).to_have_attribute("aria-pressed", "false")
    assert axis_type(figure) == "linear"
    button.click()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert axis_type(figure) == "log"
    button.click()
    assert axis_type(figure) == "linear"


def test_a_curve_by_seconds_tokens_and_steps(open_page, site):
    page = open_page(f"runs/{site.best}.html")
    figure = drawn(page, "curve")
    title = figure.locator(".xtitle")
    expect(title).to_have_text("Training time (s)")
    ends = []
    for name, words in (("tokens", "Tokens"), ("steps", "Steps"), ("seconds", "Training time (s)")):
        figure.get_by_role("button", name=name).click()
        expect(title).to_have_text(words)
        pressed = figure.locator('[role="group"] [aria-pressed="true"]')
        expect(pressed).to_have_text(name)
        ends.append(figure.locator(".canvas").evaluate("canvas => Math.max(...canvas.data[0].x)"))
    assert ends == [24_576_000, 1500, 58.4]
    clipped = figure.locator(".canvas").evaluate("canvas => canvas._fullLayout.yaxis.range[1] < canvas.data[0].y[0]")
    assert clipped  # the first moments do not flatten the rest
    figure.get_by_role("button", name="log scale").click()
    assert axis_type(figure) == "log"
    told = figure.locator(".legendtext").all_text_contents()
    assert "floor of the data set 0.2296" in told
    assert "scored 0.4771" in told


def test_the_wheel_scrolls_the_page_and_not_the_plot(open_page, site):
    page = open_page(f"runs/{site.best}.html")
    figure = drawn(page, "curve")
    box = figure.locator(".canvas").bounding_box()
    range_before = figure.locator(".canvas").evaluate("canvas => canvas._fullLayout.xaxis.range")
    at_before = page.evaluate("scrollY")
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.wheel(0, 200)
    page.wait_for_function("before => scrollY > before", arg=at_before)
    assert figure.locator(".canvas").evaluate("canvas => canvas._fullLayout.xaxis.range") == range_before


def test_the_theme_is_switched_and_kept(open_page):
    page = open_page(TRACK, color_scheme="light")
    figure = drawn(page, "progression")

    def colours():
        line = figure.locator(".scatterlayer .js-line").first
        return (
            page.evaluate("getComputedStyle(document.body).backgroundColor"),
            line.evaluate("line => getComputedStyle(line).stroke"),
            figure.locator(".ytitle").evaluate("text => getComputedStyle(text).fill"),
        )

    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "light")
    light = colours()
    page.get_by_role("button", name="Switch to the dark theme").click()
    expect(html).to_have_attribute("data-theme", "dark")
    dark = colours()
    assert not set(light) & set(dark)
    page.reload()
    expect(html).to_have_attribute("data-theme", "dark")
    drawn(page, "progression")
    assert colours() == dark
    page.get_by_role("button", name="Switch to the light theme").click()
    assert colours() == light


def test_the_theme_follows_the_system_until_the_reader_chooses(open_page):
    page = open_page("index.html", color_scheme="dark")
    html = page.locator("html")
    expect(html).to_have_attribute("data-theme", "dark")
    page.emulate_media(color_scheme="light")
    expect(html).to_have_attribute("data-theme", "light")
    page.get_by_role("button", name="Switch to the dark theme").click()
    page.emulate_media(color_scheme="dark")
    page.emulate_media(color_scheme="light")
    expect(html).to_have_attribute("data-theme", "dark")
