"""Every kind of page in a real browser: where links lead, what hostile words do, a telephone, and no script at all."""

import json

import pytest

from tests.browser.made_site import HOSTILE, HOSTILE_SOURCE

expect = pytest.importorskip("playwright.sync_api").expect

PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


def kinds(site):
    """One page of every kind, those with the hardest texts among them."""
    return [
        "index.html",
        "tracks/cpu-smoke.html",
        "tracks/cpu-1min.html",
        "tracks/h100x8-val-3.28.html",
        "tracks/t4-5min.html",
        "entries/cooldown.html",
        "entries/hostile.html",
        f"runs/{site.hostile}.html",
        f"runs/{site.crashed}.html",
        f"compare.html?a={site.best}&b={site.other}",
    ]


def test_every_kind_of_link_leads_somewhere(open_page, site):
    page = open_page("index.html")

    def follow(link, path):
        link.first.click()
        page.wait_for_url(f"**/{path}*")
        expect(page.locator("h1")).to_be_visible()

    main = page.locator("main")
    follow(main.get_by_role("link", name="cpu-1min"), "tracks/cpu-1min.html")
    follow(page.locator('table[id^="ranking"]').get_by_role("link", name="cooldown"), "entries/cooldown.html")
    follow(main.get_by_role("link", name="baseline"), "entries/baseline.html")
    follow(page.locator("table").get_by_role("link").filter(has_text="2026-01-04"), "runs/20260104-")
    follow(page.locator(".crumbs").get_by_role("link", name="cpu-1min"), "tracks/cpu-1min.html")
    follow(page.locator(".crumbs").get_by_role("link", name="Tracks"), "index.html")
    follow(page.locator("header").get_by_role("link", name="Compare"), "compare.html")
    follow(page.locator("header").get_by_role("link", name="speedrun"), "index.html")
    author = page.locator("table").get_by_role("link", name="Edsger").first
    assert author.get_attribute("href") == "https://example.org/author"


def test_hostile_words_are_text_and_nothing_else(open_page, site):
    seen = ""
    for address in (
        f"runs/{site.hostile}.html",
        f"runs/{site.crashed}.html",
        "entries/hostile.html",
        "index.html",
        "tracks/cpu-smoke.html",
    ):
        page = open_page(address)
        page.locator("details").evaluate_all("those => those.forEach((each) => { each.open = true })")
        if page.locator("pre.source").count():
            page.locator("pre.source").first.scroll_into_view_if_needed()
            expect(page.locator("pre.source").first).to_have_class("source numbered")
        assert page.evaluate("window.__pwned") is None
        assert page.locator("main :is(img, b, i, iframe, object, embed)").count() == 0
        assert page.locator("script:not([src]):not([type='application/json'])").count() == 0
        assert page.locator("[onerror], [onload], [onclick]").count() == 0
        seen += page.locator("body").inner_text()
    assert "".join(seen.split()).count("".join(HOSTILE.split())) > 5


def test_the_source_is_shown_letter_by_letter(open_page):
    page = open_page("entries/hostile.html")
    source = page.locator("pre.source").first
    source.scroll_into_view_if_needed()
    expect(source).to_have_attribute("data-numbers", "1\n2\n3")
    assert source.locator("code").text_content() == HOSTILE_SOURCE
    assert source.locator(".t-comment").first.text_content() == f"# {HOSTILE}"
    height = source.locator("code").evaluate("code => code.getBoundingClientRect().height")
    numbers = source.evaluate("source => parseFloat(getComputedStyle(source, '::before').height)")
    assert height == pytest.approx(numbers, abs=1)  # each number stands beside its line
    page.keyboard.press("Control+A")
    assert "1# " not in page.evaluate("getSelection().toString()")  # the lines' numbers are not part of it


