"""Define the fixtures for the pages."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page
from support.browser import chromium, served_sandbox
from support.processes import Redis, Service


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="module")
def site(redis_server: Redis, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with served_sandbox(redis_server, tmp_path_factory.mktemp("sandbox")) as service:
        yield service


@pytest.fixture
def page(browser: Browser, site: Service, request: pytest.FixtureRequest) -> Iterator[Page]:
    """Yield a page with its own profile; check that it called no other host, broke no policy, and no script failed."""
    wrong: list[str] = []
    context = browser.new_context(**{"locale": "en-US", **getattr(request, "param", {})})
    page = context.new_page()
    page.set_default_timeout(30_000)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Policy" in message.text else None)
    page.on("request", lambda asked: wrong.append(asked.url) if is_foreign(asked.url, site.url) else None)
    yield page
    context.close()
    assert wrong == []


def is_foreign(address: str, home: str) -> bool:
    url = urlsplit(address)
    return url.scheme not in ("blob", "data", "about") and url.hostname != urlsplit(home).hostname
