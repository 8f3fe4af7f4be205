"""A browser, and a site for it: each made once for all tests."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.result import Record
from tests.browser import chromium
from tests.browser.made_site import MadeSite, build_site


@dataclass
class Heard:
    """What a page did besides showing itself."""

    home: str
    errors: list[str] = field(default_factory=list)  # of the console, and exceptions that nobody caught
    strays: list[str] = field(default_factory=list)  # requests that left the site
    dialogs: list[str] = field(default_factory=list)

    def listen(self, page: Any) -> None:
        page.on("console", lambda line: self.errors.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", self._dialog)
        page.on("request", self._request)

    def _dialog(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.home, "data:", "blob:")):
            self.strays.append(request.url)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, make_record: Callable[..., Record]) -> MadeSite:
    return build_site(tmp_path_factory.mktemp("site"), make_record)


@pytest.fixture(scope="session")
def home(site: MadeSite) -> Iterator[str]:
    """The address of the site, with a slash at the end."""
    with chromium.served(site.folder) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if why := chromium.missing():
        pytest.skip(why)
    from playwright.sync_api import expect

    expect.set_options(timeout=20_000)  # milliseconds: a bound for slow machines, not a wait
    with chromium.launched() as browser:
        yield browser


@pytest.fixture(scope="session")
def reader(browser: Any) -> Any:
    """A reader who has been here before: what most pages are opened by, for the scripts are read once."""
    return browser.new_context()


@pytest.fixture
def heard(home: str) -> Heard:
    """What the test's pages did; a test that expects an error takes it away."""
    return Heard(home)


@pytest.fixture
def open_page(browser: Any, reader: Any, home: str, heard: Heard) -> Iterator[Callable[..., Any]]:
    """`open_page("index.html")`; no page may complain, ask or look elsewhere in the test.

    Settings of a context open the page for a reader who has never been here.
    """
    opened = []

    def open_page(address: str, **settings: Any) -> Any:
        page = (browser.new_context(**settings) if settings else reader).new_page()
        opened.append(page)
        heard.listen(page)
        page.goto(home + address)
        return page

    yield open_page
    for page in opened:
        (page if page.context == reader else page.context).close()
    assert heard.dialogs == []
    assert heard.strays == []
    assert heard.errors == []