def test_a_source_is_coloured_by_what_its_words_are(open_page):
    page = open_page("entries/baseline.html")
    source = page.locator("pre.source").first
    source.scroll_into_view_if_needed()
    expect(source).to_have_class("source numbered")

    def words(kind):
        return source.locator(f".t-{kind}").all_text_contents()

    assert words("comment") == ["# blocks"]
    assert words("decorator") == ["@torch.no_grad"]
    assert words("name") == ["predict", "Block", "forward"]
    assert words("number") == ["6", "0x1F", "1.5e-3"]
    assert words("keyword") == [
        "import",
        "def",
        "return",
        "class",
        "def",
        "return",
        "if",
        "is",
        "not",
        "None",
        "else",
        "False",
    ]
    assert words("string") == [
        '"""A plain transformer, # not a comment."""',
        '"""One number a target,\n    over two lines."""',
        'r"a raw\\d string"',
    ]


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("toml", 'title = "a # b"  # why\n[[authors]]\nname = \'x\'\nn = 1_0.5\non = true', {
            "decorator": ["title", "name", "n", "on"],
            "string": ['"a # b"', "'x'"],
            "comment": ["# why"],
            "name": ["[[authors]]"],
            "number": ["1_0.5"],
            "keyword": ["true"],
        }),
        ("markdown", "# Head\n`code` and **bold**\n```\n# no head\n```\n> said\n[a](b)", {
            "keyword": ["# Head"],
            "string": ["`code`", "```\n# no head\n```"],
            "number": ["**bold**"],
            "comment": ["> said"],
            "name": ["[a](b)"],
        }),
        ("python", "x = f'{a}' + \"un\\\"ended\ny = '''open\n# inside", {
            "string": ["f'{a}'", '"un\\"ended', "'''open\n# inside"],
            "comment": [],
        }),
        ("text", "def x(): # 1", {"keyword": [], "comment": []}),
    ],
)  # fmt: skip
def test_every_language_is_read_as_it_is(open_page, language, text, expected):
    page = open_page("index.html")
    found = page.evaluate(
        """([text, language]) => {
            const code = document.createElement('code');
            code.textContent = text;
            paintSource(code, language);
            const words = (kind) => Array.from(code.querySelectorAll(`.t-${kind}`), (each) => each.textContent.trim());
            return [code.textContent, Object.fromEntries(
                ['decorator', 'string', 'comment', 'name', 'number', 'keyword'].map((kind) => [kind, words(kind)]))];
        }""",
        [text, language],
    )
    assert found[0] == text
    assert {kind: found[1][kind] for kind in expected} == expected


HARD = {
    "python": ["'", '"', '"""\n', "'''a", "\\", '"\\', "#", "@", " @", " ", "\t\n", "0x", "1e", "[", "f'", "a.", "é"],
    "toml": ["'", '"', '"""\n', "'''a", "\\", '"\\', "#", "[", "[\n", "[[", " ", "=", "a.", "a\n", "-", "1:"],
    "markdown": ["<!--", "<!-", "[", "[](", "[a](", "[a]", "`", "```a", "`a\n", "*", "**", "**a", "#", ">", " ", "("],
}


@pytest.mark.parametrize("language", sorted(HARD))
def test_no_text_takes_longer_than_its_length_asks_for(open_page, language):
    """Each sign again and again, and another at the end; work that grew with the square would take a minute."""
    page = open_page("index.html")
    work = """([sign, language]) => {
        const text = (times) => `${sign.repeat(times)}@`;
        for (const match of text(600_000 / sign.length).matchAll(TOKENS[language]));
        return tokens(text(100), language).map(([, piece]) => piece).join('') === text(100);
    }"""
    session = page.context.new_cdp_session(page)
    for sign in HARD[language]:
        expression = f"({work})({json.dumps([sign, language])})"
        # The page can't end what it is at; the browser does, in time.
        done = session.send("Runtime.evaluate", {"expression": expression, "timeout": 20_000})
        assert done["result"].get("value") is True, (sign, done)


@pytest.mark.parametrize("sign", ["<!--", "[", "a\n"])
def test_the_longest_sources_are_numbered_and_not_coloured(open_page, sign):
    page = open_page("index.html")
    text = sign * (150_000 // len(sign)) + "`end`"
    page.evaluate(
        """(text) => {
            const source = make('pre', { class: 'source', 'data-language': 'markdown' }, make('code', {}, text));
            document.querySelector('main').prepend(source);
            startSources();
        }""",
        text,
    )
    source = page.locator("pre.source")
    expect(source).to_have_class("source numbered")
    shown, numbers = source.evaluate("source => [source.textContent, source.dataset.numbers.split('\\n')]")
    assert shown == text
    assert numbers == [str(number) for number in range(1, text.count("\n") + 2)]
    assert source.locator("[class^=t-]").count() == 0
    before = page.locator("html").get_attribute("data-theme")
    page.get_by_role("button", name="theme").click()  # it still answers
    expect(page.locator("html")).not_to_have_attribute("data-theme", before)


def test_no_page_is_wider_than_a_telephone(open_page, site):
    page = open_page("index.html", **PHONE)
    home = page.url.removesuffix("index.html")
    for address in kinds(site):
        page.goto(home + address)
        for figure in page.locator("figure.plot").all():
            figure.scroll_into_view_if_needed()
            expect(figure.locator(".main-svg").first).to_be_visible()
        wide = page.evaluate(
            """() => Array.from(document.querySelectorAll('main *'))
                .filter((each) => each.getBoundingClientRect().right > 361 && !each.closest('.scroll, pre, svg'))
                .map((each) => each.outerHTML.slice(0, 80))"""
        )
        widths = page.evaluate("[innerWidth, document.documentElement.scrollWidth]")
        assert (widths, wide) == ([360, 360], []), address
        if page.locator(".scroll").count() and "tracks/cpu" in address:
            frame = page.locator('.scroll:has(table[id^="ranking"])').last
            assert frame.evaluate("frame => frame.scrollWidth > frame.clientWidth")
            frame.evaluate("frame => { frame.scrollLeft = 400 }")
            entry = frame.locator("tbody tr:first-child td:nth-child(2)").bounding_box()
            assert 0 <= entry["x"] < 200  # what a row is about stays in sight


def test_without_script_everything_can_be_read(open_page, site):
    page = open_page("index.html", java_script_enabled=False)
    home = page.url.removesuffix("index.html")
    expect(page.locator(".tile", has_text="cpu-1min")).to_contain_text("0.4765")
    expect(page.locator("form.filters").first).to_be_hidden()
    expect(page.locator("button.theme")).to_be_hidden()
    page.goto(f"{home}tracks/cpu-1min.html")
    ranking = page.locator('table[id^="ranking"]').last
    expect(ranking).to_contain_text("0.4765 ± 0.0006")
    expect(page.locator("figcaption").first).to_be_visible()
    page.goto(f"{home}runs/{site.best}.html")
    expect(page.locator("main")).to_contain_text("58.40 s")
    page.goto(f"{home}entries/cooldown.html")
    expect(page.locator("pre.source").first).to_contain_text("def predict(model, tokens):")
    page.goto(f"{home}compare.html")
    assert "takes JavaScript" in page.locator("noscript").text_content()


def test_a_plot_that_is_not_drawn_is_told_in_words(open_page):
    page = open_page("index.html")
    told = page.evaluate(
        """() => {
            const canvas = document.createElement('div');
            canvas.className = 'canvas';
            canvas.setAttribute('aria-label', 'five records');
            document.querySelector('main').append(canvas);
            return getComputedStyle(canvas, '::before').content;
        }"""
    )
    assert told == '"five records"'


def test_every_phase_fills_its_share_of_the_bar(open_page, site):
    page = open_page(f"runs/{site.best}.html")
    bar = page.locator(".phases")
    outer, border = bar.bounding_box(), 1  # pixels
    x, y, width, height = (
        outer[side] + border * inwards for side, inwards in (("x", 1), ("y", 1), ("width", -2), ("height", -2))
    )
    phases = bar.locator(".phase").all()
    assert len(phases) == 7
    at = x
    for phase in phases:
        box = phase.bounding_box()
        assert (box["y"], box["height"]) == (y, height)
        assert box["x"] == pytest.approx(at, abs=3)  # side by side, but for a hair between them
        at = box["x"] + box["width"]
    assert at == pytest.approx(x + width, abs=3)
    keys = [key.bounding_box() for key in page.locator("table .key").all()]
    assert len({(key["width"], key["height"]) for key in keys}) == 1
